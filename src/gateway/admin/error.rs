//! Why an order is refused.

use crate::{
    core::{
        Millis,
        ids::{ConversationId, LEAST_PREFIX, RunId},
        pairing::Code,
        pause::{BadReason, REASON},
        prompt::BadPrompt,
        words::span,
    },
    gateway::ports::SettingRefused,
    store::StoreError,
};

/// Why an order is refused, or could not be carried out. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The reason cannot be taken.
    #[error(transparent)]
    BadReason(#[from] BadReason),
    /// The prompt cannot be taken.
    #[error(transparent)]
    BadPrompt(#[from] BadPrompt),
    /// The text is not the beginning of a run's id.
    #[error("that is not the id of a run")]
    NotARun,
    /// No run has an id that begins so.
    #[error("there is no run {given}")]
    NoSuchRun {
        /// What was given.
        given: String,
    },
    /// Several runs have ids that begin so.
    #[error("{given} is the beginning of {} ids: {}", candidates.len(), listed(candidates))]
    Ambiguous {
        /// What was given.
        given: String,
        /// Those that it fits.
        candidates: Vec<RunId>,
    },
    /// The conversation in which it was ordered has no run.
    #[error("no agent runs for this conversation")]
    NothingHere,
    /// No agent runs at all.
    #[error("no agent runs")]
    NothingRuns,
    /// Nobody is there to start the daemon again.
    #[error("telexd was not started by systemd, so nobody would start it again")]
    NobodyRestarts,
    /// There is no such conversation.
    #[error("there is no conversation {0}")]
    NoSuchConversation(ConversationId),
    /// Its person may not talk to the bot any more.
    #[error(
        "the person of conversation {0} may not talk to the bot any more, so nothing is run there"
    )]
    NobodyThere(ConversationId),
    /// There is no such question.
    #[error("there is no question {0}")]
    NoSuchQuestion(i64),
    /// The question wants an answer, not a yes.
    #[error("question {0} wants an answer, not a yes")]
    NeedsAnswer(i64),
    /// The text is not a code.
    #[error("that is not a code")]
    NotACode,
    /// Nobody has this code, or it is not good any more.
    #[error("nobody asks to be let in with the code {0} any more")]
    NoSuchPairing(Code),
    /// It was decided otherwise.
    #[error("it was decided otherwise already about the code {0}")]
    PairingAnswered(Code),
    /// Strangers may not ask to be let in at present.
    #[error("access.pairing is off, so nobody is let in")]
    PairingOff,
    /// Nobody with this id is known.
    #[error("nobody with the id {0} is known")]
    NoSuchPerson(i64),
    /// They are let in by the settings.
    #[error("person {0} is let in by the settings")]
    ListedPerson(i64),
    /// There is no such setting, or it cannot be set so.
    #[error(transparent)]
    Setting(#[from] SettingRefused),
    /// The configuration files are wrong; a line for each problem.
    #[error("the configuration is wrong, so nothing has changed: {0}")]
    ConfigRefused(String),
    /// It was ordered too often; it may be repeated after so many milliseconds.
    #[error("that was ordered often just now; it may be repeated in {}", span(wait_ms.saturating_add(999)))]
    RateLimited {
        /// How long to wait, in milliseconds.
        wait_ms: Millis,
    },
    /// It is accepted and not done yet.
    #[error("it was not done in time")]
    NotYet,
    /// The database did not take it.
    #[error("it cannot be recorded: {0}")]
    Store(#[from] StoreError),
}

impl AdminError {
    /// Name of the kind, for the audit and for programs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadReason(_) | Self::BadPrompt(_) | Self::NotARun | Self::NotACode => {
                "InvalidArgument"
            }
            Self::NoSuchRun { .. } | Self::NothingHere => "NoSuchRun",
            Self::NothingRuns
            | Self::NobodyRestarts
            | Self::NobodyThere(_)
            | Self::PairingAnswered(_)
            | Self::PairingOff
            | Self::ListedPerson(_) => "Refused",
            Self::Ambiguous { .. } => "Ambiguous",
            Self::NoSuchConversation(_) => "NoSuchConversation",
            Self::NoSuchQuestion(_) => "NoSuchQuestion",
            Self::NeedsAnswer(_) => "NeedsAnswer",
            Self::NoSuchPairing(_) => "NoSuchPairing",
            Self::NoSuchPerson(_) => "NoSuchPerson",
            Self::Setting(why) if why.unknown => "NoSuchKey",
            Self::Setting(_) => "InvalidValue",
            Self::ConfigRefused(_) => "ConfigRefused",
            Self::RateLimited { .. } => "TooManyCalls",
            Self::NotYet | Self::Store(_) => "Failed",
        }
    }

    /// What to do about it: a sentence without its capital and its full stop.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::BadReason(_) => {
                format!("give it on one line of at most {REASON} characters")
            }
            Self::BadPrompt(BadPrompt::Long(_)) => "send it in several parts".to_owned(),
            Self::BadPrompt(BadPrompt::Command) => {
                "give the order itself: telexctl help lists them".to_owned()
            }
            Self::BadPrompt(_) => "give the agent plain text".to_owned(),
            Self::NotARun => format!(
                "give at least {LEAST_PREFIX} characters of the id that /ps and telexctl ps show, not a process id"
            ),
            Self::NoSuchRun { .. } | Self::NothingHere => {
                "/ps shows those that there are, and so does telexctl ps".to_owned()
            }
            Self::NothingRuns => "nothing was done".to_owned(),
            Self::NobodyRestarts => "restart it on the server, where it was started".to_owned(),
            Self::Ambiguous { .. } => "give more of the id".to_owned(),
            Self::NoSuchConversation(_) => {
                "telexctl conversations shows those that there are".to_owned()
            }
            Self::NobodyThere(_) => "access.users in the configuration says who may".to_owned(),
            Self::NoSuchQuestion(_) => {
                "it is a number that the list of open questions shows".to_owned()
            }
            Self::NeedsAnswer(question) => format!(
                "it is answered in its chat, by its buttons or by /answer {question}; refusing it skips it"
            ),
            Self::NotACode => {
                "it has eight letters, as /pair and telexctl pair show them".to_owned()
            }
            Self::NoSuchPairing(_) => {
                "/pair and telexctl pair list the codes that are good; who writes to the bot again is given another"
                    .to_owned()
            }
            Self::PairingAnswered(_) => {
                "who was rejected is given another code after a day; who was let in can be removed: /users remove ID, or \
                 telexctl people remove ID"
                    .to_owned()
            }
            Self::PairingOff => "/config access.pairing on lets strangers ask".to_owned(),
            Self::NoSuchPerson(_) => "/users and telexctl people list who is".to_owned(),
            Self::ListedPerson(_) => {
                "take them out of access.users or access.admins, where they are listed".to_owned()
            }
            Self::Setting(why) => why.remedy.clone(),
            Self::ConfigRefused(_) => "telexd check tells when it is right".to_owned(),
            Self::RateLimited { .. } => "nothing was done".to_owned(),
            Self::NotYet => {
                "it is done as soon as it can be; the server's journal says what is in the way"
                    .to_owned()
            }
            Self::Store(_) => "try again; the server's journal says what is wrong".to_owned(),
        }
    }
}

/// At most so many ids are listed.
const LISTED: usize = 5;

fn listed(runs: &[RunId]) -> String {
    let mut ids: Vec<&str> = runs.iter().take(LISTED).map(RunId::as_str).collect();
    if runs.len() > LISTED {
        ids.push("…");
    }
    ids.join(", ")
}
