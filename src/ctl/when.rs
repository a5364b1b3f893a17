//! Times for people.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::libc;

use crate::core::{Millis, words};

/// Microseconds since the epoch, now.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
        })
}

/// A length of time in its two greatest units at most. Microseconds.
#[must_use]
pub fn span_us(length: u64) -> String {
    words::span(Millis::try_from(length / 1000).unwrap_or(Millis::MAX))
}

/// A moment in local time: `2026-11-21 14:03:22`. Microseconds since the epoch; 0 is `-`.
#[must_use]
pub fn stamp(moment: u64) -> String {
    if moment == 0 {
        return "-".to_owned();
    }
    let Ok(seconds) = libc::time_t::try_from(moment / 1_000_000) else {
        return "-".to_owned();
    };
    // SAFETY: all fields of `tm` are numbers and one pointer that may be null, so zeros are a value of it; both arguments
    // live through the call. The C library takes a lock for what it remembers of the time zone.
    let there = unsafe {
        let mut there: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&raw const seconds, &raw mut there).is_null() {
            return "-".to_owned();
        }
        there
    };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        i64::from(there.tm_year) + 1900,
        there.tm_mon + 1,
        there.tm_mday,
        there.tm_hour,
        there.tm_min,
        there.tm_sec
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_spans() {
        for (us, text) in [
            (0, "0 s"),
            (59_999_999, "59 s"),
            (61_000_000, "1 min"),
            (3_600_000_000, "1 h"),
            (5_400_000_000, "1 h 30 min"),
            (90_000_000_000, "1 d 1 h"),
        ] {
            assert_eq!(span_us(us), text);
        }
        assert_eq!(stamp(0), "-");
        assert_eq!(stamp(u64::MAX).len().min(20), stamp(u64::MAX).len().min(20));
        let shown = stamp(1_795_269_802_000_000);
        assert!(
            shown.starts_with("2026-11-2") && shown.len() == 19,
            "{shown}"
        );
        assert!(now() > 1_700_000_000_000_000);
    }
}
