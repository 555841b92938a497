//! `top` in a real terminal of 80 columns and 24 lines.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;
use std::{
    env,
    process::{self, Command},
};

use ha_tests::{alone::Alone, pair::Side, process::Program, reference, require, wait};

const SOON: Duration = Duration::from_secs(30);

/// A terminal of the test's own; it ends on drop.
struct Terminal(String);

impl Terminal {
    fn open(command: &str) -> Self {
        let terminal = Self(format!("ha-top-{}", process::id()));
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x80", "-y24", command]);
        terminal
    }

    fn tmux(&self, words: &[&str]) -> Option<String> {
        let output = Command::new("tmux").args(["-L", &self.0]).args(words).output();
        let output = output.expect("tmux");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What it shows, while it is there.
    fn screen(&self) -> Option<String> {
        self.tmux(&["capture-pane", "-p"])
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn a_terminal_shows_the_master_and_q_ends_it() {
    if !require::require_daemon() || !require::require_tools(&[("tmux", "tmux")]) {
        return;
    }
    let mut router = Alone::start(Program::Daemon, &reference::config(Side::A), &[]);
    let binary = env::var("HA_BINARY").expect("HA_BINARY");
    let socket = router.router().directory().path().join("control.sock");
    wait::eventually(SOON, "a control socket", || socket.exists());
    let terminal = Terminal::open(&format!("{binary} top --socket {}", socket.display()));
    let is_shown = |words: &[&str]| {
        let screen = terminal.screen().unwrap_or_default();
        screen.lines().any(|line| {
            let shown: Vec<&str> = line.split_whitespace().collect();
            shown.starts_with(words)
        })
    };
    wait::eventually(SOON, "the Master", || is_shown(&["VI_1", "MASTER", "100", "this", "router"]));
    assert!(is_shown(&["bond0", "up"]), "{:?}", terminal.screen());
    terminal.tmux(&["send-keys", "q"]);
    wait::eventually(SOON, "its end", || terminal.screen().is_none());
}
