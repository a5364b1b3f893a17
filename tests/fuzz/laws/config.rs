//! Configuration: a file is right, or each thing that is wrong is told at its line; what is right can be written and read
//! again. A change while the daemon runs holds, or is refused with a reason.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use telexd::config::{
    self, Base, Surroundings,
    fragments::Fragment,
    inputs::Inputs,
    reading,
    runtime::{Refused, Stored},
    show,
};

/// A file; behind a line `%%`, a change as `key value`.
pub fn holds(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (file, change) = text.split_once("\n%%\n").unwrap_or((&text, ""));
    a_file(file);
    if let Some((key, value)) = change.split_once(' ') {
        a_change(key, value);
    }
}

fn a_file(text: &str) {
    let said = reading::read(Path::new("/f"), text);
    let lines = text.split('\n').count();
    for problem in &said.problems {
        let line = problem.line.expect("a problem of a file's text has a line");
        assert!((1..=lines).contains(&line), "{problem}");
        assert!(!problem.what.is_empty() && !problem.remedy.is_empty());
        assert!(problem.to_string().len() < 3000, "{problem}");
    }
    // Whatever could be taken is written so that it is read again as it was.
    let written = shown(&said.fragment);
    let again = reading::read(Path::new("/f"), &written);
    assert!(again.problems.is_empty(), "{written}{:?}", again.problems);
    assert_eq!(bare(&again.fragment), bare(&over_defaults(&said.fragment)));
}

fn over_defaults(fragment: &Fragment) -> Fragment {
    Fragment::defaults().then(fragment.clone())
}

fn shown(fragment: &Fragment) -> String {
    let inputs = Inputs {
        merged: over_defaults(fragment),
        ..Inputs::default()
    };
    show::show(&inputs, &[], None)
}

/// All values themselves, not as they are shown: without where each comes from.
fn bare(fragment: &Fragment) -> String {
    let text = format!("{fragment:?}");
    let mut parts = text.split(", origin: ");
    let mut bare = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // `Default }`, or `File { file: "…", line: 3 } }`.
        let end = match part.strip_prefix("File {") {
            Some(rest) => part.len() - rest.len() + rest.find(" }").map_or(0, |end| end + 2),
            None => part.find(" }").unwrap_or(0),
        };
        bare.push_str(&part[end..]);
    }
    bare
}

fn a_change(key: &str, value: &str) {
    let base = base();
    match base.change(&Stored::new(), key, Some(value)) {
        Ok((key, stored)) => {
            assert!(base.settings(&stored).is_ok(), "{key} does not hold");
            let taken = &stored[&key];
            let again = base.change(&Stored::new(), &key, Some(taken));
            assert_eq!(again, Ok((key.clone(), stored.clone())), "{taken}");
            let (_, back) = base
                .change(&stored, &key, None)
                .expect("it can be taken back");
            assert!(back.is_empty());
        }
        Err(Refused::NoSuchKey { given, nearest }) => {
            assert!(given.len() < 1000 && nearest.len() == 3);
        }
        Err(Refused::FilesOnly { .. }) => {}
        Err(Refused::Value { what, remedy, .. }) => {
            assert!(!what.is_empty() && !remedy.is_empty());
            assert!(!what.contains('\n'), "{what}");
        }
    }
}

/// Settings of sound files, read once.
fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a folder for a file");
        let write = |name: &str, text: &str| -> PathBuf {
            let path = directory.path().join(name);
            std::fs::write(&path, text).expect("a file can be written");
            path
        };
        let token = write("token", "4242:loopback-bot-token-of-35-characters");
        let text = format!(
            "[telegram]\ntoken_file = {token:?}\n[access]\nadmins = [1]\n[agent]\ndirectory = \"/srv\"\nlauncher = \"direct\"\n"
        );
        let file = write("telexd.toml", &text);
        let loaded = config::load(&file, &Surroundings::default());
        loaded.expect("the files are sound").base
    })
}
