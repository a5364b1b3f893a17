//! People who ask to be let in, and those who were let in beside the lists of the settings.

use rusqlite::{Row, params, types::Type};

use super::{
    columns::json,
    error::StoreError,
    rows::{PairedRow, PairingRow},
    tx::Tx,
};
use crate::core::{
    Millis,
    happened::Happened,
    pairing::{Code, Request},
};

fn pairing(row: &Row<'_>) -> rusqlite::Result<PairingRow> {
    let code: String = row.get(1)?;
    let code = Code::parse(&code).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(1, Type::Text, "not a code".into())
    })?;
    Ok(PairingRow {
        person: row.get(0)?,
        name: row.get(2)?,
        asked_at: row.get(3)?,
        request: Request {
            code,
            expires_at: row.get(4)?,
            codes: row.get(5)?,
            ahead: row.get(6)?,
            answer: row.get(7)?,
        },
        notices: json(row, 8)?,
        kept_until: row.get(9)?,
    })
}

fn paired(row: &Row<'_>) -> rusqlite::Result<PairedRow> {
    Ok(PairedRow {
        person: row.get(0)?,
        accepted_at: row.get(1)?,
        accepted_by: row.get(2)?,
    })
}

impl Tx<'_> {
    /// Records what is known of a request, over what was known of that person's before.
    ///
    /// # Errors
    /// Another person has that code; the database's.
    pub fn pairing_put(&self, row: &PairingRow) -> Result<(), StoreError> {
        let notices = serde_json::to_string(&row.notices)
            .map_err(|error| StoreError::Other(format!("request: {error}")))?;
        let request = &row.request;
        self.change(
            "INSERT INTO pairings (user_id, code, name, asked_at, expires_at, codes, ahead, answer, notices, kept_until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (user_id) DO UPDATE SET code = excluded.code, name = excluded.name,
                 asked_at = excluded.asked_at, expires_at = excluded.expires_at, codes = excluded.codes,
                 ahead = excluded.ahead, answer = excluded.answer, notices = excluded.notices,
                 kept_until = excluded.kept_until",
            params![
                row.person,
                request.code.as_str(),
                row.name,
                row.asked_at,
                request.expires_at,
                request.codes,
                request.ahead,
                request.answer,
                notices,
                row.kept_until
            ],
        )?;
        Ok(())
    }

    /// As [`Tx::pairing_put`], for one with a new code, of which others are told.
    ///
    /// # Errors
    /// As there.
    pub fn pairing_new(&self, row: &PairingRow) -> Result<(), StoreError> {
        self.pairing_put(row)?;
        self.happens(Happened::PairingRequested { person: row.person });
        Ok(())
    }

    /// The request with this code.
    ///
    /// # Errors
    /// The database's.
    pub fn pairing(&self, code: &Code) -> Result<Option<PairingRow>, StoreError> {
        self.first(
            "SELECT user_id, code, name, asked_at, expires_at, codes, ahead, answer, notices, kept_until
             FROM pairings WHERE code = ?1",
            [code.as_str()],
            pairing,
        )
    }

    /// The request of this person.
    ///
    /// # Errors
    /// The database's.
    pub fn pairing_of(&self, person: i64) -> Result<Option<PairingRow>, StoreError> {
        self.first(
            "SELECT user_id, code, name, asked_at, expires_at, codes, ahead, answer, notices, kept_until
             FROM pairings WHERE user_id = ?1",
            [person],
            pairing,
        )
    }

    /// All requests that are remembered, oldest first. There are few: see [`crate::core::pairing`].
    ///
    /// # Errors
    /// The database's.
    pub fn pairings(&self) -> Result<Vec<PairingRow>, StoreError> {
        self.all(
            "SELECT user_id, code, name, asked_at, expires_at, codes, ahead, answer, notices, kept_until
             FROM pairings ORDER BY asked_at, user_id",
            [],
            pairing,
        )
    }

    /// Forgets the request of a person.
    ///
    /// # Errors
    /// The database's.
    pub fn pairing_forget(&self, person: i64) -> Result<(), StoreError> {
        self.change("DELETE FROM pairings WHERE user_id = ?1", [person])?;
        Ok(())
    }

    /// Lets a person in as a user; `false` if they were already. `by` is who accepted them, as in the audit.
    ///
    /// # Errors
    /// The database's.
    pub fn paired_add(&self, person: i64, by: &str, now: Millis) -> Result<bool, StoreError> {
        let changed = self.change(
            "INSERT INTO paired (user_id, role, accepted_at, accepted_by) VALUES (?1, 'user', ?2, ?3)
             ON CONFLICT (user_id) DO NOTHING",
            params![person, now, by],
        )?;
        Ok(changed == 1)
    }

    /// The person is not let in any more; `false` if they were not.
    ///
    /// # Errors
    /// The database's.
    pub fn paired_remove(&self, person: i64) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM paired WHERE user_id = ?1", [person])? == 1)
    }

    /// Everybody who was let in, by id.
    ///
    /// # Errors
    /// The database's.
    pub fn paired(&self) -> Result<Vec<PairedRow>, StoreError> {
        self.all(
            "SELECT user_id, accepted_at, accepted_by FROM paired ORDER BY user_id",
            [],
            paired,
        )
    }
}
