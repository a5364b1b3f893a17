//! What a tool would do, for whoever is to decide about it. What cannot be seen in the agent's texts is escaped.

use serde_json::{Map, Value};

use super::diff::{PLACE, diff, signed};
use crate::core::{event::Question, text};

/// Most UTF-16 units of what a call is about.
pub(super) const ABOUT: usize = 300;

/// What a tool would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// File that it is about, on one line.
    pub about: Option<String>,
    /// The command, the change, or what else it is given; may be of any length.
    pub blocks: Vec<Block>,
    /// What is easily overlooked.
    pub notes: Vec<Note>,
}

/// A piece of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The text, as [`text::visible`] makes it.
    pub text: String,
    /// Its language, as Telegram knows it.
    pub language: &'static str,
}

/// What is easily overlooked about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Every place that looks the same is changed.
    EveryPlace,
    /// It runs on while the agent does something else.
    Background,
    /// It is to run outside of the agent's sandbox.
    WithoutSandbox,
    /// The file is left without content.
    Emptied,
    /// A cell is added to a notebook.
    NewCell,
    /// A cell is taken out of a notebook.
    CellDeleted,
}

/// What the tool of this question would do.
#[must_use]
pub fn detail(question: &Question) -> Detail {
    let known = question
        .input
        .as_object()
        .and_then(|input| Input::new(input).known(&question.tool));
    known.unwrap_or_else(|| Detail {
        blocks: as_json(&question.input).into_iter().collect(),
        ..Detail::default()
    })
}

/// A tool's input, and which of its fields have been told.
struct Input<'a> {
    fields: &'a Map<String, Value>,
    told: Vec<&'static str>,
    detail: Detail,
}

impl<'a> Input<'a> {
    fn new(fields: &'a Map<String, Value>) -> Self {
        Self {
            fields,
            told: Vec::new(),
            detail: Detail::default(),
        }
    }

    /// `None` where it is not what the tool is known to take: then it is shown as it is.
    fn known(mut self, tool: &str) -> Option<Detail> {
        match tool {
            "Bash" | "PowerShell" => self.command()?,
            "Edit" => {
                self.file("file_path")?;
                let change = self.change()?;
                self.block(change, "diff");
            }
            "MultiEdit" => self.changes()?,
            "Write" => {
                self.file("file_path")?;
                let content = self.text("content")?;
                if content.is_empty() {
                    self.note(Note::Emptied);
                }
                let mut all = String::new();
                signed(&mut all, '+', &unix(&[content]).remove(0));
                self.block(all, "diff");
            }
            "NotebookEdit" => self.notebook()?,
            // Any tool of another maker's that takes a command.
            _ if self.fields.get("command").is_some_and(Value::is_string) => self.command()?,
            _ => return None,
        }
        self.told.push("description");
        let rest: Map<String, Value> = self
            .fields
            .iter()
            .filter(|(name, _)| !self.told.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if !rest.is_empty() {
            self.detail.blocks.extend(as_json(&Value::Object(rest)));
        }
        Some(self.detail)
    }

    fn command(&mut self) -> Option<()> {
        let command = self.text("command")?;
        self.block(command.to_owned(), "bash");
        self.flag("run_in_background", Note::Background);
        self.flag("dangerouslyDisableSandbox", Note::WithoutSandbox);
        // How long it may take is not worth a line.
        if self.fields.get("timeout").is_some_and(Value::is_number) {
            self.told.push("timeout");
        }
        Some(())
    }

    fn changes(&mut self) -> Option<()> {
        self.file("file_path")?;
        self.told.push("edits");
        let edits = self.fields.get("edits")?.as_array()?;
        let mut all = String::new();
        for edit in edits {
            let mut edit = Input::new(edit.as_object()?);
            let change = edit.change()?;
            // What is not known of one of them makes the whole unknown.
            if edit
                .fields
                .keys()
                .any(|name| !edit.told.contains(&name.as_str()))
            {
                return None;
            }
            if !all.is_empty() && !change.starts_with(PLACE) {
                all.push_str(PLACE);
            }
            all.push_str(&change);
            for note in edit.detail.notes {
                self.note(note);
            }
        }
        self.block(all, "diff");
        Some(())
    }

    fn notebook(&mut self) -> Option<()> {
        self.file("notebook_path")?;
        let source = self.text("new_source")?;
        let mut all = String::new();
        match self.fields.get("edit_mode").and_then(Value::as_str) {
            Some("delete") => self.note(Note::CellDeleted),
            Some("insert") => {
                self.note(Note::NewCell);
                signed(&mut all, '+', &unix(&[source]).remove(0));
            }
            // What stood in the cell is not told.
            _ => signed(&mut all, '+', &unix(&[source]).remove(0)),
        }
        if matches!(
            self.fields.get("edit_mode").and_then(Value::as_str),
            None | Some("delete" | "insert" | "replace")
        ) {
            self.told.push("edit_mode");
        }
        if !all.is_empty() {
            self.block(all, "diff");
        }
        Some(())
    }

    /// From `old_string` to `new_string`.
    fn change(&mut self) -> Option<String> {
        let (old, new) = (self.text("old_string")?, self.text("new_string")?);
        self.flag("replace_all", Note::EveryPlace);
        let texts = unix(&[old, new]);
        Some(diff(&texts[0], &texts[1]))
    }

    fn file(&mut self, name: &'static str) -> Option<()> {
        let path = self.text(name)?;
        self.detail.about = Some(text::visible_line(path, ABOUT));
        Some(())
    }

    fn text(&mut self, name: &'static str) -> Option<&'a str> {
        self.told.push(name);
        self.fields.get(name)?.as_str()
    }

    /// A switch; what is neither on nor off is left to be shown as it is.
    fn flag(&mut self, name: &'static str, note: Note) {
        match self.fields.get(name) {
            Some(Value::Bool(on)) => {
                self.told.push(name);
                if *on {
                    self.note(note);
                }
            }
            Some(_) => {}
            None => self.told.push(name),
        }
    }

    fn note(&mut self, note: Note) {
        if !self.detail.notes.contains(&note) {
            self.detail.notes.push(note);
        }
    }

    fn block(&mut self, code: String, language: &'static str) {
        if !code.trim().is_empty() {
            self.detail.blocks.push(Block {
                text: text::visible(code.trim_end_matches('\n')),
                language,
            });
        }
    }
}

/// Texts whose line ends are all those of Windows, with plain ones; else as they are, so that what is mixed is seen.
fn unix(texts: &[&str]) -> Vec<String> {
    let plain = |text: &str| text.matches('\n').count() == text.matches("\r\n").count();
    if texts.iter().all(|text| plain(text)) {
        texts
            .iter()
            .map(|text| text.replace("\r\n", "\n"))
            .collect()
    } else {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }
}

fn as_json(value: &Value) -> Option<Block> {
    let empty = match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    // A value that came from JSON always goes back to it.
    let json = serde_json::to_string_pretty(value).unwrap_or_default();
    (!empty).then(|| Block {
        text: text::visible(&json),
        language: "json",
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(tool: &str, input: Value) -> Detail {
        detail(&Question {
            tool: tool.to_owned(),
            input,
            ..Question::default()
        })
    }

    fn blocks(detail: &Detail) -> Vec<(&str, &str)> {
        detail
            .blocks
            .iter()
            .map(|block| (block.language, block.text.as_str()))
            .collect()
    }

    #[test]
    fn a_command_is_shown_as_it_is_and_what_hangs_on_it() {
        let plain = of("Bash", json!({"command": "ls -l", "description": "List"}));
        assert_eq!(blocks(&plain), [("bash", "ls -l")]);
        assert!(plain.notes.is_empty() && plain.about.is_none());
        let odd = of(
            "Bash",
            json!({"command": "x \u{202e}y\n", "run_in_background": true, "dangerouslyDisableSandbox": true, "timeout": 5, "new": [1]}),
        );
        assert_eq!(
            blocks(&odd),
            [
                ("bash", "x \\u{202e}y"),
                ("json", "{\n  \"new\": [\n    1\n  ]\n}")
            ]
        );
        assert_eq!(odd.notes, [Note::Background, Note::WithoutSandbox]);
        // A switch that is none is not hidden.
        let odd = of(
            "Bash",
            json!({"command": "x", "dangerouslyDisableSandbox": "yes"}),
        );
        assert_eq!(odd.blocks.len(), 2);
    }

    #[test]
    fn changes_of_files_are_shown_as_such() {
        let edit = of(
            "Edit",
            json!({"file_path": "/w/a.rs", "old_string": "let a = 1;", "new_string": "let a = 2;", "replace_all": true}),
        );
        assert_eq!(edit.about.as_deref(), Some("/w/a.rs"));
        assert_eq!(blocks(&edit), [("diff", "-let a = 1;\n+let a = 2;")]);
        assert_eq!(edit.notes, [Note::EveryPlace]);
        let several = of(
            "MultiEdit",
            json!({"file_path": "/w/a", "edits": [
                {"old_string": "a", "new_string": "b"},
                {"old_string": "c\r\nd", "new_string": "c\r\ne", "replace_all": false},
            ]}),
        );
        assert_eq!(blocks(&several), [("diff", "-a\n+b\n@@\n c\n-d\n+e")]);
        let write = of(
            "Write",
            json!({"file_path": "/w/x\u{200b}", "content": "one\n\ntwo\r\n"}),
        );
        assert_eq!(write.about.as_deref(), Some("/w/x\\u{200b}"));
        assert_eq!(blocks(&write), [("diff", "+one\n+\n+two\\r")]);
        let emptied = of("Write", json!({"file_path": "/w/x", "content": ""}));
        assert_eq!(
            (blocks(&emptied).len(), &emptied.notes[..]),
            (0, &[Note::Emptied][..])
        );
        let cell = of(
            "NotebookEdit",
            json!({"notebook_path": "/w/n.ipynb", "cell_id": "c1", "new_source": "x = 1", "edit_mode": "insert"}),
        );
        assert_eq!(
            blocks(&cell),
            [("diff", "+x = 1"), ("json", "{\n  \"cell_id\": \"c1\"\n}")]
        );
        assert_eq!(cell.notes, [Note::NewCell]);
    }

    #[test]
    fn what_is_not_known_is_shown_as_it_came() {
        for (tool, input) in [
            (
                "Edit",
                json!({"file_path": "/w/a", "old_string": 1, "new_string": "b"}),
            ),
            ("Write", json!({"file_path": ["/w/a"], "content": "x"})),
            (
                "MultiEdit",
                json!({"file_path": "/w/a", "edits": [{"old_string": "a", "new_string": "b", "odd": 1}]}),
            ),
            ("MultiEdit", json!({"file_path": "/w/a", "edits": "x"})),
            ("Bash", json!({"command": ["ls"]})),
            ("mcp__x__y", json!({"a": "\u{202e}"})),
        ] {
            let shown = of(tool, input.clone());
            assert_eq!(shown.blocks.len(), 1, "{tool} {input}");
            assert_eq!(shown.blocks[0].language, "json");
            assert!(!shown.blocks[0].text.contains(text::deceives));
        }
        for nothing in [json!(null), json!({})] {
            assert_eq!(of("Task", nothing), Detail::default());
        }
        assert_eq!(
            blocks(&of("mcp__x__run", json!({"command": "ls"}))),
            [("bash", "ls")]
        );
    }

    proptest! {
        #[test]
        fn nothing_deceives(
            tool in prop::sample::select(vec!["Bash", "Edit", "Write", "MultiEdit", "NotebookEdit", "Task"]),
            texts in prop::collection::vec("(\\PC|[\u{202e}\u{200b}\r\n\t]){0,30}", 5),
        ) {
            let input = json!({
                "command": texts[0], "file_path": texts[1], "notebook_path": texts[1], "old_string": texts[2],
                "new_string": texts[3], "content": texts[4], "new_source": texts[4],
                "edits": [{"old_string": texts[2], "new_string": texts[3]}],
            });
            let shown = of(tool, input);
            for block in &shown.blocks {
                prop_assert!(!block.text.contains(text::deceives));
            }
            prop_assert!(!shown.about.unwrap_or_default().contains(text::deceives));
        }
    }
}
