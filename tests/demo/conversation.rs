//! The conversation in a pipe: batching, queue, questions, files, changes. Each is driven as a person would, on the whole
//! daemon.

use std::{fs, os::unix::fs::PermissionsExt};

use super::{program::Place, terminal::Terminal};

/// Talks with these settings to the end, which must be a good one; gives what was printed.
fn talk(settings: &str, lines: &[&str]) -> String {
    let place = Place::new();
    let own = tempfile::NamedTempFile::new().unwrap();
    fs::write(own.path(), settings).unwrap();
    let args = ["--settings", own.path().to_str().unwrap()];
    let output = place.talk(&args, &format!("{}\n", lines.join("\n")));
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{err}\n{out}");
    place.is_clean();
    out
}

/// Every one of these is in the text, in this order.
fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part);
        let at = at.unwrap_or_else(|| panic!("{part:?} is not in\n{rest}\nof\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

/// Windows that nothing but a person closes.
const COLLECTS: &str = "[batching]\nfirst_ms = 60000\nidle_ms = 60000\nmax_ms = 120000\n";
/// Each message is a prompt at once.
const APART: &str = "[batching]\nfirst_ms = 0\nidle_ms = 0\n";

#[test]
fn rapid_messages_are_collected_sent_changed_and_discarded() {
    let out = talk(
        COLLECTS,
        &[
            ":quick say one",
            ":quick two",
            ":wait Collecting… (2)",
            ":press Send now",
            ":quick :burst say a | b",
            ":wait Collecting… (2)",
            ":quick :edit c",
            ":press send",
            ":quick :burst never | run | this",
            ":wait Collecting… (3)",
            ":press discard",
        ],
    );
    in_order(
        &out,
        &[
            "Ann> say one\nAnn> two\n",
            "telexd> Collecting… (2)\n[1 Send now] [2 Discard]\n",
            "telexd> one\n\ntwo\n",
            "Ann> say a\nb\n",
            "telexd> Collecting… (2)\n",
            "Ann> [edited] c\n",
            "telexd> a\n\nc\n",
            "telexd> Collecting… (3)\n",
            "telexd> Discarded: it was not run.\n",
        ],
    );
    assert!(!out.contains("never\n\nrun"), "{out}");
}

#[test]
fn what_waits_has_a_place_and_is_kept_at_a_stop() {
    let out = talk(
        APART,
        &[
            ":quick slow 100 x3000",
            ":wait piece 00002",
            ":quick say one",
            ":wait In line: number 2.",
            ":quick say two",
            ":wait In line: number 3.",
            ":quick say three",
            ":wait In line: number 4.",
            ":quick :press run next",
            ":wait It runs next.",
            ":quick :press cancel",
            ":wait Dropped: it was not run.",
            ":quick /queue",
            ":wait 2 messages in line:",
            ":quick :press stop",
            ":wait 2 messages are kept and wait for your word:",
            ":press run all",
            ":quick :again",
            ":wait is no longer of use",
        ],
    );
    in_order(
        &out,
        &[
            "[1 Stop]\n",
            "telexd> In line: number 2.\n[2 Cancel]\n",
            "telexd> In line: number 3.\n[3 Run next] [4 Cancel]\n",
            "telexd> In line: number 4.\n[5 Run next] [6 Cancel]\n",
            "telexd (notice)> It runs next.\n",
            "telexd (notice)> Dropped: it was not run.\n",
            "2 messages in line:\n#2 “say one”\n#3 “say two”\n",
            "2 messages are kept and wait for your word:\n#2 “say one”\n#3 “say two”\n",
            "telexd> one\n",
            "telexd> two\n",
            "telexd (notice)> “Run all” is no longer of use",
        ],
    );
    assert!(
        out.contains("\n\n— Interrupted\n") && !out.contains("telexd> three"),
        "{out}"
    );
}

#[test]
fn every_kind_of_question_is_asked_and_answered() {
    let out = talk(
        APART,
        &[
            "edit",
            ":press Allow once",
            "ask",
            ":press Allow for this session",
            "ask",
            "edit",
            ":press Deny and tell",
            "only with a test",
            "choose",
            ":press PostgreSQL",
            ":quick :again",
            ":wait That question is answered already.",
            "choose several",
            ":press tests",
            ":press format",
            ":press done",
            ":press Write an answer",
            "a text file",
            "plan",
            ":press Keep planning",
            "plan",
            ":press Go ahead",
        ],
    );
    in_order(
        &out,
        &[
            "May the agent use Edit?",
            "-    Duration::from_secs(1)\n+    // Twice as long each time.\n",
            "Allow once]",
            "✓ Allowed\n",
            "May the agent use Bash?",
            "touch asked.txt",
            "✓ Allowed for this session\n",
            "Ann> ask\n",
            "Ann> edit\n",
            "✗ Denied: only with a test",
            "The agent asks you about Database:",
            "Which database shall it use?\n1. SQLite – one file, nothing to run\n",
            "PostgreSQL]\n",
            "✓ Database: PostgreSQL\n",
            "telexd (notice)> That question is answered already.\n",
            "The agent asks you about Checks (1 of 2):",
            "☑ Tests]",
            "☑ Format]",
            "✓ Checks: Format, Tests\n✓ Database: a text file\n",
            "The agent's plan:\nSlower retries\n",
            "✎ Keep planning\n",
            "The agent's plan:\n",
            "✓ Go ahead\n",
        ],
    );
    for told in [
        "The user did not allow this and says: only with a test",
        "\"Which database shall it use?\"=\"PostgreSQL\"",
        "\"What shall be checked?\"=\"Format, Tests\"",
        "The user wants you to keep planning.",
    ] {
        assert!(out.contains(told), "{told} is not in\n{out}");
    }
    // Allowed for the session is allowed without a question.
    assert_eq!(out.matches("May the agent use Bash?\n").count(), 2, "{out}");
}

/// The head of a PNG of one pixel, which is all that is looked at here.
const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

#[test]
fn files_of_every_kind_reach_the_agent() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("a note.txt"), "a note").unwrap();
    fs::write(path("pixel.png"), PNG).unwrap();
    fs::write(path("speech.ogg"), "OggS").unwrap();
    fs::write(path("nothing"), "").unwrap();
    fs::File::create(path("huge"))
        .unwrap()
        .set_len(3 << 30)
        .unwrap();
    let transcriber = path("transcriber");
    fs::write(&transcriber, "#!/bin/sh\necho say that again\n").unwrap();
    fs::set_permissions(&transcriber, fs::Permissions::from_mode(0o755)).unwrap();
    let (note, pixel) = (path("a note.txt"), path("pixel.png"));
    let lines = [
        "hello".to_owned(),
        format!(":file '{note}' what is in it?"),
        format!(":file {pixel}"),
        format!(":album '{note}' {pixel}"),
        format!(":voice {}", path("speech.ogg")),
        format!(":file {} x", path("nothing")),
        format!(":file {}", path("huge")),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let out = talk(APART, &lines);
    in_order(
        &out,
        &[
            "what is in it?\n\n[A file was sent with this message:\n",
            "-a_note.txt (document, text/plain, 6 bytes)]\n",
            "Ann> [file ",
            "-photo.jpg (photo, 33 bytes, shown here as well)]\n",
            "Ann> [album ",
            "[Files were sent with this message:\n",
            "-a_note.txt (document",
            "-photo.jpg (photo",
            "Ann> [voice ",
            "-voice.ogg (voice, audio/ogg, 4 bytes)]\n",
            "Ann> [file ",
            "❌ That file is empty (0 bytes)",
            "Ann> [file ",
            "❌ That file is too large",
        ],
    );
    assert!(
        out.contains("🎤 I cannot turn voice into text here"),
        "{out}"
    );
    let heard = talk(
        &format!("{APART}\n[files]\ntranscriber = [{transcriber:?}]\n"),
        &[&format!(":voice {}", path("speech.ogg"))],
    );
    in_order(&heard, &["🎤 I understood:\n\nsay that again\n"]);
}

#[test]
fn messages_are_changed_answered_and_forwarded() {
    let out = talk(
        APART,
        &[
            "hello",
            ":edit hello again",
            ":reply is that so?",
            ":forward Zoe the meeting is at ten",
            "table",
            "/mode plan",
            "/mode",
        ],
    );
    in_order(
        &out,
        &[
            "Ann> [edited] hello again\n",
            "That change came too late",
            "Ann> [reply] is that so?\n",
            "[Telegram: in reply to ",
            "is that so?\n",
            "Ann> [forwarded from Zoe] the meeting is at ten\n",
            "[Telegram: forwarded from \"Zoe\" (somebody who hides their account)]\n",
            "the meeting is at ten\n",
            "database |  runs   | 1.2 GB\n",
            "Mode plan from now on: the agent only plans",
            "Mode plan: the agent only plans",
            "Edit freely (acceptEdits)]\n",
        ],
    );
}

#[test]
fn a_file_of_the_bot_is_looked_at_and_stored() {
    let dir = tempfile::tempdir().unwrap();
    let save = format!(":save {}", dir.path().display());
    let own = tempfile::NamedTempFile::new().unwrap();
    fs::write(own.path(), APART).unwrap();
    let place = Place::new();
    let args = ["--settings", own.path().to_str().unwrap()];
    let output = place.talk(&args, &format!("code 1000\n:look\n{save}\n{save}\n"));
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    let stored = fs::read_to_string(dir.path().join("main.rs")).unwrap();
    assert_eq!(stored.lines().count(), 1000);
    let size = format!("main.rs, {} bytes", stored.len());
    assert!(out.contains(&format!("[file {size}]\n")), "{out}");
    in_order(
        &err,
        &[
            &format!("demo: [file {size}]\nlet number_1 = compute_it(1);\n"),
            "let number_20 = compute_it(20);\n… and 980 lines more\n",
            "demo: stored: ",
            &size,
            // The second time.
            "cannot write ",
            "File exists",
        ],
    );
    assert_eq!(output.status.code(), Some(1), "{err}");
    place.is_clean();
}

#[test]
fn an_answer_that_takes_too_long_is_told_of_and_ended() {
    let out = talk(
        &format!("{APART}\n[agent]\nturn_timeout_s = 10\n"),
        &[":quick hang", ":wait unless you give it longer."],
    );
    in_order(
        &out,
        &[
            "I stop it in 2 s unless you give it longer.\n[2 Give it longer]\n",
            "telexd> words of an answer that never ends\n\n⏱️ This took longer than 10 s, so I stopped it.",
        ],
    );
}

#[test]
fn what_is_typed_quickly_in_a_terminal_is_collected_and_mistakes_are_explained() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place);
    terminal.shows("daemon ● pid");
    terminal.press(":help\r");
    terminal.shows(":forward NAME TEXT");
    terminal.press(":file\r");
    terminal.shows("write it as :file PATH [CAPTION]");
    terminal.press(":file /nonexistent/x.png\r");
    terminal.shows("cannot read /nonexistent/x.png: No such file");
    terminal.press("say one\rtwo\r");
    terminal.wait("both are collected", |_, text| {
        ["Collecting… (2)", "Send now]", "Discard]"]
            .iter()
            .all(|part| text.contains(part))
    });
    terminal.wait("both are answered at once", |_, text| {
        let said = |words: &str| text.lines().any(|line| line.trim_end().ends_with(words));
        said("▌ one") && said("▌ two") && !text.contains("Collecting")
    });
    terminal.press("\x04");
    assert!(terminal.ended().success());
    place.is_clean();
}
