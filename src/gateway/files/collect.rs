//! Deletes files by their age.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tracing::{info, warn};

use super::place::{self, Places};
use crate::{
    core::{Millis, ids::ConversationId},
    gateway::Deps,
    store::StoreError,
};

/// Most files that are deleted in one step.
const STEP: usize = 500;
/// What stands in no row is left alone for so long: it may be a file that is just being fetched.
const UNKNOWN: Duration = Duration::from_secs(24 * 60 * 60);

/// Deletes what is older than it may be. First the row, then the file: killed between the two, the file is one that
/// stands in no row and goes with those.
pub(in crate::gateway) async fn round(deps: &Arc<Deps>) -> Result<(), StoreError> {
    let keep = deps.config.get().files.keep;
    let before = deps.clock.now() - Millis::try_from(keep.as_millis()).unwrap_or(Millis::MAX);
    loop {
        let (gone, conversations) = deps
            .store
            .tx(move |tx| {
                let gone = tx.attachments_expire(before, STEP)?;
                let mut conversations = HashMap::new();
                for (id, _) in &gone {
                    if let Some(found) = tx.conversation(*id)? {
                        conversations.insert(*id, found);
                    }
                }
                Ok((gone, conversations))
            })
            .await?;
        let more = gone.len() == STEP;
        if !gone.is_empty() {
            info!(files = gone.len(), "files were deleted for their age");
        }
        for (id, name) in gone {
            let Some(conversation) = conversations.get(&id) else {
                continue;
            };
            if let Err(cause) = Places::remove(&deps.files.places.of(conversation), &name) {
                warn!(name, %cause, "cannot delete a file");
            }
        }
        if !more {
            break;
        }
    }
    sweep(deps).await
}

/// Deletes what stands in no row.
async fn sweep(deps: &Arc<Deps>) -> Result<(), StoreError> {
    let places = deps.files.places.clone();
    let listed = places.clone();
    let ids = tokio::task::spawn_blocking(move || listed.list())
        .await
        .unwrap_or_default();
    let known = deps
        .store
        .tx(move |tx| {
            let mut known = HashMap::new();
            for directory in ids {
                let Some(id) = place::conversation_of(&directory).map(ConversationId) else {
                    continue;
                };
                if let Some(conversation) = tx.conversation(id)?
                    && Places::name(&conversation) == directory
                {
                    known.insert(directory, tx.attachment_names(id)?);
                }
            }
            Ok(known)
        })
        .await?;
    let swept = tokio::task::spawn_blocking(move || {
        places.sweep(UNKNOWN, |directory| known.get(directory).cloned())
    })
    .await;
    match swept {
        Ok(Ok(0)) => {}
        Ok(Ok(removed)) => info!(removed, "leftovers among the files were deleted"),
        Ok(Err(cause)) => warn!(%cause, "cannot look for leftovers among the files"),
        Err(cause) => warn!(%cause, "cannot look for leftovers among the files"),
    }
    Ok(())
}
