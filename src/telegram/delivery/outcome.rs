//! What to do for a row, and what to do after a call for it failed. Pure.

use super::content::Dress;
use crate::{
    core::{Millis, trouble::CallClass},
    store::rows::{OutRow, Urgency, Wanted},
    telegram::{classify::Reason, client::CallError},
};

/// The call that brings a row nearer to what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new message. Twice is wrong, so the row is claimed first.
    Send,
    /// New content for this message. Twice is harmless.
    Edit(i64),
    /// This message away. Twice is harmless.
    Delete(i64),
    /// An answer to a press. Twice is harmless.
    Answer,
    /// No call: what is wanted is so already.
    Nothing,
}

/// The step for a row as it stands.
#[must_use]
pub fn step(row: &OutRow) -> Step {
    match (&row.wanted, row.message_id) {
        (Wanted::PressAnswer { .. }, _) => Step::Answer,
        (Wanted::Show(_), None) => Step::Send,
        // What it holds does not change.
        (Wanted::Show(shown), Some(_)) if shown.file.is_some() => Step::Nothing,
        (Wanted::Show(_), Some(id)) => Step::Edit(id),
        (Wanted::Gone, Some(id)) => Step::Delete(id),
        (Wanted::Gone, None) => Step::Nothing,
    }
}

/// How a row goes out at the first try.
#[must_use]
pub fn first_dress(row: &OutRow) -> Dress {
    Dress {
        plain: row.plain,
        repeat: row.ambiguous > 0,
        ..Dress::default()
    }
}

/// How often a file does not get through to Telegram before its words go as messages.
const MOST_UPLOADS: i64 = 3;

/// How often the server fails at an edit before what is finished goes as a new message.
const MOST_EDITS: i64 = 5;

/// What to do after a failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// What is wanted is so, or can no longer matter.
    Done,
    /// Telegram refused a part that can be left out: call again at once, like this.
    Redress(Dress),
    /// Again, as plain text from now on.
    Plain,
    /// Again, as a new message.
    Anew,
    /// Again, as a new message and marked: the edit may have been made.
    Repeated,
    /// It cannot go as a file: as messages, at once.
    Unfold,
    /// The chat has this id now: rewrite it, then again.
    Migrated(i64),
    /// Again, after this long (ms), and when the delivery as a whole may go on. It was not done, or twice is harmless.
    Later(u64),
    /// Again after this long (ms), marked: it may have been done.
    Ambiguous(u64),
    /// Not before then: Telegram asked this of the chat.
    WaitUntil(Millis),
    /// Never again.
    Rejected,
}

/// Times that decide about a failed call.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Now.
    pub now: Millis,
    /// Wait before the next try, in milliseconds.
    pub retry_ms: u64,
    /// The same after a send that may have been done, in milliseconds.
    pub ambiguous_ms: u64,
    /// Age from which an answer to a press is worthless, in milliseconds.
    pub press_life_ms: Millis,
}

/// Decides what to do after a call for this row failed.
#[must_use]
pub fn after(row: &OutRow, step: Step, dress: Dress, error: &CallError, times: Times) -> After {
    if step == Step::Answer {
        return after_press(row, error, times);
    }
    match &error.class {
        CallClass::WaitUntil(until) => After::WaitUntil(*until),
        CallClass::Ambiguous if step == Step::Send => After::Ambiguous(times.ambiguous_ms),
        _ if out_of_reach(error) => After::Later(0),
        // Not done, or harmless to do twice. A conflict concerns polling only and should not come here.
        // Where the configuration is wrong, nothing is lost while somebody mends it.
        CallClass::Ambiguous
        | CallClass::Safe
        | CallClass::Conflict
        | CallClass::Unauthorized
        | CallClass::Fatal => After::Later(times.retry_ms),
        CallClass::Rejected => after_refusal(row, step, dress, error.reason),
    }
}

/// What helps where this failure is one of so many that this very call may never get through: a file that something on the way
/// does not take goes as messages, what is finished and cannot be edited goes as a new message. That it is this call, and not
/// that nothing gets through, is to be asked before.
#[must_use]
pub fn kept_back(row: &OutRow, step: Step, error: &CallError) -> Option<After> {
    if matches!(step, Step::Edit(_)) {
        let fails = error.class == CallClass::Ambiguous && error.http.is_some();
        let stuck = fails && row.urgency != Urgency::Progress && row.attempts + 1 >= MOST_EDITS;
        return stuck.then_some(After::Repeated);
    }
    is_upload_kept_back(row, step, error).then_some(After::Unfold)
}

fn is_upload_kept_back(row: &OutRow, step: Step, error: &CallError) -> bool {
    let before = match &error.class {
        // Those that the end of a daemon left on the wire may have arrived, too, but have not failed.
        CallClass::Ambiguous => row.ambiguous.min(row.attempts),
        // What Telegram says itself, and what never left.
        CallClass::WaitUntil(_) | CallClass::Rejected => return false,
        _ if error.http.is_none() => return false,
        _ => row.attempts,
    };
    step == Step::Send && is_file(row) && before + 1 >= MOST_UPLOADS
}

fn after_press(row: &OutRow, error: &CallError, times: Times) -> After {
    let dies_at = row.created_at.saturating_add(times.press_life_ms);
    match &error.class {
        CallClass::Rejected if error.reason == Reason::QueryTooOld => After::Done,
        CallClass::Rejected => After::Rejected,
        // A press belongs to no chat of ours, so the wait is its own.
        CallClass::WaitUntil(until) if *until < dies_at => {
            After::Later(u64::try_from(until.saturating_sub(times.now)).unwrap_or(0))
        }
        CallClass::WaitUntil(_) => After::Rejected,
        _ if times.now >= dies_at => After::Rejected,
        _ if out_of_reach(error) => After::Later(0),
        _ => After::Later(times.retry_ms),
    }
}

/// No connection came about: the same for every row, so the delivery as a whole waits. A wait of the row's own would only
/// go on when the others may go again.
fn out_of_reach(error: &CallError) -> bool {
    error.class == CallClass::Safe && error.http.is_none()
}

fn after_refusal(row: &OutRow, step: Step, dress: Dress, reason: Reason) -> After {
    let uploads = step == Step::Send && is_file(row);
    match reason {
        Reason::Migrated(to) if to != row.target.chat_id => After::Migrated(to),
        Reason::NotModified => After::Done,
        Reason::DeleteTargetGone => After::Done,
        Reason::EditTargetGone => match step {
            Step::Delete(_) => After::Done,
            // An edit on the way has lost its message: the final one sends it anew, also where it has the same content.
            Step::Edit(_) if row.urgency == Urgency::Progress => After::Rejected,
            Step::Edit(_) => After::Anew,
            _ => After::Rejected,
        },
        _ if matches!(step, Step::Delete(_)) => After::Rejected,
        Reason::EntitiesInvalid if !dress.plain && !uploads => After::Plain,
        Reason::TooLong if !dress.cut && !uploads => After::Redress(Dress { cut: true, ..dress }),
        Reason::ThreadGone if step == Step::Send && !dress.no_thread => After::Redress(Dress {
            no_thread: true,
            ..dress
        }),
        Reason::ReplyGone if !dress.no_reply => After::Redress(Dress {
            no_reply: true,
            ..dress
        }),
        Reason::ButtonsInvalid if !dress.no_buttons => After::Redress(Dress {
            no_buttons: true,
            ..dress
        }),
        // Nobody thought of this one: the plainest form is tried before the text is given up.
        Reason::Unknown if !dress.plain && has_spans(row) => After::Plain,
        // There is nowhere to send it anew.
        Reason::Blocked | Reason::Kicked | Reason::ChatGone => After::Rejected,
        // Too large, of a kind that is not allowed there, or whatever else: its words may pass.
        _ if uploads => After::Unfold,
        // Whatever it is that cannot be edited: what is finished is not kept back by that.
        _ if matches!(step, Step::Edit(_)) && row.urgency != Urgency::Progress => After::Anew,
        _ => After::Rejected,
    }
}

fn is_file(row: &OutRow) -> bool {
    matches!(&row.wanted, Wanted::Show(shown) if shown.file.is_some())
}

fn has_spans(row: &OutRow) -> bool {
    matches!(&row.wanted, Wanted::Show(shown) if !shown.body.spans.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::text::{Enclosed, Formatted, Look, Shown, Span},
        store::rows::{OutState, OutboxId, Target},
    };

    fn row(wanted: Wanted, message_id: Option<i64>, urgency: Urgency) -> OutRow {
        OutRow {
            id: OutboxId(1),
            target: Target {
                chat_id: -5,
                thread_id: 4,
            },
            slot: None,
            urgency,
            wanted,
            revision: 1,
            sent_revision: 0,
            message_id,
            state: OutState::Pending,
            ambiguous: 0,
            plain: false,
            attempts: 0,
            not_before: 0,
            last_error: None,
            created_at: 1000,
        }
    }

    fn show() -> Wanted {
        Wanted::Show(Shown {
            body: Formatted::plain("x"),
            ..Shown::default()
        })
    }

    fn error(class: CallClass, reason: Reason) -> CallError {
        CallError {
            method: "x",
            class,
            reason,
            http: None,
            code: None,
            description: None,
            breakage: None,
            cause: None,
        }
    }

    const TIMES: Times = Times {
        now: 2000,
        retry_ms: 700,
        ambiguous_ms: 900,
        press_life_ms: 60_000,
    };

    fn decide(row: &OutRow, dress: Dress, class: CallClass, reason: Reason) -> After {
        after(row, step(row), dress, &error(class, reason), TIMES)
    }

    #[test]
    fn steps() {
        let press = Wanted::PressAnswer {
            callback_id: "1".into(),
            text: String::new(),
        };
        for (wanted, id, wanted_step) in [
            (show(), None, Step::Send),
            (show(), Some(7), Step::Edit(7)),
            (Wanted::Gone, Some(7), Step::Delete(7)),
            (Wanted::Gone, None, Step::Nothing),
            (press, None, Step::Answer),
        ] {
            assert_eq!(step(&row(wanted, id, Urgency::Message)), wanted_step);
        }
    }

    #[test]
    fn only_a_first_send_is_ever_ambiguous() {
        let send = row(show(), None, Urgency::Message);
        let edit = row(show(), Some(7), Urgency::Message);
        let delete = row(Wanted::Gone, Some(7), Urgency::Message);
        let dress = Dress::default();
        assert_eq!(
            decide(&send, dress, CallClass::Ambiguous, Reason::Other),
            After::Ambiguous(900)
        );
        assert_eq!(
            decide(&edit, dress, CallClass::Ambiguous, Reason::Other),
            After::Later(700)
        );
        assert_eq!(
            decide(&delete, dress, CallClass::Ambiguous, Reason::Other),
            After::Later(700)
        );
        for row in [send, edit, delete] {
            assert_eq!(
                decide(&row, dress, CallClass::Safe, Reason::Other),
                After::Later(0)
            );
            let in_the_way = CallError {
                http: Some(403),
                ..error(CallClass::Safe, Reason::Other)
            };
            assert_eq!(
                after(&row, step(&row), dress, &in_the_way, TIMES),
                After::Later(700)
            );
            assert_eq!(
                decide(&row, dress, CallClass::Unauthorized, Reason::Other),
                After::Later(700)
            );
            assert_eq!(
                decide(&row, dress, CallClass::WaitUntil(9000), Reason::Other),
                After::WaitUntil(9000)
            );
        }
    }

    #[test]
    fn refusals_of_a_message() {
        let send = row(show(), None, Urgency::Message);
        let progress = row(show(), Some(7), Urgency::Progress);
        let last = row(show(), Some(7), Urgency::Message);
        let mut spans = row(show(), None, Urgency::Message);
        spans.wanted = Wanted::Show(Shown {
            body: Formatted {
                text: "x".into(),
                spans: vec![Span {
                    offset: 0,
                    length: 1,
                    look: Look::Bold,
                }],
            },
            ..Shown::default()
        });
        let whole = Dress::default();
        let plain = Dress {
            plain: true,
            ..whole
        };
        let cut = Dress { cut: true, ..whole };
        let no_thread = Dress {
            no_thread: true,
            ..whole
        };
        let no_reply = Dress {
            no_reply: true,
            ..whole
        };
        let no_buttons = Dress {
            no_buttons: true,
            ..whole
        };
        for (row, dress, reason, wanted) in [
            (&last, whole, Reason::NotModified, After::Done),
            (&spans, whole, Reason::EntitiesInvalid, After::Plain),
            (&spans, plain, Reason::EntitiesInvalid, After::Rejected),
            (&spans, whole, Reason::Unknown, After::Plain),
            (&send, whole, Reason::Unknown, After::Rejected),
            (&spans, whole, Reason::Malformed, After::Rejected),
            (&send, whole, Reason::TooLong, After::Redress(cut)),
            (&send, cut, Reason::TooLong, After::Rejected),
            (&send, whole, Reason::ThreadGone, After::Redress(no_thread)),
            (&send, no_thread, Reason::ThreadGone, After::Rejected),
            (&last, whole, Reason::ThreadGone, After::Anew),
            (&last, whole, Reason::NoRights, After::Anew),
            (&last, whole, Reason::Unknown, After::Anew),
            (&last, whole, Reason::Other, After::Anew),
            (&last, cut, Reason::TooLong, After::Anew),
            (&last, plain, Reason::EntitiesInvalid, After::Anew),
            (&last, no_buttons, Reason::ButtonsInvalid, After::Anew),
            (&last, whole, Reason::Blocked, After::Rejected),
            (&last, whole, Reason::Kicked, After::Rejected),
            (&last, whole, Reason::ChatGone, After::Rejected),
            (&progress, whole, Reason::Other, After::Rejected),
            (&send, whole, Reason::ReplyGone, After::Redress(no_reply)),
            (
                &send,
                whole,
                Reason::ButtonsInvalid,
                After::Redress(no_buttons),
            ),
            (&progress, whole, Reason::EditTargetGone, After::Rejected),
            (&last, whole, Reason::EditTargetGone, After::Anew),
            (&send, whole, Reason::EditTargetGone, After::Rejected),
            (&send, whole, Reason::Blocked, After::Rejected),
            (&send, whole, Reason::Kicked, After::Rejected),
            (&send, whole, Reason::ChatGone, After::Rejected),
            (&send, whole, Reason::Migrated(-9), After::Migrated(-9)),
            (&send, whole, Reason::Migrated(-5), After::Rejected),
        ] {
            assert_eq!(
                decide(row, dress, CallClass::Rejected, reason),
                wanted,
                "{reason:?} {dress:?}"
            );
        }
    }

    #[test]
    fn what_is_no_file_for_telegram_is_words() {
        let wanted = Wanted::Show(Shown {
            file: Some(Enclosed::default()),
            ..Shown::default()
        });
        let send = row(wanted.clone(), None, Urgency::Message);
        assert_eq!(step(&send), Step::Send);
        assert_eq!(step(&row(wanted, Some(7), Urgency::Message)), Step::Nothing);
        let whole = Dress::default();
        let no_thread = Dress {
            no_thread: true,
            ..whole
        };
        for (reason, wanted) in [
            (Reason::Malformed, After::Unfold),
            (Reason::NoRights, After::Unfold),
            (Reason::TooLong, After::Unfold),
            (Reason::EntitiesInvalid, After::Unfold),
            (Reason::Unknown, After::Unfold),
            (Reason::FileGone, After::Unfold),
            (Reason::Blocked, After::Rejected),
            (Reason::Kicked, After::Rejected),
            (Reason::ChatGone, After::Rejected),
            (Reason::Migrated(-9), After::Migrated(-9)),
            (Reason::ThreadGone, After::Redress(no_thread)),
        ] {
            let after = decide(&send, whole, CallClass::Rejected, reason);
            assert_eq!(after, wanted, "{reason:?}");
        }
    }

    #[test]
    fn a_file_that_does_not_get_through_is_given_up_some_day() {
        let file = Wanted::Show(Shown {
            file: Some(Enclosed::default()),
            ..Shown::default()
        });
        let kept_back = |wanted: &Wanted, (ambiguous, attempts), class, http| {
            let row = OutRow {
                ambiguous,
                attempts,
                ..row(wanted.clone(), None, Urgency::Message)
            };
            let error = CallError {
                http,
                ..error(class, Reason::Other)
            };
            // Not before it is known that other calls get through.
            assert_ne!(
                after(&row, step(&row), Dress::default(), &error, TIMES),
                After::Unfold
            );
            is_upload_kept_back(&row, step(&row), &error)
        };
        for (counts, class, http, wanted) in [
            ((0, 0), CallClass::Ambiguous, None, false),
            ((1, 1), CallClass::Ambiguous, Some(502), false),
            ((2, 2), CallClass::Ambiguous, Some(502), true),
            ((2, 7), CallClass::Ambiguous, None, true),
            // The daemon ended, twice; the network was away.
            ((2, 0), CallClass::Ambiguous, None, false),
            ((0, 7), CallClass::Ambiguous, None, false),
            ((0, 7), CallClass::Safe, None, false),
            // Refused by something on the way, or by a server that does not know of files.
            ((0, 1), CallClass::Safe, Some(403), false),
            ((0, 2), CallClass::Safe, Some(403), true),
            ((0, 2), CallClass::Fatal, Some(405), true),
            ((0, 2), CallClass::Fatal, None, false),
            // Telegram itself says more.
            ((9, 9), CallClass::WaitUntil(9), Some(429), false),
        ] {
            let told = format!("{counts:?} {class:?} {http:?}");
            assert_eq!(
                kept_back(&file, counts, class.clone(), http),
                wanted,
                "{told}"
            );
            assert!(!kept_back(&show(), counts, class, http), "{told}");
        }
        let there = row(file, Some(7), Urgency::Message);
        let broken = error(CallClass::Ambiguous, Reason::Other);
        assert_eq!(super::kept_back(&there, step(&there), &broken), None);
    }

    #[test]
    fn what_is_finished_and_can_never_be_edited_goes_as_a_new_message() {
        let stuck = |attempts, urgency, class, http| {
            let row = OutRow {
                attempts,
                ..row(show(), Some(7), urgency)
            };
            let error = CallError {
                http,
                ..error(class, Reason::Other)
            };
            kept_back(&row, step(&row), &error)
        };
        let (last, way) = (Urgency::Message, Urgency::Progress);
        let broken = CallClass::Ambiguous;
        assert_eq!(
            stuck(4, last, broken.clone(), Some(502)),
            Some(After::Repeated)
        );
        for (attempts, urgency, class, http) in [
            (3, last, broken.clone(), Some(502)),
            (4, way, broken.clone(), Some(502)),
            // No answer says nothing of this call.
            (9, last, broken, None),
            (9, last, CallClass::Safe, Some(403)),
            (9, last, CallClass::WaitUntil(9), Some(429)),
        ] {
            let told = format!("{attempts} {class:?} {http:?}");
            assert_eq!(stuck(attempts, urgency, class, http), None, "{told}");
        }
    }

    #[test]
    fn a_message_that_is_gone_is_deleted_enough() {
        let delete = row(Wanted::Gone, Some(7), Urgency::Message);
        for (reason, wanted) in [
            (Reason::DeleteTargetGone, After::Done),
            (Reason::EditTargetGone, After::Done),
            (Reason::NoRights, After::Rejected),
            (Reason::Other, After::Rejected),
        ] {
            assert_eq!(
                decide(&delete, Dress::default(), CallClass::Rejected, reason),
                wanted
            );
        }
    }

    #[test]
    fn a_press_is_answered_soon_or_never() {
        let wanted = Wanted::PressAnswer {
            callback_id: "1".into(),
            text: String::new(),
        };
        let fresh = row(wanted, None, Urgency::Press);
        let old = OutRow {
            created_at: -100_000,
            ..fresh.clone()
        };
        let dress = Dress::default();
        for (row, class, reason, wanted) in [
            (
                &fresh,
                CallClass::Rejected,
                Reason::QueryTooOld,
                After::Done,
            ),
            (&fresh, CallClass::Rejected, Reason::Other, After::Rejected),
            (
                &fresh,
                CallClass::Ambiguous,
                Reason::Other,
                After::Later(700),
            ),
            (&fresh, CallClass::Safe, Reason::Other, After::Later(0)),
            (
                &fresh,
                CallClass::WaitUntil(5000),
                Reason::Other,
                After::Later(3000),
            ),
            (
                &fresh,
                CallClass::WaitUntil(500_000),
                Reason::Other,
                After::Rejected,
            ),
            (&old, CallClass::Safe, Reason::Other, After::Rejected),
        ] {
            assert_eq!(
                decide(row, dress, class.clone(), reason),
                wanted,
                "{class:?}"
            );
        }
    }
}
