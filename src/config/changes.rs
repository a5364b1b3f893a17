//! What a reload changes, and what of it holds at once.

use super::Settings;

/// Keys that differ, as `section.name`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Hold from now on.
    pub live: Vec<&'static str>,
    /// Hold after a restart.
    pub restart: Vec<&'static str>,
}

/// The settings that hold after a reload, and how they differ from those before: the new ones, but for what only a
/// restart can change.
#[must_use]
pub fn take_over(now: &Settings, new: Settings) -> (Settings, Changes) {
    let mut changes = Changes::default();
    let mut after = new;
    macro_rules! live {
        ($($key:literal: $($field:ident).+),* $(,)?) => {$(
            if now.$($field).+ != after.$($field).+ {
                changes.live.push($key);
            }
        )*};
    }
    macro_rules! restart {
        ($($key:literal: $($field:ident).+),* $(,)?) => {$(
            if now.$($field).+ != after.$($field).+ {
                changes.restart.push($key);
                after.$($field).+ = now.$($field).+.clone();
            }
        )*};
    }
    live! {
        "access.admins and access.users": access,
        "access.pairing": pairing,
        "agent.profile and the profiles": profiles,
        "agent.command": agent.command,
        "agent.directory": agent.directory,
        "agent.environment_file": agent.environment_file,
        "agent.trust_project": agent.trust_project,
        "agent.idle_timeout_s": agent.idle_timeout,
        "agent.turn_timeout_s": agent.turn_timeout,
        "agent.first_output_timeout_s": agent.first_output_timeout,
        "agent.silence_timeout_s": agent.silence_timeout,
        "agent.after_result_timeout_s": agent.after_result_timeout,
        "agent.max_processes": agent.max_processes,
        "agent.model": agent.model,
        "agent.permission_mode": agent.permission_mode,
        "agent.modes": agent.modes,
        "agent.approval_timeout_s": agent.approval_timeout,
        "agent.who_approves": agent.approvers,
        "agent.output_limit_mb": agent.output_limit,
        "approvals": rules,
        "batching": batching,
        "features": features,
        "answers": answers,
        "queue.mode": busy,
        "conversation.stop_word": stop_word,
        "files": files,
        "messages.stale_after_s": stale_after,
        "messages.per_minute": messages_per_minute,
        "delivery": delivery,
        "log.level": log_level,
        "health.write_ms": health.write,
        "health.queue_s": health.queue,
        "health.disk_free_mb": health.disk_free,
        "health.out_of_memory": health.out_of_memory,
        "alerts": alerts,
    }
    restart! {
        "the bot token": telegram.token,
        "telegram.api_url": telegram.api_url,
        "telegram.poll_timeout_s": telegram.poll_timeout,
        "telegram.proxy": telegram.proxy,
        "telegram.proxy_login_file": telegram.proxy_login_file,
        "telegram.ip": telegram.ip,
        "telegram.local_files": telegram.local_files,
        "messages.translation": translation,
        "agent.launcher": agent.launcher,
        "state.directory": state_directory,
        "health.listen": health.listen,
        "dbus.bus": bus,
    }
    (after, changes)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;
    use crate::config::{Surroundings, fragments::KEYS, load, runtime::AFTER_RESTART};

    fn settings(more: &str) -> Settings {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let token = dir.path().join("token");
        fs::write(&token, "1:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawX").unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(dir.path().join("de.toml"), "language = \"de\"\n[texts]\n").unwrap();
        let more = more.replace("DIR", dir.path().to_str().unwrap());
        let file = dir.path().join("telexd.toml");
        fs::write(
            &file,
            format!(
                "telegram.token_file = \"{}\"\nagent.directory = \"/\"\n{more}",
                token.display()
            ),
        )
        .unwrap();
        load(&file, &Surroundings::default()).unwrap().settings
    }

    #[test]
    fn what_holds_at_once_and_what_does_not() {
        let now = settings("access.admins = [1]\n");
        let (same, changes) = take_over(&now, settings("access.admins = [1]\n"));
        assert_eq!(changes, Changes::default());
        assert_eq!(same.access, now.access);

        let new =
            settings("access.admins = [2]\nagent.model = \"opus\"\nstate.directory = \"/var/x\"\n");
        let (after, changes) = take_over(&now, new.clone());
        assert_eq!(
            changes.live,
            ["access.admins and access.users", "agent.model"]
        );
        assert_eq!(changes.restart, ["state.directory"]);
        assert_eq!(after.access, new.access);
        assert_eq!(after.state_directory, now.state_directory);
        // Still to be told at the next reload.
        let (_, again) = take_over(&after, new);
        assert_eq!((again.live.len(), again.restart.len()), (0, 1));
    }

    /// A setting that nobody compares would be neither taken over nor told of.
    #[test]
    fn every_key_is_compared() {
        let now = settings("");
        let mut looked_at = BTreeSet::from(["telegram.token_file".to_owned()]);
        for (key, value) in [
            ("telegram.api_url", "\"http://127.0.0.1:1\""),
            ("telegram.poll_timeout_s", "7"),
            ("telegram.proxy", "\"http://127.0.0.1:1\""),
            ("telegram.proxy_login_file", "\"/etc/telexd/proxy\""),
            ("telegram.ip", "\"4\""),
            ("telegram.local_files", "\"/x\""),
            ("access.admins", "[1]"),
            ("access.users", "[1]"),
            ("access.pairing", "true"),
            ("access.profiles", "{ 1002 = \"strict\" }"),
            ("agent.command", "\"x\""),
            ("agent.directory", "\"/x\""),
            ("agent.launcher", "\"direct\""),
            ("agent.environment_file", "\"/x\""),
            ("agent.trust_project", "true"),
            ("agent.idle_timeout_s", "7"),
            ("agent.turn_timeout_s", "7"),
            ("agent.first_output_timeout_s", "7"),
            ("agent.silence_timeout_s", "7"),
            ("agent.after_result_timeout_s", "0"),
            ("agent.max_processes", "7"),
            ("agent.model", "\"x\""),
            ("agent.profile", "\"strict\""),
            ("agent.permission_mode", "\"plan\""),
            ("agent.modes", "[\"plan\"]"),
            ("agent.approval_timeout_s", "77"),
            ("agent.who_approves", "\"admin\""),
            ("agent.output_limit_mb", "77"),
            ("approvals.allow", "[\"WebSearch\"]"),
            ("approvals.ask", "[\"WebSearch\"]"),
            ("approvals.deny", "[\"WebSearch\"]"),
            (
                "approvals.profiles",
                "{ strict = { deny = [\"WebSearch\"] } }",
            ),
            ("approvals.people", "{ 1002 = { deny = [\"WebSearch\"] } }"),
            ("state.directory", "\"/x\""),
            ("batching.first_ms", "7"),
            ("batching.idle_ms", "7"),
            ("batching.max_ms", "29999"),
            ("batching.parts_ms", "7"),
            ("batching.max_parts", "7"),
            ("batching.max_kb", "77"),
            ("features.batching", "false"),
            ("features.stop_button", "[1]"),
            ("features.permission_buttons", "false"),
            ("features.queue_buttons", "false"),
            ("features.files", "false"),
            ("features.voice", "[1]"),
            ("features.drafts", "true"),
            ("features.show_thinking", "[1]"),
            ("answers.clock_s", "77"),
            ("answers.file_after_messages", "7"),
            ("queue.mode", "\"steer\""),
            ("conversation.stop_word", "\"stop\""),
            ("files.keep_days", "7"),
            ("files.quota_mb", "7"),
            ("files.transcriber", "[\"/x\"]"),
            ("files.transcriber_timeout_s", "7"),
            ("messages.stale_after_s", "77"),
            ("messages.per_minute", "7"),
            ("messages.translation", "\"DIR/de.toml\""),
            ("log.level", "\"debug\""),
            ("health.listen", "\"127.0.0.1:9\""),
            ("health.write_ms", "7"),
            ("health.queue_s", "7"),
            ("health.disk_free_mb", "7"),
            ("health.out_of_memory", "7"),
            ("alerts.enabled", "false"),
            ("alerts.off", "[\"queue\"]"),
            ("alerts.quiet", "\"22:00-07:00\""),
            ("alerts.time_zone", "\"UTC\""),
            ("dbus.bus", "\"off\""),
            ("delivery.chat_interval_ms", "7"),
            ("delivery.group_per_minute", "7"),
            ("delivery.overall_per_second", "7"),
        ] {
            looked_at.insert(key.to_owned());
            // The directory is set once already.
            let new = if key == "agent.directory" {
                let mut new = now.clone();
                new.agent.directory = "/x".into();
                new
            } else {
                settings(&format!("{key} = {value}\n"))
            };
            let (_, changes) = take_over(&now, new);
            assert_eq!(
                changes.live.len() + changes.restart.len(),
                1,
                "{key}: {changes:?}"
            );
            assert_eq!(
                AFTER_RESTART.contains(&key),
                !changes.restart.is_empty(),
                "{key}"
            );
        }
        let known = KEYS
            .iter()
            .map(|(section, name)| format!("{section}.{name}"));
        assert_eq!(looked_at, known.collect::<BTreeSet<_>>());
        let mut other = now.clone();
        other.telegram.token = crate::config::Token::parse("2:x").unwrap();
        assert_eq!(take_over(&now, other).1.restart, ["the bot token"]);
    }
}
