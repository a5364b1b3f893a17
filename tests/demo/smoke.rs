//! The whole of it: the demo's own processes, the real daemon, the scripted stand-in.

use std::process::Output;

use nix::sys::{
    signal::{Signal, kill},
    termios::FlowArg,
};

use super::{program::Place, terminal::Terminal};

fn texts(output: &Output) -> (String, String) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Number of times that a text occurs.
fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
fn a_pipe_is_answered_to_its_end() {
    let place = Place::new();
    let output = place.talk(
        &[],
        "hello\n\n/status\nlong 6000\n:as Ben\nhello\n:as Eve\nhello\n:as ann\nask\n:press Allow once\n",
    );
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{err}\n{out}");
    assert!(err.contains("scripted stand-in, not Claude"), "{err}");
    assert_eq!(
        count(&out, "I am a scripted stand-in, not Claude."),
        2,
        "{out}"
    );
    assert!(out.contains("telexd> Ready."), "{out}");
    // Cut into messages, and all of it there.
    let parts: Vec<usize> = (1..=40)
        .step_by(4)
        .map(|n| count(&out, &format!("Part {n}\n")))
        .collect();
    assert_eq!(parts, vec![1; parts.len()], "{out}");
    let eve = out.split("Eve> hello\n").nth(1).unwrap();
    assert!(eve.starts_with("Ann> ask"), "{out}");
    assert!(out.contains("[2 Allow once] [3 Deny]"), "{out}");
    assert!(out.ends_with("✓ Allowed\n"), "{out}");
    place.is_clean();
}

#[test]
fn long_code_comes_as_a_file() {
    let place = Place::new();
    let output = place.talk(&[], "code 1000\n");
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{err}\n{out}");
    assert!(
        out.contains("main.rs: 1000 lines, as a file below"),
        "{out}"
    );
    assert!(
        out.contains("telexd> main.rs (1000 lines)\n[file main.rs, "),
        "{out}"
    );
    place.is_clean();
}

#[test]
fn a_killed_daemon_loses_nothing() {
    let place = Place::new();
    let output = place.talk(&[], "hello\n:kill\nsay still here\n");
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{err}\n{out}");
    assert!(
        err.contains("the daemon is dead") && err.contains("started again"),
        "{err}"
    );
    assert_eq!(count(&out, "telexd> still here"), 1, "{out}");
    place.is_clean();
}

#[test]
fn what_is_not_answered_is_a_failure() {
    let place = Place::new();
    let output = place.talk(&["--answer-within", "2"], "hang\n");
    let (_, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("not answered within 2 s"), "{err}");
    let output = place.talk(&[], "ask\n");
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("wait for a button"), "{err}");
    assert!(out.contains("May the agent use Bash?"), "{out}");
    place.is_clean();
}

#[test]
fn mistakes_are_told() {
    let place = Place::new();
    for (args, lines, wanted) in [
        (vec![], ":frobnicate\n", "no such line"),
        (vec![], ":press 7\n", "no button 7"),
        (vec![], ":as Zoe\n", "Ann, Ben, Eve"),
        (vec![], ":file\n", "write it as :file PATH [CAPTION]"),
        (
            vec![],
            ":file /nonexistent/x\n",
            "cannot read /nonexistent/x",
        ),
        (vec![], ":album /dev/null\n", "2 to 10"),
        (vec![], ":save\n", "the bot has sent no file here"),
        (vec![], ":again\n", "no button was pressed yet"),
        (
            vec!["--answer-within", "2"],
            ":wait for ever\n",
            "was not shown within 2 s",
        ),
        (vec!["--settings", "/nonexistent"], "", "/nonexistent: "),
        (vec!["--frobnicate"], "", "unexpected argument"),
    ] {
        let output = place.talk(&args, lines);
        let (_, err) = texts(&output);
        assert!(!output.status.success() && err.contains(wanted), "{err}");
    }
    place.is_clean();
}

#[test]
fn a_person_talks_in_a_terminal() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place);
    terminal.shows("daemon ● pid");
    let first = terminal.shows("agent: scripted stand-in, not Claude");
    assert!(first.contains("^C quit"), "{first}");

    // A slow talk, seen while it goes on, holds up nobody else.
    terminal.press("slow 300 x400\r");
    terminal.wait("a running answer", |_, text| {
        ["piece 00003", "[1 Stop]", "telexd is typing…"]
            .iter()
            .all(|part| text.contains(part))
    });
    terminal.press("\t");
    terminal.shows(" Ben ›");
    // Grounds reach to their ends: a program and a terminal that disagree about what was cleared leave holes.
    terminal.press("hello\r");
    terminal.wait("code on its ground", |screen, text| {
        let ground = |row: u16, column: u16| screen.cell(row, column).map(vt100::Cell::bgcolor);
        let row_of = |part: &str| text.lines().position(|line| line.contains(part));
        let rows = [row_of("fn main() {"), row_of("println!")];
        let [Some(first), Some(second)] = rows.map(|row| u16::try_from(row?).ok()) else {
            return false;
        };
        let code = |row| (3..41).all(|column| ground(row, column) == ground(second, 4));
        code(first)
            && code(second)
            && ground(second, 4) != Some(vt100::Color::Default)
            && (0..80).all(|column| ground(0, column) == ground(0, 1))
    });

    // Everything stays in sight when the size changes.
    terminal.resize(100, 30);
    terminal.wait("30 rows", |screen, text| {
        screen.size().0.get() == 30 && text.lines().last().is_some_and(|l| l.contains("^C quit"))
    });
    terminal.resize(60, 12);
    terminal.wait("12 rows", |screen, text| {
        screen.size().0.get() == 12
            && text
                .lines()
                .last()
                .is_some_and(|l| l.contains("Enter send"))
            && text.contains("println!")
    });
    terminal.resize(80, 24);
    // crossterm forgets keys that come in one go with a change of size until the next key.
    terminal.wait("24 rows", |screen, text| {
        screen.size().0.get() == 24 && text.lines().last().is_some_and(|l| l.contains("^C quit"))
    });

    terminal.press("\x1b[Z");
    terminal.shows("[1 Stop]");
    terminal.press("1");
    terminal.shows("— Interrupted");
    terminal.wait("no button any more", |_, text| !text.contains("Stop]"));

    terminal.press("\x03");
    assert!(terminal.ended().success());
    terminal.wait("the screen as it was", |screen, _| {
        !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste()
    });
    place.is_clean();
}

#[test]
fn killing_the_daemon_in_the_middle_shows_nothing_twice() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place);
    terminal.shows("daemon ● pid");
    terminal.press("slow 400 x12\r");
    terminal.shows("piece 00003");
    terminal.press("\x0b");
    terminal.shows("daemon ● killed");
    // While nobody is there to take it.
    terminal.press("say later\r");
    terminal.shows("▌ say later");
    let text = terminal.wait("both answers", |_, text| {
        text.contains("piece 00012") && text.contains("▌ later") && !text.contains("Stop]")
    });
    let whole = text.replace([' ', '▌', '\n'], "");
    // All of it is on the screen, with the word about the crash.
    for n in 1..=12 {
        assert_eq!(count(&whole, &format!("piece{n:05}")), 1, "{n}: {text}");
    }
    assert_eq!(count(&text, "▌ later"), 1, "{text}");
    terminal.press("\x04");
    assert!(terminal.ended().success());
    place.is_clean();
}

#[test]
fn nothing_outlives_a_closed_terminal() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place);
    terminal.press("slow 300 x400\r");
    terminal.shows("piece 00003");
    place.process("telexd-demo-agent");
    terminal.close();
    place.is_clean();
}

#[test]
fn nothing_outlives_the_processes_of_the_demo() {
    for victim in ["--as-host", "guard"] {
        let place = Place::new();
        let mut terminal = Terminal::start(&place);
        terminal.press("slow 300 x400\r");
        terminal.shows("piece 00003");
        place.process("telexd-demo-agent");
        let victim = match victim {
            "guard" => terminal.pid(),
            part => place.process(part),
        };
        kill(victim, Signal::SIGKILL).unwrap();
        assert!(!terminal.ended().success());
        place.is_clean();
        terminal.wait("the screen as it was", |screen, _| {
            !screen.alternate_screen() && !screen.hide_cursor()
        });
        assert!(terminal.echoes());
    }
}

#[test]
fn a_stopped_terminal_holds_nothing_up() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place);
    terminal.press("slow 100 x4000\r");
    terminal.shows("piece 00003");
    // As Ctrl-S does where it means that: from here on the host hangs in its next write, be it the last one.
    terminal.flow(FlowArg::TCOOFF);
    kill(terminal.pid(), Signal::SIGTERM).unwrap();
    place.is_clean();
    terminal.flow(FlowArg::TCOON);
    assert!(!terminal.ended().success());
    assert!(terminal.echoes());
}
