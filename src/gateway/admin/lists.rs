//! What there is: runs, conversations, people, questions, the audit. Never what people wrote.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Admin, AdminError};
use crate::{
    core::{
        Millis,
        ids::{ConversationId, ConversationKey, RunId, TurnId},
        mode::PermissionMode,
        policy::{Role, Source},
        profile::Profile,
    },
    gateway::{mode, queue::newer},
    store::rows::{AuditRow, RunStatus, TurnState, WaitingQuestion},
};

/// Most lines of the audit that are given at once.
const AUDIT: usize = 1000;

/// A run that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// Id.
    pub id: RunId,
    /// Conversation that it serves.
    pub conversation: ConversationId,
    /// Telegram user id of the person for whom it was started.
    pub person: i64,
    /// Their name, as last seen.
    pub name: Option<String>,
    /// Whether its supervisor was seen.
    pub running: bool,
    /// Since when.
    pub started_at: Millis,
    /// Turn that it works on.
    pub turn: Option<TurnId>,
    /// Name of its unit, where it is one.
    pub unit: Option<String>,
}

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationInfo {
    /// Number.
    pub id: ConversationId,
    /// Bot, chat, topic and person.
    pub key: ConversationKey,
    /// The person's name, as last seen.
    pub name: Option<String>,
    /// When it began.
    pub created_at: Millis,
    /// Turns that wait for the agent.
    pub queued: u64,
    /// Whether a turn is with the agent.
    pub running: bool,
    /// Its run, where one lives.
    pub run: Option<RunId>,
    /// Session that the next prompt goes to.
    pub session: Option<Uuid>,
    /// When that was last used.
    pub last_used: Option<Millis>,
    /// How much its agent asks before it acts.
    pub mode: PermissionMode,
}

/// A person who is known, or is allowed to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonInfo {
    /// Telegram user id.
    pub id: i64,
    /// Name, as last seen.
    pub name: Option<String>,
    /// What they are now.
    pub role: Role,
    /// By what they are let in; `None` for whoever is not.
    pub source: Option<Source>,
    /// Who accepted them, as in the audit, and when, if they are paired.
    pub accepted: Option<(String, Millis)>,
    /// When they were first let in.
    pub first_seen: Option<Millis>,
    /// When they were last let in.
    pub last_seen: Option<Millis>,
    /// Profile of their agents in a private chat.
    pub profile: Profile,
}

impl Admin {
    /// Runs that live, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn runs(&self) -> Result<Vec<RunInfo>, AdminError> {
        let runs = self.deps.store.tx(|tx| {
            let mut runs = Vec::new();
            for run in tx.runs_live()? {
                let open = tx.turns_ahead(run.conversation, 0)?;
                runs.push(RunInfo {
                    name: tx.person_name(run.who)?,
                    turn: newer::running(&open).map(|turn| turn.id),
                    id: run.id,
                    conversation: run.conversation,
                    person: run.who,
                    running: run.status == RunStatus::Running,
                    started_at: run.started_at,
                    unit: None,
                });
            }
            Ok(runs)
        });
        let mut runs: Vec<RunInfo> = runs.await?;
        for run in &mut runs {
            run.unit = self.deps.runner.unit(&run.id).await;
        }
        Ok(runs)
    }

    /// Key of a conversation, and when it began.
    ///
    /// # Errors
    /// There is none with this number; the store's.
    pub async fn conversation(
        &self,
        id: ConversationId,
    ) -> Result<(ConversationKey, Millis), AdminError> {
        let found = self.deps.store.tx(move |tx| tx.conversation(id)).await?;
        found
            .map(|found| (found.key, found.created_at))
            .ok_or(AdminError::NoSuchConversation(id))
    }

    /// All conversations, by number.
    ///
    /// # Errors
    /// The store's.
    pub async fn conversations(&self) -> Result<Vec<ConversationInfo>, AdminError> {
        let modes = self.deps.config.get().modes.clone();
        let (rows, runs, line, chosen) = self
            .deps
            .store
            .tx(|tx| {
                Ok((
                    tx.conversations_overview()?,
                    tx.runs_live()?,
                    tx.turns_in_line()?,
                    mode::all(tx)?,
                ))
            })
            .await?;
        let chosen: BTreeMap<_, _> = chosen.into_iter().collect();
        let of = |row| line.iter().filter(move |turn| turn.conversation == row);
        Ok(rows
            .into_iter()
            .map(|row| ConversationInfo {
                queued: of(row.id)
                    .filter(|turn| turn.state != TurnState::Submitted)
                    .count() as u64,
                running: of(row.id).any(|turn| turn.state == TurnState::Submitted),
                run: runs
                    .iter()
                    .find(|run| run.conversation == row.id)
                    .map(|run| run.id.clone()),
                id: row.id,
                key: row.key,
                name: row.name,
                created_at: row.created_at,
                session: row.session,
                last_used: row.last_used,
                mode: modes.effective(chosen.get(&row.id).copied()),
            })
            .collect())
    }

    /// Everybody who may talk to the bot, or once did, by id.
    ///
    /// # Errors
    /// The store's.
    pub async fn people(&self) -> Result<Vec<PersonInfo>, AdminError> {
        let (seen, paired) = self
            .deps
            .store
            .tx(|tx| Ok((tx.people()?, tx.paired()?)))
            .await?;
        let config = self.deps.config.get();
        let person = |id| PersonInfo {
            id,
            name: None,
            role: config.access.role_of_id(id),
            source: config.access.source(id),
            accepted: paired
                .iter()
                .find(|row| row.person == id)
                .map(|row| (row.accepted_by.clone(), row.accepted_at)),
            first_seen: None,
            last_seen: None,
            profile: config.profiles.pick(id, id).clone(),
        };
        let mut people: Vec<PersonInfo> = seen
            .into_iter()
            .map(|row| PersonInfo {
                name: Some(row.name),
                first_seen: Some(row.first_seen),
                last_seen: Some(row.last_seen),
                ..person(row.id)
            })
            .collect();
        let access = &config.access;
        for id in access.admins().chain(access.users()).chain(access.paired()) {
            if !people.iter().any(|there| there.id == id) {
                people.push(person(id));
            }
        }
        people.sort_by_key(|person| person.id);
        Ok(people)
    }

    /// Questions of agents that wait for an answer, by number.
    ///
    /// # Errors
    /// The store's.
    pub async fn questions(&self) -> Result<Vec<WaitingQuestion>, AdminError> {
        Ok(self.deps.store.tx(|tx| tx.questions_waiting()).await?)
    }

    /// The audit before a line of it, newest first: at most `limit` lines, and never more than 1000.
    ///
    /// # Errors
    /// The store's.
    pub async fn audit(
        &self,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AuditRow>, AdminError> {
        let limit = limit.min(AUDIT);
        Ok(self
            .deps
            .store
            .tx(move |tx| tx.audit_page(before, limit))
            .await?)
    }
}
