//! `telexctl restart`: graceful; agents go on.

use std::time::Duration;

use serde_json::json;
use tokio::time;

use crate::ctl::{
    Ctl,
    bus::{self, TELEXD},
    exit,
    failure::Failure,
};

/// How long its next life may take to come.
const BACK: Duration = Duration::from_secs(60);

pub(super) async fn run(ctl: &mut Ctl<'_>, no_wait: bool) -> Result<u8, Failure> {
    let bus = ctl.bus().await?;
    // Before the call, so that nothing is missed.
    let mut changes = bus.owner_changes().await?;
    let before = bus.owner(TELEXD.name).await?;
    let () = bus.telexd("Restart", &()).await?;
    if !no_wait {
        let back = async {
            while let Some(Ok(message)) = bus::next(&mut changes).await {
                let told: Result<(String, String, String), _> = message.body().deserialize();
                if let Ok((_, _, new)) = told
                    && !new.is_empty()
                    && Some(&new) != before.as_ref()
                {
                    return true;
                }
            }
            false
        };
        match time::timeout(BACK, back).await {
            Ok(true) => {}
            Ok(false) => {
                return Err(Failure::no_bus(
                    "the bus was lost while telexd restarted; telexctl status tells how it is",
                ));
            }
            Err(_) => {
                return Err(Failure::failed(
                    "telexd ended and has not come back: systemctl status telexd tells why",
                ));
            }
        }
    }
    let text = match (ctl.look.json, no_wait) {
        (true, _) => ctl.look.as_json(&json!({"outcome": "done"})),
        (false, true) => "It restarts.\n".to_owned(),
        (false, false) => "Restarted.\n".to_owned(),
    };
    ctl.say(&text)?;
    Ok(exit::OK)
}
