//! `top`: a terminal that shows how things are, again and again.
//!
//! The status comes from the daemon's control socket; nothing of it is decided here. [`trend`] remembers
//! what was, [`view`] draws.

mod trend;
mod view;

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
};
use serde_json::Value;

use self::trend::Trends;
use crate::{clock, control::list};

/// Between two questions.
const PERIOD: Duration = Duration::from_millis(500);

/// What is shown.
#[derive(Debug, Default)]
struct Shown {
    status: Value,
    trends: Trends,
    /// Why there is nothing newer.
    trouble: Option<String>,
    /// The first instance that is in sight.
    top: usize,
}

/// Shows what `ask` says until somebody presses q.
///
/// # Errors
/// One sentence: this is no terminal, or `ask` never had an answer.
pub(crate) fn run(ask: impl Fn() -> Result<Value, String>) -> Result<(), String> {
    if !io::stdout().is_terminal() {
        return Err("`top` needs a terminal: `status --json` is for programs".to_owned());
    }
    let mut shown = Shown::default();
    // Before the terminal is changed: who cannot ask is told so on a line.
    shown.take(ask()?);
    let mut terminal = ratatui::try_init().map_err(|error| format!("the terminal: {error}"))?;
    let ended = follow(&mut terminal, &mut shown, ask);
    ratatui::restore();
    ended.map_err(|error| format!("the terminal: {error}"))
}

fn follow(
    terminal: &mut DefaultTerminal,
    shown: &mut Shown,
    ask: impl Fn() -> Result<Value, String>,
) -> io::Result<()> {
    let mut asked = clock::now();
    loop {
        terminal.draw(|frame| view::draw(frame, shown))?;
        if event::poll(PERIOD.saturating_sub(clock::now().since(asked)))? {
            if let Event::Key(key) = event::read()?
                && key.kind == KeyEventKind::Press
            {
                let last = shown.instances().len().saturating_sub(1);
                match (key.code, key.modifiers) {
                    (KeyCode::Char('q') | KeyCode::Esc, _)
                    | (KeyCode::Char('c'), KeyModifiers::CONTROL) => return Ok(()),
                    (KeyCode::Down, _) => shown.top = shown.top.saturating_add(1).min(last),
                    (KeyCode::Up, _) => shown.top = shown.top.saturating_sub(1),
                    _ => {}
                }
            }
        } else {
            match ask() {
                Ok(status) => shown.take(status),
                Err(trouble) => shown.trouble = Some(trouble),
            }
            asked = clock::now();
        }
    }
}

impl Shown {
    fn take(&mut self, status: Value) {
        self.trends.take(&status);
        self.status = status;
        self.trouble = None;
        self.top = self.top.min(self.instances().len().saturating_sub(1));
    }

    fn instances(&self) -> &[Value] {
        list(&self.status, "instances")
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
