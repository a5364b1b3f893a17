//! What is said about people who ask to be let in.

use tr::tr;

use super::Phrase;
use super::span;
use crate::core::{
    Millis,
    pairing::{Code, GOOD_FOR},
    text::{Formatted, Look, Span, one_line, units},
};

/// Button below the news that somebody asks to be let in.
pub static ACCEPT: Phrase = phrase!("Accept");
/// Button below the news that somebody asks to be let in.
pub static REJECT: Phrase = phrase!("Reject");
/// To somebody who was let in.
pub static WELCOME: Phrase = phrase!(
    "You are let in. Write to me and I pass it on to the agent on the server; its answer comes here.\n\n/help lists what else I understand."
);
/// To somebody who was not.
pub static NOT_LET_IN: Phrase = phrase!("You were not let in.");
/// What the news becomes when the code is not good any more.
pub static EXPIRED: Phrase = phrase!("Nobody answered in time; the code is no longer valid.");
/// Answer to `/pair` without requests.
pub static NOBODY_ASKS: Phrase = phrase!("Nobody asks to be let in.");
/// The same while nobody can.
pub static OFF: Phrase = phrase!(
    "Nobody asks to be let in: access.pairing is off. /config access.pairing on lets strangers ask."
);
/// Answer to `/pair` with other words.
pub static HOW: Phrase =
    phrase!("Write /pair accept CODE or /pair reject CODE; /pair lists who asks.");
/// Answer to `/users` with other words.
pub static HOW_TO_REMOVE: Phrase =
    phrase!("Write /users remove ID, with the number that /users shows.");

/// Longest name that is kept and shown, in characters.
pub const NAME: usize = 64;

/// Somebody, by name and number.
#[must_use]
pub fn who(name: &str, person: i64) -> String {
    match name.trim() {
        "" => tr!("person {person}", person),
        name => format!("{} ({person})", one_line(name, NAME)),
    }
}

/// A text whose second part is shown as it is: no link, no command, whatever a stranger calls themselves; and a tap
/// copies it.
fn quoting(before: &str, quoted: &str, after: &str) -> Formatted {
    Formatted {
        text: format!("{before}{quoted}{after}"),
        spans: vec![Span {
            offset: units(before),
            length: units(quoted),
            look: Look::Code,
        }],
    }
}

/// To a stranger: their code, and what to do with it.
#[must_use]
pub fn code(code: &Code, left: Millis) -> Formatted {
    let left = span(left.clamp(0, GOOD_FOR));
    quoting(
        &tr!(
            "I do not know you yet. Give this code to somebody who administers me, and ask to be let in:\n\n"
        ),
        code.as_str(),
        &tr!(
            "\n\nIt is valid for {left}. What you write until then is not passed on.",
            left
        ),
    )
}

/// To an administrator: somebody asks.
#[must_use]
pub fn asks(name: &str, person: i64, code: &Code) -> Formatted {
    quoting(
        &tr!("Somebody asks to be let in:\n\n"),
        &who(name, person),
        &tr!(
            "\n\nTheir code is {code}. Accept only if you know from elsewhere that it is theirs: anybody can take any name.",
            code
        ),
    )
}

/// What that becomes when it is decided.
#[must_use]
pub fn decided(name: &str, person: i64, let_in: bool, by: &str) -> Formatted {
    let was = if let_in {
        tr!("was let in")
    } else {
        tr!("was not let in")
    };
    quoting("", &who(name, person), &tr!(" {was} by {by}.", was, by))
}

/// To the administrator who let somebody in.
#[must_use]
pub fn accepted(name: &str, person: i64) -> String {
    tr!(
        "Let in: {}. /users remove {person} takes it back.",
        who(name, person),
        person
    )
}

/// To the administrator who accepted somebody who was let in already.
#[must_use]
pub fn accepted_already(name: &str, person: i64) -> String {
    tr!("No change: {} was let in already.", who(name, person))
}

/// To the administrator who did not let somebody in.
#[must_use]
pub fn rejected(name: &str, person: i64) -> String {
    tr!(
        "Not let in: {}. They are given no other code for a day.",
        who(name, person)
    )
}

/// To the administrator who rejected somebody for the second time.
#[must_use]
pub fn rejected_already(name: &str, person: i64) -> String {
    tr!("No change: {} was rejected already.", who(name, person))
}

/// To the administrator who removed somebody; `listed`: they stay a user or admin by the settings; `runs`: their agents
/// that end.
#[must_use]
pub fn removed(name: Option<&str>, person: i64, listed: bool, runs: usize) -> String {
    let who = who(name.unwrap_or(""), person);
    if listed {
        return tr!(
            "{who} is not let in by a code any more, and still is by access.users or access.admins.",
            who
        );
    }
    let runs = match runs {
        0 => String::new(),
        1 => tr!(" Their agent ends."),
        _ => tr!(" Their agents end."),
    };
    tr!(
        "{who} is not let in any more: what they have in line is not run.{runs} They are given no code for a day.",
        who,
        runs
    )
}

/// To the administrator who removed somebody who is not let in.
#[must_use]
pub fn removed_already(name: Option<&str>, person: i64) -> String {
    tr!(
        "No change: {} is not let in.",
        who(name.unwrap_or(""), person)
    )
}

/// Answer to `/pair`: code, name, number, and for how long the code is good.
#[must_use]
pub fn list<'a>(requests: impl Iterator<Item = (&'a Code, &'a str, i64, Millis)>) -> String {
    let lines: Vec<String> = requests
        .map(|(code, name, person, left)| {
            tr!(
                "{code} · {who} · valid for {left}",
                who = who(name, person),
                left = span(left),
                code
            )
        })
        .collect();
    if lines.is_empty() {
        return NOBODY_ASKS.to_owned();
    }
    format!("{}\n\n{}", lines.join("\n"), HOW.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::pairing::Code;

    #[test]
    fn a_strangers_name_is_only_quoted() {
        let name = "/kill\u{202e} https://evil.example\n@admin";
        let shown = asks(name, 7, &Code::of(1));
        let span = &shown.spans[0];
        let quoted: String = shown
            .text
            .chars()
            .skip(span.offset)
            .take(span.length)
            .collect();
        assert_eq!(quoted, "/kill\\u{202e} https://evil.example\\n@admin (7)");
        let long = asks(&"\u{1f600}".repeat(9000), 7, &Code::of(1));
        assert!(long.units() < 500, "{}", long.units());
        assert_eq!(who(" ", 7), "person 7");
    }

    #[test]
    fn a_code_stands_alone_to_be_copied() {
        let shown = code(&Code::of(5), GOOD_FOR);
        let span = &shown.spans[0];
        let text: String = shown
            .text
            .chars()
            .skip(span.offset)
            .take(span.length)
            .collect();
        assert_eq!(text, Code::of(5).as_str());
        assert!(shown.text.contains("valid for 1 h"), "{}", shown.text);
    }
}
