//! The demo in a terminal of its own: what it writes goes through an emulator, so that a test sees what a person sees.

use std::{
    fs::File,
    io::{PipeReader, PipeWriter, Read, Write, pipe},
    num::NonZeroU16,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::Instant,
};

use nix::{
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt},
    sys::termios::{FlowArg, LocalFlags, tcflow, tcgetattr},
    unistd::Pid,
};

use super::program::{DEADLINE, Place, path, until};

type Seen = Arc<(Mutex<vt100::Parser>, Condvar)>;

/// A terminal with the demo in it.
pub struct Terminal {
    child: Child,
    keyboard: File,
    /// The other end, for its size.
    line: File,
    seen: Seen,
    reader: JoinHandle<()>,
    stop: PipeWriter,
}

impl Terminal {
    /// Starts the demo in a terminal of 80 by 24.
    pub fn start(place: &Place) -> Self {
        let (master, slave) = pair();
        let end = || Stdio::from(slave.try_clone().unwrap());
        // The terminal has to be the controlling one, as that of a person is: else closing it would tell nobody.
        let child = place
            .command("setsid")
            .arg("--ctty")
            .arg(path())
            .arg("--scripted")
            .env("TERM", "xterm-256color")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let keyboard = File::from(OwnedFd::from(master));
        let parser = vt100::Parser::new(cells(24), cells(80), 0);
        let seen: Seen = Arc::new((Mutex::new(parser), Condvar::new()));
        let (stopped, stop) = pipe().unwrap();
        let (from, to) = (keyboard.try_clone().unwrap(), Arc::clone(&seen));
        Self {
            child,
            keyboard,
            line: slave,
            seen,
            reader: thread::spawn(move || read(from, &stopped, &to)),
            stop,
        }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen satisfies a condition; gives what it shows.
    pub fn wait(
        &self,
        what: &str,
        mut condition: impl FnMut(&vt100::Screen, &str) -> bool,
    ) -> String {
        let begin = Instant::now();
        let (lock, changed) = &*self.seen;
        let mut seen = lock.lock().unwrap();
        loop {
            let screen = seen.screen();
            let text = screen.contents();
            if condition(screen, &text) {
                return text;
            }
            let left = DEADLINE.saturating_sub(begin.elapsed());
            assert!(!left.is_zero(), "not in time: {what}\n{text}");
            seen = changed.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Waits for a text.
    pub fn shows(&self, wanted: &str) -> String {
        self.wait(wanted, |_, text| text.contains(wanted))
    }

    /// Changes the size.
    pub fn resize(&self, columns: u16, rows: u16) {
        let mut seen = self.seen.0.lock().unwrap();
        // First, so that nothing that is drawn for the new size meets the old one.
        seen.screen_mut().set_size(cells(rows), cells(columns));
        size(&self.line, columns, rows);
    }

    /// Process id of what a person would have started.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Whether the terminal shows what is typed, as it does before the demo.
    pub fn echoes(&self) -> bool {
        let flags = tcgetattr(&self.line).unwrap().local_flags;
        flags.contains(LocalFlags::ECHO | LocalFlags::ICANON)
    }

    /// Stops the terminal, or lets it go on.
    pub fn flow(&self, how: FlowArg) {
        tcflow(&self.line, how).unwrap();
    }

    /// Waits for the end.
    pub fn ended(&mut self) -> ExitStatus {
        until("the demo ends", || self.child.try_wait().unwrap())
    }

    /// Closes the window.
    pub fn close(self) {
        drop(self.stop);
        self.reader.join().unwrap();
        // The last descriptor of the terminal's other side: from here on the line is hung up.
        drop(self.keyboard);
    }
}

/// Both ends of a terminal of 80 by 24. No child may inherit them by chance: it would keep the terminal open.
fn pair() -> (PtyMaster, File) {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    // Files are opened close-on-exec.
    let slave = File::options()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NOCTTY.bits())
        .open(ptsname_r(&master).unwrap())
        .unwrap();
    size(&slave, 80, 24);
    (master, slave)
}

fn size(line: &File, columns: u16, rows: u16) {
    let done = Command::new("stty")
        .args(["cols", &columns.to_string(), "rows", &rows.to_string()])
        .stdin(line.try_clone().unwrap())
        .status();
    assert!(done.unwrap().success());
}

fn cells(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

/// Takes what the demo writes, until it is to stop.
fn read(mut from: File, stopped: &PipeReader, to: &Seen) {
    let mut buffer = [0; 4096];
    loop {
        let mut ends = [
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
            PollFd::new(from.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut ends, PollTimeout::NONE).unwrap();
        if ends[0].any() == Some(true) {
            return;
        }
        let read = from.read(&mut buffer).unwrap();
        to.0.lock().unwrap().process(&buffer[..read]);
        to.1.notify_all();
    }
}
