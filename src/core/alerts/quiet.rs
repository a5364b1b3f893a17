//! Hours in which only what is urgent is told. Pure: what time it is where people live is told by others.

use std::fmt;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A moment as the clock on somebody's wall shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Local {
    /// Month, from 1.
    pub month: u8,
    /// Day of the month, from 1.
    pub day: u8,
    /// Minutes since midnight, by that clock.
    pub minute: u16,
}

/// Hours of each day, from a minute (included) to a minute (not included); they may reach over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    from: u16,
    to: u16,
}

impl Quiet {
    /// From a text like `22:00-07:00`. `None`: it is none, or no time at all, or the whole day.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let (from, to) = (minute(from.trim())?, minute(to.trim())?);
        (from != to).then_some(Self { from, to })
    }

    /// Whether this minute of the day lies in them.
    #[must_use]
    pub fn holds(self, minute: u16) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

/// Two digits, a colon, two digits.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| -> Option<u16> {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| digits)
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all < DAY).then_some(all)
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            from / 60,
            from % 60,
            to / 60,
            to % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hours_over_midnight_and_within_a_day() {
        let night = Quiet::parse("22:00-07:00").unwrap();
        for (minute, quiet) in [
            (0, true),
            (419, true),
            (420, false),
            (1319, false),
            (1320, true),
        ] {
            assert_eq!(night.holds(minute), quiet, "{minute}");
        }
        let noon = Quiet::parse("12:00 - 13:30").unwrap();
        for (minute, quiet) in [
            (719, false),
            (720, true),
            (809, true),
            (810, false),
            (0, false),
        ] {
            assert_eq!(noon.holds(minute), quiet, "{minute}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "22:00",
            "22-07",
            "24:00-07:00",
            "22:60-07:00",
            "7:00-8:00",
            "07:00-07:00",
            "+7:00-08:00",
            "a-b",
            "22:00-07:00-08:00",
        ] {
            assert_eq!(Quiet::parse(text), None, "{text}");
        }
    }

    proptest! {
        /// What is shown is read as the same, and hours and the rest of the day part it.
        #[test]
        fn shown_and_read(from in 0..DAY, to in 0..DAY, at in 0..DAY) {
            prop_assume!(from != to);
            let quiet = Quiet { from, to };
            prop_assert_eq!(Quiet::parse(&quiet.to_string()), Some(quiet));
            let rest = Quiet { from: to, to: from };
            prop_assert_ne!(quiet.holds(at), rest.holds(at));
        }
    }
}
