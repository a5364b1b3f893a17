//! Exit codes of `telexctl`, as its help and manual page document them.

/// Done.
pub const OK: u8 = 0;
/// Understood and refused, or something failed; for `status` and `doctor`: something is not well.
pub const FAILED: u8 = 1;
/// The command line is wrong, or a value in it.
pub const USAGE: u8 = 2;
/// The daemon does not run, or the bus cannot be reached.
pub const AWAY: u8 = 3;
/// The caller is not allowed to.
pub const NOT_ALLOWED: u8 = 4;
/// There is nothing of this id or key, or more than one.
pub const NOT_FOUND: u8 = 5;
