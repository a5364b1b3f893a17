//! Parts of albums that cannot be passed on: told once for each turn, however many there are.

use crate::{
    core::{Millis, files::plain_name, ids::TurnId, words},
    gateway::show,
    store::{
        StoreError, Tx,
        rows::{AttachmentState, Slot, Target, TurnRow, Urgency},
    },
};

/// Brings the message that tells which parts of albums are missing to what is known now; none where none is.
///
/// # Errors
/// The database's.
pub(in crate::gateway) fn show(
    tx: &Tx<'_>,
    target: Target,
    turn: TurnId,
    reply_to: Option<i64>,
    now: Millis,
) -> Result<(), StoreError> {
    let Some(turn) = tx.turn(turn)? else {
        return Ok(());
    };
    let rows = tx.attachments(turn.id)?;
    let mut missing = Vec::new();
    for row in &rows {
        if row.state != AttachmentState::Refused {
            continue;
        }
        let Some(part) = turn.parts.iter().find(|part| part.inbox == row.inbox) else {
            continue;
        };
        let Some(album) = &part.mark.album else {
            continue;
        };
        let before = turn.parts.iter().filter(|other| {
            other.mark.album.as_ref() == Some(album) && other.message_id < part.message_id
        });
        let why = row.trouble.as_deref().unwrap_or(words::files::GONE.agent);
        missing.push((before.count() + 1, plain_name(&row.name), why));
    }
    if missing.is_empty() {
        return Ok(());
    }
    missing.sort_unstable();
    let text = words::files::missing_parts(missing, !is_vain(tx, &turn)?);
    let shown = show::note(text, Vec::new(), reply_to);
    let slot = Some(Slot::missing(turn.id));
    tx.out_show(target, slot, Urgency::Message, &shown, now)?;
    Ok(())
}

/// Whether there is nothing in a turn that an agent could do something with: no words, and no file that is there or may
/// still come.
///
/// # Errors
/// The database's.
pub(in crate::gateway) fn is_vain(tx: &Tx<'_>, turn: &TurnRow) -> Result<bool, StoreError> {
    if turn.parts.iter().any(|part| !part.text.trim().is_empty()) {
        return Ok(false);
    }
    let rows = tx.attachments(turn.id)?;
    Ok(rows.iter().all(|row| row.state == AttachmentState::Refused))
}
