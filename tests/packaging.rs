//! What is installed beside the programs tells the same story as they do: manual pages, settings, units, polkit rule.
//! What systemd and dpkg make of it is tested in `tests/system`.

// The lint allows it in tests, but not in functions beside them.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use telexd::{
    cli::exit,
    config::{
        fragments::{Fragment, KEYS},
        inputs,
        runtime::{AFTER_RESTART, FILES_ONLY},
    },
    core::ids::RunId,
};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The keys that `telexd.toml(5)` has an item for, with what it says.
fn documented() -> BTreeMap<(String, String), String> {
    let page = text("docs/man/telexd.toml.5");
    let (mut section, mut key, mut found) = (String::new(), None, BTreeMap::new());
    // Lists within what is said of a key.
    let mut inner = 0;
    for line in page.lines() {
        if key.is_some() && (line.starts_with(".Bl ") || inner > 0 && line == ".El") {
            inner = if line == ".El" { inner - 1 } else { inner + 1 };
            continue;
        }
        if let Some(name) = line.strip_prefix(".Ss Section ") {
            (section, key) = (name.to_owned(), None);
        } else if line.starts_with(".Sh ") || line == ".El" {
            key = None;
        } else if let Some(name) = line.strip_prefix(".It Ic ") {
            let name = (section.clone(), name.to_owned());
            assert_eq!(
                found.insert(name.clone(), String::new()),
                None,
                "{name:?} twice"
            );
            key = Some(name);
        } else if let Some(key) = &key {
            *found.get_mut(key).unwrap() += &format!("{line} ");
        }
    }
    found
}

#[test]
fn every_setting_is_in_its_manual_page_with_its_default() {
    let documented = documented();
    let known: BTreeSet<_> = KEYS
        .iter()
        .map(|(section, name)| ((*section).to_owned(), (*name).to_owned()))
        .collect();
    let there: BTreeSet<_> = documented.keys().cloned().collect();
    assert_eq!(there, known);
    for entry in Fragment::defaults().entries() {
        let about = &documented[&(entry.section.to_owned(), entry.name.to_owned())];
        let Some((value, _)) = entry.value else {
            continue;
        };
        let wanted = match value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
            Some("") => "Default: empty. ".to_owned(),
            Some(text) => format!("Default: .Qq {text} . "),
            None if matches!(value.as_str(), "[]" | "{}") => {
                let whom = if matches!(entry.section, "approvals" | "alerts") {
                    "nothing"
                } else {
                    "nobody"
                };
                format!("Default: {whom}. ")
            }
            None => format!("Default: {value}. "),
        };
        assert!(
            about.ends_with(&wanted),
            "{}.{}: {about:?} does not end with {wanted:?}",
            entry.section,
            entry.name
        );
    }
}

/// The keys that telexd.toml(5) names between these two lines.
fn named(from: &str, to: &str) -> BTreeSet<String> {
    let page = text("docs/man/telexd.toml.5");
    let (_, rest) = page.split_once(from).unwrap();
    let (found, _) = rest.split_once(to).unwrap();
    found
        .lines()
        .filter_map(|line| line.strip_prefix(".Ic "))
        .flat_map(|line| line.split([' ', ',']))
        .filter(|word| word.contains('.') && word.len() > 1)
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_only_the_files_may_set_and_what_holds_after_a_restart_is_in_the_manual_page() {
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    let restart = "What is read at the start only";
    let only: BTreeSet<String> = keys(FILES_ONLY);
    assert_eq!(named("Set in files only:\n", restart), only);
    let later: BTreeSet<String> = keys(AFTER_RESTART);
    assert_eq!(named(restart, ".Sh EXAMPLES"), later);
}

/// What a program says to these arguments.
fn help_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What the daemon's program says to these arguments.
fn help(arguments: &[&str]) -> String {
    help_of(env!("CARGO_BIN_EXE_telexd"), arguments)
}

/// First words of the indented lines below a heading.
fn listed(help: &str, heading: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .filter(|line| !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_verb_option_and_exit_code_is_in_the_manual_page() {
    let page = text("docs/man/telexd.8");
    let overall = help(&["--help"]);
    let verbs = listed(&overall, "Commands:");
    assert!(verbs.contains(&"run".to_owned()), "{overall}");
    let mut helps = vec![overall.clone()];
    for verb in &verbs {
        assert!(
            page.contains(&format!("\n.It Cm {verb}\n")),
            "telexd(8) has nothing about `telexd {verb}`"
        );
        if verb != "help" {
            helps.push(help(&[verb, "--help"]));
        }
    }
    for word in helps.iter().flat_map(|help| help.split_whitespace()) {
        let Some(option) = word.trim_end_matches(',').strip_prefix("--") else {
            continue;
        };
        let option = option.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        assert!(
            page.contains(&format!("Fl -{option}")),
            "telexd(8) has nothing about --{option}"
        );
    }
    codes_are_told(&overall, &page);
}

/// The exit codes that `--help` lists are those of the page.
fn codes_are_told(overall: &str, page: &str) {
    let codes = listed(overall, "Exit codes:");
    assert!(codes.len() >= 4, "{overall}");
    let status = page.split(".Sh EXIT STATUS").nth(1).unwrap();
    let status = status.split(".Sh ").next().unwrap();
    let told: Vec<_> = status
        .lines()
        .filter_map(|line| line.strip_prefix(".It "))
        .map(str::to_owned)
        .collect();
    assert_eq!(told, codes);
}

#[test]
fn telexctls_verbs_options_and_exit_codes_are_in_its_manual_page() {
    let page = text("docs/man/telexctl.1");
    let say = |arguments: &[&str]| help_of(env!("CARGO_BIN_EXE_telexctl"), arguments);
    let overall = say(&["--help"]);
    let mut helps = vec![(String::new(), overall.clone())];
    for verb in listed(&overall, "Commands:") {
        if verb == "help" {
            continue;
        }
        let help = say(&[&verb, "--help"]);
        for sub in listed(&help, "Commands:") {
            if sub != "help" {
                helps.push((format!("{verb} {sub}"), say(&[&verb, &sub, "--help"])));
            }
        }
        helps.push((verb, help));
    }
    assert!(helps.len() > 3, "{overall}");
    let items: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix(".It "))
        .map(|item| item.replace("Xo ", "").replace("Op Cm ", ""))
        .collect();
    for (verb, help) in &helps {
        let start = format!("Cm {verb}");
        let told = |item: &String| *item == start || item.starts_with(&format!("{start} "));
        assert!(
            verb.is_empty() || items.iter().any(told),
            "telexctl(1) has nothing about `telexctl {verb}`"
        );
        for word in help.split_whitespace() {
            let Some(option) = word.trim_end_matches(',').strip_prefix("--") else {
                continue;
            };
            let option = option.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            assert!(
                page.contains(&format!("Fl -{option}")),
                "telexctl(1) has nothing about --{option}"
            );
        }
    }
    codes_are_told(&overall, &page);
}

/// The lines of the shipped settings file that set something once the comment sign is taken away, each with whether it is
/// an example, that is not the default.
fn commented_settings() -> Vec<(String, bool)> {
    let mut before = "";
    let mut found = Vec::new();
    let file = text("packaging/telexd.toml");
    for line in file.lines() {
        if let Some(setting) = line.strip_prefix('#')
            && setting.starts_with(|c: char| c.is_ascii_lowercase())
        {
            found.push((setting.to_owned(), before.ends_with("Example:")));
        } else if line.starts_with('[') {
            found.push((line.to_owned(), false));
        }
        before = line;
    }
    found
}

fn read(settings: &str) -> inputs::Inputs {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("telexd.toml");
    fs::write(&file, settings).unwrap();
    let inputs = inputs::read(&file);
    let problems: Vec<_> = inputs.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, [""; 0]);
    inputs
}

fn values(fragment: &Fragment) -> Vec<(&'static str, &'static str, Option<String>)> {
    let entries = fragment.entries().into_iter();
    entries
        .map(|e| (e.section, e.name, e.value.map(|v| v.0)))
        .collect()
}

#[test]
fn the_shipped_settings_are_the_defaults() {
    let defaults = values(&Fragment::defaults());
    // As it is shipped it says nothing.
    assert_eq!(
        values(&read(&text("packaging/telexd.toml")).merged),
        defaults
    );
    let join = |examples: bool| {
        let lines = commented_settings().into_iter();
        let lines = lines.filter(|(_, example)| examples || !example);
        lines.map(|(line, _)| line + "\n").collect::<String>()
    };
    // What is commented out is what holds.
    assert_eq!(values(&read(&join(false)).merged), defaults);
    // Every key is there, and every example is right.
    let all = read(&join(true));
    for entry in all.merged.entries() {
        let told = entry
            .value
            .is_some_and(|(_, origin)| origin.to_string().contains("telexd.toml"));
        assert!(told, "{}.{} is not in it", entry.section, entry.name);
    }
}

#[test]
fn the_shipped_variables_of_agents_are_comments() {
    for line in text("packaging/agent.env").lines() {
        assert!(line.is_empty() || line.starts_with('#'), "{line}");
    }
}

/// What a unit file sets, in order.
fn unit(name: &str) -> Vec<(String, String)> {
    text(&format!("systemd/{name}"))
        .lines()
        .filter(|line| !line.starts_with(['#', ';', '[']))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Every value of a key.
fn all<'a>(unit: &'a [(String, String)], key: &str) -> Vec<&'a str> {
    let found = unit.iter().filter(|(k, _)| k == key);
    found.map(|(_, value)| &**value).collect()
}

/// Names of the shipped templates of agents.
fn templates() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(path("systemd"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("telexd-agent") && name.ends_with("@.service"))
        .collect();
    names.sort();
    names
}

#[test]
fn the_daemon_is_not_started_again_where_that_cannot_help() {
    let unit = unit("telexd.service");
    assert_eq!(
        all(&unit, "RestartPreventExitStatus"),
        [format!("{} {}", exit::USAGE, exit::CONFIG)]
    );
    // And it is, without a word of failure, where an administrator ordered that.
    for key in ["SuccessExitStatus", "RestartForceExitStatus"] {
        assert_eq!(all(&unit, key), [exit::RESTART.to_string()], "{key}");
    }
}

#[test]
fn profiles_differ_only_in_what_agents_may_do() {
    const SAME: &[&str] = &[
        "CollectMode",
        "Type",
        "ExecStart",
        "Slice",
        "User",
        "LoadCredential",
        "SetCredential",
        "Environment",
        "Restart",
        "KillMode",
        "TimeoutStopSec",
        "SendSIGKILL",
        "MemoryMax",
        "TasksMax",
        "CPUWeight",
        "RuntimeMaxSec",
        "OOMPolicy",
        "OOMScoreAdjust",
        "LimitCORE",
        "PrivateTmp",
    ];
    let first = unit("telexd-agent@.service");
    for name in templates() {
        let unit = unit(&name);
        for key in SAME {
            assert_eq!(all(&unit, key), all(&first, key), "{key} of {name}");
            assert!(!all(&unit, key).is_empty(), "{key} of {name}");
        }
        // It ends every JavaScript engine.
        assert_eq!(all(&unit, "MemoryDenyWriteExecute"), [""; 0], "{name}");
    }
}

#[test]
fn the_manual_page_knows_the_limits_of_agents() {
    let page = text("docs/man/telexd.8");
    for (name, key) in [
        ("telexd-agent@.service", "MemoryMax"),
        ("telexd-agent@.service", "TasksMax"),
        ("telexd-agent@.service", "RuntimeMaxSec"),
        ("telexd-agents.slice", "MemoryMax"),
    ] {
        let limit = format!(".Ql {key}={} ", all(&unit(name), key)[0]);
        assert!(page.replace('\n', " ").contains(&limit), "{limit}");
    }
}

/// A rule that matched an instance of a template that is not installed would let the daemon become root on systemd 257.
#[test]
fn the_polkit_rule_names_the_shipped_templates_and_no_others() {
    let rule = text("dbus/50-telexd.rules");
    let start = rule.find("/^").unwrap();
    let pattern = &rule[start..start + rule[start..].find("$/").unwrap() + 2];
    let id = RunId::from_random([0x5a; RunId::LEN]).to_string();
    assert_eq!(id.len(), 16);
    let (profiles, rest) = pattern
        .strip_prefix("/^telexd-agent(")
        .unwrap()
        .split_once(")?")
        .unwrap();
    assert_eq!(rest, r"@[a-z2-7]{16}\.service$/");
    let mut named: Vec<_> = profiles
        .split('|')
        .chain([""])
        .map(|profile| format!("telexd-agent{profile}@.service"))
        .collect();
    named.sort();
    assert_eq!(named, templates());
    let installed = text("packaging/debian/telexd.install");
    for name in named {
        assert!(installed.contains(&format!("systemd/{name} ")), "{name}");
    }
}

/// Values of an attribute in an XML text.
fn attributes<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!("{name}=\"");
    xml.split(&*start)
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect()
}

#[test]
fn the_bus_policy_the_actions_and_the_unit_speak_of_the_same_name_users_and_actions() {
    let service = unit("telexd.service");
    let name = telexd::dbus::NAME;
    assert_eq!(all(&service, "BusName"), [name]);
    let made = text("systemd/sysusers.d/telexd.conf");
    let policy = text("dbus/org.telexd1.conf");
    for (kind, letter) in [("user", 'u'), ("group", 'g')] {
        for who in attributes(&policy, &format!("policy {kind}")) {
            let line = format!("\n{letter} {who} ");
            assert!(who == "root" || made.contains(&line), "{kind} {who}");
        }
    }
    let owner = all(&service, "User")[0];
    let own = format!("<policy user=\"{owner}\">\n    <allow own=\"{name}\"/>");
    assert!(policy.contains(&own) && policy.matches("allow own").count() == 1);
    let actions = text("dbus/org.telexd1.policy");
    let known: Vec<_> = telexd::dbus::Action::ALL
        .map(telexd::dbus::Action::id)
        .into();
    assert_eq!(attributes(&actions, "action id"), known);
    let annotation =
        format!("<annotate key=\"org.freedesktop.policykit.owner\">unix-user:{owner}</annotate>");
    assert_eq!(actions.matches(&annotation).count(), known.len());
    let page = text("docs/man/org.telexd1.5");
    for id in known {
        assert!(page.contains(&format!(".It Cm {id}\n")), "{id}");
    }
    let installed = text("packaging/debian/telexd.install");
    for file in fs::read_dir(path("dbus")).unwrap() {
        let file = file.unwrap().file_name().into_string().unwrap();
        assert!(installed.contains(&format!("dbus/{file} ")), "{file}");
    }
}

/// Each member of the interface has an item in its manual page, and nothing else has.
#[test]
fn every_member_of_the_bus_interface_is_in_its_manual_page() {
    let xml = text("dbus/org.telexd1.xml");
    let page = text("docs/man/org.telexd1.5");
    for method in attributes(&xml, "method name") {
        assert!(page.contains(&format!("\n.It Fn {method} ")), "{method}");
    }
    for property in attributes(&xml, "property name") {
        assert!(page.contains(&format!("Va {property} ")), "{property}");
    }
    for signal in attributes(&xml, "signal name") {
        assert!(page.contains(&format!("\n.It Sy {signal} ")), "{signal}");
    }
    let items = |start: &str| page.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(items(".It Fn "), attributes(&xml, "method name").len());
    assert_eq!(items(".It Sy "), attributes(&xml, "signal name").len());
}

#[test]
fn every_user_of_a_unit_is_made() {
    let made = text("systemd/sysusers.d/telexd.conf");
    for name in templates()
        .iter()
        .map(String::as_str)
        .chain(["telexd.service", "telexd-alert@.service"])
    {
        let unit = unit(name);
        let users = all(&unit, "User");
        assert_eq!(users.len(), 1, "{name}");
        assert!(made.contains(&format!("\nu {} ", users[0])), "{name}");
    }
}

/// Methods that `telexctl` calls, as its sources have them.
fn called() -> BTreeSet<String> {
    let calls = [
        "telexd(",
        "telexd::<_, String>(",
        "list(",
        "list_of(",
        "list_with(",
        "answer(",
    ];
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(path("src/ctl/verbs")).unwrap() {
        let file = entry.unwrap().path();
        if !file.is_file() {
            continue;
        }
        let source = fs::read_to_string(file).unwrap();
        for (at, call) in calls.iter().flat_map(|call| source.match_indices(call)) {
            let (before, rest) = source[at + call.len()..]
                .split_once('"')
                .unwrap_or_default();
            let name = rest.split('"').next().unwrap();
            if !before.contains([';', '{']) && name.starts_with(|c: char| c.is_ascii_uppercase()) {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

#[test]
fn telexctl_calls_only_what_the_interface_promises() {
    let promised = text("dbus/org.telexd1.xml");
    let called = called();
    assert!(
        called.contains("Health") && called.contains("Pause"),
        "{called:?}"
    );
    for method in called {
        assert!(
            promised.contains(&format!("<method name=\"{method}\"")),
            "there is no method {method}"
        );
    }
}
