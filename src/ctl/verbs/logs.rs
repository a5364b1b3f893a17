//! `telexctl logs`: journalctl with the right matches, in our place.

use std::{os::unix::process::CommandExt as _, process::Command};

use super::list;
use crate::{
    core::ids::RunId,
    ctl::{Ctl, args::Logs, bus::Where, failure::Failure, text, units, values::Fields as _},
};

pub(super) async fn run(ctl: &mut Ctl<'_>, logs: &Logs) -> Result<u8, Failure> {
    let run = match &logs.run {
        Some(run) if RunId::parse(run).is_some() => Some(run.clone()),
        Some(prefix) => Some(whole(ctl, prefix).await?),
        None => None,
    };
    let words = words(logs, run.as_deref(), ctl.look.json);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = match &ctl.place {
        Where::Host(host) => {
            let mut command = Command::new("ssh");
            // With a terminal, so that the other journalctl ends with Ctrl-C here.
            command.args(host.ssh(ctl.interactive, &[&["journalctl"], &*words].concat()));
            command
        }
        _ => {
            let mut command = Command::new("journalctl");
            command.args(words);
            command
        }
    };
    // Only returns where it could not.
    let error = command.exec();
    let program = command.get_program().to_string_lossy().into_owned();
    Err(Failure::failed(format!(
        "{program} cannot be started: {error}"
    )))
}

/// The run whose id begins so. Only those that are alive are known.
async fn whole(ctl: &Ctl<'_>, prefix: &str) -> Result<String, Failure> {
    let runs = match list(&ctl.bus().await?, "ListRuns").await {
        // An older daemon.
        Err(failure) if failure.name.ends_with(".UnknownMethod") => Vec::new(),
        runs => runs?,
    };
    let ids: Vec<&str> = runs.iter().map(|run| run.text("id")).collect();
    pick(&ids, prefix)
}

fn pick(ids: &[&str], prefix: &str) -> Result<String, Failure> {
    let fitting: Vec<&&str> = ids.iter().filter(|id| id.starts_with(prefix)).collect();
    match &fitting[..] {
        // It becomes an argument, so it is what an id is, whoever answered.
        [one] if RunId::parse(one).is_some() => Ok((**one).to_owned()),
        [] | [_] => Err(Failure::of_error(
            "org.telexd1.Error.NoSuchRun",
            &format!(
                "no run that is alive begins with {}; of one that has ended, give the whole id",
                text::harmless(prefix)
            ),
        )),
        several => Err(Failure::of_error(
            "org.telexd1.Error.Ambiguous",
            &format!(
                "{} runs begin with {}; give more of the id",
                several.len(),
                text::harmless(prefix)
            ),
        )),
    }
}

/// What journalctl is called with.
fn words(logs: &Logs, run: Option<&str>, json: bool) -> Vec<String> {
    let mut words = Vec::new();
    if logs.follow {
        words.push("--follow".to_owned());
    } else {
        // journalctl opens a pager only on a terminal; at the end, where the news is.
        words.push("--pager-end".to_owned());
    }
    if let Some(lines) = logs.lines {
        words.push(format!("--lines={lines}"));
    }
    if let Some(priority) = &logs.priority {
        words.push(format!("--priority={priority}"));
    }
    if let Some(since) = &logs.since {
        words.push(format!("--since={since}"));
    }
    if logs.catalog {
        words.push("--catalog".to_owned());
    }
    if json {
        words.push("--output=json".to_owned());
    }
    if let Some(run) = run {
        words.push(format!("TELEXD_RUN={run}"));
    }
    if let Some(conversation) = logs.conversation {
        words.push(format!("TELEXD_CONVERSATION={conversation}"));
    }
    if run.is_none() && logs.conversation.is_none() {
        words.push(format!("--unit={}", units::DAEMON));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs() -> Logs {
        Logs {
            follow: false,
            lines: None,
            run: None,
            conversation: None,
            priority: None,
            since: None,
            catalog: false,
        }
    }

    #[test]
    fn matches() {
        assert_eq!(
            words(&logs(), None, false),
            ["--pager-end", "--unit=telexd.service"]
        );
        let all = Logs {
            follow: true,
            lines: Some(5),
            conversation: Some(3),
            priority: Some("warning".to_owned()),
            since: Some("1 hour ago".to_owned()),
            catalog: true,
            ..logs()
        };
        assert_eq!(
            words(&all, Some("abcdefgh23456777"), true),
            [
                "--follow",
                "--lines=5",
                "--priority=warning",
                "--since=1 hour ago",
                "--catalog",
                "--output=json",
                "TELEXD_RUN=abcdefgh23456777",
                "TELEXD_CONVERSATION=3"
            ]
        );
    }

    #[test]
    fn a_prefix_must_fit_one_run() {
        let ids = ["abcdefgh23456777", "abcdxxxx23456777", "-oevil"];
        assert_eq!(pick(&ids, "abcde").unwrap(), "abcdefgh23456777");
        for (prefix, kind) in [
            ("abcd", "Ambiguous"),
            ("zz", "NoSuchRun"),
            ("-o", "NoSuchRun"),
        ] {
            let failure = pick(&ids, prefix).unwrap_err();
            assert!(
                failure.name.ends_with(kind) && failure.code == 5,
                "{failure:?}"
            );
        }
    }
}
