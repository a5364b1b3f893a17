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
    local,
    model::{Action, Model},
    post, town,
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
        notices: 0,
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
        let (line, waits) = local::quick(&line);
        // Which message is the newest, and which buttons are there, is known only now.
        talk.look(stage);
        match talk.model.line(line)? {
            Some(Action::Quit) => break,
            Some(action) => talk.act(stage, action, waits).await?,
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
    /// How many answers to pressed buttons were printed.
    notices: usize,
    within: Duration,
}

impl Talk {
    async fn act(&mut self, stage: &mut Stage, action: Action, waits: bool) -> Result<(), String> {
        let from = match &action {
            Action::Write { who, text } => Some((*who, text.clone())),
            Action::Post { who, post } => Some((*who, post.told())),
            Action::Edit { who, text, .. } => Some((*who, format!("[edited] {text}"))),
            _ => None,
        };
        if let Some((_, told)) = &from {
            print(&format!("{}> {told}\n", self.model.chat().name))?;
        }
        let before = from.as_ref().map(|(who, _)| changes(stage, *who));
        if let Some(words) = stage.perform(&action)? {
            complain(&words);
        }
        match action {
            Action::Wait(text) => self.wait(stage, &text).await?,
            Action::Kill => {
                stage.daemon.kill();
                // The end, and the return.
                for _ in 0..2 {
                    let state = stage.daemon.changed().await;
                    survive(stage, state)?;
                }
            }
            Action::Write { .. } | Action::Post { .. } if waits => {
                self.settle(stage).await?;
                if let Some((who, told)) = from
                    && who != town::EVE
                    && Some(changes(stage, who)) == before
                {
                    return Err(format!("no answer to {told:?}"));
                }
            }
            // Of a message that the agent has already, a change is not answered.
            Action::Edit { .. } | Action::Press { .. } if waits => self.settle(stage).await?,
            _ => {}
        }
        Ok(())
    }

    /// Takes every message as it is now.
    fn look(&mut self, stage: &Stage) {
        for (who, _, _) in town::PEOPLE {
            for message in stage.town.api.messages(who) {
                self.model.put(message);
            }
        }
    }

    /// Waits until the chat, or the answer to a press that is not printed yet, shows this.
    async fn wait(&mut self, stage: &mut Stage, text: &str) -> Result<(), String> {
        let deadline = Instant::now() + self.within;
        let who = self.model.chat().id;
        loop {
            self.look(stage);
            let shown = stage.town.api.view(|v| v.bot_messages(who));
            let notices = stage.town.api.callback_answers();
            let noticed = notices.iter().skip(self.notices);
            let mut noticed = noticed.filter_map(|n| n.text.as_deref());
            if shown.iter().any(|m| self.told(m).contains(text))
                || noticed.any(|n| n.contains(text))
            {
                return self.print_new(stage);
            }
            let late = || format!("{text:?} was not shown within {} s", self.within.as_secs());
            step(stage, deadline).await?.ok_or_else(late)?;
        }
    }

    /// Waits until nothing goes on by itself any more, and prints what is new.
    async fn settle(&mut self, stage: &mut Stage) -> Result<(), String> {
        let deadline = Instant::now() + self.within;
        let database = home::database(&stage.home);
        loop {
            // In this order: what Telegram has handed over stands in the books.
            let taken = stage.town.api.pending_updates().is_empty();
            let settled = books::read(&database).is_some_and(|books| books.open == 0);
            if taken && settled {
                break;
            }
            let late = || format!("not answered within {} s", self.within.as_secs());
            step(stage, deadline).await?.ok_or_else(late)?;
        }
        self.print_new(stage)
    }

    fn print_new(&mut self, stage: &Stage) -> Result<(), String> {
        self.look(stage);
        let notices = stage.town.api.callback_answers();
        for notice in notices.iter().skip(self.notices) {
            if let Some(text) = notice.text.as_deref().filter(|text| !text.is_empty()) {
                print(&format!("telexd (notice)> {text}\n"))?;
            }
        }
        self.notices = notices.len();
        for (who, name, _) in town::PEOPLE {
            for message in stage.town.api.view(|v| v.bot_messages(who)) {
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

    /// Text, file and buttons of a message.
    fn told(&self, message: &ShownMessage) -> String {
        let mut text = message.text.clone();
        if let Some(file) = &message.file {
            text = [text, post::line(file)].join("\n").trim().to_owned();
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

/// How often the bot has said or changed something in a chat.
fn changes(stage: &Stage, who: i64) -> usize {
    let all = stage.town.api.messages(who);
    let bots = all.iter().filter(|message| message.from_bot);
    bots.map(|message| message.history.len()).sum()
}

/// Waits until something is worth another look. `None`: it is too late for that.
async fn step(stage: &mut Stage, deadline: Instant) -> Result<Option<()>, String> {
    let quit = stage.quit.clone();
    let step = async {
        tokio::select! {
            () = quit.cancelled() => Err("ended by a signal".to_owned()),
            state = stage.daemon.changed() => survive(stage, state),
            () = sleep(LOOK_AGAIN) => Ok(()),
        }
    };
    timeout_at(deadline, step).await.ok().transpose()
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
