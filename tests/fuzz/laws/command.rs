//! Words of people that mean something to the daemon: commands with their arguments, and the data of buttons.

use telexd::{
    core::{
        command::{self, Command, KeyValue, Reading, key_value, read},
        ids::RunId,
        pairing::Code,
        pause,
        policy::Role,
        profile::Profile,
        prompt,
        text::disturbs,
    },
    gateway::dispatch,
};

const BOT: &str = "my_Bot";

pub fn holds(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    commands(&text);
    arguments(&text);
    button(&text);
    for role in [Role::Nobody, Role::User, Role::Admin] {
        if let Some(near) = command::nearest(&text, role) {
            assert!(command::commands_for(role).any(|info| info.name == near));
        }
    }
}

fn commands(text: &str) {
    match read(text, BOT) {
        Reading::Command {
            command,
            args,
            addressed,
        } => {
            let name = command.name();
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            assert!((1..=32).contains(&name.len()) && name.bytes().all(plain));
            assert_eq!(args, args.trim());
            let at = if addressed { "@MY_BOT" } else { "" };
            let printed = format!("/{name}{at} {args}");
            assert_eq!(read(&printed, BOT), read(text, BOT), "{printed:?}");
            let unknown = matches!(command, Command::Unknown(_));
            assert_eq!(
                unknown,
                Command::KNOWN.iter().all(|known| known.name() != name)
            );
            assert!(text.starts_with('/'));
        }
        Reading::NotOurs => assert!(text.starts_with('/') && text.contains('@')),
        Reading::Prompt => {
            // What a person would take for a command is one.
            for known in Command::KNOWN {
                let rest = text.strip_prefix(&format!("/{}", known.name()));
                let ends = |rest: &str| rest.is_empty() || rest.starts_with([' ', '\n']);
                assert!(!rest.is_some_and(ends), "{text:?}");
            }
        }
    }
    if prompt::check(text, BOT).is_ok() {
        assert_eq!(read(text, BOT), Reading::Prompt);
    }
}

fn arguments(text: &str) {
    match key_value(text) {
        KeyValue::All => assert_eq!(text.trim(), ""),
        KeyValue::Show(key) => assert_eq!(key_value(key), KeyValue::Show(key)),
        KeyValue::Set(key, value) => {
            let printed = format!("{key}={value}");
            assert_eq!(
                key_value(&printed),
                KeyValue::Set(key, value),
                "{printed:?}"
            );
        }
        KeyValue::NoKey => assert!(text.trim().starts_with('=')),
    }
    if let Some(code) = Code::parse(text) {
        assert_eq!(Code::parse(code.as_str()).as_ref(), Some(&code));
        assert!(code.as_str().bytes().all(|b| b.is_ascii_uppercase()));
    }
    // What becomes part of a unit's name or of a path.
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if let Some(run) = RunId::parse(text) {
        assert_eq!(run.as_str(), text);
        assert!(text.bytes().all(plain));
    }
    if let Some(profile) = Profile::parse(text) {
        assert_eq!(profile.as_str(), text);
        assert!(
            text.bytes().all(plain) && !text.starts_with('-'),
            "{text:?}"
        );
    }
    let run = RunId::from_random(*b"0123456789abcdef");
    if let Ok(named) = RunId::named(text, [&run]) {
        assert_eq!(named, run);
        assert!(run.as_str().starts_with(&text.trim().to_ascii_lowercase()));
    }
    if let Ok(Some(reason)) = pause::reason(text) {
        assert!(
            !reason.trim().is_empty() && !reason.contains(disturbs),
            "{reason:?}"
        );
    }
}

fn button(data: &str) {
    if let Some(meaning) = dispatch::meaning(data) {
        assert!(meaning.is_ascii() && meaning.len() < 120, "{meaning}");
        assert!(data.is_ascii() && data.contains(':'));
    }
}
