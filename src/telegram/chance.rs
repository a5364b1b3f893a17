//! Chance for waits, out of the injected randomness.

use crate::gateway::ports::Dice;

/// A number between 0 and 1.
pub(super) fn share(dice: &dyn Dice) -> f64 {
    // The last four bytes of a version 4 UUID are all random.
    let [.., a, b, c, d] = dice.uuid().into_bytes();
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}
