//! A load: many conversations with an agent each, messages at a steady rate, and what came of it. In the suite a short one,
//! which only counts; `benches/load.rs` has the long one, and prints.

#![allow(dead_code, reason = "the short one prints nothing")]

use std::{
    collections::HashMap,
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use telexd_botapi::{Config, FloodLimits};

use crate::support::{Daemon, World};

/// First person's id.
const PEOPLE: i64 = 10_000;

/// What is done to a daemon.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// People, each alone with the bot and with an agent of their own, which runs already.
    pub conversations: usize,
    /// Messages per second, from one after the other.
    pub rate: u32,
    /// For how long.
    pub lasts: Duration,
    /// Messages per second that the server lets through and the daemon keeps to; none: as many as there are.
    pub pace: Option<u32>,
    /// How long is waited for the rest.
    pub patience: Duration,
}

/// What came of it. Times in milliseconds, sorted.
#[derive(Debug, Default)]
pub struct Report {
    pub sent: usize,
    /// Messages that reached no agent, or more than once.
    pub prompts_lost: usize,
    pub prompts_doubled: usize,
    /// Answers that are not shown, or more than once.
    pub answers_lost: usize,
    pub answers_doubled: usize,
    /// From the moment at which an update is there for the poll to the line at the agent, and to the whole answer.
    pub to_agent: Vec<i64>,
    pub to_answer: Vec<i64>,
    /// When, in seconds since the load began, and what was resident.
    pub memory: Vec<(f64, Resident)>,
    /// Before it began.
    pub memory_before: Resident,
    /// When everything was answered.
    pub memory_after: Resident,
    /// Open files of the daemon, with all agents there.
    pub files: usize,
    /// How long it took, from the first message to the last answer.
    pub took: Duration,
}

/// What a process has in memory, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resident {
    /// All of it, also the pages of its program and of the files that it maps.
    pub all: u64,
    /// What it took for itself: heap and stacks.
    pub own: u64,
}

impl Report {
    /// Growth of a part of the memory in bytes per second, by least squares, from that second of the load on; nothing for
    /// less than two samples.
    #[allow(clippy::cast_precision_loss, reason = "bytes of a process")]
    pub fn slope(&self, from: f64, part: impl Fn(&Resident) -> u64) -> f64 {
        let samples: Vec<_> = self.memory.iter().filter(|(at, _)| *at >= from).collect();
        let n = samples.len() as f64;
        let (mut t, mut m, mut tt, mut tm) = (0.0, 0.0, 0.0, 0.0);
        for (at, resident) in samples {
            let bytes = part(resident) as f64;
            t += at;
            m += bytes;
            tt += at * at;
            tm += at * bytes;
        }
        let divisor = n * tt - t * t;
        if divisor == 0.0 {
            0.0
        } else {
            (n * tm - t * m) / divisor
        }
    }

    pub fn clean(&self) -> bool {
        let zero = [
            self.prompts_lost,
            self.prompts_doubled,
            self.answers_lost,
            self.answers_doubled,
        ];
        zero.iter().all(|n| *n == 0)
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

/// What a daemon has in memory now.
pub fn resident(daemon: &Daemon) -> Resident {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let bytes = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    };
    Resident {
        all: bytes("VmRSS:"),
        own: bytes("RssAnon:"),
    }
}

impl Load {
    fn person(&self, n: usize) -> i64 {
        PEOPLE + i64::try_from(n % self.conversations).unwrap()
    }

    async fn world(&self) -> World {
        let pace = self.pace.unwrap_or(1000);
        let interval = if self.pace.is_some() { 1000 } else { 5 };
        let settings = format!(
            "[features]\nbatching = false\n\n[delivery]\nchat_interval_ms = {interval}\ngroup_per_minute = 1000\noverall_per_second = {pace}\n"
        );
        let config = Config {
            flood: FloodLimits {
                overall_per_second: self.pace,
                ..FloodLimits::default()
            },
            keep_calls: 1000,
            ..Config::default()
        };
        let world = World::with(config, &settings).await;
        world.write_config(
            &telexd_scripted_agent::binary(),
            &format!(
                "max_processes = {}\nidle_timeout_s = 3600\n",
                self.conversations
            ),
        );
        let people: Vec<String> = (0..self.conversations)
            .map(|n| self.person(n).to_string())
            .collect();
        world.drop_in(
            "10-people",
            &format!("[access]\nusers = [{}]\n", people.join(", ")),
        );
        world
    }

    /// How many people have the last answer that they are to have.
    fn answered(&self, world: &World, tokens: &HashMap<i64, String>) -> usize {
        tokens
            .iter()
            .filter(|(person, token)| {
                let shown = world.api.view(|v| v.bot_messages(**person));
                let last = shown.iter().rev().find(|m| m.text == **token);
                last.is_some_and(|m| m.buttons.is_empty())
            })
            .count()
    }

    async fn wait(&self, world: &World, tokens: &HashMap<i64, String>) {
        let until = tokio::time::Instant::now() + self.patience;
        loop {
            let answered = self.answered(world, tokens);
            if answered == tokens.len() {
                return;
            }
            assert!(
                tokio::time::Instant::now() < until,
                "{answered} of {} have their last answer\n{}",
                tokens.len(),
                world.log()
            );
            // The state is large, so it is looked at now and then only.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Does it.
    pub async fn run(&self) -> Report {
        let world = self.world().await;
        let daemon = world.start_ready().await;
        let mut last = HashMap::new();
        for n in 0..self.conversations {
            let (person, token) = (self.person(n), format!("warm-{n}"));
            world
                .api
                .user(person, "Person")
                .send_text(person, &format!("say {token}"));
            last.insert(person, token);
        }
        self.wait(&world, &last).await;
        let mut report = Report {
            memory_before: resident(&daemon),
            files: fs::read_dir(format!("/proc/{}/fd", daemon.pid()))
                .unwrap()
                .count(),
            ..Report::default()
        };
        let mut sent = Vec::new();
        let begun = tokio::time::Instant::now();
        let mut tick = tokio::time::interval(Duration::from_secs(1) / self.rate);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
        let mut sampled = begun;
        while begun.elapsed() < self.lasts {
            tick.tick().await;
            let n = sent.len();
            let (person, token) = (self.person(n), format!("message-{n}"));
            world
                .api
                .user(person, "Person")
                .send_text(person, &format!("say {token}"));
            sent.push(now_ms());
            last.insert(person, token);
            if sampled.elapsed() >= Duration::from_secs(1) {
                sampled = tokio::time::Instant::now();
                report
                    .memory
                    .push((begun.elapsed().as_secs_f64(), resident(&daemon)));
            }
        }
        self.wait(&world, &last).await;
        // Whoever has the last answer has the others; what may still come are repeats.
        let open = "SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending')";
        crate::support::wait_within(
            self.patience,
            "nothing is left to be sent",
            || world.query(open) == Some(0),
            || world.log(),
        )
        .await;
        report.took = begun.elapsed();
        report.memory_after = resident(&daemon);
        daemon.stop().await;
        self.count(&world, &sent, &mut report);
        world.end_all().await;
        report
    }

    fn count(&self, world: &World, sent: &[i64], report: &mut Report) {
        report.sent = sent.len();
        let mut given: HashMap<String, Vec<i64>> = HashMap::new();
        for line in world.evidence().of("prompt") {
            let text = line["text"].as_str().unwrap().to_owned();
            given
                .entry(text)
                .or_default()
                .push(line["at_ms"].as_i64().unwrap());
        }
        let mut shown: HashMap<String, Vec<i64>> = HashMap::new();
        for n in 0..self.conversations {
            for message in world.api.view(|v| v.bot_messages(self.person(n))) {
                let whole = message
                    .history
                    .iter()
                    .find(|version| version.text == message.text && version.buttons.is_empty());
                let at = whole.map_or(i64::MAX, |version| version.at);
                shown.entry(message.text).or_default().push(at);
            }
        }
        for (n, at) in sent.iter().enumerate() {
            let reached = given
                .remove(&format!("say message-{n}"))
                .unwrap_or_default();
            report.prompts_lost += usize::from(reached.is_empty());
            report.prompts_doubled += reached.len().saturating_sub(1);
            report
                .to_agent
                .extend(reached.first().map(|then| then - at));
            let answers = shown.remove(&format!("message-{n}")).unwrap_or_default();
            report.answers_lost += usize::from(answers.is_empty());
            report.answers_doubled += answers.len().saturating_sub(1);
            report
                .to_answer
                .extend(answers.first().map(|then| then - at));
        }
        report.to_agent.sort_unstable();
        report.to_answer.sort_unstable();
    }
}

/// Twenty people, more messages than Telegram lets through: nothing is lost, nothing comes twice.
#[cfg(test)]
#[tokio::test(flavor = "multi_thread")]
async fn more_than_telegram_takes_is_not_lost() {
    let load = Load {
        conversations: 20,
        rate: 40,
        lasts: Duration::from_secs(8),
        pace: Some(30),
        patience: Duration::from_secs(100),
    };
    let report = load.run().await;
    assert!(report.sent >= 200, "{report:?}");
    assert!(report.clean(), "{report:?}");
}
