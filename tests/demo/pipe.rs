//! Talking through a pipe: every line is a message, every answer is printed when it is complete.

use std::{
    collections::BTreeMap,
    io::{BufRead, Write, stdin, stdout},
    thread,
    time::Duration,
};

use telexd_botapi::ShownMessage;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout_at},
};

use super::{
    books, complain,
    daemon::{self, State},
    home,
    host::Stage,
    model::{Action, Local, Model},
    town,
};

/// Lines that were read and not yet taken.
const LINES: usize = 16;
/// Between two looks into the daemon's books, which nobody announces.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Takes the input to its end.
///
/// # Errors
/// A message that was not answered in time or waits for a button; a line that is not understood; a daemon that ended;
/// a signal.
pub async fn run(stage: &mut Stage, within: Duration) -> Result<(), String> {
    complain(&format!(
        "the agent: {} ({})",
        stage.agent.name, stage.agent.why
    ));
    let mut talk = Talk {
        model: Model::new(
            &stage.agent.name,
            &stage.agent.why,
            stage.agent.is_stand_in(),
        ),
        printed: BTreeMap::new(),
        within,
    };
    let mut lines = lines();
    loop {
        let quit = stage.quit.clone();
        let line = tokio::select! {
            () = quit.cancelled() => return Err("ended by a signal".to_owned()),
            state = stage.daemon.changed() => {
                survive(stage, state)?;
                continue;
            }
            line = lines.recv() => line,
        };
        let Some(line) = line else { break };
        let line = line.map_err(|e| format!("cannot read the input: {e}"))?;
        let action = match Local::parse(&line) {
            Some(local) => talk.model.local(local?)?,
            None if line.trim().is_empty() => None,
            None => Some(Action::Write {
                who: talk.model.chat().id,
                text: line.trim().to_owned(),
            }),
        };
        match action {
            Some(Action::Quit) => break,
            Some(action) => talk.act(stage, action).await?,
            None => {}
        }
    }
    // What was left to do by the last line is waited for as well.
    talk.settle(stage).await?;
    match books::read(&home::database(&stage.home)) {
        Some(books) if books.waiting > 0 => Err(format!(
            "{} of the answers wait for a button; a line \":press KEY\" presses one",
            books.waiting
        )),
        _ => Ok(()),
    }
}

struct Talk {
    model: Model,
    /// What was printed of each message of each chat.
    printed: BTreeMap<(i64, i64), String>,
    within: Duration,
}

impl Talk {
    async fn act(&mut self, stage: &mut Stage, action: Action) -> Result<(), String> {
        match action {
            Action::Write { who, text } => {
                print(&format!("{}> {text}\n", self.model.chat().name))?;
                let before = self.answers(stage, who);
                stage.town.write(who, &text);
                self.settle(stage).await?;
                let allowed = who != town::EVE;
                if allowed && self.answers(stage, who) == before {
                    return Err(format!("no answer to {text:?}"));
                }
            }
            Action::Press { who, message, data } => {
                if !stage.town.press(who, message, &data) {
                    return Err("that button is gone".to_owned());
                }
                self.settle(stage).await?;
            }
            Action::Kill => {
                stage.daemon.kill();
                // The end, and the return.
                for _ in 0..2 {
                    let state = stage.daemon.changed().await;
                    survive(stage, state)?;
                }
            }
            Action::Quit => {}
        }
        Ok(())
    }

    /// How many messages of the bot there are in a chat.
    fn answers(&self, stage: &Stage, who: i64) -> usize {
        stage.town.api.view(|v| v.bot_messages(who).len())
    }

    /// Waits until nothing goes on by itself any more, and prints what is new.
    async fn settle(&mut self, stage: &mut Stage) -> Result<(), String> {
        let deadline = Instant::now() + self.within;
        let database = home::database(&stage.home);
        let quit = stage.quit.clone();
        loop {
            // In this order: what Telegram has handed over stands in the books.
            let taken = stage.town.api.pending_updates().is_empty();
            let settled = books::read(&database).is_some_and(|books| books.open == 0);
            if taken && settled {
                break;
            }
            let step = async {
                tokio::select! {
                    () = quit.cancelled() => Err("ended by a signal".to_owned()),
                    state = stage.daemon.changed() => survive(stage, state),
                    () = sleep(LOOK_AGAIN) => Ok(()),
                }
            };
            match timeout_at(deadline, step).await {
                Ok(step) => step?,
                Err(_) => {
                    return Err(format!("not answered within {} s", self.within.as_secs()));
                }
            }
        }
        self.print_new(stage)
    }

    fn print_new(&mut self, stage: &Stage) -> Result<(), String> {
        for (who, name, _) in town::PEOPLE {
            for message in stage.town.api.view(|v| v.bot_messages(who)) {
                self.model.put(message.clone());
                let text = self.told(&message);
                let key = (who, message.message_id);
                if self.printed.get(&key) != Some(&text) {
                    let to = if who == self.model.chat().id {
                        String::new()
                    } else {
                        format!(" to {name}")
                    };
                    print(&format!("telexd{to}> {text}\n"))?;
                    self.printed.insert(key, text);
                }
            }
        }
        Ok(())
    }

    /// Text and buttons of a message.
    fn told(&self, message: &ShownMessage) -> String {
        let mut text = message.text.clone();
        if let Some(file) = &message.file {
            let name = file.name.as_deref().unwrap_or(&file.kind);
            text.push_str(&format!("\n[file {name}, {} bytes]", file.size));
        }
        let chat = self.model.chats.iter().find(|c| c.id == message.chat_id);
        for row in &message.buttons {
            let row: Vec<String> = row
                .iter()
                .map(|button| {
                    let key = chat
                        .zip(button.data.as_deref())
                        .and_then(|(chat, data)| chat.keys.key(message.message_id, data));
                    let key = key.map_or_else(|| "-".to_owned(), |key| key.to_string());
                    format!("[{key} {}]", button.text)
                })
                .collect();
            if !row.is_empty() {
                text.push('\n');
                text.push_str(&row.join(" "));
            }
        }
        text
    }
}

/// Goes on where the daemon was killed on purpose or has come back.
fn survive(stage: &Stage, state: std::io::Result<State>) -> Result<(), String> {
    match state.map_err(|e| format!("cannot start the daemon: {e}"))? {
        State::Killed(pid) => complain(&format!("kill -9 {pid}: the daemon is dead")),
        State::Runs(pid) => complain(&format!("the daemon is started again, as pid {pid}")),
        State::Ended(status) => {
            let words = daemon::last_words(&stage.home).unwrap_or_default();
            return Err(format!("the daemon ended by itself ({status}): {words}"));
        }
    }
    Ok(())
}

fn print(text: &str) -> Result<(), String> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| format!("cannot print: {e}"))
}

/// Lines of the input, read by a thread of its own that ends with the process.
fn lines() -> mpsc::Receiver<std::io::Result<String>> {
    let (sender, receiver) = mpsc::channel(LINES);
    thread::spawn(move || {
        for line in stdin().lock().lines() {
            let last = line.is_err();
            if sender.blocking_send(line).is_err() || last {
                return;
            }
        }
    });
    receiver
}
