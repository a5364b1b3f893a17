//! One program for all laws: `TELEXD_FUZZ` names the one that inputs are tried on. `tests/fuzz/run` builds and starts it.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

#[path = "../laws/mod.rs"]
mod laws;

static LAW: OnceLock<fn(&[u8])> = OnceLock::new();

fn chosen() -> fn(&[u8]) {
    let name = std::env::var("TELEXD_FUZZ").unwrap_or_default();
    let law = laws::ALL.iter().find(|law| law.name == name);
    law.unwrap_or_else(|| panic!("TELEXD_FUZZ names no law: {name:?}"))
        .holds
}

fuzz_target!(|data: &[u8]| LAW.get_or_init(chosen)(data));
