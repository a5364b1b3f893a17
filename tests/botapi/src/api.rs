//! The server as a value.

use std::{
    collections::BTreeMap,
    fmt, io,
    net::{SocketAddr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{Mutex, broadcast, watch},
    task::JoinHandle,
};

use crate::{
    config::Config,
    faults::{Fault, FaultId},
    flood::FloodLimits,
    observe::{Call, CallbackAnswer, Change, ShownAction, ShownMessage},
    person::Person,
    queue::Queued,
    server,
    shared::Shared,
    state::{Chat, ChatKind, Human, MESSAGE_TTL_MS, Message, State, State as View},
};

/// What a client meets when it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// The server.
    Up,
    /// Connections are refused; the port is kept.
    Refused,
    /// Connections are taken, nothing is ever answered.
    Silent,
}

/// A condition did not come true in time.
#[derive(Clone, Debug)]
pub struct TimedOut {
    /// How long it was waited for.
    pub waited: Duration,
    /// The state at the end, for the reader of a test's failure.
    pub state: String,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not within {:?}; {}", self.waited, self.state)
    }
}

impl std::error::Error for TimedOut {}

/// Text that was to be injected is no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnUpdate;

impl fmt::Display for NotAnUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a JSON object")
    }
}

impl std::error::Error for NotAnUpdate {}

/// The port, and what stands on it.
enum Line {
    Serving {
        stop: watch::Sender<bool>,
        task: JoinHandle<()>,
    },
    Held(#[allow(dead_code, reason = "its life keeps the port")] TcpSocket),
    Ended,
}

/// A running server. Dropping it ends it.
pub struct BotApi {
    shared: Arc<Shared>,
    address: SocketAddrV4,
    bot_id: i64,
    line: Mutex<Line>,
    /// Ends the task also where the value is only dropped.
    abort: std::sync::Mutex<Option<tokio::task::AbortHandle>>,
}

impl BotApi {
    /// Starts a server.
    ///
    /// # Errors
    /// The port cannot be had, the calls file cannot be written, or the token has no number in front.
    pub async fn start(config: Config) -> io::Result<Self> {
        let bot_id = config
            .token
            .split_once(':')
            .and_then(|(id, _)| id.parse::<i64>().ok())
            .ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the token is not NUMBER:SECRET",
                )
            })?;
        let listener = TcpListener::bind((config.address, config.port)).await?;
        let SocketAddr::V4(address) = listener.local_addr()? else {
            return Err(io::Error::other("not an IPv4 address"));
        };
        let api = Self {
            shared: Arc::new(Shared::new(config, bot_id)?),
            address,
            bot_id,
            line: Mutex::new(Line::Ended),
            abort: std::sync::Mutex::new(None),
        };
        *api.line.lock().await = api.serve(listener, Network::Up);
        Ok(api)
    }

    fn serve(&self, listener: TcpListener, network: Network) -> Line {
        let (stop, stopped) = watch::channel(false);
        let task = match network {
            Network::Silent => tokio::spawn(server::silence(listener, stopped)),
            _ => tokio::spawn(server::serve(Arc::clone(&self.shared), listener, stopped)),
        };
        *self
            .abort
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(task.abort_handle());
        Line::Serving { stop, task }
    }

    /// Changes what clients meet. Connections that are open end; the state stays; the port stays the same.
    ///
    /// # Errors
    /// The port could not be taken again.
    pub async fn network(&self, network: Network) -> io::Result<()> {
        let mut line = self.line.lock().await;
        end(std::mem::replace(&mut *line, Line::Ended)).await;
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::V4(self.address))?;
        *line = match network {
            Network::Refused => Line::Held(socket),
            other => self.serve(socket.listen(1024)?, other),
        };
        Ok(())
    }

    /// Ends the server and every connection.
    pub async fn shutdown(self) {
        let mut line = self.line.lock().await;
        end(std::mem::replace(&mut *line, Line::Ended)).await;
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bot's token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.shared.config.token
    }

    /// The bot's id.
    #[must_use]
    pub fn bot_id(&self) -> i64 {
        self.bot_id
    }

    /// A person, made where there is none with this id. The bot cannot write to them before they wrote.
    #[must_use]
    pub fn user(&self, id: i64, first_name: &str) -> Person {
        self.shared.change(|state| {
            state.people.entry(id).or_insert_with(|| Human {
                id,
                first_name: first_name.to_owned(),
                username: None,
                blocked_bot: false,
            });
        });
        Person {
            shared: Arc::clone(&self.shared),
            id,
        }
    }

    /// A person with a username.
    #[must_use]
    pub fn user_named(&self, id: i64, first_name: &str, username: &str) -> Person {
        let person = self.user(id, first_name);
        self.shared.change(|state| {
            if let Some(human) = state.people.get_mut(&id) {
                human.username = Some(username.to_owned());
            }
        });
        person
    }

    /// Makes a basic group; its id should be negative.
    pub fn group(&self, id: i64, title: &str) {
        self.make_chat(id, ChatKind::Group, title, false);
    }

    /// Makes a supergroup; its id should be below -1000000000000. `forum`: whether it has topics.
    pub fn supergroup(&self, id: i64, title: &str, forum: bool) {
        self.make_chat(id, ChatKind::Supergroup, title, forum);
    }

    fn make_chat(&self, id: i64, kind: ChatKind, title: &str, forum: bool) {
        self.shared.change(|state| {
            state.chats.entry(id).or_insert_with(|| Chat {
                forum,
                ..Chat::new(id, kind, title)
            });
        });
    }

    /// Makes a topic in a chat.
    pub fn topic(&self, chat: i64, thread: i64) {
        self.with_chat(chat, |chat| {
            chat.topics.insert(thread);
        });
    }

    /// Removes a topic; sends into it fail.
    pub fn remove_topic(&self, chat: i64, thread: i64) {
        self.with_chat(chat, |chat| {
            chat.topics.remove(&thread);
        });
    }

    /// Upgrades a group to a supergroup: calls with the old id get the new one as `migrate_to_chat_id`.
    pub fn migrate(&self, group: i64, supergroup: i64) {
        let title = self
            .shared
            .look(|state| state.chats.get(&group).map(|c| c.title.clone()))
            .unwrap_or_default();
        self.supergroup(supergroup, &title, false);
        self.with_chat(group, |chat| chat.migrated_to = Some(supergroup));
    }

    /// Removes the bot from a group.
    pub fn kick(&self, chat: i64) {
        self.with_chat(chat, |chat| chat.kicked = true);
    }

    /// Makes the bot an administrator of a group.
    pub fn promote(&self, chat: i64) {
        self.with_chat(chat, |chat| chat.bot_is_admin = true);
    }

    fn with_chat(&self, id: i64, f: impl FnOnce(&mut Chat)) {
        self.shared.change(|state| {
            if let Some(chat) = state.chats.get_mut(&id) {
                f(chat);
            }
        });
    }

    /// Queues an update given as JSON text without `update_id`, byte for byte: unknown kinds, lone surrogates, any size.
    /// Passes by `allowed_updates`. Gives its id.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn inject(&self, update: &str) -> Result<i64, NotAnUpdate> {
        let inner = self.check(update)?;
        let now = self.shared.now_ms();
        Ok(self.shared.change(|state| {
            self.note_injected(state, update, now);
            let id = state.queue.take_id();
            let comma = if inner == "}" { "" } else { "," };
            let json = format!("{{\"update_id\":{id}{comma}{inner}");
            state.queue.push(Queued {
                id,
                json,
                expires_ms: now + MESSAGE_TTL_MS,
            });
            id
        }))
    }

    /// Queues a whole update as it is, under this id in the queue (which should be the one in the text). The sequence
    /// goes on behind it.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn inject_verbatim(&self, id: i64, update: &str) -> Result<(), NotAnUpdate> {
        self.check(update)?;
        let now = self.shared.now_ms();
        self.shared.change(|state| {
            self.note_injected(state, update, now);
            state.queue.push(Queued {
                id,
                json: update.to_owned(),
                expires_ms: now + MESSAGE_TTL_MS,
            });
        });
        Ok(())
    }

    fn check<'a>(&self, update: &'a str) -> Result<&'a str, NotAnUpdate> {
        let update = update.trim();
        serde_json::from_str::<BTreeMap<String, &RawValue>>(update).map_err(|_| NotAnUpdate)?;
        Ok(update.strip_prefix('{').ok_or(NotAnUpdate)?.trim_start())
    }

    /// Makes chat and message of an injected update known, so that they can be answered.
    fn note_injected(&self, state: &mut State, update: &str, now: i64) {
        #[derive(Deserialize)]
        struct Narrow {
            message: Option<NarrowMessage>,
        }
        #[derive(Deserialize)]
        struct NarrowMessage {
            message_id: i64,
            chat: Id,
            from: Option<Id>,
        }
        #[derive(Deserialize)]
        struct Id {
            id: i64,
        }
        let Ok(Narrow {
            message: Some(message),
        }) = serde_json::from_str::<Narrow>(update)
        else {
            return;
        };
        let chat = message.chat.id;
        state.chats.entry(chat).or_insert_with(|| {
            let kind = if chat > 0 {
                ChatKind::Private
            } else {
                ChatKind::Supergroup
            };
            Chat::new(chat, kind, "injected")
        });
        let from = message.from.map_or(chat, |f| f.id);
        state.next_message_id = state.next_message_id.max(message.message_id + 1);
        if let Some(known) = state.chats.get_mut(&chat) {
            known.next_message_id = known.next_message_id.max(message.message_id + 1);
        }
        state.put_message(
            chat,
            Message::new(
                message.message_id,
                now,
                from,
                false,
                String::new(),
                Vec::new(),
            ),
        );
    }

    /// The sequence of update ids goes on at `next`, as after a reset at Telegram; what waits is lost.
    pub fn reset_update_ids(&self, next: i64) {
        self.shared.change(|state| state.queue.reset(next));
    }

    /// Injects a fault.
    pub fn fault(&self, fault: Fault) -> FaultId {
        self.shared.change(|state| state.faults.arm(fault))
    }

    /// Takes a fault back; requests that hang by it go on.
    pub fn cancel_fault(&self, id: FaultId) {
        self.shared.change(|state| state.faults.cancel(id));
    }

    /// Takes all faults back; requests that hang go on.
    pub fn clear_faults(&self) {
        self.shared.change(|state| state.faults.clear());
    }

    /// Forgets a callback query, so that answering it fails as too old.
    pub fn forget_callback(&self, id: &str) {
        self.shared.change(|state| {
            state.callbacks.remove(id);
        });
    }

    /// Changes the flood limits.
    pub fn set_flood_limits(&self, limits: FloodLimits) {
        self.shared.change(|state| state.flood.limits = limits);
    }

    /// Looks at the state at one instant.
    pub fn view<R>(&self, f: impl FnOnce(&View) -> R) -> R {
        self.shared.look(|state| f(state))
    }

    /// Messages of a chat, oldest first, deleted ones included.
    #[must_use]
    pub fn messages(&self, chat: i64) -> Vec<ShownMessage> {
        self.view(|v| v.messages(chat))
    }

    /// Calls, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.view(View::calls)
    }

    /// Chat actions of a chat, oldest first.
    #[must_use]
    pub fn chat_actions(&self, chat: i64) -> Vec<ShownAction> {
        self.view(|v| v.chat_actions(chat))
    }

    /// Answers to pressed buttons, oldest first.
    #[must_use]
    pub fn callback_answers(&self) -> Vec<CallbackAnswer> {
        self.view(View::callback_answers)
    }

    /// Ids of the updates that wait, in order.
    #[must_use]
    pub fn pending_updates(&self) -> Vec<i64> {
        self.view(View::pending_updates)
    }

    /// Highest update id that the bot confirmed.
    #[must_use]
    pub fn confirmed_offset(&self) -> Option<i64> {
        self.view(View::confirmed_offset)
    }

    /// A file's content by its `file_id`.
    #[must_use]
    pub fn file(&self, file_id: &str) -> Option<bytes::Bytes> {
        self.shared
            .look(|state| state.files.get(file_id).map(|f| f.bytes.clone()))
    }

    /// News from now on. Who lags by more than 4096 loses the oldest.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.shared.subscribe()
    }

    /// Waits until the state satisfies a condition. Wakes at changes only.
    ///
    /// # Errors
    /// It did not within the deadline.
    pub async fn wait_for(
        &self,
        deadline: Duration,
        mut condition: impl FnMut(&View) -> bool,
    ) -> Result<(), TimedOut> {
        self.wait_for_some(deadline, |view| condition(view).then_some(()))
            .await
    }

    /// Waits until something can be read from the state, and gives it.
    ///
    /// # Errors
    /// It could not within the deadline.
    pub async fn wait_for_some<T>(
        &self,
        deadline: Duration,
        mut read: impl FnMut(&View) -> Option<T>,
    ) -> Result<T, TimedOut> {
        let mut changed = self.shared.watch();
        let until = tokio::time::Instant::now() + deadline;
        loop {
            changed.borrow_and_update();
            if let Some(found) = self.view(&mut read) {
                return Ok(found);
            }
            let woken = tokio::time::timeout_at(until, changed.changed()).await;
            if !matches!(woken, Ok(Ok(()))) {
                return Err(TimedOut {
                    waited: deadline,
                    state: self.shared.look(summary),
                });
            }
        }
    }
}

impl Drop for BotApi {
    fn drop(&mut self) {
        if let Some(abort) = self
            .abort
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take()
        {
            abort.abort();
        }
    }
}

async fn end(line: Line) {
    if let Line::Serving { stop, task } = line {
        let _ = stop.send(true);
        // It never panics; an abort is as good.
        let _ = task.await;
    }
}

/// The last calls and messages in a few lines.
fn summary(state: &State) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "{} calls, waiting updates {:?}, confirmed {:?}",
        state.calls_total,
        state.queue.pending(),
        state.queue.confirmed()
    );
    let mut last: Vec<&Call> = state
        .calls
        .iter()
        .rev()
        .filter(|c| c.method != "getUpdates")
        .take(8)
        .collect();
    last.reverse();
    for call in last {
        let _ = write!(
            text,
            "\n  call {} {} -> {:?}",
            call.method,
            short(&call.params),
            call.outcome
        );
    }
    for chat in state.chats.values() {
        for message in chat
            .messages
            .values()
            .skip(chat.messages.len().saturating_sub(8))
        {
            let who = if message.from_bot { "bot" } else { "person" };
            let _ = write!(
                text,
                "\n  chat {} message {} {who}: {:?}",
                chat.id, message.id, message.text
            );
        }
    }
    text
}

fn short(params: &Value) -> String {
    params.to_string().chars().take(200).collect()
}
