//! keepalived.conf to a model: pure text in, plain data and diagnostics out.
//!
//! No I/O, no clock, no panic on any input. Parsing never stops at the first fault.

mod build;
mod diagnostic;
mod keywords;
mod lexer;
mod model;
mod suggest;
mod tree;
mod value;

pub use self::{
    diagnostic::{Diagnostic, Severity, Span, render},
    model::{
        Address, Authentication, Command, Config, Firewall, Garp, Global, InitialState, Instance,
        Mail, Notify, Pacing, Password, Peer, Scope, Script, ScriptUser, Setting, SmtpServer,
        SyncGroup, TrackInterface, TrackScript, Transport, Weight,
    },
};

/// A configuration and what is wrong with it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Parsed {
    /// What could be understood.
    pub config: Config,
    /// Errors and warnings, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// What becomes of `keyword` of keepalived.conf, wherever it is known; `None` where it is not.
#[must_use]
pub fn explain(keyword: &str) -> Option<String> {
    keywords::explain(keyword)
}

/// Every keyword of keepalived.conf and what becomes of it, as Markdown: `docs/keywords.md`.
#[must_use]
pub fn keywords_page() -> String {
    keywords::page()
}

/// Reads `text`; `name` is its file, for the diagnostics.
///
/// A script or an instance with an error is left out of the configuration; everything else is
/// kept, so whether to run with what is left is the caller's decision.
#[must_use]
pub fn parse(name: &str, text: &str) -> Parsed {
    let mut sink = diagnostic::Sink::default();
    let tokens = lexer::tokenize(text, &mut sink);
    let items = tree::parse(&tokens, &mut sink);
    build::build(name, &items, sink)
}
