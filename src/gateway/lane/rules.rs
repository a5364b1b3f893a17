//! What the rules of the configuration say to what the agent asks, and whether its process was told those that hold.

use std::sync::Arc;

use tracing::info;

use super::{Lane, Live};
use crate::{
    core::{
        Millis,
        approval::{Answer, rules::Lists, rules::Verdict},
        event::{Denial, Question},
        ids::{ConversationKey, RunId, TurnId},
        live,
        words::approval as words,
    },
    gateway::{Config, ports::Backend, show},
    store::{
        StoreError, Tx,
        rows::{AuditEntry, QuestionRow, Slot, Target, Urgency},
    },
};

/// Who stands in the audit for what a rule decided.
const RULE: &str = "rule";

/// What a rule says to a question: the answer, and the rule.
pub(super) struct Decided {
    answer: Answer,
    rule: String,
}

/// A place in which the person of a turn is told what was denied.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub(super) turn: TurnId,
    pub(super) target: Target,
    pub(super) reply_to: Option<i64>,
    pub(super) now: Millis,
}

/// The rules that a process was started with, and where those that hold are to be seen.
#[derive(Clone)]
pub(super) struct Handed {
    config: live::Live<Config>,
    backend: Arc<dyn Backend>,
    key: ConversationKey,
    command: String,
}

impl Handed {
    /// Whether the process was told other rules than hold by now. It serves no prompt any more.
    pub(super) fn outdated(&self) -> bool {
        let rules = rules_of(&self.config.get(), &self.key);
        match self.backend.rules(&rules) {
            Some(argument) => !self.command.contains(&argument),
            None => self.command.contains(" --settings={\"permissions\":"),
        }
    }
}

fn rules_of(config: &Config, key: &ConversationKey) -> Lists {
    let profile = config.profiles.pick(key.user_id, key.chat_id);
    config.rules.of(key.user_id, key.chat_id, profile)
}

impl Lane {
    /// The rules for this conversation, as they are now.
    pub(super) fn rules(&self) -> Lists {
        rules_of(&self.deps.config.get(), &self.conversation.key)
    }

    /// What a process of this conversation was started with.
    pub(super) fn handed(&self, command: &str) -> Handed {
        Handed {
            config: self.deps.config.clone(),
            backend: Arc::clone(&self.deps.backend),
            key: self.conversation.key,
            command: command.to_owned(),
        }
    }

    /// What the rules say to a question. What a rule wants to be asked cannot be allowed for the session.
    pub(super) fn decide(&self, question: &mut Question) -> Option<Decided> {
        match self.rules().decide(question) {
            Verdict::Deny(rule) => Some(Decided {
                answer: Answer::Deny {
                    message: words::denied_by_rule_to_agent(&rule),
                    rule: Some(rule.clone()),
                },
                rule,
            }),
            Verdict::Allow(rule) => Some(Decided {
                answer: Answer::YES,
                rule,
            }),
            Verdict::Ask(rule) => {
                question.suggestions.clear();
                question.rule = rule;
                None
            }
            Verdict::Unsaid => None,
        }
    }

    /// The rules by which these calls were denied, those that were denied by one.
    pub(super) fn denied_by(&self, denials: &[Denial]) -> Vec<String> {
        if denials.is_empty() {
            return Vec::new();
        }
        let lists = self.rules();
        let mut rules = Vec::new();
        for denial in denials {
            let asked = Question {
                tool: denial.tool.clone(),
                input: denial.input.clone(),
                ..Question::default()
            };
            if let Verdict::Deny(rule) = lists.decide(&asked) {
                rules.push(rule);
            }
        }
        rules
    }
}

impl Live {
    /// Whether another process is to serve the next prompt.
    pub(super) fn outdated(&self) -> bool {
        self.mode.outdated() || self.handed.outdated()
    }
}

/// Records what a rule says to a question, in the transaction that records the question; nobody is asked.
pub(super) fn record(
    tx: &Tx<'_>,
    run: &RunId,
    question: &Question,
    decided: &Decided,
    told: Told,
) -> Result<Option<QuestionRow>, StoreError> {
    // It always can be written as JSON.
    let json = serde_json::to_string(&decided.answer).unwrap_or_default();
    let id = tx.question_decided(told.turn, run, question, &json, told.now)?;
    let allowed = matches!(decided.answer, Answer::Allow { .. });
    let rule = &decided.rule;
    info!(
        turn = told.turn.0,
        question = id,
        rule,
        allowed,
        "a question of an agent is answered by a rule"
    );
    tx.audit_add(&AuditEntry {
        at: told.now,
        who: RULE.to_owned(),
        action: "approve".to_owned(),
        target: format!("question {id}: {}", words::by_rule(allowed, rule)),
        result: "ok".to_owned(),
    })?;
    if !allowed {
        tell(tx, &[], told)?;
    }
    tx.question(id)
}

/// Tells the person by which rules something was denied: one message for a turn. `more`: rules by which the agent's own
/// program did.
pub(super) fn tell(tx: &Tx<'_>, more: &[String], told: Told) -> Result<(), StoreError> {
    let mut rules: Vec<String> = Vec::new();
    for row in tx.questions_of(told.turn)? {
        let answer = row.answer.as_deref().map(serde_json::from_str::<Answer>);
        if let Some(Ok(Answer::Deny {
            rule: Some(rule), ..
        })) = answer
        {
            rules.push(rule);
        }
    }
    // The newest is that of this transaction.
    let here = rules.len() - usize::from(more.is_empty() && !rules.is_empty());
    rules.extend_from_slice(more);
    let known = |rules: &[String], at: usize| rules[..at].contains(&rules[at]);
    let first: Vec<String> = (0..rules.len())
        .filter(|at| !known(&rules, *at))
        .map(|at| rules[at].clone())
        .collect();
    // What was told already is not told again.
    let news = (here..rules.len()).any(|at| !known(&rules, at));
    if !news {
        return Ok(());
    }
    let shown = show::note(words::denied_by_rules(&first), Vec::new(), told.reply_to);
    let slot = Some(Slot::denied(told.turn));
    tx.out_show(told.target, slot, Urgency::Message, &shown, told.now)?;
    Ok(())
}
