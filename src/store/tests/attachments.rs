//! Files that people sent.

use super::*;
use crate::store::rows::{AttachmentState, TurnEnd};

fn ended(tx: &Tx<'_>, turn: TurnId) -> Result<(), StoreError> {
    let end = TurnEnd {
        state: TurnState::Completed,
        machine: None,
        cost_usd: None,
        duration_ms: None,
    };
    tx.turn_ended(turn, &end, 50)
}

#[test]
fn a_file_is_wanted_until_it_is_here_or_refused() {
    let db = Db::new();
    db.tx(|tx| {
        let (conversation, turn) = turn_of(tx, 1)?;
        let add = |name: &str, refused: Option<&str>| {
            let mut new = new_attachment(name, Some(5));
            new.refused = refused.map(str::to_owned);
            tx.attachment_add(turn, conversation, InboxId(1), &new, 10)
        };
        let (one, two) = (add("1-a", None)?, add("1-b", None)?);
        add("1-c", Some("too large"))?;
        assert!(tx.attachments_awaited(turn)?);
        assert_eq!(tx.attachments_due(9, 4)?.len(), 0);
        assert_eq!(tx.attachments_next(9)?, Some(10));
        assert_eq!(tx.attachments_due(10, 4)?.len(), 2);
        tx.attachment_here(one, 7, Some("words"), 11)?;
        assert!(tx.attachment_here(one, 7, None, 12).is_err());
        tx.attachment_later(two, 500, true, Some("room"))?;
        assert!(tx.attachments_awaited(turn)?);
        assert_eq!(tx.attachments_next(11)?, Some(500));
        tx.attachment_refused(two, "gone", 600)?;
        assert!(!tx.attachments_awaited(turn)?);
        let rows = tx.attachments(turn)?;
        let states: Vec<_> = rows.iter().map(|row| row.state).collect();
        use AttachmentState::{Here, Refused};
        assert_eq!(states, [Here, Refused, Refused]);
        assert_eq!(rows[0].transcript.as_deref(), Some("words"));
        assert_eq!(
            (rows[1].attempts, rows[1].trouble.as_deref()),
            (1, Some("gone"))
        );
        assert_eq!(rows[2].trouble.as_deref(), Some("too large"));
        assert_eq!(tx.attachments_size(conversation)?, 7);
        Ok(())
    });
}

#[test]
fn who_sends_thousands_holds_up_nobody() {
    let db = Db::new();
    db.tx(|tx| {
        let (busy, turn) = turn_of(tx, 1)?;
        for n in 0..1000 {
            tx.attachment_add(turn, busy, InboxId(n), &new_attachment("x", None), 1)?;
        }
        let (other, turn) = turn_of(tx, 2)?;
        tx.attachment_add(turn, other, InboxId(5000), &new_attachment("y", None), 2)?;
        let due = tx.attachments_due(2, 2)?;
        let of: Vec<_> = due.iter().map(|job| job.conversation.id).collect();
        assert_eq!(of, [busy, other, busy]);
        Ok(())
    });
}

#[test]
fn files_of_open_turns_are_not_deleted() {
    let db = Db::new();
    db.tx(|tx| {
        let (conversation, turn) = turn_of(tx, 1)?;
        for n in 1..=3 {
            let new = new_attachment(&format!("{n}-x"), None);
            let id = tx.attachment_add(turn, conversation, InboxId(n), &new, n)?;
            tx.attachment_here(id, 10, None, n)?;
        }
        assert_eq!(tx.attachment_oldest_gone(conversation)?, None);
        assert_eq!(tx.attachments_expire(99, 9)?, []);
        ended(tx, turn)?;
        assert_eq!(
            tx.attachment_oldest_gone(conversation)?,
            Some(("1-x".to_owned(), 10))
        );
        assert_eq!(
            tx.attachments_expire(3, 9)?,
            [(conversation, "2-x".to_owned())]
        );
        assert_eq!(tx.attachment_names(conversation)?, ["3-x"]);
        assert_eq!(tx.attachments_size(conversation)?, 10);
        Ok(())
    });
}
