//! The server as a value.

use std::{
    io,
    net::{SocketAddr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{Mutex, broadcast, watch},
    task::JoinHandle,
};

use crate::{
    config::Config,
    faults::{Fault, FaultId},
    flood::FloodLimits,
    inject::{self, NotAnUpdate},
    observe::{Call, CallbackAnswer, Change, ShownAction, ShownDraft, ShownMessage},
    person::Person,
    server,
    shared::Shared,
    state::{Chat, ChatKind, State as View},
    wait::{self, TimedOut},
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
        Person::of(&self.shared, id, first_name)
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
        inject::inject(&self.shared, update)
    }

    /// Queues a whole update as it is, under this id in the queue (which should be the one in the text). The sequence
    /// goes on behind it.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn inject_verbatim(&self, id: i64, update: &str) -> Result<(), NotAnUpdate> {
        inject::inject_verbatim(&self.shared, id, update)
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

    /// The draft that a chat shows now, outside of all topics.
    #[must_use]
    pub fn draft(&self, chat: i64) -> Option<ShownDraft> {
        let now = self.shared.now_ms();
        self.view(|v| v.draft_at(chat, None, now))
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
        read: impl FnMut(&View) -> Option<T>,
    ) -> Result<T, TimedOut> {
        wait::wait(&self.shared, deadline, read).await
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
