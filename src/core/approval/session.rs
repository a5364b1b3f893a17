//! What an agent proposes to allow for the rest of its session: what of that is offered to a person, and told to the agent
//! where they take it. Both come from here, so that nobody allows more than they have read.

use serde_json::Value;

use crate::core::{event::Question, text};

/// Most of them that are offered, and their UTF-16 units: who reads more?
const MOST: usize = 8;
const MOST_UNITS: usize = 500;

/// Something that is allowed for the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// What a rule covers: a tool, and with what.
    Use {
        /// Tool.
        tool: String,
        /// What it is limited to, as the agent writes it; `None`: any use.
        with: Option<String>,
    },
    /// The very command that is asked about.
    ThisCommand,
    /// A directory.
    Directory(String),
    /// Every change of a file.
    Edits,
}

/// What is offered for the session, as people read it and as the agent is told it; both empty where nothing is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offer {
    /// For people, on one line each.
    pub grants: Vec<Grant>,
    /// For the agent: its own proposals, to hold for this session.
    pub updates: Vec<Value>,
}

/// What may be offered of the agent's proposals.
///
/// With another destination than the session the agent would write them into a settings file of the project. Where rules
/// are proposed, a change of the whole permission mode that stands beside them is left out: who allows one command has
/// not allowed every edit. What is not understood, or too long to be read, is not offered.
#[must_use]
pub fn offer(question: &Question) -> Offer {
    let rules = question
        .suggestions
        .iter()
        .any(|s| kind(s) == Some("addRules"));
    let mut offer = Offer::default();
    for suggestion in &question.suggestions {
        if rules && kind(suggestion) == Some("setMode") {
            continue;
        }
        let Some(grants) = grants(suggestion, question) else {
            continue;
        };
        let Some(mut update) = suggestion.as_object().cloned() else {
            continue;
        };
        update.insert("destination".to_owned(), "session".into());
        offer.updates.push(Value::Object(update));
        for grant in grants {
            if !offer.grants.contains(&grant) {
                offer.grants.push(grant);
            }
        }
    }
    // A directory alone opens nothing that was asked for.
    let use_of_it = offer
        .grants
        .iter()
        .any(|g| !matches!(g, Grant::Directory(_)));
    if !use_of_it || offer.grants.len() > MOST || length(&offer.grants) > MOST_UNITS {
        return Offer::default();
    }
    offer
}

fn kind(suggestion: &Value) -> Option<&str> {
    suggestion.get("type").and_then(Value::as_str)
}

/// What a proposal would allow; `None` where it is not understood, or would allow what nobody is to allow by a press.
fn grants(suggestion: &Value, question: &Question) -> Option<Vec<Grant>> {
    match kind(suggestion)? {
        "addRules" => {
            if suggestion.get("behavior")?.as_str()? != "allow" {
                return None;
            }
            let rules = suggestion.get("rules")?.as_array()?;
            rules
                .iter()
                .map(|rule| {
                    let tool = rule.get("toolName")?.as_str()?;
                    let with = match rule.get("ruleContent") {
                        None | Some(Value::Null) => None,
                        Some(content) => Some(content.as_str()?),
                    };
                    let command = question.input.get("command").and_then(Value::as_str);
                    Some(match with {
                        Some(with) if Some(with) == command && tool == question.tool => {
                            Grant::ThisCommand
                        }
                        _ => Grant::Use {
                            tool: tool.to_owned(),
                            with: with.map(str::to_owned),
                        },
                    })
                })
                .collect()
        }
        "addDirectories" => {
            let place = question.place.as_ref().map(|p| p.directory.as_str());
            let directories = suggestion.get("directories")?.as_array()?;
            let mut grants = Vec::new();
            for directory in directories {
                let directory = directory.as_str()?;
                // That it works in is open to it already.
                if Some(directory) != place {
                    grants.push(Grant::Directory(directory.to_owned()));
                }
            }
            Some(grants)
        }
        "setMode" => {
            (suggestion.get("mode")?.as_str()? == "acceptEdits").then(|| vec![Grant::Edits])
        }
        _ => None,
    }
}

/// UTF-16 units of what is to be read of them.
fn length(grants: &[Grant]) -> usize {
    let of = |text: &str| text::units(&text::visible(text));
    grants
        .iter()
        .map(|grant| match grant {
            Grant::Use { tool, with } => of(tool) + with.as_deref().map_or(0, of),
            Grant::Directory(directory) => of(directory),
            Grant::ThisCommand | Grant::Edits => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::event::Place;

    fn of(suggestions: Value) -> Offer {
        offer(&Question {
            tool: "Bash".to_owned(),
            input: json!({"command": "touch x"}),
            suggestions: serde_json::from_value(suggestions).unwrap(),
            place: Some(Place {
                directory: "/w".to_owned(),
                moved: false,
            }),
            ..Question::default()
        })
    }

    fn rule(tool: &str, content: &str) -> Value {
        json!({"type": "addRules", "behavior": "allow", "destination": "localSettings",
            "rules": [{"toolName": tool, "ruleContent": content}]})
    }

    #[test]
    fn what_is_read_is_what_is_allowed() {
        let mode = json!({"type": "setMode", "mode": "acceptEdits", "destination": "session"});
        let directory = json!({"type": "addDirectories", "directories": ["/w", "/x"], "destination": "userSettings"});
        let found = of(json!([rule("Bash", "touch *"), directory, mode, 7]));
        assert_eq!(
            found.grants,
            [
                Grant::Use {
                    tool: "Bash".to_owned(),
                    with: Some("touch *".to_owned())
                },
                Grant::Directory("/x".to_owned())
            ]
        );
        assert_eq!(found.updates.len(), 2);
        assert!(found.updates.iter().all(|u| u["destination"] == "session"));
        assert_eq!(of(json!([mode])).grants, [Grant::Edits]);
        assert_eq!(
            of(json!([rule("Bash", "touch x")])).grants,
            [Grant::ThisCommand]
        );
        let any =
            json!([{"type": "addRules", "behavior": "allow", "rules": [{"toolName": "Bash"}]}]);
        assert_eq!(
            of(any).grants,
            [Grant::Use {
                tool: "Bash".to_owned(),
                with: None
            }]
        );
    }

    #[test]
    fn what_nobody_should_allow_by_a_press_is_not_offered() {
        let long = "x".repeat(MOST_UNITS);
        for odd in [
            json!([]),
            json!([{"type": "setMode", "mode": "bypassPermissions"}]),
            json!([{"type": "addRules", "behavior": "deny", "rules": [{"toolName": "Bash"}]}]),
            json!([{"type": "addRules", "behavior": "allow", "rules": [{"toolName": 1}]}]),
            json!([{"type": "addRules", "behavior": "allow", "rules": [{"toolName": "Bash", "ruleContent": []}]}]),
            json!([{"type": "addRules", "behavior": "allow"}]),
            json!([{"type": "addDirectories", "directories": ["/etc"]}]),
            json!([{"type": "replaceRules", "behavior": "allow", "rules": [{"toolName": "Bash"}]}]),
            json!([rule("Bash", &long)]),
            json!(
                (0..20)
                    .map(|n| rule("Bash", &n.to_string()))
                    .collect::<Vec<_>>()
            ),
            json!(["x", null, [], {}]),
        ] {
            assert_eq!(of(odd.clone()), Offer::default(), "{odd}");
        }
        // A long command that is allowed as it is can be read above.
        let question = Question {
            tool: "Bash".to_owned(),
            input: json!({"command": long}),
            suggestions: vec![rule("Bash", &long)],
            ..Question::default()
        };
        assert_eq!(offer(&question).grants, [Grant::ThisCommand]);
    }
}
