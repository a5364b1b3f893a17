//! The effective settings as TOML with comments, for people.

use std::fmt::Write as _;

use super::{inputs::Inputs, token::Source};
use crate::core::text::one_line;

/// Longest note, in characters.
const NOTE: usize = 1000;

/// Every key with its value and where it comes from, after `notes` of a line each. Is itself valid TOML, and never holds the token.
#[must_use]
pub fn show(inputs: &Inputs, notes: &[String], token: Option<&Source>) -> String {
    let mut text = String::from("# Effective settings of telexd, read from");
    for file in &inputs.files {
        // Writing to a String does not fail; neither below.
        let _ = write!(text, " {}", file.display());
    }
    text.push('\n');
    for note in notes {
        let _ = writeln!(text, "# {}", one_line(note, NOTE));
    }
    let mut section = "";
    for entry in inputs.merged.entries() {
        if entry.section != section {
            section = entry.section;
            let _ = writeln!(text, "\n[{section}]");
            if section == "telegram" {
                let source = token.map_or_else(
                    || "no file is set, and there is no systemd credential here".to_owned(),
                    ToString::to_string,
                );
                let _ = writeln!(text, "# token: {source}");
            }
        }
        let _ = match entry.value {
            Some((value, origin)) => writeln!(text, "{} = {value}  # {origin}", entry.name),
            None => writeln!(text, "# {} is not set", entry.name),
        };
    }
    text
}
