//! Every fault at every stage of a prompt's way, then it is counted.
//!
//! A cell is a world of its own: somebody writes a prompt with a long answer and a question in it, and at one exact call
//! to Telegram (see [`Stage`]) the fault begins. While it lasts, the same person writes on, somebody else writes, and
//! the question is answered. What may not happen is what may not happen when the daemon is killed (`crash`): a
//! prompt lost or given twice, an answer lost or shown twice without a mark, a process left behind.

use std::{collections::BTreeSet, time::Duration};

use telexd_botapi::{Config, Fault, Network, View};
use tokio::task::JoinSet;

use crate::support::{ADMIN, Daemon, USER, World, wait_within};

mod faults;
mod tally;

use faults::{Blow, Kind, Trigger};
use tally::Tally;

/// How long a cell may take: a refused token is tried again after half a minute, and a call runs out after 20 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// As the fast settings of other tests, but with the log as shipped, and with polls that are short enough to be hit.
const SETTINGS: &str = "[features]\nbatching = false\n\n[delivery]\nchat_interval_ms = 5\ngroup_per_minute = 1000\noverall_per_second = 1000\n";

/// How often the word stands in the long answer: too often for one message.
const WORDS: usize = 900;

/// Where on its way the prompt is when the fault begins: with which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The poll that would bring it.
    Poll,
    /// The poll that confirms it.
    Commit,
    /// What is shown while its agent is started.
    Launch,
    /// The first words of the answer.
    FirstOutput,
    /// Further words.
    MidAnswer,
    /// The agent's question.
    Question,
    /// Whatever comes first while the question waits. It is answered when the fault has begun.
    Pending,
    /// The second message of the answer, which is new and so cannot be repeated unseen.
    FinalSend,
}

const STAGES: [Stage; 8] = [
    Stage::Poll,
    Stage::Commit,
    Stage::Launch,
    Stage::FirstOutput,
    Stage::MidAnswer,
    Stage::Question,
    Stage::Pending,
    Stage::FinalSend,
];

/// The prompt that all is about.
fn prompt() -> String {
    let words: Vec<String> = (1..=20).map(|n| format!("piece-{n:02}")).collect();
    format!(
        "the prompt\n@fake [{{\"text\":\"{} \",\"chunk\":9,\"delay_ms\":40,\"tool\":\"Bash\",\"input\":{{\"command\":\"touch x\"}}}},\
         {{\"text\":\"{{outcome}} \",\"repeat\":{WORDS}}}]",
        words.join(" ")
    )
}

const LATER: &str = "say later";
const OTHER: &str = "say other";

/// What is to be done next in a cell.
enum Next {
    /// The fault has begun.
    Begun,
    /// The question waits, and the fault may be armed.
    Asked,
    /// This button is to be pressed.
    Press(i64, String),
    /// All is answered.
    Done,
}

struct Cell {
    world: World,
    kind: Kind,
    stage: Stage,
    trigger: Trigger,
    armed: bool,
    begun: bool,
    pressed: BTreeSet<i64>,
}

impl Cell {
    async fn new(kind: Kind, stage: Stage) -> Self {
        let world = World::with(Config::default(), SETTINGS).await;
        world.write_config(&telexd_scripted_agent::binary(), "idle_timeout_s = 1\n");
        world.drop_in("10-poll", "[telegram]\npoll_timeout_s = 1\n");
        Self {
            trigger: Trigger::new(kind.polls, kind.calls),
            world,
            kind,
            stage,
            armed: false,
            begun: false,
            pressed: BTreeSet::new(),
        }
    }

    fn arm(&mut self) {
        self.armed = true;
        let (stage, trigger) = (self.stage, self.trigger.clone());
        let fault = Fault::always("", self.kind.wire())
            .any_method()
            .when(move |call| trigger.strikes(call, |call| stage.begins_with(call)));
        self.world.api.fault(fault);
    }

    /// What came of it, and what there is to read about it if that is not as it should be.
    async fn run(mut self) -> (Tally, Option<String>) {
        let uma = self.world.api.user(USER, "Uma");
        uma.send_text(USER, &prompt());
        if self.stage != Stage::Pending {
            self.arm();
        }
        let mut daemon = self.world.start();
        loop {
            match self.next().await {
                Next::Begun => {
                    self.begun = true;
                    uma.send_text(USER, LATER);
                    self.world.api.user(ADMIN, "Ada").send_text(ADMIN, OTHER);
                    daemon = self.blow(daemon).await;
                }
                Next::Asked => self.arm(),
                Next::Press(message, data) => {
                    self.pressed.insert(message);
                    uma.press_stale(USER, message, &data);
                }
                Next::Done => break,
            }
            assert!(daemon.ended().is_none(), "{self}: the daemon ended");
        }
        self.settle(&daemon).await;
        daemon.stop().await;
        let struck = self.world.api.view(View::faults_struck);
        assert!(struck > 0, "{self}: the fault hit nothing");
        let tally = Tally::count(&self.world, WORDS);
        let unclean = (!tally.clean()).then(|| format!("{self}\n{tally:#?}"));
        (tally, unclean)
    }

    /// Waits for what comes next.
    async fn next(&self) -> Next {
        let read = |view: &View| {
            if !self.begun && self.trigger.begun() {
                return Some(Next::Begun);
            }
            let asked = tally::questions(view)
                .into_iter()
                .find(|(message, _)| !self.pressed.contains(message));
            match asked {
                Some(_) if !self.armed => return Some(Next::Asked),
                Some((message, data)) if self.begun || self.stage != Stage::Pending => {
                    return Some(Next::Press(message, data));
                }
                _ => {}
            }
            (self.begun && tally::all_answered(view, WORDS)).then_some(Next::Done)
        };
        match self.world.api.wait_for_some(PATIENCE, read).await {
            Ok(next) => next,
            Err(late) => panic!("{self}: {late}"),
        }
    }

    /// What the fault does beside its strikes. Gives the daemon that runs after it.
    async fn blow(&self, daemon: Daemon) -> Daemon {
        let api = &self.world.api;
        match self.kind.blow {
            Blow::Strikes(_) => daemon,
            Blow::Kill { .. } => {
                daemon.kill();
                api.clear_faults();
                self.world.start()
            }
            Blow::Cut(network) => {
                let before = self.world.logged("no updates come in");
                api.network(network).await.unwrap();
                api.clear_faults();
                wait_within(
                    PATIENCE,
                    "a poll has failed",
                    || self.world.logged("no updates come in") > before,
                    || self.to_string(),
                )
                .await;
                api.network(Network::Up).await.unwrap();
                daemon
            }
        }
    }

    /// Waits until nothing is left to be sent and nothing runs but the daemon.
    async fn settle(&self, daemon: &Daemon) {
        let open = "SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending')";
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let sent = self.world.query(open) == Some(0);
            // A look at all processes is dear, and many cells look at once.
            if sent
                && self
                    .world
                    .processes()
                    .iter()
                    .all(|(p, _)| *p == daemon.pid())
            {
                return;
            }
            assert!(
                tokio::time::Instant::now() < until,
                "{self}: not at rest: {:?} rows, {:#?}",
                self.world.query(open),
                self.world.processes()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.world.api.messages(USER);
        let short = |text: &str| text.chars().take(60).collect::<String>();
        let texts: Vec<String> = shown
            .iter()
            .map(|m| {
                format!(
                    "{}{} {:?} {}",
                    m.message_id,
                    if m.deleted { " (deleted)" } else { "" },
                    short(&m.text),
                    m.text.len()
                )
            })
            .collect();
        write!(
            f,
            "{} at {:?}\nthe chat shows {texts:#?}\nthe daemon says:\n{}",
            self.kind.name,
            self.stage,
            self.world.log()
        )
    }
}

/// Faults at all stages. All cells are tried side by side: most of the time each of them waits.
async fn rows(kinds: Vec<Kind>) {
    let mut cells = JoinSet::new();
    let mut found = vec![vec![String::new(); STAGES.len()]; kinds.len()];
    for (row, kind) in kinds.iter().enumerate() {
        for (at, stage) in STAGES.into_iter().enumerate() {
            let kind = kind.clone();
            cells.spawn(async move { (row, at, Cell::new(kind, stage).await.run().await) });
        }
    }
    let mut unclean = Vec::new();
    while let Some(done) = cells.join_next().await {
        match done {
            Ok((row, at, (tally, why))) => {
                found[row][at] = tally.to_string();
                unclean.extend(why);
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    for (kind, cells) in kinds.iter().zip(&found) {
        println!("| {} | {} |", kind.name, cells.join(" | "));
    }
    assert!(unclean.is_empty(), "{}", unclean.join("\n\n"));
}

macro_rules! rows {
    ($($name:ident: $($kind:expr),*;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            rows(vec![$($kind),*]).await;
        })*
    };
}

rows! {
    server_errors: Kind::html_502(), Kind::json_500();
    floods: Kind::flood("429, 1 s", 1, 2), Kind::conflict();
    resets: Kind::reset_before(), Kind::reset_after();
    bodies: Kind::truncated(), Kind::oversized();
    captive_portal: Kind::captive_portal();
    cuts: Kind::cut("connections refused", Network::Refused), Kind::cut("black hole", Network::Silent);
    killed: Kind::killed(false), Kind::killed(true);
    // Those that wait for long by design, together.
    long_waits: Kind::flood("429, 10 s", 10, 1), Kind::no_answer(false), Kind::no_answer(true), Kind::unauthorized();
}
