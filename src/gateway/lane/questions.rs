//! Questions of the agent that wait: how long they do, and how answers reach it.
//!
//! What people do about them is recorded elsewhere ([`crate::gateway::approval`]); this lane is woken by it.

use tokio::time::Instant;
use tracing::warn;

use super::{Lane, Open, millis, work};
use crate::{
    core::approval::{Answer, progress::Progress, step::Act},
    gateway::{
        approval::{self, Board, Boards},
        show,
    },
    store::rows::{QuestionRow, Urgency},
};

impl Lane {
    /// A question that is open, as far as it is answered.
    pub(super) fn open(&self, row: &QuestionRow) -> Open {
        let progress = Progress::read(row.progress.as_deref());
        let (now, timeout) = (
            self.deps.clock.now(),
            self.deps.config.get().approval_timeout,
        );
        let begin = Instant::now();
        let words = progress
            .words
            .map(|awaited| begin + millis(awaited.left(now)));
        Open {
            row: row.id,
            progress: row.progress.clone(),
            until: begin + millis(progress.left(row.asked_at, timeout, now)),
            words,
        }
    }

    pub(super) fn board(&self) -> Board {
        Boards::new(&self.deps).of(&self.conversation.key)
    }

    fn questions(&self) -> &[Open] {
        let active = self.run.as_ref().and_then(|live| live.active.as_ref());
        active.map_or(&[], |active| &active.questions)
    }

    /// Denies what nobody answered in time, and waits no longer for words that did not come.
    pub(super) async fn deny_unanswered(&mut self) {
        let now = Instant::now();
        let due: Vec<(i64, Act)> = self
            .questions()
            .iter()
            .filter_map(|question| {
                let act = if question.until <= now {
                    Act::Unanswered
                } else if question.words.is_some_and(|at| at <= now) {
                    Act::Cancel
                } else {
                    return None;
                };
                Some((question.row, act))
            })
            .collect();
        if due.is_empty() {
            return;
        }
        let board = self.board();
        let done = self
            .deps
            .store
            .tx(move |tx| {
                for (row, act) in due {
                    approval::act(tx, row, act, &board)?;
                }
                Ok(())
            })
            .await;
        if self
            .note_failure(done, "cannot deny what nobody answered")
            .is_some()
        {
            self.look_at_answers().await;
        }
    }

    /// Takes note of what people have done about the questions that wait, and gives the agent what they answered.
    pub(super) async fn look_at_answers(&mut self) {
        let rows: Vec<i64> = self.questions().iter().map(|q| q.row).collect();
        if rows.is_empty() {
            return;
        }
        let read = self
            .deps
            .store
            .tx(move |tx| {
                let found = rows.into_iter().map(|row| tx.question(row));
                found.collect::<Result<Vec<_>, _>>()
            })
            .await;
        let Some(found) = self.note_failure(read, "cannot read answers to questions") else {
            return;
        };
        let mut shown_anew = false;
        for row in found.into_iter().flatten() {
            if row.answer.is_some() {
                shown_anew |= self.give_answer(&row);
            } else {
                self.keep_open(&row);
            }
        }
        if shown_anew {
            // The agent says nothing while its tool runs, and that may be long.
            self.show_again(Urgency::Progress).await;
        }
    }

    /// Somebody is at it: it waits for as long as that allows.
    fn keep_open(&mut self, row: &QuestionRow) {
        let open = self.open(row);
        let active = self.run.as_mut().and_then(|live| live.active.as_mut());
        let mut questions = active.into_iter().flat_map(|active| &mut active.questions);
        if let Some(known) = questions.find(|q| q.row == row.id)
            && known.progress != row.progress
        {
            *known = open;
        }
    }

    /// Gives the agent an answer that is recorded; true if the turn is to be shown anew.
    pub(super) fn give_answer(&mut self, row: &QuestionRow) -> bool {
        if let Some(active) = self.run.as_mut().and_then(|live| live.active.as_mut()) {
            active.questions.retain(|q| q.row != row.id);
        }
        let answer = row.answer.as_deref().map(serde_json::from_str::<Answer>);
        let Some(Ok(answer)) = answer else {
            if row.answer.as_deref() != Some(approval::WITHDRAWN) {
                warn!(question = row.id, "a recorded answer cannot be read");
            }
            return false;
        };
        fail::fail_point!("lane-answered");
        let bytes = self.answer_line(&row.question, &answer);
        if self.run.as_ref().is_some_and(|live| live.id == row.run) {
            self.send(&bytes);
        }
        let active = self.run.as_mut().and_then(|live| live.active.as_mut());
        active.is_some_and(|active| !active.machine.answered(&row.question.request_id).is_empty())
    }

    /// Shows the running turn as it is by what we know, without a word of the agent.
    pub(super) async fn show_again(&mut self, urgency: Urgency) {
        let Some(mut active) = self.run.as_ref().and_then(|live| live.active.clone()) else {
            return;
        };
        let Some(json) = work::to_json(&active.machine) else {
            return;
        };
        let by_draft = self.by_draft(&mut active);
        let view = self.view_of(&active);
        let renderer = self.deps.renderer.as_ref();
        let shown = (!by_draft).then(|| {
            show::running(
                renderer,
                &view,
                self.stoppable(active.turn),
                active.reply_to,
            )
        });
        let (turn, target, now) = (active.turn, self.target(), self.deps.clock.now());
        let done = self
            .deps
            .store
            .tx(move |tx| {
                tx.turn_machine(turn, &json)?;
                match shown {
                    Some(shown) => work::put(tx, target, turn, &shown, urgency, now),
                    None => Ok(()),
                }
            })
            .await;
        let shown = self.note_failure(done, "cannot show what the agent does");
        if let Some(live) = &mut self.run {
            live.active = Some(active);
        }
        if shown.is_some() && by_draft {
            self.sketch(&view);
        }
    }
}
