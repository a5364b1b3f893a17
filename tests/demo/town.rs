//! The people of the demo.

use telexd_botapi::{BotApi, Config, Person};

use super::post::{self, Post};

/// Ann, an administrator.
pub const ANN: i64 = 1001;
/// Ben, who may use the bot.
pub const BEN: i64 = 1002;
/// Eve, whom nobody has allowed anything.
pub const EVE: i64 = 1003;

/// Id, name and role of everybody.
pub const PEOPLE: [(i64, &str, &str); 3] = [
    (ANN, "Ann", "an administrator"),
    (BEN, "Ben", "a user"),
    (EVE, "Eve", "not on the list: the bot does not answer"),
];

/// The Bot API server and the people.
pub struct Town {
    /// Server.
    pub api: BotApi,
    people: Vec<Person>,
}

impl Town {
    /// Starts the server on a free port of the loopback, with a token that nobody knows.
    ///
    /// # Errors
    /// A sentence.
    pub async fn build() -> Result<Self, String> {
        let mut random = [0_u8; 35];
        getrandom::fill(&mut random).map_err(|e| format!("the system gives no randomness: {e}"))?;
        let secret: String = random
            .iter()
            .map(|byte| char::from(b'a' + byte % 26))
            .collect();
        let config = Config {
            token: format!("4242:{secret}"),
            username: "telexd_demo_bot".to_owned(),
            // Also where a test sets the variable.
            calls_file: None,
            ..Config::default()
        };
        let api = BotApi::start(config)
            .await
            .map_err(|e| format!("cannot start the Bot API: {e}"))?;
        let people = PEOPLE
            .iter()
            .map(|(id, name, _)| api.user(*id, name))
            .collect();
        Ok(Self { api, people })
    }

    fn person(&self, who: i64) -> Result<&Person, String> {
        let found = self.people.iter().find(|p| p.id() == who);
        found.ok_or_else(|| "there is nobody with that number".to_owned())
    }

    /// Writes to the bot, in as many messages as Telegram's apps would.
    ///
    /// # Errors
    /// A sentence.
    pub fn write(&self, who: i64, text: &str) -> Result<(), String> {
        self.person(who)?.paste(who, text);
        Ok(())
    }

    /// Sends something else than a text.
    ///
    /// # Errors
    /// A sentence: it cannot be sent.
    pub fn post(&self, who: i64, post: &Post) -> Result<(), String> {
        post.send(self.person(who)?)
    }

    /// Gives a message of the person another text.
    ///
    /// # Errors
    /// A sentence: it cannot have that.
    pub fn edit(&self, who: i64, message: i64, text: &str) -> Result<(), String> {
        post::edit(self.person(who)?, message, text)
    }

    /// Presses a button. `stale`: as on a phone that still shows it, though it is gone.
    ///
    /// # Errors
    /// A sentence: it is not there any more.
    pub fn press(&self, who: i64, message: i64, data: &str, stale: bool) -> Result<(), String> {
        let person = self.person(who)?;
        if stale {
            person.press_stale(who, message, data);
            return Ok(());
        }
        let pressed = person.press(who, message, data);
        pressed
            .map_err(|_| "that button is gone".to_owned())
            .map(drop)
    }
}
