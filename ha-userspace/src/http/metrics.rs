//! The status as metrics, in the text form of `OpenMetrics`.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::{Registry, Unit},
};
use serde_json::Value;

/// Of a gauge for each: which of them an instance is in.
const STATES: [&str; 4] = ["INIT", "BACKUP", "MASTER", "FAULT"];

/// Not `instance`: Prometheus calls a target so.
const INSTANCE: &str = "vrrp_instance";

/// Where a sample is in the status, and what it is called.
struct Row {
    name: &'static str,
    help: &'static str,
    /// The list in the status, one sample for each entry.
    list: &'static str,
    /// The label with the entry's name, and that name's field.
    label: (&'static str, &'static str),
    /// In the entry.
    value: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    /// Milliseconds in the status, seconds here.
    Seconds,
}

const fn of_instance(
    name: &'static str,
    value: &'static str,
    kind: Kind,
    help: &'static str,
) -> Row {
    Row { name, help, list: "/instances", label: (INSTANCE, "/name"), value, kind }
}

const ROWS: &[Row] = &[
    of_instance("priority", "/priority", Kind::Gauge, "Effective priority"),
    of_instance(
        "master_priority",
        "/master/priority",
        Kind::Gauge,
        "Priority of the Master heard last",
    ),
    of_instance(
        "heard_ago",
        "/heard_ago_ms",
        Kind::Seconds,
        "Time since the last advertisement that counted",
    ),
    of_instance(
        "listening",
        "/is_listening",
        Kind::Gauge,
        "Whether it was late, and listens before it acts",
    ),
    of_instance(
        "adverts_received",
        "/statistics/adverts_received",
        Kind::Counter,
        "Valid advertisements received, absorbed ones included",
    ),
    of_instance(
        "adverts_absorbed",
        "/statistics/adverts_absorbed",
        Kind::Counter,
        "Valid advertisements that said nothing new",
    ),
    of_instance("adverts_sent", "/statistics/adverts_sent", Kind::Counter, "Advertisements sent"),
    of_instance(
        "adverts_rejected",
        "/statistics/rejected",
        Kind::Counter,
        "Advertisements that passed the stateless checks and were refused",
    ),
    of_instance(
        "became_master",
        "/statistics/became_master",
        Kind::Counter,
        "Times it became Master",
    ),
    of_instance(
        "released_master",
        "/statistics/released_master",
        Kind::Counter,
        "Times it stopped being Master",
    ),
    of_instance(
        "priority_zero_received",
        "/statistics/priority_zero_received",
        Kind::Counter,
        "Advertisements with priority 0 received",
    ),
    of_instance(
        "priority_zero_sent",
        "/statistics/priority_zero_sent",
        Kind::Counter,
        "Advertisements with priority 0 sent",
    ),
    of_instance(
        "saved_by_stamp",
        "/statistics/saved_by_stamp",
        Kind::Counter,
        "Takeovers put off because the kernel had stamped an advertisement not read yet",
    ),
    of_instance("late", "/statistics/late", Kind::Counter, "Times it was late and listened first"),
    of_instance(
        "addresses_removed",
        "/statistics/addresses_removed",
        Kind::Counter,
        "Times somebody else removed its virtual addresses",
    ),
    Row {
        name: "interface_up",
        help: "Whether the interface is up, with carrier",
        list: "/interfaces",
        label: ("interface", "/name"),
        value: "/is_up",
        kind: Kind::Gauge,
    },
    Row {
        name: "script_up",
        help: "Verdict of a tracked script; none before the first",
        list: "/told/scripts",
        label: ("script", "/name"),
        value: "/is_up",
        kind: Kind::Gauge,
    },
    Row {
        name: "notifications",
        help: "Notify scripts that were run",
        list: "/told/notifications",
        label: ("subject", "/name"),
        value: "/runs",
        kind: Kind::Counter,
    },
    Row {
        name: "notifications_failed",
        help: "Notify scripts that failed",
        list: "/told/notifications",
        label: ("subject", "/name"),
        value: "/failed",
        kind: Kind::Counter,
    },
    Row {
        name: "notifications_lost",
        help: "Notifications beyond the queue's limit",
        list: "/told/notifications",
        label: ("subject", "/name"),
        value: "/lost",
        kind: Kind::Counter,
    },
    Row {
        name: "notification_duration",
        help: "How long the last notify script took",
        list: "/told/notifications",
        label: ("subject", "/name"),
        value: "/last/run/duration_ms",
        kind: Kind::Seconds,
    },
    Row {
        name: "fifo_lost",
        help: "Lines that a notify FIFO's reader was too slow for",
        list: "/told/fifos",
        label: ("fifo", "/path"),
        value: "/lost",
        kind: Kind::Counter,
    },
    Row {
        name: "fifo_reopened",
        help: "How often a notify FIFO was not there any more",
        list: "/told/fifos",
        label: ("fifo", "/path"),
        value: "/reopened",
        kind: Kind::Counter,
    },
    Row {
        name: "time_server_offset",
        help: "How far the host's clock is from a time server",
        list: "/told/clock/servers",
        label: ("server", "/server"),
        value: "/offset_ms",
        kind: Kind::Seconds,
    },
];

/// What there is once: its name, where it is, what it is, what is said of it.
const SINGLE: &[(&str, &str, Kind, &str)] = &[
    ("reports_lost", "/reports_lost", Kind::Counter, "Reports that the log was too slow for"),
    (
        "records_outdated",
        "/records_outdated",
        Kind::Counter,
        "Advertisements for an instance that had left the interface",
    ),
    ("mails_sent", "/told/mail/sent", Kind::Counter, "Mails sent"),
    ("mails_failed", "/told/mail/failed", Kind::Counter, "Mails given up"),
    ("mails_lost", "/told/mail/lost", Kind::Counter, "Mails beyond the queue's limit"),
    (
        "clock_synchronised",
        "/told/clock/kernel/is_synchronised",
        Kind::Gauge,
        "Whether the kernel says that the host's clock is synchronised",
    ),
    (
        "clock_max_error",
        "/told/clock/kernel/max_error_ms",
        Kind::Seconds,
        "The kernel's bound for the error of the host's clock",
    ),
];

/// All of a status (`docs/status.md`) as metrics. What is not in it has no sample.
pub(super) fn render(status: Value) -> String {
    let mut registry = Registry::with_prefix("ha");
    registry.register_collector(Box::new(Status(status)));
    let mut text = String::new();
    // A String takes all.
    text::encode(&mut text, &registry).ok();
    text
}

#[derive(Debug)]
struct Status(Value);

impl Collector for Status {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(status) = self;
        let build = [("version", env!("CARGO_PKG_VERSION"))];
        let family = encoder.encode_descriptor("build", "This build", None, MetricType::Info)?;
        Info::new(build).encode(family)?;
        for (name, at, kind, help) in SINGLE {
            let family = begin(&mut encoder, name, help, *kind)?;
            if let Some(value) = status.pointer(at).and_then(number) {
                sample(family, *kind, value)?;
            }
        }
        for row in ROWS {
            let mut family = begin(&mut encoder, row.name, row.help, row.kind)?;
            for entry in entries(status, row.list) {
                if let Some(value) = entry.pointer(row.value).and_then(number) {
                    let labels = [label(row.label.0, entry, row.label.1)];
                    sample(family.encode_family(&labels)?, row.kind, value)?;
                }
            }
        }
        let mut family =
            begin(&mut encoder, "state", "1 for the state that it is in", Kind::Gauge)?;
        for instance in entries(status, "/instances") {
            let is_in = instance.pointer("/state").and_then(Value::as_str);
            for state in STATES {
                let labels = [label(INSTANCE, instance, "/name"), ("state", state.to_owned())];
                let value = f64::from(u8::from(is_in == Some(state)));
                sample(family.encode_family(&labels)?, Kind::Gauge, value)?;
            }
        }
        let mut family = begin(&mut encoder, "xdp", "1 for how frames are judged", Kind::Gauge)?;
        for interface in entries(status, "/interfaces") {
            let labels = [label("interface", interface, "/name"), label("mode", interface, "/xdp")];
            sample(family.encode_family(&labels)?, Kind::Gauge, 1.0)?;
        }
        let help = "Frames of protocol 112, by what became of them";
        let mut family = begin(&mut encoder, "frames", help, Kind::Counter)?;
        for interface in entries(status, "/interfaces") {
            let counters = interface.pointer("/counters").and_then(Value::as_object);
            for (result, count) in counters.into_iter().flatten() {
                let labels = [label("interface", interface, "/name"), ("result", escaped(result))];
                let value = number(count).unwrap_or_default();
                sample(family.encode_family(&labels)?, Kind::Counter, value)?;
            }
        }
        Ok(())
    }
}

/// Begins the samples of one name.
fn begin<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
    kind: Kind,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    let (unit, of_type) = match kind {
        Kind::Counter => (None, MetricType::Counter),
        Kind::Gauge => (None, MetricType::Gauge),
        Kind::Seconds => (Some(&Unit::Seconds), MetricType::Gauge),
    };
    encoder.encode_descriptor(name, help, unit, of_type)
}

fn sample(encoder: MetricEncoder<'_>, kind: Kind, value: f64) -> fmt::Result {
    match kind {
        Kind::Counter => ConstCounter::new(value).encode(encoder),
        Kind::Gauge => ConstGauge::new(value).encode(encoder),
        Kind::Seconds => ConstGauge::new(value / 1e3).encode(encoder),
    }
}

fn entries<'a>(status: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    status.pointer(list).and_then(Value::as_array).into_iter().flatten()
}

fn label(name: &'static str, entry: &Value, at: &str) -> (&'static str, String) {
    (name, escaped(entry.pointer(at).and_then(Value::as_str).unwrap_or_default()))
}

/// As the text form has it (`OpenMetrics` 1.0, `escaped-char`): the crate writes values as they are.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// Numbers, and whether something is so.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_bool().map(|it| f64::from(u8::from(it))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_samples() {
        let text = render(json!({
            "reports_lost": 3,
            "instances": [{ "name": "VI \"1\"", "state": "MASTER", "priority": 100, "master": null,
                "is_listening": false, "heard_ago_ms": 12.5,
                "statistics": { "adverts_sent": 7 } }],
            "interfaces": [{ "name": "bond0", "is_up": true, "xdp": "native",
                "counters": { "accepted": 5, "checksum": 1 } }],
            "told": { "clock": { "kernel": { "is_synchronised": true, "max_error_ms": 2.5 } } },
        }));
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
            "ha_clock_synchronised 1.0",
            "ha_clock_max_error_seconds 0.0025",
        ];
        let lines: Vec<&str> = text.lines().collect();
        for line in expected {
            assert!(lines.contains(&line), "{line} is not in\n{text}");
        }
        assert_eq!(lines.last(), Some(&"# EOF"));
        assert!(!text.contains("ha_master_priority{"), "what is not there has no sample: {text}");
    }
    /// Every metric that the dashboard and the rules ask for is one that there is.
    #[test]
    fn dashboard_and_alerts_ask_for_what_there_is() {
        let told = render(json!({}));
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
                let name = name.strip_suffix("_total").unwrap_or(name);
                assert!(described.contains(name), "{name} is not among {described:?}");
            }
        }
    }
}
