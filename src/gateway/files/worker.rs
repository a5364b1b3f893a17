//! Fetches what is wanted: several at once, few for one conversation, again after a failure.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet};
use tracing::{debug, error, info, warn};

use super::{Files, missing, place::Places, voice::VoiceError};
use crate::{
    core::{
        Millis,
        ids::ConversationId,
        messages,
        words::files::{self as words, Refused},
    },
    gateway::{
        Deps,
        lane::window,
        lanes::Lanes,
        ports::{FetchError, InboxOf},
        queue::Queue,
        show,
    },
    store::{
        StoreError, Tx,
        rows::{AttachmentJob, TurnState, Urgency},
    },
};

/// Most files that are fetched at once, in all and for one conversation.
const MOST: usize = 6;
const MOST_OF_ONE: usize = 2;
/// Most recordings that are turned into text at once: each may take all that the machine has.
const MOST_VOICES: usize = 1;
/// Pause after the first failure; doubled with each, up to the longest.
const FIRST_PAUSE: Millis = 1_000;
const LONGEST_PAUSE: Millis = 60_000;
/// Tries that may fail before a file is given up: about twenty minutes.
const MOST_TRIES: i64 = 25;
/// Pause while there is no room or no network.
const PAUSE: Millis = 10_000;
/// How long is waited when the database refuses.
const STORE_PAUSE: Duration = Duration::from_secs(2);
/// What a row that waits for room says.
const WAITS_FOR_ROOM: &str = "waits for room on the disk";

/// Fetches until the daemon stops; what is not done then is done by the next one.
pub(in crate::gateway) async fn run(deps: Arc<Deps>, lanes: Lanes) {
    let voices = Arc::new(Semaphore::new(MOST_VOICES));
    let mut busy: HashMap<i64, ConversationId> = HashMap::new();
    let mut tasks: JoinSet<i64> = JoinSet::new();
    loop {
        let next = match look(&deps, &busy).await {
            Ok((due, next)) => {
                for job in due {
                    let of_one = busy.values().filter(|c| **c == job.conversation.id).count();
                    if busy.len() >= MOST || of_one >= MOST_OF_ONE {
                        continue;
                    }
                    let id = job.row.id;
                    busy.insert(id, job.conversation.id);
                    let (deps, lanes, voices) =
                        (Arc::clone(&deps), lanes.clone(), Arc::clone(&voices));
                    tasks.spawn(async move {
                        take(&deps, &lanes, &voices, job).await;
                        id
                    });
                }
                next
            }
            Err(StoreError::Closed) => return,
            Err(cause) => {
                error!(event = cause.kind(), %cause, "cannot look for files to fetch; it is tried again");
                Some(STORE_PAUSE)
            }
        };
        tokio::select! {
            biased;
            // Dropping the tasks leaves drafts that the next life writes over.
            () = deps.shutdown.cancelled() => return,
            Some(done) = tasks.join_next(), if !tasks.is_empty() => match done {
                Ok(id) => {
                    busy.remove(&id);
                }
                // Built to abort; where it unwinds (in tests) the file is taken up anew.
                Err(cause) => {
                    error!(%cause, "fetching a file broke off");
                    busy.clear();
                    tasks.abort_all();
                }
            },
            () = deps.files.bell.notified() => {}
            () = tokio::time::sleep(next.unwrap_or(Duration::from_secs(3600))) => {}
        }
    }
}

/// What is due and not being fetched, and how long until something else is.
async fn look(
    deps: &Deps,
    busy: &HashMap<i64, ConversationId>,
) -> Result<(Vec<AttachmentJob>, Option<Duration>), StoreError> {
    let now = deps.clock.now();
    let (due, next) = deps
        .store
        .tx(move |tx| {
            Ok((
                tx.attachments_due(now, 2 * MOST_OF_ONE)?,
                tx.attachments_next(now)?,
            ))
        })
        .await?;
    let due = due
        .into_iter()
        .filter(|job| !busy.contains_key(&job.row.id))
        .collect();
    let next =
        next.map(|at| Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or(0)));
    Ok((due, next))
}

/// What came of a try.
enum Outcome {
    /// It is in its place.
    Here { size: u64, heard: Heard },
    /// It will not be had.
    Refused(&'static Refused),
    /// At another time.
    Later {
        not_before: Millis,
        counts: bool,
        tell: Option<&'static str>,
    },
    /// Nobody wants it any more.
    Unwanted,
}

/// What became of a recording.
#[derive(Default)]
struct Heard {
    words: Option<String>,
    tell: Option<String>,
}

/// Fetches one file and records what came of it.
async fn take(deps: &Arc<Deps>, lanes: &Lanes, voices: &Semaphore, job: AttachmentJob) {
    let outcome = attempt(deps, voices, &job).await;
    fail::fail_point!("file-before-commit");
    let (id, conversation) = (job.row.id, job.conversation.id);
    let recorded = record(deps, &job, outcome).await;
    fail::fail_point!("file-after-commit");
    match recorded {
        Ok(true) => lanes.wake(conversation),
        Ok(false) | Err(StoreError::Closed) => {}
        Err(cause) => {
            // It stays wanted, and is fetched again.
            error!(event = cause.kind(), file = id, %cause, "cannot record that a file was fetched; it is fetched again");
            tokio::select! {
                () = deps.shutdown.cancelled() => {}
                () = tokio::time::sleep(STORE_PAUSE) => {}
            }
        }
    }
}

async fn attempt(deps: &Arc<Deps>, voices: &Semaphore, job: &AttachmentJob) -> Outcome {
    let (turn, now) = (job.row.turn, deps.clock.now());
    match deps.store.tx(move |tx| tx.turn_is_over(turn)).await {
        Ok(false) => {}
        Ok(true) => return Outcome::Unwanted,
        Err(_) => return later(now, PAUSE, false),
    }
    let places = deps.files.places.clone();
    let conversation = job.conversation.clone();
    let inbox = match on_disk(move || places.make(&conversation)).await {
        Ok(inbox) => inbox,
        Err(cause) => return cannot_write(job, &cause, now),
    };
    match make_room(deps, job, &inbox).await {
        Ok(true) => {}
        Ok(false) => return Outcome::Refused(&words::OVER_QUOTA),
        Err(_) => return later(now, PAUSE, false),
    }
    let draft = Places::draft(&inbox, job.row.id);
    let largest = deps.config.get().files.largest;
    let fetched = fetch(&deps.files, &job.row.file_id, largest, &draft).await;
    let now = deps.clock.now();
    let size = match fetched {
        Ok(0) => {
            drop_draft(&draft).await;
            return Outcome::Refused(&words::EMPTY);
        }
        Ok(size) => size,
        Err(cause) => {
            drop_draft(&draft).await;
            return failed(job, cause, largest, now);
        }
    };
    fail::fail_point!("file-fetched");
    let (to, name) = (inbox.clone(), job.row.name.clone());
    let settled = {
        let draft = draft.clone();
        on_disk(move || Places::settle(&to, &draft, &name)).await
    };
    if let Err(cause) = settled {
        drop_draft(&draft).await;
        return cannot_write(job, &cause, now);
    }
    info!(
        file = job.row.id,
        conversation = job.conversation.id.0,
        size,
        "a file was taken"
    );
    let heard = if job.row.kind == "voice" {
        hear(deps, voices, job, &inbox.from.join(&job.row.name)).await
    } else {
        Heard::default()
    };
    Outcome::Here { size, heard }
}

/// Fetches into a new file, whose content is on the disk on return.
async fn fetch(
    files: &Files,
    file_id: &str,
    largest: u64,
    draft: &Path,
) -> Result<u64, FetchError> {
    let mut sink = tokio::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(draft)
        .await?;
    let size = files.source.fetch(file_id, largest, &mut sink).await?;
    sink.sync_all().await?;
    Ok(size)
}

/// It is a leftover that the next try writes over, or the sweep takes.
async fn drop_draft(draft: &Path) {
    let _ = tokio::fs::remove_file(draft).await;
}

async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(std::io::Error::other)?
}

fn is_full(cause: &std::io::Error) -> bool {
    matches!(
        cause.kind(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
    )
}

fn later(now: Millis, pause: Millis, counts: bool) -> Outcome {
    Outcome::Later {
        not_before: now + pause,
        counts,
        tell: None,
    }
}

/// The pause before the try with this number, counted from 0.
fn pause(attempts: i64) -> Millis {
    let doublings = u32::try_from(attempts.clamp(0, 16)).unwrap_or(16);
    (FIRST_PAUSE << doublings).min(LONGEST_PAUSE)
}

fn failed(job: &AttachmentJob, cause: FetchError, largest: u64, now: Millis) -> Outcome {
    let id = job.row.id;
    match cause {
        FetchError::TooLarge => Outcome::Refused(super::too_large(largest)),
        FetchError::Gone(what) => {
            warn!(file = id, what, "Telegram does not give out a file");
            Outcome::Refused(&words::GONE)
        }
        FetchError::Closed(what) => {
            error!(
                file = id,
                what,
                "a file may not be read; where an own Bot API server keeps its files on this machine, telegram.local_files names \
                 their folder"
            );
            Outcome::Refused(&words::CLOSED)
        }
        FetchError::Wait { what, until } => {
            warn!(file = id, what, "a file cannot be fetched now");
            let pause = pause(job.row.attempts).max(2_000);
            Outcome::Later {
                not_before: until.unwrap_or(now + pause).max(now + 100),
                counts: false,
                tell: None,
            }
        }
        FetchError::Failed(what) => {
            warn!(
                file = id,
                what,
                tries = job.row.attempts + 1,
                "fetching a file failed"
            );
            again(job, &words::NOT_FETCHED, now)
        }
        FetchError::Write(cause) => cannot_write(job, &cause, now),
    }
}

fn again(job: &AttachmentJob, in_the_end: &'static Refused, now: Millis) -> Outcome {
    if job.row.attempts + 1 >= MOST_TRIES {
        return Outcome::Refused(in_the_end);
    }
    later(now, pause(job.row.attempts), true)
}

fn cannot_write(job: &AttachmentJob, cause: &std::io::Error, now: Millis) -> Outcome {
    let id = job.row.id;
    if is_full(cause) {
        error!(event = messages::DISK_FULL, file = id, %cause, "no room for a file; it is fetched as soon as there is some");
        let told = job.row.trouble.as_deref() == Some(WAITS_FOR_ROOM);
        return Outcome::Later {
            not_before: now + PAUSE,
            counts: false,
            tell: (!told).then_some(words::NO_ROOM.as_str()),
        };
    }
    error!(file = id, %cause, "cannot store a file");
    again(job, &words::NOT_WRITTEN, now)
}

/// Makes room in the space of a conversation by deleting what is oldest. False: there cannot be enough.
async fn make_room(
    deps: &Arc<Deps>,
    job: &AttachmentJob,
    inbox: &InboxOf,
) -> Result<bool, StoreError> {
    let config = deps.config.get();
    let (quota, largest) = (config.files.quota, config.files.largest);
    // Where the size is not told, what it may be at most.
    let size = job.row.size.unwrap_or(largest).min(quota);
    if job.row.size.is_some_and(|size| size > quota) {
        return Ok(false);
    }
    let conversation = job.conversation.id;
    let (gone, fits) = deps
        .store
        .tx(move |tx| {
            let mut taken = tx.attachments_size(conversation)?;
            let mut gone = Vec::new();
            while taken.saturating_add(size) > quota {
                match tx.attachment_oldest_gone(conversation)? {
                    Some((name, freed)) => {
                        taken = taken.saturating_sub(freed);
                        gone.push(name);
                    }
                    // All that is left is needed.
                    None => return Ok((gone, false)),
                }
            }
            Ok((gone, true))
        })
        .await?;
    for name in gone {
        debug!(conversation = conversation.0, name, "deleted to make room");
        // What stays after all is swept by its age.
        if let Err(cause) = Places::remove(inbox, &name) {
            warn!(name, %cause, "cannot delete a file");
        }
    }
    Ok(fits)
}

/// Turns a recording into text, where that is wanted.
async fn hear(deps: &Deps, voices: &Semaphore, job: &AttachmentJob, recording: &Path) -> Heard {
    let config = deps.config.get();
    let tell = |text: &str| Heard {
        words: None,
        tell: Some(text.to_owned()),
    };
    if !config.features.voice.is_on(job.conversation.key.user_id) {
        return tell(words::VOICE_OFF.as_str());
    }
    let Some(transcriber) = &config.files.transcriber else {
        return tell(words::NO_TRANSCRIBER.as_str());
    };
    let Ok(_turn) = voices.acquire().await else {
        return tell(words::VOICE_FAILED.as_str());
    };
    match transcriber.run(recording).await {
        Ok(words) => Heard {
            tell: Some(words::transcript(&words)),
            words: Some(words),
        },
        Err(cause) => {
            warn!(file = job.row.id, %cause, "files.transcriber made no text of a recording");
            tell(match cause {
                VoiceError::TooSlow(_) => words::VOICE_SLOW.as_str(),
                VoiceError::NoWords => words::VOICE_NO_WORDS.as_str(),
                VoiceError::Start(_) | VoiceError::Failed(_) => words::VOICE_FAILED.as_str(),
            })
        }
    }
}

/// A file that will not be had. One of an album is told with the others of it; else this is what the person is told. A turn
/// that holds nothing else is over.
fn missed(
    tx: &Tx<'_>,
    job: &AttachmentJob,
    queue: &Queue,
    refused: &'static Refused,
    now: Millis,
) -> Result<Option<String>, StoreError> {
    let Some(turn) = tx.turn(job.row.turn)? else {
        return Ok(None);
    };
    let of_album = turn
        .parts
        .iter()
        .any(|part| part.inbox == job.row.inbox && part.mark.album.is_some());
    if of_album {
        missing::show(tx, queue.target(), turn.id, queue.reply_to(&turn), now)?;
    }
    if turn.state == TurnState::Queued && missing::is_vain(tx, &turn)? {
        window::discard(tx, turn.id, now)?;
        queue.refresh(tx, turn.conversation, now)?;
    }
    Ok((!of_album).then(|| refused.person.to_owned()))
}

/// Records what came of a try; true if nobody waits for this file any more.
async fn record(deps: &Deps, job: &AttachmentJob, outcome: Outcome) -> Result<bool, StoreError> {
    let (id, now, job) = (job.row.id, deps.clock.now(), job.clone());
    let queue = Queue::of(deps, &job.conversation.key);
    let turn = job.row.turn;
    deps.store
        .tx(move |tx| {
            // Its message was changed meanwhile, and has another file.
            if !tx.attachment_is_wanted(id)? {
                return Ok(true);
            }
            let mut tell: Option<String> = None;
            let over = match outcome {
                Outcome::Here { size, heard } => {
                    tx.attachment_here(id, size, heard.words.as_deref(), now)?;
                    tell = heard.tell;
                    true
                }
                Outcome::Refused(refused) => {
                    tx.attachment_refused(id, refused.agent, now)?;
                    tell = missed(tx, &job, &queue, refused, now)?;
                    true
                }
                Outcome::Unwanted => {
                    tx.attachment_refused(id, "nobody waited for it any more", now)?;
                    false
                }
                Outcome::Later {
                    not_before,
                    counts,
                    tell: what,
                } => {
                    tx.attachment_later(id, not_before, counts, what.map(|_| WAITS_FOR_ROOM))?;
                    tell = what.map(str::to_owned);
                    false
                }
            };
            if let Some(text) = tell {
                let turn = tx.turn(turn)?;
                let reply_to = turn.and_then(|turn| queue.reply_to(&turn));
                let shown = show::note(text, Vec::new(), reply_to);
                tx.out_show(queue.target(), None, Urgency::Message, &shown, now)?;
            }
            Ok(over)
        })
        .await
}
