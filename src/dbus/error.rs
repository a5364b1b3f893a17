//! What callers are told when something is not done.

use crate::{core::text::one_line, gateway::handle::AdminError};

/// An error of the interface. Its name on the bus is `org.telexd1.Error.` and the name of the variant; its text is a
/// sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, zbus::DBusError)]
#[zbus(prefix = "org.telexd1.Error")]
pub enum Error {
    /// An argument is malformed: too long, or not what it should be.
    InvalidArgument(String),
    /// The caller may not do that, or would have to be asked for a password and did not allow it.
    NotAllowed(String),
    /// polkit, which decides who may do what, cannot be asked.
    NoPolkit(String),
    /// The caller, or all callers together, have too many calls open.
    TooManyCalls(String),
    /// There is no such run.
    NoSuchRun(String),
    /// There is no such conversation.
    NoSuchConversation(String),
    /// There is no such question.
    NoSuchQuestion(String),
    /// The question wants an answer, not a yes.
    NeedsAnswer(String),
    /// There is no such setting.
    NoSuchKey(String),
    /// The value cannot be taken by the setting, or not in this way.
    InvalidValue(String),
    /// The configuration files are wrong; nothing has changed.
    ConfigRefused(String),
    /// Nobody asks to be let in with this code.
    NoSuchPairing(String),
    /// There is no such person.
    NoSuchPerson(String),
    /// The beginning of an id fits several.
    Ambiguous(String),
    /// It is understood, and not possible now.
    Refused(String),
    /// The daemon has a trouble of its own, told in the text.
    Failed(String),
}

impl Error {
    /// Why somebody is not let in, in a word: the variant's name.
    pub(super) fn refusal(&self) -> &'static str {
        match self {
            Self::NotAllowed(_) => "NotAllowed",
            Self::NoPolkit(_) => "NoPolkit",
            Self::TooManyCalls(_) => "TooManyCalls",
            // Nobody is refused by one of the others.
            _ => "Failed",
        }
    }
}

/// Longest text of an error, in characters.
const TEXT: usize = 1000;

impl From<AdminError> for Error {
    fn from(why: AdminError) -> Self {
        let text = one_line(&format!("{why}; {}", why.remedy()), TEXT);
        match why.kind() {
            "InvalidArgument" => Self::InvalidArgument(text),
            "NoSuchRun" => Self::NoSuchRun(text),
            "NoSuchConversation" => Self::NoSuchConversation(text),
            "NoSuchQuestion" => Self::NoSuchQuestion(text),
            "NeedsAnswer" => Self::NeedsAnswer(text),
            "NoSuchKey" => Self::NoSuchKey(text),
            "InvalidValue" => Self::InvalidValue(text),
            "ConfigRefused" => Self::ConfigRefused(text),
            "NoSuchPairing" => Self::NoSuchPairing(text),
            "NoSuchPerson" => Self::NoSuchPerson(text),
            "Refused" => Self::Refused(text),
            "Ambiguous" => Self::Ambiguous(text),
            "TooManyCalls" => Self::TooManyCalls(text),
            _ => Self::Failed(text),
        }
    }
}
