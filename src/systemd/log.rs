//! Where log lines go.

use std::io::IsTerminal as _;

use tracing::{Level, error};
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// Starts logging to standard error: with colours on a terminal, without time where the journal adds its own.
/// A second call changes nothing.
pub fn start(level: LevelFilter) {
    let stderr = std::io::stderr();
    // HTTP, TLS and DNS libraries are chatty below warnings and know the token, which is part of every address.
    let targets = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("telexd", level);
    let layer = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(stderr.is_terminal())
        .with_target(false);
    let layer = if std::env::var_os("JOURNAL_STREAM").is_some() {
        layer.without_time().boxed()
    } else {
        layer.boxed()
    };
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(targets))
        .try_init();
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::force_capture();
        error!(%panic, %backtrace, "telexd has a fault and ends; what it had accepted is kept");
    }));
}

/// Level of a name: `error`, `warn`, `info`, `debug`, `trace`.
#[must_use]
pub fn level(level: Level) -> LevelFilter {
    LevelFilter::from_level(level)
}
