//! `telexctl interrupt` and `telexctl clear`: what a person can do about their conversation, done for them.

use super::outcome;
use crate::ctl::{Ctl, failure::Failure};

pub(super) async fn interrupt(ctl: &mut Ctl<'_>, conversation: i64) -> Result<u8, Failure> {
    let told: String = ctl
        .bus()
        .await?
        .telexd("Interrupt", &(conversation,))
        .await?;
    outcome(
        ctl,
        &told,
        "Interrupted.",
        "Nothing was running there; nothing changed.",
    )
}

pub(super) async fn clear(ctl: &mut Ctl<'_>, conversation: i64) -> Result<u8, Failure> {
    let told: String = ctl.bus().await?.telexd("Clear", &(conversation,)).await?;
    outcome(
        ctl,
        &told,
        "Cleared: its next message begins a new session.",
        "There was nothing to clear; nothing changed.",
    )
}
