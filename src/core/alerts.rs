//! What administrators are told without having asked: each trouble once, and once when it is over. Pure.
//!
//! [`State`] is what people were told and what they are still to be told; it is stored in the transaction that writes the
//! messages, so a restart neither repeats nor forgets. [`Watch`] is what is only suspected: it lives as long as the process.
//! A [`step`] takes what is seen at a moment and says what to tell. Where its outcome could not be stored, the same step is
//! simply taken again.
//!
//! So that a value that swings does not flood: a trouble has to last ([`Alert::hold`]), has to be away for much longer to
//! count as over ([`Alert::clear`]), for twice as long each time that it came back within an hour, and there are at most
//! [`MOST`] messages an hour. What there is no room for is collected, as in quiet hours, and told in one message.

mod quiet;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use self::quiet::{Local, Quiet};
use super::Millis;

const SECOND: Millis = 1000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;

/// Most messages that one administrator is sent within an hour.
pub const MOST: usize = 12;
/// Most of those that are not urgent: the rest is kept for what is.
const MOST_ORDINARY: usize = 8;
/// After how long without it a suspicion is dropped.
const DROPPED: Millis = MINUTE;
/// Longest that something has to be away to be over, however often it came back.
const LONGEST_CLEAR: Millis = HOUR;
/// How long it is remembered that something was there: if it comes back within that, it swings.
const REMEMBERED: Millis = HOUR;
/// From how many slow writes on the database is slow: one alone says little.
const SLOW_WRITES: usize = 3;

/// What administrators are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alert {
    /// telexd crashed and was started again.
    Crash,
    /// It crashes again and again.
    CrashLoop,
    /// It stood still, and the watchdog ended it.
    Watchdog,
    /// Another program polls with the bot's token.
    Conflict,
    /// Telegram does not accept the bot's token.
    Unauthorized,
    /// There is little room on the disk.
    Disk,
    /// Writes to the database take long.
    Database,
    /// Agents run out of memory again and again.
    OutOfMemory,
    /// A prompt waits long for an agent.
    Queue,
}

impl Alert {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 9] = [
        Self::Crash,
        Self::CrashLoop,
        Self::Watchdog,
        Self::Conflict,
        Self::Unauthorized,
        Self::Disk,
        Self::Database,
        Self::OutOfMemory,
        Self::Queue,
    ];

    /// As it is called in the configuration and in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::CrashLoop => "crash_loop",
            Self::Watchdog => "watchdog",
            Self::Conflict => "conflict",
            Self::Unauthorized => "unauthorized",
            Self::Disk => "disk",
            Self::Database => "database",
            Self::OutOfMemory => "out_of_memory",
            Self::Queue => "queue",
        }
    }

    /// Whether it is told in quiet hours, too: what soon makes the bot useless, unless somebody acts.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::CrashLoop | Self::Conflict | Self::Disk)
    }

    /// Whether it can be told while it lasts: not what closes the way to Telegram itself.
    #[must_use]
    pub fn can_be_told(self) -> bool {
        self != Self::Unauthorized
    }

    /// How long it has to last. Zero for what has been judged elsewhere, or has happened.
    #[must_use]
    pub fn hold(self) -> Millis {
        match self {
            Self::Disk | Self::Database | Self::Queue => 30 * SECOND,
            _ => 0,
        }
    }

    /// How long it has to be away to be over.
    #[must_use]
    pub fn clear(self) -> Millis {
        match self {
            // An answer of Telegram's proves it.
            Self::Unauthorized => 0,
            Self::Crash | Self::Watchdog => 10 * MINUTE,
            Self::CrashLoop => 30 * MINUTE,
            _ => 5 * MINUTE,
        }
    }

    /// How many pieces of evidence are needed.
    fn evidence(self) -> usize {
        if self == Self::Database {
            SLOW_WRITES
        } else {
            1
        }
    }

    /// Whether it is part of another trouble, which is told instead.
    fn is_told_with(self, other: Self) -> bool {
        other == Self::CrashLoop && matches!(self, Self::Crash | Self::Watchdog)
    }
}

/// What was measured: in bytes, seconds or pieces, as fits the alert.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// The value.
    pub value: Option<f64>,
    /// Its limit.
    pub limit: Option<f64>,
    /// What exactly, in words of this program.
    pub about: Option<String>,
}

/// What is seen of one of them at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Of which.
    pub alert: Alert,
    /// Whether it is there; `None`: that cannot be told now, so it neither begins nor ends.
    pub bad: Option<bool>,
    /// What shows it: the same number is the same piece of evidence, seen again.
    pub evidence: u64,
    /// How bad it is.
    pub figures: Figures,
}

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// By the clock on the wall, which may be set.
    pub at: Millis,
    /// By one that nobody sets: since this process began.
    pub up: Millis,
    /// Whether it lies in quiet hours.
    pub quiet: bool,
}

/// Who is told of what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// What is not told.
    pub off: BTreeSet<Alert>,
    /// Telegram user ids of those who are told.
    pub admins: BTreeSet<i64>,
    /// Those of them who were just told of a crash in another way.
    pub know: BTreeSet<i64>,
}

/// What was told, and what is to be told. Stored as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// What lasts.
    pub open: BTreeMap<Alert, Open>,
    /// What is over, of which that is still to be told.
    pub held: BTreeMap<Alert, Held>,
    /// What was over lately.
    past: BTreeMap<Alert, Past>,
    /// When messages were sent within the last hour.
    sent: Vec<Millis>,
}

/// A trouble that lasts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Open {
    /// Since when.
    pub since: Millis,
    /// How bad it was when it began.
    pub figures: Figures,
    /// Who was told; `None`: nobody yet. Nobody is told of what belongs to another trouble that was told.
    pub told: Option<BTreeSet<i64>>,
}

/// A trouble that is over, perhaps several times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Held {
    /// When it first began.
    pub since: Millis,
    /// When it was last over.
    pub until: Millis,
    /// How often it was there.
    pub times: u32,
    /// Those who know that it began.
    pub told: BTreeSet<i64>,
    /// Whether all others are to know as well: nobody was told at least once.
    pub everybody: bool,
}

/// A trouble that was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Past {
    /// When it was over.
    ended: Millis,
    /// How often it came back since.
    back: u32,
}

/// What is suspected, by a clock that nobody sets.
#[derive(Clone, Debug, Default)]
pub struct Watch(BTreeMap<Alert, Timer>);

#[derive(Clone, Debug, Default)]
struct Timer {
    /// Since when it has been there, with short breaks.
    bad: Option<Millis>,
    /// Since when it has been away.
    good: Option<Millis>,
    /// The pieces of evidence, as many as are needed.
    evidence: BTreeSet<u64>,
}

/// A line of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// It has begun, and lasts.
    Begins {
        /// What.
        alert: Alert,
        /// Since when.
        since: Millis,
        /// How bad it is.
        figures: Figures,
    },
    /// It is over; the reader knew of it.
    Over {
        /// What.
        alert: Alert,
        /// When it began.
        since: Millis,
        /// When it ended.
        until: Millis,
    },
    /// It was there and is over; the reader did not know of it.
    Was {
        /// What.
        alert: Alert,
        /// When it first began.
        since: Millis,
        /// When it last ended.
        until: Millis,
        /// How often it was there.
        times: u32,
    },
}

/// What follows from a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is to be stored, together with the messages.
    pub state: State,
    /// What each is to be told, in one message.
    pub tell: BTreeMap<i64, Vec<Line>>,
    /// What began.
    pub begun: Vec<Alert>,
    /// What is over.
    pub over: Vec<Alert>,
}

impl Timer {
    fn see(&mut self, alert: Alert, seen: &Seen, up: Millis) {
        match seen.bad {
            Some(true) => {
                self.good = None;
                self.bad.get_or_insert(up);
                if self.evidence.len() < alert.evidence() {
                    self.evidence.insert(seen.evidence);
                }
            }
            Some(false) => {
                self.good.get_or_insert(up);
            }
            None => {}
        }
        if self
            .good
            .is_some_and(|good| up - good >= DROPPED.min(alert.clear()))
        {
            self.bad = None;
            self.evidence.clear();
        }
    }

    /// Since how long it has been there, if that is long enough to be told.
    fn begun(&self, alert: Alert, up: Millis) -> Option<Millis> {
        let lasted = up - self.bad.filter(|_| self.good.is_none())?;
        (lasted >= alert.hold() && self.evidence.len() >= alert.evidence()).then_some(lasted)
    }

    /// Since how long it has been away, if that is long enough to be over.
    fn over(&self, clear: Millis, up: Millis) -> Option<Millis> {
        let away = up - self.good?;
        (away >= clear).then_some(away)
    }
}

/// What follows from what is seen now. `watch` is changed even where the outcome cannot be stored: the next step comes to
/// the same.
pub fn step(before: &State, watch: &mut Watch, now: Moment, seen: &[Seen], rule: &Rule) -> Step {
    let mut step = Step {
        state: before.clone(),
        tell: BTreeMap::new(),
        begun: Vec::new(),
        over: Vec::new(),
    };
    let state = &mut step.state;
    state.forget(now.at, &rule.off);
    let mut ended = Vec::new();
    for seen in seen.iter().filter(|seen| !rule.off.contains(&seen.alert)) {
        let alert = seen.alert;
        let timer = watch.0.entry(alert).or_default();
        timer.see(alert, seen, now.up);
        match state.open.get(&alert) {
            None => {
                if let Some(lasted) = timer.begun(alert, now.up) {
                    let figures = seen.figures.clone();
                    state.begin(alert, now.at - lasted, figures);
                    step.begun.push(alert);
                }
            }
            Some(open) => {
                if let Some(away) = timer.over(state.clear(alert), now.up) {
                    let since = open.since;
                    ended.push((alert, (now.at - away).max(since)));
                }
            }
        }
    }
    state.silence_parts();
    for (alert, until) in ended {
        state.end(alert, until, now.at);
        step.over.push(alert);
    }
    step.tell = state.deliver(now, rule);
    step
}

impl State {
    /// Forgets what does not matter any more. What was switched off is forgotten as if it had never been.
    fn forget(&mut self, at: Millis, off: &BTreeSet<Alert>) {
        self.open.retain(|alert, _| !off.contains(alert));
        self.held.retain(|alert, _| !off.contains(alert));
        // A time in the future is one of a clock that was set back: it holds nobody up.
        let recent = |then: Millis, within: Millis| (0..within).contains(&at.saturating_sub(then));
        let open = &self.open;
        self.past
            .retain(|alert, past| open.contains_key(alert) || recent(past.ended, REMEMBERED));
        self.sent.retain(|sent| recent(*sent, HOUR));
    }

    fn begin(&mut self, alert: Alert, since: Millis, figures: Figures) {
        if let Some(past) = self.past.get_mut(&alert) {
            past.back = past.back.saturating_add(1);
        }
        let told = None;
        self.open.insert(
            alert,
            Open {
                since,
                figures,
                told,
            },
        );
    }

    /// What is part of another trouble that lasts is not told beside it.
    fn silence_parts(&mut self) {
        let whole: Vec<Alert> = self.open.keys().copied().collect();
        for (alert, open) in &mut self.open {
            if whole.iter().any(|whole| alert.is_told_with(*whole)) {
                open.told = Some(BTreeSet::new());
            }
        }
    }

    /// How long it has to be away now to be over.
    fn clear(&self, alert: Alert) -> Millis {
        let clear = alert.clear();
        let back = self.past.get(&alert).map_or(0, |past| past.back.min(16));
        (clear << back).min(LONGEST_CLEAR.max(clear))
    }

    /// It is over: that is to be told, if anybody should know.
    fn end(&mut self, alert: Alert, until: Millis, at: Millis) {
        let Some(open) = self.open.remove(&alert) else {
            return;
        };
        self.past.entry(alert).or_default().ended = at;
        let everybody = open.told.is_none();
        let told = open.told.unwrap_or_default();
        if !everybody && told.is_empty() {
            return;
        }
        let held = self.held.entry(alert).or_insert_with(|| Held {
            since: open.since,
            ..Held::default()
        });
        held.since = held.since.min(open.since);
        held.until = held.until.max(until);
        held.times = held.times.saturating_add(1);
        held.told.extend(told);
        held.everybody |= everybody;
    }

    /// What is told now; what cannot be is kept.
    fn deliver(&mut self, now: Moment, rule: &Rule) -> BTreeMap<i64, Vec<Line>> {
        let mut tell: BTreeMap<i64, Vec<Line>> = BTreeMap::new();
        // Nobody is there: it waits for somebody.
        if rule.admins.is_empty() {
            return tell;
        }
        let may = |urgent: bool, sent: usize| {
            if urgent {
                sent < MOST
            } else {
                !now.quiet && sent < MOST_ORDINARY
            }
        };
        let sent = self.sent.len();
        let begins: Vec<Alert> = self
            .open
            .iter()
            .filter(|(alert, open)| {
                open.told.is_none() && alert.can_be_told() && may(alert.is_urgent(), sent)
            })
            .map(|(alert, _)| *alert)
            .collect();
        let ends: Vec<Alert> = self
            .held
            .iter()
            // The end of what somebody may have got up for; or nobody may be told that it begins before the last end.
            .filter(|(alert, held)| {
                may(alert.is_urgent() && !held.told.is_empty(), sent) || begins.contains(*alert)
            })
            .map(|(alert, _)| *alert)
            .collect();
        for alert in ends {
            let Some(held) = self.held.remove(&alert) else {
                continue;
            };
            for admin in &rule.admins {
                let line = held.line(alert, *admin);
                if let Some(line) = line {
                    tell.entry(*admin).or_default().push(line);
                }
            }
        }
        for alert in begins {
            let Some(open) = self.open.get_mut(&alert) else {
                continue;
            };
            let mut told = rule.admins.clone();
            if alert.is_told_with(Alert::CrashLoop) {
                told.retain(|admin| !rule.know.contains(admin));
            }
            for admin in &told {
                tell.entry(*admin).or_default().push(Line::Begins {
                    alert,
                    since: open.since,
                    figures: open.figures.clone(),
                });
            }
            open.told = Some(told);
        }
        if !tell.is_empty() {
            self.sent.push(now.at);
        }
        tell
    }
}

impl Held {
    /// What this person is told of it.
    fn line(&self, alert: Alert, admin: i64) -> Option<Line> {
        let Self {
            since,
            until,
            times,
            ..
        } = *self;
        if self.told.contains(&admin) {
            return Some(Line::Over {
                alert,
                since,
                until,
            });
        }
        self.everybody.then_some(Line::Was {
            alert,
            since,
            until,
            times,
        })
    }
}
