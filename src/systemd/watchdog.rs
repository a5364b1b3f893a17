//! The service manager's watchdog: whether one is asked for, and when it is to be fed. Pure.

use std::{
    ffi::OsStr,
    time::{Duration, Instant},
};

/// Variable with the interval in microseconds.
pub const INTERVAL: &str = "WATCHDOG_USEC";
/// Variable with the process that is meant.
pub const PROCESS: &str = "WATCHDOG_PID";

/// Shortest interval that can be kept to: below, scheduling alone would kill the daemon.
const SHORTEST: Duration = Duration::from_millis(100);

/// The interval within which a sign of life is expected, if one is. `own` is this process' id.
///
/// # Errors
/// The environment asks for something that makes no sense; then there is no watchdog. Names what to check.
pub fn interval(
    usec: Option<&OsStr>,
    pid: Option<&OsStr>,
    own: u32,
) -> Result<Option<Duration>, String> {
    let Some(usec) = usec.filter(|usec| !usec.is_empty()) else {
        return Ok(None);
    };
    let remedy = "check WatchdogSec= and Environment= of the unit; going on without a watchdog";
    if let Some(pid) = pid.filter(|pid| !pid.is_empty()) {
        match pid.to_str().and_then(|pid| pid.parse::<u32>().ok()) {
            Some(pid) if pid == own => {}
            Some(pid) => {
                return Err(format!(
                    "{PROCESS} is {pid}, another process than this one ({own}); {remedy}"
                ));
            }
            None => {
                return Err(format!(
                    "{PROCESS} is {}, which is no process id; {remedy}",
                    pid.display()
                ));
            }
        }
    }
    let Some(wanted) = usec.to_str().and_then(|usec| usec.parse::<u64>().ok()) else {
        return Err(format!(
            "{INTERVAL} is {}, which is no number of microseconds; {remedy}",
            usec.display()
        ));
    };
    // What systemd writes for "infinity".
    if wanted == u64::MAX {
        return Ok(None);
    }
    let wanted = Duration::from_micros(wanted);
    if wanted < SHORTEST {
        return Err(format!(
            "{INTERVAL} is {}, shorter than the {} ms that can be kept to; {remedy}",
            wanted.as_micros(),
            SHORTEST.as_millis()
        ));
    }
    Ok(Some(wanted))
}

/// Decides when a sign of life is given.
#[derive(Debug)]
pub struct Feeder {
    interval: Duration,
    fed: Option<Instant>,
    late: bool,
}

/// What a look brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether to give a sign of life.
    pub feed: bool,
    /// Whether something is late that was not at the last look.
    pub newly_late: bool,
    /// Whether all is well again.
    pub recovered: bool,
}

impl Feeder {
    /// For an interval; nothing has been fed.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            fed: None,
            late: false,
        }
    }

    /// How often to look: twice as often as to feed, so that what recovers in time is not killed.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.interval / 4
    }

    /// A look at `now`: `well` is whether nothing is late. Feeds at half of the interval, and at once after something
    /// was late.
    pub fn look(&mut self, now: Instant, well: bool) -> Look {
        let recovered = well && self.late;
        let newly_late = !well && !self.late;
        self.late = !well;
        // A look may come a little early; one that is a whole period later would be too late.
        let due = self.fed.is_none_or(|fed| {
            now.saturating_duration_since(fed) + self.interval / 8 >= self.interval / 2
        });
        let feed = well && (due || recovered);
        if feed {
            self.fed = Some(now);
        }
        Look {
            feed,
            newly_late,
            recovered,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(usec: Option<&str>, pid: Option<&str>) -> Result<Option<Duration>, String> {
        interval(usec.map(OsStr::new), pid.map(OsStr::new), 42)
    }

    #[test]
    fn environments() {
        assert_eq!(read(None, None), Ok(None));
        assert_eq!(read(None, Some("42")), Ok(None));
        assert_eq!(read(Some(""), None), Ok(None));
        let half_a_minute = Ok(Some(Duration::from_secs(30)));
        assert_eq!(read(Some("30000000"), None), half_a_minute);
        assert_eq!(read(Some("30000000"), Some("42")), half_a_minute);
        assert_eq!(read(Some("18446744073709551615"), Some("42")), Ok(None));
        for (usec, pid, part) in [
            (Some("0"), Some("42"), "shorter"),
            (Some("99999"), None, "shorter"),
            (Some("30s"), None, "no number"),
            (Some("-1"), None, "no number"),
            (Some("99999999999999999999"), None, "no number"),
            (Some("30000000"), Some("43"), "another process"),
            (Some("30000000"), Some("x"), "no process id"),
        ] {
            let told = read(usec, pid).unwrap_err();
            assert!(
                told.contains(part) && told.contains("WatchdogSec="),
                "{told}"
            );
        }
    }

    #[test]
    fn what_is_late_is_told_once_and_starves_it_until_it_recovers() {
        let zero = Instant::now();
        let mut feeder = Feeder::new(Duration::from_secs(8));
        let mut look = |s, well| {
            let Look {
                feed,
                newly_late,
                recovered,
            } = feeder.look(zero + Duration::from_secs(s), well);
            (feed, newly_late, recovered)
        };
        assert_eq!(look(0, true), (true, false, false));
        assert_eq!(look(2, true), (false, false, false));
        assert_eq!(look(4, true), (true, false, false));
        assert_eq!(look(6, false), (false, true, false));
        assert_eq!(look(8, false), (false, false, false));
        assert_eq!(look(10, true), (true, false, true));
        assert_eq!(look(12, true), (false, false, false));
        assert_eq!(look(14, false), (false, true, false));
    }

    proptest! {
        /// Looks may be up to an eighth of the interval late; two signs of life are never a whole interval apart.
        #[test]
        fn it_is_fed_in_time_while_all_is_well(
            interval_ms in 100_u64..600_000,
            delays in proptest::collection::vec(0.0_f64..1.0, 1..60),
        ) {
            let interval = Duration::from_millis(interval_ms);
            let mut feeder = Feeder::new(interval);
            let mut now = Instant::now();
            let mut fed = now;
            prop_assert!(feeder.look(now, true).feed);
            for delay in delays {
                now += feeder.period() + interval.mul_f64(delay / 8.0);
                if feeder.look(now, true).feed {
                    fed = now;
                }
                prop_assert!(now - fed < interval);
            }
        }

        #[test]
        fn any_environment_is_read(usec: String, pid: String) {
            let _ = read(Some(&usec), Some(&pid));
        }
    }
}
