//! What has been counted since this life of the daemon began: for `/metrics`.
//!
//! What is written to the database is counted by the store, once it is committed; calls to Telegram are counted by the
//! client. A label has one of a few values that are written in this program: never anything of a person, a chat or a run.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{Millis, trouble::CallClass};

/// One label.
type By = Family<[(&'static str, &'static str); 1], Counter>;
/// Two labels.
type By2 = Family<[(&'static str, &'static str); 2], Counter>;

/// Bounds in seconds for what a person waits for.
const PATIENCE: [f64; 14] = [
    0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0,
];
/// Bounds in seconds for calls over the network.
const CALLS: [f64; 10] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0];
/// Bounds in seconds for writes to the disk.
const WRITES: [f64; 11] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0,
];

/// How calls may end.
const OUTCOMES: [&str; 8] = [
    "ok",
    "safe",
    "wait",
    "rejected",
    "ambiguous",
    "conflict",
    "unauthorized",
    "fatal",
];
/// What may become of an update.
const VERDICTS: [&str; 5] = ["prompt", "command", "refused", "ignored", "unreadable"];
/// How turns may end.
const TURNS: [&str; 4] = ["completed", "failed", "interrupted", "discarded"];
/// How runs may end.
const RUNS: [&str; 8] = [
    "code",
    "signal",
    "not_started",
    "out_of_memory",
    "time_limit",
    "stopped",
    "lost",
    "other",
];
/// What may go out.
const KINDS: [&str; 3] = ["press", "message", "progress"];
/// Why a message may have to be tried again.
const RETRIES: [&str; 4] = ["later", "ambiguous", "plain", "anew"];
/// Why a transaction may fail.
const FAILURES: [&str; 3] = ["full", "damaged", "other"];

/// Something that is in the database by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// An update came in.
    Update,
    /// An update was acted on; what became of it.
    Acted(&'static str),
    /// A turn was made for a prompt.
    Prompt,
    /// A prompt was given to an agent, so long after its turn was made (ms).
    Given(Millis),
    /// A turn is over, by its state; and, where an agent had it, for how long (ms).
    Turn(&'static str, Option<Millis>),
    /// An agent is being started.
    RunStarted,
    /// An agent has ended: the kind of its end, as in its record; `None`: there is no record.
    RunEnded(Option<&'static str>),
    /// Something went out, by its urgency, so long after it was wanted (ms).
    Sent(&'static str, Millis),
    /// Something is to be tried again; why.
    Retry(&'static str),
    /// Telegram refused something for good.
    Refused,
    /// Telegram asks to wait for so long (ms).
    Throttled(Millis),
}

/// The kind of a run's end as one of the words that are counted.
#[must_use]
pub fn run_end(how: &str) -> &'static str {
    RUNS.iter().find(|word| **word == how).unwrap_or(&"other")
}

/// The counters. Cheap to clone: all clones count together.
#[derive(Clone, Debug)]
pub struct Tally(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    polls: By,
    updates: Counter,
    acted: By,
    prompts: Counter,
    waited: Histogram,
    first_output: Histogram,
    turns: By,
    took: Histogram,
    runs_started: Counter,
    runs_ended: By,
    calls: By2,
    call: Histogram,
    sent: By,
    out: Histogram,
    retries: By,
    refused: Counter,
    throttled: Counter,
    throttled_for: Counter<f64, AtomicU64>,
    writes: Histogram,
    commits: Counter,
    failures: By,
    starts: Counter,
    crashes: Counter,
}

impl Default for Tally {
    fn default() -> Self {
        Self(Arc::new(Counts {
            polls: by("outcome", &OUTCOMES),
            updates: Counter::default(),
            acted: by("verdict", &VERDICTS),
            prompts: Counter::default(),
            waited: Histogram::new(PATIENCE),
            first_output: Histogram::new(PATIENCE),
            turns: by("result", &TURNS),
            took: Histogram::new(PATIENCE),
            runs_started: Counter::default(),
            runs_ended: by("how", &RUNS),
            calls: Family::default(),
            call: Histogram::new(CALLS),
            sent: by("kind", &KINDS),
            out: Histogram::new(PATIENCE),
            retries: by("why", &RETRIES),
            refused: Counter::default(),
            throttled: Counter::default(),
            throttled_for: Counter::default(),
            writes: Histogram::new(WRITES),
            commits: Counter::default(),
            failures: by("why", &FAILURES),
            starts: Counter::default(),
            crashes: Counter::default(),
        }))
    }
}

/// A family that shows each of its values from the beginning: a counter that appears with its first event has no rise
/// that anybody could see.
fn by(label: &'static str, values: &[&'static str]) -> By {
    let family = By::default();
    for value in values {
        drop(family.get_or_create(&[(label, value)]));
    }
    family
}

fn inc(family: &By, label: &'static str, value: &'static str) {
    family.get_or_create(&[(label, value)]).inc();
}

/// Milliseconds as seconds. A clock that was set back makes no time negative.
fn seconds(ms: Millis) -> f64 {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0)).as_secs_f64()
}

impl Tally {
    /// Counts what a transaction did, after its commit.
    pub fn count(&self, count: Count) {
        let all = &*self.0;
        match count {
            Count::Update => drop(all.updates.inc()),
            Count::Acted(verdict) => inc(&all.acted, "verdict", verdict),
            Count::Prompt => drop(all.prompts.inc()),
            Count::Given(ms) => all.waited.observe(seconds(ms)),
            Count::Turn(result, took) => {
                inc(&all.turns, "result", result);
                if let Some(ms) = took {
                    all.took.observe(seconds(ms));
                }
            }
            Count::RunStarted => drop(all.runs_started.inc()),
            Count::RunEnded(how) => inc(&all.runs_ended, "how", how.unwrap_or("lost")),
            Count::Sent(kind, ms) => {
                inc(&all.sent, "kind", kind);
                all.out.observe(seconds(ms));
            }
            Count::Retry(why) => inc(&all.retries, "why", why),
            Count::Refused => drop(all.refused.inc()),
            Count::Throttled(ms) => {
                all.throttled.inc();
                all.throttled_for.inc_by(seconds(ms));
            }
        }
    }

    /// Counts the first output of an agent for a prompt, so long after its turn was made.
    pub fn first_output(&self, ms: Millis) {
        self.0.first_output.observe(seconds(ms));
    }

    /// Counts a poll; `class`: how it failed, where it did.
    pub fn poll(&self, class: Option<&CallClass>) {
        inc(&self.0.polls, "outcome", outcome(class));
    }

    /// Counts another call to Telegram.
    pub fn call(&self, method: &'static str, class: Option<&CallClass>, took: Duration) {
        let labels = [("method", method), ("outcome", outcome(class))];
        self.0.calls.get_or_create(&labels).inc();
        self.0.call.observe(took.as_secs_f64());
    }

    /// Counts a commit; `wrote`: how long it took until it was on the disk, where it wrote something.
    pub fn commit(&self, wrote: Option<Duration>) {
        self.0.commits.inc();
        if let Some(took) = wrote {
            self.0.writes.observe(took.as_secs_f64());
        }
    }

    /// Counts a transaction that failed: `full`, `damaged` or `other`.
    pub fn failure(&self, why: &'static str) {
        inc(&self.0.failures, "why", why);
    }

    /// How often this database has seen the daemon start, this time included, and crash. To be told once.
    pub fn lives(&self, starts: u64, crashes: u64) {
        self.0.starts.inc_by(starts);
        self.0.crashes.inc_by(crashes);
    }

    /// Names everything for a registry.
    pub fn register(&self, registry: &mut Registry) {
        let all = &*self.0;
        registry.register(
            "polls",
            "Polls for updates, by how they ended",
            all.polls.clone(),
        );
        registry.register(
            "updates_received",
            "Updates that were new and are kept",
            all.updates.clone(),
        );
        registry.register(
            "updates_done",
            "Updates that were acted on, by what became of them",
            all.acted.clone(),
        );
        registry.register("prompts", "Prompts that came in", all.prompts.clone());
        registry.register_with_unit(
            "prompt_wait",
            "From the arrival of a prompt until an agent has it",
            Unit::Seconds,
            all.waited.clone(),
        );
        registry.register_with_unit(
            "first_output",
            "From the arrival of a prompt until its agent says or does something",
            Unit::Seconds,
            all.first_output.clone(),
        );
        registry.register("turns", "Turns that are over", all.turns.clone());
        registry.register_with_unit(
            "turn_duration",
            "How long an agent had a turn",
            Unit::Seconds,
            all.took.clone(),
        );
        registry.register(
            "runs_started",
            "Agents that were started",
            all.runs_started.clone(),
        );
        registry.register(
            "runs_ended",
            "Agents that have ended, by how",
            all.runs_ended.clone(),
        );
        registry.register(
            "telegram_calls",
            "Calls to Telegram other than polls, by method and how they ended",
            all.calls.clone(),
        );
        registry.register_with_unit(
            "telegram_call_duration",
            "How long those calls took",
            Unit::Seconds,
            all.call.clone(),
        );
        registry.register(
            "sent",
            "What Telegram took: answers to presses, messages and last edits, edits on the way",
            all.sent.clone(),
        );
        registry.register_with_unit(
            "outbox_age",
            "How long that had waited to be sent",
            Unit::Seconds,
            all.out.clone(),
        );
        registry.register(
            "retries",
            "What could not be sent and is tried again, by why",
            all.retries.clone(),
        );
        registry.register(
            "refused",
            "What Telegram refused for good",
            all.refused.clone(),
        );
        registry.register(
            "throttles",
            "How often Telegram asked to wait (429)",
            all.throttled.clone(),
        );
        registry.register_with_unit(
            "throttle",
            "For how long Telegram asked to wait, in all",
            Unit::Seconds,
            all.throttled_for.clone(),
        );
        registry.register_with_unit(
            "database_write",
            "How long commits took until they were on the disk",
            Unit::Seconds,
            all.writes.clone(),
        );
        registry.register(
            "database_commits",
            "Transactions that were committed",
            all.commits.clone(),
        );
        registry.register(
            "database_failures",
            "Transactions that failed, by why",
            all.failures.clone(),
        );
        registry.register(
            "starts",
            "Starts of the daemon on this database",
            all.starts.clone(),
        );
        registry.register(
            "crashes",
            "Ends of the daemon that nobody had ordered",
            all.crashes.clone(),
        );
    }
}

fn outcome(class: Option<&CallClass>) -> &'static str {
    match class {
        None => "ok",
        Some(CallClass::Safe) => "safe",
        Some(CallClass::WaitUntil(_)) => "wait",
        Some(CallClass::Rejected) => "rejected",
        Some(CallClass::Ambiguous) => "ambiguous",
        Some(CallClass::Conflict) => "conflict",
        Some(CallClass::Unauthorized) => "unauthorized",
        Some(CallClass::Fatal) => "fatal",
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    fn shown(tally: &Tally) -> String {
        let mut registry = Registry::with_prefix("t");
        tally.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn everything_is_shown_from_the_beginning() {
        let text = shown(&Tally::default());
        for line in [
            "t_polls_total{outcome=\"conflict\"} 0",
            "t_updates_received_total 0",
            "t_turns_total{result=\"interrupted\"} 0",
            "t_runs_ended_total{how=\"out_of_memory\"} 0",
            "t_throttle_seconds_total 0.0",
            "t_prompt_wait_seconds_bucket{le=\"+Inf\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn each_fact_is_counted_where_it_belongs() {
        let tally = Tally::default();
        let other = tally.clone();
        for count in [
            Count::Update,
            Count::Acted("prompt"),
            Count::Prompt,
            Count::Given(300),
            Count::Turn("completed", Some(2500)),
            Count::Turn("discarded", None),
            Count::RunStarted,
            Count::RunEnded(Some(run_end("out_of_memory"))),
            Count::RunEnded(Some(run_end("something new"))),
            Count::RunEnded(None),
            Count::Sent("message", -5),
            Count::Retry("ambiguous"),
            Count::Refused,
            Count::Throttled(1500),
        ] {
            other.count(count);
        }
        tally.first_output(1999);
        tally.poll(None);
        tally.poll(Some(&CallClass::WaitUntil(7)));
        tally.call(
            "sendMessage",
            Some(&CallClass::Safe),
            Duration::from_millis(30),
        );
        tally.commit(None);
        tally.commit(Some(Duration::from_millis(3)));
        tally.failure("full");
        tally.lives(7, 2);
        let text = shown(&tally);
        for line in [
            "t_updates_received_total 1",
            "t_updates_done_total{verdict=\"prompt\"} 1",
            "t_prompts_total 1",
            "t_prompt_wait_seconds_bucket{le=\"0.25\"} 0",
            "t_prompt_wait_seconds_bucket{le=\"0.5\"} 1",
            "t_first_output_seconds_bucket{le=\"1.0\"} 0",
            "t_first_output_seconds_bucket{le=\"2.0\"} 1",
            "t_turns_total{result=\"completed\"} 1",
            "t_turns_total{result=\"discarded\"} 1",
            "t_turn_duration_seconds_count 1",
            "t_turn_duration_seconds_sum 2.5",
            "t_runs_started_total 1",
            "t_runs_ended_total{how=\"out_of_memory\"} 1",
            "t_runs_ended_total{how=\"other\"} 1",
            "t_runs_ended_total{how=\"lost\"} 1",
            "t_sent_total{kind=\"message\"} 1",
            "t_outbox_age_seconds_sum 0.0",
            "t_retries_total{why=\"ambiguous\"} 1",
            "t_refused_total 1",
            "t_throttles_total 1",
            "t_throttle_seconds_total 1.5",
            "t_polls_total{outcome=\"ok\"} 1",
            "t_polls_total{outcome=\"wait\"} 1",
            "t_telegram_calls_total{method=\"sendMessage\",outcome=\"safe\"} 1",
            "t_telegram_call_duration_seconds_bucket{le=\"0.05\"} 1",
            "t_database_commits_total 2",
            "t_database_write_seconds_count 1",
            "t_database_failures_total{why=\"full\"} 1",
            "t_starts_total 7",
            "t_crashes_total 2",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
