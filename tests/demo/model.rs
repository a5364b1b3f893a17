//! What the screen shows: people, their chats, what is being written. Pure: fed with news of the Bot API, with keys and
//! with the time; says what is to be done.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use telexd_botapi::{Change, ShownFile, ShownMessage};

use super::{
    input::Input,
    keys::{Keys, Target},
    local::{self, Local},
    post::Post,
    town,
};

/// How long a chat action shows, in milliseconds, as Telegram has it.
const TYPING_MS: i64 = 5_000;
/// How long the answer to a pressed button shows, in milliseconds.
const NOTICE_MS: i64 = 5_000;
/// How many lines one step of scrolling goes.
const STEP: usize = 8;

/// Something in a chat.
#[derive(Clone, Debug)]
pub enum Item {
    /// A message.
    Message(Box<ShownMessage>),
    /// A remark of the demo itself.
    Remark(String),
}

/// One person's chat with the bot.
#[derive(Clone, Debug, Default)]
pub struct Chat {
    /// The person's id, and the chat's.
    pub id: i64,
    /// Name.
    pub name: String,
    /// What the person may do, in words.
    pub role: String,
    /// Everything in it, in order.
    pub items: Vec<Item>,
    /// Until when "typing…" shows, milliseconds since the Unix epoch.
    pub typing_until: i64,
    /// Whether something happened that was not looked at.
    pub unread: bool,
    /// Keys of the buttons.
    pub keys: Keys,
    /// What is being written.
    pub input: Input,
    /// How many lines up from the newest.
    pub scroll: usize,
    /// The button that was pressed last.
    pub pressed: Option<Target>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A person writes.
    Write {
        /// Who.
        who: i64,
        /// What.
        text: String,
    },
    /// A person presses a button.
    Press {
        /// Who.
        who: i64,
        /// Message.
        message: i64,
        /// `callback_data`.
        data: String,
        /// Whether it may be gone.
        stale: bool,
    },
    /// A person sends something else than a text.
    Post {
        /// Who.
        who: i64,
        /// What.
        post: Post,
    },
    /// A person changes a message.
    Edit {
        /// Who.
        who: i64,
        /// Message.
        message: i64,
        /// What it is to be.
        text: String,
    },
    /// A file of the bot is shown.
    Look(ShownFile),
    /// A file of the bot is stored.
    Save {
        /// File.
        file: ShownFile,
        /// Where; `None`: under its name in the working directory.
        to: Option<String>,
    },
    /// Nothing more is done until the bot shows this.
    Wait(String),
    /// The demo itself says something.
    Tell(String),
    /// SIGKILL to the daemon.
    Kill,
    /// The end.
    Quit,
}

/// How the daemon is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It has not asked for messages yet.
    Starts,
    /// It runs.
    Runs(i32),
    /// It was killed and comes back.
    Killed,
    /// It ended by itself.
    Ended,
}

/// Everything that the screen shows.
#[derive(Clone, Debug)]
pub struct Model {
    /// Chats.
    pub chats: Vec<Chat>,
    /// Which of them is shown.
    pub current: usize,
    /// The agent's name.
    pub agent: String,
    /// Whether the agent is the stand-in.
    pub stand_in: bool,
    /// The daemon.
    pub health: Health,
    /// A passing word, and until when it shows.
    pub notice: Option<(String, i64)>,
    /// The time, milliseconds since the Unix epoch.
    pub now: i64,
}

impl Model {
    /// Everybody, and nothing said yet.
    pub fn new(agent: &str, why: &str, stand_in: bool) -> Self {
        let chats = town::PEOPLE
            .iter()
            .map(|(id, name, role)| Chat {
                id: *id,
                name: (*name).to_owned(),
                role: (*role).to_owned(),
                items: vec![Item::Remark(format!(
                    "You are {name}, {role}. The agent: {agent} ({why})."
                ))],
                ..Chat::default()
            })
            .collect();
        let mut model = Self {
            chats,
            current: 0,
            agent: agent.to_owned(),
            stand_in,
            health: Health::Starts,
            notice: None,
            now: 0,
        };
        model.hint();
        model
    }

    fn hint(&mut self) {
        let hint = if self.stand_in {
            "Write something. The stand-in also takes: tools 5 · ask · edit · choose · plan · table · slow 300 x30. \
             :help tells what the demo takes."
        } else {
            "Write something; /help tells what the bot understands, :help what the demo does."
        };
        for chat in &mut self.chats {
            if chat.id != town::EVE {
                chat.items.push(Item::Remark(hint.to_owned()));
            }
        }
    }

    /// The chat that is shown.
    pub fn chat(&self) -> &Chat {
        // `current` is only ever set to an index of a chat, and there is always one.
        &self.chats[self.current]
    }

    fn chat_mut(&mut self) -> &mut Chat {
        &mut self.chats[self.current]
    }

    /// Takes news.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Sent(message) | Change::Edited(message) => self.put(message),
            Change::Deleted {
                chat_id,
                message_id,
            } => {
                if let Some(chat) = self.chats.iter_mut().find(|c| c.id == chat_id) {
                    let gone = chat.items.iter_mut().find_map(|item| match item {
                        Item::Message(m) if m.message_id == message_id => Some(m),
                        _ => None,
                    });
                    if let Some(message) = gone {
                        message.deleted = true;
                        chat.keys.take(message);
                    }
                }
            }
            Change::Action(action) => {
                if let Some(chat) = self.chats.iter_mut().find(|c| c.id == action.chat_id) {
                    chat.typing_until = action.at + TYPING_MS;
                }
            }
            Change::CallbackAnswered(answer) => {
                if let Some(text) = answer.text.filter(|text| !text.is_empty()) {
                    self.notice = Some((text, answer.at + NOTICE_MS));
                }
            }
            Change::Draft(_) | Change::Commands => {}
        }
    }

    /// Takes a message as it is now.
    pub fn put(&mut self, message: ShownMessage) {
        let current = self.chats.get(self.current).map(|c| c.id);
        let Some(chat) = self.chats.iter_mut().find(|c| c.id == message.chat_id) else {
            return;
        };
        chat.keys.take(&message);
        if message.from_bot {
            chat.unread |= current != Some(chat.id);
        }
        let known = chat.items.iter_mut().find_map(|item| match item {
            Item::Message(m) if m.message_id == message.message_id => Some(m),
            _ => None,
        });
        match known {
            Some(known) => **known = message,
            None => {
                if message.from_bot {
                    // As in Telegram: a message ends "typing…".
                    chat.typing_until = 0;
                } else {
                    chat.scroll = 0;
                }
                chat.items.push(Item::Message(Box::new(message)));
            }
        }
    }

    /// A remark of the demo itself, in every chat.
    pub fn remark(&mut self, words: &str) {
        for chat in &mut self.chats {
            chat.items.push(Item::Remark(words.to_owned()));
        }
    }

    /// A remark of the demo itself, in the chat that is shown.
    pub fn remark_here(&mut self, words: &str) {
        let chat = self.chat_mut();
        chat.items.push(Item::Remark(words.to_owned()));
        chat.scroll = 0;
    }

    /// A passing word.
    pub fn tell(&mut self, words: String) {
        self.notice = Some((words, self.now + NOTICE_MS));
    }

    /// Sets the time; gives the time at which something ceases to show by itself.
    pub fn tick(&mut self, now: i64) -> Option<i64> {
        self.now = now;
        self.notice.take_if(|(_, until)| *until <= now);
        let typing = self.chats.iter().map(|c| c.typing_until);
        let notice = self.notice.as_ref().map(|(_, until)| *until);
        typing.chain(notice).filter(|at| *at > now).min()
    }

    /// Shows another person's chat.
    pub fn turn(&mut self, step: isize) {
        let all = self.chats.len();
        let step = step.rem_euclid(all.cast_signed()).cast_unsigned();
        self.show((self.current + step) % all);
    }

    fn show(&mut self, at: usize) {
        self.current = at;
        self.chat_mut().unread = false;
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> Option<Action> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('c' | 'd') if control => return Some(Action::Quit),
            KeyCode::Char('k') if control => return Some(Action::Kill),
            KeyCode::Char('n') if control => self.turn(1),
            KeyCode::Char('p') if control => self.turn(-1),
            KeyCode::Char('u') if control => self.chat_mut().input.clear(),
            KeyCode::Char('w') if control => self.chat_mut().input.delete_word(),
            KeyCode::Char('a') if control => self.chat_mut().input.home(),
            KeyCode::Char('e') if control => self.chat_mut().input.end(),
            KeyCode::Char(c @ '1'..='9') if alt || self.chat().input.text().is_empty() => {
                return self.digit(c, alt);
            }
            KeyCode::Char(c) if !control && !alt => {
                self.chat_mut().input.insert(c.encode_utf8(&mut [0; 4]));
            }
            KeyCode::Enter if alt => self.chat_mut().input.insert("\n"),
            KeyCode::Enter => return self.enter(),
            // Enter that was pressed before the screen was there.
            KeyCode::Char('j') if control => return self.enter(),
            KeyCode::Tab => self.turn(1),
            KeyCode::BackTab => self.turn(-1),
            KeyCode::Esc => self.chat_mut().input.clear(),
            KeyCode::Backspace => self.chat_mut().input.backspace(),
            KeyCode::Delete => self.chat_mut().input.delete(),
            KeyCode::Left => self.chat_mut().input.left(),
            KeyCode::Right => self.chat_mut().input.right(),
            KeyCode::Home => self.chat_mut().input.home(),
            KeyCode::End => self.chat_mut().input.end(),
            KeyCode::Up => self.chat_mut().input.recall(1),
            KeyCode::Down => self.chat_mut().input.recall(-1),
            KeyCode::PageUp => self.chat_mut().scroll += STEP,
            KeyCode::PageDown => {
                let chat = self.chat_mut();
                chat.scroll = chat.scroll.saturating_sub(STEP);
            }
            _ => {}
        }
        None
    }

    /// A digit presses a button where there is one with that key, else it is a letter like any other.
    fn digit(&mut self, digit: char, alt: bool) -> Option<Action> {
        let key = u8::try_from(digit.to_digit(10)?).ok()?;
        if let Some(action) = self.press(key) {
            return Some(action);
        }
        if !alt {
            self.chat_mut().input.insert(digit.encode_utf8(&mut [0; 4]));
        }
        None
    }

    fn press(&mut self, key: u8) -> Option<Action> {
        let target = self.chat().keys.target(key)?.clone();
        Some(self.hit(target, false))
    }

    fn hit(&mut self, target: Target, stale: bool) -> Action {
        let chat = self.chat_mut();
        chat.pressed = Some(target.clone());
        Action::Press {
            who: chat.id,
            message: target.message,
            data: target.data,
            stale,
        }
    }

    /// Text that was pasted.
    pub fn paste(&mut self, text: &str) {
        self.chat_mut().input.insert(text);
    }

    fn enter(&mut self) -> Option<Action> {
        let line = self.chat_mut().input.take()?;
        // Nothing is waited for here anyway.
        match self.line(local::quick(&line).0) {
            Ok(action) => action,
            Err(words) => {
                self.tell(words);
                None
            }
        }
    }

    /// What a whole line leads to.
    ///
    /// # Errors
    /// A sentence.
    pub fn line(&mut self, line: &str) -> Result<Option<Action>, String> {
        match Local::parse(line) {
            Some(local) => self.local(local?),
            None if line.trim().is_empty() => Ok(None),
            None => Ok(Some(Action::Write {
                who: self.chat().id,
                text: line.trim().to_owned(),
            })),
        }
    }

    /// Does what a line for the demo itself says.
    fn local(&mut self, local: Local) -> Result<Option<Action>, String> {
        let who = self.chat().id;
        Ok(Some(match local {
            Local::Help => Action::Tell(local::help()),
            Local::As(name) => {
                let at = self
                    .chats
                    .iter()
                    .position(|c| c.name.eq_ignore_ascii_case(&name));
                let all: Vec<&str> = self.chats.iter().map(|c| c.name.as_str()).collect();
                let at = at.ok_or_else(|| format!("no {name} here, but {}", all.join(", ")))?;
                self.show(at);
                return Ok(None);
            }
            Local::Press(which) => {
                let keyed = which.parse().ok().and_then(|key| self.press(key));
                let labelled = || self.labelled(&which).map(|target| self.hit(target, false));
                keyed
                    .or_else(labelled)
                    .ok_or_else(|| format!("there is no button {which}"))?
            }
            Local::Again => {
                let target = self.chat().pressed.clone();
                self.hit(target.ok_or("no button was pressed yet")?, true)
            }
            Local::Post(post) => Action::Post { who, post },
            Local::Reply(text) => {
                let to = self.newest(|m| m.from_bot).map(|m| m.message_id);
                let to = to.ok_or("the bot has said nothing here")?;
                Action::Post {
                    who,
                    post: Post::Reply { to, text },
                }
            }
            Local::Edit(text) => {
                let message = self.newest(|m| !m.from_bot).map(|m| m.message_id);
                Action::Edit {
                    who,
                    message: message.ok_or("you have written nothing here")?,
                    text,
                }
            }
            Local::Look => Action::Look(self.file()?),
            Local::Save(to) => Action::Save {
                file: self.file()?,
                to,
            },
            Local::Wait(text) => Action::Wait(text),
            Local::Kill => Action::Kill,
            Local::Quit => Action::Quit,
        }))
    }

    /// The newest message of the chat that is shown, of this kind.
    fn newest(&self, is_it: impl Fn(&ShownMessage) -> bool) -> Option<&ShownMessage> {
        self.chat().items.iter().rev().find_map(|item| match item {
            Item::Message(m) if !m.deleted && is_it(m) => Some(&**m),
            _ => None,
        })
    }

    /// The newest file of the bot.
    fn file(&self) -> Result<ShownFile, String> {
        let message = self.newest(|m| m.from_bot && m.file.is_some());
        let file = message.and_then(|m| m.file.clone());
        file.ok_or_else(|| "the bot has sent no file here".to_owned())
    }

    /// The newest button with this label, or else one whose label begins so, or has it in it (ticks stand before words).
    fn labelled(&self, label: &str) -> Option<Target> {
        let label = label.to_lowercase();
        let find = |is_it: &dyn Fn(&str) -> bool| {
            self.chat().items.iter().rev().find_map(|item| match item {
                Item::Message(m) if !m.deleted => {
                    let button = m
                        .buttons
                        .iter()
                        .flatten()
                        .find(|b| b.data.is_some() && is_it(&b.text.to_lowercase()))?;
                    Some(Target {
                        message: m.message_id,
                        data: button.data.clone()?,
                    })
                }
                _ => None,
            })
        };
        find(&|text| text == label)
            .or_else(|| find(&|text| text.starts_with(&label)))
            .or_else(|| find(&|text| text.contains(&label)))
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
