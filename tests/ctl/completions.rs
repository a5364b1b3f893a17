//! The completions of shells know what the program knows.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::rig::{Rig, finish, well};

const FILES: [&str; 3] = ["bash/telexctl", "zsh/_telexctl", "fish/telexctl.fish"];

fn file(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/completions");
    fs::read_to_string(folder.join(name)).unwrap()
}

async fn help(rig: &Rig, args: &[&str]) -> String {
    let (code, out, _) = rig.telexctl(args).await;
    assert_eq!(code, 0, "{args:?}");
    out
}

/// First words of the lines below `Commands:`.
fn verbs(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| line.starts_with("  "));
    let lines = lines.filter(|line| !line.starts_with("   "));
    lines
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

fn words(text: &str) -> BTreeSet<String> {
    let apart = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    text.split(apart).map(str::to_owned).collect()
}

#[tokio::test]
async fn every_verb_and_option_is_in_each_of_them() {
    let rig = Rig::new().await;
    let overall = help(&rig, &["--help"]).await;
    let (mut all, mut options) = (BTreeSet::new(), BTreeSet::new());
    let mut helps = vec![overall.clone()];
    for verb in verbs(&overall) {
        if verb != "help" {
            let text = help(&rig, &[&verb, "--help"]).await;
            for sub in verbs(&text).iter().filter(|sub| *sub != "help") {
                helps.push(help(&rig, &[&verb, sub, "--help"]).await);
                all.insert(sub.clone());
            }
            helps.push(text);
        }
        all.insert(verb);
    }
    assert!(all.contains("status"), "{overall}");
    for text in &helps {
        let long = words(text)
            .into_iter()
            .filter_map(|word| Some(word.strip_prefix("--")?.to_owned()));
        options.extend(long.filter(|option| !option.is_empty()));
    }
    assert!(options.contains("json"), "{options:?}");
    for name in FILES {
        let known = words(&file(name));
        for verb in &all {
            assert!(known.contains(verb), "{name} does not know {verb}");
        }
        for option in &options {
            assert!(
                known.contains(&format!("--{option}"))
                    || name.ends_with(".fish") && known.contains(option),
                "{name} does not know --{option}"
            );
        }
    }
    // And no verb that there is not.
    let offered = file("fish/telexctl.fish");
    for line in offered
        .lines()
        .filter(|line| line.contains("-n $first -a "))
    {
        let verb = line
            .split(" -a ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        assert!(all.contains(verb), "telexctl.fish offers {verb}");
    }
}

/// What bash offers for this line.
async fn bash(rig: &Rig, words: &[&str]) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/completions/bash/telexctl");
    let script = format!(
        "PATH={path}:$PATH; . {file}; COMP_WORDS=(telexctl {words}); COMP_CWORD={at}; _telexctl; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        path = Path::new(env!("CARGO_BIN_EXE_telexctl"))
            .parent()
            .unwrap()
            .display(),
        file = folder.display(),
        words = words
            .iter()
            .map(|w| format!("'{w}'"))
            .collect::<Vec<_>>()
            .join(" "),
        at = words.len(),
    );
    let mut command = Command::new("bash");
    command
        .args(["--norc", "-euc", &script])
        .env("DBUS_SYSTEM_BUS_ADDRESS", rig.address());
    let (code, out, err) = finish(command).await;
    assert_eq!((code, &*err), (0, ""), "{words:?}");
    out.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn bash_completes() {
    let rig = well().await;
    assert_eq!(bash(&rig, &["stat"]).await, ["status"]);
    assert_eq!(bash(&rig, &["--js"]).await, ["--json"]);
    assert_eq!(bash(&rig, &["logs", "--fo"]).await, ["--follow"]);
    assert_eq!(bash(&rig, &["logs", "--priority", "w"]).await, ["warning"]);
    assert_eq!(
        bash(&rig, &["logs", "--run", ""]).await,
        ["abcdefgh23456777"]
    );
    // Over SSH nobody is asked.
    let calls = rig.calls().len();
    assert_eq!(
        bash(&rig, &["-H", "root", "@", "box", "logs", "--run", ""]).await,
        [""; 0]
    );
    assert_eq!(rig.calls().len(), calls);
}
