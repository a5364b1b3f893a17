//! `telexctl reload`: the configuration files once more.

use serde_json::json;

use crate::ctl::{Ctl, exit, failure::Failure, text};

pub(super) async fn run(ctl: &mut Ctl<'_>) -> Result<u8, Failure> {
    let (outcome, restart_for): (String, Vec<String>) =
        ctl.bus().await?.telexd("Reload", &()).await?;
    let text = if ctl.look.json {
        ctl.look
            .as_json(&json!({"outcome": outcome, "restart_for": restart_for}))
    } else {
        show(&outcome, &restart_for)
    };
    ctl.say(&text)?;
    Ok(exit::OK)
}

fn show(outcome: &str, restart_for: &[String]) -> String {
    let mut text = match outcome {
        "no-change" => "Nothing in the configuration has changed.\n".to_owned(),
        _ => "The configuration was read again.\n".to_owned(),
    };
    if !restart_for.is_empty() {
        let keys = text::harmless(&restart_for.join(", "));
        text.push_str(&format!("After a restart (telexctl restart): {keys}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_is_named() {
        assert_eq!(
            show("no-change", &[]),
            "Nothing in the configuration has changed.\n"
        );
        assert_eq!(
            show(
                "after-restart",
                &["state.directory".to_owned(), "x\n".to_owned()]
            ),
            "The configuration was read again.\nAfter a restart (telexctl restart): state.directory, x\\n\n"
        );
    }
}
