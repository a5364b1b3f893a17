//! The document: everything in a [`Report`], as JSON. Times are seconds since the Unix epoch, lengths are seconds, sizes
//! are bytes. Names that are once told keep their meaning.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{
    Report,
    conditions::{Condition, Name},
};
use crate::core::Millis;

#[derive(Serialize)]
struct Document<'a> {
    ready: bool,
    /// Required ones that do not hold; then the daemon is not ready.
    failing: Vec<&'static str>,
    /// Others that do not hold.
    warnings: Vec<&'static str>,
    status: String,
    version: &'static str,
    at: f64,
    up: f64,
    telegram: Telegram<'a>,
    conditions: Conditions<'a>,
    counts: Counts,
    memory: Memory,
    cpu: Cpu,
    database: Database,
    disk_free: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reload: Option<&'a str>,
}

#[derive(Serialize)]
struct Telegram<'a> {
    connected: bool,
    /// Age of the last poll that was answered.
    last_poll: Option<f64>,
    failures: u32,
    failing_for: Option<f64>,
    next_try: Option<f64>,
    trouble: Option<&'static str>,
    about: Option<&'a str>,
}

/// In their order, by name.
struct Conditions<'a>(&'a [Condition]);

impl Serialize for Conditions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for condition in self.0 {
            map.serialize_entry(condition.name.as_str(), &One::of(condition))?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct One<'a> {
    ok: bool,
    required: bool,
    value: Option<f64>,
    limit: Option<f64>,
    unit: &'static str,
    since: f64,
    #[serde(skip_serializing_if = "str::is_empty")]
    words: &'a str,
}

impl<'a> One<'a> {
    fn of(condition: &'a Condition) -> Self {
        Self {
            ok: condition.ok,
            required: condition.name.is_required(),
            value: condition.value,
            limit: condition.limit,
            unit: condition.unit,
            since: seconds(condition.since),
            words: &condition.words,
        }
    }
}

#[derive(Serialize)]
struct Counts {
    conversations: usize,
    running: u64,
    queued: u64,
    processes: u64,
    paused: bool,
}

#[derive(Serialize)]
struct Memory {
    daemon: Option<u64>,
    daemon_limit: Option<u64>,
    agents: Option<u64>,
}

#[derive(Serialize)]
struct Cpu {
    daemon: Option<f64>,
    agents: Option<f64>,
}

#[derive(Serialize)]
struct Database {
    size: u64,
    /// How long the last write took.
    write: Option<f64>,
}

pub(super) fn document(report: &Report) -> String {
    let now = &report.readiness;
    let polling = &now.polling;
    let trouble = polling.trouble.as_ref().map(super::Trouble::word);
    let span = |span: Option<Duration>| span.map(|span| span.as_secs_f64());
    let names = |required: bool| -> Vec<&'static str> {
        let wanted = |c: &&Condition| !c.ok && c.name.is_required() == required;
        let found = report.conditions.iter().filter(wanted);
        found.map(|c| Name::as_str(c.name)).collect()
    };
    let document = Document {
        ready: report.ready(),
        failing: names(true),
        warnings: names(false),
        status: report.sentence(),
        version: env!("CARGO_PKG_VERSION"),
        at: seconds(report.at),
        up: now.up.as_secs_f64(),
        telegram: Telegram {
            connected: report.connected(),
            last_poll: span(polling.completed),
            failures: polling.failures,
            failing_for: span(polling.failing),
            next_try: span(polling.next_try),
            trouble: trouble.map(|(word, _)| word),
            about: trouble.and_then(|(_, about)| about),
        },
        conditions: Conditions(&report.conditions),
        counts: Counts {
            conversations: now.conversations,
            running: now.running,
            queued: now.queued,
            processes: now.processes,
            paused: now.paused,
        },
        memory: Memory {
            daemon: now.memory.daemon,
            daemon_limit: now.memory.limit,
            agents: now.memory.agents,
        },
        cpu: Cpu {
            daemon: span(now.cpu.daemon),
            agents: span(now.cpu.agents),
        },
        database: Database {
            size: now.database,
            write: span(now.write.map(|write| write.took)),
        },
        disk_free: now.disk_free,
        reload: now.reload.as_deref(),
    };
    // Numbers, words and texts: nothing in it can fail to be written.
    serde_json::to_string(&document).unwrap_or_else(|_| "{}".to_owned())
}

/// Exact for thousands of years.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn seconds(at: Millis) -> f64 {
    at as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::health::{
        Limits, Polling, Readiness, Trouble,
        conditions::{Judge, Rules},
    };

    fn report(change: impl FnOnce(&mut Readiness)) -> Report {
        let s = Duration::from_secs;
        let mut readiness = Readiness {
            ready: true,
            polling: Polling {
                reached: true,
                completed: Some(s(3)),
                ..Polling::default()
            },
            ..Readiness::default()
        };
        change(&mut readiness);
        let rules = Rules {
            poll: s(70),
            watchdog: Limits::of(s(30)),
            answer: s(5),
            inbox: s(60),
            outbox: s(300),
            queue: s(1800),
            out_of_memory: 2,
            write: s(1),
            disk: 1000,
        };
        let at = 1_700_000_000_250;
        Report {
            at,
            serial: 1,
            conditions: Judge::default().judge(at, &readiness, &rules),
            readiness,
        }
    }

    fn read(report: &Report) -> Value {
        serde_json::from_str(&report.document()).unwrap()
    }

    #[test]
    fn a_daemon_that_is_well() {
        let well = report(|_| {});
        assert!(well.ready() && well.connected());
        let read = read(&well);
        assert_eq!(read["ready"], true);
        assert_eq!(read["failing"], serde_json::json!([]));
        assert_eq!(read["warnings"], serde_json::json!([]));
        assert_eq!(read["status"], "polling, idle");
        assert_eq!(read["at"], 1_700_000_000.25);
        let telegram = &read["conditions"]["telegram"];
        assert_eq!(telegram["value"], 3.0);
        assert_eq!(telegram["limit"], 70.0);
        assert_eq!(telegram["since"], 1_700_000_000.25);
        for name in Name::ALL {
            assert!(
                read["conditions"][name.as_str()]["ok"].is_boolean(),
                "{name:?}"
            );
        }
    }

    #[test]
    fn what_fails_is_named_and_only_what_is_required_makes_it_not_ready() {
        let warned = report(|r| r.disk_free = Some(5));
        assert!(warned.ready());
        let read_warned = read(&warned);
        assert_eq!(read_warned["warnings"], serde_json::json!(["disk"]));
        assert_eq!(read_warned["disk_free"], 5);

        let failing = report(|r| {
            r.polling.trouble = Some(Trouble::Unreachable("DNS \"x\"\n".to_owned()));
            r.polling.failures = 3;
            r.unanswered = Duration::from_secs(9);
        });
        assert!(!failing.ready() && !failing.connected());
        let read = read(&failing);
        assert_eq!(read["failing"], serde_json::json!(["telegram", "database"]));
        assert_eq!(read["telegram"]["trouble"], "unreachable");
        assert_eq!(read["telegram"]["about"], "DNS \"x\"\n");
        assert_eq!(
            read["conditions"]["database"]["words"],
            "the database has not answered for 9 s"
        );
    }

    #[test]
    fn before_anything_was_judged_it_is_not_ready() {
        assert!(!Report::default().ready());
        assert_eq!(read(&Report::default())["ready"], false);
    }
}
