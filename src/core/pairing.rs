//! Pairing: how somebody who is not known asks to be let in.
//!
//! Whoever writes to the bot in a private chat is given a code, by which an administrator names them. The code allows
//! nothing by itself. So that a flood of strangers costs little, there are few codes at a time, few new ones in a day, and
//! few answers for each person; beyond that strangers are told nothing.

use super::{Millis, pace::Pace};

/// Letters of a code: none that reads like a digit or like another one in bad print, and no vowels, so no words.
const LETTERS: [u8; 20] = *b"BCDFGHJKLMNPQRSTVWXZ";
/// Characters of a code.
pub const LENGTH: usize = 8;
/// How long a code is good, in milliseconds.
pub const GOOD_FOR: Millis = 60 * 60 * 1000;
/// How long a request is remembered after its last change, in milliseconds.
pub const KEPT: Millis = 24 * 60 * 60 * 1000;
/// Most codes that are good at the same time.
pub const MOST_OPEN: usize = 10;
/// Most codes for one person while their request is remembered.
pub const MOST_CODES: u32 = 3;
/// How many new codes there are for all people together.
pub const NEW_CODES: Pace = Pace {
    every_ms: 15 * 60 * 1000,
    burst: 10,
};
/// How often one person is told their code again.
pub const TOLD: Pace = Pace {
    every_ms: 10 * 60 * 1000,
    burst: 3,
};
/// How far a clock may be set back before what it was ahead counts as over.
const SLACK: Millis = 60 * 1000;

/// A code, in capitals.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(String);

impl Code {
    /// Out of chance; of `n` the lower 35 bits count.
    #[must_use]
    pub fn of(mut n: u128) -> Self {
        let mut code = String::with_capacity(LENGTH);
        for _ in 0..LENGTH {
            // Less than 20, so it always is a letter.
            let letter = usize::try_from(n % 20)
                .ok()
                .and_then(|at| LETTERS.get(at).copied());
            code.push(char::from(letter.unwrap_or(b'B')));
            n /= 20;
        }
        Self(code)
    }

    /// As a person writes it: in any case, with hyphens or spaces.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 4 * LENGTH {
            return None;
        }
        let code: String = text
            .chars()
            .filter(|c| !matches!(c, '-' | ' '))
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let good = code.len() == LENGTH && code.bytes().all(|b| LETTERS.contains(&b));
        good.then_some(Self(code))
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an administrator said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The person is let in.
    Accepted,
    /// They are not.
    Rejected,
}

/// A request, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The code that is, or was last, good.
    pub code: Code,
    /// Until when it is good.
    pub expires_at: Millis,
    /// How many codes there were.
    pub codes: u32,
    /// Where the person's own pace has led to; see [`Pace`].
    pub ahead: Millis,
    /// What came of it.
    pub answer: Option<Answer>,
}

impl Request {
    /// Whether an administrator may decide about it now.
    #[must_use]
    pub fn is_open(&self, now: Millis) -> bool {
        self.answer.is_none() && good(self.expires_at, now)
    }
}

/// Whether a code that expires then is good. One that would be good for longer than any was made when the clock was
/// ahead.
#[must_use]
pub fn good(expires_at: Millis, now: Millis) -> bool {
    now < expires_at && expires_at.saturating_sub(now) <= GOOD_FOR + SLACK
}

/// What a message of a stranger leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is said.
    Silence,
    /// They are told their code again; their pace from then on.
    Again {
        /// See [`Request::ahead`].
        ahead: Millis,
    },
    /// They are given a new code, and the administrators are told.
    New {
        /// The how-manieth it is.
        codes: u32,
        /// See [`Request::ahead`].
        ahead: Millis,
        /// Where the pace of all has led to.
        all_ahead: Millis,
    },
}

/// Decides about a message of a stranger. `there`: what is remembered of them; `open`: how many codes of others are good;
/// `all_ahead`: where the pace of all has led to.
#[must_use]
pub fn step(there: Option<&Request>, open: usize, all_ahead: Option<Millis>, now: Millis) -> Step {
    if there.is_some_and(|request| request.answer.is_some()) {
        return Step::Silence;
    }
    let Ok(ahead) = TOLD.admit(there.map(|request| request.ahead), now) else {
        return Step::Silence;
    };
    if there.is_some_and(|request| request.is_open(now)) {
        return Step::Again { ahead };
    }
    let codes = there.map_or(0, |request| request.codes).saturating_add(1);
    if codes > MOST_CODES || open >= MOST_OPEN {
        return Step::Silence;
    }
    match NEW_CODES.admit(all_ahead, now) {
        Ok(all_ahead) => Step::New {
            codes,
            ahead,
            all_ahead,
        },
        Err(_) => Step::Silence,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T: Millis = 1_000_000_000_000;

    fn request(expires_at: Millis, codes: u32, answer: Option<Answer>) -> Request {
        Request {
            code: Code::of(1),
            expires_at,
            codes,
            ahead: 0,
            answer,
        }
    }

    #[test]
    fn codes_are_read_as_people_write_them() {
        let code = Code::of(0x1234_5678_9abc);
        assert_eq!(code.as_str().len(), LENGTH);
        let (a, b) = code.as_str().split_at(4);
        for written in [
            code.to_string(),
            code.as_str().to_lowercase(),
            format!(" {a}-{b} "),
            format!("{a} {b}"),
        ] {
            assert_eq!(Code::parse(&written), Some(code.clone()), "{written}");
        }
        for foreign in [
            "",
            "BCDFGHJ",
            "BCDFGHJKL",
            "BCDFGHJ1",
            "BCDFGHJA",
            "BCDFGHJ\n",
            "BCDFGHJ\u{212a}",
            "--------",
            &"B".repeat(1_000_000),
        ] {
            assert_eq!(Code::parse(foreign), None, "{foreign:.20}");
        }
    }

    #[test]
    fn a_code_is_good_for_an_hour_by_any_clock() {
        assert!(good(T + GOOD_FOR, T));
        assert!(good(T + 1, T));
        assert!(!good(T, T));
        assert!(!good(T + 2 * GOOD_FOR, T), "the clock was ahead");
    }

    #[test]
    fn what_a_message_leads_to() {
        let open = request(T + 5, 1, None);
        assert!(matches!(step(Some(&open), 99, None, T), Step::Again { .. }));
        let over = request(T, 1, None);
        assert!(matches!(
            step(Some(&over), 0, None, T),
            Step::New { codes: 2, .. }
        ));
        assert!(matches!(
            step(None, MOST_OPEN - 1, None, T),
            Step::New { codes: 1, .. }
        ));
        assert_eq!(step(None, MOST_OPEN, None, T), Step::Silence);
        assert_eq!(
            step(Some(&request(T, MOST_CODES, None)), 0, None, T),
            Step::Silence
        );
        for answer in [Answer::Accepted, Answer::Rejected] {
            assert_eq!(
                step(Some(&request(T + 5, 1, Some(answer))), 0, None, T),
                Step::Silence
            );
        }
        assert_eq!(
            step(None, 0, Some(T + NEW_CODES.every_ms * NEW_CODES.burst), T),
            Step::Silence,
            "too many new ones"
        );
        let mut told = request(T + GOOD_FOR, 1, None);
        told.ahead = T + TOLD.every_ms * TOLD.burst;
        assert_eq!(step(Some(&told), 0, None, T), Step::Silence);
    }

    proptest! {
        #[test]
        fn every_number_makes_a_code_that_is_read_back(n: u128) {
            let code = Code::of(n);
            prop_assert_eq!(Code::parse(code.as_str()), Some(code));
        }

        #[test]
        fn any_text_is_read(text in any::<String>()) {
            let _ = Code::parse(&text);
        }

        /// A day of somebody who writes without end.
        #[test]
        fn one_person_costs_little(gaps in prop::collection::vec(0i64..600_000, 1..400)) {
            let (mut now, mut there, mut all, mut said, mut new) = (T, None::<Request>, None, 0, 0);
            for gap in gaps {
                now += gap;
                if now > T + KEPT {
                    break;
                }
                match step(there.as_ref(), 0, all, now) {
                    Step::Silence => {}
                    Step::Again { ahead } => {
                        said += 1;
                        if let Some(there) = &mut there {
                            there.ahead = ahead;
                        }
                    }
                    Step::New { codes, ahead, all_ahead } => {
                        (said, new, all) = (said + 1, new + 1, Some(all_ahead));
                        there = Some(Request { ahead, ..request(now + GOOD_FOR, codes, None) });
                    }
                }
                prop_assert!(new <= MOST_CODES);
                prop_assert!(said <= TOLD.burst + (now - T) / TOLD.every_ms);
            }
        }
    }
}
