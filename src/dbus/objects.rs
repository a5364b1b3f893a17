//! Objects of agents that live and of their conversations: the same orders as the manager's, without an id to give.
//!
//! A conversation has an object while an agent of it lives. So there are never more objects than agents, however many
//! conversations the database knows, and a start asks for those alone.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing::debug;
use zbus::{
    Connection, ObjectPath,
    fdo::Properties,
    interface,
    message::Header,
    object_server::{Interface as _, SignalEmitter},
    wire::Variant,
};

use super::{
    PATH,
    desk::Desk,
    error::Error,
    gate::{Action, Guarded, Ruled},
    manager::micros,
};
use crate::{
    core::{
        Millis,
        ids::{ConversationId, ConversationKey, RunId},
    },
    gateway::handle::AdminError,
};

/// Path of a run's object.
pub(super) fn run_path(run: &RunId) -> Option<ObjectPath<'static>> {
    // An id is made of letters and digits: always a path.
    ObjectPath::try_from(format!("{PATH}/run/{run}")).ok()
}

/// Path of a conversation's object.
pub(super) fn conversation_path(conversation: ConversationId) -> Option<ObjectPath<'static>> {
    // A row's number is never negative: always a path.
    ObjectPath::try_from(format!("{PATH}/conversation/{conversation}")).ok()
}

/// `org.telexd1.Run`.
struct Run {
    desk: Arc<Desk>,
    id: RunId,
    conversation: ConversationId,
    person: i64,
    started_at: Millis,
    running: Arc<AtomicBool>,
}

fn status(running: bool) -> &'static str {
    if running { "running" } else { "starting" }
}

impl Ruled for Run {
    fn to_call(method: &str) -> Option<Action> {
        (method == "Kill").then_some(Action::Control)
    }
}

#[interface(name = "org.telexd1.Run", introspection_docs = false)]
impl Run {
    #[zbus(out_args("outcome"))]
    async fn kill(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<&'static str, Error> {
        let run = self.id.clone();
        let done = self
            .desk
            .order(connection, &header, |admin, who| async move {
                admin.kill(who, run.as_str()).await
            })
            .await?;
        Ok(done.as_str())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> &str {
        self.id.as_str()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn conversation(&self) -> i64 {
        self.conversation.0
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn person(&self) -> i64 {
        self.person
    }

    #[zbus(property)]
    fn status(&self) -> &'static str {
        status(self.running.load(Ordering::Relaxed))
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn started_at(&self) -> u64 {
        micros(self.started_at)
    }
}

/// `org.telexd1.Conversation`.
struct Conversation {
    desk: Arc<Desk>,
    id: ConversationId,
    key: ConversationKey,
    created_at: Millis,
}

impl Ruled for Conversation {
    fn to_call(method: &str) -> Option<Action> {
        matches!(method, "Interrupt" | "Clear" | "Send").then_some(Action::Control)
    }
}

#[interface(name = "org.telexd1.Conversation", introspection_docs = false)]
impl Conversation {
    #[zbus(out_args("outcome"))]
    async fn interrupt(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<&'static str, Error> {
        let id = self.id;
        let done = self
            .desk
            .order(connection, &header, move |admin, who| async move {
                admin.interrupt(who, id).await
            })
            .await?;
        Ok(done.as_str())
    }

    #[zbus(out_args("outcome"))]
    async fn clear(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<&'static str, Error> {
        let id = self.id;
        let done = self
            .desk
            .order(connection, &header, move |admin, who| async move {
                admin.clear(who, id).await
            })
            .await?;
        Ok(done.as_str())
    }

    #[zbus(out_args("turn"))]
    async fn send(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
        text: String,
    ) -> Result<i64, Error> {
        let id = self.id;
        let turn = self
            .desk
            .order(connection, &header, move |admin, who| async move {
                admin.send(who, id, text).await
            })
            .await?;
        Ok(turn.0)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> i64 {
        self.id.0
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn bot(&self) -> i64 {
        self.key.bot_id
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn chat(&self) -> i64 {
        self.key.chat_id
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn thread(&self) -> i64 {
        self.key.thread_id
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn person(&self) -> i64 {
        self.key.user_id
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn created_at(&self) -> u64 {
        micros(self.created_at)
    }
}

/// A run that has an object.
struct There {
    conversation: ConversationId,
    running: Arc<AtomicBool>,
}

/// The objects that are there now. One task keeps them.
pub(super) struct Objects {
    connection: Connection,
    desk: Arc<Desk>,
    runs: BTreeMap<RunId, There>,
}

impl Objects {
    pub(super) fn new(connection: &Connection, desk: &Arc<Desk>) -> Self {
        Self {
            connection: connection.clone(),
            desk: Arc::clone(desk),
            runs: BTreeMap::new(),
        }
    }

    /// Brings the objects to what there is, where what has happened meanwhile is not known.
    pub(super) async fn look(&mut self) {
        let admin = self.desk.admin.clone();
        // Where the gateway lives, as everything that is asked of it.
        let found = self
            .desk
            .gateway
            .spawn(async move { admin.runs().await })
            .await;
        let Ok(Ok(live)) = found else {
            debug!("cannot tell which runs live; their objects are as they were");
            return;
        };
        let gone: Vec<RunId> = self
            .runs
            .keys()
            .filter(|id| live.iter().all(|run| run.id != **id))
            .cloned()
            .collect();
        for run in gone {
            self.over(&run).await;
        }
        for run in live {
            self.begun(&run.id, run.conversation, run.person, run.started_at)
                .await;
            if run.running {
                self.running(&run.id).await;
            }
        }
    }

    /// A run has begun.
    pub(super) async fn begun(
        &mut self,
        id: &RunId,
        conversation: ConversationId,
        person: i64,
        started_at: Millis,
    ) {
        if self.runs.contains_key(id) {
            return;
        }
        let running = Arc::new(AtomicBool::new(false));
        let run = Run {
            desk: Arc::clone(&self.desk),
            id: id.clone(),
            conversation,
            person,
            started_at,
            running: Arc::clone(&running),
        };
        let first = !self.serves(conversation);
        self.runs.insert(
            id.clone(),
            There {
                conversation,
                running,
            },
        );
        self.put(run_path(id), run).await;
        if first && let Some(conversation) = self.conversation(conversation).await {
            self.put(conversation_path(conversation.id), conversation)
                .await;
        }
    }

    /// A run that had begun has its supervisor.
    pub(super) async fn running(&mut self, id: &RunId) {
        let Some(run) = self.runs.get(id) else { return };
        if run.running.swap(true, Ordering::Relaxed) {
            return;
        }
        let changed = HashMap::from([("Status", Variant::from(status(true)))]);
        let told = async {
            // The path is one.
            let path = run_path(id).ok_or(zbus::Error::MissingField)?;
            let emitter = SignalEmitter::new(&self.connection, path)?;
            Properties::properties_changed(&emitter, Run::name(), changed, Cow::Borrowed(&[])).await
        };
        if let Err(cause) = told.await {
            debug!(%cause, run = %id, "cannot tell that a run has begun");
        }
    }

    /// A run is over.
    pub(super) async fn over(&mut self, id: &RunId) {
        let Some(run) = self.runs.remove(id) else {
            return;
        };
        self.take::<Run>(run_path(id)).await;
        if !self.serves(run.conversation) {
            self.take::<Conversation>(conversation_path(run.conversation))
                .await;
        }
    }

    fn serves(&self, conversation: ConversationId) -> bool {
        self.runs
            .values()
            .any(|run| run.conversation == conversation)
    }

    async fn conversation(&self, id: ConversationId) -> Option<Conversation> {
        let admin = self.desk.admin.clone();
        let found = self
            .desk
            .gateway
            .spawn(async move { admin.conversation(id).await })
            .await;
        match found {
            Ok(Ok((key, created_at))) => Some(Conversation {
                desk: Arc::clone(&self.desk),
                id,
                key,
                created_at,
            }),
            Ok(Err(AdminError::NoSuchConversation(_))) | Err(_) => None,
            Ok(Err(cause)) => {
                debug!(%cause, "a conversation has no object");
                None
            }
        }
    }

    async fn put<I: Ruled>(&self, path: Option<ObjectPath<'static>>, object: I) {
        let Some(path) = path else { return };
        let object = Guarded::new(object, &self.desk.gate);
        if let Err(cause) = self.connection.object_server().at(path, object).await {
            debug!(%cause, "an object is not on the bus");
        }
    }

    async fn take<I: Ruled>(&self, path: Option<ObjectPath<'static>>) {
        let Some(path) = path else { return };
        let server = self.connection.object_server();
        match server.remove::<Guarded<I>, _>(path).await {
            // It was never put there.
            Ok(_) | Err(zbus::Error::InterfaceNotFound) => {}
            Err(cause) => debug!(%cause, "an object is still on the bus"),
        }
    }
}
