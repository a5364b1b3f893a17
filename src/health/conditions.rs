//! What must hold for the daemon to be of use, each with its value and its limit. Pure.

use std::{collections::BTreeMap, time::Duration};

use super::{Limits, Readiness, sentence::span};
use crate::core::Millis;

/// What can be in order or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// The start is over.
    Started,
    /// Updates come in: a poll was answered lately, and the last one did not fail.
    Telegram,
    /// The runtime runs.
    Runtime,
    /// The database answers.
    Database,
    /// The poll loop turns.
    PollLoop,
    /// What comes in is acted on.
    Inbox,
    /// What is to be sent goes out.
    Outbox,
    /// Prompts get an agent.
    Queue,
    /// Agents have the memory that they need.
    Agents,
    /// The disk takes what is written.
    Writes,
    /// There is room on the disk.
    Disk,
    /// The daemon has memory left.
    Memory,
}

impl Name {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 12] = [
        Self::Started,
        Self::Telegram,
        Self::Runtime,
        Self::Database,
        Self::PollLoop,
        Self::Inbox,
        Self::Outbox,
        Self::Queue,
        Self::Agents,
        Self::Writes,
        Self::Disk,
        Self::Memory,
    ];

    /// As it is called in the document and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Telegram => "telegram",
            Self::Runtime => "runtime",
            Self::Database => "database",
            Self::PollLoop => "poll_loop",
            Self::Inbox => "inbox",
            Self::Outbox => "outbox",
            Self::Queue => "queue",
            Self::Agents => "agents",
            Self::Writes => "writes",
            Self::Disk => "disk",
            Self::Memory => "memory",
        }
    }

    /// Whether the daemon is not ready without it. The others ask for somebody's attention; messages go on meanwhile.
    #[must_use]
    pub fn is_required(self) -> bool {
        !matches!(
            self,
            Self::Outbox | Self::Queue | Self::Agents | Self::Writes | Self::Disk | Self::Memory
        )
    }
}

/// Where the limits are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// How long ago a poll may have been answered: longer than the longest of them.
    pub poll: Duration,
    /// How long runtime and poll loop may be silent, as for the watchdog.
    pub watchdog: Limits,
    /// How long the database may take to answer.
    pub answer: Duration,
    /// How long an update may wait to be acted on.
    pub inbox: Duration,
    /// How long something may wait to be sent.
    pub outbox: Duration,
    /// How long a prompt may wait for an agent.
    pub queue: Duration,
    /// How many agents may run out of memory within an hour.
    pub out_of_memory: u32,
    /// How long a write may take.
    pub write: Duration,
    /// Least room on the disk, in bytes.
    pub disk: u64,
}

/// How old a write may be to say something about the disk.
const RECENT: Duration = Duration::from_secs(60);
/// Share of the memory that the daemon may have, from which on it is short of it.
const MEMORY: f64 = 0.8;

/// How one of them stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Which.
    pub name: Name,
    /// Whether it holds.
    pub ok: bool,
    /// What was measured; `None`: nothing, or there is nothing to measure.
    pub value: Option<f64>,
    /// Where the limit is, in the same unit.
    pub limit: Option<f64>,
    /// `seconds`, `bytes` or `agents`; empty where there is no value.
    pub unit: &'static str,
    /// Since when it has held, or not. Of what has always been so: since the start.
    pub since: Millis,
    /// Where it does not hold: that, in words. Empty for Telegram, which has its own.
    pub words: String,
}

/// Judges again and again, and remembers since when things are as they are.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    since: BTreeMap<Name, (bool, Millis)>,
}

impl Judge {
    /// How everything stands at this moment.
    pub fn judge(&mut self, at: Millis, now: &Readiness, rules: &Rules) -> Vec<Condition> {
        let mut all: Vec<Condition> = Name::ALL
            .into_iter()
            .map(|name| condition(name, now, rules))
            .collect();
        for condition in &mut all {
            let entry = self
                .since
                .entry(condition.name)
                .or_insert((condition.ok, at));
            if entry.0 != condition.ok {
                *entry = (condition.ok, at);
            }
            // A clock that was set back has nothing begin in the future.
            entry.1 = entry.1.min(at);
            condition.since = entry.1;
        }
        all
    }
}

fn condition(name: Name, now: &Readiness, rules: &Rules) -> Condition {
    match name {
        Name::Started => Condition {
            ok: now.ready,
            words: if_not(now.ready, || "the start is not over".to_owned()),
            ..bare(name)
        },
        Name::Telegram => telegram(now, rules),
        Name::Runtime => at_most(name, Some(now.beat), rules.watchdog.runtime, |age| {
            format!("the runtime has not answered for {age}")
        }),
        Name::Database => at_most(name, Some(now.unanswered), rules.answer, |age| {
            format!("the database has not answered for {age}")
        }),
        Name::PollLoop => at_most(name, Some(now.overdue), rules.watchdog.intake, |age| {
            format!("the poll loop is {age} overdue")
        }),
        Name::Inbox => at_most(name, now.oldest_in, rules.inbox, |age| {
            format!("a message has waited for {age} to be acted on")
        }),
        Name::Outbox => at_most(name, now.oldest_out, rules.outbox, |age| {
            format!("something to send has waited for {age}")
        }),
        // Whoever ordered a pause knows that prompts wait.
        Name::Queue => at_most(
            name,
            now.oldest_prompt.filter(|_| !now.paused),
            rules.queue,
            |age| format!("a prompt has waited for an agent for {age}"),
        ),
        Name::Agents => {
            let (ended, limit) = (now.out_of_memory, u64::from(rules.out_of_memory));
            let ok = ended <= limit;
            Condition {
                ok,
                value: Some(number(ended)),
                limit: Some(number(limit)),
                unit: "agents",
                words: if_not(ok, || {
                    format!("{ended} agents ran out of memory within an hour")
                }),
                ..bare(name)
            }
        }
        Name::Writes => {
            let recent = now.write.filter(|write| write.ago <= RECENT);
            let took = recent.map(|write| write.took);
            at_most(name, took, rules.write, |_| {
                let took = took.unwrap_or_default().as_secs_f64();
                format!("the disk is slow ({took:.1} s for a write)")
            })
        }
        Name::Disk => {
            let ok = now.disk_free.is_none_or(|free| free >= rules.disk);
            Condition {
                ok,
                value: now.disk_free.map(number),
                limit: Some(number(rules.disk)),
                unit: "bytes",
                words: if_not(ok, || {
                    let free = now.disk_free.unwrap_or(0) / 1_000_000;
                    format!("there are only {free} MB left on the disk")
                }),
                ..bare(name)
            }
        }
        Name::Memory => {
            let limit = now.memory.limit.map(|limit| number(limit) * MEMORY);
            let value = now.memory.daemon.map(number);
            let ok = value.zip(limit).is_none_or(|(value, limit)| value <= limit);
            Condition {
                ok,
                value,
                limit,
                unit: "bytes",
                words: if_not(ok, || {
                    let used = now.memory.daemon.unwrap_or(0) / 1_000_000;
                    format!(
                        "telexd itself takes {used} MB of memory, which is nearly all that it may"
                    )
                }),
                ..bare(name)
            }
        }
    }
}

/// What counts is that polls are answered. That something else is answered (`getMe`) counts only as long as the first poll
/// can still be under way.
fn telegram(now: &Readiness, rules: &Rules) -> Condition {
    let polling = &now.polling;
    let age = polling.completed;
    let lately = match age {
        Some(age) => age <= rules.poll,
        None => polling.reached && now.up <= rules.poll,
    };
    let ok = polling.trouble.is_none() && lately;
    Condition {
        ok,
        value: age.map(|age| age.as_secs_f64()),
        limit: Some(rules.poll.as_secs_f64()),
        unit: "seconds",
        ..bare(Name::Telegram)
    }
}

fn at_most(
    name: Name,
    value: Option<Duration>,
    limit: Duration,
    words: impl FnOnce(&str) -> String,
) -> Condition {
    let ok = value.is_none_or(|value| value <= limit);
    Condition {
        ok,
        value: value.map(|value| value.as_secs_f64()),
        limit: Some(limit.as_secs_f64()),
        unit: "seconds",
        words: if_not(ok, || words(&span(value.unwrap_or_default()))),
        ..bare(name)
    }
}

fn bare(name: Name) -> Condition {
    Condition {
        name,
        ok: true,
        value: None,
        limit: None,
        unit: "",
        since: 0,
        words: String::new(),
    }
}

fn if_not(ok: bool, words: impl FnOnce() -> String) -> String {
    if ok { String::new() } else { words() }
}

/// For a document, in which numbers are of this kind; exact up to nine petabytes.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn number(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::health::{Memory, Polling, Trouble, Write};

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    pub(crate) fn rules() -> Rules {
        Rules {
            poll: s(70),
            watchdog: Limits::of(s(30)),
            answer: s(5),
            inbox: s(60),
            outbox: s(300),
            queue: s(1800),
            out_of_memory: 2,
            write: s(1),
            disk: 500_000_000,
        }
    }

    fn well() -> Readiness {
        Readiness {
            ready: true,
            polling: Polling {
                reached: true,
                completed: Some(s(3)),
                ..Polling::default()
            },
            disk_free: Some(10_000_000_000),
            ..Readiness::default()
        }
    }

    fn failing(now: &Readiness) -> Vec<(&'static str, String)> {
        Judge::default()
            .judge(0, now, &rules())
            .into_iter()
            .filter(|c| !c.ok)
            .map(|c| (c.name.as_str(), c.words))
            .collect()
    }

    #[test]
    fn each_can_fail_and_says_so() {
        assert_eq!(failing(&well()), []);
        let with = |change: fn(&mut Readiness)| {
            let mut now = well();
            change(&mut now);
            failing(&now)
        };
        type Change = fn(&mut Readiness);
        let table: [(Change, &str, &str); 12] = [
            (|r| r.ready = false, "started", "the start is not over"),
            (
                |r| r.polling.trouble = Some(Trouble::Throttled),
                "telegram",
                "",
            ),
            (
                |r| r.beat = s(16),
                "runtime",
                "the runtime has not answered for 16 s",
            ),
            (
                |r| r.unanswered = s(6),
                "database",
                "the database has not answered for 6 s",
            ),
            (
                |r| r.overdue = s(16),
                "poll_loop",
                "the poll loop is 16 s overdue",
            ),
            (
                |r| r.oldest_in = Some(s(61)),
                "inbox",
                "a message has waited for 1 min to be acted on",
            ),
            (
                |r| r.oldest_out = Some(s(301)),
                "outbox",
                "something to send has waited for 5 min",
            ),
            (
                |r| r.oldest_prompt = Some(s(1801)),
                "queue",
                "a prompt has waited for an agent for 30 min",
            ),
            (
                |r| r.out_of_memory = 3,
                "agents",
                "3 agents ran out of memory within an hour",
            ),
            (
                |r| {
                    r.write = Some(Write {
                        took: Duration::from_millis(2340),
                        ago: s(60),
                    });
                },
                "writes",
                "the disk is slow (2.3 s for a write)",
            ),
            (
                |r| r.disk_free = Some(499_999_999),
                "disk",
                "there are only 499 MB left on the disk",
            ),
            (
                |r| {
                    r.memory = Memory {
                        daemon: Some(81_000_000),
                        limit: Some(100_000_000),
                        agents: None,
                    };
                },
                "memory",
                "telexd itself takes 81 MB of memory, which is nearly all that it may",
            ),
        ];
        for (change, name, words) in table {
            assert_eq!(with(change), [(name, words.to_owned())]);
        }
        // Just within.
        assert_eq!(
            with(|r| {
                r.beat = s(15);
                r.unanswered = s(5);
                r.overdue = s(15);
                r.oldest_in = Some(s(60));
                r.oldest_out = Some(s(300));
                r.oldest_prompt = Some(s(1800));
                r.out_of_memory = 2;
                r.disk_free = Some(500_000_000);
                r.write = Some(Write {
                    took: s(1),
                    ago: s(0),
                });
            }),
            []
        );
        // Long ago it was slow, and prompts wait because somebody wants that.
        assert_eq!(
            with(|r| {
                r.write = Some(Write {
                    took: s(9),
                    ago: s(61),
                });
                r.oldest_prompt = Some(s(99_999));
                r.paused = true;
            }),
            []
        );
    }

    #[test]
    fn telegram_is_judged_by_polls() {
        let ok = |reached, completed, up| {
            let now = Readiness {
                polling: Polling {
                    reached,
                    completed,
                    ..Polling::default()
                },
                up,
                ..well()
            };
            failing(&now).is_empty()
        };
        // Nothing yet; another call was answered, and the first poll may last.
        assert!(!ok(false, None, s(1)));
        assert!(ok(true, None, s(70)));
        // The other call is answered for ever, but no poll is.
        assert!(!ok(true, None, s(71)));
        assert!(ok(true, Some(s(70)), s(9999)));
        assert!(!ok(true, Some(s(71)), s(9999)));
    }

    #[test]
    fn it_is_known_since_when() {
        let mut judge = Judge::default();
        let mut since = |at, now: &Readiness| {
            let all = judge.judge(at, now, &rules());
            let disk = all.iter().find(|c| c.name == Name::Disk).unwrap();
            (disk.ok, disk.since)
        };
        let low = Readiness {
            disk_free: Some(1),
            ..well()
        };
        assert_eq!(since(10, &well()), (true, 10));
        assert_eq!(since(20, &well()), (true, 10));
        assert_eq!(since(30, &low), (false, 30));
        assert_eq!(since(40, &low), (false, 30));
        assert_eq!(since(50, &well()), (true, 50));
        // The clock was set back.
        assert_eq!(since(5, &well()), (true, 5));
    }

    proptest! {
        /// What does not hold has words (but Telegram, which has its own), and what holds has none.
        #[test]
        fn words_go_with_what_does_not_hold(
            beat in 0_u64..40, unanswered in 0_u64..10, age in 0_u64..4000, free in 0_u64..1_000_000_000, ready: bool,
        ) {
            let now = Readiness {
                ready,
                beat: s(beat),
                unanswered: s(unanswered),
                oldest_in: Some(s(age)),
                oldest_out: Some(s(age)),
                oldest_prompt: Some(s(age)),
                disk_free: Some(free),
                ..Readiness::default()
            };
            for c in Judge::default().judge(0, &now, &rules()) {
                prop_assert_eq!(c.words.is_empty(), c.ok || c.name == Name::Telegram, "{:?}", c);
                prop_assert!(!c.words.contains('\n'));
            }
        }
    }
}
