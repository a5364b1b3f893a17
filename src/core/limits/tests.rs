use proptest::prelude::*;

use super::*;

const MINUTE: Millis = 60_000;
const LIMITS: Limits = Limits {
    turn: Some(60 * MINUTE),
    first_output: Some(3 * MINUTE),
    silence: Some(10 * MINUTE),
    after_result: Some(30_000),
};

fn over(limit: Limit, after_ms: Millis) -> Due {
    Due::End(Over { limit, after_ms })
}

#[test]
fn each_stage_has_its_limit() {
    for (stage, wait, limit) in [
        (Stage::Starting, 144_000, Limit::FirstOutput),
        (Stage::Working, 8 * MINUTE, Limit::Silence),
        (Stage::Resting, 30_000, Limit::AfterResult),
    ] {
        let mut watch = Watch::default();
        let (before, _) = watch.next(LIMITS, stage).unwrap();
        assert_eq!(before, wait, "{stage:?}");
        watch.passes(wait);
        let length = LIMITS.of(limit).unwrap();
        if limit != Limit::AfterResult {
            let notice = Notice {
                limit,
                spent: wait,
                left: length - wait,
                longer_by: Some(length),
            };
            assert_eq!(watch.next(LIMITS, stage), Some((0, Due::Tell(notice))));
            watch.told(limit);
            watch.passes(length - wait - 1);
            assert_eq!(watch.next(LIMITS, stage), Some((1, over(limit, length))));
            watch.passes(1);
        }
        assert_eq!(watch.next(LIMITS, stage), Some((0, over(limit, length))));
        assert_eq!(
            watch.next(Limits::default(), stage),
            None,
            "no limit at all"
        );
    }
}

#[test]
fn words_of_the_agent_count_against_its_silence_but_not_against_the_whole() {
    let mut watch = Watch::default();
    for _ in 0..11 {
        watch.passes(5 * MINUTE);
        watch.heard();
    }
    let notice = Notice {
        limit: Limit::Turn,
        spent: 55 * MINUTE,
        left: 5 * MINUTE,
        longer_by: Some(60 * MINUTE),
    };
    assert_eq!(
        watch.next(LIMITS, Stage::Working),
        Some((0, Due::Tell(notice)))
    );
    watch.told(Limit::Turn);
    watch.passes(5 * MINUTE);
    assert_eq!(
        watch.next(LIMITS, Stage::Working),
        Some((0, over(Limit::Turn, 60 * MINUTE)))
    );
}

#[test]
fn longer_once_by_the_same_and_told_again() {
    let mut watch = Watch::default();
    assert!(!watch.longer(Limit::Turn), "the end is not near");
    let limits = Limits {
        turn: Some(100),
        ..Limits::default()
    };
    watch.passes(80);
    watch.told(Limit::Turn);
    assert!(!watch.longer(Limit::Silence), "another limit");
    assert_eq!(watch.near(Stage::Working), Some(Limit::Turn));
    assert!(watch.longer(Limit::Turn));
    assert_eq!(watch.near(Stage::Working), None);
    assert!(!watch.longer(Limit::Turn), "twice");
    watch.passes(100);
    let notice = Notice {
        limit: Limit::Turn,
        spent: 180,
        left: 20,
        longer_by: None,
    };
    assert_eq!(
        watch.next(limits, Stage::Working),
        Some((0, Due::Tell(notice)))
    );
    watch.told(Limit::Turn);
    assert!(!watch.longer(Limit::Turn));
    watch.passes(20);
    assert_eq!(
        watch.next(limits, Stage::Working),
        Some((0, over(Limit::Turn, 200)))
    );
}

#[test]
fn what_was_given_to_one_silence_is_not_there_for_the_next() {
    let limits = Limits {
        silence: Some(100),
        ..Limits::default()
    };
    let mut watch = Watch::default();
    watch.passes(80);
    watch.told(Limit::Silence);
    assert!(watch.shows_silence() && watch.longer(Limit::Silence));
    watch.passes(100);
    assert!(watch.shows_silence());
    watch.heard();
    assert!(!watch.shows_silence());
    watch.passes(80);
    assert!(matches!(
        watch.next(limits, Stage::Working),
        Some((
            0,
            Due::Tell(Notice {
                longer_by: Some(100),
                ..
            })
        ))
    ));
}

#[test]
fn an_end_goes_before_a_notice_and_a_limit_that_was_made_shorter_ends_at_once() {
    let mut watch = Watch::default();
    watch.passes(58 * MINUTE);
    assert_eq!(
        watch.next(LIMITS, Stage::Working),
        Some((0, over(Limit::Silence, 10 * MINUTE)))
    );
    watch.heard();
    let shorter = Limits {
        turn: Some(MINUTE),
        ..LIMITS
    };
    assert_eq!(
        watch.next(shorter, Stage::Working),
        Some((0, over(Limit::Turn, MINUTE)))
    );
}

#[test]
fn it_is_the_same_after_storing() {
    let mut watch = Watch::default();
    watch.passes(7);
    watch.heard();
    watch.passes(8);
    watch.told(Limit::Turn);
    watch.longer(Limit::Turn);
    let stored = serde_json::to_string(&watch).unwrap();
    assert_eq!(serde_json::from_str::<Watch>(&stored).unwrap(), watch);
    assert!(serde_json::from_str::<Watch>("{}").unwrap().is_fresh());
}

#[derive(Clone, Debug)]
enum Step {
    Passes(Millis),
    Heard,
    Longer(Limit),
    Stage(Stage),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let limit = prop_oneof![
        Just(Limit::Turn),
        Just(Limit::FirstOutput),
        Just(Limit::Silence),
        Just(Limit::AfterResult)
    ];
    let stage = prop_oneof![
        Just(Stage::Starting),
        Just(Stage::Working),
        Just(Stage::Resting)
    ];
    let step = prop_oneof![
        6 => (0..40i64).prop_map(Step::Passes),
        3 => Just(Step::Heard),
        2 => limit.prop_map(Step::Longer),
        1 => stage.prop_map(Step::Stage),
    ];
    prop::collection::vec(step, 1..200)
}

fn lengths() -> impl Strategy<Value = Limits> {
    let length = || prop::option::of(1..200i64);
    (length(), length(), length(), length()).prop_map(
        |(turn, first_output, silence, after_result)| Limits {
            turn,
            first_output,
            silence,
            after_result,
        },
    )
}

proptest! {
    /// Somebody who does what is due when it is due sees: no end before its time, none without a notice where there is
    /// to be one, none later than twice the limit, none where there is no limit.
    #[test]
    fn nothing_ends_too_early_too_late_or_unannounced(limits in lengths(), steps in steps()) {
        let mut watch = Watch::default();
        let mut stage = Stage::Starting;
        // What really passed, since the beginning and since the last word.
        let (mut all, mut quiet) = (0, 0);
        let (mut turn_told, mut quiet_told) = (0, 0);
        'turn: for step in steps {
            let mut left = match step {
                Step::Passes(ms) => ms,
                Step::Heard => {
                    watch.heard();
                    (quiet, quiet_told) = (0, 0);
                    continue;
                }
                Step::Longer(limit) => {
                    let told = if limit == Limit::Turn { turn_told } else { quiet_told };
                    let given = watch.longer(limit);
                    prop_assert!(!given || told == 1, "only after the first notice");
                    continue;
                }
                Step::Stage(to) => {
                    // A turn comes to another stage by a word.
                    stage = to;
                    watch.heard();
                    (quiet, quiet_told) = (0, 0);
                    continue;
                }
            };
            loop {
                let next = watch.next(limits, stage);
                let Some((wait, due)) = next else {
                    prop_assert!(limits.turn.is_none() && limits.of(stage.quiet()).is_none());
                    watch.passes(left);
                    (all, quiet) = (all + left, quiet + left);
                    break;
                };
                let passes = wait.min(left);
                watch.passes(passes);
                left -= passes;
                (all, quiet) = (all + passes, quiet + passes);
                if passes < wait {
                    break;
                }
                match due {
                    Due::Tell(notice) => {
                        let (told, passed) = if notice.limit == Limit::Turn {
                            (&mut turn_told, all)
                        } else {
                            (&mut quiet_told, quiet)
                        };
                        *told += 1;
                        prop_assert!(*told <= 2);
                        let length = limits.of(notice.limit).unwrap();
                        let whole = length * if notice.longer_by.is_some() { 1 } else { 2 };
                        prop_assert_eq!(passed + notice.left, whole);
                        prop_assert!(notice.limit != Limit::AfterResult);
                        watch.told(notice.limit);
                    }
                    Due::End(over) => {
                        let (told, passed) = if over.limit == Limit::Turn {
                            (turn_told, all)
                        } else {
                            (quiet_told, quiet)
                        };
                        let length = limits.of(over.limit).unwrap();
                        prop_assert_eq!(passed, over.after_ms);
                        prop_assert!(passed == length || passed == 2 * length);
                        // One that is too short for a notice in time ends without.
                        prop_assert!(told > 0 || over.limit == Limit::AfterResult || lead(length) == 0);
                        break 'turn;
                    }
                }
            }
        }
    }

    /// However it is cut into pieces.
    #[test]
    fn time_adds_up(pieces in prop::collection::vec(-5i64..50, 0..50)) {
        let mut watch = Watch::default();
        for piece in &pieces {
            watch.passes(*piece);
        }
        let mut at_once = Watch::default();
        at_once.passes(pieces.iter().filter(|ms| **ms > 0).sum());
        prop_assert_eq!(watch, at_once);
    }
}
