//! What administrators are told without having asked. Each line says what, since when, how bad, and what to do.

use tr::tr;

use super::span;
use crate::core::{
    Millis,
    alerts::{Alert, Figures, Line, Local},
};

/// One message: what is over first, then what lasts. `local`: what the clock on the wall shows at a moment; `now`: the
/// moment of writing.
#[must_use]
pub fn message(lines: &[Line], now: Millis, local: &dyn Fn(Millis) -> Local) -> String {
    let today = local(now);
    let when = |at: Millis| stamp(local(at), today);
    let told: Vec<String> = lines
        .iter()
        .map(|line| match line {
            Line::Begins {
                alert,
                since,
                figures,
            } => begins(*alert, &when(*since), figures),
            Line::Over {
                alert,
                since,
                until,
            } => over(*alert, &when(*since), &span(until - since)),
            Line::Was {
                alert,
                since,
                until,
                times,
            } => was(*alert, &when(*since), &when(*until), *times),
        })
        .collect();
    told.join("\n\n")
}

/// A time of today, or of another day with its date.
fn stamp(at: Local, today: Local) -> String {
    let time = format!("{:02}:{:02}", at.minute / 60, at.minute % 60);
    if (at.month, at.day) == (today.month, today.day) {
        return time;
    }
    let (month, day) = (month(at.month), at.day);
    tr!("{month} {day}, {time}", month, day, time)
}

/// Short name of a month, 1 to 12.
fn month(number: u8) -> String {
    match number {
        1 => tr!("Jan"),
        2 => tr!("Feb"),
        3 => tr!("Mar"),
        4 => tr!("Apr"),
        5 => tr!("May"),
        6 => tr!("Jun"),
        7 => tr!("Jul"),
        8 => tr!("Aug"),
        9 => tr!("Sep"),
        10 => tr!("Oct"),
        11 => tr!("Nov"),
        12 => tr!("Dec"),
        other => other.to_string(),
    }
}

/// It has begun.
fn begins(alert: Alert, since: &str, figures: &Figures) -> String {
    let about = figures.about.as_deref();
    let what = match alert {
        Alert::Crash => tr!(
            "I was restarted after a crash. Whatever was running goes on. (Started again at {since}.)\n\
             The reason stands in the server's journal: journalctl -u telexd -p warning",
            since
        ),
        Alert::Watchdog => {
            let about = about.map(|about| format!(": {about}")).unwrap_or_default();
            tr!(
                "I stood still{about}, so I was stopped, and started again at {since}. Whatever was running goes on.\n\
                 If this happens again, look for a disk or a machine that is too busy: journalctl -u telexd -p warning",
                about,
                since
            )
        }
        Alert::CrashLoop => tr!(
            "I keep crashing: {} within half an hour, most recently just before {since}. Each time I am started again, \
             until systemd gives up; agents go on meanwhile.\n\
             The reason stands in the server's journal: journalctl -u telexd -p warning",
            crashes(figures.value),
            since
        ),
        Alert::Conflict => tr!(
            "Since {since} another program has been polling with this bot's token: only one of the two gets a message, and it \
             may be the other.\n\
             Find and stop it: a second telexd, a test, a script on another machine. If you do not know it, have @BotFather \
             revoke the token.",
            since
        ),
        // Never told while it lasts.
        Alert::Unauthorized => tr!(
            "Since {since} Telegram has not accepted the bot's token.",
            since
        ),
        Alert::Disk => tr!(
            "There has been little room on the server's disk since {since}: {} left, the limit is {}. When it is full, messages wait \
             until there is room.\n\
             Free some space on the disk of the state directory; telexctl doctor says where that is.",
            megabytes(figures.value),
            megabytes(figures.limit),
            since
        ),
        Alert::Database => tr!(
            "The database has been slow since {since}: a write took {}, the limit is {}. Answers come late.\n\
             Look for what keeps the disk busy, or for a disk that is failing: journalctl -k -p warning",
            seconds(figures.value),
            seconds(figures.limit),
            since
        ),
        Alert::OutOfMemory => tr!(
            "Agents run out of memory: {} within an hour, more than {}. Seen at {since}.\n\
             Give them more (systemctl edit telexd-agent@.service: MemoryMax=), let fewer run at once \
             (agent.max_processes), or ask for less.",
            agents(figures.value),
            number(figures.limit),
            since
        ),
        Alert::Queue => tr!(
            "A message has been waiting for an agent for {}, longer than {}. Seen at {since}.\n\
             /queue says what waits; telexctl ps, which agents run. More of them may run at once (agent.max_processes), or one \
             may be stuck (/kill).",
            length(figures.value),
            length(figures.limit),
            since
        ),
    };
    format!("⚠️ {what}")
}

/// It is over, for those who know that it began.
fn over(alert: Alert, since: &str, lasted: &str) -> String {
    let what = match alert {
        Alert::Crash => tr!("Over: I have not crashed again since {since}.", since),
        Alert::Watchdog => tr!("Over: I have not stood still again since {since}.", since),
        Alert::CrashLoop => tr!("Over: I have run for half an hour without another crash."),
        Alert::Conflict => tr!(
            "Over: no other program polls with this bot's token any more. One had since {since}, for {lasted}.",
            since,
            lasted
        ),
        Alert::Unauthorized => {
            tr!(
                "Over: Telegram accepts the bot's token again. It had not since {since}, for {lasted}.",
                since,
                lasted
            )
        }
        Alert::Disk => tr!(
            "Over: there is room on the server's disk again. There had been too little since {since}, for {lasted}.",
            since,
            lasted
        ),
        Alert::Database => {
            tr!(
                "Over: the database is quick again. It had been slow since {since}, for {lasted}.",
                since,
                lasted
            )
        }
        Alert::OutOfMemory => {
            tr!(
                "Over: agents do not run out of memory again and again any more. They had since {since}.",
                since
            )
        }
        Alert::Queue => tr!(
            "Over: no message waits too long for an agent any more. One had since {since}, for {lasted}.",
            since,
            lasted
        ),
    };
    format!("✅ {what}")
}

/// It was there and is over, for those who did not know.
fn was(alert: Alert, since: &str, until: &str, times: u32) -> String {
    let what = match alert {
        Alert::Crash => tr!("I crashed and was restarted"),
        Alert::Watchdog => tr!("I stood still and was restarted"),
        Alert::CrashLoop => tr!("I crashed again and again"),
        Alert::Conflict => tr!("Another program polled with this bot's token"),
        Alert::Unauthorized => {
            tr!("Telegram did not accept the bot's token, so no message came through")
        }
        Alert::Disk => tr!("There was little room on the server's disk"),
        Alert::Database => tr!("The database was slow"),
        Alert::OutOfMemory => tr!("Agents ran out of memory again and again"),
        Alert::Queue => tr!("A message waited long for an agent"),
    };
    let times = if times > 1 {
        tr!(" ({times} times)", times)
    } else {
        String::new()
    };
    match alert {
        Alert::Crash | Alert::Watchdog | Alert::CrashLoop => {
            tr!(
                "✅ {what} at {since}{times}. Since then all has been well.",
                what,
                since,
                times
            )
        }
        _ => tr!(
            "✅ {what} from {since} to {until}{times}. It is over.",
            what,
            since,
            until,
            times
        ),
    }
}

/// A count, which is whole. `None`: not known.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(value: Option<f64>) -> Option<u64> {
    value.map(|value| value.max(0.0) as u64)
}

fn crashes(value: Option<f64>) -> String {
    match whole(value) {
        Some(value) => tr!("1 crash" | "{n} crashes" % value),
        None => tr!("several crashes"),
    }
}

fn agents(value: Option<f64>) -> String {
    match whole(value) {
        Some(value) => tr!("1 agent" | "{n} agents" % value),
        None => tr!("several agents"),
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| tr!("is allowed"), |value| format!("{value:.0}"))
}

fn megabytes(value: Option<f64>) -> String {
    value.map_or_else(
        || tr!("not known"),
        |value| {
            let megabytes = format!("{:.0}", (value / 1e6).floor());
            tr!("{megabytes} MB", megabytes)
        },
    )
}

fn seconds(value: Option<f64>) -> String {
    match value {
        None => tr!("long"),
        Some(value) if value < 1.0 => {
            let number = format!("{:.0}", value * 1000.0);
            tr!("{number} ms", number)
        }
        Some(value) => {
            let number = format!("{value:.1}");
            tr!("{number} s", number)
        }
    }
}

fn length(value: Option<f64>) -> String {
    // Lengths of this program; far below what is exact.
    #[allow(clippy::cast_possible_truncation)]
    value.map_or_else(|| tr!("long"), |value| span((value * 1000.0) as Millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    /// A clock on which each day has its number since the epoch.
    fn local(at: Millis) -> Local {
        let minutes = at / 60_000;
        Local {
            month: 11,
            day: u8::try_from(minutes / 1440 + 1).unwrap(),
            minute: u16::try_from(minutes % 1440).unwrap(),
        }
    }

    fn told(line: Line) -> String {
        message(&[line], 30 * HOUR, &local)
    }

    #[test]
    fn each_says_what_since_when_how_bad_and_what_to_do() {
        let disk = told(Line::Begins {
            alert: Alert::Disk,
            since: 29 * HOUR,
            figures: Figures {
                value: Some(412_900_000.0),
                limit: Some(500_000_000.0),
                about: None,
            },
        });
        assert_eq!(
            disk,
            "⚠️ There has been little room on the server's disk since 05:00: 412 MB left, the limit is 500 MB. When it is full, \
             messages wait until there is room.\n\
             Free some space on the disk of the state directory; telexctl doctor says where that is."
        );
        for alert in Alert::ALL {
            let begins = told(Line::Begins {
                alert,
                since: 29 * HOUR,
                figures: Figures {
                    value: Some(2400.0),
                    limit: Some(1800.0),
                    about: None,
                },
            });
            assert!(begins.contains("05:00"), "{begins}");
            assert!(
                !alert.can_be_told() || begins.lines().count() == 2,
                "{begins}"
            );
            let over = told(Line::Over {
                alert,
                since: 23 * HOUR,
                until: 29 * HOUR,
            });
            assert!(
                over.starts_with("✅ Over: ") && !over.contains('\n'),
                "{over}"
            );
            let was = told(Line::Was {
                alert,
                since: 23 * HOUR,
                until: 29 * HOUR,
                times: 2,
            });
            assert!(
                was.contains("Nov 1, 23:00") && was.contains("(2 times)"),
                "{was}"
            );
            assert!(!was.contains('\n'), "{was}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        for alert in Alert::ALL {
            let text = told(Line::Begins {
                alert,
                since: 29 * HOUR,
                figures: Figures::default(),
            });
            assert!(!text.contains("NaN") && !text.contains("None"), "{text}");
        }
    }
}
