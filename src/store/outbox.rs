//! What goes out: a row first, then the wire.
//!
//! Every change of a row goes through [`Tx::out_change`], so that these rules stand in one place:
//! - Content that changes while an earlier revision is on the wire leaves the row in `Sending`; the end of that
//!   call decides. So one row is never on the wire twice.
//! - Where the message is unwanted and Telegram has none that we know of, there is nothing to do: `Done`.
//!
//! How a row stands in the table, and the looking at rows, is in `outbox_rows.rs`; which rows are due in
//! `outbox_due.rs`.

use rusqlite::params;

use super::{
    error::StoreError,
    outbox_rows::{Stored, body, one_line, out_columns, stored},
    rows::{OutRow, OutState, OutboxId, Slot, Target, Urgency, Wanted},
    tx::{Tx, one},
};
use crate::core::{Millis, ids::TurnId, tally::Count, text::Shown};

impl Stored {
    fn over(&self) -> bool {
        matches!(self.row.state, OutState::Done | OutState::Rejected)
    }

    fn is_press(&self) -> bool {
        matches!(self.row.wanted, Wanted::PressAnswer { .. })
    }

    /// Whether what is on the wire is the first send of a message.
    fn first_send(&self) -> bool {
        !self.wire_gone && self.row.message_id.is_none() && !self.is_press()
    }

    /// The call in flight, if there is one, is over without a result that counts.
    fn back_to_pending(&mut self) {
        self.row.state = OutState::Pending;
    }

    /// Other content is wanted. `keep_deadline`: whether `not_before` is a deadline of Telegram's.
    fn want(&mut self, wanted: Wanted, urgency: Urgency, keep_deadline: bool) {
        let unsent = !self.over() && self.row.message_id.is_none();
        self.row.urgency = if unsent {
            urgency.min(self.row.urgency)
        } else {
            urgency
        };
        self.row.wanted = wanted;
        self.row.revision += 1;
        self.row.attempts = 0;
        self.row.last_error = None;
        if !keep_deadline {
            self.row.not_before = 0;
        }
        if self.row.state != OutState::Sending {
            self.row.state = OutState::Pending;
        }
    }

    /// A try of the present revision failed.
    fn failed(&mut self, error: &str, not_before: Millis) {
        let stale = self.row.state == OutState::Sending && self.wire_revision != self.row.revision;
        if !stale {
            self.row.attempts += 1;
        }
        self.row.not_before = not_before;
        self.row.last_error = Some(one_line(error));
        self.back_to_pending();
    }
}

impl Tx<'_> {
    /// This is to be shown. With a slot that has a row, the content of that row is replaced where it differs
    /// (revision + 1, to be done again, also after a refusal; a deadline of Telegram's stays); what was refused is not
    /// tried again unchanged, unless it is final now and was not then. Where the message once went is not changed by `target`. Else it is a new message.
    ///
    /// # Errors
    /// The slot's turn is not there; the database's.
    pub fn out_show(
        &self,
        target: Target,
        slot: Option<Slot>,
        urgency: Urgency,
        shown: &Shown,
        now: Millis,
    ) -> Result<OutboxId, StoreError> {
        let wanted = Wanted::Show(shown.clone());
        if let Some(there) = slot.map(|slot| self.out_slot(slot)).transpose()?.flatten() {
            let deadline = self.out_deadline(&there)?;
            self.out_change(there.id, Some(now), |stored| {
                // A step on the way may have been refused because its message is gone.
                let final_now =
                    stored.row.state == OutState::Rejected && urgency < stored.row.urgency;
                if stored.row.wanted != wanted || final_now {
                    stored.want(wanted, urgency, deadline);
                } else if !stored.over() {
                    stored.row.urgency = urgency.min(stored.row.urgency);
                }
            })?;
            return Ok(there.id);
        }
        let (_, body) = body(&wanted)?;
        let id = self.insert(
            "INSERT INTO outbox (kind, chat_id, thread_id, turn, number, urgency, body, revision, sent_revision,
                 wire_revision, wire_gone, state, ambiguous, plain, attempts, not_before, created_at, waiting_since)
             VALUES ('show', ?1, ?2, ?3, ?4, ?5, ?6, 1, 0, 0, 0, 'pending', 0, 0, 0, 0, ?7, ?7)",
            params![
                target.chat_id,
                target.thread_id,
                slot.map(|slot| slot.turn),
                slot.map(|slot| slot.number),
                urgency,
                body,
                now
            ],
        )?;
        self.touch_outbox();
        Ok(OutboxId(id))
    }

    /// The message of this row is from now on the one with this number of its turn.
    ///
    /// # Errors
    /// No such row, or one with that number is there already; the database's.
    pub fn out_renumber(&self, id: OutboxId, number: i64) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE outbox SET number = ?2 WHERE id = ?1",
            params![id, number],
        )?;
        one(changed, || {
            format!("there is no row {} of the outbox", id.0)
        })
    }

    /// The message of this row is to show something else, as by [`Tx::out_show`] with a slot.
    ///
    /// # Errors
    /// No such row; the database's.
    pub fn out_again(&self, id: OutboxId, shown: &Shown, now: Millis) -> Result<(), StoreError> {
        let Some(there) = self.out_row(id)? else {
            return Err(StoreError::Other(format!(
                "there is no row {} of the outbox",
                id.0
            )));
        };
        let deadline = self.out_deadline(&there)?;
        let wanted = Wanted::Show(shown.clone());
        self.out_change(id, Some(now), |stored| {
            if stored.row.wanted != wanted {
                stored.want(wanted, Urgency::Message, deadline);
            }
        })
    }

    /// Whether a row's `not_before` is a deadline that Telegram set.
    fn out_deadline(&self, row: &OutRow) -> Result<bool, StoreError> {
        self.only(
            "SELECT ifnull(max(until) >= ?2, 0) FROM rate_limits WHERE scope = 'chat:' || ?1",
            [row.target.chat_id, row.not_before],
            |row| row.get(0),
        )
    }

    /// The press of a button is to be answered. `text`: at most 200 characters; may be empty.
    ///
    /// # Errors
    /// The database's.
    pub fn out_press(
        &self,
        callback_id: &str,
        text: &str,
        now: Millis,
    ) -> Result<OutboxId, StoreError> {
        let id = self.insert(
            "INSERT INTO outbox (kind, callback_id, urgency, body, revision, sent_revision, wire_revision, wire_gone,
                 state, ambiguous, plain, attempts, not_before, created_at, waiting_since)
             VALUES ('press', ?1, ?2, ?3, 1, 0, 0, 0, 'pending', 0, 0, 0, 0, ?4, ?4)",
            params![callback_id, Urgency::Press, text, now],
        )?;
        self.touch_outbox();
        Ok(OutboxId(id))
    }

    /// The messages of the turn with numbers in `from_number..below` are not wanted any more. One that never went
    /// to the wire is deleted; any other becomes [`Wanted::Gone`].
    ///
    /// # Errors
    /// The database's.
    pub fn out_retract(
        &self,
        turn: TurnId,
        from_number: i64,
        below: i64,
        now: Millis,
    ) -> Result<(), StoreError> {
        let rows = self.all(
            concat!(
                "SELECT ",
                out_columns!(),
                " FROM outbox WHERE turn = ?1 AND number >= ?2 AND number < ?3"
            ),
            params![turn, from_number, below],
            stored,
        )?;
        for Stored { row, .. } in rows {
            self.out_unwanted(&row, now)?;
        }
        Ok(())
    }

    /// The message of this row is not wanted any more, as by [`Tx::out_retract`]. Nothing where there is no such row.
    ///
    /// # Errors
    /// The database's.
    pub fn out_gone(&self, id: OutboxId, now: Millis) -> Result<(), StoreError> {
        match self.out_row(id)? {
            Some(row) => self.out_unwanted(&row, now),
            None => Ok(()),
        }
    }

    fn out_unwanted(&self, row: &OutRow, now: Millis) -> Result<(), StoreError> {
        if row.wanted == Wanted::Gone {
            return Ok(());
        }
        // One that ended ambiguously may be there: its row stays as the record of that.
        let never_sent = row.message_id.is_none() && row.ambiguous == 0;
        if never_sent && row.state != OutState::Sending {
            self.change("DELETE FROM outbox WHERE id = ?1", [row.id])?;
            self.touch_outbox();
            return Ok(());
        }
        let deadline = self.out_deadline(row)?;
        self.out_change(row.id, Some(now), |stored| {
            stored.want(Wanted::Gone, Urgency::Message, deadline);
        })
    }

    /// The message of this slot is not wanted any more, as by [`Tx::out_retract`], and the slot is free: what comes into
    /// it is a message of its own, which stands below those that came meanwhile.
    ///
    /// # Errors
    /// The database's.
    pub fn out_release(&self, slot: Slot, now: Millis) -> Result<(), StoreError> {
        self.out_retract(slot.turn, slot.number, slot.number + 1, now)?;
        self.change(
            "UPDATE outbox SET turn = NULL, number = NULL WHERE turn = ?1 AND number = ?2",
            params![slot.turn, slot.number],
        )?;
        Ok(())
    }

    /// At start, before anything is sent: what was on the wire when the daemon died is to be done again. Returns how
    /// many of these were first sends, which may have arrived and are marked as ambiguous.
    ///
    /// # Errors
    /// The database's.
    pub fn out_recover(&self, now: Millis) -> Result<u64, StoreError> {
        let sending: Vec<OutboxId> =
            self.all("SELECT id FROM outbox WHERE state = 'sending'", [], |row| {
                row.get(0)
            })?;
        let mut ambiguous = 0;
        for id in sending {
            self.out_change(id, Some(now), |stored| {
                if stored.first_send() {
                    stored.row.ambiguous += 1;
                    ambiguous += 1;
                }
                stored.back_to_pending();
            })?;
        }
        Ok(ambiguous)
    }

    /// The row goes to the wire now, with this revision. `false`: it is not there any more, has changed, or is on the
    /// wire already; then nothing must be sent, [`Tx::out_due`] tells what is to be done instead.
    ///
    /// Until one of `out_sent`, `out_ambiguous`, `out_later`, `out_rejected`, `out_plain`, `out_anew` is committed,
    /// no other message of the chat is due; a caller whose transaction fails (disk full) must try it again.
    ///
    /// # Errors
    /// The database's.
    pub fn out_sending(&self, id: OutboxId, revision: i64) -> Result<bool, StoreError> {
        let changed = self.change(
            "UPDATE outbox SET state = 'sending', wire_revision = revision, wire_gone = (kind = 'gone')
             WHERE id = ?1 AND revision = ?2 AND state = 'pending'",
            params![id, revision],
        )?;
        Ok(changed == 1)
    }

    /// Telegram has taken this revision. The row is done if that is still the newest one, else it waits again.
    /// `message_id`: where Telegram told one; after a deletion none is known any more.
    ///
    /// # Errors
    /// No such row; the database's.
    pub fn out_sent(
        &self,
        id: OutboxId,
        revision: i64,
        message_id: Option<i64>,
        now: Millis,
    ) -> Result<(), StoreError> {
        let mut sent = None;
        self.out_change(id, Some(now), |stored| {
            if !stored.over() {
                let waited = now.saturating_sub(stored.waiting_since);
                sent = Some(Count::Sent(stored.row.urgency.word(), waited));
            }
            let deleted = if stored.row.state == OutState::Sending {
                stored.wire_gone
            } else {
                stored.row.wanted == Wanted::Gone
            };
            let row = &mut stored.row;
            if deleted {
                row.message_id = None;
                row.sent_revision = 0;
            } else {
                row.message_id = message_id.or(row.message_id);
                row.sent_revision = revision.clamp(0, row.revision);
            }
            row.last_error = None;
            row.not_before = 0;
            if revision == row.revision {
                row.state = OutState::Done;
                row.attempts = 0;
            } else {
                row.state = OutState::Pending;
                stored.waiting_since = now;
            }
        })?;
        if let Some(sent) = sent {
            self.counts(sent);
        }
        Ok(())
    }

    /// It may or may not have been done: to be repeated. Counted where it was the first send of a message, which is
    /// from then on shown with a mark.
    ///
    /// # Errors
    /// No such row; the database's.
    pub fn out_ambiguous(
        &self,
        id: OutboxId,
        error: &str,
        not_before: Millis,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.counts(Count::Retry("ambiguous"));
        self.out_change(id, Some(now), |stored| {
            if stored.over() {
                return;
            }
            if stored.first_send() {
                stored.row.ambiguous += 1;
            }
            stored.failed(error, not_before);
        })
    }

    /// It was certainly not done: to be repeated from `not_before` on.
    ///
    /// # Errors
    /// No such row; the database's.
    pub fn out_later(
        &self,
        id: OutboxId,
        error: &str,
        not_before: Millis,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.counts(Count::Retry("later"));
        self.out_change(id, Some(now), |stored| {
            if !stored.over() {
                stored.failed(error, not_before);
            }
        })
    }

    /// Telegram refused it: not to be repeated as it is. Content that has come in the meantime is tried.
    ///
    /// # Errors
    /// No such row; the database's.
    pub fn out_rejected(&self, id: OutboxId, error: &str, now: Millis) -> Result<(), StoreError> {
        let mut refused = false;
        self.out_change(id, Some(now), |stored| {
            let newer = stored.row.state == OutState::Sending
                && stored.wire_revision != stored.row.revision;
            stored.row.last_error = Some(one_line(error));
            stored.row.state = if newer {
                OutState::Pending
            } else if stored.row.wanted == Wanted::Gone && stored.row.message_id.is_none() {
                OutState::Done
            } else {
                OutState::Rejected
            };
            refused = stored.row.state == OutState::Rejected;
        })?;
        if refused {
            self.counts(Count::Refused);
        }
        Ok(())
    }

    /// Its entities were refused: it goes as plain text from now on, at once.
    ///
    /// # Errors
    /// No such row; the database's.
    pub fn out_plain(&self, id: OutboxId) -> Result<(), StoreError> {
        self.counts(Count::Retry("plain"));
        self.out_change(id, None, |stored| {
            stored.row.plain = true;
            stored.back_to_pending();
        })
    }

    /// Its message is gone, or cannot be edited: it is to be sent as a new one. `repeat`: with the mark of one, as the edit may
    /// have been made.
    ///
    /// # Errors
    /// No such row; the database's.
    pub fn out_anew(&self, id: OutboxId, repeat: bool) -> Result<(), StoreError> {
        self.counts(Count::Retry("anew"));
        self.out_change(id, None, |stored| {
            stored.row.ambiguous += i64::from(repeat);
            stored.row.message_id = None;
            stored.row.sent_revision = 0;
            stored.back_to_pending();
        })
    }

    /// It cannot go as a file: it is messages from now on, and so are the files of the same answer that wait behind it,
    /// for else a part of one would stand between those of another. In their order they take the rows of these files;
    /// what is more stands in new rows, behind all that waits in the chat already. Where the file may have arrived, the
    /// first has the mark of a repeat. Content that has come in the meantime is tried. `unfold`: the messages of a file.
    ///
    /// # Errors
    /// No such row; the database's.
    pub fn out_unfold(
        &self,
        id: OutboxId,
        error: &str,
        unfold: impl Fn(&Shown) -> Vec<Shown>,
        now: Millis,
    ) -> Result<(), StoreError> {
        let refused = self.out_stored(id)?;
        let newer =
            refused.row.state == OutState::Sending && refused.wire_revision != refused.row.revision;
        let shown = match &refused.row.wanted {
            Wanted::Show(shown) if !newer => shown,
            // Unwanted meanwhile, so nothing of it is to be shown; or something else is.
            _ => return self.out_change(id, None, Stored::back_to_pending),
        };
        let mut messages = unfold(shown);
        if messages.is_empty() {
            return self.out_rejected(id, error, now);
        }
        let mut places = vec![id];
        for (place, shown) in self.out_files_behind(&refused.row)? {
            let parts = unfold(&shown);
            // One in which nothing shows is left to what becomes of it.
            if !parts.is_empty() {
                places.push(place);
                messages.extend(parts);
            }
        }
        let rest = messages.split_off(places.len());
        for (place, shown) in places.into_iter().zip(messages) {
            self.counts(Count::Retry("unfolded"));
            self.out_change(place, None, |stored| {
                stored.back_to_pending();
                stored.want(Wanted::Show(shown), stored.row.urgency, false);
            })?;
        }
        for shown in rest {
            self.out_show(refused.row.target, None, Urgency::Message, &shown, now)?;
        }
        Ok(())
    }

    /// Files of the same turn behind this one that were never on the wire.
    fn out_files_behind(&self, file: &OutRow) -> Result<Vec<(OutboxId, Shown)>, StoreError> {
        let Some(slot) = file.slot else {
            return Ok(Vec::new());
        };
        let rows = self.all(
            concat!(
                "SELECT ",
                out_columns!(),
                " FROM outbox WHERE turn = ?1 AND number >= ?2 AND number < ?3 AND id > ?4
                  AND state = 'pending' AND message_id IS NULL AND ambiguous = 0 ORDER BY id"
            ),
            params![slot.turn, Slot::FILE, Slot::NOTICE, file.id],
            stored,
        )?;
        let files = rows.into_iter().filter_map(|there| match there.row.wanted {
            Wanted::Show(shown) if shown.file.is_some() => Some((there.row.id, shown)),
            _ => None,
        });
        Ok(files.collect())
    }

    fn out_stored(&self, id: OutboxId) -> Result<Stored, StoreError> {
        self.first(
            concat!("SELECT ", out_columns!(), " FROM outbox WHERE id = ?1"),
            [id],
            stored,
        )?
        .ok_or_else(|| StoreError::Other(format!("there is no row {} in the outbox", id.0)))
    }

    /// Reads a row, changes it, keeps its rules, writes it. Without a time the row keeps the one it has.
    pub(super) fn out_change(
        &self,
        id: OutboxId,
        now: Option<Millis>,
        change: impl FnOnce(&mut Stored),
    ) -> Result<(), StoreError> {
        let mut stored = self.out_stored(id)?;
        let now = now.unwrap_or(stored.waiting_since);
        let was_over = stored.over();
        change(&mut stored);
        let row = &mut stored.row;
        if row.state == OutState::Pending && row.wanted == Wanted::Gone && row.message_id.is_none()
        {
            row.state = OutState::Done;
        }
        if stored.over() {
            stored.done_at = stored.done_at.or(Some(now));
        } else {
            stored.done_at = None;
            if was_over {
                stored.waiting_since = now;
            }
        }
        let Stored {
            row,
            waiting_since,
            done_at,
            ..
        } = stored;
        let (kind, body) = body(&row.wanted)?;
        let chat_id = (kind != "press").then_some(row.target.chat_id);
        self.change(
            "UPDATE outbox SET kind = ?2, chat_id = ?3, thread_id = ?4, urgency = ?5, body = ?6, revision = ?7,
                 sent_revision = ?8, message_id = ?9, state = ?10, ambiguous = ?11, plain = ?12, attempts = ?13,
                 not_before = ?14, last_error = ?15, waiting_since = ?16, done_at = ?17
             WHERE id = ?1",
            params![
                row.id,
                kind,
                chat_id,
                row.target.thread_id,
                row.urgency,
                body,
                row.revision,
                row.sent_revision,
                row.message_id,
                row.state,
                row.ambiguous,
                row.plain,
                row.attempts,
                row.not_before,
                row.last_error,
                waiting_since,
                done_at
            ],
        )?;
        self.touch_outbox();
        Ok(())
    }
}
