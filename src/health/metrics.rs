//! Everything as OpenMetrics text 1.0: the counters of [`Tally`], and what a [`Report`] holds as gauges.
//!
//! Labels are names that stand in this program: never anything of a person, a chat or a run.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{
        MetricType,
        counter::ConstCounter,
        gauge::{ConstGauge, Gauge},
        info::Info,
    },
    registry::{Registry, Unit},
};

use super::{Report, conditions::Condition};
use crate::core::{Millis, tally::Tally};

/// Media type of the text.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Writes the text.
pub struct Metrics {
    registry: Registry,
    report: Arc<Mutex<Arc<Report>>>,
}

impl Metrics {
    /// Of these counters. `started_at`: when this life began.
    #[must_use]
    pub fn new(tally: &Tally, started_at: Millis) -> Self {
        let report = Arc::default();
        let mut registry = Registry::with_prefix("telexd");
        tally.register(&mut registry);
        registry.register(
            "build",
            "Version of the daemon",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        let started = Gauge::<f64, AtomicU64>::default();
        started.set(seconds(started_at));
        registry.register_with_unit(
            "start_time",
            "When this life began, in seconds since the Unix epoch",
            Unit::Seconds,
            started,
        );
        registry.register_collector(Box::new(Gauges(Arc::clone(&report))));
        Self { registry, report }
    }

    /// The text, with the gauges of this report.
    ///
    /// # Errors
    /// A text that cannot be written is a defect.
    pub fn text(&self, report: &Arc<Report>) -> Result<String, fmt::Error> {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(report);
        let mut out = String::with_capacity(16 * 1024);
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

/// What the report holds.
struct Gauges(Arc<Mutex<Arc<Report>>>);

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gauges")
    }
}

impl Collector for Gauges {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let report = Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut out = Out(encoder);
        let now = &report.readiness;
        out.gauge(
            "ready",
            "Whether it does what it is for",
            None,
            flag(report.ready()),
        )?;
        out.conditions(&report.conditions)?;
        out.gauge(
            "conversations",
            "Conversations that are active",
            None,
            count(now.conversations as u64),
        )?;
        out.gauge(
            "turns_running",
            "Turns that are with an agent",
            None,
            count(now.running),
        )?;
        out.gauge(
            "turns_waiting",
            "Turns that wait for one",
            None,
            count(now.queued),
        )?;
        out.gauge("agents", "Agents that live", None, count(now.processes))?;
        out.gauge(
            "paused",
            "Whether everything is paused",
            None,
            flag(now.paused),
        )?;
        for (name, help, age) in [
            (
                "last_poll_age",
                "How long ago a poll was answered",
                now.polling.completed,
            ),
            (
                "inbox_oldest",
                "Age of the oldest update that was not acted on",
                Some(now.oldest_in.unwrap_or_default()),
            ),
            (
                "outbox_oldest",
                "How long something has been waiting to be sent",
                Some(now.oldest_out.unwrap_or_default()),
            ),
            (
                "queue_oldest",
                "How long a prompt has been waiting for an agent",
                Some(now.oldest_prompt.unwrap_or_default()),
            ),
        ] {
            out.gauge(
                name,
                help,
                Some(Unit::Seconds),
                age.map(|age| age.as_secs_f64()),
            )?;
        }
        for (name, help, size) in [
            (
                "database_size",
                "What the database takes on the disk",
                Some(now.database),
            ),
            (
                "disk_free",
                "What is left on the disk of the database",
                now.disk_free,
            ),
            (
                "memory",
                "What the daemon takes of the memory",
                now.memory.daemon,
            ),
            (
                "memory_limit",
                "What the daemon's service may take",
                now.memory.limit,
            ),
            (
                "agents_memory",
                "What all agents take together",
                now.memory.agents,
            ),
        ] {
            out.gauge(name, help, Some(Unit::Bytes), size.and_then(count))?;
        }
        out.number(
            "health_evaluations",
            "How often it was measured how everything stands",
            report.serial,
        )?;
        out.counter("cpu", "Processor time of the daemon", now.cpu.daemon)?;
        out.counter(
            "agents_cpu",
            "Processor time of all agents together, as far as it was seen",
            now.cpu.agents,
        )
    }
}

struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    /// One value; nothing where it is not known.
    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: Option<f64>,
    ) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        let help = format!("{help}.");
        let metric = self
            .0
            .encode_descriptor(name, &help, unit.as_ref(), MetricType::Gauge)?;
        ConstGauge::new(value).encode(metric)
    }

    fn counter(&mut self, name: &str, help: &str, value: Option<Duration>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        let help = format!("{help}.");
        let metric =
            self.0
                .encode_descriptor(name, &help, Some(&Unit::Seconds), MetricType::Counter)?;
        ConstCounter::new(value.as_secs_f64()).encode(metric)
    }

    fn number(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let help = format!("{help}.");
        let metric = self
            .0
            .encode_descriptor(name, &help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(metric)
    }

    fn conditions(&mut self, conditions: &[Condition]) -> fmt::Result {
        type Of = fn(&Condition) -> Option<f64>;
        let all: [(&str, &str, Of); 3] = [
            ("condition_ok", "Whether a condition holds", |c| flag(c.ok)),
            (
                "condition_value",
                "What was measured for it: seconds, or bytes for disk and memory",
                |c| c.value,
            ),
            (
                "condition_limit",
                "Where its limit is, in the same unit",
                |c| c.limit,
            ),
        ];
        for (name, help, of) in all {
            let help = format!("{help}.");
            let mut family = self
                .0
                .encode_descriptor(name, &help, None, MetricType::Gauge)?;
            for condition in conditions {
                let Some(value) = of(condition) else { continue };
                let label = [("condition", condition.name.as_str())];
                ConstGauge::new(value).encode(family.encode_family(&label)?)?;
            }
        }
        Ok(())
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "what is known stands beside what may not be"
)]
fn flag(is: bool) -> Option<f64> {
    Some(f64::from(u8::from(is)))
}

/// Exact up to nine petabytes.
#[expect(
    clippy::cast_precision_loss,
    clippy::unnecessary_wraps,
    reason = "see above and below"
)]
fn count(n: u64) -> Option<f64> {
    Some(n as f64)
}

#[expect(clippy::cast_precision_loss, reason = "exact for thousands of years")]
fn seconds(at: Millis) -> f64 {
    at as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{
        Limits, Readiness,
        conditions::{Judge, Name, Rules},
    };

    fn text(change: impl FnOnce(&mut Readiness)) -> String {
        let s = Duration::from_secs;
        let mut readiness = Readiness::default();
        change(&mut readiness);
        let rules = Rules {
            poll: s(70),
            watchdog: Limits::of(s(30)),
            answer: s(5),
            inbox: s(60),
            outbox: s(300),
            queue: s(1800),
            out_of_memory: 2,
            write: s(1),
            disk: 1000,
        };
        let report = Report {
            at: 1000,
            serial: 1,
            conditions: Judge::default().judge(1000, &readiness, &rules),
            readiness,
        };
        let metrics = Metrics::new(&Tally::default(), 1_700_000_000_500);
        metrics.text(&Arc::new(report)).unwrap()
    }

    #[test]
    fn a_report_is_shown_as_gauges() {
        let text = text(|r| {
            r.running = 2;
            r.disk_free = Some(5);
            r.memory.agents = Some(7_000_000_000);
            r.cpu.agents = Some(Duration::from_millis(1500));
        });
        for line in [
            "# TYPE telexd_ready gauge",
            "telexd_ready 0.0",
            "# HELP telexd_turns_running Turns that are with an agent.",
            "telexd_turns_running 2.0",
            "telexd_condition_ok{condition=\"disk\"} 0.0",
            "telexd_condition_value{condition=\"disk\"} 5.0",
            "telexd_condition_limit{condition=\"disk\"} 1000.0",
            "telexd_condition_ok{condition=\"runtime\"} 1.0",
            "telexd_disk_free_bytes 5.0",
            "telexd_agents_memory_bytes 7000000000.0",
            "# TYPE telexd_agents_cpu_seconds counter",
            "# UNIT telexd_agents_cpu_seconds seconds",
            "telexd_agents_cpu_seconds_total 1.5",
            "telexd_start_time_seconds 1700000000.5",
            "telexd_health_evaluations_total 1",
            concat!(
                "telexd_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"} 1"
            ),
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        // Not known, hence not told.
        assert!(!text.contains("telexd_memory_bytes"), "{text}");
    }

    #[test]
    fn each_family_is_described_once_and_labels_are_ours() {
        let text = text(|_| {});
        let mut families: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .collect();
        let all = families.len();
        families.sort_unstable();
        families.dedup();
        assert_eq!(families.len(), all);
        assert!(all > 30, "{all}");
        let conditions = text
            .lines()
            .filter(|line| line.starts_with("telexd_condition_ok{"))
            .count();
        assert_eq!(conditions, Name::ALL.len());
    }
}
