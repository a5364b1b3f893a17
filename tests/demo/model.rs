//! What the screen shows: people, their chats, what is being written. Pure: fed with news of the Bot API, with keys and
//! with the time; says what is to be done.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use telexd_botapi::{Change, ShownMessage};

use super::{input::Input, keys::Keys, town};

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
    },
    /// SIGKILL to the daemon.
    Kill,
    /// The end.
    Quit,
}

/// A line for the demo itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// Another person.
    As(String),
    /// A button, by key or label.
    Press(String),
    /// SIGKILL to the daemon.
    Kill,
    /// The end.
    Quit,
}

impl Local {
    /// Reads a line. `None`: it is a message.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(line: &str) -> Option<Result<Self, String>> {
        let rest = line.trim().strip_prefix(':')?;
        let (verb, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let argument = argument.trim().to_owned();
        Some(match (verb, argument.is_empty()) {
            ("as", false) => Ok(Self::As(argument)),
            ("press", false) => Ok(Self::Press(argument)),
            ("kill", true) => Ok(Self::Kill),
            ("quit", true) => Ok(Self::Quit),
            _ => Err(format!(
                "no such line: {}; there are :as NAME, :press KEY, :kill, :quit",
                line.trim()
            )),
        })
    }
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
            "Write something. The stand-in also takes: tools 5 · ask · long 6000 · slow 300 x30"
        } else {
            "Write something; /help tells what the bot understands."
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

    fn press(&self, key: u8) -> Option<Action> {
        let chat = self.chat();
        chat.keys.target(key).map(|target| Action::Press {
            who: chat.id,
            message: target.message,
            data: target.data.clone(),
        })
    }

    /// Text that was pasted.
    pub fn paste(&mut self, text: &str) {
        self.chat_mut().input.insert(text);
    }

    fn enter(&mut self) -> Option<Action> {
        let line = self.chat_mut().input.take()?;
        match Local::parse(&line) {
            None => Some(Action::Write {
                who: self.chat().id,
                text: line,
            }),
            Some(Ok(local)) => match self.local(local) {
                Ok(action) => action,
                Err(words) => {
                    self.tell(words);
                    None
                }
            },
            Some(Err(words)) => {
                self.tell(words);
                None
            }
        }
    }

    /// Does what a line for the demo itself says.
    ///
    /// # Errors
    /// A sentence.
    pub fn local(&mut self, local: Local) -> Result<Option<Action>, String> {
        match local {
            Local::As(name) => {
                let at = self
                    .chats
                    .iter()
                    .position(|c| c.name.eq_ignore_ascii_case(&name));
                let all: Vec<&str> = self.chats.iter().map(|c| c.name.as_str()).collect();
                let at = at.ok_or_else(|| format!("no {name} here, but {}", all.join(", ")))?;
                self.show(at);
                Ok(None)
            }
            Local::Press(which) => {
                let key = which.parse().ok().or_else(|| self.labelled(&which));
                let action = key.and_then(|key| self.press(key));
                action
                    .map(Some)
                    .ok_or_else(|| format!("there is no button {which}"))
            }
            Local::Kill => Ok(Some(Action::Kill)),
            Local::Quit => Ok(Some(Action::Quit)),
        }
    }

    fn labelled(&self, label: &str) -> Option<u8> {
        let chat = self.chat();
        chat.items.iter().find_map(|item| {
            let Item::Message(message) = item else {
                return None;
            };
            let button = message
                .buttons
                .iter()
                .flatten()
                .find(|b| b.text.eq_ignore_ascii_case(label))?;
            chat.keys.key(message.message_id, button.data.as_deref()?)
        })
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
