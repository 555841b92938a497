//! The status by HTTP, on a router that runs.
#![expect(clippy::unwrap_used, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
};

use ha_tests::{
    alone::Alone, pair::Side, process::Program, reference, require, status::Status, tool, wait,
};
use serde_json::Value;

const ADDRESS: &str = "127.0.0.1:9650";
const SOON: Duration = Duration::from_secs(20);
/// More than are served at once.
const IDLE_CONNECTIONS: usize = 40;

/// All that comes back for `request`; empty if nothing does.
fn ask(router: &Alone, request: &str) -> String {
    router.namespace().run(|| {
        let mut answer = String::new();
        let Ok(mut stream) = TcpStream::connect(ADDRESS) else { return answer };
        stream.set_read_timeout(Some(SOON)).unwrap();
        // It may be refused before it is all there.
        stream.write_all(request.as_bytes()).ok();
        stream.read_to_string(&mut answer).ok();
        answer
    })
}

fn get(router: &Alone, path: &str) -> (String, String) {
    get_as(router, path, "*/*")
}

fn get_as(router: &Alone, path: &str, accept: &str) -> (String, String) {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {ADDRESS}\r\nAccept: {accept}");
    let request = format!("{head}\r\nConnection: close\r\n\r\n");
    let answer = ask(router, &request);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.to_owned(), body.to_owned())
}

/// The number that a metric has.
fn sample(metrics: &str, name: &str) -> Option<f64> {
    let mut lines = metrics.lines();
    lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[test]
fn the_status_is_to_be_had_and_nothing_else() {
    if !require::require_daemon() {
        return;
    }
    let config = reference::config(Side::A);
    let router = Alone::start(Program::Daemon, &config, &["--http", "9650"]);
    wait::eventually(SOON, "healthy", || get(&router, "/healthz").1 == "ok\n");
    let is_master = |metrics: &str| {
        sample(metrics, "ha_state{vrrp_instance=\"VI_1\",state=\"MASTER\"}") == Some(1.0)
    };
    wait::eventually(SOON, "Master, in its metrics", || is_master(&get(&router, "/metrics").1));

    let (head, body) = get(&router, "/status");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.contains("application/json"), "{head}");
    let status = Status::parse(&body).unwrap();
    assert_eq!(status.state("VI_1"), "MASTER");
    let sent = status.statistic("VI_1", "adverts_sent");
    // As Prometheus 2.42 asks.
    let accept = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
                  version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let (head, metrics) = get_as(&router, "/metrics", accept);
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    let (head, metrics) = get_as(&router, "/metrics", "text/plain");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(!metrics.contains("# EOF") && !metrics.contains("# UNIT"), "{metrics}");
    promtool_takes(&metrics);
    let counted = sample(&metrics, "ha_adverts_sent_total{vrrp_instance=\"VI_1\"}");
    assert!(counted >= Some(f64::from(u32::try_from(sent).unwrap())), "{sent}: {metrics}");

    let took_over = "ha_transitions_total{to=\"MASTER\",cause=\"master_down\"}";
    assert_eq!(sample(&metrics, took_over), Some(1.0), "{metrics}");
    // The group brings the other one along.
    assert_eq!(sample(&metrics, "ha_takeover_overhead_seconds_count"), Some(2.0), "{metrics}");
    let woken = sample(&metrics, "ha_wake_up_delay_seconds_bucket{le=\"+Inf\"}");
    assert!(woken >= Some(1.0), "{metrics}");

    let (head, page) = get(&router, "/");
    assert!(head.contains("text/html") && head.contains("content-security-policy"), "{head}");
    for outside in ["http://", "https://", "src="] {
        assert!(!page.contains(outside), "{outside}: the page is to need nothing from outside");
    }

    let (_, history) = get(&router, "/history");
    assert!(history.contains("\"to\":\"MASTER\""), "{history}");

    assert!(get(&router, "/etc/passwd").0.starts_with("HTTP/1.1 404"));
    let post = ask(&router, "POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
    let long = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(1 << 20));
    let refused = ask(&router, &long);
    assert!(!refused.starts_with("HTTP/1.1 200"), "{refused}");

    // Who says nothing is sent away after a while, and others are served then.
    let connect = || TcpStream::connect(ADDRESS).unwrap();
    let idle: Vec<TcpStream> =
        router.namespace().run(|| (0..IDLE_CONNECTIONS).map(|_| connect()).collect());
    assert_eq!(get(&router, "/healthz").1, "ok\n");
    drop(idle);
}

/// As `curl … | promtool check metrics`.
fn promtool_takes(metrics: &str) {
    if !require::require_tools(&[("promtool", "prometheus")]) {
        return;
    }
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.stdout(Stdio::piped()).spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// As Prometheus's own tool has it; that the rules ask for what there is, a test beside the metrics says.
#[test]
fn prometheus_takes_the_alert_rules() {
    if !require::require_tools(&[("promtool", "prometheus")]) {
        return;
    }
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/prometheus/alerts.yml");
    let said = tool::output_of("promtool", &["check", "rules", rules]);
    assert!(said.as_ref().is_ok_and(|said| said.contains("rules found")), "{said:?}");
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/alerts.test.yml");
    let said = tool::output_of("promtool", &["test", "rules", samples]);
    assert!(said.as_ref().is_ok_and(|said| said.contains("SUCCESS")), "{said:?}");
}

/// One board for all pairs, of which some can be chosen.
#[test]
fn each_question_of_the_dashboard_is_about_the_chosen_pairs() {
    let board = concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/grafana/ha.json");
    let board: Value = serde_json::from_str(&fs::read_to_string(board).unwrap()).unwrap();
    let variables = board["templating"]["list"].as_array().unwrap();
    assert!(variables.iter().any(|it| it["name"] == "pair"), "{variables:?}");
    let panels = board["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    for target in targets {
        let expression = target["expr"].as_str().unwrap();
        let asked = expression.matches("ha_").count();
        assert_eq!(expression.matches("pair=~\"$pair\"").count(), asked, "{expression}");
    }
}
