//! The people of the demo.

use telexd_botapi::{BotApi, Config, Person};

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

    /// Writes to the bot, in as many messages as Telegram's apps would.
    pub fn write(&self, who: i64, text: &str) -> Option<i64> {
        let person = self.people.iter().find(|p| p.id() == who)?;
        person.paste(who, text).first().copied()
    }

    /// Presses a button. `false`: it is not there any more.
    pub fn press(&self, who: i64, message: i64, data: &str) -> bool {
        self.people
            .iter()
            .find(|p| p.id() == who)
            .is_some_and(|p| p.press(who, message, data).is_ok())
    }
}
