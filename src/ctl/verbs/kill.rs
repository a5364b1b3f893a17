//! `telexctl kill` and `telexctl killall`.

use std::io::BufRead as _;

use serde_json::json;

use super::list;
use crate::ctl::{Ctl, exit, failure::Failure, text};

/// Ends these runs. Goes on after one that failed; the exit code is that of the last that did.
pub(super) async fn some(ctl: &mut Ctl<'_>, runs: &[String]) -> Result<u8, Failure> {
    let bus = ctl.bus().await?;
    let mut last = None;
    let mut answers = Vec::new();
    for run in runs {
        match bus.telexd::<_, String>("Kill", &(run,)).await {
            Ok(outcome) => {
                if !ctl.look.json {
                    let sentence = match &*outcome {
                        "no-change" => "had ended already",
                        _ => "was ended",
                    };
                    ctl.say(&format!("Run {} {sentence}.\n", text::harmless(run)))?;
                }
                answers.push(json!({"run": run, "outcome": outcome}));
            }
            Err(failure) if failure.is_away() || runs.len() == 1 => return Err(failure),
            Err(failure) => {
                if !ctl.look.json {
                    ctl.say(&format!(
                        "Run {}: {}\n",
                        text::harmless(run),
                        text::harmless(&failure.text)
                    ))?;
                }
                answers.push(json!({"run": run, "error": failure.name, "message": failure.text}));
                last = Some(failure.code);
            }
        }
    }
    if ctl.look.json {
        let text = ctl.look.as_json(&answers);
        ctl.say(&text)?;
    }
    Ok(last.unwrap_or(exit::OK))
}

/// Ends all.
pub(super) async fn all(ctl: &mut Ctl<'_>, yes: bool) -> Result<u8, Failure> {
    let bus = ctl.bus().await?;
    if ctl.interactive && !yes && !ctl.look.json {
        let there = list(&bus, "ListRuns").await?.len();
        ctl.say(&format!(
            "End {there} run{}? [y/N] ",
            if there == 1 { "" } else { "s" }
        ))?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            ctl.say("Nothing was done.\n")?;
            return Ok(exit::FAILED);
        }
    }
    let count: u32 = bus.telexd("KillAll", &()).await?;
    let text = if ctl.look.json {
        ctl.look.as_json(&json!({"count": count}))
    } else {
        match count {
            0 => "No agent ran.\n".to_owned(),
            1 => "1 run was ended.\n".to_owned(),
            n => format!("{n} runs were ended.\n"),
        }
    };
    ctl.say(&text)?;
    Ok(exit::OK)
}
