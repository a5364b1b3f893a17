//! Ending what runs: a run, all of them, a turn, a session; and answers to what agents ask.

use std::time::Duration;

use tokio::sync::mpsc;
use tracing::info;

use super::{
    Act, Admin, AdminError, Deed, Outcome,
    confirm::{Pressed, Wish},
};
use crate::{
    core::{
        Millis,
        approval::step::{Act as Decision, Refusal},
        ids::{ConversationId, NoRun, RunId},
        messages, words,
    },
    gateway::{
        approval::{self, Acted, Boards},
        lane::{self, Ack, LaneMsg, Way},
        queue::newer,
        show,
    },
    store::{
        StoreError, Tx,
        rows::{RunRow, Target, Urgency},
    },
};

/// How long a call waits for the end of what it ended.
const CALL: Duration = Duration::from_secs(15);

/// What an agent that was ordered to end belongs to.
type Ending = (ConversationId, RunId);

impl Admin {
    /// Ends one run, named by its id or the beginning of it. Its turn ends with it; what waits in its conversation goes
    /// on with another process. Returns once its end is recorded, for an order from Telegram at once.
    ///
    /// # Errors
    /// No such run, several; the store's.
    pub async fn kill(&self, by: impl Into<Ack>, given: &str) -> Result<Outcome, AdminError> {
        let given = given.to_owned();
        self.kill_one(by.into(), move |tx| {
            let live = tx.runs_live()?;
            match RunId::named(&given, live.iter().map(|run| &run.id)) {
                Ok(id) => Ok(Ok(live.into_iter().find(|run| run.id == id).ok_or(id))),
                Err(NoRun::Ambiguous(candidates)) => Ok(Err(AdminError::Ambiguous {
                    given: given.trim().to_owned(),
                    candidates,
                })),
                Err(NoRun::Malformed) => Ok(Err(AdminError::NotARun)),
                Err(NoRun::Unknown) => {
                    let known = RunId::parse(&given.trim().to_ascii_lowercase());
                    match known {
                        Some(id) if tx.run(&id)?.is_some() => Ok(Ok(Err(id))),
                        _ => Ok(Err(AdminError::NoSuchRun {
                            given: given.trim().to_owned(),
                        })),
                    }
                }
            }
        })
        .await
    }

    /// Ends the run of a conversation.
    ///
    /// # Errors
    /// None runs there; the store's.
    pub(in crate::gateway) async fn kill_here(
        &self,
        by: Ack,
        conversation: ConversationId,
    ) -> Result<Outcome, AdminError> {
        self.kill_one(by, move |tx| {
            let live = tx.runs_live()?;
            let here = live
                .into_iter()
                .find(|run| run.conversation == conversation);
            Ok(here.map(Ok).ok_or(AdminError::NothingHere))
        })
        .await
    }

    /// `find` gives a run that lives, or the id of one that is over.
    async fn kill_one(
        &self,
        ack: Ack,
        find: impl FnOnce(&Tx<'_>) -> Result<Result<Result<RunRow, RunId>, AdminError>, StoreError>
        + Send
        + 'static,
    ) -> Result<Outcome, AdminError> {
        let who = ack.who.to_string();
        let ending = self
            .act(&ack, "kill", move |tx, now| {
                Ok(match find(tx)? {
                    Err(why) => Act {
                        on: String::new(),
                        done: Err(why),
                    },
                    Ok(Err(over)) => Act {
                        on: format!("run {over}"),
                        done: Ok(Deed::new(
                            None,
                            Outcome::NoChange,
                            words::admin::run_is_over(over.short()),
                        )),
                    },
                    Ok(Ok(run)) => {
                        lane::order_kill(tx, &run.id, &who, now)?;
                        let name = tx.person_name(run.who)?;
                        let age = now.saturating_sub(run.started_at);
                        let text =
                            words::admin::ends(run.id.short(), name.as_deref(), run.who, age);
                        Act {
                            on: format!("run {}", run.id),
                            done: Ok(Deed::new(
                                Some((run.conversation, run.id)),
                                Outcome::Done,
                                text,
                            )),
                        }
                    }
                })
            })
            .await?;
        match ending {
            Some(ending) => {
                self.end(&ack, vec![ending]).await;
                Ok(Outcome::Done)
            }
            None => Ok(Outcome::NoChange),
        }
    }

    /// Ends all runs; returns how many. As [`Admin::kill`] for each.
    ///
    /// # Errors
    /// The store's.
    pub async fn kill_all(&self, by: impl Into<Ack>) -> Result<usize, AdminError> {
        self.kill_all_as(by.into(), None).await
    }

    pub(super) async fn kill_all_as(
        &self,
        ack: Ack,
        pressed: Option<Pressed>,
    ) -> Result<usize, AdminError> {
        let who = ack.who.to_string();
        let all = self
            .act(&ack, "kill-all", move |tx, now| {
                let mut all = Vec::new();
                for run in tx.runs_live()? {
                    lane::order_kill(tx, &run.id, &who, now)?;
                    all.push((run.conversation, run.id));
                }
                let outcome = if all.is_empty() {
                    Outcome::NoChange
                } else {
                    Outcome::Done
                };
                let text = words::admin::ends_all(all.len());
                if let Some(pressed) = &pressed {
                    pressed.used(tx, &text, now)?;
                }
                Ok(Act {
                    on: format!("{} runs", all.len()),
                    done: Ok(Deed::new(all, outcome, text)),
                })
            })
            .await?;
        let count = all.len();
        self.end(&ack, all).await;
        Ok(count)
    }

    /// Asks whether all runs are to end, with buttons.
    pub(in crate::gateway) async fn ask_kill_all(&self, ack: Ack) -> Result<(), AdminError> {
        self.ask(ack, Wish::KillAll, |tx| {
            Ok(match tx.runs_live()?.len() {
                0 => Err(AdminError::NothingRuns),
                runs => Ok(words::admin::end_all(runs)),
            })
        })
        .await
    }

    /// Tells the lanes of runs that are ordered to end; a call waits for them.
    pub(super) async fn end(&self, ack: &Ack, ending: Vec<Ending>) {
        let (caller, mut over) = mpsc::channel(1);
        let caller = matches!(ack.way, Way::Call(_)).then_some(caller);
        for (conversation, run) in ending {
            let caller = caller.clone();
            let msg = LaneMsg::Kill { run, caller };
            self.lanes.send(conversation, msg).await;
        }
        if caller.is_some() {
            drop(caller);
            // It ends when the last lane has dropped its part: nothing is ever sent.
            let _ = tokio::time::timeout(CALL, over.recv()).await;
        }
    }

    /// Ends the turn that runs in a conversation; the process stays. Returns once that is recorded.
    ///
    /// # Errors
    /// No such conversation; the store's.
    pub async fn interrupt(
        &self,
        by: impl Into<Ack>,
        conversation: ConversationId,
    ) -> Result<Outcome, AdminError> {
        let mut ack = by.into();
        let found = self
            .deps
            .store
            .tx(move |tx| {
                let there = tx.conversation(conversation)?.is_some();
                let open = tx.turns_open(conversation)?;
                let running = newer::running(&open);
                Ok((there, running.map(|turn| turn.id)))
            })
            .await?;
        let (there, Some(turn)) = found else {
            return self
                .act(&ack, "interrupt", move |_, _| {
                    let done = if found.0 {
                        let text = words::NOTHING_RUNS.as_str();
                        Ok(Deed::new(Outcome::NoChange, Outcome::NoChange, text))
                    } else {
                        Err(AdminError::NoSuchConversation(conversation))
                    };
                    Ok(Act {
                        on: format!("conversation {conversation}"),
                        done,
                    })
                })
                .await;
        };
        debug_assert!(there, "a turn has a conversation");
        let outcome = self
            .by_lane(&mut ack, conversation, |ack| LaneMsg::Interrupt {
                ack,
                turn,
            })
            .await?;
        info!(event = messages::ADMIN_ACT, who = %ack.who, action = "interrupt", result = outcome.as_str(), "an administrator's order");
        Ok(outcome)
    }

    /// Answers a question of an agent by yes or no. Returns once that is recorded.
    ///
    /// # Errors
    /// No such question, one that wants another answer; the store's.
    pub async fn decide(
        &self,
        by: impl Into<Ack>,
        question: i64,
        decision: Decision,
    ) -> Result<Outcome, AdminError> {
        let ack = by.into();
        let boards = Boards::new(&self.deps);
        let (outcome, conversation) = self
            .act(&ack, "approve", move |tx, _| {
                let turn = match tx.question(question)? {
                    Some(found) => tx.turn(found.turn)?,
                    None => None,
                };
                let conversation = match turn {
                    Some(turn) => tx.conversation(turn.conversation)?,
                    None => None,
                };
                let mut on = format!("question {question}");
                let Some(conversation) = conversation else {
                    let done = Err(AdminError::NoSuchQuestion(question));
                    return Ok(Act { on, done });
                };
                let board = boards.of(&conversation.key);
                let done = match approval::act(tx, question, decision, &board)? {
                    Acted::Over(outcome) => {
                        on = format!("{on}: {}", words::approval::happened(&outcome));
                        let text = words::approval::outcome(&outcome);
                        let done = (Outcome::Done, conversation.id);
                        Ok(Deed::new(done, Outcome::Done, text))
                    }
                    Acted::Refused(Refusal::WantsAnswer) => Err(AdminError::NeedsAnswer(question)),
                    Acted::Refused(_) | Acted::UnderWay => {
                        let same = (Outcome::NoChange, conversation.id);
                        let text = words::approval::ANSWERED_ALREADY.as_str();
                        Ok(Deed::new(same, Outcome::NoChange, text))
                    }
                };
                Ok(Act { on, done })
            })
            .await?;
        self.lanes.wake(conversation);
        Ok(outcome)
    }

    /// Has a lane do something that it records itself, and waits for that where a call does.
    async fn by_lane(
        &self,
        ack: &mut Ack,
        conversation: ConversationId,
        msg: impl FnOnce(Ack) -> LaneMsg,
    ) -> Result<Outcome, AdminError> {
        let (caller, mut told) = mpsc::channel(1);
        let waits = matches!(ack.way, Way::Call(_));
        if waits {
            ack.way = Way::Call(Some(caller));
        }
        let msg = msg(ack.clone());
        ack.way = match &ack.way {
            Way::Call(_) => Way::Call(None),
            other => other.clone(),
        };
        self.lanes.send(conversation, msg).await;
        if !waits {
            return Ok(Outcome::Done);
        }
        match tokio::time::timeout(CALL, told.recv()).await {
            Ok(Some(outcome)) => Ok(outcome),
            // It stopped, or the store refuses for long: it is tried again there.
            Ok(None) | Err(_) => Err(AdminError::NotYet),
        }
    }

    /// A conversation begins anew: its session is forgotten, and what runs in it ends. Its person is told.
    ///
    /// # Errors
    /// No such conversation; the store's.
    pub async fn clear(
        &self,
        by: impl Into<Ack>,
        conversation: ConversationId,
    ) -> Result<Outcome, AdminError> {
        let ack = by.into();
        let outcome = self
            .act(&ack, "clear", move |tx, now| {
                Ok(Act {
                    on: format!("conversation {conversation}"),
                    done: forget(tx, conversation, now)?,
                })
            })
            .await?;
        self.lanes.wake(conversation);
        Ok(outcome)
    }
}

fn forget(
    tx: &Tx<'_>,
    conversation: ConversationId,
    now: Millis,
) -> Result<Result<Deed<Outcome>, AdminError>, StoreError> {
    let Some(found) = tx.conversation(conversation)? else {
        return Ok(Err(AdminError::NoSuchConversation(conversation)));
    };
    if tx.session_current(conversation)?.is_none() {
        let text = words::admin::CLEAR_ALREADY.as_str();
        return Ok(Ok(Deed::new(Outcome::NoChange, Outcome::NoChange, text)));
    }
    tx.session_forget(conversation)?;
    let target = Target {
        chat_id: found.key.chat_id,
        thread_id: found.key.thread_id,
    };
    let told = show::note(words::admin::CLEARED_FOR_YOU.as_str(), Vec::new(), None);
    tx.out_show(target, None, Urgency::Message, &told, now)?;
    Ok(Ok(Deed::new(
        Outcome::Done,
        Outcome::Done,
        words::CLEARED.as_str(),
    )))
}
