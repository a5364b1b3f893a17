//! Sent while nobody hears it, then counted: every message is answered, in the order of its conversation, once.
//!
//! Each message is one token, `PERSON-NUMBER`, and each agent says what it was told. So the tokens of a person, in the
//! order in which agents got them and in the order in which the chat shows them, must count from nothing to the last,
//! whatever became one prompt and whatever did not.

use std::time::{Duration, Instant};

use telexd_botapi::{Clock, Config, ManualClock, Network, ShownMessage};

use crate::support::{ADMIN, DEADLINE, Daemon, World, texts};

const GROUP: i64 = -1_000_000_000_777;
/// Somebody whose messages are old.
const LATE: i64 = 2_999;
const MINUTE: i64 = 60_000;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(150);

/// Whoever asks for more messages waits longer.
fn patience() -> Duration {
    match std::env::var_os("TELEXD_COUNT") {
        Some(_) => 20 * PATIENCE,
        None => PATIENCE,
    }
}

const PACE: &str =
    "[delivery]\nchat_interval_ms = 5\ngroup_per_minute = 1000\noverall_per_second = 1000\n";

/// Somebody in a chat, and how many messages they wrote there.
struct Sender {
    person: i64,
    chat: i64,
    sent: usize,
}

impl Sender {
    fn new(person: i64, chat: i64) -> Self {
        Self {
            person,
            chat,
            sent: 0,
        }
    }

    fn token(&self, n: usize) -> String {
        format!("{}-{n}", self.person)
    }

    fn send(&mut self, world: &World) {
        let text = format!("say {}", self.token(self.sent));
        self.sent += 1;
        world
            .api
            .user(self.person, "Person")
            .send_text(self.chat, &text);
    }

    /// The numbers of this sender's tokens in a text, in order.
    fn numbers(&self, text: &str) -> Vec<usize> {
        let own = format!("{}-", self.person);
        text.split_whitespace()
            .filter_map(|word| word.strip_prefix(&own)?.parse().ok())
            .collect()
    }

    /// As the chat shows them, in answers that are finished.
    fn answered(&self, world: &World) -> Vec<usize> {
        let finished = |m: &ShownMessage| m.buttons.is_empty();
        let shown = world.api.view(|v| v.bot_messages(self.chat));
        let shown = shown.into_iter().filter(finished);
        shown.flat_map(|m| self.numbers(&m.text)).collect()
    }
}

/// A world for these people.
async fn world(config: Config, features: &str, senders: &[Sender]) -> World {
    let mut world = World::with(config, &format!("{features}{PACE}")).await;
    world.patience = PATIENCE;
    world.write_config(
        &telexd_scripted_agent::binary(),
        "max_processes = 6\nidle_timeout_s = 1\n",
    );
    let people: Vec<String> = senders.iter().map(|s| s.person.to_string()).collect();
    world.drop_in(
        "10-people",
        &format!("[access]\nusers = [{}]\n", people.join(", ")),
    );
    world.api.supergroup(GROUP, "The team", false);
    world
}

/// Waits until everything is answered. The state is large, so it is looked at now and then only.
async fn wait_answered(world: &World, senders: &[Sender]) {
    let until = Instant::now() + patience();
    loop {
        let answered: usize = senders.iter().map(|s| s.answered(world).len()).sum();
        let sent: usize = senders.iter().map(|s| s.sent).sum();
        if answered >= sent {
            return;
        }
        assert!(
            Instant::now() < until,
            "{answered} of {sent} are answered\n{}",
            world.log()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Lets the daemon come to rest, and counts.
async fn count(world: &World, daemon: Daemon, senders: &[Sender]) {
    world.wait_alone(&daemon).await;
    daemon.stop().await;
    let evidence = world.evidence();
    for sender in senders {
        let wanted: Vec<usize> = (0..sender.sent).collect();
        let given: Vec<usize> = evidence
            .of("prompt")
            .flat_map(|line| sender.numbers(line["text"].as_str().unwrap()))
            .collect();
        assert_eq!(given, wanted, "given to agents of {}", sender.person);
        assert_eq!(sender.answered(world), wanted, "shown to {}", sender.person);
    }
    assert_eq!(evidence.violations(), 0);
    assert!(world.processes().is_empty());
    assert_eq!(
        world.query("SELECT count(*) FROM outbox WHERE ambiguous > 0 OR state = 'rejected'"),
        Some(0)
    );
}

/// Time that the daemon has used of the processors so far, in milliseconds.
fn processor_ms(daemon: &Daemon) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    // Of the user and of the system, in hundredths of a second.
    let ticks: u32 = fields[11..13]
        .iter()
        .map(|f| f.parse::<u32>().unwrap())
        .sum();
    f64::from(ticks) * 10.0
}

/// Ten people alone with the bot, and three in a group.
fn crowd() -> Vec<Sender> {
    let mut senders = vec![Sender::new(ADMIN, ADMIN)];
    senders.extend((2_001..2_010).map(|person| Sender::new(person, person)));
    senders.extend((2_011..2_014).map(|person| Sender::new(person, GROUP)));
    senders
}

/// Each message is a prompt. Among them are a few that are older than what is run without asking.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_while_the_daemon_is_down() {
    let now = Clock::System.now_ms();
    let clock = ManualClock::new(now - 20 * MINUTE);
    let config = Config {
        clock: Clock::Manual(clock.clone()),
        ..Config::default()
    };
    let mut senders = crowd();
    senders.push(Sender::new(LATE, LATE));
    let world = world(config, "[features]\nbatching = false\n\n", &senders).await;
    let late = senders.len() - 1;
    for _ in 0..5 {
        senders[late].send(&world);
    }
    clock.advance_ms(20 * MINUTE);
    for n in 0..995 {
        senders[n % late].send(&world);
    }
    let daemon = world.start();
    // What is old is asked about, and run in the order in which somebody says so.
    let asked = world
        .wait_chat(LATE, "all that is old is asked about", |m| m.len() == 5)
        .await;
    for question in asked {
        let data = question.buttons[0][0].data.clone().unwrap();
        let late = world.api.user(LATE, "Person");
        late.press(LATE, question.message_id, &data).unwrap();
        world
            .wait_chat(LATE, "it is run", |m| {
                let shown = m.iter().find(|m| m.message_id == question.message_id);
                shown.is_some_and(|m| m.text.starts_with(&format!("{LATE}-")))
            })
            .await;
    }
    wait_answered(&world, &senders).await;
    count(&world, daemon, &senders).await;
}

/// What comes close together is one prompt, as it is by default: of what was sent in an outage that is all.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_while_the_network_is_cut() {
    let mut senders = crowd();
    let world = world(Config::default(), "", &senders).await;
    let daemon = world.start_ready().await;
    world
        .api
        .wait_for(DEADLINE, |v| v.is_polled())
        .await
        .unwrap();
    world.api.network(Network::Refused).await.unwrap();
    world.wait_log("no updates come in").await;
    let people = senders.len();
    for n in 0..1_000 {
        senders[n % people].send(&world);
    }
    world.api.network(Network::Up).await.unwrap();
    wait_answered(&world, &senders).await;
    count(&world, daemon, &senders).await;
}

/// One person writes without end, as fast as Telegram brings it. `TELEXD_COUNT` messages, fewer in the suite (the environment says how many).
#[tokio::test(flavor = "multi_thread")]
async fn one_person_writes_thousands_of_messages() {
    let many: u32 = std::env::var("TELEXD_COUNT").map_or(300, |n| n.parse().unwrap());
    let features = std::env::var("TELEXD_COUNT_FEATURES").unwrap_or_else(|_| {
        "[messages]\nper_minute = 0\n\n[features]\nbatching = false\n\n".to_owned()
    });
    let mut senders = vec![Sender::new(2_001, 2_001), Sender::new(ADMIN, ADMIN)];
    let world = world(Config::default(), &features, &senders).await;
    let daemon = world.start_ready().await;
    let begun = Instant::now();
    for _ in 0..many {
        senders[0].send(&world);
    }
    let told = Instant::now();
    // Somebody else is answered meanwhile as if nothing were.
    senders[1].send(&world);
    let sql = format!("SELECT count(*) >= {many} + 1 FROM inbox WHERE done_at IS NOT NULL");
    let until = Instant::now() + patience();
    let mut other = None;
    let mut taken = None;
    while taken.is_none() || other.is_none() {
        assert!(Instant::now() < until, "not taken in: {}", world.log());
        if taken.is_none() && world.query(&sql) == Some(1) {
            taken = Some(told.elapsed());
        }
        if other.is_none() && senders[1].answered(&world).len() == 1 {
            other = Some(told.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    wait_answered(&world, &senders).await;
    println!(
        "{many} messages: taken in after {taken:?}, somebody else answered after {other:?}, all answered after {:?}, \
         {:.2} ms of a processor's time for each",
        begun.elapsed(),
        processor_ms(&daemon) / f64::from(many)
    );
    // Nobody counts that far, and nothing is sent to have somebody's count right.
    let far = "In line, behind more than 20 others.";
    let shown = world.api.view(|v| v.bot_messages(2_001));
    let history = |m: &ShownMessage| m.history.iter().any(|version| version.text == far);
    assert!(shown.iter().any(history), "{:#?}", texts(&shown));
    count(&world, daemon, &senders).await;
}
