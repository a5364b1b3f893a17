//! Talking in a terminal.

use std::{
    io::stdout,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ratatui::crossterm::{
    event::{self, DisableBracketedPaste, EnableBracketedPaste, Event},
    execute,
};
use telexd_botapi::{Change, View};
use tokio::sync::{broadcast::error::RecvError, mpsc};

use super::{
    daemon::{self, State},
    host::Stage,
    model::{Action, Health, Model},
    paint, town,
};

/// Keys that were pressed and not yet taken.
const EVENTS: usize = 256;
/// Longest wait for something that always comes.
const EVER: Duration = Duration::from_secs(86_400);

/// Shows the screen until the person has enough, a signal comes, or the terminal is gone.
///
/// # Errors
/// There is no screen to be had.
pub async fn run(stage: &mut Stage) -> Result<(), String> {
    let mut model = Model::new(
        &stage.agent.name,
        &stage.agent.why,
        stage.agent.is_stand_in(),
    );
    let mut changes = stage.town.api.subscribe();
    let mut terminal = ratatui::try_init().map_err(|e| format!("cannot use this terminal: {e}"))?;
    // Where the terminal does not know it, pasted lines come as typed ones.
    let _ = execute!(stdout(), EnableBracketedPaste);
    let mut events = events();
    loop {
        let next = model.tick(now());
        // A terminal that cannot be written to is gone.
        if terminal.draw(|frame| paint::draw(&model, frame)).is_err() {
            break;
        }
        let wait = next.map_or(EVER, |at| {
            Duration::from_millis(u64::try_from(at - model.now).unwrap_or(0))
        });
        let starts = model.health == Health::Starts;
        tokio::select! {
            () = stage.quit.cancelled() => break,
            event = events.recv() => {
                let Some(event) = event else { break };
                if !take(&mut model, stage, event) {
                    break;
                }
            }
            change = changes.recv() => match change {
                Ok(change) => {
                    model.apply(change);
                    while let Ok(change) = changes.try_recv() {
                        model.apply(change);
                    }
                }
                Err(RecvError::Lagged(_)) => reload(&mut model, stage),
                Err(RecvError::Closed) => break,
            },
            state = stage.daemon.changed() => match state {
                Ok(state) => tell(&mut model, stage, &state),
                Err(e) => {
                    model.health = Health::Ended;
                    model.remark(&format!("The daemon could not be started: {e}. ^K tries again."));
                }
            },
            polled = stage.town.api.wait_for(EVER, View::is_polled), if starts => {
                if polled.is_ok() && let Some(pid) = stage.daemon.pid() {
                    model.health = Health::Runs(pid.as_raw());
                }
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
    let _ = execute!(stdout(), DisableBracketedPaste);
    // Says why on a terminal that is gone.
    let _ = ratatui::try_restore();
    Ok(())
}

/// Takes what the terminal says; whether to go on.
fn take(model: &mut Model, stage: &mut Stage, event: Event) -> bool {
    let action = match event {
        Event::Key(key) => model.key(key),
        Event::Paste(text) => {
            model.paste(&text);
            None
        }
        _ => None,
    };
    match action {
        None => {}
        Some(Action::Kill) => stage.daemon.kill(),
        Some(Action::Quit) => return false,
        Some(Action::Wait(_)) => {
            model.tell("you see it here when it comes; :wait is for pipes".to_owned());
        }
        Some(action) => match stage.perform(&action) {
            Ok(Some(words)) => model.remark_here(&words),
            Ok(None) => {}
            // It may be longer than the line on which passing words show.
            Err(words) => model.remark_here(&words),
        },
    }
    true
}

/// What became of the daemon.
fn tell(model: &mut Model, stage: &Stage, state: &State) {
    match state {
        State::Killed(pid) => {
            model.health = Health::Killed;
            model.remark(&format!(
                "kill -9 {pid}: the daemon is dead. Its agents go on; what you write waits at Telegram. In 3 s it is started again."
            ));
        }
        State::Runs(pid) => {
            model.health = Health::Starts;
            model.remark(&format!("The daemon is started again, as pid {pid}."));
        }
        State::Ended(status) => {
            model.health = Health::Ended;
            let words = daemon::last_words(&stage.home).unwrap_or_default();
            model.remark(&format!(
                "The daemon ended by itself ({status}). ^K starts it again. {words}"
            ));
        }
    }
}

/// Takes everything anew, where news were missed.
fn reload(model: &mut Model, stage: &Stage) {
    for (id, _, _) in town::PEOPLE {
        for message in stage.town.api.messages(id) {
            model.apply(Change::Edited(message));
        }
    }
}

/// What the terminal says, read by a thread of its own that ends with the process.
fn events() -> mpsc::Receiver<Event> {
    let (sender, receiver) = mpsc::channel(EVENTS);
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Milliseconds since the Unix epoch, by the clock that the Bot API has.
fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
