//! A load of minutes on the daemon as it is shipped, with the scripted agent on the loopback Bot API. It prints, it does not
//! judge, but that nothing may be lost: `cargo bench --bench load`.
//!
//! `TELEXD_LOAD_SECONDS`, `TELEXD_LOAD_RATE` and `TELEXD_LOAD_CONVERSATIONS` change how long, how much and of how many;
//! `TELEXD_LOAD_PACED_SECONDS` how long against a server that lets no more through than Telegram.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unused_imports,
    reason = "a measurement stops where it cannot go on; the world is shared with the tests"
)]

#[path = "../tests/daemon/load.rs"]
mod load;
#[path = "../tests/daemon/rig.rs"]
mod rig;
#[path = "../tests/shared/mod.rs"]
mod shared;
#[path = "../tests/daemon/support.rs"]
mod support;

use std::time::Duration;

use load::{Load, Report, Resident};

fn setting<T: std::str::FromStr<Err: std::fmt::Debug>>(name: &str, standard: T) -> T {
    let set = std::env::var(format!("TELEXD_LOAD_{name}"));
    set.map_or(standard, |text| text.parse().unwrap())
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let load = Load {
        conversations: setting("CONVERSATIONS", 1000),
        rate: setting("RATE", 100),
        lasts: Duration::from_secs(setting("SECONDS", 180)),
        pace: None,
        patience: Duration::from_secs(1800),
    };
    println!("| what | measured |\n|---|--:|");
    runtime.block_on(async {
        let report = load.run().await;
        print("no pace", &report);
        assert!(report.clean(), "lost or doubled");
        // What Telegram lets through is less than what comes, so this ends long after it.
        let paced = Load {
            lasts: Duration::from_secs(setting("PACED_SECONDS", 30)),
            pace: Some(30),
            ..load
        };
        let report = paced.run().await;
        print("30 messages per second let through", &report);
        assert!(report.clean(), "lost or doubled");
    });
}

fn print(how: &str, report: &Report) {
    let row = |what: &str, measured: String| println!("| {how}: {what} | {measured} |");
    row("messages", report.sent.to_string());
    row(
        "lost, doubled: prompts, answers",
        format!(
            "{}, {}; {}, {}",
            report.prompts_lost,
            report.prompts_doubled,
            report.answers_lost,
            report.answers_doubled
        ),
    );
    row(
        "all answered after",
        format!("{:.0} s", report.took.as_secs_f64()),
    );
    for (what, times) in [
        ("update to the line at the agent", &report.to_agent),
        ("update to the whole answer", &report.to_answer),
    ] {
        for percent in [50, 90, 99, 100] {
            let at = (times.len() * percent).div_ceil(100).saturating_sub(1);
            let name = match percent {
                100 => "longest".to_owned(),
                percent => format!("p{percent}"),
            };
            row(
                &format!("{what}, {name}"),
                times
                    .get(at)
                    .map_or_else(String::new, |ms| format!("{ms} ms")),
            );
        }
    }
    let most = report.memory.iter().map(|(_, now)| now.all).max();
    row(
        "resident before, at most, when all is answered",
        [
            report.memory_before.all,
            most.unwrap_or(0),
            report.memory_after.all,
        ]
        .map(mb)
        .join(", "),
    );
    row(
        "heap and stacks before and when all is answered",
        [report.memory_before.own, report.memory_after.own]
            .map(mb)
            .join(", "),
    );
    row(
        "heap and stacks, each tenth of the load",
        report
            .memory
            .chunks(report.memory.len().div_ceil(10).max(1))
            .filter_map(|tenth| tenth.last().map(|(_, now)| mb(now.own)))
            .collect::<Vec<_>>()
            .join(", "),
    );
    let lasted = report.memory.last().map_or(0.0, |(at, _)| *at);
    for (what, from) in [("", 0.0), (" in the second half", lasted / 2.0)] {
        let per_hour =
            |part: fn(&Resident) -> u64| format!("{:.1}", report.slope(from, part) * 3600.0 / 1e6);
        row(
            &format!("growth{what}, least squares: resident; heap and stacks"),
            format!(
                "{}; {} MB/hour",
                per_hour(|now| now.all),
                per_hour(|now| now.own)
            ),
        );
    }
    row("open files", report.files.to_string());
}

#[allow(clippy::cast_precision_loss, reason = "sizes for people")]
fn mb(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
