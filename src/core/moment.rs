//! Moments as people read them.

/// A time, in seconds since the Unix epoch, as `2026-11-21 18:43 UTC`; none outside of the years 1970 to 9999.
#[must_use]
pub fn utc(seconds: i64) -> Option<String> {
    const DAY: i64 = 86_400;
    if !(0..253_402_300_800).contains(&seconds) {
        return None;
    }
    // Days are counted from 0000-03-01, in eras of 400 years (146097 days), so that the leap day ends each year.
    let days = seconds / DAY + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let (hour, minute) = (seconds % DAY / 3_600, seconds % 3_600 / 60);
    Some(format!(
        "{:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC",
        era * 400 + year + next
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (951_868_800, "2000-03-01 00:00 UTC"),
            (1_795_286_636, "2026-11-21 18:43 UTC"),
            (4_107_542_399, "2100-02-28 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
            (253_402_300_799, "9999-12-31 23:59 UTC"),
        ] {
            assert_eq!(utc(seconds).as_deref(), Some(text));
        }
        for seconds in [-1, i64::MIN, i64::MAX, 253_402_300_800] {
            assert_eq!(utc(seconds), None);
        }
    }
}
