//! keepalived.conf to a model: pure text in, plain data and diagnostics out.
//!
//! No I/O, no clock, no panic on any input. Parsing never stops at the first fault.

mod build;
mod diagnostic;
mod effective;
mod escape;
mod keywords;
mod lexer;
mod model;
mod sink;
mod source;
mod suggest;
mod tree;
mod value;
mod white;

use std::collections::BTreeSet;

pub use self::{
    diagnostic::{Counts, Diagnostic, Place, Severity},
    effective::{effective, route_text, rule_text, scope_text, statics_text},
    model::{
        Address, Authentication, Clock, ClockLook, Command, Config, Fifo, Firewall, Garp, Global,
        Hook, Hop, Identity, InitFile, InitialState, Instance, InterfaceDelays, Lifecycle,
        Lifetime, MAIN_TABLE, Mail, Mark, MulticastGroups, Network, Notify, NtpServer, PROTOCOL,
        Pacing, Password, PathMetric, PathSetting, Peer, Process, ProcessMatch, RestartLimit,
        Route, RouteKind, RouterPreference, Rule, RuleAction, Scope, Script, ScriptUser, Setting,
        SmtpServer, Static, Statics, SyncGroup, TrackClock, TrackFile, TrackGroup, TrackInterface,
        TrackProcess, TrackScript, TrackUnit, TrackedFile, Transport, Unit, Weight,
    },
    source::Host,
};

/// A configuration and what is wrong with it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Parsed {
    /// What could be understood.
    pub config: Config,
    /// Errors and warnings in the order of the file, of each the first thousand found.
    pub diagnostics: Vec<Diagnostic>,
    /// How many there are.
    pub counts: Counts,
}

/// What `keyword` of keepalived.conf takes, its default and what becomes of it, for each block that
/// has it.
///
/// # Errors
/// There is none of this name; the nearest one, if one is near.
pub fn explain(keyword: &str) -> Result<String, Option<&'static str>> {
    keywords::explain(keyword)
}

/// Every keyword of keepalived.conf, whatever becomes of it, once and in the order of their letters.
#[must_use]
pub fn keywords() -> BTreeSet<&'static str> {
    keywords::names()
}

/// Every keyword of keepalived.conf and what becomes of it, as Markdown: `docs/keywords.md`.
#[must_use]
pub fn keywords_page() -> String {
    keywords::page()
}

/// Reads `text`; `name` is its file, for the diagnostics. It is a host without other files and
/// environment: see [`parse_with`].
#[must_use]
pub fn parse(name: &str, text: &str) -> Parsed {
    parse_with(name, text, &source::Nowhere)
}

/// Reads `text` and the files that it includes; `name` is its file, for the diagnostics.
///
/// A script or an instance with an error is left out of the configuration; everything else is
/// kept, so whether to run with what is left is the caller's decision.
#[must_use]
pub fn parse_with(name: &str, text: &str, host: &dyn Host) -> Parsed {
    let mut sink = sink::Sink::default();
    let tokens = source::read(name, text, host, &mut sink);
    let statements = tree::parse(tokens, &mut sink);
    build::build(&statements, sink)
}
