//! The daemon's program: the command line, and what it sets in motion.

use std::{io, process::ExitCode};

use telexd::{
    app,
    cli::{self, Deeds},
    config::Surroundings,
    gateway, store, systemd,
};
use tracing::Level;

fn main() -> ExitCode {
    // Before anything secret is read.
    cli::close_to_others();
    let deeds = Deeds {
        run: |loaded, source| {
            start_log(loaded.settings.log_level.into());
            #[cfg(feature = "failpoints")]
            telexd::failpoints::arm().map_err(anyhow::Error::msg)?;
            app::run(loaded, source)
        },
        log: |word| {
            // Elsewhere it is printed, for whoever typed the command.
            let to_journal = systemd::log::to_journal();
            if to_journal {
                start_log(Level::INFO);
                app::log_word(word);
            }
            to_journal
        },
        alert: |contacts, unit| {
            start_log(Level::INFO);
            app::alert(contacts, unit)
        },
        changes: |directory| {
            let settings = store::peek::settings(directory)?;
            Ok(settings.map(gateway::admin::changes_in))
        },
        migrate: |directory, version| Ok(store::migrate_to(directory, version)?.to_string()),
    };
    let code = cli::main(
        std::env::args_os(),
        &Surroundings::of_process(),
        &deeds,
        &mut io::stdout(),
        &mut io::stderr(),
    );
    systemd::log::finish();
    code
}

fn start_log(level: Level) {
    systemd::log::start(systemd::log::level(level), app::LOG_KINDS);
}
