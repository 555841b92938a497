//! What is asked over the control socket and what is answered: one line of JSON each.
//!
//! ```json
//! {"version": 1, "request": "status"}
//! {"version": 1, "status": { … }}
//! ```
//! Nothing here reads or writes: `docs/status.md` has all of it.

use ha_core::Order;
use serde_json::{Value, json};

/// Of the lines; another one is refused.
pub(crate) const VERSION: u64 = 1;
/// A request with its line feed. Names of instances are the longest part of it.
pub(crate) const REQUEST_BYTES_MAX: usize = 4_096;

/// What is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Request {
    /// The document of `docs/status.md`.
    Status,
    /// All entries that are remembered.
    History,
    /// Read the configuration again.
    Reload,
    /// Something for an instance and its sync group; `name` is the one's or the other's.
    Order { order: Order, name: String, until_restart: bool },
}

/// Orders and what they are called.
pub(crate) const ORDERS: [(&str, Order); 4] = [
    ("demote", Order::Demote),
    ("promote", Order::Promote),
    ("announce", Order::Announce),
    ("reset", Order::Reset),
];

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    /// One sentence for whoever asked.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(line)
            .map_err(|error| format!("a request is one line of JSON: {error}"))?;
        match value.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(other) => {
                return Err(format!(
                    "version {other} is not spoken here, but {VERSION}: ask with the daemon's own \
                     ha-userspace"
                ));
            }
            None => return Err(format!("a request has `\"version\": {VERSION}`")),
        }
        match value.get("request").and_then(Value::as_str) {
            Some("status") => Ok(Self::Status),
            Some("history") => Ok(Self::History),
            Some("reload") => Ok(Self::Reload),
            Some(word) if ORDERS.iter().any(|(name, _)| *name == word) => read_order(word, &value),
            Some(other) => Err(format!("`{other}` is no request")),
            None => Err("a request has a member `request`".to_owned()),
        }
    }

    /// The line, with its line feed.
    pub(crate) fn line(&self) -> String {
        let name = self.name();
        let mut value = json!({ "version": VERSION, "request": name });
        if let (Self::Order { name, until_restart, .. }, Some(members)) =
            (self, value.as_object_mut())
        {
            members.insert("name".to_owned(), json!(name));
            members.insert("until_restart".to_owned(), json!(until_restart));
        }
        format!("{value}\n")
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::History => "history",
            Self::Reload => "reload",
            Self::Order { order, .. } => {
                ORDERS.iter().find(|(_, one)| one == order).map_or("", |(name, _)| name)
            }
        }
    }

    /// As somebody types it, in one line of a log whatever the name is.
    pub(crate) fn words(&self) -> String {
        let word = self.name();
        match self {
            Self::Order { name, until_restart, .. } => {
                let option = if *until_restart { " --until-restart" } else { "" };
                format!("{word} {}{option}", name.escape_debug())
            }
            Self::Status | Self::History | Self::Reload => word.to_owned(),
        }
    }

    /// Whether it changes something, which only root may.
    pub(crate) const fn is_change(&self) -> bool {
        match self {
            Self::Status | Self::History => false,
            Self::Reload | Self::Order { .. } => true,
        }
    }
}

fn read_order(word: &str, value: &Value) -> Result<Request, String> {
    let order = ORDERS.iter().find(|(name, _)| *name == word).map(|(_, order)| *order);
    let name = value.get("name").and_then(Value::as_str);
    let (Some(order), Some(name)) = (order, name) else {
        return Err(format!("`{word}` has a member `name`: of an instance or a sync group"));
    };
    // A mistake must not become another order.
    let until_restart = match value.get("until_restart") {
        None => false,
        Some(Value::Bool(until_restart)) => *until_restart,
        Some(_) => return Err("`until_restart` is true or false".to_owned()),
    };
    Ok(Request::Order { order, name: name.to_owned(), until_restart })
}

/// The line that says that it is done, and what came of it.
pub(crate) fn done(sentence: &str) -> String {
    format!("{}\n", json!({ "version": VERSION, "done": sentence }))
}

/// The line that says why there is no answer.
pub(crate) fn refusal(sentence: &str) -> String {
    format!("{}\n", json!({ "version": VERSION, "error": sentence }))
}

/// What is in the member `name` of an answer.
///
/// # Errors
/// What the daemon said instead, or that this is no answer.
pub(crate) fn parse_answer(line: &[u8], name: &str) -> Result<Value, String> {
    let mut value: Value = serde_json::from_slice(line)
        .map_err(|error| format!("the daemon's answer is not whole: {error}"))?;
    if let Some(sentence) = value.get("error").and_then(Value::as_str) {
        return Err(sentence.to_owned());
    }
    let member = value.get_mut(name).map(Value::take);
    member.ok_or_else(|| format!("the daemon's answer has no `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_are_written() {
        let check = |request: Request| {
            let line = request.line();
            assert!(line.ends_with('\n') && line.len() < REQUEST_BYTES_MAX);
            assert_eq!(Request::parse(line.as_bytes()), Ok(request));
        };
        check(Request::Status);
        check(Request::History);
        check(Request::Reload);
        for (_, order) in ORDERS {
            check(Request::Order { order, name: "VI \"1\"".to_owned(), until_restart: true });
        }
    }

    #[test]
    fn what_is_no_request_is_said() {
        let refused = |line: &str| Request::parse(line.as_bytes()).unwrap_err();
        assert!(refused("\u{0}").contains("one line of JSON"));
        assert!(refused("[]").contains("\"version\": 1"));
        assert!(refused(r#"{"version": 2, "request": "status"}"#).contains("version 2"));
        assert!(refused(r#"{"version": 1}"#).contains("`request`"));
        assert!(refused(r#"{"version": 1, "request": "dance"}"#).contains("`dance`"));
        assert!(refused(r#"{"version": 1, "request": "demote"}"#).contains("`name`"));
        let order = r#"{"version": 1, "request": "demote", "name": "x", "until_restart": 1}"#;
        assert!(refused(order).contains("true or false"));
        let deep = "[".repeat(REQUEST_BYTES_MAX);
        assert!(refused(&deep).contains("recursion"));
    }

    #[test]
    fn an_error_is_what_the_daemon_says() {
        let line = refusal("not \"now\"");
        assert_eq!(parse_answer(line.as_bytes(), "status"), Err("not \"now\"".to_owned()));
        let answer = parse_answer(br#"{"version":1,"status":{"a":1}}"#, "status");
        assert_eq!(answer, Ok(json!({ "a": 1 })));
        assert!(parse_answer(b"{\"version\":1,", "status").is_err());
    }
}
