//! `telexctl pause` and `telexctl resume`.

use super::outcome;
use crate::ctl::{Ctl, failure::Failure};

pub(super) async fn pause(ctl: &mut Ctl<'_>, reason: &str) -> Result<u8, Failure> {
    let told: String = ctl.bus().await?.telexd("Pause", &(reason,)).await?;
    outcome(
        ctl,
        &told,
        "Paused: messages are accepted and wait; what runs goes on. telexctl resume ends it.",
        "It was paused already; nothing changed.",
    )
}

pub(super) async fn resume(ctl: &mut Ctl<'_>) -> Result<u8, Failure> {
    let told: String = ctl.bus().await?.telexd("Resume", &()).await?;
    outcome(
        ctl,
        &told,
        "Resumed: what waited runs in its order.",
        "It was not paused; nothing changed.",
    )
}
