//! The order of prompts that wait, and what people may order about it.
//!
//! Prompts of one conversation run by their place, and those of one place in the order in which they came. Whoever moves
//! a prompt forward lets it pass their own others and nobody else's: over all conversations the line keeps its seats, each
//! taken when a message came, and only who sits in them changes.

use std::collections::{HashMap, VecDeque};

use super::ids::{ConversationId, TurnId};

/// What a prompt's order depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Whose it is.
    pub conversation: ConversationId,
    /// Turn; later ones have greater numbers.
    pub turn: TurnId,
    /// Place; smaller comes first.
    pub place: i64,
    /// Whether it is with an agent already, so that it waits for nobody.
    pub given: bool,
}

/// Puts the prompts of all conversations in the order in which they come.
#[must_use]
pub fn line<T>(mut all: Vec<T>, seat: impl Fn(&T) -> Seat) -> Vec<T> {
    // One that is with an agent keeps the seat that it came with; those that wait share theirs.
    let of = |seat: Seat| (seat.conversation, seat.given.then_some(seat.turn));
    all.sort_by_key(|one| seat(one).turn);
    let seats: Vec<_> = all.iter().map(|one| of(seat(one))).collect();
    all.sort_by_key(|one| (seat(one).place, seat(one).turn));
    let mut sitting: HashMap<_, VecDeque<T>> = HashMap::new();
    for one in all {
        sitting.entry(of(seat(&one))).or_default().push_back(one);
    }
    let next = |of| sitting.get_mut(&of)?.pop_front();
    seats.into_iter().filter_map(next).collect()
}

/// What a person orders about the queue of their conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// To see it.
    List,
    /// A prompt is to run before the others.
    Next(TurnId),
    /// A prompt is never to run.
    Drop(TurnId),
    /// None is to run.
    DropAll,
    /// All that is kept is to run.
    RunAll,
}

/// Reads the arguments of `/queue`; `None` where they are none of these.
#[must_use]
pub fn order(args: &str) -> Option<Order> {
    let args = args.to_ascii_lowercase();
    let words: Vec<&str> = args.split_whitespace().collect();
    let number = |word: &str| {
        let number = word.strip_prefix('#').unwrap_or(word);
        number.parse().ok().map(TurnId)
    };
    Some(match words[..] {
        [] | ["list"] => Order::List,
        ["next", which] => Order::Next(number(which)?),
        ["drop", "all"] => Order::DropAll,
        ["drop", which] => Order::Drop(number(which)?),
        ["run"] | ["run", "all"] => Order::RunAll,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seat(conversation: i64, turn: i64, place: i64, given: bool) -> Seat {
        Seat {
            conversation: ConversationId(conversation),
            turn: TurnId(turn),
            place,
            given,
        }
    }

    fn turns(all: Vec<Seat>) -> Vec<i64> {
        line(all, |seat| *seat).iter().map(|s| s.turn.0).collect()
    }

    #[test]
    fn what_is_ordered_is_read_strictly() {
        for (args, wanted) in [
            ("", Some(Order::List)),
            (" list ", Some(Order::List)),
            ("next 12", Some(Order::Next(TurnId(12)))),
            ("Next  #12", Some(Order::Next(TurnId(12)))),
            ("drop 12", Some(Order::Drop(TurnId(12)))),
            ("drop all", Some(Order::DropAll)),
            ("run", Some(Order::RunAll)),
            ("run all", Some(Order::RunAll)),
            ("next", None),
            ("next x", None),
            ("next ##1", None),
            ("drop 1 2", None),
            ("drop 99999999999999999999", None),
            ("run 5", None),
            ("all", None),
        ] {
            assert_eq!(order(args), wanted, "{args}");
        }
    }

    #[test]
    fn who_moves_up_passes_only_their_own() {
        let all = vec![
            seat(1, 1, 0, true),
            seat(1, 2, 0, false),
            seat(2, 3, 0, false),
            seat(1, 4, -1, false),
            seat(2, 5, -7, false),
        ];
        assert_eq!(turns(all), [1, 4, 5, 2, 3]);
    }

    #[test]
    fn what_is_with_the_agent_waits_for_nobody() {
        let all = vec![
            seat(1, 1, 0, false),
            seat(2, 2, 0, false),
            seat(1, 3, -1, true),
        ];
        assert_eq!(turns(all), [1, 2, 3]);
    }

    fn any_line() -> impl Strategy<Value = Vec<Seat>> {
        let one = (0..4_i64, -3..3_i64, any::<bool>());
        prop::collection::vec(one, 0..20)
            .prop_shuffle()
            .prop_map(|all| {
                (1..)
                    .zip(all)
                    .map(|(turn, (conversation, place, given))| {
                        seat(conversation, turn, place, given)
                    })
                    .collect()
            })
    }

    proptest! {
        #[test]
        fn the_line_loses_and_doubles_nobody(all in any_line().prop_shuffle()) {
            let mut found = turns(all.clone());
            found.sort_unstable();
            let mut there: Vec<i64> = all.iter().map(|s| s.turn.0).collect();
            there.sort_unstable();
            prop_assert_eq!(found, there);
        }

        #[test]
        fn each_conversation_keeps_its_seats(all in any_line()) {
            let seats = |all: &[Seat]| all.iter().map(|s| (s.conversation, s.given)).collect::<Vec<_>>();
            let before = seats(&all);
            let after = seats(&line(all, |seat| *seat));
            prop_assert_eq!(before, after);
        }

        #[test]
        fn one_conversation_is_in_its_own_order(all in any_line()) {
            for conversation in 0..4 {
                let own = |s: &&Seat| s.conversation == ConversationId(conversation) && !s.given;
                let ordered = line(all.clone(), |seat| *seat);
                let found: Vec<_> = ordered.iter().filter(own).map(|s| (s.place, s.turn)).collect();
                prop_assert!(found.is_sorted(), "{:?}", found);
            }
        }

        #[test]
        fn without_places_they_come_as_they_came(all in any_line()) {
            let flat = all.into_iter().map(|s| Seat { place: 0, ..s }).collect();
            prop_assert!(turns(flat).is_sorted());
        }
    }
}
