use proptest::prelude::*;

use super::*;

const TOKEN: &str = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawX";

fn base(more: &str) -> Base {
    let said = crate::config::reading::read(
        Path::new("/etc/telexd/telexd.toml"),
        &format!("agent.directory = \"/srv/project\"\n{more}"),
    );
    assert!(said.problems.is_empty(), "{:?}", said.problems);
    Base {
        file: "/etc/telexd/telexd.toml".into(),
        files: Fragment::defaults().then(said.fragment),
        token: Token::parse(TOKEN).unwrap(),
        bus: None,
    }
}

fn none() -> Stored {
    Stored::new()
}

#[test]
fn values_as_people_write_them() {
    let base = base("");
    for (key, value, toml) in [
        ("agent.model", "opus", "\"opus\""),
        ("agent.model", "\"opus\"", "\"opus\""),
        ("AGENT.Model", " 'opus' ", "\"opus\""),
        ("agent.max_processes", "7", "7"),
        ("agent.trust_project", "on", "true"),
        ("agent.trust_project", "OFF", "false"),
        ("agent.trust_project", "true", "true"),
        ("features.batching", "off", "false"),
        ("features.batching", "[1002]", "[1002]"),
        ("access.users", "[3, 1]", "[3, 1]"),
        ("log.level", "debug", "\"debug\""),
        ("agent.profile", "", "\"\""),
        ("agent.permission_mode", "plan", "\"plan\""),
        (
            "access.profiles",
            "{ \"7\" = \"strict\" }",
            "{ \"7\" = \"strict\" }",
        ),
    ] {
        let (key, after) = base.change(&none(), key, Some(value)).unwrap();
        assert_eq!(
            after.get(&key).map(String::as_str),
            Some(toml),
            "{key} {value}"
        );
        assert!(base.settings(&after).is_ok());
    }
}

#[test]
fn what_cannot_be_taken_is_told_with_what_can() {
    let base = base("batching.max_ms = 5000\n");
    for (key, value, part) in [
        (
            "agent.max_processes",
            "0",
            "0 is too small; give a whole number from 1 to 1000",
        ),
        ("agent.max_processes", "many", "expected a whole number"),
        ("agent.max_processes", "7.5", "expected a whole number"),
        ("agent.trust_project", "maybe", "expected true or false"),
        ("log.level", "loud", "`loud` is not a choice"),
        ("log.level", "debgu", "did you mean \"debug\"?"),
        ("agent.model", "", "is empty"),
        ("agent.model", "a b", "white space"),
        ("agent.model", "a\nb = 1", "a line break"),
        ("agent.model", "x\u{202e}", "control character"),
        ("agent.model", TOKEN, "looks like the bot token"),
        ("agent.directory", "srv", "absolute path"),
        ("access.users", "[-1]", "a group or channel"),
        ("access.users", "1002", "a list of Telegram user ids"),
        ("features.batching", "[x]", "true, false or a list"),
        // Together with what the files say.
        (
            "batching.idle_ms",
            "9000",
            "batching.idle_ms 9000 is more than batching.max_ms, 5000",
        ),
    ] {
        let Err(Refused::Value {
            key: _,
            what,
            remedy,
        }) = base.change(&none(), key, Some(value))
        else {
            panic!("{key} {value:?} was taken");
        };
        let told = format!("{what}; {remedy}");
        assert!(told.contains(part), "{key} {value:?}: {told}");
        assert!(!told.contains("AAHd") && !told.contains('\n'), "{told}");
    }
    let long = "x".repeat(1_000_000);
    assert!(matches!(
        base.change(&none(), "agent.model", Some(&long)),
        Err(Refused::Value { .. })
    ));
}

#[test]
fn keys_that_there_are_not_lead_to_the_nearest() {
    let base = base("");
    for (given, near) in [
        ("agent.modle", "agent.model"),
        ("model", "agent.model"),
        ("log.levle", "log.level"),
        ("features.batch", "features.batching"),
        ("stale-after-s", "messages.stale_after_s"),
    ] {
        let Err(Refused::NoSuchKey { nearest, .. }) = base.change(&none(), given, Some("1")) else {
            panic!("{given} was taken");
        };
        assert!(
            nearest[0] == near && nearest.len() == 3,
            "{given}: {nearest:?}"
        );
    }
    let Err(Refused::NoSuchKey { given, .. }) = base.one(&none(), &"x".repeat(1_000_000)) else {
        panic!("there is no such key");
    };
    assert!(given.len() < 100);
}

#[test]
fn what_rules_the_daemon_is_set_in_files_alone() {
    let base = base("");
    for key in FILES_ONLY {
        assert!(matches!(
            base.change(&none(), key, Some("\"/x\"")),
            Err(Refused::FilesOnly { .. })
        ));
        // Also where it stands in the database, however it came there.
        let stored = Stored::from([((*key).to_owned(), "\"/x\"".to_owned())]);
        assert_eq!(base.merged(&stored), base.files, "{key}");
    }
    for key in FILES_ONLY.iter().chain(AFTER_RESTART) {
        assert!(find(key).is_ok(), "{key}");
    }
}

#[test]
fn run_time_holds_over_files_and_those_over_defaults() {
    let base = base("agent.model = \"haiku\"\nagent.max_processes = 2\n");
    let (_, stored) = base.change(&none(), "agent.model", Some("opus")).unwrap();
    let one = |stored: &Stored, key: &str| base.one(stored, key).unwrap();
    let model = one(&stored, "agent.model");
    assert_eq!(
        model.entry.value,
        Some(("\"opus\"".to_owned(), Origin::RunTime))
    );
    assert_eq!(model.default, None);
    let places = one(&stored, "agent.max_processes");
    let (value, origin) = places.entry.value.unwrap();
    assert_eq!(
        (value.as_str(), places.default.as_deref()),
        ("2", Some("4"))
    );
    assert!(origin.to_string().ends_with("telexd.toml:3"), "{origin}");
    assert_eq!(base.list(&stored).len(), KEYS.len());
    assert_eq!(
        base.settings(&stored).unwrap().agent.model.as_deref(),
        Some("opus")
    );
    // Taken back.
    let (_, stored) = base.change(&stored, "agent.model", None).unwrap();
    assert_eq!(stored, none());
    assert_eq!(
        base.settings(&stored).unwrap().agent.model.as_deref(),
        Some("haiku")
    );
}

#[test]
fn changes_that_do_not_go_with_other_files_any_more_are_left_out() {
    let stored = base("")
        .change(&none(), "batching.idle_ms", Some("9000"))
        .and_then(|(_, stored)| base("").change(&stored, "agent.model", Some("opus")))
        .unwrap()
        .1;
    let (settings, left) = base("batching.max_ms = 5000\n").settings_as_far(&stored);
    let settings = settings.unwrap();
    assert_eq!(left, ["batching.idle_ms"]);
    assert_eq!(settings.batching.idle_ms, 4000);
    assert_eq!(settings.agent.model.as_deref(), Some("opus"));
    // One that cannot be read changes nothing.
    let odd = Stored::from([
        ("agent.max_processes".to_owned(), "[[".to_owned()),
        ("no.key".to_owned(), "1".to_owned()),
        ("agent.idle_timeout_s".to_owned(), "0".to_owned()),
    ]);
    assert_eq!(base("").merged(&odd), base("").files);
}

proptest! {
    #[test]
    fn whatever_is_given_what_is_taken_holds(at in any::<prop::sample::Index>(), value: String) {
        let base = base("");
        let (section, name) = at.get(KEYS);
        if let Ok((key, stored)) = base.change(&none(), &format!("{section}.{name}"), Some(&value)) {
            prop_assert!(base.settings(&stored).is_ok());
            let (toml, origin) = base.one(&stored, &key).unwrap().entry.value.unwrap();
            prop_assert_eq!(&toml, &stored[&key]);
            prop_assert_eq!(origin, Origin::RunTime);
            // What is stored reads back as itself.
            let again = base.change(&none(), &key, Some(&toml)).unwrap().1;
            prop_assert_eq!(again, stored);
        }
    }

    #[test]
    fn any_key_is_answered(key: String) {
        let _ = base("").change(&none(), &key, Some("1"));
    }
}
