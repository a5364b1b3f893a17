//! `telexctl watch`: the screen of `status`, kept up to date.

use std::{
    io::{self, Read as _, Write as _},
    time::Duration,
};

use nix::sys::{
    signal::{Signal, raise},
    termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr},
};
use tokio::{
    signal::unix::{Signal as Signals, SignalKind, signal},
    time::{self, MissedTickBehavior},
};

use super::status::{self, Picture};
use crate::ctl::{
    Ctl,
    bus::{Bus, News, Where},
    exit,
    failure::Failure,
    look::{Look, Paint},
    size,
    text::{self, harmless},
    when,
};

/// What came.
enum Event {
    /// Look anew.
    Look,
    /// Draw anew: the terminal is another size.
    Draw,
    /// Ctrl-Z.
    Suspend,
    /// End.
    End,
}

pub(super) async fn run(ctl: &mut Ctl<'_>, interval: u64) -> Result<u8, Failure> {
    let mut inputs = Inputs::new(ctl.interactive)?;
    let mut tick = time::interval(Duration::from_secs(interval));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut eyes = Eyes::default();
    // First without touching the terminal: what cannot be seen at all is an ordinary error.
    let mut seen = eyes.look(&ctl.place, ctl.ask).await;
    if let Err(failure) = &seen
        && (!failure.is_away() || matches!(ctl.place, Where::Host(_)))
    {
        return Err(failure.clone());
    }
    let screen = match ctl.interactive && !ctl.look.json {
        true => Some(Screen::enter()?),
        false => None,
    };
    let mut told = None;
    tick.reset();
    loop {
        draw(ctl, screen.as_ref(), &seen, &mut told)?;
        let event = tokio::select! {
            event = inputs.next() => event,
            _ = tick.tick() => Event::Look,
            () = eyes.news() => Event::Look,
        };
        match event {
            Event::End => break,
            Event::Draw => {}
            Event::Suspend => {
                if let Some(screen) = &screen {
                    screen.suspend()?;
                }
            }
            Event::Look => {
                seen = tokio::select! {
                    seen = eyes.look(&ctl.place, false) => seen,
                    // Ctrl-C works also while a bus does not answer.
                    () = inputs.end() => break,
                };
            }
        }
    }
    drop(screen);
    Ok(exit::OK)
}

type Seen = Result<Picture, Failure>;

/// Shows it: redraws the terminal, or writes what has changed.
fn draw(
    ctl: &mut Ctl<'_>,
    screen: Option<&Screen>,
    seen: &Seen,
    told: &mut Option<serde_json::Value>,
) -> Result<(), Failure> {
    let now = when::now();
    if screen.is_some() {
        let (width, height) = size();
        let look = Look {
            width: Some(width),
            height: Some(height),
            now,
            ..ctl.look
        };
        return ctl.say(&frame(&look, seen));
    }
    let gist = match seen {
        Ok(picture) => picture.gist(),
        Err(failure) => serde_json::json!(failure.name),
    };
    if told.as_ref() == Some(&gist) {
        return Ok(());
    }
    *told = Some(gist);
    let look = Look {
        width: None,
        now,
        ..ctl.look
    };
    let text = match (seen, look.json) {
        (Ok(picture), true) => look.as_json(&picture.to_json()),
        (Ok(picture), false) => format!("{}\n{}\n", when::stamp(now), status::show(&look, picture)),
        (Err(failure), true) => failure.show(&look),
        (Err(failure), false) => format!("{}\n{}\n", when::stamp(now), failure.show(&look)),
    };
    ctl.say(&text)
}

/// All that is written to the terminal for one picture: every line is overwritten to its end, and what is below is
/// cleared, so that nothing flickers.
fn frame(look: &Look, seen: &Seen) -> String {
    let (width, height) = (look.width.unwrap_or(80), look.height.unwrap_or(24));
    let body = match seen {
        Ok(picture) => status::show(look, picture),
        Err(failure) => {
            let words = text::cut(&harmless(&failure.text), width.saturating_sub(2));
            format!("{}\n", look.paint(Paint::Bad, &format!("× {words}")))
        }
    };
    let mut lines: Vec<String> = body.lines().map(str::to_owned).collect();
    // The last line is ours.
    if lines.len() + 2 > height {
        lines.truncate(height.saturating_sub(2));
        lines.push(look.paint(Paint::Dim, "…"));
    } else {
        lines.push(String::new());
    }
    let foot = format!("{}  q ends this", when::stamp(look.now));
    lines.push(look.paint(Paint::Dim, &text::cut(&foot, width)));
    lines.truncate(height.max(1));
    format!("\x1b[H{}\x1b[K\x1b[J", lines.join("\x1b[K\r\n"))
}

/// The connection, made anew where it is lost.
#[derive(Default)]
struct Eyes {
    bus: Option<(Bus, News)>,
}

impl Eyes {
    async fn look(&mut self, place: &Where, ask: bool) -> Seen {
        if self.bus.as_ref().is_none_or(|(bus, _)| bus.is_closed()) {
            self.bus = None;
            let bus = Bus::connect(place, ask).await?;
            let news = bus.news().await?;
            self.bus = Some((bus, news));
        }
        match &self.bus {
            Some((bus, _)) => {
                let seen = status::look_at(bus).await;
                // A question for a password in the midst of the screen would be seen by nobody.
                bus.ask_no_more();
                seen
            }
            None => Err(Failure::no_bus("the bus is gone")),
        }
    }

    /// Something has changed, or the bus is gone.
    async fn news(&mut self) {
        match &mut self.bus {
            Some((_, news)) => {
                if !news.next().await {
                    self.bus = None;
                }
            }
            None => std::future::pending().await,
        }
    }
}

/// Signals and keys.
struct Inputs {
    ends: [Signals; 3],
    resized: Signals,
    stopped: Signals,
    keys: Option<tokio::sync::mpsc::Receiver<u8>>,
}

impl Inputs {
    fn new(keys: bool) -> io::Result<Self> {
        Ok(Self {
            ends: [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
            ],
            resized: signal(SignalKind::window_change())?,
            stopped: signal(SignalKind::from_raw(nix::libc::SIGTSTP))?,
            keys: keys.then(read_keys),
        })
    }

    async fn end(&mut self) {
        let [a, b, c] = &mut self.ends;
        tokio::select! { _ = a.recv() => {}, _ = b.recv() => {}, _ = c.recv() => {}, () = quit(&mut self.keys) => {} }
    }

    async fn next(&mut self) -> Event {
        let [a, b, c] = &mut self.ends;
        tokio::select! {
            _ = a.recv() => Event::End,
            _ = b.recv() => Event::End,
            _ = c.recv() => Event::End,
            () = quit(&mut self.keys) => Event::End,
            _ = self.resized.recv() => Event::Draw,
            _ = self.stopped.recv() => Event::Suspend,
        }
    }
}

/// Waits for the key q.
async fn quit(keys: &mut Option<tokio::sync::mpsc::Receiver<u8>>) {
    let Some(receiver) = keys else {
        return std::future::pending().await;
    };
    loop {
        match receiver.recv().await {
            // Ctrl-D, too.
            Some(b'q' | b'Q' | 4) => return,
            Some(_) => {}
            None => {
                *keys = None;
                return std::future::pending().await;
            }
        }
    }
}

/// What is typed. The thread ends with the program.
fn read_keys() -> tokio::sync::mpsc::Receiver<u8> {
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    std::thread::spawn(move || {
        let mut key = [0];
        while let Ok(1) = io::stdin().lock().read(&mut key) {
            if sender.blocking_send(key[0]).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The terminal while it is ours; given back as it was when this is dropped.
struct Screen {
    before: Termios,
}

impl Screen {
    fn enter() -> io::Result<Self> {
        let screen = Self {
            before: tcgetattr(io::stdin())?,
        };
        screen.take()?;
        Ok(screen)
    }

    /// Another page than that of the shell, no cursor, no second line for what is too wide after all; keys come at once
    /// and are not shown.
    fn take(&self) -> io::Result<()> {
        let mut ours = self.before.clone();
        ours.local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &ours)?;
        write("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J")
    }

    fn give_back(&self) -> io::Result<()> {
        write("\x1b[?7h\x1b[?25h\x1b[?1049l")?;
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before)?;
        Ok(())
    }

    /// Ctrl-Z: the terminal is the shell's until it lets us go on.
    fn suspend(&self) -> io::Result<()> {
        self.give_back()?;
        // SIGSTOP, for SIGTSTP is ours. It returns when we go on.
        raise(Signal::SIGSTOP)?;
        self.take()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The terminal may be gone; then there is nothing to give back.
        let _ = self.give_back();
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(frame: &str) -> Vec<String> {
        let frame = frame
            .strip_prefix("\x1b[H")
            .unwrap()
            .strip_suffix("\x1b[K\x1b[J")
            .unwrap();
        frame.split("\x1b[K\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_frame_is_never_more_than_the_terminal() {
        for height in 1..12 {
            for width in [20, 80] {
                let look = Look {
                    width: Some(width),
                    height: Some(height),
                    ..Look::default()
                };
                for seen in [
                    Ok(Picture::default()),
                    Err(Failure::no_bus("x\x1by".repeat(50))),
                ] {
                    let shown = lines(&frame(&look, &seen));
                    assert!(shown.len() <= height, "{shown:?} in {height}");
                    assert!(
                        shown.iter().all(|l| text::width(l) <= width),
                        "{shown:?} in {width}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_absent_daemon_is_shown() {
        let look = Look {
            width: Some(40),
            height: Some(9),
            ..Look::default()
        };
        let shown = lines(&frame(
            &look,
            &Err(Failure::no_bus("telexd does not run here")),
        ));
        assert_eq!(shown[0], "× telexd does not run here");
        assert!(shown.last().unwrap().ends_with("q ends this"));
    }
}
