//! What a press, a command or a message makes of a question.

use super::{
    Answer, Kind,
    choice::{Asked, Choice, Given},
    progress::{Awaited, Progress, Purpose},
    session,
};
use crate::core::{Millis, event::Question, words::approval as words};

/// Most characters of a person's words that the agent is told.
const MOST_WORDS: usize = 4096;

/// What somebody does about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Yes, this time. For a plan: go ahead.
    Allow,
    /// Yes, and what the agent proposed for the session.
    AllowSession,
    /// Go ahead with the plan, and change files without a question.
    AllowEdits,
    /// No. For a plan: keep planning; for a choice: no answer.
    Deny,
    /// No, and what the agent is told.
    DenyWith(String),
    /// The words that the agent is told with a no are to be written by this person, by Telegram user id.
    AskWhy(i64),
    /// The answer to this question of several is to be written by this person.
    AskOwn {
        /// Which, from 0.
        question: usize,
        /// By whom.
        by: i64,
    },
    /// Words are not waited for any more.
    Cancel,
    /// An option is chosen, or, where several may be, not any more.
    Choose {
        /// Of which question, from 0.
        question: usize,
        /// Which, from 0.
        option: usize,
    },
    /// All options of this question are chosen.
    Done {
        /// Which, from 0.
        question: usize,
    },
    /// The answer to the question that is next, written into a command.
    Answer(String),
    /// The words that were waited for.
    Words(String),
    /// Nobody has answered in time.
    Unanswered,
}

/// How a question ended, for the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Yes.
    Allowed,
    /// Yes, for the session.
    AllowedSession,
    /// No, and the words with it.
    Denied(Option<String>),
    /// What was chosen or said, each with what it is about.
    Answered(Vec<(String, String)>),
    /// No answer to a choice, and the words in its place.
    Skipped(Option<String>),
    /// The plan is carried out; without a question for changes of files.
    GoAhead {
        /// Whether files are changed without a question.
        edits: bool,
    },
    /// The plan is not carried out, and the words with that.
    KeepPlanning(Option<String>),
    /// Nobody answered.
    Unanswered,
}

/// Why nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// That cannot be done about it, or not any more.
    Stale,
    /// It is answered.
    Answered,
    /// It is not asked any more.
    Withdrawn,
    /// A choice wants an answer, not a yes.
    WantsAnswer,
    /// It wants a yes or a no.
    WantsDecision,
    /// The agent has proposed nothing for the session.
    NoSession,
    /// Nothing is chosen yet.
    NothingChosen,
    /// There are no words.
    NoWords,
}

/// What becomes of a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It still waits.
    UnderWay(Progress),
    /// It is answered.
    Over(Answer, Outcome),
    /// Nothing changes.
    Refused(Refusal),
}

/// What `act` makes of a question that nobody has answered yet.
#[must_use]
pub fn step(question: &Question, progress: &Progress, act: Act, now: Millis) -> Step {
    let kind = Kind::of(question);
    let touched = Progress {
        touched_at: Some(now),
        ..progress.clone()
    };
    let waiting = |by, purpose| {
        let words = Some(Awaited {
            by,
            since: now,
            purpose,
        });
        Step::UnderWay(Progress {
            words,
            ..touched.clone()
        })
    };
    match (act, &kind) {
        (Act::Unanswered, _) => Step::Over(
            Answer::Deny {
                message: words::UNANSWERED_TO_AGENT.to_owned(),
                rule: None,
            },
            Outcome::Unanswered,
        ),
        (Act::Deny, kind) => deny(kind, None),
        (Act::DenyWith(text), kind) => with_words(&text, |text| deny(kind, Some(text))),
        (Act::AskWhy(by), _) => waiting(by, Purpose::Deny),
        (Act::Cancel, _) if progress.words.is_some() => Step::UnderWay(Progress {
            words: None,
            ..touched
        }),
        (Act::Cancel, _) => Step::Refused(Refusal::Stale),
        (Act::Words(text), kind) => match (progress.words.map(|w| w.purpose), kind) {
            (Some(Purpose::Deny), kind) => with_words(&text, |text| deny(kind, Some(text))),
            (Some(Purpose::Own), Kind::Choice(choice)) => with_words(&text, |text| {
                let beside = progress.ticked.clone();
                answered(
                    question,
                    choice,
                    touched.clone(),
                    Given::Own { text, beside },
                )
            }),
            _ => Step::Refused(Refusal::Stale),
        },
        (Act::Allow | Act::AllowSession, Kind::Choice(_)) => Step::Refused(Refusal::WantsAnswer),
        (Act::Allow, Kind::Use) => Step::Over(Answer::YES, Outcome::Allowed),
        (Act::AllowSession, Kind::Use) => {
            if session::offer(question).updates.is_empty() {
                return Step::Refused(Refusal::NoSession);
            }
            let answer = Answer::Allow {
                input: None,
                remember: true,
                edits: false,
            };
            Step::Over(answer, Outcome::AllowedSession)
        }
        (Act::AllowSession, Kind::Plan(_)) => Step::Refused(Refusal::NoSession),
        (Act::Allow, Kind::Plan(_)) => Step::Over(Answer::YES, Outcome::GoAhead { edits: false }),
        (Act::AllowEdits, Kind::Plan(_)) => {
            let answer = Answer::Allow {
                input: None,
                remember: false,
                edits: true,
            };
            Step::Over(answer, Outcome::GoAhead { edits: true })
        }
        (Act::AllowEdits, Kind::Use | Kind::Choice(_)) => Step::Refused(Refusal::Stale),
        (act, Kind::Choice(choice)) => {
            choose(question, choice, progress, touched.clone(), act, waiting)
        }
        (Act::Answer(_), _) => Step::Refused(Refusal::WantsDecision),
        (Act::Choose { .. } | Act::Done { .. } | Act::AskOwn { .. }, _) => {
            Step::Refused(Refusal::Stale)
        }
    }
}

/// What is done about the question that is next of several.
fn choose(
    question: &Question,
    choice: &Choice,
    progress: &Progress,
    mut touched: Progress,
    act: Act,
    waiting: impl Fn(i64, Purpose) -> Step,
) -> Step {
    let current = progress.given.len();
    let Some(asked) = choice.questions.get(current) else {
        return Step::Refused(Refusal::Stale);
    };
    touched.words = None;
    match act {
        Act::Answer(text) => with_words(&text, |text| {
            answered(question, choice, touched.clone(), asked.meant(&text))
        }),
        Act::AskOwn { question, by } if question == current => waiting(by, Purpose::Own),
        Act::Choose {
            question: of,
            option,
        } if of == current && option < asked.options.len() => {
            if !asked.several {
                return answered(question, choice, touched, Given::Options(vec![option]));
            }
            match touched.ticked.binary_search(&option) {
                Ok(at) => {
                    touched.ticked.remove(at);
                }
                Err(at) => touched.ticked.insert(at, option),
            }
            Step::UnderWay(touched)
        }
        Act::Done { question: of } if of == current && asked.several => {
            if touched.ticked.is_empty() {
                return Step::Refused(Refusal::NothingChosen);
            }
            let ticked = std::mem::take(&mut touched.ticked);
            answered(question, choice, touched, Given::Options(ticked))
        }
        _ => Step::Refused(Refusal::Stale),
    }
}

/// The question that is next has its answer.
fn answered(question: &Question, choice: &Choice, mut progress: Progress, given: Given) -> Step {
    progress.given.push(given);
    progress.ticked.clear();
    progress.words = None;
    if progress.given.len() < choice.questions.len() {
        return Step::UnderWay(progress);
    }
    let answer = Answer::Allow {
        input: Some(choice.answered(&question.input, &progress.given)),
        remember: false,
        edits: false,
    };
    Step::Over(answer, Outcome::Answered(told(choice, &progress)))
}

/// What was answered so far, each with what it is about.
#[must_use]
pub fn told(choice: &Choice, progress: &Progress) -> Vec<(String, String)> {
    let told = |(asked, given): (&Asked, &Given)| (asked.short().to_owned(), given.told(asked));
    let pairs = choice.questions.iter().zip(&progress.given);
    pairs.map(told).collect()
}

fn deny(kind: &Kind, words: Option<String>) -> Step {
    let text = words.as_deref();
    let (message, outcome) = match kind {
        Kind::Use => (words::denied_to_agent(text), Outcome::Denied(words)),
        Kind::Choice(_) => (words::skipped_to_agent(text), Outcome::Skipped(words)),
        Kind::Plan(_) => (words::planning_to_agent(text), Outcome::KeepPlanning(words)),
    };
    Step::Over(
        Answer::Deny {
            message,
            rule: None,
        },
        outcome,
    )
}

fn with_words(text: &str, then: impl FnOnce(String) -> Step) -> Step {
    let text: String = text.trim().chars().take(MOST_WORDS).collect();
    if text.is_empty() {
        Step::Refused(Refusal::NoWords)
    } else {
        then(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn asked(tool: &str, input: Value) -> Question {
        Question {
            tool: tool.to_owned(),
            input,
            ..Question::default()
        }
    }

    fn two() -> Question {
        let options = json!([{"label": "A", "description": ""}, {"label": "B", "description": ""}, {"label": "C", "description": ""}]);
        asked(
            super::super::CHOICE,
            json!({"questions": [
                {"question": "Which?", "header": "H", "multiSelect": true, "options": options},
                {"question": "And then?", "multiSelect": false, "options": options},
            ]}),
        )
    }

    /// Takes acts, one after the other, to the end or to the last.
    fn play(question: &Question, acts: impl IntoIterator<Item = Act>) -> Step {
        let mut progress = Progress::default();
        let mut last = Step::UnderWay(progress.clone());
        for act in acts {
            last = step(question, &progress, act, 1000);
            match &last {
                Step::UnderWay(next) => progress = next.clone(),
                Step::Refused(_) => {}
                Step::Over(..) => break,
            }
        }
        last
    }

    fn choose(question: usize, option: usize) -> Act {
        Act::Choose { question, option }
    }

    #[test]
    fn a_tool_is_allowed_or_denied_with_words() {
        let bash = asked("Bash", json!({"command": "ls"}));
        assert_eq!(
            play(&bash, [Act::Allow]),
            Step::Over(Answer::YES, Outcome::Allowed)
        );
        let deny = |message: &str, words: Option<&str>| {
            let message = message.to_owned();
            Step::Over(
                Answer::Deny {
                    message,
                    rule: None,
                },
                Outcome::Denied(words.map(str::to_owned)),
            )
        };
        assert_eq!(play(&bash, [Act::Deny]), deny(words::DENIED_TO_AGENT, None));
        let told = "The user did not allow this and says: use git mv";
        let why = Some("use git mv");
        let asking = [
            Act::AskWhy(7),
            Act::Words("  ".to_owned()),
            Act::Words(" use git mv\n".to_owned()),
        ];
        assert_eq!(play(&bash, asking), deny(told, why));
        assert_eq!(
            play(&bash, [Act::DenyWith("use git mv".to_owned())]),
            deny(told, why)
        );
        for (acts, refused) in [
            (vec![Act::AllowSession], Refusal::NoSession),
            (vec![Act::AllowEdits], Refusal::Stale),
            (vec![Act::Cancel], Refusal::Stale),
            (vec![Act::Words("x".to_owned())], Refusal::Stale),
            (
                vec![Act::AskWhy(7), Act::Cancel, Act::Words("x".to_owned())],
                Refusal::Stale,
            ),
            (vec![Act::DenyWith(" ".to_owned())], Refusal::NoWords),
            (vec![Act::Answer("1".to_owned())], Refusal::WantsDecision),
            (vec![choose(0, 0)], Refusal::Stale),
            (vec![Act::Done { question: 0 }], Refusal::Stale),
            (vec![Act::AskOwn { question: 0, by: 1 }], Refusal::Stale),
        ] {
            assert_eq!(
                play(&bash, acts.clone()),
                Step::Refused(refused),
                "{acts:?}"
            );
        }
    }

    #[test]
    fn several_questions_are_answered_one_after_the_other() {
        let answer = |answers: Value| {
            let mut input = two().input;
            input["answers"] = answers;
            Answer::Allow {
                input: Some(input),
                remember: false,
                edits: false,
            }
        };
        let ticks = [
            choose(0, 2),
            choose(0, 0),
            choose(0, 1),
            choose(0, 1),
            Act::Done { question: 0 },
        ];
        let Step::Over(given, outcome) =
            play(&two(), ticks.clone().into_iter().chain([choose(1, 1)]))
        else {
            panic!("it is over");
        };
        assert_eq!(given, answer(json!({"Which?": "A, C", "And then?": "B"})));
        let told = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            outcome,
            Outcome::Answered(vec![told("H", "A, C"), told("And then?", "B")])
        );
        // By words, and by commands.
        let acts = [
            choose(0, 1),
            Act::AskOwn { question: 0, by: 7 },
            Act::Words("and D".to_owned()),
            Act::Answer("2".to_owned()),
        ];
        let Step::Over(given, _) = play(&two(), acts) else {
            panic!("it is over");
        };
        assert_eq!(
            given,
            answer(json!({"Which?": "B, and D", "And then?": "B"}))
        );
        let skipped = play(&two(), [choose(0, 0), Act::Deny]);
        let Step::Over(Answer::Deny { message, .. }, Outcome::Skipped(None)) = skipped else {
            panic!("{skipped:?}");
        };
        assert_eq!(message, words::SKIPPED_TO_AGENT);
        for (acts, refused) in [
            (vec![Act::Allow], Refusal::WantsAnswer),
            (vec![Act::AllowSession], Refusal::WantsAnswer),
            (vec![Act::Done { question: 0 }], Refusal::NothingChosen),
            (vec![choose(1, 0)], Refusal::Stale),
            (vec![choose(0, 3)], Refusal::Stale),
            (vec![Act::AskOwn { question: 1, by: 1 }], Refusal::Stale),
            // A press of what was there before.
            (
                ticks.into_iter().chain([choose(0, 0)]).collect(),
                Refusal::Stale,
            ),
            (
                vec![Act::Answer("1".to_owned()), Act::Done { question: 1 }],
                Refusal::Stale,
            ),
        ] {
            assert_eq!(
                play(&two(), acts.clone()),
                Step::Refused(refused),
                "{acts:?}"
            );
        }
    }

    #[test]
    fn a_plan_is_carried_out_or_planned_on() {
        let plan = asked(super::super::PLAN, json!({"plan": "1. x"}));
        let edits = Answer::Allow {
            input: None,
            remember: false,
            edits: true,
        };
        assert_eq!(
            play(&plan, [Act::Allow]),
            Step::Over(Answer::YES, Outcome::GoAhead { edits: false })
        );
        assert_eq!(
            play(&plan, [Act::AllowEdits]),
            Step::Over(edits, Outcome::GoAhead { edits: true })
        );
        let Step::Over(Answer::Deny { message, .. }, Outcome::KeepPlanning(Some(_))) =
            play(&plan, [Act::AskWhy(1), Act::Words("with tests".to_owned())])
        else {
            panic!("it is over");
        };
        assert!(message.ends_with(": with tests"), "{message}");
        assert_eq!(
            play(&plan, [Act::AllowSession]),
            Step::Refused(Refusal::NoSession)
        );
    }

    fn acts() -> impl Strategy<Value = Act> {
        prop_oneof![
            Just(Act::Allow),
            Just(Act::AllowSession),
            Just(Act::AllowEdits),
            Just(Act::Deny),
            Just(Act::Cancel),
            "[a-c1-3, ]{0,4}".prop_map(Act::DenyWith),
            "[a-c1-3, ]{0,4}".prop_map(Act::Answer),
            "[a-c1-3, ]{0,4}".prop_map(Act::Words),
            (0_i64..3).prop_map(Act::AskWhy),
            (0_usize..3, 0_i64..3).prop_map(|(question, by)| Act::AskOwn { question, by }),
            (0_usize..3, 0_usize..5)
                .prop_map(|(question, option)| Act::Choose { question, option }),
            (0_usize..3).prop_map(|question| Act::Done { question }),
        ]
    }

    proptest! {
        /// Whatever is pressed in whatever order: what the agent is told names real options, and each answer is of its question.
        #[test]
        fn any_acts_lead_somewhere(acts in prop::collection::vec(acts(), 0..20)) {
            let question = two();
            let mut progress = Progress::default();
            for act in acts {
                let again = Progress::read(Some(&progress.to_json()));
                prop_assert_eq!(&again, &progress);
                match step(&question, &progress, act, 5) {
                    Step::UnderWay(next) => {
                        prop_assert!(next.given.len() < 2 && next.given.len() >= progress.given.len());
                        prop_assert!(next.ticked.iter().all(|at| *at < 3));
                        prop_assert!(next.ticked.is_sorted());
                        progress = next;
                    }
                    Step::Over(Answer::Allow { input, .. }, Outcome::Answered(told)) => {
                        prop_assert_eq!(told.len(), 2);
                        let input = input.unwrap();
                        for name in ["Which?", "And then?"] {
                            prop_assert!(!input["answers"][name].as_str().unwrap().is_empty());
                        }
                        break;
                    }
                    Step::Over(Answer::Deny { message, .. }, _) => {
                        prop_assert!(!message.is_empty());
                        break;
                    }
                    Step::Over(..) => return Err(TestCaseError::fail("a choice is not allowed")),
                    Step::Refused(_) => {}
                }
            }
        }
    }
}
