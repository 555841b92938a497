//! What is in a mail: keepalived's words, as they are sent by version 2.2.7.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use ha_config::{Global, SmtpServer};
use ha_core::Event;
use lettre::{
    Message,
    message::{
        Mailbox, Mailboxes,
        header::{self, HeaderName, HeaderValue},
    },
};

/// The sockets' own limit is above zero.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// What all mails of a configuration have in common.
#[derive(Clone, Debug)]
pub(crate) struct Letterhead {
    pub(super) server: SmtpServer,
    /// Of each step of the way to it.
    pub(super) timeout: Duration,
    /// What this host calls itself when it greets the server.
    pub(super) hello: String,
    from: Mailbox,
    to: Mailboxes,
    router_id: String,
    no_faults: bool,
}

impl Letterhead {
    /// `None` if there is nobody to write to, or no server; `host` is this host's name. Addresses
    /// that are none are in `warnings`.
    pub(crate) fn new(global: &Global, host: &str, warnings: &mut Vec<String>) -> Option<Self> {
        let mail = &global.mail;
        let server = mail.server.clone()?;
        let mut mailbox = |text: &str| {
            let parsed = mailbox(text, host);
            if parsed.is_none() {
                warnings.push(format!(
                    "`{text}` is no mail address: not used; names with other than ASCII letters are \
                     to be written as xn--"
                ));
            }
            parsed
        };
        let to: Mailboxes = mail.to.iter().filter_map(|text| mailbox(text)).collect();
        let from = mailbox(mail.from.as_deref().unwrap_or("root"))?;
        let named = |name: &Option<String>| name.as_deref().unwrap_or(host).to_owned();
        let is_read = to.iter().next().is_some();
        is_read.then(|| Self {
            server,
            timeout: mail.connect_timeout.max(TIMEOUT_MIN),
            hello: named(&mail.helo_name),
            from,
            to,
            router_id: named(&global.router_id),
            no_faults: mail.no_faults,
        })
    }
}

/// A name alone is one of `host`.
fn mailbox(text: &str, host: &str) -> Option<Mailbox> {
    if text.contains('@') { text.parse() } else { format!("{text}@{host}").parse() }.ok()
}

/// Whom a mail is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum About<'a> {
    Instance(&'a str),
    Group(&'a str),
}

/// A mail about one transition.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) letterhead: Arc<Letterhead>,
    pub(super) subject: String,
    body: String,
    /// Since 1970, when it was written.
    at: Duration,
}

impl Letter {
    /// `None`: no mail is sent about it.
    pub(super) fn new(
        letterhead: &Arc<Letterhead>,
        about: About<'_>,
        event: Event,
        at: Duration,
    ) -> Option<Self> {
        let is_told = match event {
            Event::Master | Event::Backup => true,
            Event::Fault => !letterhead.no_faults,
            // keepalived has no mails about these.
            Event::Stop | Event::Deleted | Event::LowerMaster => false,
        };
        let router_id = &letterhead.router_id;
        let (whose, body) = match about {
            About::Instance(name) => {
                let owns = if event == Event::Master { "now" } else { "no longer" };
                (format!("Instance {name}"), format!("VRRP Instance is {owns} owning VRRP VIPs"))
            }
            About::Group(name) => {
                let body = format!("All VRRP group instances are now in {event} state");
                (format!("Group {name}"), body)
            }
        };
        is_told.then(|| Self {
            letterhead: Arc::clone(letterhead),
            subject: format!("[{router_id}] VRRP {whose} - Entering {event} state"),
            // The end of the mail begins a line, so an empty one is before it, as in keepalived's.
            body: format!("=> {body} <=\r\n"),
            at,
        })
    }

    pub(super) fn message(&self) -> Result<Message, lettre::error::Error> {
        let Letterhead { from, to, .. } = &*self.letterhead;
        let agent = HeaderName::new_from_ascii_str("X-Mailer");
        Message::builder()
            .date(SystemTime::UNIX_EPOCH + self.at)
            .from(from.clone())
            .subject(&self.subject)
            .raw_header(HeaderValue::new(agent, "ha-userspace".to_owned()))
            .mailbox(header::To::from(to.clone()))
            // RFC 3834 §5: no machine is to answer it.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .body(self.body.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_secs(1_000_000_000);

    fn letterhead(lines: &str) -> (Option<Arc<Letterhead>>, Vec<String>) {
        let parsed = ha_config::parse("x", &format!("global_defs {{\n{lines}\n}}\n"));
        let mut warnings = Vec::new();
        let letterhead = Letterhead::new(&parsed.config.global, "vm", &mut warnings);
        (letterhead.map(Arc::new), warnings)
    }

    fn mail(lines: &str, about: About<'_>, event: Event) -> Option<String> {
        let letterhead = letterhead(lines).0?;
        let letter = Letter::new(&letterhead, about, event, AT)?;
        Some(String::from_utf8(letter.message().unwrap().formatted()).unwrap())
    }

    const VI_1: About<'_> = About::Instance("VI_1");
    const TO: &str = "smtp_server 192.0.2.25\nnotification_email {\n ops@example.net\n noc\n}";

    #[test]
    fn mails_are_keepalived_s() {
        // What keepalived 2.2.7 sends, but for its name and what is after the recipients.
        let expected = "Date: Sun, 09 Sep 2001 01:46:40 +0000\r\nFrom: root@vm\r\n\
            Subject: [vm] VRRP Instance VI_1 - Entering MASTER state\r\nX-Mailer: ha-userspace\r\n\
            To: ops@example.net, noc@vm\r\nAuto-Submitted: auto-generated\r\n\
            Content-Transfer-Encoding: 7bit\r\n\r\n=> VRRP Instance is now owning VRRP VIPs <=\r\n";
        assert_eq!(mail(TO, VI_1, Event::Master).unwrap(), expected);
        let group = mail(TO, About::Group("VG_1"), Event::Fault).unwrap();
        assert!(group.contains("\r\nSubject: [vm] VRRP Group VG_1 - Entering FAULT state\r\n"));
        assert!(
            group.ends_with("\r\n\r\n=> All VRRP group instances are now in FAULT state <=\r\n")
        );
        assert_eq!(mail(TO, VI_1, Event::Stop), None);
    }

    #[test]
    fn what_the_file_says_is_used() {
        let lines = format!(
            "{TO}\nrouter_id NODE_A\nnotification_email_from ha@example.net\n\
             smtp_helo_name a.example.net\nno_email_faults\n"
        );
        let backup = mail(&lines, VI_1, Event::Backup).unwrap();
        assert!(backup.contains("\r\nFrom: ha@example.net\r\nSubject: [NODE_A] VRRP"), "{backup}");
        assert_eq!(mail(&lines, VI_1, Event::Fault), None);
        assert_eq!(letterhead(&lines).0.unwrap().hello, "a.example.net");
    }

    #[test]
    fn without_server_or_reader_there_is_none() {
        assert!(letterhead("smtp_server 192.0.2.25").0.is_none());
        assert!(letterhead("notification_email {\n ops@example.net\n}").0.is_none());
        let (none, warnings) = letterhead("smtp_server x\nnotification_email {\n a@b@c\n}");
        assert!(none.is_none());
        assert!(warnings[0].starts_with("`a@b@c` is no mail address"), "{warnings:?}");
    }

    #[test]
    fn a_name_cannot_write_headers() {
        let about = About::Instance("VI\r\nBcc: all@example.net\r\n");
        let text = mail(TO, about, Event::Master).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
    }
}
