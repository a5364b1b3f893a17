//! A transaction, as closures see it.

use std::cell::{Cell, RefCell};

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};

use super::error::StoreError;
use crate::core::{happened::Happened, tally::Count};

/// A write transaction. Its methods stand in one file per table (`inbox.rs`, `turns.rs`, …).
///
/// What they change is taken back when the closure returns an error, and is durable once
/// [`Store::tx`](super::Store::tx) has returned `Ok`.
pub struct Tx<'c> {
    connection: &'c Connection,
    outbox_touched: Cell<bool>,
    happened: RefCell<Vec<Happened>>,
    counts: RefCell<Vec<Count>>,
}

/// What is to be told of a transaction once it is committed.
#[derive(Default)]
pub(super) struct Told {
    /// Whether it may have made an outbox row due.
    pub(super) outbox: bool,
    /// For those who watch.
    pub(super) happened: Vec<Happened>,
    /// For the tally.
    pub(super) counts: Vec<Count>,
}

impl<'c> Tx<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            outbox_touched: Cell::new(false),
            happened: RefCell::default(),
            counts: RefCell::default(),
        }
    }

    /// To be called by whatever may make an outbox row due.
    pub(super) fn touch_outbox(&self) {
        self.outbox_touched.set(true);
    }

    /// To be called by whatever others are told of.
    pub(super) fn happens(&self, what: Happened) {
        self.happened.borrow_mut().push(what);
    }

    /// To be called by whatever is counted.
    pub(super) fn counts(&self, what: Count) {
        self.counts.borrow_mut().push(what);
    }

    pub(super) fn told(&self) -> Told {
        Told {
            outbox: self.outbox_touched.get(),
            happened: self.happened.take(),
            counts: self.counts.take(),
        }
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        self.connection
    }

    /// The statement, compiled once and kept. `'static`: SQL is never built from values.
    fn statement(&self, sql: &'static str) -> Result<CachedStatement<'_>, StoreError> {
        #[cfg(test)]
        super::tests::plans::record(sql);
        self.connection
            .prepare_cached(sql)
            .map_err(|error| self.error(&error))
    }

    fn error(&self, error: &rusqlite::Error) -> StoreError {
        StoreError::of(self.connection, error)
    }

    /// Runs a statement; returns the number of rows that it changed.
    pub(super) fn change(
        &self,
        sql: &'static str,
        params: impl Params,
    ) -> Result<usize, StoreError> {
        self.statement(sql)?
            .execute(params)
            .map_err(|error| self.error(&error))
    }

    /// Runs an INSERT; returns the id of the new row.
    pub(super) fn insert(&self, sql: &'static str, params: impl Params) -> Result<i64, StoreError> {
        self.statement(sql)?
            .insert(params)
            .map_err(|error| self.error(&error))
    }

    /// The first row, if there is one.
    pub(super) fn first<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.statement(sql)?
            .query_row(params, read)
            .optional()
            .map_err(|error| self.error(&error))
    }

    /// The only row of a statement that always has one.
    pub(super) fn only<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.statement(sql)?
            .query_row(params, read)
            .map_err(|error| self.error(&error))
    }

    /// All rows, in order.
    pub(super) fn all<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.statement(sql)?;
        statement
            .query_map(params, read)
            .and_then(Iterator::collect)
            .map_err(|error| self.error(&error))
    }
}

/// An error unless exactly the one row was changed.
pub(super) fn one(changed: usize, what: impl FnOnce() -> String) -> Result<(), StoreError> {
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Other(what()))
    }
}
