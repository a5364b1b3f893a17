//! What administrators are told without having asked: each of it begins and ends, and is told once and once when it is
//! over, whatever is killed in between.
//!
//! Alerts have a clock of their own here ([`Place::hurry`]), on which a minute passes in moments; all else has the real one.

use std::{
    cell::Cell,
    fs,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use telexd_botapi::{FaultKind, ShownMessage};

use crate::{
    bad::disk::{Disk, inside_namespace},
    manager::Manager,
    rig::everything,
    support::{ADMIN, Daemon, MARK, USER, World, breathe, texts, wait_until, wait_within},
    units::fake::{Systemd, wait_units},
};

/// For what comes after a minute by the real clock.
const LONGEST: Duration = Duration::from_secs(120);
/// Alerts that crashes bring: off where a test kills the daemon for another reason.
const NO_CRASHES: &str = "[alerts]\noff = [\"crash\", \"crash_loop\"]\n";
/// What the administrator makes the agent say, which is no alert.
const HELLO: &str = "hello";
/// One agent at a time, and no prompt may wait for it.
const ONE_AGENT: &str = "[health]\nqueue_s = 1\n[agent]\nmax_processes = 1\n";
/// For a small disk.
const LOW: &str = "[health]\ndisk_free_mb = 40\n";

/// A world in which the daemon looks often, and whose clock of alerts can be set ahead.
struct Place {
    /// Before the world: it goes before the directory below it is removed.
    disk: Option<Disk>,
    world: World,
    manager: Manager,
    ahead: Cell<i64>,
}

impl Place {
    /// A world with these settings. Nothing runs yet.
    async fn new(settings: &[&str]) -> Self {
        let world = World::new().await;
        // A poll of an earlier life may last so long.
        world.drop_in("20-poll", "[telegram]\npoll_timeout_s = 1\n");
        for (n, text) in settings.iter().enumerate() {
            world.drop_in(&format!("{}-of-the-test", 40 + n), text);
        }
        let place = Self {
            disk: None,
            manager: Manager::listen(&world),
            world,
            ahead: Cell::new(0),
        };
        place.set_ahead(0);
        place
    }

    /// Its state lies on a small disk.
    fn on_a_disk(mut self) -> Self {
        let state = self.world.path("state");
        self.disk = Some(Disk::mount(&state, "size=64m,mode=700"));
        self
    }

    fn disk(&self) -> &Disk {
        self.disk.as_ref().unwrap()
    }

    /// As most of these tests begin: the daemon runs, and the administrator has a chat with it.
    async fn greeted(settings: &[&str]) -> (Self, Daemon) {
        let mut place = Self::new(settings).await;
        let daemon = place.greet().await;
        (place, daemon)
    }

    /// Starts the daemon and has the administrator talk with it: from then on there is a chat.
    async fn greet(&mut self) -> Daemon {
        let daemon = self.start_ready(&[]).await;
        self.world.says(ADMIN, HELLO).await;
        daemon
    }

    fn start(&mut self, more: &[(&str, &str)]) -> Daemon {
        // What nobody reads would hold up the start.
        self.manager.forget();
        let ahead = self.world.path("ahead");
        let mut env = vec![
            ("NOTIFY_SOCKET", self.manager.address()),
            // It looks ten times as often.
            ("WATCHDOG_USEC", "4000000"),
            ("TELEXD_ALERTS_AHEAD", ahead.to_str().unwrap()),
        ];
        env.extend(more);
        self.world.start_with(&env)
    }

    async fn start_ready(&mut self, more: &[(&str, &str)]) -> Daemon {
        let before = self.world.log().len();
        let daemon = self.start(more);
        let ready = || self.world.log()[before..].contains(" ready ");
        wait_until("it is ready", ready, || self.world.log()).await;
        daemon
    }

    fn set_ahead(&self, ahead: i64) {
        self.ahead.set(ahead);
        let (new, path) = (self.world.path("ahead.new"), self.world.path("ahead"));
        fs::write(&new, ahead.to_string()).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// Lets the time of alerts pass, about `speed` times as fast as the real one, until a condition is met. It passes by
    /// looks and not by the real clock: while the machine does nothing, no night goes by.
    async fn hurry(&mut self, what: &str, speed: i64, mut met: impl FnMut(&World) -> bool) {
        let until = Instant::now() + LONGEST;
        while !met(&self.world) {
            assert!(
                Instant::now() < until,
                "waited in vain until {what}; the administrator was told {:#?}\n{}",
                self.told(""),
                self.world.log()
            );
            self.manager.forget();
            breathe().await;
            // As long as a breath lasts.
            self.set_ahead(self.ahead.get() + 10 * speed);
        }
    }

    /// Until the administrator was told this; a minute passes in a second.
    async fn until_told(&mut self, part: &str) {
        self.hurry(part, 60, |world| count(world, ADMIN, part) > 0)
            .await;
    }

    /// Until the administrator was told this; ten minutes pass in two seconds.
    async fn until_over(&mut self, part: &str) {
        self.hurry(part, 300, |world| count(world, ADMIN, part) > 0)
            .await;
    }

    /// What the administrator was told that contains this.
    fn told(&self, part: &str) -> Vec<String> {
        let mut told = texts(&messages(&self.world, ADMIN));
        told.retain(|text| text.contains(part) && !text.starts_with(HELLO));
        told
    }

    /// Kills it when nothing is on the wire that it could not know the fate of.
    async fn kill(&self, daemon: Daemon) {
        let sql = "SELECT count(*) FROM outbox WHERE done_at IS NULL AND state = 'sending'";
        let open = "SELECT count(*) FROM outbox WHERE done_at IS NULL AND chat_id = 1001";
        let idle = || self.world.query(sql) == Some(0) && self.world.query(open) == Some(0);
        wait_until("nothing is on the wire", idle, || self.world.log()).await;
        daemon.kill();
    }

    /// A crash, and the life after it, which has recorded that: killed before, it would leave one crash where there were two.
    async fn crash(&mut self, daemon: Daemon) -> Daemon {
        self.kill(daemon).await;
        let known = "telexd ended unexpectedly before this start";
        let before = self.world.logged(known);
        let daemon = self.start_ready(&[]).await;
        let recorded = || self.world.logged(known) > before;
        wait_until("the crash is recorded", recorded, || self.world.log()).await;
        daemon
    }

    /// The administrator was told this so many times.
    #[track_caller]
    fn was_told(&self, part: &str, times: usize) {
        let told = self.told("");
        let of_it = told.iter().filter(|text| text.contains(part)).count();
        assert_eq!(of_it, times, "{part:?}: {told:#?}");
    }

    async fn end(self, daemon: Daemon) {
        daemon.stop().await;
        self.world.end_all().await;
    }
}

fn messages(world: &World, chat: i64) -> Vec<ShownMessage> {
    world.api.view(|v| v.bot_messages(chat))
}

fn count(world: &World, chat: i64, part: &str) -> usize {
    let told = texts(&messages(world, chat));
    told.iter().filter(|text| text.contains(part)).count()
}

fn say(world: &World, person: i64, text: &str) {
    world.api.user(person, "Person").send_text(person, text);
}

/// Whether a trouble is recorded as one that lasts.
fn is_open(world: &World, alert: &str) -> bool {
    let sql = format!(
        "SELECT count(*) FROM settings WHERE key = 'alerts' AND value ->> '$.open.{alert}.since' > 0"
    );
    world.query(&sql) == Some(1)
}

#[tokio::test]
async fn a_crash_and_a_loop_of_them() {
    let (mut place, daemon) = Place::greeted(&[]).await;
    let daemon = place.crash(daemon).await;
    place
        .world
        .wait_told(ADMIN, "restarted after a crash")
        .await;
    place.until_over("Over: I have not crashed again").await;
    // Told anew, for it was over.
    let daemon = place.crash(daemon).await;
    let again = |world: &World| count(world, ADMIN, "restarted after a crash") == 2;
    place.hurry("it is told again", 1, again).await;
    let daemon = place.crash(daemon).await;
    place
        .world
        .wait_told(ADMIN, "I keep crashing: 3 crashes")
        .await;
    let daemon = place.crash(daemon).await;
    place.until_over("Over: I have run for half an hour").await;
    place.was_told("I keep crashing", 1);
    place.was_told("restarted after a crash", 2);
    place.was_told("Over:", 2);
    // Nobody who does not wait for an answer is told.
    assert_eq!(messages(&place.world, USER).len(), 0);
    place.end(daemon).await;
}

#[tokio::test]
async fn an_end_by_the_watchdog_is_told_as_such() {
    for (part, named) in [
        ("store-frozen:8", "the database"),
        ("runtime-frozen:12", "the runtime"),
    ] {
        let (mut place, daemon) = Place::greeted(&[]).await;
        daemon.stop().await;
        let daemon = place.start_ready(&[("TELEXD_FREEZE_AT", part)]).await;
        let mark = place.world.path("state/watchdog.json");
        let left = || mark.exists();
        wait_within(LONGEST, "it leaves a mark", left, || place.world.log()).await;
        // As systemd does then.
        daemon.signal(Signal::SIGABRT);
        drop(daemon);
        let daemon = place.start_ready(&[]).await;
        let told = place.world.wait_told(ADMIN, "I stood still").await;
        let told = told
            .iter()
            .any(|m| m.text.contains("I stood still") && m.text.contains(named));
        assert!(told, "{:#?}", place.told(""));
        let gone = || !mark.exists();
        wait_until("the mark goes", gone, || place.world.log()).await;
        place.until_over("Over: I have not stood still again").await;
        place.was_told("", 2);
        // The next crash is none of the watchdog's.
        let daemon = place.crash(daemon).await;
        place
            .world
            .wait_told(ADMIN, "restarted after a crash")
            .await;
        place.end(daemon).await;
    }
}

#[tokio::test]
async fn a_second_poller() {
    let (mut place, daemon) = Place::greeted(&[]).await;
    let api = &place.world.api;
    let address = format!("{}/bot{}/getUpdates", api.url(), api.token());
    let rival = tokio::spawn(async move {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        loop {
            let poll = http.post(&address);
            let _ = poll.json(&serde_json::json!({"timeout": 50})).send().await;
            tokio::task::yield_now().await;
        }
    });
    place
        .until_told("another program has been polling with this bot's token")
        .await;
    rival.abort();
    assert!(rival.await.unwrap_err().is_cancelled());
    // The poll loop itself takes it for over after a minute without one.
    place
        .hurry("it is over", 60, |world| {
            count(world, ADMIN, "Over: no other program polls") > 0
        })
        .await;
    place.was_told("polling with this bot's token", 1);
    place.was_told("Over:", 1);
    place.end(daemon).await;
}

#[tokio::test]
async fn a_refused_token_is_told_when_it_is_over_whatever_was_killed_meanwhile() {
    let (mut place, daemon) = Place::greeted(&[NO_CRASHES]).await;
    daemon.stop().await;
    let refused = everything(FaultKind::refused(401, "Unauthorized"));
    let fault = place.world.api.fault(refused);
    for _ in 0..2 {
        let before = place
            .world
            .logged("Telegram does not accept the bot's token");
        let daemon = place.start(&[]);
        let told = |world: &World| {
            let now = world.logged("Telegram does not accept the bot's token");
            now > before && is_open(world, "unauthorized")
        };
        // Into the journal it comes at once.
        place.hurry("it is logged and recorded", 60, told).await;
        place.kill(daemon).await;
    }
    place.world.api.cancel_fault(fault);
    let daemon = place.start(&[]);
    place
        .world
        .wait_told(ADMIN, "Telegram did not accept the bot's token")
        .await;
    place.world.says(ADMIN, "hello again").await;
    place.was_told("token", 1);
    place.end(daemon).await;
}

#[tokio::test]
async fn a_disk_with_little_room() {
    if !inside_namespace("alerts::a_disk_with_little_room") {
        return;
    }
    let mut place = Place::new(&[LOW]).await.on_a_disk();
    let daemon = place.greet().await;
    place.disk().take(40 << 20);
    place
        .until_told("There has been little room on the server's disk")
        .await;
    let told = place.told("There has been little room").remove(0);
    assert!(told.contains("MB left, the limit is 40 MB"), "{told}");
    assert!(told.contains("Free some space"), "{told}");
    place.disk().free();
    place
        .until_over("Over: there is room on the server's disk again")
        .await;
    place.was_told("disk", 2);
    place.end(daemon).await;
}

#[tokio::test]
async fn what_was_decided_is_told_once_whatever_is_killed_before_it_is_sent() {
    if !inside_namespace(
        "alerts::what_was_decided_is_told_once_whatever_is_killed_before_it_is_sent",
    ) {
        return;
    }
    for point in [
        "alerts-before-commit",
        "alerts-committed",
        "outbox-claimed",
        "outbox-wire-done",
    ] {
        let mut place = Place::new(&[LOW, NO_CRASHES]).await.on_a_disk();
        let at = format!("{point}:1");
        place.greet().await.stop().await;
        for (little, part) in [
            (true, "There has been little room"),
            (false, "Over: there is room"),
        ] {
            if little {
                place.disk().take(40 << 20);
            } else {
                place.disk().free();
            }
            let mut daemon = place.start_ready(&[("TELEXD_KILL_AT", &at)]).await;
            place.hurry(&at, 300, |_| daemon.ended().is_some()).await;
            drop(daemon);
            let daemon = place.start_ready(&[]).await;
            place.until_over(part).await;
            // Whatever else would come, comes before that.
            let word = format!("{HELLO} {little}");
            place.world.says(ADMIN, &word).await;
            daemon.stop().await;
            let told = place.told(part);
            let plain = told.iter().filter(|text| !text.contains(MARK)).count();
            assert!(plain <= 1 && told.len() <= 2, "{at}: {told:#?}");
            // Where it is not known whether it arrived, it is repeated, and says so.
            let repeated = told.len() - plain;
            assert_eq!(
                repeated,
                usize::from(point.starts_with("outbox")),
                "{at}: {told:#?}"
            );
            assert_eq!(
                plain,
                usize::from(point != "outbox-claimed"),
                "{at}: {told:#?}"
            );
        }
        place.world.end_all().await;
    }
}

#[tokio::test]
async fn a_slow_database() {
    let mut place = Place::new(&["[health]\nwrite_ms = 150\n"]).await;
    // It takes so long for a thing that other things would be late.
    let daemon = place
        .start_ready(&[("TELEXD_STALL_AT", "store-commit:200")])
        .await;
    let mut asked = 0;
    say(&place.world, ADMIN, "/status");
    place
        .hurry("it is told", 20, |world| {
            // Each is answered after some writes.
            if messages(world, ADMIN).len() > asked {
                asked = messages(world, ADMIN).len();
                say(world, ADMIN, "/status");
            }
            count(world, ADMIN, "The database has been slow") > 0
        })
        .await;
    let told = place.told("The database has been slow").remove(0);
    assert!(told.contains("the limit is 150 ms"), "{told}");
    daemon.stop().await;
    let daemon = place.start_ready(&[]).await;
    place.world.says(ADMIN, "hello again").await;
    place.until_over("Over: the database is quick again").await;
    place.was_told("atabase", 2);
    place.end(daemon).await;
}

#[tokio::test]
async fn a_prompt_that_waits_long() {
    let mut place = Place::new(&[ONE_AGENT]).await;
    let daemon = place.start_ready(&[]).await;
    say(&place.world, USER, "slow 100 x2000");
    place.world.wait_told(USER, "piece 00001").await;
    say(&place.world, ADMIN, "say hello");
    place
        .until_told("A message has been waiting for an agent")
        .await;
    let told = place.told("A message has been waiting").remove(0);
    assert!(told.contains("longer than 1 s"), "{told}");
    say(&place.world, USER, "/interrupt");
    place.world.wait_shows(ADMIN, HELLO).await;
    place.until_over("Over: no message waits too long").await;
    place.was_told("waiting for an agent", 1);
    place.was_told("Over:", 1);
    place.end(daemon).await;
}

#[tokio::test]
async fn agents_that_run_out_of_memory_again_and_again() {
    let mut place = Place::new(&["[agent]\nlauncher = \"systemd\"\n"]).await;
    let world = &place.world;
    let systemd = Systemd::start(world).await;
    let credentials = world.path("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::copy(world.path("agent.env"), credentials.join("agent-env")).unwrap();
    fs::remove_file(world.path("agent.env")).unwrap();
    systemd.credentials(&credentials);
    let address = systemd.address();
    let bus = [("DBUS_SYSTEM_BUS_ADDRESS", address.as_str())];
    let daemon = place.start_ready(&bus).await;
    say(&place.world, ADMIN, "/start");
    place
        .hurry("there is a chat", 1, |world| {
            !messages(world, ADMIN).is_empty()
        })
        .await;
    for n in 1..=3 {
        place.was_told("run out of memory", 0);
        say(&place.world, USER, "slow 100 x2000");
        wait_units(&systemd, "an agent runs", |s| s.running().len() == 1).await;
        let answers = |world: &World| {
            let shown = messages(world, USER);
            shown
                .iter()
                .filter(|m| m.text.contains("piece 00001"))
                .count()
                >= n
        };
        place.hurry("it has begun to answer", 1, answers).await;
        systemd.out_of_memory(&systemd.running().remove(0), 64 << 20);
        wait_units(&systemd, "it is gone", |s| s.running().is_empty()).await;
    }
    place
        .until_told("Agents run out of memory: 3 agents within an hour, more than 2")
        .await;
    daemon.stop().await;
    // An hour later.
    place
        .world
        .change("UPDATE runs SET ended_at = ended_at - 3600000");
    let daemon = place.start_ready(&bus).await;
    place
        .until_over("Over: agents do not run out of memory")
        .await;
    place.was_told("out of memory", 2);
    place.end(daemon).await;
}

/// Hours that hold now, by UTC, and for some minutes more.
fn quiet_now(minutes: u64) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        / 60;
    let time = |at: u64| format!("{:02}:{:02}", at / 60 % 24, at % 60);
    let (from, to) = (time(now - 30), time(now + minutes));
    format!("[alerts]\nquiet = \"{from}-{to}\"\ntime_zone = \"UTC\"\n")
}

#[tokio::test]
async fn at_night_only_what_is_urgent_and_the_rest_in_one_message_in_the_morning() {
    let (mut place, daemon) = Place::greeted(&[ONE_AGENT, &quiet_now(120)]).await;
    say(&place.world, USER, "slow 100 x4000");
    place.world.wait_told(USER, "piece 00001").await;
    // What comes after it is in line for as long.
    let daemon = place.crash(daemon).await;
    say(&place.world, USER, "say later");
    place
        .hurry("both are recorded", 60, |world| {
            is_open(world, "crash") && is_open(world, "queue")
        })
        .await;
    // The crash is over, the other goes on.
    place
        .hurry("one is over", 300, |world| !is_open(world, "crash"))
        .await;
    assert_eq!(place.told(""), Vec::<String>::new());
    // What is urgent.
    let daemon = place.crash(daemon).await;
    let daemon = place.crash(daemon).await;
    place.world.wait_told(ADMIN, "I keep crashing").await;
    place.until_over("Over: I have run for half an hour").await;
    place.was_told("", 2);
    place
        .until_over("A message has been waiting for an agent")
        .await;
    let told = place.told("");
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(
        told[2].starts_with("✅ I crashed and was restarted at "),
        "{told:#?}"
    );
    assert!(
        told[2].contains("\n\n⚠️ A message has been waiting"),
        "{told:#?}"
    );
    place.end(daemon).await;
}

#[tokio::test]
async fn the_blocked_chat_of_one_administrator_does_not_matter_to_others() {
    const OTHER: i64 = 1003;
    let admins = format!("[access]\nadmins = [{OTHER}, {ADMIN}, 1004]\n");
    let mut place = Place::new(&[&admins]).await;
    let daemon = place.start_ready(&[]).await;
    place.world.says(OTHER, "hello").await;
    place.world.says(ADMIN, HELLO).await;
    place.world.api.user(OTHER, "Person").block_bot();
    let daemon = place.crash(daemon).await;
    place
        .world
        .wait_told(ADMIN, "restarted after a crash")
        .await;
    place.until_over("Over: I have not crashed again").await;
    assert_eq!(count(&place.world, OTHER, "crash"), 0);
    // There is no chat with the third.
    assert_eq!(messages(&place.world, 1004).len(), 0);
    place.was_told("crash", 2);
    place.end(daemon).await;
}

#[tokio::test]
async fn what_is_switched_off_is_not_told() {
    let (mut place, daemon) = Place::greeted(&["[alerts]\nenabled = false\n"]).await;
    say(&place.world, USER, "slow 100 x60");
    place.world.wait_told(USER, "piece 00001").await;
    let daemon = place.crash(daemon).await;
    // Who waits for an answer is told all the same.
    place.world.wait_told(USER, "restarted after a crash").await;
    place.world.says(ADMIN, "hello again").await;
    place.was_told("crash", 0);
    place.end(daemon).await;
}
