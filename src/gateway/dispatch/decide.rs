//! `/allow` and `/deny`: answers to questions of agents without a button.

use super::Desk;
use crate::{
    core::{
        ids::ConversationId,
        inbound::{Message, Person},
        policy::{self, Role},
        words,
    },
    gateway::lane::{self, Ack, Decision, LaneMsg, Said},
    store::StoreError,
};

/// A question that waits in this chat.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting {
    id: i64,
    conversation: ConversationId,
    tool: String,
    /// In the topic in which the command was given.
    near: bool,
    /// Whether whoever gave the command may decide it.
    may: bool,
}

/// Why none is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NoneOf {
    /// Nothing is asked.
    Nothing,
    /// There is none with this number here.
    Unknown(i64),
    /// It is somebody else's to decide.
    NotYours,
    /// It is not clear which.
    Several,
}

/// Which question is meant: the one with this number in this chat, or the only one in this topic.
fn pick(waiting: &[Waiting], number: Option<i64>) -> Result<&Waiting, NoneOf> {
    if let Some(number) = number {
        let found = waiting.iter().find(|question| question.id == number);
        let found = found.ok_or(NoneOf::Unknown(number))?;
        return if found.may {
            Ok(found)
        } else {
            Err(NoneOf::NotYours)
        };
    }
    let mut near = waiting.iter().filter(|question| question.near).peekable();
    if near.peek().is_none() {
        return Err(NoneOf::Nothing);
    }
    let mut may = near.filter(|question| question.may);
    match (may.next(), may.next()) {
        (None, _) => Err(NoneOf::NotYours),
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(NoneOf::Several),
    }
}

impl Desk<'_> {
    /// The same as a press of the button, and as strict: what is not asked in this chat is not decided from it.
    pub(super) async fn decide(
        &self,
        message: &Message,
        (person, role): (&Person, Role),
        ack: Ack,
        args: &str,
        decision: Decision,
    ) -> Result<(), StoreError> {
        let number = match args.trim_start_matches('#') {
            "" => Ok(None),
            number => number.parse().map(Some),
        };
        let Ok(number) = number else {
            let text = words::approval::WHICH_QUESTION.to_owned();
            return self.answer(ack, "approve", text).await;
        };
        let (target, person, bot_id) = (Self::target(message), person.id, self.bot_id);
        let (approvers, inbox, now) = (
            self.deps.config.get().approvers,
            self.id,
            self.deps.clock.now(),
        );
        let asked = ack.clone();
        let found = self
            .deps
            .store
            .tx(move |tx| {
                // Where this is looked at again after a crash, what was asked after it is not meant.
                let given = tx.inbox_received_at(inbox)?.unwrap_or(now);
                let mut waiting = Vec::new();
                for question in tx.questions_waiting()? {
                    let Some(conversation) = tx.conversation(question.conversation)? else {
                        continue;
                    };
                    let key = conversation.key;
                    if question.asked_at > given
                        || (key.bot_id, key.chat_id) != (bot_id, target.chat_id)
                    {
                        continue;
                    }
                    waiting.push(Waiting {
                        id: question.id,
                        conversation: question.conversation,
                        tool: question.tool,
                        near: key.thread_id == target.thread_id,
                        may: policy::may_approve(role, person, key.user_id, approvers).is_ok(),
                    });
                }
                let why = match pick(&waiting, number) {
                    Ok(one) => return Ok(Some((one.id, one.conversation))),
                    Err(why) => why,
                };
                let (text, result) = match why {
                    NoneOf::Nothing => {
                        (words::approval::NOTHING_ASKED.to_owned(), "NoSuchQuestion")
                    }
                    NoneOf::Unknown(number) => {
                        (words::approval::no_question(number), "NoSuchQuestion")
                    }
                    NoneOf::NotYours => (words::NOT_YOURS.to_owned(), "NotAllowed"),
                    NoneOf::Several => {
                        let mine = waiting.iter().filter(|one| one.near && one.may);
                        let mine = mine.map(|one| (one.id, one.tool.as_str()));
                        (words::approval::several_questions(mine), "Ambiguous")
                    }
                };
                let said = Said {
                    action: "approve",
                    on: "",
                    result: &format!("refused: {result}"),
                    text: &text,
                    buttons: Vec::new(),
                };
                lane::acknowledge_as(tx, &asked, &said, now)?;
                Ok(None)
            })
            .await?;
        if let Some((question, conversation)) = found {
            let msg = LaneMsg::Decide {
                question,
                decision,
                ack,
            };
            self.lanes.send(conversation, msg).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_question_is_meant() {
        let one = |id, near, may| Waiting {
            id,
            conversation: ConversationId(1),
            tool: "Bash".to_owned(),
            near,
            may,
        };
        let all = [
            one(1, true, false),
            one(2, true, true),
            one(3, false, true),
            one(4, true, true),
        ];
        let pick = |all: &[Waiting], number| pick(all, number).map(|found| found.id);
        for (waiting, number, wanted) in [
            (&all[..], None, Err(NoneOf::Several)),
            (&all[..3], None, Ok(2)),
            (&all[..1], None, Err(NoneOf::NotYours)),
            (&all[2..3], None, Err(NoneOf::Nothing)),
            (&[], None, Err(NoneOf::Nothing)),
            (&all, Some(1), Err(NoneOf::NotYours)),
            (&all, Some(3), Ok(3)),
            (&all, Some(4), Ok(4)),
            (&all, Some(5), Err(NoneOf::Unknown(5))),
            (&all, Some(i64::MIN), Err(NoneOf::Unknown(i64::MIN))),
        ] {
            assert_eq!(pick(waiting, number), wanted, "{number:?}");
        }
    }
}
