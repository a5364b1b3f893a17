//! The list of what waits in a conversation, which is kept true as long as anything does.

use serde::{Deserialize, Serialize};

use super::{Queue, excerpt};
use crate::{
    core::{
        Millis,
        ids::ConversationId,
        text::Button,
        words::{self, queue as said},
    },
    gateway::show,
    store::{
        StoreError, Tx,
        rows::{OutboxId, TurnRow, TurnState, Urgency, Wanted},
    },
};

/// Most prompts that a list shows with buttons, and that it shows at all after a stop.
pub(super) const BUTTONS: usize = 5;
/// Most prompts that a list shows that was asked for.
pub(super) const LINES: usize = 20;

/// Where the list of a conversation is, as it stands in the settings.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) row: i64,
    most: usize,
}

/// What waits in a conversation, as far as a list shows it.
struct Waiting {
    line: Kind,
    kept: Kind,
}

/// How many turns wait for the same, and the first of them.
struct Kind {
    count: usize,
    first: Vec<TurnRow>,
}

impl Waiting {
    /// With at most so many of each kind, and those that have buttons.
    fn read(tx: &Tx<'_>, conversation: ConversationId, most: usize) -> Result<Self, StoreError> {
        let of = |state| {
            let (count, first) = tx.turns_of_state(conversation, state, most.max(BUTTONS))?;
            Ok::<_, StoreError>(Kind { count, first })
        };
        Ok(Self {
            line: of(TurnState::Queued)?,
            kept: of(TurnState::Held)?,
        })
    }

    fn count(&self) -> usize {
        self.line.count + self.kept.count
    }
}

impl Kind {
    fn told(&self) -> said::Waits {
        let item = |turn: &TurnRow| said::Item {
            number: turn.id.0,
            excerpt: excerpt(turn),
        };
        said::Waits {
            count: self.count,
            first: self.first.iter().map(item).collect(),
        }
    }
}

/// Name of the setting that says where it is.
pub(super) fn setting(conversation: ConversationId) -> String {
    format!("queue.list.{conversation}")
}

impl Queue {
    /// What `/queue` shows, with its buttons.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::gateway) fn asked_for(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
    ) -> Result<(String, Vec<Vec<Button>>), StoreError> {
        Ok(self.listing(&Waiting::read(tx, conversation, LINES)?, LINES))
    }

    /// This message is the list from now on; an earlier one goes.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::gateway) fn is_list(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        row: OutboxId,
        now: Millis,
    ) -> Result<(), StoreError> {
        if Waiting::read(tx, conversation, 0)?.count() == 0 {
            return Ok(());
        }
        self.remember(tx, conversation, row, LINES, now)
    }

    pub(super) fn list(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        most: usize,
        now: Millis,
    ) -> Result<(), StoreError> {
        let waiting = Waiting::read(tx, conversation, most)?;
        let (text, buttons) = self.listing(&waiting, most);
        let first = waiting.kept.first.first();
        let reply_to = first.and_then(|turn| self.reply_to(turn));
        let shown = show::note(text, buttons, reply_to);
        let row = tx.out_show(self.target(), None, Urgency::Message, &shown, now)?;
        self.remember(tx, conversation, row, most, now)
    }

    fn remember(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        row: OutboxId,
        most: usize,
        now: Millis,
    ) -> Result<(), StoreError> {
        let key = setting(conversation);
        if let Some(before) = listed(tx, &key)? {
            tx.out_gone(OutboxId(before.row), now)?;
        }
        let new = Listed { row: row.0, most };
        let json = serde_json::to_string(&new)
            .map_err(|cause| StoreError::Other(format!("the record of a list: {cause}")))?;
        tx.setting_set(&key, &json, now)
    }

    /// What is waiting has changed, and no place of those in line: a list that is shown becomes true.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::gateway) fn refresh_list(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        now: Millis,
    ) -> Result<(), StoreError> {
        let key = setting(conversation);
        let Some(there) = listed(tx, &key)? else {
            return Ok(());
        };
        let waiting = Waiting::read(tx, conversation, there.most)?;
        let row = tx.out_row(OutboxId(there.row))?;
        let old = row.and_then(|row| match row.wanted {
            Wanted::Show(shown) => Some((row.id, shown)),
            _ => None,
        });
        let (text, buttons) = self.listing(&waiting, there.most);
        let over = waiting.count() == 0;
        if let Some((id, old)) = &old {
            let text = if over {
                said::LIST_IS_OVER.as_str()
            } else {
                &text
            };
            tx.out_again(*id, &show::note(text, buttons, old.reply_to), now)?;
        }
        // One that is too old to be there any more, too.
        if over || old.is_none() {
            tx.setting_unset(&key)?;
        }
        Ok(())
    }

    fn listing(&self, waiting: &Waiting, most: usize) -> (String, Vec<Vec<Button>>) {
        let (line, kept) = (&waiting.line, &waiting.kept);
        let text = said::list(&line.told(), &kept.told(), most, !self.buttons);
        if !self.buttons {
            return (text, Vec::new());
        }
        let label = |word: &str, turn: &TurnRow| match waiting.count() {
            1 => word.to_owned(),
            _ => format!("{word} #{}", turn.id),
        };
        let row = |turn: &TurnRow| {
            vec![
                words::button(
                    &label(said::RUN_NEXT.as_str(), turn),
                    format!("u:{}", turn.id),
                ),
                words::button(&label(said::DROP.as_str(), turn), format!("k:{}", turn.id)),
            ]
        };
        let all = line.first.iter().chain(&kept.first);
        let mut buttons: Vec<_> = all.take(BUTTONS).map(row).collect();
        if let [first, _, ..] = &kept.first[..] {
            buttons.push(vec![words::button(
                said::RUN_ALL.as_str(),
                format!("w:{}", first.id),
            )]);
        }
        (text, buttons)
    }
}

/// Where the list is, if there is one.
pub(super) fn listed(tx: &Tx<'_>, key: &str) -> Result<Option<Listed>, StoreError> {
    let json = tx.setting(key)?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
}
