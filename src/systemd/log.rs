//! Where log lines go: to the journal where standard error leads there, else to standard error.
//!
//! Fields, priorities and the limit stand in the modules beside this one. Where the journal's own socket is not there,
//! the lines go to the stream that leads to it, each with its priority in front.

use std::{
    io::{self, IsTerminal as _, Write as _},
    panic::PanicHookInfo,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tracing::{Event, Level, Subscriber, span};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt::{
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt as _,
};

use super::{
    journal::{self, Journal, Sent},
    limit::{Held, Limiter},
    line::{Line, Values, clean, priority},
};

/// How often it is looked whether something held back is to be told of.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The log of this process, once it was started.
static LOG: OnceLock<Arc<Log>> = OnceLock::new();
/// The level, to change it.
static LEVEL: OnceLock<Box<dyn Fn(LevelFilter) + Send + Sync>> = OnceLock::new();

/// What it is now.
static NOW: Mutex<LevelFilter> = Mutex::new(LevelFilter::OFF);

/// The kinds of message that have an id in the journal.
#[derive(Clone, Copy, Debug)]
pub struct Kinds {
    /// `MESSAGE_ID` of a kind by its name, which is what the field `event` holds.
    pub id: fn(&str) -> Option<u128>,
    /// The kind of a panic.
    pub panic: &'static str,
}

/// Starts logging: to the journal where standard error leads there, else to standard error, with colours on a terminal.
/// A panic is logged too, once, with a backtrace, and ends the process. A second call changes nothing.
pub fn start(level: LevelFilter, kinds: Kinds) {
    let log = Arc::clone(LOG.get_or_init(|| Arc::new(Log::new(Sink::of_process(), kinds))));
    let (filter, handle) = reload::Layer::new(targets(level));
    if tracing_subscriber::registry()
        .with(Lines(Arc::clone(&log)).with_filter(filter))
        .try_init()
        .is_err()
    {
        return;
    }
    *now() = level;
    let _ = LEVEL.set(Box::new(move |level| {
        let _ = handle.reload(targets(level));
    }));
    std::panic::set_hook(Box::new(move |panic| {
        log.panic(panic);
        // As the shipped program does by itself. One that is built with panics that unwind would go on without the
        // thread or task that it hit, and that is no state to be in.
        std::process::abort();
    }));
}

/// Changes from which level on is logged.
pub fn set_level(level: LevelFilter) {
    if let Some(set) = LEVEL.get() {
        set(level);
        *now() = level;
    }
}

fn now() -> std::sync::MutexGuard<'static, LevelFilter> {
    NOW.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From which level on is logged, as syslog names it.
#[must_use]
pub fn syslog_level() -> &'static str {
    match now().into_level() {
        None => "emerg",
        Some(Level::ERROR) => "err",
        Some(Level::WARN) => "warning",
        Some(Level::INFO) => "info",
        // Syslog has no name for what is finer.
        Some(Level::DEBUG | Level::TRACE) => "debug",
    }
}

/// The level that a name of syslog's means: the least that has all of it. `None`: there is no such name.
#[must_use]
pub fn of_syslog(name: &str) -> Option<Level> {
    Some(match name {
        "emerg" | "alert" | "crit" | "err" => Level::ERROR,
        "warning" => Level::WARN,
        "notice" | "info" => Level::INFO,
        "debug" => Level::DEBUG,
        _ => return None,
    })
}

/// Level of a name: `error`, `warn`, `info`, `debug`, `trace`.
#[must_use]
pub fn level(level: Level) -> LevelFilter {
    LevelFilter::from_level(level)
}

/// Whether standard error leads to the journal, so that what is to be found there should be logged and not printed.
#[must_use]
pub fn to_journal() -> bool {
    journal::is_journal(io::stderr(), std::env::var_os("JOURNAL_STREAM").as_deref())
}

/// Tells what was held back and nobody was told of yet. To be called when the process is about to end.
pub fn finish() {
    if let Some(log) = LOG.get() {
        let held = log.limiter().finish();
        log.tell(&held);
    }
}

/// HTTP, TLS and DNS libraries are chatty below warnings and know the token, which is part of every address.
fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("telexd", level)
}

enum Sink {
    Journal(Journal),
    /// A stream to the journal, without its socket.
    Stream,
    /// Anything else; whether with colours.
    Plain(bool),
}

impl Sink {
    fn of_process() -> Self {
        if !to_journal() {
            return Self::Plain(io::stderr().is_terminal());
        }
        Journal::open().map_or(Self::Stream, Self::Journal)
    }
}

struct Log {
    sink: Sink,
    kinds: Kinds,
    limiter: Mutex<Limiter>,
    began: Instant,
    /// Whether a thread waits for the time to tell of what was held back.
    watched: AtomicBool,
}

impl Log {
    fn new(sink: Sink, kinds: Kinds) -> Self {
        Self {
            sink,
            kinds,
            limiter: Mutex::default(),
            began: Instant::now(),
            watched: AtomicBool::new(false),
        }
    }

    fn limiter(&self) -> std::sync::MutexGuard<'_, Limiter> {
        // Counts only: whatever a panic left of them will do.
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line, if the limit lets it.
    fn submit(self: &Arc<Self>, line: &Line) {
        let now = self.began.elapsed();
        let (held, admitted) = {
            let mut limiter = self.limiter();
            let held = limiter.over(now);
            let admitted = limiter.admit(line.key(), line.priority, &line.message, now);
            (held, admitted)
        };
        self.tell(&held);
        if admitted {
            self.write(line);
        } else if !self.watched.swap(true, Ordering::AcqRel) {
            let log = Arc::clone(self);
            let watch = thread::Builder::new()
                .name("telexd-log".to_owned())
                .spawn(move || log.watch());
            if watch.is_err() {
                self.watched.store(false, Ordering::Release);
            }
        }
    }

    /// Tells of what was held back when its time is over, also when nothing is logged any more.
    fn watch(&self) {
        loop {
            thread::sleep(LOOK_EVERY);
            let (held, more) = {
                let mut limiter = self.limiter();
                (limiter.over(self.began.elapsed()), limiter.holds())
            };
            self.tell(&held);
            if !more {
                self.watched.store(false, Ordering::Release);
                return;
            }
        }
    }

    fn tell(&self, held: &[Held]) {
        for held in held {
            let message = format!("{} more messages like this: {}", held.count, held.example);
            self.write(&Line::new(held.priority, None, message));
        }
    }

    fn write(&self, line: &Line) {
        match &self.sink {
            Sink::Journal(journal) => {
                let id = line.kind.as_deref().and_then(self.kinds.id);
                match journal.send(&line.native(id)) {
                    Sent::Taken { lost: 0 } => {}
                    Sent::Taken { lost } => {
                        let message =
                            format!("{lost} messages are lost: the journal did not take them");
                        let _ =
                            journal.send(&Line::new(priority::WARNING, None, message).native(None));
                    }
                    Sent::Stuck => {}
                    Sent::Absent => journal::write_stream(io::stderr(), &line.prefixed()),
                }
            }
            Sink::Stream => journal::write_stream(io::stderr(), &line.prefixed()),
            Sink::Plain(colour) => {
                let mut time = String::new();
                let _ = SystemTime.format_time(&mut Writer::new(&mut time));
                let _ = io::stderr().write_all(line.plain(&time, *colour).as_bytes());
            }
        }
    }

    /// Past `tracing`, which a panic may have come out of, and past the limit.
    fn panic(&self, panic: &PanicHookInfo<'_>) {
        let backtrace = std::backtrace::Backtrace::force_capture();
        let place = panic
            .location()
            .map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        let thread = thread::current();
        let message = format!(
            "telexd has a fault and ends; what it had accepted is kept: thread {} panicked{place}: {}\n{backtrace}",
            thread.name().unwrap_or("without a name"),
            said(panic.payload_as_str().unwrap_or("(no text)")),
        );
        let message = clean(&message, true);
        self.write(&Line::new(
            priority::CRITICAL,
            Some(self.kinds.panic),
            message,
        ));
    }
}

/// What a panic says, without what it quotes: slicing a text in the middle of a character quotes the text, which may be a
/// person's.
fn said(text: &str) -> &str {
    let quotes = text.contains("byte index") || text.contains("char boundary");
    match text.find('`') {
        Some(quote) if quotes => &text[..quote],
        _ => text,
    }
}

/// The layer that makes lines of events.
struct Lines(Arc<Log>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attrs: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut values = Values::default();
        attrs.record(&mut values);
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(values);
        }
    }

    fn on_record(&self, id: &span::Id, record: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(values) = span.extensions_mut().get_mut::<Values>()
        {
            record.record(values);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let around: Vec<Values> = context
            .event_scope(event)
            .into_iter()
            .flatten()
            .filter_map(|span| span.extensions().get::<Values>().cloned())
            .collect();
        self.0.submit(&Line::of(event, around.iter()));
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
