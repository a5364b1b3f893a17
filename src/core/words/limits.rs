//! Words about turns that take long.

use tr::tr;

use super::Phrase;
use super::span;
use crate::core::{
    Millis,
    limits::{Limit, Notice, Over},
};

/// Button below a notice that the end is near.
pub static GIVE_LONGER: Phrase = phrase!("Give it longer");
/// Press of it where there is nothing to be given any more.
pub static GIVEN_ALREADY: Phrase =
    phrase!("“Give it longer” is no longer of use: it has longer already, or is being stopped.");

/// Answer to `/longer` while no limit is near.
pub static NOTHING_NEAR: Phrase =
    phrase!("I am not about to stop anything. When I am, I say so before.");

/// To the nearest second: whoever looks is a moment late.
fn about(ms: Millis) -> String {
    span(ms.saturating_add(500))
}

/// That the end of a turn is near.
#[must_use]
pub fn near(notice: &Notice) -> String {
    let spent = about(notice.spent);
    let what = match notice.limit {
        Limit::Turn => tr!("This has been going on for {spent}.", spent),
        Limit::FirstOutput => tr!("The agent has not begun yet, after {spent}.", spent),
        Limit::Silence => tr!("The agent has said nothing for {spent}.", spent),
        Limit::AfterResult => tr!("The agent does not come to rest, after {spent}.", spent),
    };
    let left = about(notice.left);
    match notice.longer_by {
        Some(_) => tr!(
            "{what} I stop it in {left} unless you give it longer.",
            what,
            left
        ),
        None => tr!("{what} I stop it in {left}.", what, left),
    }
}

/// That it was given so much longer.
#[must_use]
pub fn given(by: Millis) -> String {
    tr!("All right, I give it {} longer.", span(by))
}

/// Under the answer of a turn that came to a limit.
#[must_use]
pub fn over(over: Over) -> String {
    static GOES_ON: Phrase =
        phrase!("The conversation goes on: write “continue” and the agent picks it up again.");
    let after = span(over.after_ms);
    match over.limit {
        Limit::Turn => tr!(
            "This took longer than {after}, so I stopped it. {goes_on}",
            after,
            goes_on = GOES_ON.as_str()
        ),
        Limit::FirstOutput => tr!(
            "The agent did not begin within {after}, so I ended it. Please send your message again; the conversation is kept.",
            after
        ),
        Limit::Silence => tr!(
            "The agent said nothing for {after}, so I stopped it. {goes_on}",
            after,
            goes_on = GOES_ON.as_str()
        ),
        Limit::AfterResult => {
            tr!(
                "The agent did not come to rest within {after}, so I ended it. {goes_on}",
                after,
                goes_on = GOES_ON.as_str()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_before_and_after() {
        let notice = |limit, longer_by| Notice {
            limit,
            spent: 55 * 60_000,
            left: 5 * 60_000 - 7,
            longer_by,
        };
        for (limit, longer_by, text) in [
            (
                Limit::Turn,
                Some(1),
                "This has been going on for 55 min. I stop it in 5 min unless you give it longer.",
            ),
            (
                Limit::Silence,
                None,
                "The agent has said nothing for 55 min. I stop it in 5 min.",
            ),
            (
                Limit::FirstOutput,
                None,
                "The agent has not begun yet, after 55 min. I stop it in 5 min.",
            ),
        ] {
            assert_eq!(near(&notice(limit, longer_by)), text);
        }
        for (limit, begin) in [
            (Limit::Turn, "This took longer than 2 h, so I stopped it. "),
            (
                Limit::Silence,
                "The agent said nothing for 2 h, so I stopped it. ",
            ),
            (
                Limit::FirstOutput,
                "The agent did not begin within 2 h, so I ended it. ",
            ),
        ] {
            let told = over(Over {
                limit,
                after_ms: 2 * 3_600_000,
            });
            assert!(told.starts_with(begin), "{told}");
        }
    }
}
