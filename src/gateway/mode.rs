//! The permission mode of a conversation: what its person has chosen, or what its agent has come to by itself.
//!
//! It is a setting, by conversation: it outlives the agent's process, the daemon and `/clear`. A choice that a living agent
//! is to hear of carries the id of the request that tells it; whoever has the agent writes that request, and gives it no prompt
//! before (`lane::mode`). So what is chosen before a message holds for it.

use serde::{Deserialize, Serialize};

use crate::{
    core::{Millis, ids::ConversationId, mode::PermissionMode},
    store::{
        StoreError, Tx,
        rows::{OutRow, OutboxId},
    },
};

/// Beginning of the names of these settings; the conversation's number follows.
const KEY: &str = "mode.";
/// Beginning of the names of the settings that hold which message offers the modes to choose from, likewise.
const OFFER: &str = "mode-offer.";

/// A mode, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chosen {
    /// Which.
    pub(super) mode: PermissionMode,
    /// The request that a living agent has not answered yet, perhaps not even got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<String>,
    /// Whether the agent that lives cannot come to it, so that another process is to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) another: bool,
}

impl Chosen {
    /// One that the agent knows of.
    pub(super) fn known(mode: PermissionMode) -> Self {
        Self {
            mode,
            request: None,
            another: false,
        }
    }

    /// One that it is to be told by this request.
    pub(super) fn by_request(mode: PermissionMode, request: String) -> Self {
        Self {
            request: Some(request),
            ..Self::known(mode)
        }
    }

    /// Whether a process that got this request, at last, may be given a prompt.
    pub(super) fn lets_begin(&self, told: Option<&str>) -> bool {
        !self.another
            && self
                .request
                .as_deref()
                .is_none_or(|request| told == Some(request))
    }
}

/// The mode of a conversation; `None` where nobody has chosen one. What cannot be read counts as none.
pub(super) fn chosen(
    tx: &Tx<'_>,
    conversation: ConversationId,
) -> Result<Option<Chosen>, StoreError> {
    Ok(tx
        .setting(&format!("{KEY}{conversation}"))?
        .and_then(|json| serde_json::from_str(&json).ok()))
}

/// The modes of all conversations that have one.
pub(super) fn all(tx: &Tx<'_>) -> Result<Vec<(ConversationId, PermissionMode)>, StoreError> {
    let read = |(key, json, _): (String, String, Millis)| {
        let conversation = key.strip_prefix(KEY)?.parse().ok()?;
        let chosen: Chosen = serde_json::from_str(&json).ok()?;
        Some((ConversationId(conversation), chosen.mode))
    };
    Ok(tx.settings()?.into_iter().filter_map(read).collect())
}

/// From now on it is this one.
pub(super) fn choose(
    tx: &Tx<'_>,
    conversation: ConversationId,
    chosen: &Chosen,
    now: Millis,
) -> Result<(), StoreError> {
    let json = serde_json::to_string(chosen)
        .map_err(|cause| StoreError::Other(format!("a permission mode: {cause}")))?;
    tx.setting_set(&format!("{KEY}{conversation}"), &json, now)
}

/// From now on it is the one of the settings.
pub(super) fn forget(tx: &Tx<'_>, conversation: ConversationId) -> Result<(), StoreError> {
    tx.setting_unset(&format!("{KEY}{conversation}"))
}

/// The newest message that offers the modes to choose from is this one.
pub(super) fn offered(
    tx: &Tx<'_>,
    conversation: ConversationId,
    message: OutboxId,
    now: Millis,
) -> Result<(), StoreError> {
    tx.setting_set(
        &format!("{OFFER}{conversation}"),
        &message.0.to_string(),
        now,
    )
}

/// The message that offers the modes: the one with this number in this chat, else the newest, for it may be pressed before
/// Telegram has said under which number it is shown.
pub(super) fn offer(
    tx: &Tx<'_>,
    conversation: ConversationId,
    (chat, message): (i64, i64),
) -> Result<Option<OutRow>, StoreError> {
    if let Some(row) = tx.out_at(chat, message)? {
        return Ok(Some(row));
    }
    let newest = tx.setting(&format!("{OFFER}{conversation}"))?;
    match newest.and_then(|id| id.parse().ok()) {
        Some(id) => tx.out_row(OutboxId(id)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_waits_until_the_agent_was_told() {
        let plan = PermissionMode::Plan;
        let asked = Chosen::by_request(plan, "r2".to_owned());
        let another = Chosen {
            another: true,
            ..Chosen::known(plan)
        };
        for (chosen, told, begins) in [
            (&Chosen::known(plan), None, true),
            (&Chosen::known(plan), Some("r1"), true),
            (&asked, None, false),
            (&asked, Some("r1"), false),
            (&asked, Some("r2"), true),
            (&another, Some("r2"), false),
        ] {
            assert_eq!(chosen.lets_begin(told), begins, "{chosen:?} {told:?}");
            let stored = serde_json::to_string(chosen).unwrap();
            assert_eq!(serde_json::from_str::<Chosen>(&stored).unwrap(), *chosen);
        }
    }
}
