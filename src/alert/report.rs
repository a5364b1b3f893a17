//! What the administrators read.

use super::{
    journal::{Entry, Standing},
    scrub::scrub,
};
use crate::core::text;

/// Lines of the journal that are told.
const LINES: usize = 15;
/// Longest of them, in characters.
const LINE_CHARS: usize = 300;
/// All of them, in UTF-16 units; a message may have 4096.
const ALL_UNITS: usize = 3200;

/// How a service ended, as the service manager tells those that it starts because of it (`MONITOR_*` in
/// `systemd.exec(5)`); empty where it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// `MONITOR_SERVICE_RESULT`: `exit-code`, `signal`, …
    pub result: String,
    /// `MONITOR_EXIT_CODE`: `exited`, `killed`, `dumped`.
    pub code: String,
    /// `MONITOR_EXIT_STATUS`: a number, or a signal's name.
    pub status: String,
}

impl Failure {
    /// From this process' environment.
    #[must_use]
    pub fn of_process() -> Self {
        let of = |name: &str| std::env::var(name).unwrap_or_default();
        Self {
            result: of("MONITOR_SERVICE_RESULT"),
            code: of("MONITOR_EXIT_CODE"),
            status: of("MONITOR_EXIT_STATUS"),
        }
    }

    /// What happened, as the rest of a sentence that begins with the unit. `None`: nobody said.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        let status = &self.status;
        let exit = || match status.as_str() {
            "2" => "was started with a wrong command line (exit code 2)".to_owned(),
            "78" => "could not use its configuration (exit code 78)".to_owned(),
            "243" => "could not be given its credentials by systemd (exit code 243)".to_owned(),
            number if number.parse().is_ok_and(|n: u16| (200..=245).contains(&n)) => {
                format!("could not be started by systemd (exit code {number})")
            }
            number => format!("ended with exit code {number}"),
        };
        let died = || match (self.code.as_str(), status.as_str()) {
            (_, "ABRT") => "ended itself because of a fault (signal ABRT)".to_owned(),
            ("killed" | "dumped", signal) => format!("was ended by signal {signal}"),
            _ => exit(),
        };
        Some(match self.result.as_str() {
            "" | "success" => return None,
            "exit-code" => exit(),
            "signal" | "core-dump" => died(),
            "watchdog" => "did not answer any more and was ended by the watchdog".to_owned(),
            "timeout" => "took too long to start or to stop".to_owned(),
            "oom-kill" => "used more memory than it may and was ended".to_owned(),
            "start-limit-hit" => "failed too often in a short time".to_owned(),
            "resources" => {
                "could not be started: systemd lacks something that it needs for it".to_owned()
            }
            other => format!("failed: {other}"),
        })
    }
}

/// All that goes into the message.
pub struct Report<'a> {
    /// The unit.
    pub unit: &'a str,
    /// This machine.
    pub host: &'a str,
    /// How it failed.
    pub failure: &'a Failure,
    /// How it stands.
    pub standing: Standing,
    /// Its last lines, or why there are none.
    pub lines: &'a Result<Vec<Entry>, String>,
    /// Secrets whose text is known.
    pub known: &'a [&'a str],
}

impl Report<'_> {
    /// The message: at most 4096 UTF-16 units, without secrets.
    #[must_use]
    pub fn text(&self) -> String {
        let clip = |text: &str, most: usize| -> String { text.chars().take(most).collect() };
        let unit = clip(self.unit, 80);
        let on = match self.host {
            "" => String::new(),
            host => format!(" on {}", clip(host, 64)),
        };
        let what = self
            .failure
            .sentence()
            .map_or_else(|| "failed".to_owned(), |what| clip(&what, 150));
        let then = match self.standing {
            Standing::Restarting => " systemd starts it again by itself.",
            Standing::Down => " It is not started again by itself.",
            Standing::Up | Standing::Unknown => "",
        };
        let lines = match self.lines {
            Ok(lines) if lines.is_empty() => "Its journal says nothing.".to_owned(),
            Ok(lines) => format!("Its last words:\n{}", self.last(lines)),
            Err(cause) => format!("Its journal cannot be read: {}", clip(cause, 200)),
        };
        format!(
            "⚠️ {unit}{on} {what}.{then}\n\n{lines}\n\nMore: systemctl status {unit}\n\
             journalctl -x -u {unit}"
        )
    }

    /// As many of the last lines as there is room for.
    fn last(&self, entries: &[Entry]) -> String {
        let mut lines: Vec<String> = Vec::new();
        let mut units = 0;
        let all = entries.iter().rev().flat_map(|entry| {
            // Of a long entry, such as one with a backtrace, its beginning says most.
            let mut lines: Vec<&str> = entry.text.lines().take(3).collect();
            lines.reverse();
            lines
        });
        for line in all.filter(|line| !line.trim().is_empty()).take(LINES) {
            let clean = scrub(line.trim_end(), self.known);
            let mut clipped: String = clean
                .chars()
                .take(LINE_CHARS)
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            if clipped.len() < clean.len() {
                clipped.push('…');
            }
            units += text::units(&clipped) + 1;
            if units > ALL_UNITS {
                break;
            }
            lines.push(clipped);
        }
        lines.reverse();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(result: &str, code: &str, status: &str) -> Failure {
        Failure {
            result: result.to_owned(),
            code: code.to_owned(),
            status: status.to_owned(),
        }
    }

    fn text_of(lines: Result<Vec<&str>, String>, standing: Standing) -> String {
        let lines = lines.map(|lines| {
            let entry = |text: &str| Entry {
                text: text.to_owned(),
            };
            lines.into_iter().map(entry).collect()
        });
        Report {
            unit: "telexd.service",
            host: "box",
            failure: &failure("exit-code", "exited", "78"),
            standing,
            lines: &lines,
            known: &["hunter2"],
        }
        .text()
    }

    #[test]
    fn what_happened_is_said_in_words() {
        for (result, code, status, said) in [
            ("exit-code", "exited", "1", "ended with exit code 1"),
            (
                "exit-code",
                "exited",
                "203",
                "could not be started by systemd (exit code 203)",
            ),
            ("signal", "killed", "KILL", "was ended by signal KILL"),
            ("core-dump", "dumped", "SEGV", "was ended by signal SEGV"),
            (
                "signal",
                "killed",
                "ABRT",
                "ended itself because of a fault (signal ABRT)",
            ),
            (
                "start-limit-hit",
                "killed",
                "KILL",
                "failed too often in a short time",
            ),
            ("new-kind", "", "", "failed: new-kind"),
        ] {
            assert_eq!(
                failure(result, code, status).sentence().as_deref(),
                Some(said)
            );
        }
        assert_eq!(Failure::default().sentence(), None);
    }

    #[test]
    fn the_message() {
        let text = text_of(
            Ok(vec!["first", "second with hunter2\n\nthird"]),
            Standing::Down,
        );
        assert_eq!(
            text,
            "⚠️ telexd.service on box could not use its configuration (exit code 78). It is not started again by itself.\n\n\
             Its last words:\nfirst\nsecond with (secret)\nthird\n\nMore: systemctl status telexd.service\n\
             journalctl -x -u telexd.service"
        );
        let text = text_of(
            Err("journalctl took too long".to_owned()),
            Standing::Restarting,
        );
        assert!(
            text.contains("systemd starts it again by itself."),
            "{text}"
        );
        assert!(
            text.contains("cannot be read: journalctl took too long"),
            "{text}"
        );
    }

    #[test]
    fn it_fits_and_keeps_the_end() {
        let long = "\u{1f600}".repeat(500);
        let mut lines = vec![long.as_str(); 100];
        lines.push("the very last");
        let text = text_of(Ok(lines), Standing::Down);
        assert!(text::units(&text) <= 4096, "{}", text::units(&text));
        assert!(text.contains("\nthe very last\n"), "{text}");
        let many: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
        let text = text_of(
            Ok(many.iter().map(String::as_str).collect()),
            Standing::Down,
        );
        assert!(
            text.contains("line 99\n") && !text.contains("line 84\n"),
            "{text}"
        );
    }
}
