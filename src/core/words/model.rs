//! Why a turn ended as it should not, where the model's service or the agent says so.

use tr::tr;

use super::Phrase;

/// The history does not fit any more.
pub static TOO_LONG: Phrase =
    phrase!("This conversation has become too long for the model. Send /clear to start a new one.");
/// The limit of steps.
pub static STEPS_USED_UP: Phrase = phrase!(
    "The agent stopped because it had made as many steps as one message allows. Write “continue” to let it go on."
);
/// The limit of costs.
pub static BUDGET_USED_UP: Phrase = phrase!(
    "The budget of this session is used up. Send /clear to start a new one, or ask an administrator to raise it."
);
/// `.claude.json` cannot be read.
pub static SETTINGS_DAMAGED: Phrase = phrase!(
    "The agent did not start because its settings file `.claude.json` on the server is damaged. An administrator must repair or remove it."
);
/// No permission checks as root.
pub static BYPASS_AS_ROOT: Phrase = phrase!(
    "The agent did not start because it never runs without permission checks as root. An administrator must give it another user or another permission mode."
);
/// The account may not do this.
pub static FORBIDDEN: Phrase = phrase!(
    "The model's service does not allow this to the agent's account. An administrator must check its login or key."
);
/// No login, or one that does not hold any more.
pub static NOT_LOGGED_IN: Phrase = phrase!(
    "The agent is not logged in on the server. An administrator must run `claude /login` or set a key."
);
/// The account's organisation may not be used.
pub static WRONG_ORGANISATION: Phrase = phrase!(
    "The agent's account does not belong to an organisation that may be used here. An administrator must log it in with another one."
);
/// No credit.
pub static NO_CREDIT: Phrase = phrase!(
    "The account that pays for the agent has no credit left. An administrator must top it up."
);
/// Too many requests.
pub static TOO_MANY_REQUESTS: Phrase = phrase!(
    "The model's service takes no more requests from this account for now. Please try again later."
);
/// An unknown model.
pub static NO_SUCH_MODEL: Phrase = phrase!(
    "The model that is set does not exist, or the agent's account may not use it. An administrator must set another one."
);
/// Overloaded.
pub static OVERLOADED: Phrase =
    phrase!("The model's service is overloaded. Please try again in a few minutes.");
/// The answer is too long for the model.
pub static ANSWER_TOO_LONG: Phrase =
    phrase!("The answer grew longer than the model may write. Please ask for less at once.");
/// No connection.
pub static UNREACHABLE: Phrase =
    phrase!("The agent cannot reach the model's service. Please try again in a moment.");
/// No answer in time.
pub static TIMEOUT: Phrase =
    phrase!("The model's service did not answer in time. Please try again.");
/// The process ended and had said nothing.
pub static NO_ANSWER: Phrase = phrase!("The agent ended without an answer. Please try again.");

/// A fault of the service, with its HTTP status.
#[must_use]
pub fn fault(status: u16) -> String {
    tr!(
        "The model's service has a fault (HTTP {status}). Please try again in a few minutes.",
        status
    )
}

/// The agent did not start, in its own word for it and what it says of it.
#[must_use]
pub fn not_started(why: &str, says: &str) -> String {
    because(tr!("The agent did not start ({why})", why), says)
}

/// The service refused the request, with its HTTP status where there is one, and what it says of it.
#[must_use]
pub fn refused(status: Option<u16>, says: &str) -> String {
    let what = match status {
        Some(status) => tr!(
            "The model's service refused the request (HTTP {status})",
            status
        ),
        None => tr!("The model's service refused the request"),
    };
    because(what, says)
}

/// The agent could not answer, and what it says of that.
#[must_use]
pub fn could_not_answer(says: &str) -> String {
    because(tr!("The agent could not answer"), says)
}

/// The usage limit is reached; `until`: when it is lifted.
#[must_use]
pub fn usage_limit(until: Option<&str>) -> String {
    match until {
        Some(time) => tr!(
            "The usage limit of the agent's account is reached. It is lifted at {time}.",
            time
        ),
        None => tr!("The usage limit of the agent's account is reached. Please try again later."),
    }
}

/// A sentence without its full stop, and a quotation where there is one.
fn because(sentence: String, quoted: &str) -> String {
    if quoted.is_empty() {
        format!("{sentence}.")
    } else {
        format!("{sentence}: “{quoted}”")
    }
}
