//! The daemon is killed at every named point and at random moments, under a stream of messages; then it is counted.
//!
//! What may not happen: a message without its answer, a prompt given twice, an answer shown twice without a mark, a
//! process left behind, two live processes on one session. What may happen and is counted: a message that was on its
//! way to Telegram when the daemon died is sent again with a mark, because nobody can know whether it arrived.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use telexd::failpoints::{BUSY, POINTS};
use telexd_botapi::{Config, ShownMessage};

use crate::support::{
    ADMIN, DEADLINE, Daemon, MARK, USER, World, breathe, fast, shows, wait_until,
};

/// What one stream of messages came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    kills: usize,
    messages: usize,
    prompts_lost: usize,
    prompts_doubled: usize,
    answers_lost: usize,
    answers_doubled: usize,
    out_of_order: usize,
    marked: usize,
    placeholders_left: usize,
    // Placeholders that were on their way when the daemon died and are not wanted any more: nobody knows which they are.
    withdrawn: usize,
    sessions_shared: usize,
    processes_left: usize,
}

impl Tally {
    fn header() -> &'static str {
        "| where killed | kills | messages | prompts lost | doubled | answers lost | doubled | out of order | marked as possible repeats | sessions shared | processes left |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    }

    fn row(&self, name: &str) -> String {
        format!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.kills,
            self.messages,
            self.prompts_lost,
            self.prompts_doubled,
            self.answers_lost,
            self.answers_doubled,
            self.out_of_order,
            self.marked,
            self.sessions_shared,
            self.processes_left
        )
    }

    /// Everything that the design does not name as ambiguous is zero.
    fn clean(&self) -> bool {
        let zero = [
            self.prompts_lost,
            self.prompts_doubled,
            self.answers_lost,
            self.answers_doubled,
            self.out_of_order,
            self.sessions_shared,
            self.processes_left,
        ];
        zero.iter().all(|n| *n == 0) && self.placeholders_left <= self.marked + self.withdrawn
    }
}

/// A prompt that makes the agent ask for permission; its answer is its first line and `: allowed`.
fn question(n: usize, chat: i64) -> String {
    let name = format!("question {n} of {chat}");
    format!(
        "{name}\n@fake [{{\"tool\":\"Bash\",\"input\":{{\"command\":\"touch {n}\"}}}},{{\"text\":\"{name}: {{outcome}}\"}}]"
    )
}

/// Messages sent and buttons pressed so far.
struct Stream {
    world: World,
    sent: Vec<(i64, String)>,
    pressed: BTreeSet<(i64, i64)>,
}

impl Stream {
    async fn new() -> Self {
        // One of the two people sees drafts, the other messages that grow.
        let both = format!("batching = false\ndrafts = [{USER}]");
        let settings = fast(&both);
        let world = World::with(Config::default(), &settings).await;
        world.write_config(&telexd_scripted_agent::binary(), "idle_timeout_s = 1\n");
        Self {
            world,
            sent: Vec::new(),
            pressed: BTreeSet::new(),
        }
    }

    fn send(&mut self, chat: i64, directive: impl FnOnce(usize) -> String) {
        let text = directive(self.sent.len());
        self.world.api.user(chat, "Person").send_text(chat, &text);
        self.sent.push((chat, text));
    }

    /// Allows whatever is asked, once per question, as a person would.
    fn press_questions(&mut self) {
        for chat in [USER, ADMIN] {
            for message in self.world.api.view(|v| v.bot_messages(chat)) {
                let asks = message.text.starts_with("May the agent use")
                    || message.text.contains("\nMay the agent use");
                if asks
                    && !message.buttons.is_empty()
                    && self.pressed.insert((chat, message.message_id))
                {
                    let data = message.buttons[0][0].data.clone().unwrap();
                    self.world.api.user(chat, "Person").press_stale(
                        chat,
                        message.message_id,
                        &data,
                    );
                }
            }
        }
    }

    /// What the agent answers to a directive of this stream.
    fn expected(text: &str) -> String {
        match text.strip_prefix("say ") {
            Some(words) => words.to_owned(),
            None => format!("{}: allowed", text.lines().next().unwrap()),
        }
    }

    fn answers_of(messages: &[ShownMessage], expected: &str) -> Vec<ShownMessage> {
        messages
            .iter()
            .filter(|m| !m.deleted && m.buttons.is_empty())
            .filter(|m| {
                m.text
                    .strip_prefix(MARK)
                    .map_or(m.text.as_str(), str::trim_start)
                    .ends_with(expected)
            })
            .cloned()
            .collect()
    }

    fn all_answered(&self) -> bool {
        let mut wanted: BTreeMap<(i64, String), usize> = BTreeMap::new();
        for (chat, text) in &self.sent {
            *wanted.entry((*chat, Self::expected(text))).or_default() += 1;
        }
        let shown: BTreeMap<i64, Vec<ShownMessage>> = [USER, ADMIN]
            .into_iter()
            .map(|chat| (chat, self.world.api.view(|v| v.bot_messages(chat))))
            .collect();
        wanted
            .iter()
            .all(|((chat, text), n)| Self::answers_of(&shown[chat], text).len() >= *n)
    }

    /// Waits until the daemon has died or everything is answered.
    async fn until_dead_or_done(&mut self, daemon: &mut Daemon) -> bool {
        let until = std::time::Instant::now() + DEADLINE;
        loop {
            if daemon.ended().is_some() {
                return true;
            }
            if self.all_answered() {
                return false;
            }
            self.press_questions();
            assert!(
                std::time::Instant::now() < until,
                "neither dead nor done; {:#?}; the daemon says:\n{}",
                crate::support::texts(&self.world.api.messages(USER)),
                self.world.log()
            );
            breathe().await;
        }
    }

    /// Lets a daemon that is not killed any more finish, and counts.
    async fn finish(mut self, kills: usize) -> Tally {
        let mut daemon = self.world.start();
        let dead = self.until_dead_or_done(&mut daemon).await;
        assert!(!dead, "the daemon died by itself:\n{}", self.world.log());
        let pid = daemon.pid();
        // Idle agents are ended by the daemon; whatever is left then is a leftover.
        wait_until(
            "agents that have nothing to do are gone",
            || self.world.processes().iter().all(|(p, _)| *p == pid),
            || format!("{:#?}\n{}", self.world.processes(), self.world.log()),
        )
        .await;
        daemon.stop().await;
        let tally = self.count(kills);
        assert!(
            tally.clean(),
            "{tally:#?}\nreached: {:#?}\nUSER {:#?}\nADMIN {:#?}\nthe daemon says:\n{}",
            self.world.evidence().reached(),
            crate::support::texts(&self.world.api.view(|v| v.bot_messages(USER))),
            crate::support::texts(&self.world.api.view(|v| v.bot_messages(ADMIN))),
            self.world.log()
        );
        tally
    }

    fn count(&self, kills: usize) -> Tally {
        let evidence = self.world.evidence();
        let mut tally = Tally {
            kills,
            messages: self.sent.len(),
            ..Tally::default()
        };
        let mut given: BTreeMap<String, usize> = BTreeMap::new();
        for reached in evidence.reached() {
            *given.entry(reached.text).or_default() += usize::try_from(reached.times).unwrap();
        }
        let mut sent: BTreeMap<String, usize> = BTreeMap::new();
        for (_, text) in &self.sent {
            *sent.entry(text.clone()).or_default() += 1;
        }
        for (text, n) in &sent {
            let got = given.get(text).copied().unwrap_or(0);
            tally.prompts_lost += n.saturating_sub(got);
            tally.prompts_doubled += got.saturating_sub(*n);
        }
        for chat in [USER, ADMIN] {
            let messages = self.world.api.view(|v| v.bot_messages(chat));
            tally.marked += messages.iter().filter(|m| m.text.contains(MARK)).count();
            tally.placeholders_left += messages
                .iter()
                .filter(|m| !m.deleted && (m.text == "…" || m.text.starts_with("In line")))
                .count();
            let mut last = 0;
            let mut seen = BTreeMap::new();
            for (_, text) in self.sent.iter().filter(|(c, _)| *c == chat) {
                let expected = Self::expected(text);
                let answers = Self::answers_of(&messages, &expected);
                let due = sent[text];
                let unmarked = answers.iter().filter(|m| !m.text.contains(MARK)).count();
                if answers.len() < due {
                    tally.answers_lost += 1;
                }
                tally.answers_doubled += unmarked.saturating_sub(due);
                // Answers stand in the order of the questions; equal texts are told apart by their number.
                let nth: &mut usize = seen.entry(expected).or_default();
                if let Some(answer) = answers.get(*nth).filter(|m| !m.text.contains(MARK)) {
                    if answer.message_id < last {
                        tally.out_of_order += 1;
                    }
                    last = answer.message_id;
                }
                *nth += 1;
            }
        }
        let withdrawn = "SELECT count(*) FROM outbox WHERE kind = 'gone' AND ambiguous > 0 AND message_id IS NULL";
        tally.withdrawn = usize::try_from(self.world.query(withdrawn).unwrap()).unwrap();
        tally.sessions_shared = evidence.violations();
        tally.processes_left = self.world.processes().len();
        tally
    }
}

/// The usual case of a prompt: its agent waits, and one commit both enters it and records it as given.
#[tokio::test]
async fn killed_between_that_commit_and_the_agents_input() {
    let world = World::new().await;
    // Comes by with the first message, with the command and with the second message.
    let mut daemon = world.start_with(&[("TELEXD_KILL_AT", "intake-after-commit:3")]);
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "say warm");
    world
        .wait_chat(USER, "the agent is warm", |m| shows(m, "warm"))
        .await;
    // When this is answered, the lane has long seen that nothing else is to be done.
    user.send_text(USER, "/status");
    world
        .wait_chat(USER, "the command is answered", |m| m.len() > 1)
        .await;
    user.send_text(USER, "say later");
    daemon.wait().await;

    let database = rusqlite::Connection::open(world.path("state/telexd.db")).unwrap();
    let (state, run): (String, String) = database
        .query_row(
            "SELECT state, run FROM turns ORDER BY id DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    drop(database);
    assert_eq!(state, "submitted");
    let input = world.path(&format!("state/runs/{run}/input.jsonl"));
    let input = std::fs::read_to_string(input).unwrap();
    assert!(!input.contains("say later"), "{input}");

    let daemon = world.start();
    world
        .wait_chat(USER, "the answer is there", |m| shows(m, "later"))
        .await;
    let times: Vec<_> = world.evidence().reached().iter().map(|r| r.times).collect();
    assert_eq!(times, [1, 1]);
    daemon.stop().await;
    world.end_all().await;
}

/// A message comes while the agent works, and the daemon is killed on its way to the agent, or before or after it has committed
/// what the agent makes of it. It is answered once, whatever it was to do about the answer that was being written.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_a_newer_message_makes_its_way() {
    let points = [
        ("newer-interrupts", 1),
        ("beside-committed", 1),
        ("beside-written", 1),
        ("intake-accepted", 1),
        ("runner-append-before", 3),
        ("runner-append-torn", 3),
        ("runner-append-after", 3),
        ("codec-before-commit", 6),
        ("codec-after-commit", 6),
        ("store-before-commit", 6),
        ("store-after-commit", 6),
    ];
    assert!(
        BUSY.iter()
            .all(|busy| points.iter().any(|(p, _)| p == busy))
    );
    // A point that is not come by any more kills nothing, and all is well then.
    let mut killed_at = BTreeSet::new();
    for (mode, least, own) in [
        ("interrupt", 20, &["newer-interrupts"][..]),
        ("steer", 20, &["beside-committed", "beside-written"]),
    ] {
        let (mut kills, mut killed_here) = (0, BTreeSet::new());
        for (point, times) in points {
            for nth in 1..=times {
                if killed_with_a_newer_message(mode, point, nth).await {
                    kills += 1;
                    killed_here.insert(point);
                }
            }
        }
        println!("{mode}: {kills} kills at {killed_here:?}");
        assert!(
            own.iter().all(|point| killed_here.contains(point)),
            "{mode}: of its own points only {killed_here:?} were come by"
        );
        killed_at.append(&mut killed_here);
        assert!(
            kills >= least,
            "{mode}: the points were come by {kills} times"
        );
    }
    assert_eq!(killed_at, points.map(|(point, _)| point).into());
}

fn asks(message: &ShownMessage) -> bool {
    message.text.starts_with("May the agent use") && !message.buttons.is_empty()
}

/// Waits until the daemon is dead or everything is answered; allows what is asked, once the newer message is with the agent.
/// Whether it is dead.
async fn dead_or_answered(world: &World, daemon: &mut Daemon) -> bool {
    let user = world.api.user(USER, "Uma");
    let mut pressed = false;
    let over = || {
        let shown = world.api.view(|v| v.bot_messages(USER));
        if let Some(question) = shown.iter().find(|m| asks(m))
            && !pressed
            && world.reached("say newer") > 0
        {
            let data = question.buttons[0][0].data.clone().unwrap();
            user.press_stale(USER, question.message_id, &data);
            pressed = true;
        }
        let none = |sql| world.query(sql) == Some(0);
        let answered = || {
            world.query("SELECT count(*) FROM turns WHERE ended_at IS NOT NULL") == Some(2)
                && none("SELECT count(*) FROM turns WHERE ended_at IS NULL")
                && none("SELECT count(*) FROM outbox WHERE done_at IS NULL")
        };
        daemon.ended().is_some() || answered()
    };
    let shown = || crate::support::texts(&world.api.view(|v| v.bot_messages(USER)));
    let told = || format!("{:#?}\n{}", shown(), world.log());
    wait_until("it is dead, or all is answered", over, told).await;
    daemon.ended().is_some()
}

/// Whether the daemon was killed there.
async fn killed_with_a_newer_message(mode: &str, point: &str, nth: usize) -> bool {
    let world = World::new().await;
    world.drop_in("busy", &format!("[queue]\nmode = \"{mode}\"\n"));
    // The agent works, and another life of the daemon is there when the newer message comes.
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "ask");
    world
        .wait_chat(USER, "it asks", |m| m.iter().any(asks))
        .await;
    daemon.stop().await;
    let mut daemon = world.start_with(&[("TELEXD_KILL_AT", &format!("{point}:{nth}"))]);
    user.send_text(USER, "say newer");
    let killed = dead_or_answered(&world, &mut daemon).await;
    drop(daemon);

    let mut daemon = world.start_ready().await;
    let dead = dead_or_answered(&world, &mut daemon).await;
    let case = format!("{mode} {point}:{nth}");
    assert!(!dead, "{case}: it died by itself");
    let reached = world.evidence().reached();
    for text in ["ask", "say newer"] {
        let of = reached.iter().filter(|r| r.text == text);
        let begun: u32 = of.map(|r| r.begun).sum();
        assert_eq!(begun, 1, "{case}: {text} {reached:#?}\n{}", world.log());
    }
    let shown = world.api.view(|v| v.bot_messages(USER));
    let there = || shown.iter().filter(|m| !m.deleted);
    let marked = there().filter(|m| m.text.contains(MARK)).count();
    let is_answer = |m: &&ShownMessage| m.text.trim_end().ends_with("newer") && !asks(m);
    let answers = there().filter(is_answer).count();
    assert!(
        (1..=1 + marked).contains(&answers),
        "{case} {shown:#?}\n{}",
        world.log()
    );
    let waits = [
        "In line",
        "The agent gets this now",
        "The running answer is being stopped",
    ];
    let left = |m: &&ShownMessage| waits.iter().any(|begin| m.text.starts_with(begin));
    assert!(there().filter(left).count() <= marked, "{case} {shown:#?}");
    assert_eq!(world.evidence().violations(), 0);
    daemon.stop().await;
    world.end_all().await;
    killed
}

/// Each named point, the first and the third time that the daemon comes by.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_named_point() {
    let mut rows = Vec::new();
    for point in POINTS {
        let mut total = Tally::default();
        for nth in [1, 3] {
            let mut stream = Stream::new().await;
            for chat in [USER, ADMIN] {
                stream.send(chat, |n| format!("say first {n} of {chat}"));
                stream.send(chat, |n| question(n, chat));
                stream.send(chat, |n| format!("say third {n} of {chat}"));
            }
            let mut daemon = stream
                .world
                .start_with(&[("TELEXD_KILL_AT", &format!("{point}:{nth}"))]);
            let mut rounds = 0;
            while !stream.until_dead_or_done(&mut daemon).await {
                rounds += 1;
                assert!(rounds < 10, "{point} was not reached {nth} times");
                // A new session needs a new process, so that launching is come by again as well.
                stream
                    .world
                    .api
                    .user(USER, "Person")
                    .send_text(USER, "/clear");
                stream.send(USER, |n| question(n, USER));
            }
            drop(daemon);
            let tally = stream.finish(1).await;
            total.kills += tally.kills;
            total.messages += tally.messages;
            total.marked += tally.marked;
        }
        rows.push(total.row(&format!("`{point}`")));
    }
    println!("{}\n{}", Tally::header(), rows.join("\n"));
}

/// Two hundred kills at random moments of a life, from before the first instruction to well into the work.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments() {
    let seed: u64 = std::env::var("TELEXD_CRASH_SEED").map_or_else(
        |_| uuid::Uuid::new_v4().as_u64_pair().0,
        |seed| seed.parse().unwrap(),
    );
    println!("TELEXD_CRASH_SEED={seed}");
    let mut dice = Dice(seed | 1);
    let mut stream = Stream::new().await;
    let mut kills = 0;
    while kills < 200 {
        for chat in [USER, ADMIN] {
            match dice.below(6) {
                0 => stream.send(chat, |n| format!("say number {n} of {chat}")),
                1 => stream.send(chat, |n| question(n, chat)),
                _ => {}
            }
        }
        let mut daemon = stream.world.start();
        // The moment of the kill is what is random here; nothing is waited for by it.
        let moment = tokio::time::Instant::now() + Duration::from_micros(dice.below(350_000));
        while tokio::time::Instant::now() < moment && daemon.ended().is_none() {
            stream.press_questions();
            tokio::time::sleep_until(
                moment.min(tokio::time::Instant::now() + Duration::from_millis(10)),
            )
            .await;
        }
        assert!(
            daemon.ended().is_none(),
            "the daemon died by itself:\n{}",
            stream.world.log()
        );
        daemon.kill();
        kills += 1;
    }
    let tally = stream.finish(kills).await;
    println!("{}\n{}", Tally::header(), tally.row("at random moments"));
}

/// xorshift64*: a test that failed is repeated with its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % n
    }
}
