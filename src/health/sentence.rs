//! What is known of the daemon, as a sentence for an administrator. Pure.

use std::time::Duration;

use super::{Polling, Readiness, Trouble, conditions::Condition};

/// How it stands, in one line: "polling, 3 conversations, 1 turn running".
pub(super) fn sentence(now: &Readiness, conditions: &[Condition]) -> String {
    let mut line = polling(&now.polling);
    match (now.conversations, now.running) {
        (0, 0) => {
            if now.polling.trouble.is_none() {
                line.push_str(", idle");
            }
        }
        (conversations, running) => {
            line.push_str(if now.polling.trouble.is_some() {
                "; "
            } else {
                ", "
            });
            line.push_str(&format!(
                "{}, {} running",
                count(conversations as u64, "conversation"),
                count(running, "turn")
            ));
        }
    }
    for words in conditions
        .iter()
        .map(|condition| &condition.words)
        .filter(|words| !words.is_empty())
    {
        line.push_str("; ");
        line.push_str(words);
    }
    if let Some(reload) = &now.reload {
        line.push_str("; ");
        line.push_str(reload);
    }
    line
}

fn polling(polling: &Polling) -> String {
    let Some(trouble) = &polling.trouble else {
        return if polling.reached || polling.completed.is_some() {
            "polling".to_owned()
        } else {
            "connecting to Telegram".to_owned()
        };
    };
    let since = polling
        .failing
        .map(|since| format!(" for {}", span(since)))
        .unwrap_or_default();
    let mut line = match trouble {
        Trouble::Unreachable(why) => format!("Telegram unreachable{since}: {why}"),
        Trouble::Throttled => format!("Telegram asks to wait{since}"),
        Trouble::TokenRefused => format!(
            "Telegram refuses the bot token{since}: put a valid one of @BotFather's in its place"
        ),
        Trouble::Conflict => {
            format!("another program polls with this bot's token{since}: find and stop it")
        }
        Trouble::Refused(why) => format!("Telegram refuses to give updates{since}: {why}"),
        Trouble::Storage(why) => format!("cannot store what comes in{since}: {why}"),
        Trouble::NoProgress => {
            format!("Telegram repeats updates that cannot be confirmed{since}")
        }
    };
    if let Some(wait) = polling.next_try.filter(|wait| !wait.is_zero()) {
        line.push_str(&format!("; next try in {}", span(rounded(wait))));
    }
    line
}

/// Rounded up, the coarser the longer it is: what is said stays true for a while and need not be said anew each second.
fn rounded(wait: Duration) -> Duration {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let step = match seconds {
        0..=9 => 1,
        10..=59 => 2,
        _ => 60,
    };
    Duration::from_secs(seconds.div_ceil(step) * step)
}

fn count(n: u64, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

/// A length of time in its largest unit.
pub(super) fn span(length: Duration) -> String {
    match length.as_secs() {
        s @ 0..=59 => format!("{s} s"),
        s @ 60..=3599 => format!("{} min", s / 60),
        s @ 3600..=172_799 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::health::{
        Limits, Write,
        conditions::{Judge, Rules},
    };

    /// The sentence as it is judged.
    fn sentence(now: &Readiness) -> String {
        let rules = Rules {
            poll: s(70),
            watchdog: Limits::of(s(30)),
            answer: s(5),
            inbox: s(60),
            outbox: s(300),
            queue: s(1800),
            out_of_memory: 2,
            write: s(1),
            disk: 0,
        };
        super::sentence(now, &Judge::default().judge(0, now, &rules))
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn polls() -> Readiness {
        Readiness {
            polling: Polling {
                completed: Some(s(3)),
                ..Polling::default()
            },
            ready: true,
            ..Readiness::default()
        }
    }

    fn fails(trouble: Trouble) -> Readiness {
        Readiness {
            polling: Polling {
                reached: true,
                completed: Some(s(200)),
                failures: 7,
                failing: Some(s(150)),
                next_try: Some(Duration::from_millis(17_400)),
                trouble: Some(trouble),
                contested: false,
            },
            ready: true,
            ..Readiness::default()
        }
    }

    #[test]
    fn sentences() {
        for (now, wanted) in [
            (
                Readiness {
                    ready: true,
                    ..Readiness::default()
                },
                "connecting to Telegram, idle",
            ),
            (polls(), "polling, idle"),
            (
                Readiness {
                    polling: Polling {
                        reached: true,
                        ..Polling::default()
                    },
                    ready: true,
                    ..Readiness::default()
                },
                "polling, idle",
            ),
            (
                Readiness {
                    conversations: 3,
                    running: 1,
                    ..polls()
                },
                "polling, 3 conversations, 1 turn running",
            ),
            (
                Readiness {
                    conversations: 1,
                    ..polls()
                },
                "polling, 1 conversation, 0 turns running",
            ),
            (
                fails(Trouble::Unreachable("DNS".to_owned())),
                "Telegram unreachable for 2 min: DNS; next try in 18 s",
            ),
            (
                Readiness {
                    conversations: 2,
                    running: 2,
                    ..fails(Trouble::Throttled)
                },
                "Telegram asks to wait for 2 min; next try in 18 s; 2 conversations, 2 turns running",
            ),
            (
                Readiness {
                    oldest_in: Some(s(61)),
                    oldest_out: Some(s(7200)),
                    write: Some(Write {
                        took: Duration::from_millis(2340),
                        ago: s(0),
                    }),
                    reload: Some("restart to apply state.directory".to_owned()),
                    ..polls()
                },
                "polling, idle; a message has waited for 1 min to be acted on; something to send has waited for 2 h; \
                 the disk is slow (2.3 s for a write); restart to apply state.directory",
            ),
            (
                Readiness {
                    oldest_in: Some(s(60)),
                    oldest_out: Some(s(1)),
                    write: Some(Write {
                        took: s(1),
                        ago: s(0),
                    }),
                    ..polls()
                },
                "polling, idle",
            ),
        ] {
            assert_eq!(sentence(&now), wanted);
        }
        let token = sentence(&fails(Trouble::TokenRefused));
        assert!(token.contains("@BotFather"), "{token}");
        let conflict = sentence(&fails(Trouble::Conflict));
        assert!(conflict.contains("another program"), "{conflict}");
    }

    #[test]
    fn lengths_of_time() {
        for (seconds, wanted) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3600, "1 h"),
            (172_799, "47 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(span(s(seconds)), wanted);
        }
    }

    proptest! {
        /// A wait that is told is never shorter than it is, and not much longer.
        #[test]
        fn a_wait_is_rounded_up(ms in 1_u64..10_000_000) {
            let wait = Duration::from_millis(ms);
            let told = rounded(wait);
            prop_assert!(told >= wait);
            prop_assert!(told < wait + s(60));
        }
    }
}
