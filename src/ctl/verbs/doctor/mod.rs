//! `telexctl doctor`: looks over this machine. It changes nothing and contacts nobody; whether Telegram can be reached is
//! known from the daemon alone. Each finding that is not well has a remedy.

mod agent;
mod files;
mod machine;
mod service;

use serde::Serialize;

use crate::ctl::{
    Ctl,
    bus::{Bus, Where},
    exit,
    failure::Failure,
    look::{Look, Paint},
    text::{self, harmless},
};

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// Well.
    Ok,
    /// It could not be looked at.
    Unknown,
    /// It works, and may not for long, or not as meant.
    Warn,
    /// It does not work.
    Bad,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Ok,
            text: text.into(),
            remedy: None,
        }
    }

    fn new(
        check: &'static str,
        state: State,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            check,
            state,
            text: text.into(),
            remedy: Some(remedy.into()),
        }
    }
}

pub(super) async fn run(ctl: &mut Ctl<'_>) -> Result<u8, Failure> {
    match &ctl.place {
        Where::System => {}
        Where::Session => {
            return Err(Failure::usage(
                "doctor looks at the system's service; it has nothing to say about a session's",
            ));
        }
        Where::Host(host) => {
            return Err(Failure::usage(format!(
                "doctor looks at files of the machine that it runs on: ssh {host} telexctl doctor"
            )));
        }
    }
    let mut findings = Vec::new();
    let unit = match Bus::connect(&ctl.place, false).await {
        Ok(bus) => service::look(&bus, &mut findings).await,
        Err(failure) => {
            findings.push(Finding::new(
                "bus",
                State::Bad,
                failure.text,
                "systemctl start dbus",
            ));
            None
        }
    };
    let places = files::Places::default();
    files::installed(&places, &mut findings);
    files::token(&places, unit.as_ref(), &mut findings);
    let settings = machine::check(&mut findings).await;
    machine::state(&settings, &mut findings);
    machine::clock(&mut findings);
    agent::look(&places, &settings, &mut findings).await;
    let text = if ctl.look.json {
        ctl.look.as_json(&findings)
    } else {
        show(&ctl.look, &findings)
    };
    ctl.say(&text)?;
    let bad = findings.iter().any(|finding| finding.state == State::Bad);
    Ok(if bad { exit::FAILED } else { exit::OK })
}

const LABEL: usize = 8;

fn show(look: &Look, findings: &[Finding]) -> String {
    let mut all = String::new();
    let room = look.width.map(|width| width.saturating_sub(2 * LABEL));
    for finding in findings {
        let (word, paint) = match finding.state {
            State::Ok => ("ok", Paint::Good),
            State::Unknown => ("unknown", Paint::Dim),
            State::Warn => ("warning", Paint::Warn),
            State::Bad => ("WRONG", Paint::Bad),
        };
        let word = look.paint(paint, &text::fit(word, LABEL, false));
        let check = text::fit(finding.check, LABEL, false);
        let remedy = finding
            .remedy
            .iter()
            .flat_map(|remedy| wrapped(&format!("-> {remedy}"), room));
        for (index, line) in wrapped(&finding.text, room)
            .into_iter()
            .chain(remedy)
            .enumerate()
        {
            if index == 0 {
                all.push_str(&format!("{word}{check}{line}\n"));
            } else {
                all.push_str(&format!("{}{line}\n", " ".repeat(2 * LABEL)));
            }
        }
    }
    let count = |state| {
        findings
            .iter()
            .filter(|finding| finding.state == state)
            .count()
    };
    all.push_str(&match (count(State::Bad), count(State::Warn)) {
        (0, 0) => "Nothing is wrong.\n".to_owned(),
        (bad, warn) => format!("{bad} wrong, {warn} to be looked at.\n"),
    });
    all
}

/// Harmless, and broken between words where there is not room enough. Remedies are commands, so nothing is cut off.
fn wrapped(text: &str, room: Option<usize>) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in harmless(text).split(' ') {
        let last = lines.len() - 1;
        let fits =
            room.is_none_or(|room| text::width(&lines[last]) + 1 + text::width(word) <= room);
        if lines[last].is_empty() {
            lines[last].push_str(word);
        } else if fits {
            lines[last].push(' ');
            lines[last].push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_shown_whole() {
        let findings = [
            Finding::ok("service", "telexd.service is active"),
            Finding::new(
                "token",
                State::Bad,
                "there is no /etc/telexd/token\x1b[2J",
                "install -m 0600 /dev/stdin /etc/telexd/token",
            ),
        ];
        let look = Look {
            width: Some(50),
            ..Look::default()
        };
        assert_eq!(
            show(&look, &findings),
            "ok      service telexd.service is active\n\
             WRONG   token   there is no\n\
             \x20               /etc/telexd/token\\u{1b}[2J\n\
             \x20               -> install -m 0600 /dev/stdin\n\
             \x20               /etc/telexd/token\n\
             1 wrong, 0 to be looked at.\n"
        );
        assert!(show(&look, &findings[..1]).ends_with("Nothing is wrong.\n"));
    }
}
