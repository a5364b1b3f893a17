//! `telexctl status`: all on one screen.

use serde_json::{Value, json};

use super::{list, ps};
use crate::ctl::{
    Ctl,
    bus::Bus,
    exit,
    failure::Failure,
    look::{self, Look, Paint},
    text::{self, harmless},
    units,
    values::{self, Dict, Fields as _, Raw},
    when,
};

/// What was seen of the daemon at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Picture {
    health: Dict,
    /// The document; `None`: this daemon does not tell.
    report: Option<Value>,
    properties: Dict,
    /// `None`: this daemon does not tell.
    runs: Option<Vec<Dict>>,
    run_memory: Vec<Option<u64>>,
    daemon_memory: Option<u64>,
    agents_memory: Option<u64>,
}

pub(super) async fn run(ctl: &mut Ctl<'_>) -> Result<u8, Failure> {
    let bus = ctl.bus().await?;
    let picture = look_at(&bus).await?;
    let text = if ctl.look.json {
        ctl.look.as_json(&picture.to_json())
    } else {
        show(&ctl.look, &picture)
    };
    ctl.say(&text)?;
    Ok(if picture.well() {
        exit::OK
    } else {
        exit::FAILED
    })
}

/// Looks at the daemon and, for memory, at systemd.
pub(super) async fn look_at(bus: &Bus) -> Result<Picture, Failure> {
    let health: Raw = bus.telexd("Health", &()).await?;
    let properties = bus.state().await?;
    let told: Result<String, Failure> = bus.telexd("Report", &()).await;
    let report: Option<Value> = match told {
        Ok(document) => serde_json::from_str(&document).ok(),
        Err(failure) if failure.name.ends_with(".UnknownMethod") => None,
        Err(failure) => return Err(failure),
    };
    let runs = match list(bus, "ListRuns").await {
        Ok(runs) => Some(runs),
        Err(failure) if failure.name.ends_with(".UnknownMethod") => None,
        Err(failure) => return Err(failure),
    };
    let run_memory = match &runs {
        Some(runs) => ps::memory(bus, runs).await,
        None => Vec::new(),
    };
    // Where the daemon is no unit, it knows itself.
    let known = |of: &str| report.as_ref()?["memory"][of].as_u64();
    let (daemon, agents) = (known("daemon"), known("agents"));
    Ok(Picture {
        health: values::dict(health),
        report,
        properties,
        runs,
        run_memory,
        daemon_memory: units::memory(bus, units::DAEMON).await.or(daemon),
        agents_memory: units::memory(bus, units::AGENTS).await.or(agents),
    })
}

impl Picture {
    /// Whether somebody should look after it. A pause is meant.
    pub(super) fn well(&self) -> bool {
        match self.health.get("ok") {
            Some(ok) => ok == &Value::Bool(true),
            None => self.health.is("connected"),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut all = json!({
            "health": self.health,
            "properties": self.properties,
            "memory": {"telexd": self.daemon_memory, "agents": self.agents_memory},
        });
        if let Some(report) = &self.report {
            all["report"] = report.clone();
        }
        if let Some(runs) = &self.runs {
            all["runs"] = json!(runs);
        }
        all
    }

    /// As [`Picture::to_json`] without what changes by itself all the time: what one need not be told anew.
    pub(super) fn gist(&self) -> Value {
        let pick = |from: &Dict, names: &[&str]| -> Value {
            names
                .iter()
                .map(|name| from.get(*name).cloned().unwrap_or_default())
                .collect()
        };
        let runs = self.runs.iter().flatten();
        json!([
            pick(
                &self.health,
                &[
                    "ok",
                    "ready",
                    "connected",
                    "trouble",
                    "running",
                    "queued",
                    "processes",
                    "conversations",
                    "paused",
                    "reload"
                ]
            ),
            pick(
                &self.properties,
                &["Status", "Paused", "Reason", "QueueDepth", "RunningTurns"]
            ),
            runs.map(|run| pick(run, &["id", "status", "turn"]))
                .collect::<Value>(),
        ])
    }
}

/// The screen.
pub(super) fn show(look: &Look, picture: &Picture) -> String {
    let (health, properties) = (&picture.health, &picture.properties);
    let paused = properties.is("Paused") || health.is("paused");
    let (dot, paint) = match (picture.well(), paused) {
        (true, false) => ("●", Paint::Good),
        (true, true) => ("●", Paint::Warn),
        (false, _) => ("×", Paint::Bad),
    };
    let mut all = format!(
        "{} telexd {}\n",
        look.paint(paint, dot),
        cut(look, 9, properties.text("Version"))
    );
    let mut facts: Vec<(&str, String, Paint)> = vec![(
        "Status",
        harmless(health.text("summary")),
        if picture.well() {
            Paint::Plain
        } else {
            Paint::Bad
        },
    )];
    if paused {
        facts.push(("Paused", pause(look, properties), Paint::Warn));
    }
    facts.push(("Telegram", telegram(look, health), Paint::Plain));
    facts.push(("Queues", queues(health, properties), Paint::Plain));
    if let Some(started) = properties.moment("StartedAt") {
        let text = format!("{} ({} ago)", when::stamp(started), look.age(Some(started)));
        facts.push(("Started", text, Paint::Plain));
    }
    facts.push(("Memory", memory(picture), Paint::Plain));
    facts.push(("Database", database(health), Paint::Plain));
    if !health.text("reload").is_empty() {
        facts.push(("Reload", harmless(health.text("reload")), Paint::Warn));
    }
    all.push_str(&look::facts(look, &facts));
    if let Some(runs) = picture.runs.as_ref().filter(|runs| !runs.is_empty()) {
        all.push('\n');
        all.push_str(&ps::table(look, runs, &picture.run_memory));
    }
    all
}

fn cut(look: &Look, before: usize, words: &str) -> String {
    let words = harmless(words);
    match look.width {
        Some(width) => text::cut(&words, width.saturating_sub(before)),
        None => words,
    }
}

fn pause(look: &Look, properties: &Dict) -> String {
    let mut text = match properties.text("PausedBy") {
        "" => "messages wait".to_owned(),
        by => format!("by {}", harmless(by)),
    };
    if let Some(since) = properties.moment("PausedSince") {
        text.push_str(&format!(
            " since {} ({})",
            when::stamp(since),
            look.age(Some(since))
        ));
    }
    match properties.text("Reason") {
        "" => {}
        reason => text.push_str(&format!(": {}", harmless(reason))),
    }
    text
}

fn telegram(look: &Look, health: &Dict) -> String {
    let mut text = if health.is("connected") {
        "connected"
    } else {
        "not connected"
    }
    .to_owned();
    if let Some(poll) = health.moment("last_poll") {
        text.push_str(&format!(", last poll {} ago", look.age(Some(poll))));
    }
    if let Some(failures) = health.size("failures").filter(|n| *n > 0) {
        text.push_str(&format!(", {failures} failures in a row"));
    }
    text
}

fn queues(health: &Dict, properties: &Dict) -> String {
    let or = |name, property| health.size(name).or_else(|| properties.size(property));
    let mut parts = Vec::new();
    if let Some(n) = or("conversations", "Conversations") {
        parts.push(format!("{n} conversation{}", if n == 1 { "" } else { "s" }));
    }
    if let Some(n) = or("running", "RunningTurns") {
        parts.push(format!("{n} turn{} running", if n == 1 { "" } else { "s" }));
    }
    if let Some(n) = or("queued", "QueueDepth") {
        parts.push(format!("{n} waiting"));
    }
    if let Some(n) = or("processes", "Processes") {
        parts.push(format!("{n} process{}", if n == 1 { "" } else { "es" }));
    }
    for (name, what) in [
        ("oldest_in_ms", "oldest message"),
        ("oldest_out_ms", "oldest answer"),
    ] {
        if let Some(age) = health.size(name).filter(|ms| *ms >= 1000) {
            parts.push(format!(
                "{what} {}",
                when::span_us(age.saturating_mul(1000))
            ));
        }
    }
    parts.join(", ")
}

fn memory(picture: &Picture) -> String {
    let of = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), look::bytes);
    format!(
        "telexd {}, agents {}",
        of(picture.daemon_memory),
        of(picture.agents_memory)
    )
}

fn database(health: &Dict) -> String {
    let mut parts = Vec::new();
    if let Some(size) = health.size("database_bytes") {
        parts.push(look::bytes(size));
    }
    if let Some(us) = health.size("write_us") {
        parts.push(format!("last write {}.{} ms", us / 1000, us % 1000 / 100));
    }
    if parts.is_empty() {
        parts.push("not written yet".to_owned());
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dict(value: Value) -> Dict {
        value.as_object().cloned().unwrap()
    }

    fn picture(summary: &str, reason: &str, id: &str) -> Picture {
        Picture {
            health: dict(
                json!({"ok": true, "connected": true, "summary": summary, "last_poll": 997_000_000_u64,
                "conversations": 3, "running": 1, "queued": 2, "processes": 2, "oldest_in_ms": 4000, "write_us": 2140,
                "database_bytes": 1_250_000, "failures": 0}),
            ),
            report: None,
            properties: dict(
                json!({"Version": "0.1.0", "StartedAt": 0, "Paused": !reason.is_empty(), "Reason": reason, "PausedBy": "Uma"}),
            ),
            runs: Some(vec![dict(
                json!({"id": id, "conversation": 1, "status": "running", "started_at": 940_000_000_u64, "turn": 1}),
            )]),
            run_memory: vec![Some(1_000_000)],
            daemon_memory: Some(12_300_000),
            agents_memory: None,
        }
    }

    const AT: Look = Look {
        json: false,
        colour: false,
        width: Some(80),
        height: None,
        now: 1_000_000_000,
    };

    #[test]
    fn the_screen() {
        assert_eq!(
            show(
                &AT,
                &picture(
                    "polling, 3 conversations, 1 turn running",
                    "",
                    "abcdefgh23456777"
                )
            ),
            "● telexd 0.1.0\n  \
               Status: polling, 3 conversations, 1 turn running\n\
             Telegram: connected, last poll 3 s ago\n  \
               Queues: 3 conversations, 1 turn running, 2 waiting, 2 processes, oldest messa…\n  \
               Memory: telexd 12.3 MB, agents unknown\n\
             Database: 1.2 MB, last write 2.1 ms\n\
             \n\
             RUN               CONVERSATION  PERSON  STATUS   FOR    MEMORY\n\
             abcdefgh23456777             1  -       running  1 min  1.0 MB\n"
        );
    }

    #[test]
    fn a_pause_is_told_and_is_no_fault() {
        let paused = picture("paused", "maintenance\x1b[31m", "a");
        assert!(paused.well());
        let shown = show(&AT, &paused);
        assert!(
            shown.contains("Paused: by Uma: maintenance\\u{1b}[31m\n"),
            "{shown}"
        );
    }

    #[test]
    fn without_ok_the_connection_decides() {
        let mut picture = picture("x", "", "a");
        picture.health.remove("ok");
        assert!(picture.well());
        picture.health.insert("connected".to_owned(), false.into());
        assert!(!picture.well());
        assert!(show(&AT, &picture).starts_with("× telexd"));
    }

    #[test]
    fn the_gist_does_not_change_by_itself() {
        let before = picture("x", "", "a");
        let mut after = before.clone();
        after.health.insert("last_poll".to_owned(), 5.into());
        after.daemon_memory = Some(5);
        assert_eq!(before.gist(), after.gist());
        after.health.insert("queued".to_owned(), 3.into());
        assert_ne!(before.gist(), after.gist());
    }

    proptest! {
        #[test]
        fn it_fits_whatever_it_is_told(summary in any::<String>(), reason in any::<String>(), id in any::<String>(), width in 12usize..100) {
            let look = Look { width: Some(width), ..AT };
            let shown = show(&look, &picture(&summary, &reason, &id));
            for line in shown.lines() {
                prop_assert!(text::width(line) <= width, "{line:?}");
                prop_assert!(!line.chars().any(char::is_control));
            }
        }
    }
}
