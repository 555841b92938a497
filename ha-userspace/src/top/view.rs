//! What `top` draws: made for 80 columns and 24 lines, and for more of both.

use ratatui::{
    Frame,
    layout::{Constraint, Layout},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Cell, Paragraph, Row, Table},
};
use serde_json::Value;

use super::{Shown, text};
use crate::control::{GOOD, list};

/// Interfaces get at most so many lines.
const INTERFACES_MAX: usize = 6;
const FAINT: Style = Style::new().add_modifier(Modifier::DIM);

pub(super) fn draw(frame: &mut Frame<'_>, shown: &Shown) {
    let interfaces = list(&shown.status, "interfaces");
    let below = interfaces.len().min(INTERFACES_MAX).saturating_add(2);
    let below = Constraint::Length(u16::try_from(below).unwrap_or(u16::MAX));
    let parts = [Constraint::Length(2), Constraint::Min(3), below, Constraint::Length(1)];
    let [head, above, below, foot] = Layout::vertical(parts).areas(frame.area());
    frame.render_widget(heading(shown), head);
    frame.render_widget(instances(shown), above);
    frame.render_widget(table_of_interfaces(interfaces), below);
    frame.render_widget(footing(shown), foot);
}

fn heading(shown: &Shown) -> Paragraph<'_> {
    let count = |state| shown.instances().iter().filter(|one| text(one, "state") == state).count();
    let states = ["MASTER", "BACKUP", "FAULT", "INIT"];
    let counts = states.map(|state| (state, count(state)));
    let some = counts.into_iter().filter(|(_, count)| *count > 0);
    let words: Vec<String> = some.map(|(state, count)| format!("{count} {state}")).collect();
    let name = Span::styled("ha-userspace ", Style::new().add_modifier(Modifier::BOLD));
    let scheduling = Line::styled(text(&shown.status, "scheduling"), FAINT);
    Paragraph::new(vec![Line::from(vec![name, Span::raw(words.join(", "))]), scheduling])
}

fn instances(shown: &Shown) -> Table<'_> {
    let heads = ["INSTANCE", "STATE", "PRIO", "MASTER", "HEARD", "ADVERTS/S"];
    let rows = shown.instances().iter().skip(shown.top).map(|one| instance(shown, one));
    let widths = [
        Constraint::Fill(2),
        Constraint::Length(6),
        Constraint::Length(4),
        Constraint::Fill(3),
        Constraint::Length(8),
        Constraint::Length(24),
    ];
    Table::new(rows, widths).header(Row::new(heads).style(FAINT))
}

fn instance<'a>(shown: &'a Shown, one: &'a Value) -> Row<'a> {
    let (name, state) = (text(one, "name"), text(one, "state"));
    let priority = one.get("priority").and_then(Value::as_u64);
    let priority = priority.map_or(String::new(), |priority| priority.to_string());
    let master = match (state, one.pointer("/master/address").and_then(Value::as_str)) {
        ("MASTER", _) => "this router",
        (_, address) => address.unwrap_or("-"),
    };
    let heard = one.get("heard_ago_ms").and_then(Value::as_f64);
    let rate = shown.trends.rate(name).map_or(String::new(), |rate| format!("{rate:.0} "));
    let style = Style::new().fg(colour(state));
    Row::new([
        Cell::from(name),
        Cell::from(state).style(style.add_modifier(Modifier::BOLD)),
        Cell::from(priority),
        Cell::from(master),
        Cell::from(heard.map_or("-".to_owned(), ago)),
        Cell::from(format!("{rate:>6}{}", shown.trends.bars(name))).style(style),
    ])
}

/// Milliseconds, as short as they are read.
fn ago(millis: f64) -> String {
    if millis < 1e3 { format!("{millis:.0} ms") } else { format!("{:.1} s", millis / 1e3) }
}

const fn colour(state: &str) -> Color {
    match state.as_bytes() {
        b"MASTER" => Color::Green,
        b"BACKUP" => Color::Blue,
        b"FAULT" => Color::Red,
        _ => Color::Yellow,
    }
}

fn table_of_interfaces(interfaces: &[Value]) -> Table<'_> {
    let rows = interfaces.iter().take(INTERFACES_MAX).map(|one| {
        let is_up = one.get("is_up").and_then(Value::as_bool) == Some(true);
        let link = if is_up {
            Cell::from("up")
        } else {
            Cell::from("down").style(Style::new().fg(Color::Red))
        };
        let xdp = match text(one, "xdp") {
            "off" => "sockets",
            mode => mode,
        };
        Row::new([Cell::from(text(one, "name")), link, Cell::from(xdp), Cell::from(frames(one))])
    });
    let widths =
        [Constraint::Length(15), Constraint::Length(4), Constraint::Length(7), Constraint::Fill(1)];
    let heads = ["INTERFACE", "LINK", "XDP", "FRAMES"];
    Table::new(rows, widths).header(Row::new(heads).style(FAINT))
}

/// Good ones, and what was dropped for which reason, most first.
fn frames(interface: &Value) -> String {
    let counters = interface.get("counters").and_then(Value::as_object);
    let counters = counters.into_iter().flatten();
    let counted = counters.filter_map(|(name, count)| Some((name.as_str(), count.as_u64()?)));
    let (good, mut bad): (Vec<_>, Vec<_>) =
        counted.filter(|(_, count)| *count > 0).partition(|(name, _)| GOOD.contains(name));
    bad.sort_unstable_by_key(|(_, count)| core::cmp::Reverse(*count));
    let words = good.into_iter().chain(bad).map(|(name, count)| format!("{name} {count}"));
    words.collect::<Vec<_>>().join(", ")
}

fn footing(shown: &Shown) -> Line<'_> {
    match &shown.trouble {
        Some(trouble) => Line::styled(trouble.as_str(), Style::new().fg(Color::Red)),
        None => Line::styled("q ends, up and down move the list", FAINT),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};
    use serde_json::json;

    use super::*;

    fn lines(shown: &Shown, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, shown)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(|y| row(y).trim_end().to_owned()).collect()
    }

    fn status(at: u64, sent: u64) -> Value {
        json!({
            "at_nanos": at, "scheduling": "SCHED_DEADLINE, 2 ms in every 5 ms",
            "instances": [
                { "name": "VI_1", "state": "MASTER", "priority": 100, "master": null,
                    "heard_ago_ms": null, "statistics": { "adverts_sent": sent } },
                { "name": "VI_2", "state": "BACKUP", "priority": 90,
                    "master": { "address": "198.51.100.11" }, "heard_ago_ms": 12.4,
                    "statistics": { "adverts_received": 7 } },
            ],
            "interfaces": [{ "name": "bond0", "is_up": false, "xdp": "native",
                "counters": { "accepted": 5, "absorbed": 0, "ttl": 1, "checksum": 9 } }],
        })
    }

    #[test]
    fn eighty_columns_and_24_lines_hold_it() {
        let mut shown = Shown::default();
        shown.take(status(1_000_000_000, 10));
        shown.take(status(2_000_000_000, 20));
        let lines = lines(&shown, 80, 24);
        assert_eq!(lines[0], "ha-userspace 1 MASTER, 1 BACKUP");
        assert_eq!(lines[1], "SCHED_DEADLINE, 2 ms in every 5 ms");
        let words: Vec<&str> = lines[3].split_whitespace().collect();
        assert_eq!(words, ["VI_1", "MASTER", "100", "this", "router", "-", "10", "█"]);
        let words: Vec<&str> = lines[4].split_whitespace().collect();
        assert_eq!(words, ["VI_2", "BACKUP", "90", "198.51.100.11", "12", "ms", "0", "▁"]);
        assert!(
            lines.iter().any(|line| {
                line == "bond0           down native  accepted 5, checksum 9, ttl 1"
            })
        );
        assert_eq!(lines[23], "q ends, up and down move the list");
    }

    #[test]
    fn a_small_terminal_and_an_empty_status_are_drawn_too() {
        for (width, height) in [(1, 1), (10, 3), (80, 24), (300, 100)] {
            lines(&Shown::default(), width, height);
            let mut shown = Shown { top: 7, ..Shown::default() };
            shown.take(status(1, 1));
            lines(&shown, width, height);
        }
    }

    #[test]
    fn what_is_wrong_is_said_below() {
        let shown = Shown { trouble: Some("the daemon has ended".to_owned()), ..Shown::default() };
        assert_eq!(lines(&shown, 80, 24)[23], "the daemon has ended");
    }
}
