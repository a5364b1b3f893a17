//! Why an order is refused.

use crate::{
    core::pause::{BadReason, REASON},
    store::StoreError,
};

/// Why an order is refused, or could not be carried out. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The reason cannot be taken.
    #[error(transparent)]
    BadReason(#[from] BadReason),
    /// The database did not take it.
    #[error("it cannot be recorded: {0}")]
    Store(#[from] StoreError),
}

impl AdminError {
    /// Name of the kind, for the audit and for programs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadReason(_) => "InvalidArgument",
            Self::Store(_) => "Failed",
        }
    }

    /// What to do about it: a sentence without its capital and its full stop.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::BadReason(_) => {
                format!("give it on one line of at most {REASON} characters")
            }
            Self::Store(_) => "try again; the server's journal says what is wrong".to_owned(),
        }
    }
}
