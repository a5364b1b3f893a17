//! `org.telexd1.Manager`: how it stands, and orders.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::sync::watch;
use zbus::{Connection, interface, message::Header, object_server::SignalEmitter, wire::Variant};

use super::{
    desk::Desk,
    error::Error,
    gate::{Action, Ruled},
    lists::{self, Dict, Options},
};
use crate::{
    core::{Millis, approval::step::Act, ids::ConversationId, pause::Pause},
    health::{Report, Sight},
};

/// The name of the interface.
pub const INTERFACE: &str = "org.telexd1.Manager";

/// What the properties say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    status: String,
    connected: bool,
    last_poll: u64,
    conversations: u32,
    running_turns: u32,
    queue_depth: u32,
    processes: u32,
    pause: Option<Arc<Pause>>,
}

impl Facts {
    pub(super) fn of(seen: &Report, pause: Option<Arc<Pause>>) -> Self {
        let readiness = &seen.readiness;
        Self {
            status: seen.sentence(),
            connected: seen.connected(),
            last_poll: last_poll(seen),
            conversations: u32::try_from(readiness.conversations).unwrap_or(u32::MAX),
            running_turns: count(readiness.running),
            queue_depth: count(readiness.queued),
            processes: count(readiness.processes),
            pause,
        }
    }

    fn paused_since(&self) -> u64 {
        self.pause.as_ref().map_or(0, |pause| micros(pause.since))
    }

    fn paused_by(&self) -> &str {
        self.pause.as_ref().map_or("", |pause| &pause.by)
    }

    fn reason(&self) -> &str {
        let reason = self
            .pause
            .as_ref()
            .and_then(|pause| pause.reason.as_deref());
        reason.unwrap_or("")
    }

    /// Those that others are told of when they change, and have, since `before`.
    pub(super) fn changed(&self, before: &Self) -> HashMap<&'static str, Variant<'_>> {
        let mut changed = HashMap::new();
        if self.status != before.status {
            changed.insert("Status", Variant::from(self.status.as_str()));
        }
        if self.connected != before.connected {
            changed.insert("Connected", Variant::from(self.connected));
        }
        if self.conversations != before.conversations {
            changed.insert("Conversations", Variant::from(self.conversations));
        }
        if self.running_turns != before.running_turns {
            changed.insert("RunningTurns", Variant::from(self.running_turns));
        }
        if self.queue_depth != before.queue_depth {
            changed.insert("QueueDepth", Variant::from(self.queue_depth));
        }
        if self.processes != before.processes {
            changed.insert("Processes", Variant::from(self.processes));
        }
        if self.pause != before.pause {
            changed.insert("Paused", Variant::from(self.pause.is_some()));
            changed.insert("PausedSince", Variant::from(self.paused_since()));
            changed.insert("PausedBy", Variant::from(self.paused_by()));
            changed.insert("Reason", Variant::from(self.reason()));
        }
        changed
    }
}

/// When a poll last came back, in microseconds since the epoch; 0: never.
fn last_poll(seen: &Report) -> u64 {
    let Some(since) = seen.readiness.polling.completed else {
        return 0;
    };
    micros(seen.at).saturating_sub(us(since))
}

/// Microseconds since the epoch, as everything on this bus counts.
pub(super) fn micros(at: Millis) -> u64 {
    u64::try_from(at).unwrap_or(0).saturating_mul(1000)
}

fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Everything that `Health` tells.
fn told(seen: &Report, pause: Option<Arc<Pause>>) -> HashMap<&'static str, Variant<'static>> {
    let readiness = &seen.readiness;
    let polling = &readiness.polling;
    let facts = Facts::of(seen, pause);
    let mut told = HashMap::from([
        ("ok", Variant::from(seen.ready())),
        ("ready", Variant::from(readiness.ready)),
        ("summary", Variant::from(facts.status.clone())),
        ("connected", Variant::from(facts.connected)),
        ("failures", Variant::from(polling.failures)),
        ("last_poll", Variant::from(facts.last_poll)),
        ("conversations", Variant::from(facts.conversations)),
        ("running", Variant::from(facts.running_turns)),
        ("queued", Variant::from(facts.queue_depth)),
        ("processes", Variant::from(facts.processes)),
        ("database_bytes", Variant::from(readiness.database)),
        ("paused", Variant::from(facts.pause.is_some())),
        ("beat_ms", Variant::from(ms(readiness.beat))),
    ]);
    if let Some(kind) = &polling.trouble {
        let (word, about) = kind.word();
        told.insert("trouble", Variant::from(word));
        if let Some(about) = about {
            told.insert("trouble_about", Variant::from(about.to_owned()));
        }
    }
    for (name, age) in [
        ("failing_ms", polling.failing),
        ("next_try_ms", polling.next_try),
        ("oldest_in_ms", readiness.oldest_in),
        ("oldest_out_ms", readiness.oldest_out),
    ] {
        if let Some(age) = age {
            told.insert(name, Variant::from(ms(age)));
        }
    }
    if let Some(write) = readiness.write {
        told.insert("write_us", Variant::from(us(write.took)));
    }
    if let Some(reload) = &readiness.reload {
        told.insert("reload", Variant::from(reload.clone()));
    }
    told
}

pub(super) struct Manager {
    desk: Arc<Desk>,
    started_at: Millis,
    sight: Arc<dyn Sight>,
    /// How it stood when that last changed: what the properties say.
    news: watch::Receiver<Arc<Report>>,
}

impl Manager {
    pub(super) fn new(
        desk: Arc<Desk>,
        started_at: Millis,
        sight: Arc<dyn Sight>,
        news: watch::Receiver<Arc<Report>>,
    ) -> Self {
        Self {
            desk,
            started_at,
            sight,
            news,
        }
    }

    fn facts(&self) -> Facts {
        Facts::of(&self.news.borrow(), self.desk.admin.paused())
    }
}

impl Ruled for Manager {
    fn to_call(method: &str) -> Option<Action> {
        match method {
            "Health" | "Report" | "ListRuns" | "ListConversations" | "ListPeople"
            | "ListQuestions" | "ListAudit" | "ListConfig" | "GetConfig" | "ListPairings" => {
                Some(Action::Inspect)
            }
            "Pause" | "Resume" | "Kill" | "KillAll" | "Interrupt" | "Clear" | "Restart"
            | "Send" => Some(Action::Control),
            "SetConfig" | "ResetConfig" | "Reload" => Some(Action::Configure),
            "Approve" | "Deny" | "AcceptPairing" | "RejectPairing" | "RemovePerson" => {
                Some(Action::Approve)
            }
            _ => None,
        }
    }
}

#[interface(name = "org.telexd1.Manager", introspection_docs = false)]
impl Manager {
    #[zbus(out_args("health"))]
    async fn health(&self) -> HashMap<&'static str, Variant<'static>> {
        told(&*self.sight.look().await, self.desk.admin.paused())
    }

    #[zbus(out_args("document"))]
    async fn report(&self) -> String {
        self.sight.look().await.document()
    }

    #[zbus(out_args("outcome"))]
    async fn pause(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
        reason: String,
    ) -> Result<&'static str, Error> {
        let done = self
            .desk
            .order(connection, &header, |admin, who| async move {
                admin.pause(who, &reason).await
            })
            .await?;
        Ok(done.outcome.as_str())
    }

    #[zbus(out_args("outcome"))]
    async fn resume(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<&'static str, Error> {
        let done = self
            .desk
            .order(connection, &header, |admin, who| async move {
                admin.resume(who).await
            })
            .await?;
        Ok(done.outcome.as_str())
    }

    #[zbus(out_args("runs"))]
    async fn list_runs(&self, options: Options) -> Result<Vec<Dict>, Error> {
        lists::none_of(&options)?;
        let found = self.desk.admin.runs().await?;
        Ok(found.iter().map(lists::run).collect())
    }

    #[zbus(out_args("conversations"))]
    async fn list_conversations(&self, options: Options) -> Result<Vec<Dict>, Error> {
        lists::none_of(&options)?;
        let found = self.desk.admin.conversations().await?;
        Ok(found.iter().map(lists::conversation).collect())
    }

    #[zbus(out_args("people"))]
    async fn list_people(&self, options: Options) -> Result<Vec<Dict>, Error> {
        lists::none_of(&options)?;
        let found = self.desk.admin.people().await?;
        Ok(found.iter().map(lists::person).collect())
    }

    #[zbus(out_args("questions"))]
    async fn list_questions(&self, options: Options) -> Result<Vec<Dict>, Error> {
        lists::none_of(&options)?;
        let found = self.desk.admin.questions().await?;
        Ok(found
            .iter()
            .map(|question| {
                let numbers = (question.id, question.conversation.0, question.turn.0);
                let asked_at = micros(question.asked_at);
                lists::question(numbers, question.run.as_str(), &question.tool, asked_at)
            })
            .collect())
    }

    #[zbus(out_args("entries"))]
    async fn list_audit(&self, options: Options) -> Result<Vec<Dict>, Error> {
        let (before, limit) = lists::page(&options)?;
        let found = self.desk.admin.audit(before, limit).await?;
        Ok(found
            .iter()
            .map(|row| {
                let entry = &row.entry;
                let texts = [&*entry.who, &entry.action, &entry.target, &entry.result];
                lists::audit(row.id, micros(entry.at), texts)
            })
            .collect())
    }

    #[zbus(out_args("outcome"))]
    async fn kill(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
        run: String,
    ) -> Result<&'static str, Error> {
        let done = self
            .desk
            .order(connection, &header, |admin, who| async move {
                admin.kill(who, &run).await
            })
            .await?;
        Ok(done.as_str())
    }

    #[zbus(out_args("count"))]
    async fn kill_all(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<u32, Error> {
        let done = self
            .desk
            .order(connection, &header, |admin, who| async move {
                admin.kill_all(who).await
            })
            .await?;
        Ok(u32::try_from(done).unwrap_or(u32::MAX))
    }

    #[zbus(out_args("outcome"))]
    async fn interrupt(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
        conversation: i64,
    ) -> Result<&'static str, Error> {
        let done = self
            .desk
            .order(connection, &header, |admin, who| async move {
                admin.interrupt(who, ConversationId(conversation)).await
            })
            .await?;
        Ok(done.as_str())
    }

    #[zbus(out_args("outcome"))]
    async fn clear(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
        conversation: i64,
    ) -> Result<&'static str, Error> {
        let done = self
            .desk
            .order(connection, &header, |admin, who| async move {
                admin.clear(who, ConversationId(conversation)).await
            })
            .await?;
        Ok(done.as_str())
    }

    #[zbus(out_args("turn"))]
    async fn send(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
        conversation: i64,
        text: String,
    ) -> Result<i64, Error> {
        let turn = self
            .desk
            .order(connection, &header, |admin, who| async move {
                admin.send(who, ConversationId(conversation), text).await
            })
            .await?;
        Ok(turn.0)
    }

    #[zbus(out_args("outcome"))]
    async fn approve(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
        question: i64,
    ) -> Result<&'static str, Error> {
        let done = self
            .desk
            .order(connection, &header, |admin, who| async move {
                admin.decide(who, question, Act::Allow).await
            })
            .await?;
        Ok(done.as_str())
    }

    #[zbus(out_args("outcome"))]
    async fn deny(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
        question: i64,
    ) -> Result<&'static str, Error> {
        let done = self
            .desk
            .order(connection, &header, |admin, who| async move {
                admin.decide(who, question, Act::Deny).await
            })
            .await?;
        Ok(done.as_str())
    }

    #[zbus(out_args("pairings"))]
    async fn list_pairings(&self, options: Options) -> Result<Vec<Dict>, Error> {
        lists::none_of(&options)?;
        let found = self.desk.admin.pairings().await?;
        Ok(found.iter().map(lists::pairing).collect())
    }

    #[zbus(out_args("outcome"))]
    async fn accept_pairing(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
        code: String,
    ) -> Result<&'static str, Error> {
        let done = self
            .desk
            .order(connection, &header, |admin, who| async move {
                admin.accept(who, &code).await
            })
            .await?;
        Ok(done.as_str())
    }

    #[zbus(out_args("outcome"))]
    async fn reject_pairing(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
        code: String,
    ) -> Result<&'static str, Error> {
        let done = self
            .desk
            .order(connection, &header, |admin, who| async move {
                admin.reject(who, &code).await
            })
            .await?;
        Ok(done.as_str())
    }

    #[zbus(out_args("outcome"))]
    async fn remove_person(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
        person: i64,
    ) -> Result<&'static str, Error> {
        let done = self
            .desk
            .order(connection, &header, |admin, who| async move {
                admin.remove_person(who, person).await
            })
            .await?;
        Ok(done.as_str())
    }

    async fn restart(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        self.desk
            .order(connection, &header, |admin, who| async move {
                admin.restart(who).await
            })
            .await
    }

    #[zbus(out_args("settings"))]
    async fn list_config(&self, options: Options) -> Result<Vec<Dict>, Error> {
        lists::none_of(&options)?;
        let found = self.desk.admin.config().await?;
        Ok(found.iter().map(lists::setting).collect())
    }

    #[zbus(out_args("setting"))]
    async fn get_config(&self, key: String) -> Result<Dict, Error> {
        Ok(lists::setting(&self.desk.admin.config_of(&key).await?))
    }

    #[zbus(out_args("outcome"))]
    async fn set_config(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
        key: String,
        value: String,
    ) -> Result<&'static str, Error> {
        let done = self
            .desk
            .order(connection, &header, |admin, who| async move {
                admin.set_config(who, &key, &value).await
            })
            .await?;
        Ok(done.outcome.as_str())
    }

    #[zbus(out_args("outcome"))]
    async fn reset_config(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
        key: String,
    ) -> Result<&'static str, Error> {
        let done = self
            .desk
            .order(connection, &header, |admin, who| async move {
                admin.reset_config(who, &key).await
            })
            .await?;
        Ok(done.outcome.as_str())
    }

    #[zbus(out_args("outcome", "restart_for"))]
    async fn reload(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(&'static str, Vec<String>), Error> {
        let done = self
            .desk
            .order(connection, &header, |admin, who| async move {
                admin.reload(who).await
            })
            .await?;
        Ok((done.outcome().as_str(), done.restart))
    }

    #[zbus(signal)]
    pub(super) async fn config_changed(
        emitter: &SignalEmitter<'_>,
        keys: &[&str],
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(super) async fn run_started(
        emitter: &SignalEmitter<'_>,
        run: &str,
        conversation: i64,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(super) async fn run_ended(
        emitter: &SignalEmitter<'_>,
        run: &str,
        conversation: i64,
        result: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(super) async fn pairing_requested(
        emitter: &SignalEmitter<'_>,
        person: i64,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(super) async fn turn_failed(
        emitter: &SignalEmitter<'_>,
        turn: i64,
        conversation: i64,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(super) async fn question_asked(
        emitter: &SignalEmitter<'_>,
        question: i64,
        turn: i64,
    ) -> zbus::Result<()>;

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn started_at(&self) -> u64 {
        micros(self.started_at)
    }

    #[zbus(property)]
    fn status(&self) -> String {
        self.facts().status
    }

    #[zbus(property)]
    fn connected(&self) -> bool {
        self.facts().connected
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn last_poll(&self) -> u64 {
        self.facts().last_poll
    }

    #[zbus(property)]
    fn conversations(&self) -> u32 {
        self.facts().conversations
    }

    #[zbus(property)]
    fn running_turns(&self) -> u32 {
        self.facts().running_turns
    }

    #[zbus(property)]
    fn queue_depth(&self) -> u32 {
        self.facts().queue_depth
    }

    #[zbus(property)]
    fn processes(&self) -> u32 {
        self.facts().processes
    }

    #[zbus(property)]
    fn paused(&self) -> bool {
        self.facts().pause.is_some()
    }

    #[zbus(property)]
    fn paused_since(&self) -> u64 {
        self.facts().paused_since()
    }

    #[zbus(property)]
    fn paused_by(&self) -> String {
        self.facts().paused_by().to_owned()
    }

    #[zbus(property)]
    fn reason(&self) -> String {
        self.facts().reason().to_owned()
    }
}
