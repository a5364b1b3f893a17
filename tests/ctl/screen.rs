//! On a terminal: colour, width, `watch`.

use std::{
    fs::File,
    io::Read as _,
    num::NonZero,
    os::fd::{AsFd as _, OwnedFd},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use nix::{
    pty::{Winsize, openpty},
    sys::{
        signal::{Signal, kill},
        termios::{LocalFlags, tcgetattr},
    },
    unistd::{Pid, write},
};

use crate::rig::{Answer, Dict, Rig, health, properties, wait_until, well};

/// A terminal and what was written to it.
struct Terminal {
    ours: OwnedFd,
    theirs: OwnedFd,
    seen: Arc<Mutex<Vec<u8>>>,
}

const ROWS: NonZero<u16> = NonZero::new(24).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(80).unwrap();
const SIZE: Winsize = Winsize {
    ws_row: ROWS.get(),
    ws_col: COLUMNS.get(),
    ws_xpixel: 0,
    ws_ypixel: 0,
};

impl Terminal {
    fn new() -> Self {
        let pty = openpty(&SIZE, None).unwrap();
        let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (mut reader, into) = (
            File::from(pty.master.try_clone().unwrap()),
            Arc::clone(&seen),
        );
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut some) {
                into.lock().unwrap().extend(&some[..n]);
            }
        });
        Self {
            ours: pty.master,
            theirs: pty.slave,
            seen,
        }
    }

    fn start(&self, mut command: Command) -> Child {
        let end = || Stdio::from(self.theirs.try_clone().unwrap());
        command
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    /// What is on the screen.
    fn screen(&self) -> String {
        let mut parser = vt100::Parser::new(ROWS, COLUMNS, 0);
        parser.process(&self.seen.lock().unwrap());
        parser.screen().contents()
    }

    fn cooked(&self) -> bool {
        let flags = tcgetattr(self.theirs.as_fd()).unwrap().local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO)
    }

    async fn shows(&self, part: &str) {
        wait_until(&format!("{part:?} is shown"), || {
            self.screen().contains(part)
        })
        .await;
    }
}

async fn ended(child: &mut Child) -> i32 {
    let mut code = None;
    wait_until("it has ended", || {
        code = child.try_wait().unwrap();
        code.is_some()
    })
    .await;
    code.unwrap().code().expect("no signal")
}

#[tokio::test]
async fn colour_is_only_on_a_terminal_and_never_against_ones_will() {
    let rig = well().await;
    for (variables, colour) in [
        (&[][..], true),
        (&[("NO_COLOR", "1")], false),
        (&[("TERM", "dumb")], false),
    ] {
        let terminal = Terminal::new();
        let mut command = rig.command(&["status"]);
        command.envs(variables.iter().copied());
        let mut child = terminal.start(command);
        assert_eq!(ended(&mut child).await, 0);
        wait_until("all is there", || {
            terminal.text().contains("abcdefgh23456777")
        })
        .await;
        assert_eq!(
            terminal.text().contains('\x1b'),
            colour,
            "{variables:?}: {:?}",
            terminal.text()
        );
    }
}

#[tokio::test]
async fn nothing_is_wider_than_the_terminal() {
    let rig = well().await;
    let long =
        "An extraordinarily long name \u{1f469}\u{200d}\u{1f4bb} 漢字漢字 \x1b]0;x\x07".repeat(5);
    let long: &'static str = Box::leak(long.into_boxed_str());
    rig.answer([news(long)]);
    let terminal = Terminal::new();
    let mut child = terminal.start(rig.command(&["status"]));
    assert_eq!(ended(&mut child).await, 0);
    wait_until("all is there", || {
        terminal.text().contains("abcdefgh23456777")
    })
    .await;
    assert!(terminal.screen().contains('…'), "{}", terminal.screen());
    // What is too wide would have gone on in the next line.
    let lines = terminal.text().trim_end().lines().count();
    assert_eq!(
        terminal.screen().lines().count(),
        lines,
        "{}",
        terminal.screen()
    );
    // Piped it is whole.
    let (_, out, _) = rig.telexctl(&["status"]).await;
    assert!(!out.contains('…') && out.len() > 200, "{out}");
}

#[tokio::test]
async fn settings_fit_the_terminal() {
    let rig = well().await;
    let setting = |key: &'static str, value: &'static str, source: &'static str| {
        Dict::from([
            ("key", key.into()),
            ("value", value.into()),
            ("source", source.into()),
        ])
    };
    let settings = vec![
        setting(
            "telegram.api_url",
            "\"https://a-server-of-our-own.somewhere.example/bots/\"",
            "/etc/telexd/telexd.toml.d/50-local.toml:12",
        ),
        setting("delivery.overall_per_second", "30", "default"),
        setting("agent.max_processes", "3", "run time"),
    ];
    rig.answer([("ListConfig", Answer::Dicts(settings))]);
    let terminal = Terminal::new();
    let mut child = terminal.start(rig.command(&["config"]));
    assert_eq!(ended(&mut child).await, 0);
    wait_until("all is there", || terminal.text().contains("run time")).await;
    let screen = terminal.screen();
    assert_eq!(screen.trim_end().lines().count(), 4, "{screen}");
    for part in ["delivery.overall_per_second", "50-local.toml:12"] {
        assert!(screen.contains(part), "{screen}");
    }
}

fn news(summary: &'static str) -> (&'static str, Answer) {
    let mut health = health();
    health.insert("summary", summary.into());
    ("Health", Answer::Dict(health))
}

async fn watched(rig: &Rig, terminal: &Terminal) -> Child {
    // No tick of its own within this test, so what shows came by a signal.
    let child = terminal.start(rig.command(&["watch", "-n", "3600"]));
    terminal.shows("polling, 1 conversation").await;
    assert!(!terminal.cooked());
    child
}

#[tokio::test]
async fn a_watch_redraws_and_gives_the_terminal_back() {
    let mut rig = well().await;
    for end in [
        Some(Signal::SIGINT),
        Some(Signal::SIGTERM),
        Some(Signal::SIGHUP),
        None,
    ] {
        let terminal = Terminal::new();
        assert!(terminal.cooked());
        rig.answer([news("polling, 1 conversation")]);
        let mut child = watched(&rig, &terminal).await;
        rig.answer([news("all is different")]);
        rig.change("Status", "all is different".into()).await;
        terminal.shows("all is different").await;
        assert!(
            !terminal.screen().contains("polling, 1"),
            "{}",
            terminal.screen()
        );
        rig.daemon_down().await;
        terminal.shows("telexd does not run here").await;
        rig.daemon_up().await;
        terminal.shows("all is different").await;
        match end {
            Some(signal) => {
                kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
            }
            None => {
                write(terminal.ours.as_fd(), b"xq").unwrap();
            }
        }
        assert_eq!(ended(&mut child).await, 0, "{end:?}");
        assert!(terminal.cooked(), "{end:?}");
        wait_until("the screen is given back", || {
            terminal.text().ends_with("\x1b[?25h\x1b[?1049l")
        })
        .await;
    }
}

#[tokio::test]
async fn a_watch_that_is_stopped_leaves_the_terminal_to_the_shell() {
    let rig = well().await;
    let terminal = Terminal::new();
    let mut child = watched(&rig, &terminal).await;
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGTSTP).unwrap();
    wait_until("it is stopped", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().trim().starts_with('T')
    })
    .await;
    assert!(terminal.cooked());
    kill(pid, Signal::SIGCONT).unwrap();
    wait_until("it is back", || !terminal.cooked()).await;
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(ended(&mut child).await, 0);
}

#[tokio::test]
async fn a_watch_that_is_piped_writes_what_changes() {
    let rig = well().await;
    let mut command = rig.command(&["--json", "watch", "-n", "3600"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
    let (mut out, into) = (child.stdout.take().unwrap(), Arc::clone(&seen));
    std::thread::spawn(move || {
        let mut some = [0; 4096];
        while let Ok(n @ 1..) = out.read(&mut some) {
            into.lock().unwrap().extend(&some[..n]);
        }
    });
    let lines = || -> Vec<serde_json::Value> {
        let text = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
        text.split_inclusive('\n')
            .filter(|l| l.ends_with('\n'))
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    };
    wait_until("the first", || lines().len() == 1).await;
    let mut paused = properties();
    paused.insert("Paused", true.into());
    // A signal without a change is not told.
    rig.change("Status", "polling".into()).await;
    rig.answer([("GetAll", Answer::Dict(paused))]);
    rig.change("Paused", true.into()).await;
    wait_until("the second", || lines().len() == 2).await;
    assert_eq!(lines()[1]["properties"]["Paused"], true);
    kill(
        Pid::from_raw(i32::try_from(child.id()).unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    assert_eq!(ended(&mut child).await, 0);
}

#[tokio::test]
async fn a_password_is_asked_for_at_a_terminal_alone() {
    let rig = well().await;
    rig.answer([("Health", Answer::Ask)]);
    let marker = rig.dir.path().join("agent");
    // Known to polkit once its standard output is closed; asks as long as it lives.
    let script = format!(
        "echo \"$@\" >{}; exec >&-; exec sleep 1000",
        marker.display()
    );
    rig.program("pkttyagent", &script);
    let (code, _, err) = rig.telexctl(&["status"]).await;
    assert_eq!((code, marker.exists()), (4, false), "{err}");
    let terminal = Terminal::new();
    let mut child = terminal.start(rig.command(&["--no-ask-password", "status"]));
    assert_eq!((ended(&mut child).await, marker.exists()), (4, false));
    let terminal = Terminal::new();
    let mut child = terminal.start(rig.command(&["status"]));
    let pid = child.id();
    assert_eq!(ended(&mut child).await, 0, "{}", terminal.text());
    let said = std::fs::read_to_string(&marker).unwrap();
    assert_eq!(said, format!("--fallback --notify-fd 1 --process {pid}\n"));
}
