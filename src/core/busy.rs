//! What a prompt does that comes while another of its conversation runs.

use serde::{Deserialize, Serialize};

use super::ids::TurnId;

/// What it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Busy {
    /// It waits in line.
    #[default]
    Queue,
    /// It ends the answer that is being written and runs next.
    Interrupt,
    /// The agent is given it while it works.
    Steer,
}

/// A prompt that came while another ran, and what it was to do about that, by the settings of that moment. It counts as
/// long as that other one runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newer {
    /// The prompt.
    pub turn: TurnId,
    /// The one that ran.
    pub over: TurnId,
    /// What it does.
    pub does: Busy,
}

/// Most prompts that an agent is given into one answer; whatever else comes meanwhile waits in line.
pub const MOST_BESIDE: usize = 16;

/// Whether one more can be given into the answer that is being written, where so many were already; those that are recorded
/// and are still to be given count as well.
#[must_use]
pub fn takes_more(newer: &[Newer], running: TurnId, beside: usize) -> bool {
    let of = |one: &&Newer| one.over == running && one.does == Busy::Steer;
    newer.iter().filter(of).count() + beside < MOST_BESIDE
}

/// The next prompt that the agent is to be given into the one that it works on. `waits`: the prompts in line, in their
/// order. Those that are to be given so keep the order in which they came, and pass those that merely wait.
#[must_use]
pub fn handed_next(newer: &[Newer], running: TurnId, waits: &[TurnId]) -> Option<TurnId> {
    let of = |one: &&Newer| one.over == running && one.does == Busy::Steer;
    let mut all = newer.iter().filter(of).map(|one| one.turn);
    all.find(|turn| waits.contains(turn))
}

/// Whether one that waits is to end what runs.
#[must_use]
pub fn interrupts(newer: &[Newer], running: TurnId, waits: &[TurnId]) -> bool {
    newer
        .iter()
        .any(|one| one.over == running && one.does == Busy::Interrupt && waits.contains(&one.turn))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newer(turn: i64, over: i64, does: Busy) -> Newer {
        Newer {
            turn: TurnId(turn),
            over: TurnId(over),
            does,
        }
    }

    #[test]
    fn only_what_waits_and_only_over_what_runs() {
        let ids = |ids: &[i64]| ids.iter().map(|id| TurnId(*id)).collect::<Vec<_>>();
        let all = [
            newer(2, 1, Busy::Steer),
            newer(4, 3, Busy::Interrupt),
            newer(6, 3, Busy::Steer),
            newer(5, 3, Busy::Steer),
        ];
        for (running, waits, handed, ends) in [
            (1, &[2, 4, 5, 6][..], Some(2), false),
            (3, &[4, 5, 6], Some(6), true),
            (3, &[5], Some(5), false),
            (3, &[2], None, false),
            (7, &[2, 4, 5, 6], None, false),
            (3, &[], None, false),
        ] {
            let (running, waits) = (TurnId(running), ids(waits));
            assert_eq!(
                handed_next(&all, running, &waits),
                handed.map(TurnId),
                "{running} {waits:?}"
            );
            assert_eq!(
                interrupts(&all, running, &waits),
                ends,
                "{running} {waits:?}"
            );
        }
    }

    #[test]
    fn only_so_many_are_given_into_one_answer() {
        let steers = |n| vec![newer(5, 3, Busy::Steer); n];
        for (newer, beside, more) in [
            (steers(0), 0, true),
            (steers(3), MOST_BESIDE - 4, true),
            (steers(3), MOST_BESIDE - 3, false),
            (steers(0), MOST_BESIDE, false),
            // Of another answer.
            (vec![newer(5, 4, Busy::Steer)], MOST_BESIDE - 1, true),
            (vec![newer(5, 3, Busy::Interrupt)], MOST_BESIDE - 1, true),
        ] {
            assert_eq!(
                takes_more(&newer, TurnId(3), beside),
                more,
                "{newer:?} {beside}"
            );
        }
    }

    #[test]
    fn it_is_stored_by_its_name() {
        let json = serde_json::to_string(&newer(2, 1, Busy::Steer)).unwrap();
        assert_eq!(json, r#"{"turn":2,"over":1,"does":"steer"}"#);
    }
}
