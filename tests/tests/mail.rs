//! Mails on transitions, at a real SMTP server. keepalived is the oracle: it and our daemon go through
//! the same story.
#![expect(clippy::expect_used, reason = "a test reports by panicking, in its helpers too")]

use core::time::Duration;
use std::{
    collections::BTreeSet,
    fs,
    io::{self, BufRead as _, Write as _},
    net::{SocketAddr, TcpListener},
};

use ha_tests::{
    config::Dialect,
    scene::{Make, SOON, Scene},
    smtp::{SmtpServer, require_smtp_server},
    tempdir::TempDir,
    wait,
};

const ROUTER: usize = 0;
/// Another router, which does not run: a scene of one is none.
const OTHER: usize = 1;
const PORT: &str = "8025";
/// More than the first pause between two tries.
const TRIED_AGAIN: Duration = Duration::from_mins(1);

/// A router with two further instances in a group, and a mail server on its host.
struct Stage {
    server: Option<SmtpServer>,
    directory: TempDir,
    scene: Scene,
}

/// What a mail says, without what must differ from run to run.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Mail {
    /// All headers but those of `DIFFERENT`, and `Date` without its moment.
    headers: BTreeSet<(String, String)>,
    body: String,
}

/// Headers that are known to differ from keepalived's.
const DIFFERENT: [&str; 4] = [
    // Who has sent it.
    "X-Mailer",
    // RFC 3834: no machine answers it. keepalived does not say so.
    "Auto-Submitted",
    // RFC 2045: keepalived leaves out that it is plain ASCII.
    "Content-Transfer-Encoding",
    // The server's note of who was connected.
    "X-Peer",
];

impl Stage {
    fn new(make: Make) -> Option<Self> {
        if !require_smtp_server() {
            return None;
        }
        let scene = Scene::new(Dialect::V3Multicast, &[(make, 150), (make, 100)])?;
        scene.namespace(ROUTER).ip("link set lo up");
        Some(Self { server: None, directory: TempDir::new("mail"), scene })
    }

    fn start_server(&mut self) {
        self.server = Some(SmtpServer::start(self.scene.namespace(ROUTER), address()));
    }

    fn config(&self, globals: &str) -> String {
        let defs = format!(
            "global_defs {{\n router_id NODE_A\n notification_email {{\n  ops@example.net\n  \
             noc@example.net\n }}\n notification_email_from ha@example.net\n \
             smtp_server 127.0.0.1 {PORT}\n smtp_helo_name node-a.example.net\n {globals}\n}}\n"
        );
        let member = |name: &str, vrid: u8, more: &str| {
            format!(
                "vrrp_instance {name} {{\n interface bond0\n virtual_router_id {vrid}\n version 3\n \
                 advert_int 0.2\n virtual_ipaddress {{\n  192.0.2.{vrid}\n }}\n {more}\n}}\n"
            )
        };
        [
            defs,
            "vrrp_sync_group VG_1 {\n group {\n  VG_A\n  VG_B\n }\n}\n".to_owned(),
            member("VG_A", 41, ""),
            member("VG_B", 42, "smtp_alert off"),
            self.scene.config(ROUTER, ""),
        ]
        .concat()
    }

    fn mails(&self) -> Vec<Mail> {
        let texts = self.server.as_ref().map(SmtpServer::mails).unwrap_or_default();
        let mut mails: Vec<Mail> = texts.iter().map(|text| parse(text)).collect();
        mails.sort();
        mails
    }

    fn subjects(&self) -> Vec<String> {
        let subject = |mail: &Mail| {
            let found = mail.headers.iter().find(|(name, _)| name == "Subject");
            found.map(|(_, text)| text.clone()).expect("a subject")
        };
        let mut subjects: Vec<String> = self.mails().iter().map(subject).collect();
        subjects.sort();
        subjects
    }

    fn await_mails(&self, count: usize) {
        let come = wait::holds_within(SOON, || self.mails().len() >= count);
        assert!(come, "{:#?}{}", self.subjects(), self.scene.logs());
    }
}

fn address() -> SocketAddr {
    format!("127.0.0.1:{PORT}").parse().expect("an address")
}

fn parse(text: &str) -> Mail {
    let text = text.replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").expect("headers and a body");
    let headers = head.replace("\n ", " ");
    let headers = headers.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.filter(|(name, _)| !DIFFERENT.contains(name)).map(|(name, value)| {
        let value = if name == "Date" { shape(value) } else { value.to_owned() };
        (name.to_owned(), value)
    });
    Mail { headers: headers.collect(), body: body.to_owned() }
}

/// Which of its characters are digits.
fn shape(date: &str) -> String {
    let (day, rest) = date.split_at(3);
    let month_is_there = rest.split(' ').nth(2).is_some_and(|month| month.len() == 3);
    assert!(day.chars().all(char::is_alphabetic) && month_is_there, "{date}");
    date.chars()
        .filter(|one| !one.is_alphabetic())
        .map(|one| if one.is_ascii_digit() { '0' } else { one })
        .collect()
}

/// All come up, lose their link, and get it again.
fn play(make: Make, globals: &str, mails: [usize; 2]) -> Option<Vec<Mail>> {
    let mut stage = Stage::new(make)?;
    stage.start_server();
    let config = stage.config(globals);
    stage.scene.launch(ROUTER, &config);
    let [up, down] = mails;
    stage.await_mails(up);
    stage.scene.namespace(ROUTER).ip("link set bond0 down");
    stage.await_mails(up + down);
    let mails = stage.mails();
    // keepalived has no mails about its end; ours would be here when it has ended.
    stage.scene.stop(ROUTER);
    assert_eq!(stage.mails(), mails);
    Some(mails)
}

fn compare(globals: &str, mails: [usize; 2]) {
    let Some(theirs) = play(Make::Keepalived, globals, mails) else { return };
    let Some(ours) = play(Make::Ours, globals, mails) else { return };
    assert_eq!(ours, theirs);
}

#[test]
fn mails_are_those_of_keepalived() {
    // Of the group, of VG_A and of the scene's own instance: BACKUP and MASTER, then FAULT.
    compare("smtp_alert", [6, 3]);
}

#[test]
fn faults_may_be_left_out_and_vrrp_asked_for_alone() {
    compare("smtp_alert off\n smtp_alert_vrrp\n no_email_faults", [6, 0]);
}

#[test]
fn nobody_waits_for_a_server_that_hangs() {
    let Some(mut stage) = Stage::new(Make::Ours) else { return };
    // Takes connections, and says nothing.
    let server = stage.scene.namespace(ROUTER).run(|| TcpListener::bind(address()));
    let server = server.expect("a port");
    let told = stage.directory.path().join("told");
    let more = format!("notify \"/bin/sh -c 'echo $3 >>{}' -\" root", told.display());
    let config = stage.config("smtp_alert\n smtp_connect_timeout 30");
    let config =
        config.replacen("vrrp_instance VG_A {", &format!("vrrp_instance VG_A {{\n {more}"), 1);
    stage.scene.launch(ROUTER, &config);
    stage.scene.await_master(ROUTER);
    let both = || fs::read_to_string(&told).is_ok_and(|text| text == "BACKUP\nMASTER\n");
    wait::eventually(SOON, "the scripts' words", both);
    let status = stage.scene.status(ROUTER);
    assert_eq!((status.mails("sent"), status.mails("failed")), (0, 0));
    assert!(status.mails("waiting") >= 4, "those behind the first one wait");
    // Nor does its end, with a mail under way.
    stage.scene.stop(ROUTER);
    drop(server);
}

#[test]
fn a_server_that_comes_late_gets_all_of_them() {
    let Some(mut stage) = Stage::new(Make::Ours) else { return };
    let config = stage.config("smtp_alert");
    stage.scene.launch(ROUTER, &config);
    stage.scene.await_master(ROUTER);
    let failed = || stage.scene.status(ROUTER).mails("tries_failed") > 0;
    wait::eventually(SOON, "a try without a server", failed);
    stage.start_server();
    let all = wait::holds_within(TRIED_AGAIN, || stage.mails().len() == 6);
    assert!(all, "{:#?}{}", stage.subjects(), stage.scene.logs());
    let status = stage.scene.status(ROUTER);
    assert_eq!((status.mails("sent"), status.mails("failed"), status.mails("lost")), (6, 0, 0));
    assert_eq!(stage.scene.held(OTHER), 0);
}

/// Serves one client up to the middle of its mail, and is gone; says whether it came so far.
fn die_in_data(server: &TcpListener) -> io::Result<bool> {
    let (client, _) = server.accept()?;
    client.set_read_timeout(Some(SOON))?;
    let mut answers = client.try_clone()?;
    answers.write_all(b"220 mail.example.net\r\n")?;
    for line in io::BufReader::new(client).lines() {
        let line = line?;
        if line.starts_with("DATA") {
            answers.write_all(b"354 go on\r\n")?;
        } else if line.starts_with("Subject:") {
            return Ok(true);
        } else if ["EHLO", "HELO", "MAIL", "RCPT"].iter().any(|verb| line.starts_with(verb)) {
            answers.write_all(b"250 OK\r\n")?;
        }
    }
    Ok(false)
}

#[test]
fn a_server_that_dies_in_the_middle_of_a_mail_gets_each_once_when_it_is_back() {
    let Some(mut stage) = Stage::new(Make::Ours) else { return };
    let server = stage.scene.namespace(ROUTER).run(|| TcpListener::bind(address()));
    let server = server.expect("a port");
    let dies = std::thread::spawn(move || die_in_data(&server));
    let config = stage.config("smtp_alert");
    stage.scene.launch(ROUTER, &config);
    stage.scene.await_master(ROUTER);
    let failed = || stage.scene.status(ROUTER).mails("tries_failed") > 0;
    wait::eventually(SOON, "a try that was cut off", failed);
    let came_so_far = dies.join().expect("no panic").expect("a client");
    assert!(came_so_far, "no mail was begun: the test shows nothing");
    stage.start_server();
    let all = || stage.scene.status(ROUTER).mails("sent") == 6;
    assert!(wait::holds_within(TRIED_AGAIN, all), "{}", stage.scene.logs());
    let subjects = stage.subjects();
    assert_eq!(subjects.len(), 6, "{subjects:#?}");
    assert_eq!(subjects.iter().collect::<BTreeSet<_>>().len(), 6, "{subjects:#?}");
    let status = stage.scene.status(ROUTER);
    assert_eq!((status.mails("failed"), status.mails("lost")), (0, 0));
}

#[test]
fn a_mail_that_is_refused_for_good_is_not_tried_again() {
    let Some(mut stage) = Stage::new(Make::Ours) else { return };
    let server = SmtpServer::start_refusing(stage.scene.namespace(ROUTER), address());
    let config = stage.config("smtp_alert");
    stage.scene.launch(ROUTER, &config);
    stage.scene.await_master(ROUTER);
    let all = || stage.scene.status(ROUTER).mails("failed") == 6;
    assert!(wait::holds_within(SOON, all), "{}", stage.scene.logs());
    let status = stage.scene.status(ROUTER);
    assert_eq!((status.mails("sent"), status.mails("tries_failed")), (0, 6));
    let logs = stage.scene.logs();
    assert!(logs.contains("mail not sent: ") && logs.contains("127.0.0.1 port 8025: "), "{logs}");
    assert!(server.mails().is_empty());
}
