//! The database: one SQLite file, one thread that owns it.

pub mod rows;
