//! What people do about questions of agents, whatever way it comes: by a press, a command, a message, a call.
//!
//! An answer is final once it is recorded. The lane of its conversation, woken after that, gives it to the agent; after a
//! crash the next one does.

use std::sync::Arc;

use super::{
    Config, Deps,
    lane::{self, Ack, Said},
    ports::Renderer,
    show::{self, Face},
};
use crate::{
    core::{
        Millis,
        approval::{
            progress::Progress,
            step::{Act, Outcome, Refusal, Step, step},
        },
        ids::{ConversationKey, TurnId},
        policy::{self, Role},
        text::Shown,
        words,
    },
    store::{
        StoreError, Tx,
        rows::{Conversation, QuestionRow, Slot, Target, Urgency},
    },
};

/// What is stored in the place of an answer to a question that is not asked any more.
pub(super) const WITHDRAWN: &str = "\"withdrawn\"";

/// Where, how and when a question of a conversation is shown.
#[derive(Clone)]
pub(super) struct Board {
    renderer: Arc<dyn Renderer>,
    target: Target,
    face: Face,
    now: Millis,
}

/// What came of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Acted {
    /// The question is answered.
    Over(Outcome),
    /// It still waits, otherwise than before.
    UnderWay,
    /// Nothing has changed.
    Refused(Refusal),
}

/// What boards are made of, as it is now.
#[derive(Clone)]
pub(super) struct Boards {
    renderer: Arc<dyn Renderer>,
    config: Arc<Config>,
    now: Millis,
}

impl Boards {
    pub(super) fn new(deps: &Deps) -> Self {
        Self {
            renderer: Arc::clone(&deps.renderer),
            config: deps.config.get(),
            now: deps.clock.now(),
        }
    }

    /// The board of the conversation with this key.
    pub(super) fn of(&self, key: &ConversationKey) -> Board {
        let features = &self.config.features;
        Board {
            renderer: Arc::clone(&self.renderer),
            target: Target {
                chat_id: key.chat_id,
                thread_id: key.thread_id,
            },
            face: Face {
                buttons: features.permission_buttons.is_on(key.user_id),
                private: key.chat_id == key.user_id,
            },
            now: self.now,
        }
    }

    /// Whether this person may answer a question in the conversation with this key.
    pub(super) fn may(&self, asker: &Asker, key: &ConversationKey) -> bool {
        let approvers = self.config.approvers;
        policy::may_approve(asker.role, asker.person, key.user_id, approvers).is_ok()
    }
}

/// Who does something about a question, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    /// The bot.
    pub(super) bot_id: i64,
    /// Chat and topic.
    pub(super) target: Target,
    /// Telegram user id.
    pub(super) person: i64,
    /// Role there.
    pub(super) role: Role,
}

impl Board {
    /// Shows a question that waits; a new one as an answer to that message.
    pub(super) fn ask(
        &self,
        tx: &Tx<'_>,
        row: &QuestionRow,
        reply_to: Option<i64>,
    ) -> Result<(), StoreError> {
        let progress = Progress::read(row.progress.as_deref());
        let mut shown = self.shown(row, &progress, show::Answer::Open(self.face));
        shown.reply_to = reply_to;
        self.put(tx, row, &shown)
    }

    /// Shows how a question ended.
    fn tell(&self, tx: &Tx<'_>, row: &QuestionRow, decided: &str) -> Result<(), StoreError> {
        let progress = Progress::read(row.progress.as_deref());
        let shown = self.shown(row, &progress, show::Answer::Given(decided));
        self.put(tx, row, &shown)
    }

    fn shown(&self, row: &QuestionRow, progress: &Progress, answer: show::Answer<'_>) -> Shown {
        show::question(
            self.renderer.as_ref(),
            row.id,
            &row.question,
            progress,
            answer,
        )
    }

    fn put(&self, tx: &Tx<'_>, row: &QuestionRow, shown: &Shown) -> Result<(), StoreError> {
        let slot = Some(slot(row.turn, row.id));
        tx.out_show(self.target, slot, Urgency::Message, shown, self.now)?;
        Ok(())
    }

    /// Questions of a turn that nobody answered any more.
    pub(super) fn close(&self, tx: &Tx<'_>, turn: TurnId) -> Result<(), StoreError> {
        for row in tx.questions_open(turn)? {
            self.withdraw(tx, &row)?;
        }
        Ok(())
    }

    /// The agent does not ask this any more. False: it was answered.
    pub(super) fn withdraw(&self, tx: &Tx<'_>, row: &QuestionRow) -> Result<bool, StoreError> {
        let open = tx.question_answered(row.id, WITHDRAWN, self.now)?;
        if open {
            self.tell(tx, row, words::approval::WITHDRAWN.as_str())?;
        }
        Ok(open)
    }
}

/// The message of a question.
fn slot(turn: TurnId, question: i64) -> Slot {
    Slot {
        turn,
        number: Slot::NOTICE + question,
    }
}

/// Does something about a question, and shows what has become of it.
pub(super) fn act(
    tx: &Tx<'_>,
    question: i64,
    act: Act,
    board: &Board,
) -> Result<Acted, StoreError> {
    let Some(mut row) = tx.question(question)? else {
        return Ok(Acted::Refused(Refusal::Stale));
    };
    match row.answer.as_deref() {
        None => {}
        Some(WITHDRAWN) => return Ok(Acted::Refused(Refusal::Withdrawn)),
        Some(_) => return Ok(Acted::Refused(Refusal::Answered)),
    }
    let progress = Progress::read(row.progress.as_deref());
    match step(&row.question, &progress, act, board.now) {
        Step::Refused(why) => Ok(Acted::Refused(why)),
        Step::UnderWay(progress) => {
            let json = progress.to_json();
            tx.question_progress(row.id, &json)?;
            row.progress = Some(json);
            board.ask(tx, &row, None)?;
            Ok(Acted::UnderWay)
        }
        Step::Over(answer, outcome) => {
            // It always can be written as JSON.
            let json = serde_json::to_string(&answer).unwrap_or_default();
            tx.question_answered(row.id, &json, board.now)?;
            board.tell(tx, &row, &words::approval::outcome(&outcome))?;
            Ok(Acted::Over(outcome))
        }
    }
}

/// The question for which this person was asked for words, here, and that are to be written by then; with its
/// conversation.
pub(super) fn awaits_words(
    tx: &Tx<'_>,
    asker: &Asker,
    sent: Millis,
) -> Result<Option<(i64, Conversation)>, StoreError> {
    // The one that was asked last.
    for row in tx
        .questions_under_way(asker.bot_id, asker.target)?
        .iter()
        .rev()
    {
        let words = Progress::read(row.progress.as_deref()).words;
        if words.is_none_or(|words| words.by != asker.person || sent > words.until()) {
            continue;
        }
        let Some(turn) = tx.turn(row.turn)? else {
            continue;
        };
        if let Some(conversation) = tx.conversation(turn.conversation)? {
            return Ok(Some((row.id, conversation)));
        }
    }
    Ok(None)
}

/// The same by somebody's order: with its line in the audit and its answer.
pub(super) fn order(
    tx: &Tx<'_>,
    question: i64,
    what: Act,
    board: &Board,
    ack: &Ack,
) -> Result<Acted, StoreError> {
    let asks_for_words = matches!(what, Act::AskWhy(_));
    let asks_for_answer = matches!(what, Act::AskOwn { .. });
    let acted = act(tx, question, what, board)?;
    let (text, result) = match &acted {
        Acted::Over(outcome) => (words::approval::outcome(outcome), "ok".to_owned()),
        // A step on the way is worth no line in the audit.
        Acted::UnderWay => {
            let text = match ack.is_press() {
                true if asks_for_words => words::approval::tell_it(board.face.private),
                true if asks_for_answer => words::approval::write_answer(board.face.private),
                true => String::new(),
                false => words::approval::ONE_MORE.as_str().to_owned(),
            };
            lane::answer(tx, ack, &text, &[], board.now)?;
            return Ok(acted);
        }
        Acted::Refused(why) => (
            words::approval::refusal(*why, question),
            format!("refused: {why:?}"),
        ),
    };
    let on = match &acted {
        Acted::Over(outcome) => {
            format!(
                "question {question}: {}",
                words::approval::happened(outcome)
            )
        }
        _ => format!("question {question}"),
    };
    let said = Said {
        action: "approve",
        on: &on,
        result: &result,
        text: &text,
        buttons: Vec::new(),
    };
    lane::acknowledge_as(tx, ack, &said, board.now)?;
    Ok(acted)
}
