//! Answers to questions of agents: by presses, and by `/allow`, `/deny` and `/answer`.

use super::Desk;
use crate::{
    core::{
        Millis,
        approval::step::Act,
        ids::ConversationId,
        inbound::{Message, Person},
        policy::Role,
        words,
    },
    gateway::{
        approval::{self, Asker, Boards},
        lane::{self, Ack, Said},
    },
    store::{StoreError, Tx, rows::Conversation},
};

/// What a button under a question asks for when this person presses it; what it carries comes from outside.
pub(super) fn pressed(data: &str, by: i64) -> Option<(i64, Act)> {
    let mut parts = data.split(':');
    let row = parts.next()?.parse().ok()?;
    let kind = parts.next()?;
    let mut number = || parts.next()?.parse::<usize>().ok();
    let act = match kind {
        "y" => Act::Allow,
        "a" => Act::AllowSession,
        "e" => Act::AllowEdits,
        "n" => Act::Deny,
        "w" => Act::AskWhy(by),
        "c" => Act::Cancel,
        "o" => Act::Choose {
            question: number()?,
            option: number()?,
        },
        "d" => Act::Done {
            question: number()?,
        },
        "t" => Act::AskOwn {
            question: number()?,
            by,
        },
        _ => return None,
    };
    parts.next().is_none().then_some((row, act))
}

/// By which command a question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Allow,
    Deny,
    Answer,
}

/// Which question a command means, and what it says; `None` where that cannot be told.
fn read(by: By, args: &str) -> Option<(Option<i64>, Act)> {
    let (first, rest) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
    let number = first.trim_start_matches('#').parse::<i64>().ok();
    // Too large for a number is no word.
    let digits = first.trim_start_matches('#');
    if number.is_none() && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (number, words) = match number {
        // The answer to the only question, which may well be a number.
        Some(_) if by == By::Answer && rest.trim().is_empty() => (None, args),
        Some(number) => (Some(number), rest.trim()),
        None => (None, args),
    };
    let act = match (by, words) {
        (By::Allow, "") => Act::Allow,
        (By::Allow, how) if how.eq_ignore_ascii_case("session") => Act::AllowSession,
        (By::Allow, how) if how.eq_ignore_ascii_case("edits") => Act::AllowEdits,
        (By::Allow, _) | (By::Answer, "") => return None,
        (By::Deny, "") => Act::Deny,
        (By::Deny, why) => Act::DenyWith(why.to_owned()),
        (By::Answer, words) => Act::Answer(words.to_owned()),
    };
    Some((number, act))
}

/// A question that waits in this chat.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting {
    id: i64,
    conversation: Conversation,
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

impl NoneOf {
    /// What whoever gave the command is told, and the name of the kind.
    fn told(self, waiting: &[Waiting]) -> (String, &'static str) {
        match self {
            Self::Nothing => (words::approval::NOTHING_ASKED.to_owned(), "NoSuchQuestion"),
            Self::Unknown(number) => (words::approval::no_question(number), "NoSuchQuestion"),
            Self::NotYours => (words::NOT_YOURS.to_owned(), "NotAllowed"),
            Self::Several => {
                let mine = waiting.iter().filter(|one| one.near && one.may);
                let mine = mine.map(|one| (one.id, one.tool.as_str()));
                (words::approval::several_questions(mine), "Ambiguous")
            }
        }
    }
}

impl Desk<'_> {
    /// A press of a button under a question of this conversation, by somebody who may.
    pub(super) async fn pressed(
        &self,
        conversation: &Conversation,
        (question, act): (i64, Act),
        ack: Ack,
    ) -> Result<(), StoreError> {
        let board = Boards::new(self.deps).of(&conversation.key);
        self.deps
            .store
            .tx(move |tx| approval::order(tx, question, act, &board, &ack))
            .await?;
        fail::fail_point!("question-committed");
        self.lanes.wake(conversation.id);
        Ok(())
    }

    /// The same as a press of the button, and as strict: what is not asked in this chat is not decided from it.
    pub(super) async fn decide(
        &self,
        message: &Message,
        (person, role): (&Person, Role),
        ack: Ack,
        args: &str,
        by: By,
    ) -> Result<(), StoreError> {
        let Some((number, act)) = read(by, args) else {
            let text = match by {
                By::Answer => words::approval::WHICH_ANSWER.as_str(),
                By::Allow | By::Deny => words::approval::WHICH_QUESTION.as_str(),
            };
            return self.answer(ack, "approve", text.to_owned()).await;
        };
        let who = Asker {
            bot_id: self.bot_id,
            target: Self::target(message),
            person: person.id,
            role,
        };
        let (boards, inbox) = (Boards::new(self.deps), self.id);
        let now = self.deps.clock.now();
        let decided = self
            .deps
            .store
            .tx(move |tx| {
                // Where this is looked at again after a crash, what was asked after it is not meant.
                let given = tx.inbox_received_at(inbox)?.unwrap_or(now);
                let waiting = waiting(tx, &boards, &who, given)?;
                match pick(&waiting, number) {
                    Ok(one) => {
                        let board = boards.of(&one.conversation.key);
                        approval::order(tx, one.id, act, &board, &ack)?;
                        Ok(Some(one.conversation.id))
                    }
                    Err(why) => {
                        let (text, result) = why.told(&waiting);
                        let said = Said {
                            action: "approve",
                            on: "",
                            result: &format!("refused: {result}"),
                            text: &text,
                            buttons: Vec::new(),
                        };
                        lane::acknowledge_as(tx, &ack, &said, now)?;
                        Ok(None::<ConversationId>)
                    }
                }
            })
            .await?;
        fail::fail_point!("question-committed");
        if let Some(conversation) = decided {
            self.lanes.wake(conversation);
        }
        Ok(())
    }
}

/// Questions that wait in this chat and were asked by then.
fn waiting(
    tx: &Tx<'_>,
    boards: &Boards,
    who: &Asker,
    by: Millis,
) -> Result<Vec<Waiting>, StoreError> {
    let mut waiting = Vec::new();
    for question in tx.questions_waiting()? {
        let Some(conversation) = tx.conversation(question.conversation)? else {
            continue;
        };
        let key = conversation.key;
        if question.asked_at > by || (key.bot_id, key.chat_id) != (who.bot_id, who.target.chat_id) {
            continue;
        }
        waiting.push(Waiting {
            id: question.id,
            may: boards.may(who, &key),
            conversation,
            tool: question.tool,
            near: key.thread_id == who.target.thread_id,
        });
    }
    Ok(waiting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::ConversationKey;

    #[test]
    fn which_question_is_meant() {
        let one = |id, near, may| Waiting {
            id,
            conversation: Conversation {
                id: ConversationId(1),
                key: ConversationKey {
                    bot_id: 1,
                    chat_id: 1,
                    thread_id: 0,
                    user_id: 1,
                },
                created_at: 0,
            },
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

    #[test]
    fn what_a_button_carries_is_read_strictly() {
        for (data, act) in [
            ("3:y", Act::Allow),
            ("3:a", Act::AllowSession),
            ("3:e", Act::AllowEdits),
            ("3:n", Act::Deny),
            ("3:w", Act::AskWhy(7)),
            ("3:c", Act::Cancel),
            (
                "3:o:1:2",
                Act::Choose {
                    question: 1,
                    option: 2,
                },
            ),
            ("3:d:0", Act::Done { question: 0 }),
            ("3:t:0", Act::AskOwn { question: 0, by: 7 }),
        ] {
            assert_eq!(pressed(data, 7), Some((3, act)), "{data}");
        }
        for foreign in [
            "",
            "3",
            "3:",
            "3:z",
            ":y",
            "x:y",
            "3:y:n",
            "3:o",
            "3:o:1",
            "3:o:1:2:3",
            "3:o:-1:2",
            "3:o:1:99999999999999999999",
            "3:d",
            "3:d:x",
            "3:t:",
            "99999999999999999999:y",
        ] {
            assert_eq!(pressed(foreign, 7), None, "{foreign}");
        }
    }

    #[test]
    fn what_a_command_says() {
        let text = |text: &str| text.to_owned();
        for (by, args, wanted) in [
            (By::Allow, "", Some((None, Act::Allow))),
            (By::Allow, "12", Some((Some(12), Act::Allow))),
            (
                By::Allow,
                "#12 Session",
                Some((Some(12), Act::AllowSession)),
            ),
            (By::Allow, "edits", Some((None, Act::AllowEdits))),
            (By::Allow, "yes", None),
            (By::Allow, "1 2", None),
            (By::Allow, "99999999999999999999", None),
            (By::Deny, "-1", Some((Some(-1), Act::Deny))),
            (
                By::Deny,
                "3 use git mv",
                Some((Some(3), Act::DenyWith(text("use git mv")))),
            ),
            (
                By::Deny,
                "use git mv",
                Some((None, Act::DenyWith(text("use git mv")))),
            ),
            (By::Deny, "99999999999999999999", None),
            (By::Answer, "", None),
            (By::Answer, "2", Some((None, Act::Answer(text("2"))))),
            (
                By::Answer,
                "12 2, 3",
                Some((Some(12), Act::Answer(text("2, 3")))),
            ),
            (
                By::Answer,
                "the red\none",
                Some((None, Act::Answer(text("the red\none")))),
            ),
        ] {
            assert_eq!(read(by, args), wanted, "{by:?} {args}");
        }
    }
}
