use std::path::Path;

use proptest::prelude::*;

use super::TOKEN;
use crate::config::{
    fragments::{Found, Fragment},
    problem::Origin,
    reading,
};

fn found<T: Clone + std::fmt::Debug + 'static>(
    values: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<Found<T>>> {
    let file = (values, 1usize..4).prop_map(|(value, line)| Found {
        value,
        origin: Origin::File {
            file: Path::new("/f").into(),
            line,
        },
    });
    prop::option::of(file)
}

fn fragments() -> impl Strategy<Value = Fragment> {
    (
        found(0u32..3),
        found("[ab]"),
        found(any::<bool>()),
        found(prop::collection::vec(0i64..3, 0..3)),
    )
        .prop_map(|(idle_ms, model, trust_project, admins)| {
            let mut fragment = Fragment::default();
            fragment.batching.idle_ms = idle_ms;
            fragment.agent.model = model;
            fragment.agent.trust_project = trust_project;
            fragment.access.admins = admins;
            fragment
        })
}

proptest! {
    #[test]
    fn merging_is_associative(a in fragments(), b in fragments(), c in fragments()) {
        let left = a.clone().then(b.clone()).then(c.clone());
        prop_assert_eq!(left, a.then(b.then(c)));
    }

    #[test]
    fn merging_lets_the_last_win_and_nothing_change_nothing(a in fragments(), b in fragments()) {
        let none = Fragment::default();
        prop_assert_eq!(&a.clone().then(none.clone()), &a);
        prop_assert_eq!(&none.then(a.clone()), &a);
        prop_assert_eq!(&a.clone().then(a.clone()), &a);
        let both = a.clone().then(b.clone());
        prop_assert_eq!(&both.agent.model, if b.agent.model.is_some() { &b.agent.model } else { &a.agent.model });
        let admins = if b.access.admins.is_some() { &b.access.admins } else { &a.access.admins };
        prop_assert_eq!(&both.access.admins, admins);
    }

    #[test]
    fn any_text_is_read(text: String) {
        let _ = reading::read(Path::new("/f"), &text);
    }

    /// Wherever in a file somebody pastes the token, no message shows it.
    #[test]
    fn no_message_shows_a_token(case in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), quote: bool) {
        let cases: Vec<&str> = include_str!("../bad_inputs.txt").split("----\n").collect();
        let mut text = case.get(&cases).split("=> ").next().unwrap().to_owned();
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let token = if quote { format!("\"{TOKEN}\"") } else { TOKEN.to_owned() };
        text.insert_str(*at.get(&places), &token);
        for problem in reading::read(Path::new("/f"), &text).problems {
            let told = format!("{problem} {problem:?}");
            prop_assert!(!told.contains("AAHdqTcv"), "{}", told);
        }
    }

    /// Random edits of a sound file give messages, each with a line that is there, and never a panic.
    #[test]
    fn damaged_files_are_told_at_their_lines(cut in 0usize..200, insert in "[\\[\\]={}\"'a1\n,.]{0,4}") {
        let sound = "[telegram]\npoll_timeout_s = 5\n[access]\nadmins = [1, 2]\n[agent]\ncommand = \"x\"\nmodel = 'y'\n";
        let at = cut.min(sound.len());
        let text = format!("{}{insert}{}", &sound[..at], &sound[at..]);
        for problem in reading::read(Path::new("/f"), &text).problems {
            let line = problem.line.unwrap();
            prop_assert!(line >= 1 && line <= text.split('\n').count());
            prop_assert!(!problem.remedy.is_empty() && !problem.what.is_empty());
        }
    }
}
