//! How long a turn may take, and what is done about one that takes longer. A rule over time that passes; without a clock.
//!
//! Two times are kept: for how long the turn works, and for how long its agent has said nothing. Whoever keeps the watch
//! says how much passes. What should count against nobody (a person is waited for, the store refuses what the agent said,
//! the daemon is not there) is simply not said, so no clock that is set and no restart ends a turn.

use serde::{Deserialize, Serialize};

use super::Millis;

/// The limits that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The whole turn.
    Turn,
    /// From the prompt to the first sign of the agent that it has taken it up.
    FirstOutput,
    /// Nothing said while it works.
    Silence,
    /// From its last word to its rest.
    AfterResult,
}

/// How long each is, in milliseconds; `None`: there is no such limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of [`Limit::Turn`].
    pub turn: Option<Millis>,
    /// Of [`Limit::FirstOutput`].
    pub first_output: Option<Millis>,
    /// Of [`Limit::Silence`].
    pub silence: Option<Millis>,
    /// Of [`Limit::AfterResult`].
    pub after_result: Option<Millis>,
}

impl Limit {
    /// Its letter in a button.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Turn => 't',
            Self::FirstOutput => 'f',
            Self::Silence => 's',
            Self::AfterResult => 'a',
        }
    }

    /// The one with this letter.
    #[must_use]
    pub fn of_letter(letter: &str) -> Option<Self> {
        [
            Self::Turn,
            Self::FirstOutput,
            Self::Silence,
            Self::AfterResult,
        ]
        .into_iter()
        .find(|limit| letter.chars().eq([limit.letter()]))
    }
}

impl Limits {
    /// The length of one of them.
    #[must_use]
    pub fn of(self, limit: Limit) -> Option<Millis> {
        match limit {
            Limit::Turn => self.turn,
            Limit::FirstOutput => self.first_output,
            Limit::Silence => self.silence,
            Limit::AfterResult => self.after_result,
        }
    }
}

/// How far a turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its agent has not taken it up.
    Starting,
    /// Its agent works.
    Working,
    /// Its agent has said the last word and is to come to rest.
    Resting,
}

impl Stage {
    /// The limit of its agent's silence.
    fn quiet(self) -> Limit {
        match self {
            Self::Starting => Limit::FirstOutput,
            Self::Working => Limit::Silence,
            Self::Resting => Limit::AfterResult,
        }
    }
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The person is to be told that the end is near.
    Tell(Notice),
    /// The turn is to end.
    End(Over),
}

/// That a limit is near.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Which.
    pub limit: Limit,
    /// How much of it has passed, in milliseconds.
    pub spent: Millis,
    /// How much is left, in milliseconds.
    pub left: Millis,
    /// By how much it may be made longer, in milliseconds; `None`: not any more.
    pub longer_by: Option<Millis>,
}

/// That a limit was reached: kept with the turn, for what its person is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// Which.
    pub limit: Limit,
    /// After how long, in milliseconds.
    pub after_ms: Millis,
}

/// Longest time between the notice and the end.
const LONGEST_NOTICE: Millis = 5 * 60 * 1000;

/// How long before the end of a limit a person is told: a fifth of it, so that whoever looks now and then can still do
/// something.
fn lead(length: Millis) -> Millis {
    (length / 5).min(LONGEST_NOTICE)
}

/// Time that passed against one limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Spent {
    ms: Millis,
    /// Whether a person gave it longer. Once.
    longer: bool,
    /// Whether the person knows that the end is near.
    told: bool,
}

impl Spent {
    fn add(&mut self, ms: Millis) {
        self.ms = self.ms.saturating_add(ms.max(0));
    }

    /// What comes next, and in how many milliseconds.
    fn next(&self, limit: Limit, length: Millis) -> (Millis, Due) {
        let whole = if self.longer {
            length.saturating_mul(2)
        } else {
            length
        };
        let left = whole.saturating_sub(self.ms).max(0);
        let over = Due::End(Over {
            limit,
            after_ms: whole,
        });
        // Nobody waits for the rest of an agent.
        if left == 0 || self.told || limit == Limit::AfterResult {
            return (left, over);
        }
        let lead = lead(length);
        let notice = Due::Tell(Notice {
            limit,
            spent: self.ms,
            left: left.min(lead),
            longer_by: (!self.longer).then_some(length),
        });
        (left.saturating_sub(lead).max(0), notice)
    }
}

/// The watch over one turn. Stored with it, so that a restart of the daemon does not begin anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watch {
    turn: Spent,
    quiet: Spent,
}

impl Watch {
    /// So many milliseconds passed.
    pub fn passes(&mut self, ms: Millis) {
        self.turn.add(ms);
        self.quiet.add(ms);
    }

    /// The agent said something.
    pub fn heard(&mut self) {
        self.quiet = Spent::default();
    }

    /// What comes next unless something is said, and in how many milliseconds; 0: it is due.
    #[must_use]
    pub fn next(&self, limits: Limits, stage: Stage) -> Option<(Millis, Due)> {
        let quiet = stage.quiet();
        let of = |limit, spent: &Spent| Some(spent.next(limit, limits.of(limit)?));
        let (turn, quiet) = (of(Limit::Turn, &self.turn), of(quiet, &self.quiet));
        // Of what is due at once, an end makes a notice needless.
        let order = |(wait, due): &(Millis, Due)| (*wait, matches!(due, Due::Tell(_)));
        turn.into_iter().chain(quiet).min_by_key(order)
    }

    /// The person knows that this limit is near.
    pub fn told(&mut self, limit: Limit) {
        self.spent(limit).told = true;
    }

    /// The limit of which the person knows that it is near, and which may be made longer.
    #[must_use]
    pub fn near(&self, stage: Stage) -> Option<Limit> {
        let of = |spent: &Spent| spent.told && !spent.longer;
        let quiet = of(&self.quiet).then(|| stage.quiet());
        quiet.or_else(|| of(&self.turn).then_some(Limit::Turn))
    }

    /// A person gives it longer, by the length of the limit. False: the end is not near, or they did so before.
    pub fn longer(&mut self, limit: Limit) -> bool {
        let spent = self.spent(limit);
        if !spent.told || spent.longer {
            return false;
        }
        spent.longer = true;
        spent.told = false;
        true
    }

    /// Whether the chat shows something about the agent's silence.
    #[must_use]
    pub fn shows_silence(&self) -> bool {
        self.quiet.told || self.quiet.longer
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        *self == Self::default()
    }

    fn spent(&mut self, limit: Limit) -> &mut Spent {
        match limit {
            Limit::Turn => &mut self.turn,
            Limit::FirstOutput | Limit::Silence | Limit::AfterResult => &mut self.quiet,
        }
    }
}

#[cfg(test)]
mod tests;
