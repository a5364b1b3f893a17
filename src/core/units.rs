//! What of systemd's interface more than one room reads.

/// A unit as `ListUnits` and `ListUnitsByPatterns` give it (org.freedesktop.systemd1(5)): name, description, load state,
/// active state, sub state, unit that is followed, path, number of the job, its type, its path. `P` is the type of paths.
pub type UnitRow<P> = (
    String,
    String,
    String,
    String,
    String,
    String,
    P,
    u32,
    String,
    P,
);
