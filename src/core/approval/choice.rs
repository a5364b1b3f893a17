//! Questions that want a choice, or words: what the agent asks and what it is told.

use serde_json::{Map, Value};

/// Most questions at once, and most options of one: the agent keeps to four of each, other agents may not.
const MOST_QUESTIONS: usize = 10;
const MOST_OPTIONS: usize = 90;

/// Between several options that are chosen: so the agent's own surface joins them.
const BETWEEN: &str = ", ";

/// Questions that are asked together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The questions, in order; at least one.
    pub questions: Vec<Asked>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The question; no other one reads the same.
    pub question: String,
    /// A word or two for what it is about; may be empty.
    pub header: String,
    /// Whether several options may be chosen.
    pub several: bool,
    /// What can be chosen; where nothing can, words are wanted.
    pub options: Vec<Choosable>,
}

/// What can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choosable {
    /// A few words; no other one of the question reads the same.
    pub label: String,
    /// What it means; may be empty.
    pub description: String,
}

impl Choice {
    /// Reads a tool's input; `None` where it is not what such a tool is known to take.
    #[must_use]
    pub fn read(input: &Value) -> Option<Self> {
        let list = input.get("questions")?.as_array()?;
        if list.is_empty() || list.len() > MOST_QUESTIONS {
            return None;
        }
        let mut questions: Vec<Asked> = Vec::new();
        for one in list {
            let asked = Asked::read(one)?;
            if questions.iter().any(|q| q.question == asked.question) {
                return None;
            }
            questions.push(asked);
        }
        Some(Self { questions })
    }

    /// The tool's input with the answers in it, one for each question.
    #[must_use]
    pub fn answered(&self, input: &Value, given: &[Given]) -> Value {
        let answers: Map<String, Value> = self
            .questions
            .iter()
            .zip(given)
            .map(|(asked, given)| (asked.question.clone(), given.told(asked).into()))
            .collect();
        let mut input = input.clone();
        if let Some(fields) = input.as_object_mut() {
            fields.insert("answers".to_owned(), answers.into());
        }
        input
    }
}

impl Asked {
    fn read(value: &Value) -> Option<Self> {
        let question = words(value, "question")?;
        let mut options: Vec<Choosable> = Vec::new();
        let list = match value.get("options") {
            None | Some(Value::Null) => &Vec::new(),
            Some(list) => list.as_array()?,
        };
        if list.len() > MOST_OPTIONS {
            return None;
        }
        for option in list {
            let label = words(option, "label")?;
            if options.iter().any(|o| o.label == label) {
                return None;
            }
            options.push(Choosable {
                label,
                description: optional(option, "description")?,
            });
        }
        Some(Self {
            question,
            header: optional(value, "header")?,
            several: match value.get("multiSelect") {
                None | Some(Value::Null) => false,
                Some(several) => several.as_bool()?,
            },
            options,
        })
    }

    /// The question in a word or two.
    #[must_use]
    pub fn short(&self) -> &str {
        if self.header.trim().is_empty() {
            &self.question
        } else {
            &self.header
        }
    }

    /// What a person means who writes instead of pressing: options, by number from 1 or by what they say, or words of
    /// their own.
    #[must_use]
    pub fn meant(&self, text: &str) -> Given {
        let text = text.trim();
        let option = |part: &str| {
            let by_label = |o: &Choosable| o.label.trim().to_lowercase() == part.to_lowercase();
            let number = part.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
            let at = self.options.iter().position(by_label);
            at.or(number.filter(|n| *n < self.options.len()))
        };
        if let Some(only) = option(text) {
            return Given::Options(vec![only]);
        }
        let all: Option<Vec<usize>> = text.split(',').map(|part| option(part.trim())).collect();
        match all {
            Some(mut all) if self.several => {
                all.sort_unstable();
                all.dedup();
                Given::Options(all)
            }
            _ => Given::Own {
                text: text.to_owned(),
                beside: Vec::new(),
            },
        }
    }
}

fn words(value: &Value, name: &str) -> Option<String> {
    let text = value.get(name)?.as_str()?;
    (!text.trim().is_empty()).then(|| text.to_owned())
}

fn optional(value: &Value, name: &str) -> Option<String> {
    match value.get(name) {
        None | Some(Value::Null) => Some(String::new()),
        Some(text) => text.as_str().map(str::to_owned),
    }
}

/// What was answered to one question.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// Options, by their places from 0, in order.
    Options(Vec<usize>),
    /// Words of the person's own.
    Own {
        /// The words.
        text: String,
        /// Options that were chosen beside.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        beside: Vec<usize>,
    },
}

impl Given {
    /// As the agent is told it, and the person.
    #[must_use]
    pub fn told(&self, asked: &Asked) -> String {
        let (options, own) = match self {
            Self::Options(options) => (options, None),
            Self::Own { text, beside } => (beside, Some(text.as_str())),
        };
        let labels = options.iter().filter_map(|at| asked.options.get(*at));
        let mut told: Vec<&str> = labels.map(|option| option.label.as_str()).collect();
        told.extend(own);
        told.join(BETWEEN)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn colours(several: bool) -> Value {
        json!({"questions": [{"question": "Which color?", "header": "Color", "multiSelect": several, "options": [
            {"label": "Red", "description": "r"}, {"label": "Blue", "description": "b"}, {"label": "2", "description": ""},
        ]}]})
    }

    fn own(text: &str) -> Given {
        Given::Own {
            text: text.to_owned(),
            beside: Vec::new(),
        }
    }

    #[test]
    fn what_is_answered_stands_in_the_input() {
        let input = colours(true);
        let choice = Choice::read(&input).unwrap();
        for (given, told) in [
            (Given::Options(vec![1]), "Blue"),
            (Given::Options(vec![0, 1]), "Red, Blue"),
            (own("neither"), "neither"),
            (
                Given::Own {
                    text: "and green".to_owned(),
                    beside: vec![0],
                },
                "Red, and green",
            ),
            (Given::Options(vec![7]), ""),
        ] {
            let answered = choice.answered(&input, &[given]);
            assert_eq!(answered["answers"], json!({"Which color?": told}));
            assert_eq!(answered["questions"], input["questions"]);
        }
    }

    #[test]
    fn what_is_written_may_be_an_option() {
        let one = &Choice::read(&colours(false)).unwrap().questions[0];
        let several = &Choice::read(&colours(true)).unwrap().questions[0];
        for (text, single, many) in [
            ("1", Given::Options(vec![0]), Given::Options(vec![0])),
            // What an option says goes before its number.
            ("2", Given::Options(vec![2]), Given::Options(vec![2])),
            (" blue ", Given::Options(vec![1]), Given::Options(vec![1])),
            ("3, red,3", own("3, red,3"), Given::Options(vec![0, 2])),
            ("0", own("0"), own("0")),
            ("4", own("4"), own("4")),
            ("red, green", own("red, green"), own("red, green")),
        ] {
            assert_eq!(one.meant(text), single, "{text}");
            assert_eq!(several.meant(text), many, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_not_taken_for_a_choice() {
        let option = |label: &str| json!({"label": label, "description": "d"});
        let with = |options: Value| json!({"questions": [{"question": "Q?", "options": options}]});
        let many = |n: usize| (0..n).map(|n| option(&n.to_string())).collect::<Vec<_>>();
        for odd in [
            json!(null),
            json!({}),
            json!({"questions": []}),
            json!({"questions": "x"}),
            json!({"questions": [7]}),
            json!({"questions": [{"question": " ", "options": []}]}),
            json!({"questions": [{"question": "Q?", "multiSelect": "yes"}]}),
            json!({"questions": [{"question": "Q?"}, {"question": "Q?"}]}),
            json!({"questions": (0..11).map(|n| json!({"question": n.to_string()})).collect::<Vec<_>>()}),
            with(json!("x")),
            with(json!([{"description": "d"}])),
            with(json!([{"label": 1}])),
            with(json!([option("A"), option("A")])),
            with(json!([{"label": "A", "description": 1}])),
            with(many(91).into()),
        ] {
            assert_eq!(Choice::read(&odd), None, "{odd}");
        }
        let fifty = Choice::read(&with(many(50).into())).unwrap();
        assert_eq!(fifty.questions[0].options.len(), 50);
        let words_alone = Choice::read(&json!({"questions": [{"question": "Why?"}]})).unwrap();
        assert!(words_alone.questions[0].options.is_empty());
        assert_eq!(words_alone.questions[0].short(), "Why?");
    }

    proptest! {
        #[test]
        fn any_text_means_something(text in any::<String>(), several: bool) {
            let asked = &Choice::read(&colours(several)).unwrap().questions[0];
            match asked.meant(&text) {
                Given::Options(options) => {
                    prop_assert!(!options.is_empty() && options.iter().all(|at| *at < 3));
                    prop_assert!(several || options.len() == 1);
                }
                Given::Own { text: own, .. } => prop_assert_eq!(own, text.trim()),
            }
        }
    }
}
