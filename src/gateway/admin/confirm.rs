//! Orders that ask first, by buttons. A button works once, for whoever was asked, and not for long.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Act, Admin, AdminError, Deed, Outcome};
use crate::{
    core::{Millis, actor::Actor, text::Button, words},
    gateway::{lane::Ack, show},
    store::{
        StoreError, Tx,
        rows::{OutboxId, Wanted},
    },
};

/// Beginning of the names of the settings that hold what was asked; the number in the buttons follows.
const KEY: &str = "confirm.";
/// For how long the buttons work.
const GOOD_FOR: Millis = 5 * 60 * 1000;

/// What is to be done if the answer is yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// All runs are to end.
    KillAll,
    /// The daemon is to be started again.
    Restart,
}

/// What was asked, as it is stored.
#[derive(Serialize, Deserialize)]
struct Asked {
    wish: Wish,
    who: String,
    until: Millis,
    /// The message that asks.
    #[serde(default)]
    message: Option<OutboxId>,
}

impl Asked {
    fn put(&self, tx: &Tx<'_>, nonce: Uuid, now: Millis) -> Result<(), StoreError> {
        let json = serde_json::to_string(self)
            .map_err(|cause| StoreError::Other(format!("the record of a question: {cause}")))?;
        tx.setting_set(&key(nonce), &json, now)
    }

    fn of(tx: &Tx<'_>, nonce: Uuid) -> Result<Option<Self>, StoreError> {
        Ok(tx.setting(&key(nonce))?.and_then(|json| read(&json)))
    }
}

/// Records by which message this was asked.
pub(super) fn shown(
    tx: &Tx<'_>,
    nonce: Uuid,
    message: OutboxId,
    now: Millis,
) -> Result<(), StoreError> {
    let Some(mut asked) = Asked::of(tx, nonce)? else {
        return Ok(());
    };
    asked.message = Some(message);
    asked.put(tx, nonce, now)
}

impl Wish {
    /// Name of the order that it leads to.
    fn action(self) -> &'static str {
        match self {
            Self::KillAll => "kill-all",
            Self::Restart => "restart",
        }
    }

    /// Records that this was asked, and gives the buttons.
    pub(super) fn ask(
        self,
        tx: &Tx<'_>,
        nonce: Uuid,
        who: &Actor,
        now: Millis,
    ) -> Result<Vec<Vec<Button>>, StoreError> {
        // What nobody answered goes now.
        for (key, json, _) in tx.settings()? {
            if key.starts_with(KEY) && read(&json).is_none_or(|asked| asked.until <= now) {
                tx.setting_unset(&key)?;
            }
        }
        let asked = Asked {
            wish: self,
            who: who.to_string(),
            until: now.saturating_add(GOOD_FOR),
            message: None,
        };
        asked.put(tx, nonce, now)?;
        let yes = match self {
            Self::KillAll => words::admin::YES_END_ALL.as_str(),
            Self::Restart => words::admin::YES_RESTART.as_str(),
        };
        Ok(vec![vec![
            words::button(yes, format!("a:{nonce}:y")),
            words::button(words::admin::NO.as_str(), format!("a:{nonce}:n")),
        ]])
    }
}

fn read(json: &str) -> Option<Asked> {
    serde_json::from_str(json).ok()
}

/// How a button stands.
enum Standing {
    Good(Wish),
    /// It is another person's to press.
    Anothers,
    /// Used, or too old.
    Old,
}

fn standing(tx: &Tx<'_>, nonce: Uuid, who: &Actor, now: Millis) -> Result<Standing, StoreError> {
    Ok(match Asked::of(tx, nonce)? {
        Some(asked) if asked.who != who.to_string() => Standing::Anothers,
        Some(asked) if asked.until > now => Standing::Good(asked.wish),
        _ => Standing::Old,
    })
}

fn key(nonce: Uuid) -> String {
    format!("{KEY}{nonce}")
}

impl Admin {
    /// Asks before something is done. `question` gives the words.
    pub(super) async fn ask(
        &self,
        ack: Ack,
        wish: Wish,
        question: impl FnOnce(&Tx<'_>) -> Result<Result<String, AdminError>, StoreError>
        + Send
        + 'static,
    ) -> Result<(), AdminError> {
        let (nonce, who) = (self.deps.dice.uuid(), ack.who.clone());
        self.act(&ack, "ask", move |tx, now| {
            let done = match question(tx)? {
                Ok(text) => {
                    let mut deed = Deed::new((), Outcome::Done, text);
                    deed.buttons = wish.ask(tx, nonce, &who, now)?;
                    deed.question = Some(nonce);
                    Ok(deed)
                }
                Err(why) => Err(why),
            };
            Ok(Act {
                on: wish.action().to_owned(),
                done,
            })
        })
        .await
    }

    /// A button below a question was pressed. `message`: chat and id of the message that it stands under.
    pub(in crate::gateway) async fn pressed(
        &self,
        ack: Ack,
        nonce: Uuid,
        yes: bool,
        message: Option<(i64, i64)>,
    ) -> Result<(), AdminError> {
        let (who, now) = (ack.who.clone(), self.deps.clock.now());
        let standing = self
            .deps
            .store
            .tx(move |tx| standing(tx, nonce, &who, now))
            .await?;
        let pressed = Pressed { nonce, message };
        let (on, text) = match standing {
            Standing::Good(Wish::KillAll) if yes => {
                return self.kill_all_as(ack, Some(pressed)).await.map(drop);
            }
            Standing::Good(Wish::Restart) if yes => {
                return self.restart_as(ack, Some(pressed)).await;
            }
            Standing::Good(wish) => (wish.action().to_owned(), words::admin::LEFT_ALONE.as_str()),
            Standing::Anothers => (String::new(), words::NOT_YOURS.as_str()),
            Standing::Old => (String::new(), words::admin::ASKED_TOO_LONG_AGO.as_str()),
        };
        let others = matches!(standing, Standing::Anothers);
        self.act(&ack, "confirm", move |tx, now| {
            if !others {
                pressed.used(tx, text, now)?;
            }
            Ok(Act {
                on,
                done: Ok(Deed::new((), Outcome::NoChange, text)),
            })
        })
        .await
    }
}

/// The button that was pressed.
pub(super) struct Pressed {
    nonce: Uuid,
    message: Option<(i64, i64)>,
}

impl Pressed {
    /// It is used up, and its message says what came of it; returns that message.
    ///
    /// The message is known from when it was asked, for it may be pressed before Telegram has said under which number it is
    /// shown. What is older than its record is looked up by that number.
    pub(super) fn used(
        &self,
        tx: &Tx<'_>,
        text: &str,
        now: Millis,
    ) -> Result<Option<OutboxId>, StoreError> {
        let asked = Asked::of(tx, self.nonce)?.and_then(|asked| asked.message);
        tx.setting_unset(&key(self.nonce))?;
        let row = match (asked, self.message) {
            (Some(message), _) => tx.out_row(message)?,
            (None, Some((chat, id))) => tx.out_at(chat, id)?,
            (None, None) => None,
        };
        let Some(row) = row else {
            return Ok(None);
        };
        // The question becomes a statement without buttons.
        if let Wanted::Show(shown) = row.wanted
            && !shown.buttons.is_empty()
        {
            tx.out_again(row.id, &show::note(text, Vec::new(), shown.reply_to), now)?;
        }
        Ok(Some(row.id))
    }
}
