//! The status as metrics, in the text form of `OpenMetrics`. Labels are names of the configuration and of
//! lists in the code: what comes in frames makes no series.

use std::{fmt, sync::Arc, time::Duration};

use ha_core::{Rejection, State};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder, NoLabelSet, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::{Registry, Unit},
};

use crate::{
    engine::{InstanceSnapshot, InterfaceSnapshot},
    histogram::Histogram,
    status::{
        Status,
        figures::{Checked, Fifo, Notified, Tracked},
    },
};

const STATES: [State; 4] = [State::Init, State::Backup, State::Master, State::Fault];

/// Not `instance`: Prometheus calls a target so.
const INSTANCE: &str = "vrrp_instance";

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    /// A gauge.
    Seconds,
}

/// A metric with a sample for each of a list: its name, what it is, what is said of it, and where in
/// an entry it is, which may have none.
type Row<T> = (&'static str, Kind, &'static str, fn(&T) -> Option<f64>);

const OF_INSTANCES: &[Row<InstanceSnapshot>] = &[
    ("priority", Kind::Gauge, "Effective priority", |it| Some(f64::from(it.priority))),
    ("master_priority", Kind::Gauge, "Priority of the Master heard last", |it| {
        it.master.map(|(_, priority)| f64::from(priority))
    }),
    (
        "interval",
        Kind::Seconds,
        "Its advertisement interval, or that of the Master it hears",
        |it| Some(it.master_interval.as_secs_f64()),
    ),
    ("heard_ago", Kind::Seconds, "Time since the last advertisement that counted", |it| {
        it.heard_ago.map(|ago| ago.as_secs_f64())
    }),
    ("sent_ago", Kind::Seconds, "Time since it last sent an advertisement", |it| {
        it.sent_ago.map(|ago| ago.as_secs_f64())
    }),
    ("listening", Kind::Gauge, "Whether it was late, and listens before it acts", |it| {
        Some(flag(it.is_listening))
    }),
    ("demoted", Kind::Gauge, "Whether an operator has demoted it", |it| Some(flag(it.is_demoted))),
    (
        "adverts_received",
        Kind::Counter,
        "Valid advertisements received, absorbed ones included",
        |it| count(it.statistics.adverts_received),
    ),
    ("adverts_absorbed", Kind::Counter, "Valid advertisements that said nothing new", |it| {
        count(it.statistics.adverts_absorbed)
    }),
    ("adverts_sent", Kind::Counter, "Advertisements sent", |it| count(it.statistics.adverts_sent)),
    ("became_master", Kind::Counter, "Times it became Master", |it| {
        count(it.statistics.became_master)
    }),
    ("released_master", Kind::Counter, "Times it stopped being Master", |it| {
        count(it.statistics.released_master)
    }),
    ("priority_zero_received", Kind::Counter, "Advertisements with priority 0 received", |it| {
        count(it.statistics.priority_zero_received)
    }),
    ("priority_zero_sent", Kind::Counter, "Advertisements with priority 0 sent", |it| {
        count(it.statistics.priority_zero_sent)
    }),
    (
        "saved_by_stamp",
        Kind::Counter,
        "Takeovers put off because the kernel had stamped an advertisement not read yet",
        |it| count(it.statistics.saved_by_stamp),
    ),
    ("late", Kind::Counter, "Times it was late and listened first", |it| count(it.statistics.late)),
    (
        "addresses_removed",
        Kind::Counter,
        "Times somebody else removed its virtual addresses",
        |it| count(it.statistics.addresses_removed),
    ),
    ("routes_removed", Kind::Counter, "Virtual routes that somebody else removed", |it| {
        count(it.removed.routes)
    }),
    ("rules_removed", Kind::Counter, "Virtual rules that somebody else removed", |it| {
        count(it.removed.rules)
    }),
];

const OF_NOTIFIED: &[Row<Notified>] = &[
    ("notifications", Kind::Counter, "Notify scripts that were run", |it| count(it.runs)),
    ("notifications_failed", Kind::Counter, "Notify scripts that failed", |it| count(it.failed)),
    ("notifications_lost", Kind::Counter, "Notifications beyond the queue's limit", |it| {
        count(it.lost)
    }),
    ("notification_duration", Kind::Seconds, "How long the last notify script took", |it| {
        it.last.map(|last| last.as_secs_f64())
    }),
];

const OF_PROCESSES: &[Row<Tracked>] = &[
    ("process_up", Kind::Gauge, "Verdict of a vrrp_track_process; none before the first", |it| {
        it.is_up.map(flag)
    }),
    ("process_count", Kind::Gauge, "Processes that it counts", |it| it.count.map(f64::from)),
    (
        "process_starts",
        Kind::Gauge,
        "Starts within its restart_window, at most one more than max_restarts",
        |it| it.starts.and_then(small),
    ),
];

const OF_UNITS: &[Row<Tracked>] = &[
    ("unit_up", Kind::Gauge, "Verdict of a vrrp_track_unit; none before the first", |it| {
        it.is_up.map(flag)
    }),
    (
        "unit_starts",
        Kind::Gauge,
        "Starts within its restart_window, at most one more than max_restarts",
        |it| it.starts.and_then(small),
    ),
];

/// What there is once.
const SINGLE: &[Row<Status>] = &[
    ("adverts_unsent", Kind::Counter, "Advertisements that the kernel did not take", |it| {
        count(it.snapshot.adverts_unsent)
    }),
    ("reports_lost", Kind::Counter, "Reports that the log was too slow for", |it| {
        count(it.snapshot.reports_lost)
    }),
    (
        "records_outdated",
        Kind::Counter,
        "Advertisements for an instance that had left the interface",
        |it| count(it.snapshot.records_outdated),
    ),
    ("mails_sent", Kind::Counter, "Mails sent", |it| count(it.figures.mails.sent)),
    ("mails_failed", Kind::Counter, "Mails given up", |it| count(it.figures.mails.failed)),
    ("mails_lost", Kind::Counter, "Mails beyond the queue's limit", |it| {
        count(it.figures.mails.lost)
    }),
    (
        "clock_synchronised",
        Kind::Gauge,
        "Whether the kernel says that the host's clock is synchronised",
        |it| it.figures.clock.kernel.map(|(is_synchronised, _)| flag(is_synchronised)),
    ),
    (
        "clock_max_error",
        Kind::Seconds,
        "The kernel's bound for the error of the host's clock",
        |it| it.figures.clock.kernel.map(|(_, error)| error.as_secs_f64()),
    ),
];

/// All of a status as metrics. What is not in it has no sample.
pub(super) fn render(status: Arc<Status>) -> String {
    let mut text = String::new();
    let mut registry = Registry::with_prefix("ha");
    registry.register_collector(Box::new(Samples(status)));
    // A String takes all.
    text::encode(&mut text, &registry).ok();
    text
}

#[derive(Debug)]
struct Samples(Arc<Status>);

impl Collector for Samples {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(status) = self;
        let mut out = Out(encoder);
        let build = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("commit", env!("HA_BUILD_COMMIT")),
            ("rustc", env!("HA_BUILD_RUSTC")),
        ];
        let family = out.0.encode_descriptor("build", "This build", None, MetricType::Info)?;
        Info::new(build).encode(family)?;
        for (name, kind, help, value) in SINGLE {
            let family = out.begin(name, help, *kind)?;
            if let Some(value) = value(status) {
                sample(family, *kind, value)?;
            }
        }
        out.instances(&status.snapshot.instances)?;
        out.interfaces(&status.snapshot.interfaces)?;
        let notified = &status.figures.notified;
        out.rows(OF_NOTIFIED, notified, |it| [("subject", escaped(&it.name))])?;
        out.figures(status)
    }
}

/// Where metrics go.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    /// Begins the samples of one name.
    fn begin<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: Kind,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        let (unit, of_type) = match kind {
            Kind::Counter => (None, MetricType::Counter),
            Kind::Gauge => (None, MetricType::Gauge),
            Kind::Seconds => (Some(&Unit::Seconds), MetricType::Gauge),
        };
        self.0.encode_descriptor(name, help, unit, of_type)
    }

    fn rows<T, const N: usize>(
        &mut self,
        rows: &[Row<T>],
        entries: &[T],
        labels: fn(&T) -> [(&'static str, String); N],
    ) -> fmt::Result {
        for (name, kind, help, value) in rows {
            let mut family = self.begin(name, help, *kind)?;
            for entry in entries {
                if let Some(value) = value(entry) {
                    sample(family.encode_family(&labels(entry))?, *kind, value)?;
                }
            }
        }
        Ok(())
    }

    fn instances(&mut self, instances: &[InstanceSnapshot]) -> fmt::Result {
        self.rows(OF_INSTANCES, instances, |it| [(INSTANCE, escaped(&it.name))])?;
        let mut family = self.begin("state", "1 for the state that it is in", Kind::Gauge)?;
        for instance in instances {
            for state in STATES {
                let labels = [(INSTANCE, escaped(&instance.name)), ("state", state.to_string())];
                let value = flag(instance.state == state);
                sample(family.encode_family(&labels)?, Kind::Gauge, value)?;
            }
        }
        let help = "Advertisements that passed the stateless checks and were refused, by reason";
        let mut family = self.begin("adverts_rejected", help, Kind::Counter)?;
        for instance in instances {
            // Those that there have been: most never are.
            let counts = Rejection::NAMES.into_iter().zip(instance.statistics.rejected);
            for (reason, count) in counts.filter(|(_, count)| *count > 0) {
                let labels = [(INSTANCE, escaped(&instance.name)), ("reason", reason.to_owned())];
                sample(family.encode_family(&labels)?, Kind::Counter, f64::from(count))?;
            }
        }
        Ok(())
    }

    fn interfaces(&mut self, interfaces: &[InterfaceSnapshot]) -> fmt::Result {
        let up: &[Row<InterfaceSnapshot>] =
            &[("interface_up", Kind::Gauge, "Whether the interface is up, with carrier", |it| {
                Some(flag(it.is_up))
            })];
        self.rows(up, interfaces, |it| [("interface", escaped(&it.name))])?;
        let mode: &[Row<InterfaceSnapshot>] =
            &[("xdp", Kind::Gauge, "1 for how frames are judged", |_| Some(1.0))];
        self.rows(mode, interfaces, |it| {
            [("interface", escaped(&it.name)), ("mode", it.xdp.to_owned())]
        })?;
        let help = "Frames of protocol 112, by what became of them";
        let mut family = self.begin("frames", help, Kind::Counter)?;
        for interface in interfaces {
            for (result, count) in &interface.counters {
                let labels = [("interface", escaped(&interface.name)), ("result", escaped(result))];
                sample(family.encode_family(&labels)?, Kind::Counter, float(*count))?;
            }
        }
        Ok(())
    }

    /// What is counted beside the engine thread, and all histograms.
    fn figures(&mut self, status: &Status) -> fmt::Result {
        let figures = &status.figures;
        let fifos: &[Row<Fifo>] = &[
            (
                "fifo_lost",
                Kind::Counter,
                "Lines that a notify FIFO's reader was too slow for",
                |it| count(it.lost),
            ),
            (
                "fifo_reopened",
                Kind::Counter,
                "How often a notify FIFO was not there any more",
                |it| count(it.reopened),
            ),
        ];
        self.rows(fifos, &figures.fifos, |it| [("fifo", escaped(&it.path))])?;
        let servers: &[Row<(String, f64)>] = &[(
            "time_server_offset",
            Kind::Seconds,
            "How far the host's clock is from a time server",
            |(_, offset)| Some(*offset),
        )];
        self.rows(servers, &figures.clock.servers, |(name, _)| [("server", escaped(name))])?;
        let verdicts: &[Row<Checked>] =
            &[("script_up", Kind::Gauge, "Verdict of a tracked script; none before the first", {
                |it| it.is_up.map(flag)
            })];
        self.rows(verdicts, &figures.scripts, |it| [("script", escaped(&it.name))])?;
        self.rows(OF_PROCESSES, &figures.processes, |it| [("process", escaped(&it.name))])?;
        self.rows(OF_UNITS, &figures.units, |it| [("unit", escaped(&it.name))])?;
        let values: &[Row<(String, i32)>] =
            &[("file_value", Kind::Gauge, "The number in a tracked file", |(_, value)| {
                Some(f64::from(*value))
            })];
        self.rows(values, &figures.files, |(name, _)| [("file", escaped(name))])?;

        let help = "Changes of state, by where to and why";
        let mut family = self.begin("transitions", help, Kind::Counter)?;
        for ((to, cause), count) in &figures.moves.counts {
            let labels = [("to", to.to_string()), ("cause", (*cause).to_owned())];
            sample(family.encode_family(&labels)?, Kind::Counter, float(*count))?;
        }
        let help = "How late the engine thread was when its timer was due";
        put(&status.snapshot.wake_ups, self.begin_histogram("wake_up_delay", help)?)?;
        let help = "From a deadline, or from the decision where there was none, until a new Master's \
            addresses were set and announced";
        put(&figures.moves.takeovers, self.begin_histogram("takeover_overhead", help)?)?;
        let help = "How long notify scripts took";
        put(&figures.notify_runs, self.begin_histogram("notification_run", help)?)?;
        let mut family = self.begin_histogram("script_run", "How long a tracked script took")?;
        for script in &figures.scripts {
            put(&script.runs, family.encode_family(&[("script", escaped(&script.name))])?)?;
        }
        Ok(())
    }

    fn begin_histogram<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)
    }
}

fn sample(encoder: MetricEncoder<'_>, kind: Kind, value: f64) -> fmt::Result {
    match kind {
        Kind::Counter => ConstCounter::new(value).encode(encoder),
        Kind::Gauge | Kind::Seconds => ConstGauge::new(value).encode(encoder),
    }
}

fn put(histogram: &Histogram, mut encoder: MetricEncoder<'_>) -> fmt::Result {
    // The crate's word for no bound.
    let bound = |bound: Option<Duration>| bound.map_or(f64::MAX, |bound| bound.as_secs_f64());
    let buckets: Vec<(f64, u64)> =
        histogram.buckets().map(|(upper, count)| (bound(upper), count)).collect();
    let sum = histogram.sum().as_secs_f64();
    encoder.encode_histogram::<NoLabelSet>(sum, histogram.count(), &buckets, None)
}

/// As the text form has it (`OpenMetrics` 1.0, `escaped-char`): the crate writes values as they are.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

fn small(count: usize) -> Option<f64> {
    u32::try_from(count).ok().map(f64::from)
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

#[expect(clippy::unnecessary_wraps, reason = "a row may have no sample")]
const fn count(count: u64) -> Option<f64> {
    Some(float(count))
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a metric is an f64")]
const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::status::{figures::Clock, tests::status};

    #[test]
    fn a_status_is_samples() {
        let mut status = status();
        let instance = &mut status.snapshot.instances[0];
        "VI \"1\"".clone_into(&mut instance.name);
        instance.heard_ago = Some(Duration::from_micros(12_500));
        instance.statistics.adverts_sent = 7;
        instance.statistics.rejected[Rejection::Interval.kind()] = 4;
        status.snapshot.interfaces[0].counters = vec![("accepted", 5), ("checksum", 1)];
        status.snapshot.reports_lost = 3;
        status.snapshot.adverts_unsent = 4;
        status.snapshot.wake_ups.add(Duration::from_micros(70));
        let figures = &mut status.figures;
        let kernel = Some((true, Duration::from_micros(2_500)));
        figures.clock = Clock { kernel, servers: Vec::new() };
        figures.moves.counts.insert((State::Master, "master_down"), 2);
        let mut runs = Histogram::default();
        runs.add(Duration::from_millis(500));
        runs.add(Duration::from_secs(20));
        let process = |name: &str, is_up| {
            let (count, starts) = (Some(3), Some(2));
            Tracked { name: name.to_owned(), is_up, count, starts }
        };
        figures.processes = vec![process("web", Some(true)), process("new", None)];
        let unit = process("svc", Some(false));
        figures.units.push(Tracked { count: None, starts: None, ..unit });
        figures.files.push(("load".to_owned(), -7));
        figures.scripts.push(Checked { name: "chk".to_owned(), is_up: None, runs });
        let text = render(Arc::new(status));
        // As the text format of OpenMetrics 1.0 has them.
        let expected = [
            "# TYPE ha_priority gauge",
            "ha_priority{vrrp_instance=\"VI \\\"1\\\"\"} 100.0",
            "ha_state{vrrp_instance=\"VI \\\"1\\\"\",state=\"MASTER\"} 1.0",
            "ha_state{vrrp_instance=\"VI \\\"1\\\"\",state=\"BACKUP\"} 0.0",
            "ha_heard_ago_seconds{vrrp_instance=\"VI \\\"1\\\"\"} 0.0125",
            "ha_adverts_sent_total{vrrp_instance=\"VI \\\"1\\\"\"} 7.0",
            "ha_frames_total{interface=\"bond0\",result=\"checksum\"} 1.0",
            "ha_xdp{interface=\"bond0\",mode=\"native\"} 1.0",
            "ha_reports_lost_total 3.0",
            "ha_adverts_unsent_total 4.0",
            "ha_clock_synchronised 1.0",
            "ha_clock_max_error_seconds 0.0025",
            "ha_adverts_rejected_total{vrrp_instance=\"VI \\\"1\\\"\",reason=\"interval\"} 4.0",
            "ha_transitions_total{to=\"MASTER\",cause=\"master_down\"} 2.0",
            "# TYPE ha_wake_up_delay_seconds histogram",
            "ha_wake_up_delay_seconds_bucket{le=\"0.00005\"} 0",
            "ha_wake_up_delay_seconds_bucket{le=\"0.0001\"} 1",
            "ha_wake_up_delay_seconds_bucket{le=\"+Inf\"} 1",
            "ha_wake_up_delay_seconds_count 1",
            "ha_script_run_seconds_bucket{le=\"0.5\",script=\"chk\"} 1",
            "ha_script_run_seconds_bucket{le=\"+Inf\",script=\"chk\"} 2",
            "ha_process_up{process=\"web\"} 1.0",
            "ha_process_count{process=\"web\"} 3.0",
            "ha_process_starts{process=\"web\"} 2.0",
            "ha_unit_up{unit=\"svc\"} 0.0",
            "ha_file_value{file=\"load\"} -7.0",
            "ha_script_run_seconds_sum{script=\"chk\"} 20.5",
        ];
        let lines: Vec<&str> = text.lines().collect();
        for line in expected {
            assert!(lines.contains(&line), "{line} is not in\n{text}");
        }
        assert_eq!(lines.last(), Some(&"# EOF"));
        for absent in ["ha_master_priority{", "ha_process_up{process=\"new\"", "ha_unit_starts{"] {
            assert!(!text.contains(absent), "what is not there has no sample: {text}");
        }
    }

    /// Every metric that the dashboard and the rules ask for is one that there is.
    #[test]
    fn dashboard_and_alerts_ask_for_what_there_is() {
        let told = render(Arc::new(status()));
        let described: BTreeSet<&str> = told
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect();
        let alerts = include_str!("../../../etc/prometheus/alerts.yml");
        let dashboard = include_str!("../../../etc/grafana/ha.json");
        serde_json::from_str::<Value>(dashboard).unwrap();
        for text in [alerts, dashboard] {
            let words = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
            let asked: BTreeSet<&str> = words.filter(|word| word.starts_with("ha_")).collect();
            assert!(asked.len() > 5, "{asked:?}");
            for name in asked {
                let name = ["_total", "_bucket"]
                    .iter()
                    .find_map(|end| name.strip_suffix(end))
                    .unwrap_or(name);
                assert!(described.contains(name), "{name} is not among {described:?}");
            }
        }
    }
}
