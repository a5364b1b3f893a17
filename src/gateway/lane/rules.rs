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
    // Of the newest configuration; this is asked for whenever the lane wakes.
    outdated: live::Derived<Config, bool>,
    backend: Arc<dyn Backend>,
    key: ConversationKey,
    command: String,
}

impl Handed {
    /// Whether the process was told other rules than hold by now. It serves no prompt any more.
    pub(super) fn outdated(&self) -> bool {
        self.outdated.of(&self.config, |config| {
            let rules = rules_of(config, &self.key);
            match self.backend.rules(&rules) {
                Some(argument) => !self.command.contains(&argument),
                None => self.command.contains(" --settings={\"permissions\":"),
            }
        })
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
            outdated: live::Derived::default(),
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
    let allowed = matches!(decided.answer, Answer::Allow { .. });
    let rule = &decided.rule;
    // What was told already is not told again.
    let news = !allowed && !tx.question_denied_by(told.turn, rule)?;
    let id = tx.question_decided(told.turn, run, question, &json, told.now)?;
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
    if news {
        show_denied(tx, &tx.questions_denied_by(told.turn)?, told)?;
    }
    tx.question(id)
}

/// Tells the person by which rules the agent's own program denied something, where they do not know it yet.
pub(super) fn tell(tx: &Tx<'_>, more: &[String], told: Told) -> Result<(), StoreError> {
    let mut rules = tx.questions_denied_by(told.turn)?;
    let known = rules.len();
    for rule in more {
        if !rules.contains(rule) {
            rules.push(rule.clone());
        }
    }
    if rules.len() == known {
        return Ok(());
    }
    show_denied(tx, &rules, told)
}

/// One message for a turn, with all of them.
fn show_denied(tx: &Tx<'_>, rules: &[String], told: Told) -> Result<(), StoreError> {
    let shown = show::note(words::denied_by_rules(rules), Vec::new(), told.reply_to);
    let slot = Some(Slot::denied(told.turn));
    tx.out_show(told.target, slot, Urgency::Message, &shown, told.now)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{
        core::busy::Busy,
        gateway::queue::tests::{NOW, give, place, run, turn},
        store::rows::{TurnState, Wanted},
    };

    fn denied(n: usize, by: &str) -> (Question, Decided) {
        let question = Question {
            request_id: format!("r{n}"),
            tool: "Write".to_owned(),
            input: serde_json::json!({"content": "x".repeat(50_000)}),
            ..Question::default()
        };
        let decided = Decided {
            answer: Answer::Deny {
                message: "no".to_owned(),
                rule: Some(by.to_owned()),
            },
            rule: by.to_owned(),
        };
        (question, decided)
    }

    #[tokio::test]
    async fn each_rule_is_told_once_however_often_it_denies() {
        let place = place(Busy::Queue);
        let (seen, asked, reads) = place
            .tx(|tx, queue, conversation| {
                let turn = turn(tx, conversation, 1, TurnState::Queued)?;
                give(tx, turn, false, NOW)?;
                let told = Told {
                    turn,
                    target: queue.target(),
                    reply_to: None,
                    now: NOW,
                };
                let shown = || {
                    let row = tx.out_slot(Slot::denied(turn))?.unwrap();
                    let Wanted::Show(shown) = row.wanted else {
                        panic!("{:?}", row.wanted);
                    };
                    Ok::<_, StoreError>((row.revision, shown.body.text))
                };
                let mut seen = Vec::new();
                for n in 0..120 {
                    let rule = if n % 50 == 25 { "Edit" } else { "Write" };
                    let (question, decided) = denied(n, rule);
                    record(tx, &run(), &question, &decided, told)?;
                    if seen.last() != Some(&shown()?) {
                        seen.push(shown()?);
                    }
                }
                // What its own program denied, too.
                for more in ["Edit", "Bash"] {
                    tell(tx, &[more.to_owned(), more.to_owned()], told)?;
                    if seen.last() != Some(&shown()?) {
                        seen.push(shown()?);
                    }
                }
                let timed = |what: &dyn Fn() -> Result<(), StoreError>| {
                    let begun = Instant::now();
                    for _ in 0..5 {
                        what()?;
                    }
                    Ok::<Duration, StoreError>(begun.elapsed())
                };
                let (question, decided) = denied(120, "Write");
                let once = || record(tx, &run(), &question, &decided, told).map(drop);
                let asked = timed(&once)?;
                let reads = timed(&|| tx.questions_of(turn).map(drop))?;
                Ok((seen, asked, reads))
            })
            .await;
        let rules: Vec<&[&str]> = vec![&["Write"], &["Write", "Edit"], &["Write", "Edit", "Bash"]];
        let wanted: Vec<_> = rules
            .iter()
            .map(|rules| {
                let rules: Vec<_> = rules.iter().map(|rule| (*rule).to_owned()).collect();
                words::denied_by_rules(&rules)
            })
            .collect();
        let texts: Vec<_> = seen.iter().map(|(_, text)| text.clone()).collect();
        assert_eq!(texts, wanted);
        let revisions: Vec<_> = seen.iter().map(|(revision, _)| *revision).collect();
        assert_eq!(revisions, [1, 2, 3]);
        assert!(
            4 * asked < reads,
            "{asked:?}, and all are read within {reads:?}"
        );
    }
}
