//! What holds for every input of a reader or writer. A law panics where it does not.
//!
//! The fuzzer looks for inputs that break a law; `tests/fuzz_corpus.rs` tries, with every other test, those that are kept.

mod answer;
mod codec;
mod command;
mod config;
mod files;
mod handoff;
mod render;
mod update;

/// A law by its name, which is also that of its folder in `corpus/`.
pub struct Law {
    /// Name.
    pub name: &'static str,
    /// Tries one input.
    pub holds: fn(&[u8]),
}

/// All laws, the dearest of a failure first.
pub const ALL: &[Law] = &[
    Law {
        name: "update",
        holds: update::holds,
    },
    Law {
        name: "codec",
        holds: codec::holds,
    },
    Law {
        name: "render",
        holds: render::holds,
    },
    Law {
        name: "config",
        holds: config::holds,
    },
    Law {
        name: "command",
        holds: command::holds,
    },
    Law {
        name: "answer",
        holds: answer::holds,
    },
    Law {
        name: "handoff",
        holds: handoff::holds,
    },
    Law {
        name: "files",
        holds: files::holds,
    },
];
