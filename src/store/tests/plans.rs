//! Every statement is recorded, so that its plan can be looked at.

use std::{collections::BTreeSet, sync::Mutex};

static STATEMENTS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// Called for every statement that a transaction uses.
pub(crate) fn record(sql: &'static str) {
    STATEMENTS.lock().unwrap().insert(sql);
}
