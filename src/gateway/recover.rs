//! What an earlier life left: runs that live or ended meanwhile, turns that wait, directories that may go.

use std::{sync::Arc, time::Duration};

use tracing::{info, warn};

use super::{
    Deps,
    admin::{is_back, tidy},
    files,
    lane::LaneMsg,
    lanes::Lanes,
    ports::Remains,
};
use crate::{core::Millis, store::StoreError};

/// How long the directory of a run stays after its end, for those who want to look.
const KEEP_RUNS: Millis = 60 * 60 * 1000;
/// How long what is over stays in the database.
const KEEP_ROWS: Millis = 30 * 24 * 60 * 60 * 1000;
/// Most turns that are deleted in one step.
const STEP: usize = 500;
/// How often is cleaned up.
const ROUND: Duration = Duration::from_secs(10 * 60);

/// Wakes the lanes of everything that is not finished. Runs come before turns, so that no turn is thought lost
/// whose process lives.
pub(super) async fn run(deps: &Arc<Deps>, lanes: &Lanes) -> Result<(), StoreError> {
    let (gate, now) = (deps.gate.clone(), deps.clock.now());
    let (runs, work) = deps
        .store
        .tx(move |tx| {
            gate.load(tx)?;
            is_back(tx, now)?;
            Ok((tx.runs_live()?, tx.conversations_with_work()?))
        })
        .await?;
    if let Some(pause) = deps.gate.pause() {
        info!(
            by = pause.by,
            "no message is given to an agent: paused since before this start"
        );
    }
    deps.runner
        .expect(runs.iter().map(|run| run.id.clone()).collect());
    if !runs.is_empty() || !work.is_empty() {
        info!(
            runs = runs.len(),
            conversations = work.len(),
            "taking up what an earlier life left"
        );
    }
    for run in runs {
        lanes
            .send(run.conversation, LaneMsg::TakeUp(Box::new(run)))
            .await;
    }
    for conversation in work {
        lanes.wake(conversation.id);
    }
    Ok(())
}

/// Removes what is done with, now and then.
pub(super) async fn collect(deps: Arc<Deps>) {
    if let Err(cause) = end_unknown(&deps).await {
        warn!(%cause, "cannot look for runs that the database does not know");
    }
    loop {
        if let Err(cause) = round(&deps).await {
            warn!(%cause, "cannot clean up; it is tried again later");
        }
        tokio::select! {
            () = deps.shutdown.cancelled() => return,
            () = tokio::time::sleep(ROUND) => {}
        }
    }
}

/// Ends runs that the database does not know: it was set aside as damaged, or an old one was restored. Their agents
/// would work on with nobody to listen to them, to be stopped by nobody. Their directories stay: they are all that
/// there is to tell what was done, and another database may know them.
async fn end_unknown(deps: &Deps) -> Result<(), StoreError> {
    // Listed before the database is asked: a run has its row before it has a directory.
    let listed = deps.runner.list().await;
    let unknown = deps
        .store
        .tx(move |tx| {
            let mut unknown = Vec::new();
            for run in listed {
                if tx.run(&run)?.is_none() {
                    unknown.push(run);
                }
            }
            Ok(unknown)
        })
        .await?;
    for run in unknown {
        if deps.runner.inspect(&run).await != Remains::Alive {
            continue;
        }
        warn!(%run, "an agent works for a run that the database does not know; it is ended, its directory is kept");
        match deps.runner.attach(&run, 0).await {
            Ok(found) => found.control.terminate(),
            Err(cause) => warn!(%run, %cause, "cannot end it"),
        }
    }
    Ok(())
}

async fn round(deps: &Arc<Deps>) -> Result<(), StoreError> {
    let now = deps.clock.now();
    let over = deps
        .store
        .tx(move |tx| {
            tx.inbox_prune(now - KEEP_ROWS)?;
            tx.out_prune(now - KEEP_ROWS)?;
            tx.limits_prune(now)?;
            tidy(tx, now)?;
            tx.runs_over_before(now - KEEP_RUNS)
        })
        .await?;
    // In steps: others want the store meanwhile.
    while deps
        .store
        .tx(move |tx| tx.past_prune(now - KEEP_ROWS, STEP))
        .await?
    {}
    files::collect::round(deps).await?;
    for run in over {
        deps.runner.remove(&run).await;
        // One that could not be removed is tried again in the next round.
        if !deps.runner.list().await.contains(&run) {
            deps.store.tx(move |tx| tx.run_cleared(&run)).await?;
        }
    }
    Ok(())
}
