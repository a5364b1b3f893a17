//! From an update in the inbox to what it asks for: policy, commands, prompts.
//!
//! One task takes the updates in order. Whatever an update brings about is committed in one transaction with
//! the mark that its row is done, so that a crash repeats it whole or not at all.
//!
//! | file | what it does |
//! |---|---|
//! | `mod.rs` | the order of updates, who may, what an update is |
//! | `beside.rs` | forwarded from whom, in reply to what |
//! | `command.rs` | slash commands |
//! | `decide.rs` | answers to questions of agents: presses, `/allow`, `/deny`, `/answer` |
//! | `edit.rs` | messages that are changed |
//! | `mode.rs` | `/mode` and its buttons |
//! | `prompt.rs` | prompts become turns |
//! | `press.rs` | presses of buttons |
//! | `queue.rs` | `/queue`, and the word that stops |
//! | `speech.rs` | messages that are words for which somebody was asked |
//! | `stopped.rs` | stops of drafts |
//! | `stranger.rs` | messages of people who are not known |

mod beside;
mod command;
mod decide;
mod edit;
mod mode;
mod press;
mod prompt;
mod queue;
mod speech;
mod stopped;
mod stranger;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;
use tracing::{debug, error, info};

pub use press::meaning;
use prompt::Arriving;
use stranger::{Stranger, may_ask};

use super::{Config, Deps, error_number, lanes::Lanes, ports::Admission, show};
use crate::{
    core::{
        command::{Command, Reading, read},
        ids::{ConversationKey, InboxId},
        inbound::{ChatKind, Inbound, Message, Person},
        messages,
        policy::{self, Role},
        words,
    },
    store::{
        StoreError,
        rows::{Target, Urgency, Verdict},
    },
};

/// Waits before an update is tried again.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How often the store may refuse one update for another reason than want of space.
const MOST_REFUSALS: u32 = 5;
/// When it is tried again after that, and how many may wait for it.
const POSTPONED: Duration = Duration::from_secs(60);
const MOST_POSTPONED: usize = 256;

/// An update on its way to the dispatcher.
pub(super) struct Arrival {
    pub(super) id: InboxId,
    pub(super) bot_id: i64,
    pub(super) inbound: Inbound,
}

/// How many updates were accepted and are not acted on yet. Those that are put off do not count: later ones pass them.
#[derive(Clone, Default)]
pub(super) struct Underway(Arc<AtomicUsize>);

impl Underway {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn done(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn none(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

/// What a message brings about, if it is a prompt that a transaction alone can enter. Everything else goes to the desk.
pub(super) fn admission(
    deps: &Deps,
    lanes: &Lanes,
    bot_id: i64,
    inbound: &Inbound,
) -> Option<Admission> {
    let Inbound::Message(message) = inbound else {
        return None;
    };
    let config = deps.config.get();
    let role = config.access.role_of_message(message);
    policy::may_prompt(role).ok()?;
    let person = message.from.as_ref()?;
    let prompt = !message.edited
        && !message.text.trim().is_empty()
        // The desk has more to do for files.
        && message.attachments.is_empty()
        && !stops(&config, message)
        && reading(message, &config.bot_name.get()) == Reading::Prompt;
    let arriving = prompt.then(|| Arriving::new(deps, lanes, bot_id, message, person))?;
    let lanes = lanes.clone();
    Some(Box::new(move |tx, id| {
        let entered = arriving.enter(tx, id)?;
        Ok(Box::new(move || entered.tell(&lanes)))
    }))
}

/// Takes updates until the daemon stops. What is still queued then is in the inbox and comes again.
pub(super) async fn run(
    deps: Arc<Deps>,
    lanes: Lanes,
    mut arrivals: mpsc::Receiver<Arrival>,
    underway: Underway,
) {
    // Updates that the store refused for a reason that waiting might mend.
    let mut postponed: Vec<Arrival> = Vec::new();
    loop {
        let (due, fresh) = tokio::select! {
            biased;
            () = deps.shutdown.cancelled() => return,
            arrival = arrivals.recv() => match arrival {
                Some(arrival) => (vec![arrival], true),
                None => return,
            },
            () = tokio::time::sleep(POSTPONED), if !postponed.is_empty() => {
                (std::mem::take(&mut postponed), false)
            }
        };
        for arrival in due {
            let desk = Desk {
                deps: &deps,
                lanes: &lanes,
                id: arrival.id,
                bot_id: arrival.bot_id,
            };
            match desk.insist(&arrival.inbound).await {
                Insisted::Taken => {}
                Insisted::Refused(cause) => {
                    // Once, however often it is tried again.
                    if fresh {
                        desk.tell_refusal(&arrival.inbound, &cause).await;
                    }
                    // Beyond these it stays in the inbox until the next start.
                    if postponed.len() < MOST_POSTPONED {
                        postponed.push(arrival);
                    }
                }
                Insisted::Stopping => return,
            }
        }
        if fresh {
            underway.done();
        }
    }
}

/// What came of an update.
enum Insisted {
    Taken,
    Refused(StoreError),
    Stopping,
}

/// One update at the desk.
struct Desk<'a> {
    deps: &'a Arc<Deps>,
    lanes: &'a Lanes,
    id: InboxId,
    bot_id: i64,
}

impl Desk<'_> {
    /// Takes an update, whatever the disk does: later ones wait until the store has taken this one. Only what the
    /// store refuses again and again for another reason than want of space lets later ones pass.
    async fn insist(&self, inbound: &Inbound) -> Insisted {
        let mut wait = FIRST_WAIT;
        let mut refused = 0;
        while let Err(cause) = self.take(inbound).await {
            if matches!(cause, StoreError::Closed) {
                return Insisted::Stopping;
            }
            if !matches!(cause, StoreError::Full) {
                refused += 1;
            }
            if refused == MOST_REFUSALS {
                return Insisted::Refused(cause);
            }
            error!(event = cause.kind(), update = self.id.0, %cause, "cannot act on an update; it is tried again");
            tokio::select! {
                () = self.deps.shutdown.cancelled() => return Insisted::Stopping,
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        Insisted::Taken
    }

    /// Logs an error that nobody thought of under a number of its own, and gives its person that number. It is theirs
    /// alone: nobody else notices.
    async fn tell_refusal(&self, inbound: &Inbound, cause: &StoreError) {
        let number = error_number(&*self.deps.dice);
        error!(
            event = cause.kind().unwrap_or(messages::UNEXPECTED),
            error_id = number,
            update = self.id.0,
            %cause,
            "cannot act on an update; it is put off"
        );
        let access = &self.deps.config.get().access;
        let (role, target, reply_to) = match inbound {
            Inbound::Message(message) => (
                access.role_of_message(message),
                Some(Self::target(message)),
                Self::reply_to(message),
            ),
            Inbound::Press(press) => (
                access.role_of_press(press),
                press.place.map(|place| Target {
                    chat_id: place.chat_id,
                    thread_id: place.thread_id,
                }),
                None,
            ),
            _ => return,
        };
        let Some(target) = target.filter(|_| policy::may_prompt(role).is_ok()) else {
            return;
        };
        let note = show::note(
            words::unexpected(&number, role == Role::Admin),
            Vec::new(),
            reply_to,
        );
        let now = self.deps.clock.now();
        let told = self
            .deps
            .store
            .tx(move |tx| {
                tx.out_show(target, None, Urgency::Message, &note, now)
                    .map(drop)
            })
            .await;
        if let Err(cause) = told {
            error!(event = cause.kind(), update = self.id.0, %cause, "cannot tell its person of it");
        }
    }

    async fn take(&self, inbound: &Inbound) -> Result<(), StoreError> {
        match inbound {
            Inbound::Message(message) => self.message(message).await,
            Inbound::Press(press) => press::take(self, press).await,
            Inbound::Stopped(stopped) => stopped::take(self, stopped).await,
            Inbound::Migrated { from, to } => {
                let (id, now, from, to) = (self.id, self.deps.clock.now(), *from, *to);
                info!(from, to, "a group has moved to another chat id");
                self.deps
                    .store
                    .tx(move |tx| {
                        tx.chat_migrated(from, to)?;
                        tx.inbox_done(id, Verdict::Command, now)
                    })
                    .await
            }
            Inbound::Other(kind) => {
                debug!(
                    update = self.id.0,
                    kind, "an update that asks nothing of us"
                );
                self.done(Verdict::Ignored).await
            }
            // Intake has told of it.
            Inbound::Unreadable(_) => self.done(Verdict::Unreadable).await,
        }
    }

    async fn done(&self, verdict: Verdict) -> Result<(), StoreError> {
        let (id, now) = (self.id, self.deps.clock.now());
        self.deps
            .store
            .tx(move |tx| tx.inbox_done(id, verdict, now))
            .await
    }

    async fn message(&self, message: &Message) -> Result<(), StoreError> {
        let mut config = self.deps.config.get();
        let mut role = config.access.role_of_message(message);
        if config.pairing
            && role == Role::Nobody
            && let Some(person) = may_ask(message)
        {
            match self.stranger(person).await? {
                Stranger::Done => return Ok(()),
                Stranger::LetIn => {
                    config = self.deps.config.get();
                    role = config.access.role_of_message(message);
                }
            }
        }
        let Some(person) = message
            .from
            .as_ref()
            .filter(|_| policy::may_prompt(role).is_ok())
        else {
            // Nothing is run, nothing is revealed: not even that somebody is here.
            info!(
                event = messages::STRANGER_REFUSED,
                update = self.id.0,
                person = message.from.as_ref().map(|p| p.id),
                chat = message.place.chat_id,
                "refused: not a known person"
            );
            return self.done(Verdict::Refused).await;
        };
        if message.edited {
            return self.edited(message, person).await;
        }
        match reading(message, &config.bot_name.get()) {
            Reading::NotOurs => self.done(Verdict::Ignored).await,
            Reading::Command {
                command: Command::Unknown(_),
                addressed: false,
                ..
            } if message.place.kind != ChatKind::Private => {
                // Another bot's, most likely.
                self.done(Verdict::Ignored).await
            }
            Reading::Command { command, args, .. } => {
                self.command(message, person, role, &command, args).await
            }
            Reading::Prompt if stops(&config, message) => self.stop_word(message, person).await,
            Reading::Prompt => self.prompt(message, person).await,
        }
    }

    fn key(&self, message: &Message, person: &Person) -> ConversationKey {
        key(self.bot_id, message, person)
    }

    /// A message of a bot in a group refers to its cause; alone with a person that would be noise.
    fn reply_to(message: &Message) -> Option<i64> {
        (message.place.kind != ChatKind::Private).then_some(message.message_id)
    }

    fn target(message: &Message) -> Target {
        Target {
            chat_id: message.place.chat_id,
            thread_id: message.place.thread_id,
        }
    }
}

/// Whether a message is a command. What somebody else wrote orders nothing, whoever forwards it.
fn reading<'a>(message: &'a Message, bot_name: &str) -> Reading<'a> {
    if message.forwarded.is_some() {
        return Reading::Prompt;
    }
    read(&message.text, bot_name)
}

/// Whether a message is the word that stops, said by whoever sent it.
fn stops(config: &Config, message: &Message) -> bool {
    message.forwarded.is_none() && message.attachments.is_empty() && config.stops(&message.text)
}

fn key(bot_id: i64, message: &Message, person: &Person) -> ConversationKey {
    ConversationKey {
        bot_id,
        chat_id: message.place.chat_id,
        thread_id: message.place.thread_id,
        user_id: person.id,
    }
}
