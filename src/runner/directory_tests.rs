use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;

fn run(number: u8) -> RunId {
    RunId::from_random([number; RunId::LEN])
}

fn spec(run: RunId) -> Spec {
    Spec {
        run,
        argv: vec!["agent".to_owned()],
        env: Vec::new(),
        environment_file: None,
        directory: "/".into(),
        version_gate: None,
        output_limit: 0,
        profile: Profile::default(),
        inbox: None,
    }
}

fn dirs() -> (tempfile::TempDir, RunDirs) {
    let state = tempfile::tempdir().unwrap();
    let dirs = RunDirs::open(state.path()).unwrap();
    (state, dirs)
}

#[test]
fn a_prepared_run_is_complete_and_private() {
    let (_state, dirs) = dirs();
    assert_eq!(dirs.standing(&run(1)).unwrap(), Standing::Missing);
    let paths = dirs.prepare(&spec(run(1))).unwrap();
    assert_eq!(dirs.standing(&run(1)).unwrap(), Standing::Prepared);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(paths.dir()), 0o700);
    let files = [
        paths.spec(),
        paths.input(),
        paths.output(),
        paths.errors(),
        paths.record(),
        paths.bell(),
    ];
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    let read: Spec = serde_json::from_slice(&std::fs::read(paths.spec()).unwrap()).unwrap();
    assert_eq!(read, spec(run(1)));
    assert!(dirs.prepare(&spec(run(1))).is_err(), "made twice");
    assert_eq!(dirs.standing(&run(1)).unwrap(), Standing::Prepared);
    assert_eq!(dirs.list(), [run(1)]);
}

#[test]
fn what_a_killed_daemon_left_half_made_is_cleared_away() {
    let (state, dirs) = dirs();
    let root = state.path().join("runs");
    for name in [".new-aaaa", ".old-aaaa"] {
        std::fs::create_dir(root.join(name)).unwrap();
        std::fs::write(root.join(name).join("spec.json"), "{").unwrap();
    }
    assert!(dirs.list().is_empty());
    drop(dirs);
    let dirs = RunDirs::open(state.path()).unwrap();
    assert_eq!(dirs.names(), [".lock"]);
}

#[test]
fn a_run_is_given_to_one_only() {
    let (_state, dirs) = dirs();
    let paths = dirs.prepare(&spec(run(1))).unwrap();
    // The receiver holds copies, as after SCM_RIGHTS.
    let give = |dirs: &RunDirs| {
        dirs.give(&run(1), |_, fds| {
            fds.iter().map(|fd| fd.try_clone_to_owned()).collect()
        })
    };
    let first: Vec<std::os::fd::OwnedFd> = give(&dirs).unwrap();
    assert_eq!(dirs.standing(&run(1)).unwrap(), Standing::Alive);
    assert!(matches!(give(&dirs), Err(Refusal::Never(_))));
    assert_eq!(dirs.withdraw(&run(1)).unwrap(), Standing::Alive);
    assert!(dirs.remove(&run(1)).is_err(), "a living run was deleted");

    // It dies without having taken it: as if nothing had happened.
    drop(first);
    assert_eq!(dirs.standing(&run(1)).unwrap(), Standing::Prepared);
    let second = give(&dirs).unwrap();

    // It takes it and dies: over.
    let mut record = File::from(second.into_iter().nth(3).unwrap());
    record.write_all(b"\n").unwrap();
    assert_eq!(dirs.standing(&run(1)).unwrap(), Standing::Over);
    assert!(matches!(give(&dirs), Err(Refusal::Never(_))));
    assert_eq!(dirs.withdraw(&run(1)).unwrap(), Standing::Over);
    assert_eq!(paths.read_record().unwrap(), Record::Taken);
    dirs.remove(&run(1)).unwrap();
    assert_eq!(dirs.standing(&run(1)).unwrap(), Standing::Missing);
}

#[test]
fn a_withdrawn_run_is_given_to_nobody() {
    let (_state, dirs) = dirs();
    dirs.prepare(&spec(run(1))).unwrap();
    for _ in 0..2 {
        assert_eq!(dirs.withdraw(&run(1)).unwrap(), Standing::Withdrawn);
    }
    let given = dirs.give(&run(1), |_, _| Ok(()));
    assert!(matches!(
        given,
        Err(Refusal::Never("the run was withdrawn"))
    ));
}

#[test]
fn a_spec_that_is_damaged_or_of_another_run_is_not_given() {
    let (_state, dirs) = dirs();
    let paths = dirs.prepare(&spec(run(1))).unwrap();
    std::fs::write(paths.spec(), wire::line(&spec(run(2)))).unwrap();
    assert!(dirs.give(&run(1), |_, _| Ok(())).is_err());
    std::fs::write(paths.spec(), "{").unwrap();
    assert!(dirs.give(&run(1), |_, _| Ok(())).is_err());
}

#[test]
fn a_second_daemon_is_refused_until_the_first_lets_go() {
    let (state, dirs) = dirs();
    let refused = RunDirs::open(state.path()).unwrap_err().to_string();
    assert!(refused.contains("another telexd"), "{refused}");
    dirs.unlock();
    RunDirs::open(state.path()).unwrap();
}

#[test]
fn records_are_read() {
    let over = |exit, by_signal| Record::Over(Some(Ended { exit, by_signal }));
    assert_eq!(Record::parse(b""), Record::Untouched);
    assert_eq!(Record::parse(b"\n"), Record::Taken);
    assert_eq!(Record::parse(b"\n{\"how\":\"co"), Record::Taken);
    assert_eq!(
        Record::parse(b"\n{\"how\":\"code\",\"code\":3}\n"),
        over(Exit::Code { code: 3 }, false)
    );
    assert_eq!(Record::parse(b"\nnonsense\n"), Record::Over(None));
}

proptest! {
    #[test]
    fn no_record_makes_it_panic(bytes: Vec<u8>) {
        let _ = Record::parse(&bytes);
    }
}

#[test]
fn a_run_knows_its_profile_and_its_boot() {
    let state = tempfile::tempdir().unwrap();
    let dirs = RunDirs::open(state.path()).unwrap();
    let strict = Profile::parse("strict").unwrap();
    let wanted = Spec {
        profile: strict.clone(),
        ..spec(run(3))
    };
    let paths = dirs.prepare(&wanted).unwrap();
    let about = dirs.about(&run(3));
    assert_eq!(about.profile, strict);
    assert!(!about.is_of_another_boot());
    // The spec itself is read as it was given.
    let read: Spec = serde_json::from_slice(&std::fs::read(paths.spec()).unwrap()).unwrap();
    assert_eq!(read, wanted);
    let earlier = About {
        boot: Some("0123456789abcdef".to_owned()),
        ..about
    };
    assert!(earlier.is_of_another_boot());
    assert_eq!(dirs.about(&run(4)), About::default());
}
