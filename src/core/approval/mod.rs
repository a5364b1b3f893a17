//! Questions of agents: what they ask, how they are shown to whoever decides, and what an answer to them is.
//!
//! | file | what it does |
//! |---|---|
//! | `detail.rs` | what a tool would do, for people |
//! | `diff.rs` | a change of a text, for people |
//! | `session.rs` | what an agent proposes to allow for its session |

pub mod detail;
mod diff;
pub mod session;

/// Name of the tool by which an agent asks a person to choose.
pub const CHOICE: &str = "AskUserQuestion";
/// Name of the tool by which an agent shows its plan.
pub const PLAN: &str = "ExitPlanMode";
