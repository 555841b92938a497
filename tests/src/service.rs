//! A service of the test's own: a program under a name by which a router looks for it.

use std::{
    io::Write as _,
    os::unix::fs::symlink,
    path::PathBuf,
    process::{self, Child, Command, Stdio},
};

use crate::tempdir::TempDir;

/// A program under another name.
#[derive(Debug)]
pub struct Service {
    name: String,
    directory: TempDir,
}

/// A running process of it; killed and reaped on drop.
#[derive(Debug)]
pub struct Running(Child);

impl Service {
    /// `program` under a name that no other process of the host has; `letter` is the test's own.
    pub fn new(program: &str, letter: char) -> Self {
        Self::called(program, format!("ha{letter}{}", process::id()))
    }

    /// `program` as `name`, of at most 15 bytes, as the kernel keeps no more.
    pub fn called(program: &str, name: String) -> Self {
        let directory = TempDir::new("service");
        // Not a copy: a process that another test starts meanwhile would hold it open for writing.
        symlink(program, directory.path().join(&name)).expect("a directory of our own");
        Self { name, directory }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The command by which it is started.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    /// The block that tracks it as `svc`, with `more` lines.
    pub fn block(&self, weight: u8, more: &str) -> String {
        let name = &self.name;
        format!(
            "vrrp_track_process svc {{\n    process {name}\n    weight {weight}\n    {more}\n}}\n"
        )
    }

    /// Runs it with these words.
    pub fn start(&self, words: &[&str]) -> Running {
        let mut command = Command::new(self.path());
        command.args(words).stdin(Stdio::piped());
        Running(command.spawn().expect("a program of our own"))
    }
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Writes a line to its standard input.
    pub fn go(&mut self) {
        let input = self.0.stdin.as_mut().expect("a pipe");
        input.write_all(b"\n").expect("a reader");
    }

    /// Whether it has ended of itself.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("a child of ours").is_some()
    }

    pub fn end(self) {
        drop(self);
    }

    /// By SIGKILL; it is reaped, too.
    pub fn kill(&mut self) {
        // A child that has ended already is still ours to reap.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
