use std::{os::unix::fs::symlink, time::Duration};

use super::{
    fragments::{Fragment, KEYS},
    inputs::drop_in_directory,
    *,
};
use crate::core::{
    alerts::{Alert, Quiet},
    batching::WindowRule,
    flag::Flag,
    policy::{Approvers, Role},
};

const TOKEN: &str = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawX";

/// A configuration in a directory of its own.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(main: &str) -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        place.write("telexd.toml", main);
        place.write("token", TOKEN);
        fs::set_permissions(place.path("token"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::create_dir(drop_in_directory(&place.file())).unwrap();
        place
    }

    /// With all that must be there, and more.
    fn whole(more: &str) -> Self {
        let place = Self::new("");
        let token = place.path("token");
        let (token, dir) = (token.display(), place.dir.path().display());
        place.write(
            "telexd.toml.d/00-base.toml",
            &format!(
                "telegram.token_file = \"{token}\"\naccess.admins = [1001]\nagent.directory = \"{dir}\"\n"
            ),
        );
        place.write("telexd.toml", more);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("telexd.toml")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn load(&self) -> Result<Loaded, Problems> {
        load(&self.file(), &Surroundings::default())
    }

    /// Problems, a line each, with the directory cut off.
    fn problems(&self) -> Vec<String> {
        match self.load() {
            Ok(_) => Vec::new(),
            Err(problems) => self.lines(&problems.0),
        }
    }

    fn lines(&self, problems: &[Problem]) -> Vec<String> {
        let dir = format!("{}/", self.dir.path().display());
        problems
            .iter()
            .map(|problem| problem.to_string().replace(&dir, ""))
            .collect()
    }
}

/// `bad_inputs.txt`: inputs, each followed by the messages that it brings (`=> …`), parted by `----`.
#[test]
fn every_bad_input_is_told_with_line_and_remedy() {
    let cases = include_str!("bad_inputs.txt");
    assert!(cases.split("----\n").count() > 60);
    for case in cases.split("----\n") {
        let place = Place::whole(case.split("=> ").next().unwrap());
        let told: Vec<_> = case
            .lines()
            .filter_map(|line| line.strip_prefix("=> "))
            .collect();
        assert!(!told.is_empty(), "{case}");
        assert_eq!(place.problems(), told, "{case}");
    }
}

#[test]
fn a_whole_configuration() {
    let place = Place::whole("");
    place.write(
        "telexd.toml.d/50.toml",
        r#"
        [telegram]
        api_url = "http://127.0.0.1:8081"
        poll_timeout_s = 5
        [access]
        admins = [1]
        users = [2, 3]
        [agent]
        command = "/usr/bin/claude"
        launcher = "systemd"
        trust_project = true
        idle_timeout_s = 7
        turn_timeout_s = 0
        first_output_timeout_s = 10
        silence_timeout_s = 11
        after_result_timeout_s = 12
        max_processes = 2
        model = "opus"
        permission_mode = "plan"
        modes = ["dontAsk", "plan", "plan"]
        approval_timeout_s = 8
        who_approves = "admin"
        output_limit_mb = 3
        [state]
        directory = "/tmp/state"
        [batching]
        first_ms = 1
        idle_ms = 2
        parts_ms = 4
        max_parts = 5
        max_kb = 17
        max_ms = 3
        [features]
        batching = true
        [messages]
        stale_after_s = 4
        [log]
        level = "debug"
        [health]
        listen = "127.0.0.1:9464"
        write_ms = 8
        queue_s = 9
        disk_free_mb = 10
        out_of_memory = 11
        [alerts]
        off = ["queue", "crash", "queue"]
        quiet = "22:00 - 07:00"
        time_zone = "UTC"
        [delivery]
        chat_interval_ms = 5
        group_per_minute = 6
        overall_per_second = 7
        "#,
    );
    let Loaded {
        settings, warnings, ..
    } = place.load().unwrap();
    assert_eq!(place.lines(&warnings), Vec::<String>::new());
    assert_eq!(settings.telegram.token.expose(), TOKEN);
    assert_eq!(settings.telegram.api_url.as_str(), "http://127.0.0.1:8081/");
    assert_eq!(settings.telegram.poll_timeout.as_secs(), 5);
    assert_eq!(settings.access.role_of_id(1), Role::Admin);
    assert_eq!(
        settings.access.role_of_id(1001),
        Role::Nobody,
        "lists are replaced"
    );
    assert_eq!(settings.access.role_of_id(3), Role::User);
    assert_eq!(
        settings.agent,
        Agent {
            command: "/usr/bin/claude".to_owned(),
            directory: place.dir.path().to_owned(),
            launcher: Launcher::Systemd,
            environment_file: None,
            trust_project: true,
            idle_timeout: Duration::from_secs(7),
            turn_timeout: Duration::ZERO,
            first_output_timeout: Duration::from_secs(10),
            silence_timeout: Duration::from_secs(11),
            after_result_timeout: Duration::from_secs(12),
            max_processes: 2,
            model: Some("opus".to_owned()),
            permission_mode: PermissionMode::Plan,
            modes: vec![PermissionMode::DontAsk, PermissionMode::Plan],
            approval_timeout: Duration::from_secs(8),
            approvers: Approvers::Admin,
            output_limit: 3_000_000,
        }
    );
    assert_eq!(settings.state_directory, Path::new("/tmp/state"));
    let window = WindowRule {
        first_ms: 1,
        idle_ms: 2,
        max_ms: 3,
        parts_ms: 4,
        max_parts: 5,
        max_bytes: 17_000,
    };
    assert_eq!(settings.batching, window);
    assert_eq!(settings.stale_after.as_secs(), 4);
    assert_eq!(settings.log_level, LogLevel::Debug);
    assert_eq!(
        settings.health,
        Health {
            listen: Some(Listen::Tcp("127.0.0.1:9464".parse().unwrap())),
            write: Duration::from_millis(8),
            queue: Duration::from_secs(9),
            disk_free: 10_000_000,
            out_of_memory: 11,
        }
    );
    assert_eq!(
        settings.alerts,
        Alerts {
            off: [Alert::Crash, Alert::Queue].into(),
            quiet: Quiet::parse("22:00-07:00"),
            time_zone: Some("UTC".to_owned()),
        }
    );
    assert_eq!(
        settings.delivery,
        Delivery {
            chat_interval: Duration::from_millis(5),
            group_per_minute: 6,
            overall_per_second: 7,
        }
    );
    assert!(!format!("{settings:?}").contains("AAHd"));
}

#[test]
fn defaults() {
    let settings = Place::whole("").load().unwrap().settings;
    assert_eq!(
        settings.telegram.api_url.as_str(),
        "https://api.telegram.org/"
    );
    assert_eq!(settings.telegram.poll_timeout.as_secs(), 30);
    assert_eq!(settings.agent.command, "claude");
    assert_eq!(settings.agent.launcher, Launcher::Auto);
    assert_eq!(settings.agent.idle_timeout.as_secs(), 600);
    assert_eq!(settings.agent.turn_timeout.as_secs(), 3600);
    assert_eq!(settings.agent.first_output_timeout.as_secs(), 180);
    assert_eq!(settings.agent.silence_timeout.as_secs(), 600);
    assert_eq!(settings.agent.after_result_timeout.as_secs(), 30);
    assert_eq!(settings.agent.max_processes, 4);
    assert_eq!(settings.agent.permission_mode.as_str(), "default");
    assert_eq!(
        settings.agent.modes,
        [
            PermissionMode::Default,
            PermissionMode::AcceptEdits,
            PermissionMode::Plan
        ]
    );
    assert_eq!(settings.agent.approval_timeout.as_secs(), 600);
    assert_eq!(settings.agent.approvers, Approvers::AdminOrAuthor);
    assert_eq!(settings.agent.output_limit, 256_000_000);
    assert!(!settings.agent.trust_project);
    assert_eq!(settings.agent.model, None);
    assert_eq!(settings.state_directory, Path::new("/var/lib/telexd"));
    assert_eq!(settings.batching, WindowRule::default());
    assert_eq!(settings.stale_after.as_secs(), 600);
    assert_eq!(settings.log_level, LogLevel::Info);
    assert_eq!(settings.bus, choices::Bus::Auto);
    assert_eq!(settings.delivery.chat_interval.as_millis(), 1000);
    assert_eq!(settings.delivery.group_per_minute, 20);
    assert_eq!(settings.delivery.overall_per_second, 30);
}

/// Only these may be absent when nobody says anything; [`settings::Draft::with_token`] relies on it.
#[test]
fn every_other_key_has_a_default() {
    let unset: Vec<_> = Fragment::defaults()
        .entries()
        .into_iter()
        .filter(|entry| entry.value.is_none())
        .map(|entry| format!("{}.{}", entry.section, entry.name))
        .collect();
    let wanted = [
        "telegram.token_file",
        "telegram.proxy",
        "telegram.proxy_login_file",
        "telegram.local_files",
        "agent.directory",
        "agent.environment_file",
        "agent.model",
        "conversation.stop_word",
        "files.transcriber",
        "messages.translation",
        "health.listen",
        "alerts.quiet",
        "alerts.time_zone",
    ];
    assert_eq!(unset, wanted);
    assert_eq!(Fragment::defaults().entries().len(), KEYS.len());
}

#[test]
fn batching_can_be_off() {
    let settings = Place::whole("features.batching = false")
        .load()
        .unwrap()
        .settings;
    assert_eq!(settings.features.batching, Flag::Off);
    assert_eq!(settings.features.stop_button, Flag::On);
    assert_eq!(settings.features.permission_buttons, Flag::On);
    let settings = Place::whole("features.batching = [7, 5]")
        .load()
        .unwrap()
        .settings;
    assert_eq!(settings.features.batching, Flag::For([5, 7].into()));
}

#[test]
fn later_files_hold_over_earlier_ones_key_by_key() {
    let place = Place::whole("[agent]\ncommand = \"main\"\nmax_processes = 9\n");
    place.write("telexd.toml.d/20-b.toml", "[agent]\ncommand = \"b\"\n");
    place.write(
        "telexd.toml.d/10-a.toml",
        "[agent]\ncommand = \"a\"\nmodel = \"a\"\n",
    );
    // None of these is read.
    place.write("telexd.toml.d/30-c.toml.bak", "nonsense");
    place.write("telexd.toml.d/.hidden.toml", "nonsense");
    place.write("telexd.toml.d/.toml", "nonsense");
    let agent = place.load().unwrap().settings.agent;
    assert_eq!(agent.command, "b");
    assert_eq!(agent.model.as_deref(), Some("a"));
    assert_eq!(agent.max_processes, 9);
}

#[test]
fn all_files_problems_are_told_together() {
    let place = Place::new("[agent]\nmax_processes = 0\n");
    place.write("telexd.toml.d/10.toml", "x = = 1\n[log]\nlevel = 3\n");
    place.write("telexd.toml.d/20.toml", "[agent]\nlauncher = \"x\"\n");
    assert_eq!(
        place.problems(),
        [
            "telexd.toml:2: agent.max_processes: 0 is too small; give a whole number from 1 to 1000 (processes)",
            "telexd.toml.d/10.toml:1:5: broken TOML: extra `=`, expected nothing; mend the line `x = = 1`",
            "telexd.toml.d/10.toml:3: log.level: expected one of \"error\", \"warn\", \"info\", \"debug\", \"trace\", found \
             the number `3`; write one of them, in quotes",
            "telexd.toml.d/20.toml:2: agent.launcher: `x` is not a choice; valid are \"auto\", \"systemd\", \"direct\"",
        ]
    );
}

#[test]
fn an_empty_file_lacks_what_must_be_there() {
    let directory = "telexd.toml: agent.directory: is not set; say where the agent works: directory = \"/srv/project\" \
                     under [agent]";
    let token = "telexd.toml: telegram.token_file: is not set, and this process has no systemd credentials to take the \
                 bot token from; as a service: give the unit LoadCredential=telegram-token:/etc/telexd/token; without \
                 systemd: set token_file under [telegram] to a file that this user alone can read";
    assert_eq!(Place::new("").problems(), [directory, token]);
    // A slip in one of the two does not hide that the other is missing, and is not told twice.
    assert_eq!(
        Place::new("[agent]\ndirectroy = \"/x\"\n").problems(),
        [
            "telexd.toml:2: agent: there is no key `directroy`; did you mean directory?",
            token
        ]
    );
    assert_eq!(
        Place::new("[telegram]\ntoken_file = 5\n").problems(),
        [
            "telexd.toml:2: telegram.token_file: expected an absolute path in quotes, found the number `5`; write it \
             whole, like \"/etc/telexd/token\"",
            directory
        ]
    );
}

#[test]
fn files_that_cannot_be_read() {
    let place = Place::whole("");
    fs::remove_file(place.file()).unwrap();
    assert_eq!(
        place.problems(),
        [
            "telexd.toml: cannot be read: no such file or directory; create it, or name another with --config; at least \
          [agent] directory must be set"
        ]
    );
    fs::create_dir(place.file()).unwrap();
    symlink("/nowhere/at/all", place.path("telexd.toml.d/90.toml")).unwrap();
    fs::write(place.path("telexd.toml.d/91.toml"), b"\n\nx = \"\xff\"\n").unwrap();
    place.write("telexd.toml.d/92.toml", &" ".repeat((1 << 20) + 1));
    assert_eq!(
        place.problems(),
        [
            "telexd.toml: cannot be read: not a regular file; it must be a TOML file in UTF-8",
            "telexd.toml.d/90.toml: cannot be read: no such file or directory; mend or remove the symbolic link",
            "telexd.toml.d/91.toml: cannot be read: line 3 is not UTF-8; it must be a TOML file in UTF-8",
            "telexd.toml.d/92.toml: cannot be read: larger than 1 MiB; it must be a TOML file in UTF-8",
        ]
    );
    fs::remove_dir_all(place.path("telexd.toml.d")).unwrap();
    place.write("telexd.toml.d", "");
    assert!(place.problems()[0].starts_with("telexd.toml.d: cannot be read: not a directory"));
}

#[test]
fn the_file_of_the_credential_is_checked_where_it_can_be_seen() {
    let place =
        Place::new("access.users = [1]\nagent.directory = \"/\"\nstate.directory = \"/tmp\"\n");
    let surroundings = Surroundings {
        unit_token: Some(place.path("unit-token")),
        ..Surroundings::default()
    };
    assert_eq!(
        place.lines(&check(&place.file(), &surroundings).unwrap()),
        [
            "telexd.toml: telegram.token_file: is not set, so the service has its bot token from a systemd credential, \
             which cannot be seen from here; write the token to /etc/telexd/token or name another source in the unit \
             (see telexd(8)), and run this as root; without systemd: set token_file under [telegram]"
        ]
    );
    place.write("unit-token", "not one");
    assert!(
        place.lines(&check(&place.file(), &surroundings).unwrap_err().0)[0]
            .starts_with("unit-token: ")
    );
    place.write("unit-token", "42:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawX");
    let owner_only = fs::Permissions::from_mode(0o600);
    fs::set_permissions(place.path("unit-token"), owner_only).unwrap();
    assert_eq!(check(&place.file(), &surroundings).unwrap(), []);
    // For running it does not count.
    assert!(load(&place.file(), &surroundings).is_err());
}

#[test]
fn the_credential_is_taken_where_no_file_is_named() {
    let place = Place::new("");
    place.write(
        "telexd.toml",
        &format!("agent.directory = \"{}\"", place.dir.path().display()),
    );
    let surroundings = Surroundings {
        credentials_directory: Some(place.dir.path().to_owned()),
        ..Surroundings::default()
    };
    let missing = load(&place.file(), &surroundings).unwrap_err();
    assert_eq!(
        place.lines(&missing.0),
        [
            "telegram-token: telegram.token_file: the bot token cannot be read: no such file or directory; give the unit \
          LoadCredential=telegram-token:/etc/telexd/token, or set token_file under [telegram]"
        ]
    );
    assert!(check(&place.file(), &surroundings).is_err());
    place.write("telegram-token", "\n");
    assert_eq!(
        place.lines(&load(&place.file(), &surroundings).unwrap_err().0),
        [
            "telegram-token: telegram.token_file: there is no bot token; write the token that @BotFather gave you: \
             install -m 0600 /dev/stdin /etc/telexd/token (paste it, then Ctrl-D), and run: systemctl restart telexd"
        ]
    );
    place.write("telegram-token", "42:credential\n");
    let loaded = load(&place.file(), &surroundings).unwrap();
    assert_eq!(loaded.settings.telegram.token.expose(), "42:credential");
    place.write("token", "43:file");
    let named = place.path("token");
    place.write(
        "telexd.toml.d/token.toml",
        &format!("telegram.token_file = \"{}\"", named.display()),
    );
    let loaded = load(&place.file(), &surroundings).unwrap();
    assert_eq!(loaded.settings.telegram.token.expose(), "43:file");
}

#[test]
fn a_check_by_hand_warns_of_a_token_that_only_the_service_sees() {
    let place =
        Place::new("access.users = [1]\nagent.directory = \"/\"\nstate.directory = \"/tmp\"\n");
    let warnings = check(&place.file(), &Surroundings::default()).unwrap();
    let lines = place.lines(&warnings);
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("telexd.toml: telegram.token_file: is not set"),
        "{lines:?}"
    );
    assert!(place.load().is_err());
}

#[test]
fn what_is_probably_not_meant_is_warned_of() {
    let place = Place::whole("");
    let environment = place.path("agent.env");
    place.write("agent.env", "KEY=1");
    fs::set_permissions(&environment, fs::Permissions::from_mode(0o644)).unwrap();
    place.write(
        "telexd.toml.d/99.toml",
        &format!(
            "telegram.api_url = \"http://example.org\"\naccess.admins = []\n[agent]\ndirectory = \"/nowhere/at/all\"\n\
             launcher = \"systemd\"\nenvironment_file = \"{}\"\npermission_mode = \"bypassPermissions\"\n[state]\n\
             directory = \"/nowhere\"\n",
            environment.display()
        ),
    );
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o666)).unwrap();
    let warnings = place.load().unwrap().warnings;
    let dir = place.dir.path().display();
    assert_eq!(
        place.lines(&warnings),
        [
            "telexd.toml: every user of this machine may change this file; run: chmod o-w telexd.toml",
            "telexd.toml.d/99.toml:2: access.admins: nobody may use the bot; list your Telegram user id: admins = [1001] \
             under [access]",
            "telexd.toml.d/99.toml:1: telegram.api_url: the bot token would travel through the network unencrypted; use \
             https",
            "telexd.toml.d/99.toml:7: agent.permission_mode: the agent asks nobody before it acts; be sure that its user \
             may do no harm",
            "telexd.toml.d/99.toml:6: agent.environment_file: is not used with launcher = \"systemd\"; give the agent's \
             unit LoadCredential= instead: systemctl edit telexd-agent@.service",
            "telexd.toml.d/99.toml:4: agent.directory: the agent would work inside the daemon's own state, /nowhere; keep \
             the two apart",
            "agent.env: agent.environment_file: the agent's keys are open to every user of this machine; run: chmod o= \
             agent.env",
            "telexd.toml.d/99.toml:4: agent.directory: /nowhere/at/all: no such file or directory; create it before the \
             agent is to work there",
        ],
        "{dir}"
    );
}

#[test]
fn a_rule_for_every_command_is_warned_of_wherever_it_stands() {
    let place = Place::whole("");
    place.write(
        "telexd.toml.d/99.toml",
        "[approvals]\nallow = [\"Bash\"]\nask = [\"Bash\"]\n[approvals.people.7]\nallow = [\"Bash(*)\"]\n\
         [approvals.profiles.open]\nallow = [\"Bash(ls:*)\"]\n",
    );
    let why = "every command is run without a question; name commands, like \"Bash(git status:*)\", or be sure that the \
               agent's user may do no harm";
    let expected = [(2, "allow"), (4, "people")]
        .map(|(line, key)| format!("telexd.toml.d/99.toml:{line}: approvals.{key}: {why}"));
    assert_eq!(place.lines(&place.load().unwrap().warnings), expected);
}

#[test]
fn what_a_start_would_stumble_over_is_warned_of_by_a_check() {
    let place = Place::whole("");
    place.write("file", "");
    let dir = place.dir.path().display();
    let surroundings = Surroundings {
        path: Some(place.path("bin").into()),
        ..Surroundings::default()
    };
    place.write(
        "telexd.toml.d/99.toml",
        &format!(
            "[agent]\nenvironment_file = \"{dir}/agent.env\"\ndirectory = \"{dir}/file\"\n[state]\ndirectory = \"{dir}/state\"\n"
        ),
    );
    assert_eq!(
        place.lines(&check(&place.file(), &surroundings).unwrap()),
        [
            "telexd.toml.d/99.toml:3: agent.directory: file: not a directory; name the directory in which the agent is \
             to work",
            "telexd.toml: agent.command: there is no program `claude` in the PATH of this user; install the agent, or \
             name its program by its absolute path",
            "telexd.toml.d/99.toml:2: agent.environment_file: agent.env: no such file or directory; no agent starts \
             without it: write its NAME=value lines, or take the key out",
            "telexd.toml.d/99.toml:5: state.directory: state: no such file or directory; telexd does not start without \
             it; make it for the USER that runs telexd, as root: install -d -m 0700 -o USER state; or name one that \
             this user can make, with directory under [state]",
        ],
    );
    // A start meets them itself.
    assert_eq!(place.load().unwrap().warnings.len(), 1);

    fs::create_dir(place.path("bin")).unwrap();
    for name in ["bin/claude", "agent.env"] {
        place.write(name, "");
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::create_dir(place.path("state")).unwrap();
    let left = check(&place.file(), &surroundings).unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    place.write(
        "telexd.toml.d/99.toml",
        &format!("agent.command = \"/nowhere/claude\"\nstate.directory = \"{dir}/state\"\n"),
    );
    assert_eq!(
        place.lines(&check(&place.file(), &surroundings).unwrap()),
        [
            "telexd.toml.d/99.toml:1: agent.command: /nowhere/claude: no such file or directory; install the agent, or \
             name its program by its absolute path"
        ]
    );
    // What a unit of systemd sees is not known here.
    place.write(
        "telexd.toml.d/99.toml",
        &format!("[agent]\ncommand = \"/nowhere/claude\"\nlauncher = \"systemd\"\n[state]\ndirectory = \"{dir}/state\"\n"),
    );
    assert!(check(&place.file(), &surroundings).unwrap().is_empty());
}

#[test]
fn a_proxy_is_taken_with_its_login_and_what_is_wrong_with_that_is_told() {
    let place =
        Place::whole("telegram.proxy = \"socks5h://proxy.lan:1080\"\ntelegram.ip = \"4\"\n");
    let loaded = load(&place.file(), &Surroundings::default()).unwrap();
    let proxy = loaded.settings.telegram.proxy.unwrap();
    assert_eq!(proxy.as_str(), "socks5h://proxy.lan:1080");
    assert_eq!(
        loaded.settings.telegram.ip,
        crate::core::ip::IpVersion::Four
    );

    let login = place.dir.path().join("login");
    let place = Place::whole(&format!(
        "telegram.proxy = \"http://proxy.lan:3128\"\ntelegram.proxy_login_file = {login:?}\n"
    ));
    let problems = load(&place.file(), &Surroundings::default()).unwrap_err().0;
    assert!(
        problems[0]
            .to_string()
            .contains("telegram.proxy_login_file"),
        "{problems:?}"
    );
    std::fs::write(&login, "ann:s3cret\n").unwrap();
    let loaded = load(&place.file(), &Surroundings::default()).unwrap();
    assert!(!format!("{loaded:?}").contains("s3cret"));
    let contacts = crate::config::contacts(&place.file(), &Surroundings::default());
    assert!(contacts.secrets().contains(&"s3cret".to_owned()));
    assert!(!format!("{contacts:?}").contains("s3cret"));
}

#[test]
fn the_effective_settings_are_toml_with_sources_and_without_the_token() {
    let place = Place::whole("[agent]\nmodel = \"opus\"\n");
    let text = describe(&place.file(), &Surroundings::default(), &|_| Ok(None)).unwrap();
    assert!(
        text.contains("\n# There are no changes at run time: "),
        "{text}"
    );
    let dir = place.dir.path().display();
    for line in [
        &*format!("# token: file {dir}/token"),
        &format!("token_file = \"{dir}/token\"  # {dir}/telexd.toml.d/00-base.toml:1"),
        &format!("model = \"opus\"  # {dir}/telexd.toml:2"),
        &format!("admins = [1001]  # {dir}/telexd.toml.d/00-base.toml:2"),
        "poll_timeout_s = 30  # default",
        "# environment_file is not set",
        "launcher = \"auto\"  # default",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("AAHd"));
    let again = reading::read(Path::new("/x"), &text);
    assert_eq!(again.problems, Vec::new());
    let values = |fragment: &Fragment| -> Vec<Option<String>> {
        fragment
            .entries()
            .into_iter()
            .map(|entry| entry.value.map(|(value, _)| value))
            .collect()
    };
    assert_eq!(
        values(&again.fragment),
        values(&inputs::read(&place.file()).merged)
    );
}

#[test]
fn the_effective_settings_have_what_was_changed_at_run_time_as_far_as_it_holds() {
    let place = Place::whole("[batching]\nfirst_ms = 100\nidle_ms = 100\nmax_ms = 2000\n");
    let stored = |pairs: &[(&str, &str)]| -> runtime::Stored {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    let changes = stored(&[
        ("agent.model", "\"opus\""),
        ("batching.first_ms", "5000"),
        ("access.admins", "[7]"),
        ("gone.key", "1"),
    ]);
    let shown = |changes: Result<Option<runtime::Stored>, String>| {
        describe(&place.file(), &Surroundings::default(), &|_| {
            changes.clone()
        })
        .unwrap()
    };
    let text = shown(Ok(Some(changes)));
    assert!(text.contains("\nmodel = \"opus\"  # run time\n"), "{text}");
    assert!(text.contains("\nfirst_ms = 100  # "), "{text}");
    assert!(
        text.contains("\n# batching.first_ms was changed at run time to what does not go with"),
        "{text}"
    );
    assert!(text.contains("\nadmins = [1001]"), "{text}");
    assert!(reading::read(Path::new("/x"), &text).problems.is_empty());
    let text = shown(Err("no\nway".to_owned()));
    assert!(
        text.contains(
            "\n# Changes at run time are NOT in here, for they cannot be read: no\\nway\n"
        ),
        "{text}"
    );
    assert!(reading::read(Path::new("/x"), &text).problems.is_empty());
}

mod properties;
