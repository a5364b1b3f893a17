//! The daemon's program: the command line, and what it sets in motion.

use std::{io, process::ExitCode};

use telexd::{
    app,
    cli::{self, Deeds},
    config::Surroundings,
    store, systemd,
};

fn main() -> ExitCode {
    let deeds = Deeds {
        run: |settings| {
            systemd::log::start(
                systemd::log::level(settings.log_level.into()),
                app::LOG_KINDS,
            );
            #[cfg(feature = "failpoints")]
            telexd::failpoints::arm().map_err(anyhow::Error::msg)?;
            app::run(settings)
        },
        migrate: |directory, version| Ok(store::migrate_to(directory, version)?.to_string()),
    };
    cli::main(
        std::env::args_os(),
        &Surroundings::of_process(),
        &deeds,
        &mut io::stdout(),
        &mut io::stderr(),
    )
}
