use proptest::prelude::*;

use super::*;

const ADMIN: i64 = 1;
const OTHER: i64 = 2;
const START: Millis = 1_700_000_000_000;

/// A machine with a clock.
struct Run {
    state: State,
    watch: Watch,
    rule: Rule,
    now: Moment,
    /// What was told to whom, when.
    told: Vec<(Millis, i64, Line)>,
}

fn run() -> Run {
    Run {
        state: State::default(),
        watch: Watch::default(),
        rule: Rule {
            off: BTreeSet::new(),
            admins: [ADMIN].into(),
            know: BTreeSet::new(),
        },
        now: Moment {
            at: START,
            up: 0,
            quiet: false,
        },
        told: Vec::new(),
    }
}

fn seen(alert: Alert, bad: Option<bool>, evidence: u64) -> Seen {
    Seen {
        alert,
        bad,
        evidence,
        figures: Figures::default(),
    }
}

impl Run {
    fn pass(&mut self, length: Millis) {
        self.now.at += length;
        self.now.up += length;
    }

    /// The process is another one.
    fn restart(&mut self) {
        self.watch = Watch::default();
        self.now.up = 0;
    }

    fn see_all(&mut self, all: &[Seen], stored: bool) -> Vec<Line> {
        let step = step(&self.state, &mut self.watch, self.now, all, &self.rule);
        if !stored {
            return Vec::new();
        }
        // As it is stored.
        let json = serde_json::to_string(&step.state).unwrap();
        self.state = serde_json::from_str(&json).unwrap();
        assert_eq!(self.state, step.state);
        for (admin, lines) in &step.tell {
            for line in lines {
                self.told.push((self.now.at, *admin, line.clone()));
            }
        }
        step.tell.get(&ADMIN).cloned().unwrap_or_default()
    }

    fn see(&mut self, alert: Alert, bad: bool) -> Vec<String> {
        let evidence = u64::try_from(self.now.at).unwrap();
        let lines = self.see_all(&[seen(alert, Some(bad), evidence)], true);
        lines.iter().map(short).collect()
    }

    /// Sees it every five seconds for so long; all that is told.
    fn stays(&mut self, alert: Alert, bad: bool, length: Millis) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..length / (5 * SECOND) {
            self.pass(5 * SECOND);
            told.extend(self.see(alert, bad));
        }
        told
    }
}

fn short(line: &Line) -> String {
    match line {
        Line::Begins { alert, .. } => format!("{} begins", alert.as_str()),
        Line::Over { alert, .. } => format!("{} over", alert.as_str()),
        Line::Was { alert, times, .. } => format!("{} was {times}", alert.as_str()),
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn it_is_told_once_and_once_when_it_is_over() {
    for alert in Alert::ALL.into_iter().filter(|a| a.can_be_told()) {
        let mut run = run();
        assert_eq!(run.stays(alert, false, MINUTE), NOTHING);
        let begun = run.now.at + 5 * SECOND;
        assert_eq!(
            run.stays(alert, true, HOUR),
            [format!("{} begins", alert.as_str())]
        );
        let Line::Begins { since, .. } = run.told[0].2 else {
            panic!("{:?}", run.told);
        };
        assert_eq!(since, begun, "since it was first seen");
        let ended = run.now.at + 5 * SECOND;
        assert_eq!(run.stays(alert, false, alert.clear()), NOTHING);
        run.pass(5 * SECOND);
        assert_eq!(run.see(alert, false), [format!("{} over", alert.as_str())]);
        let Line::Over { since, until, .. } = run.told[1].2 else {
            panic!("{:?}", run.told);
        };
        assert_eq!((since, until), (begun, ended));
        assert_eq!(run.stays(alert, false, 2 * HOUR), NOTHING);
        assert_eq!(run.state, State::default(), "nothing is kept for good");
    }
}

#[test]
fn what_does_not_last_is_not_told() {
    let mut run = run();
    assert_eq!(run.stays(Alert::Disk, true, 30 * SECOND), NOTHING);
    assert_eq!(run.stays(Alert::Disk, false, MINUTE + 5 * SECOND), NOTHING);
    assert_eq!(run.stays(Alert::Disk, true, 30 * SECOND), NOTHING);
    // What swings around the limit is told, for it lasts.
    let mut told = Vec::new();
    for _ in 0..20 {
        told.extend(run.stays(Alert::Disk, false, 30 * SECOND));
        told.extend(run.stays(Alert::Disk, true, 5 * SECOND));
    }
    assert_eq!(told, ["disk begins"]);
}

#[test]
fn one_slow_write_is_no_slow_database() {
    let mut run = run();
    for _ in 0..12 {
        run.pass(5 * SECOND);
        assert_eq!(
            run.see_all(&[seen(Alert::Database, Some(true), 1)], true),
            []
        );
    }
    // Nothing is written any more, so nothing is known.
    run.pass(HOUR);
    assert_eq!(run.see_all(&[seen(Alert::Database, None, 0)], true), []);
    run.see_all(&[seen(Alert::Database, Some(true), 2)], true);
    let told = run.see_all(&[seen(Alert::Database, Some(true), 3)], true);
    assert_eq!(told.len(), 1);
}

#[test]
fn what_cannot_be_told_now_neither_begins_nor_ends() {
    let mut run = run();
    run.see(Alert::Conflict, true);
    for _ in 0..100 {
        run.pass(MINUTE);
        assert_eq!(run.see_all(&[seen(Alert::Conflict, None, 0)], true), []);
    }
    assert!(run.state.open.contains_key(&Alert::Conflict));
}

#[test]
fn a_refused_token_is_told_when_it_is_over_also_by_another_process() {
    let mut run = run();
    assert_eq!(run.stays(Alert::Unauthorized, true, HOUR), NOTHING);
    run.restart();
    assert_eq!(run.see_all(&[seen(Alert::Unauthorized, None, 0)], true), []);
    run.pass(SECOND);
    assert_eq!(run.see(Alert::Unauthorized, false), ["unauthorized was 1"]);
    assert_eq!(run.stays(Alert::Unauthorized, false, HOUR), NOTHING);
}

#[test]
fn a_restart_neither_repeats_nor_forgets() {
    let mut run = run();
    assert_eq!(run.stays(Alert::Queue, true, MINUTE), ["queue begins"]);
    for _ in 0..3 {
        run.restart();
        assert_eq!(run.stays(Alert::Queue, true, MINUTE), NOTHING);
    }
    run.restart();
    assert_eq!(run.stays(Alert::Queue, false, 6 * MINUTE), ["queue over"]);
}

#[test]
fn what_could_not_be_stored_is_told_later() {
    let mut run = run();
    let all = |bad| [seen(Alert::Disk, Some(bad), 0)];
    run.see_all(&all(true), false);
    run.pass(31 * SECOND);
    run.see_all(&all(true), false);
    run.pass(SECOND);
    assert_eq!(run.see_all(&all(true), true).len(), 1);
    run.pass(SECOND);
    run.see_all(&all(false), false);
    run.pass(6 * MINUTE);
    run.see_all(&all(false), false);
    run.pass(SECOND);
    assert_eq!(run.see_all(&all(false), true).len(), 1);
}

#[test]
fn at_night_only_what_is_urgent_is_told_and_the_rest_in_one_message_in_the_morning() {
    let mut run = run();
    run.now.quiet = true;
    assert_eq!(run.stays(Alert::Queue, true, HOUR), NOTHING);
    assert_eq!(run.stays(Alert::Disk, true, MINUTE), ["disk begins"]);
    assert_eq!(run.stays(Alert::Disk, false, 6 * MINUTE), ["disk over"]);
    assert_eq!(run.stays(Alert::Queue, false, 6 * MINUTE), NOTHING);
    assert_eq!(run.stays(Alert::OutOfMemory, true, MINUTE), NOTHING);
    // Twice more, and it lasts at the end.
    assert_eq!(run.stays(Alert::Database, true, MINUTE), NOTHING);
    assert_eq!(run.stays(Alert::Database, false, 6 * MINUTE), NOTHING);
    assert_eq!(run.stays(Alert::Database, true, MINUTE), NOTHING);
    assert_eq!(run.stays(Alert::Database, false, 11 * MINUTE), NOTHING);
    run.restart();
    run.now.quiet = false;
    run.pass(HOUR);
    assert_eq!(
        run.see(Alert::Queue, false),
        ["database was 2", "queue was 1", "out_of_memory begins"]
    );
    assert_eq!(run.stays(Alert::Queue, false, HOUR), NOTHING);
}

#[test]
fn over_is_told_to_those_who_know_that_it_began() {
    let mut run = run();
    run.stays(Alert::Disk, true, MINUTE);
    run.rule.admins.insert(OTHER);
    run.stays(Alert::Disk, false, 6 * MINUTE);
    let to: Vec<i64> = run.told.iter().map(|told| told.1).collect();
    assert_eq!(to, [ADMIN, ADMIN]);
    run.stays(Alert::Disk, true, MINUTE);
    run.rule.admins.remove(&ADMIN);
    run.stays(Alert::Disk, false, 11 * MINUTE);
    let to: Vec<i64> = run.told[2..].iter().map(|told| told.1).collect();
    assert_eq!(to, [ADMIN, OTHER, OTHER]);
}

#[test]
fn without_administrators_it_waits_for_one() {
    let mut run = run();
    run.rule.admins.clear();
    assert_eq!(run.stays(Alert::Disk, true, HOUR), NOTHING);
    run.rule.admins.insert(ADMIN);
    assert_eq!(run.stays(Alert::Disk, true, 5 * SECOND), ["disk begins"]);
}

#[test]
fn what_is_off_is_not_told_and_what_is_switched_off_is_forgotten() {
    let mut run = run();
    run.rule.off.insert(Alert::Disk);
    assert_eq!(run.stays(Alert::Disk, true, HOUR), NOTHING);
    run.rule.off.clear();
    assert_eq!(run.stays(Alert::Disk, true, MINUTE), ["disk begins"]);
    run.rule.off.insert(Alert::Disk);
    assert_eq!(run.stays(Alert::Disk, false, HOUR), NOTHING);
    assert!(run.state.open.is_empty());
}

#[test]
fn a_crash_within_a_loop_is_told_as_the_loop() {
    let mut run = run();
    let both = |loops| {
        [
            seen(Alert::Crash, Some(true), 0),
            seen(Alert::CrashLoop, Some(loops), 0),
        ]
    };
    let lines = |lines: Vec<Line>| lines.iter().map(short).collect::<Vec<_>>();
    assert_eq!(lines(run.see_all(&both(false), true)), ["crash begins"]);
    run.restart();
    run.pass(MINUTE);
    assert_eq!(lines(run.see_all(&both(true), true)), ["crash_loop begins"]);
    for _ in 0..5 {
        run.restart();
        run.pass(MINUTE);
        assert_eq!(run.see_all(&both(true), true), []);
    }
    run.restart();
    let well = [
        seen(Alert::Crash, Some(false), 0),
        seen(Alert::CrashLoop, Some(false), 0),
    ];
    let mut told = Vec::new();
    for _ in 0..60 {
        run.pass(MINUTE);
        told.extend(run.see_all(&well, true));
    }
    assert_eq!(lines(told), ["crash_loop over"]);
}

#[test]
fn what_comes_back_has_to_be_away_for_longer() {
    let mut run = run();
    let mut times = 0;
    for _ in 0..60 {
        times += run.stays(Alert::Conflict, true, 10 * SECOND).len();
        times += run.stays(Alert::Conflict, false, 6 * MINUTE).len();
    }
    // Six hours.
    assert!((2..=4).contains(&times), "{times}");
}

#[test]
fn an_old_or_odd_record_is_read() {
    let read = |json| serde_json::from_str::<State>(json).unwrap();
    assert_eq!(read("{}"), State::default());
    let state = read(r#"{"open":{"disk":{"since":5,"later":1}},"more":2}"#);
    assert_eq!(state.open[&Alert::Disk].since, 5);
}

/// What may happen to it.
#[derive(Clone, Debug)]
enum Event {
    Pass(Millis),
    Bad(Alert, Option<bool>),
    Quiet(bool),
    Restart,
    /// What the next step comes to cannot be stored.
    Lost,
    Admins(u8),
    ClockBack(Millis),
}

fn event() -> impl Strategy<Value = Event> {
    let alert = prop::sample::select(&Alert::ALL[..]);
    prop_oneof![
        6 => (0..20 * MINUTE).prop_map(Event::Pass),
        8 => (alert, prop::option::weighted(0.9, any::<bool>())).prop_map(|(a, b)| Event::Bad(a, b)),
        1 => any::<bool>().prop_map(Event::Quiet),
        1 => Just(Event::Restart),
        1 => Just(Event::Lost),
        1 => (0_u8..4).prop_map(Event::Admins),
    ]
}

/// A step: when, whether in quiet hours, and who was told what.
type Stepped = (Millis, bool, Vec<(i64, Line)>);

fn drive(run: &mut Run, events: Vec<Event>) -> Vec<Stepped> {
    let mut bad: BTreeMap<Alert, Option<bool>> = BTreeMap::new();
    let mut steps = Vec::new();
    for event in events {
        let mut stored = true;
        let mut length = 0;
        match event {
            Event::Pass(by) => length = by,
            Event::Bad(alert, is) => {
                bad.insert(alert, is);
            }
            Event::Quiet(quiet) => run.now.quiet = quiet,
            Event::Restart => run.restart(),
            Event::Lost => stored = false,
            Event::Admins(which) => {
                run.rule.admins = [ADMIN, OTHER]
                    .into_iter()
                    .filter(|admin| which & u8::try_from(*admin).unwrap() != 0)
                    .collect();
            }
            Event::ClockBack(by) => run.now.at -= by,
        }
        loop {
            let slice = length.min(MINUTE);
            run.pass(slice);
            length -= slice;
            let evidence = u64::try_from(run.now.up).unwrap();
            let all: Vec<Seen> = bad.iter().map(|(a, b)| seen(*a, *b, evidence)).collect();
            let before = run.told.len();
            run.see_all(&all, stored);
            let told = run.told[before..]
                .iter()
                .map(|(_, to, line)| (*to, line.clone()));
            steps.push((run.now.at, run.now.quiet, told.collect()));
            if length == 0 {
                break;
            }
        }
    }
    steps
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// To each person a trouble is told by turns: that it begins, that it is over. Of what is told with a loop, the end may
    /// go without saying.
    #[test]
    fn told_by_turns(mut events in prop::collection::vec(event(), 1..60)) {
        // Who is no administrator for a while misses ends; the first one always is.
        for event in &mut events {
            if let Event::Admins(which) = event {
                *which |= 1;
            }
        }
        let mut run = run();
        drive(&mut run, events);
        let mut knows: BTreeSet<(i64, Alert)> = BTreeSet::new();
        for (_, person, line) in &run.told {
            match line {
                Line::Begins { alert, .. } => {
                    prop_assert!(alert.can_be_told());
                    let news = knows.insert((*person, *alert)) || *person != ADMIN;
                    prop_assert!(news || alert.is_told_with(Alert::CrashLoop), "{:?}", run.told);
                }
                Line::Over { alert, since, until } => {
                    prop_assert!(knows.remove(&(*person, *alert)), "{:?}", run.told);
                    prop_assert!(since <= until);
                }
                Line::Was { alert, times, .. } => {
                    prop_assert!(*times > 0);
                    let knew = knows.contains(&(*person, *alert)) && *person == ADMIN;
                    prop_assert!(!knew || alert.is_told_with(Alert::CrashLoop), "{:?}", run.told);
                }
            }
        }
    }

    /// Nobody gets more messages within an hour than that, and at night only what is urgent.
    #[test]
    fn it_does_not_flood(events in prop::collection::vec(event(), 1..100)) {
        let mut run = run();
        let steps = drive(&mut run, events);
        let sent: Vec<_> = steps.iter().filter(|(_, _, told)| !told.is_empty()).collect();
        for (at, _, _) in &sent {
            let within = sent.iter().filter(|(other, _, _)| (0..HOUR).contains(&(at - other))).count();
            prop_assert!(within <= MOST, "{within}");
        }
        for (_, quiet, told) in &sent {
            for (_, line) in told {
                let (Line::Begins { alert, .. } | Line::Over { alert, .. } | Line::Was { alert, .. }) = line;
                prop_assert!(!quiet || alert.is_urgent(), "{line:?}");
            }
        }
    }

}

proptest! {
    // Each goes over hours.
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happened before: what lasts is told within the hour, and so is its end. Nothing is kept for good.
    #[test]
    fn nothing_is_forgotten(mut events in prop::collection::vec(event(), 0..60), back in 0..48 * HOUR) {
        let mut run = run();
        // Who is no administrator any more when it ends is not told that.
        events.retain(|event| !matches!(event, Event::Admins(_)));
        events.push(Event::ClockBack(back));
        events.push(Event::Quiet(false));
        events.push(Event::Admins(1));
        for alert in Alert::ALL {
            events.push(Event::Bad(alert, Some(true)));
        }
        events.push(Event::Pass(2 * HOUR));
        drive(&mut run, events);
        for alert in Alert::ALL {
            let open = &run.state.open[&alert];
            let told = open.told.as_ref().is_some_and(|told| told.contains(&ADMIN) || told.is_empty());
            prop_assert!(told || open.told.is_some() || !alert.can_be_told(), "{alert:?}: {open:?}");
        }
        let events = Alert::ALL.map(|alert| Event::Bad(alert, Some(false)));
        let before = run.told.len();
        drive(&mut run, events.into_iter().chain([Event::Pass(4 * HOUR)]).collect());
        prop_assert_eq!(&run.state, &State::default());
        for alert in Alert::ALL.into_iter().filter(|a| !a.is_told_with(Alert::CrashLoop)) {
            let ends = run.told[before..].iter().filter(|(_, to, line)| {
                *to == ADMIN && matches!(line, Line::Over { alert: a, .. } | Line::Was { alert: a, .. } if *a == alert)
            });
            let knows_of_it = run.told[..before].iter().rev().find_map(|(_, to, line)| match line {
                Line::Begins { alert: a, .. } if *to == ADMIN && *a == alert => Some(true),
                Line::Over { alert: a, .. } if *to == ADMIN && *a == alert => Some(false),
                _ => None,
            });
            prop_assert_eq!(ends.count(), usize::from(knows_of_it == Some(true) || !alert.can_be_told()), "{:?}", alert);
        }
    }
}
