//! `--record FILE`: what the engine was given, when, and what it decided, as a story
//! (`ha_core::story`) that `replay` runs again.
//!
//! The engine thread hands copies to a thread of their own, and never waits for it: inputs that do
//! not fit into the queue are counted, and the record says where they are missing. Nothing is
//! recorded, copied or started without the option.

mod tap;

use std::{
    convert::Infallible,
    ffi::OsString,
    fmt::Display,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, ErrorKind, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, TryRecvError},
    },
    thread,
    time::Duration,
};

use ha_core::{
    Instant,
    story::{Names, Writer},
};
use tracing::{info, warn};

pub(crate) use self::tap::Tap;
use self::tap::{Entry, Next, Step};
use crate::{
    clock,
    plan::{Plan, TrackerPlan},
};

/// Then recording stops: two months of one virtual router at a second, half a day at 10 ms.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Inputs on their way to the file: a change of an interface makes one of each instance on it. A
/// hundred bytes each, and its message.
const WAITING_MAX: usize = 16_384;
/// The writing of the last ones is waited for as long.
const LAST_INPUTS: Duration = Duration::from_secs(2);
/// By this a file is known as a record.
const FIRST_LINE: &str = "# Record of ha-userspace: `ha-userspace replay` runs it again.";

/// The record of this daemon, over all its engines. Dropping it waits until the file is written, but
/// not for ever; the engines have ended then.
pub(crate) struct Recorder {
    /// `None` once recording has stopped. A thread holds it as long as its engine runs: the next
    /// one's waits.
    file: Arc<Mutex<Option<RecordFile>>>,
    /// Held by each thread: nobody sends, but all of them end.
    running: Option<mpsc::Sender<Infallible>>,
    has_ended: mpsc::Receiver<Infallible>,
}

impl Recorder {
    /// Makes the file. A record that is there gets the name `FILE.old`.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let named = |error: io::Error| {
            let text = format!("cannot record to {}: {error}", path.display());
            io::Error::new(error.kind(), text)
        };
        let mut file = RecordFile::create(path).map_err(named)?;
        file.line(FIRST_LINE).map_err(named)?;
        let (running, has_ended) = mpsc::channel();
        Ok(Self { file: Arc::new(Mutex::new(Some(file))), running: Some(running), has_ended })
    }

    /// Begins the story of an engine that is about to be started with `plan`.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start(&self, plan: &Plan) -> io::Result<Tap> {
        let writer = Writer::new(names(plan), clock::now());
        let (title, config) = (title(), writer.config(&plan.engine).to_string());
        let head = format!("{title}\nrecorded\n{config}");
        let (queue, entries) = mpsc::sync_channel(WAITING_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let tap = Tap::new(queue, Arc::clone(&lost));
        let (file, running) = (Arc::clone(&self.file), self.running.clone());
        thread::Builder::new().name("ha-record".to_owned()).spawn(move || {
            let _running = running;
            // Poisoned: one of these threads has panicked, and the file is not to be trusted.
            let Ok(mut file) = file.lock() else { return };
            let Some(open) = file.as_mut() else { return };
            if let Err(error) = open.take_all(&head, writer, &entries, &lost) {
                warn!("{}: recording has stopped: {error}", open.path.display());
                *file = None;
            }
        })?;
        Ok(tap)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.running = None;
        if self.has_ended.recv_timeout(LAST_INPUTS) == Err(mpsc::RecvTimeoutError::Timeout) {
            warn!("the end of the record is missing: it could not be written in time");
        }
    }
}

/// The open file.
#[derive(Debug)]
struct RecordFile {
    path: PathBuf,
    file: BufWriter<File>,
    bytes_left: u64,
}

impl RecordFile {
    fn create(path: &Path) -> io::Result<Self> {
        if let Some(old) = find_record(path)? {
            fs::rename(path, old)?;
        }
        // Not through a symbolic link: whatever is there by now is an error.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let file = BufWriter::new(file);
        Ok(Self { path: path.to_owned(), file, bytes_left: FILE_BYTES_MAX })
    }

    /// Writes the story of one engine, to its end.
    fn take_all(
        &mut self,
        head: &str,
        mut writer: Writer,
        entries: &mpsc::Receiver<Entry>,
        lost: &AtomicU64,
    ) -> io::Result<()> {
        self.line(head.trim_end())?;
        let (mut lost_before, mut now) = (0, Instant::default());
        // Written, and not gone on with yet.
        let mut next: Option<Box<Next>> = None;
        while let Some(Entry { lost, at, step, actions, reloads, next: new }) =
            self.next(entries)?
        {
            self.say_lost(&writer, at, lost - lost_before)?;
            (lost_before, now) = (lost, at);
            // A reload's own entry may be among the lost ones: it is made up for at the first after it.
            for new in [None, new] {
                if let Some(new) = new {
                    let renamed = writer.clone().renamed(new.names.clone());
                    self.line(renamed.next(&new.reload).to_string().trim_end())?;
                    next = Some(new);
                }
                if let Some(done) = next.take_if(|next| next.number <= reloads) {
                    self.line(writer.reload(at))?;
                    writer = writer.renamed(done.names);
                }
            }
            match step {
                Step::Input(input) => self.line(writer.input(at, &input.as_input()))?,
                Step::StopFor => self.line(writer.stop_for(at))?,
                Step::Reload => {}
            }
            for action in &actions {
                self.line(writer.action(at, action))?;
            }
        }
        self.say_lost(&writer, now, lost.load(Ordering::Relaxed) - lost_before)?;
        self.file.flush()
    }

    /// The next entry; what is written goes to the file when there is none yet.
    fn next(&mut self, entries: &mpsc::Receiver<Entry>) -> io::Result<Option<Entry>> {
        match entries.try_recv() {
            Ok(entry) => Ok(Some(entry)),
            Err(TryRecvError::Disconnected) => Ok(None),
            Err(TryRecvError::Empty) => {
                self.file.flush()?;
                Ok(entries.recv().ok())
            }
        }
    }

    fn say_lost(&mut self, writer: &Writer, at: Instant, count: u64) -> io::Result<()> {
        if count == 0 { Ok(()) } else { self.line(writer.lost(at, count)) }
    }

    fn line(&mut self, line: impl Display) -> io::Result<()> {
        let text = format!("{line}\n");
        let left = u64::try_from(text.len()).ok().and_then(|len| self.bytes_left.checked_sub(len));
        let Some(left) = left else {
            self.file.flush()?;
            let mib = FILE_BYTES_MAX >> 20;
            return Err(io::Error::other(format!("the file has reached its limit of {mib} MiB")));
        };
        self.bytes_left = left;
        self.file.write_all(text.as_bytes())
    }
}

/// A record that is at `path`, and the name that it gets to make room.
fn find_record(path: &Path) -> io::Result<Option<OsString>> {
    let about = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut begin = Vec::new();
    if about.is_file() {
        let len = u64::try_from(FIRST_LINE.len()).unwrap_or(u64::MAX);
        File::open(path)?.take(len).read_to_end(&mut begin)?;
    }
    // It may be named by mistake.
    if begin != FIRST_LINE.as_bytes() {
        return Err(io::Error::other("it is there already, and is no record: name another file"));
    }
    let mut old = OsString::from(path);
    old.push(".old");
    info!("the record before is {} now", old.display());
    Ok(Some(old))
}

fn title() -> String {
    let (version, now) = (env!("CARGO_PKG_VERSION"), clock::since_epoch().as_secs_f64());
    format!("--- ha-userspace {version}; time 0 is {now:.3} (date --date=@{now:.3})")
}

fn names(plan: &Plan) -> Names {
    let instance = |number| plan.instances.get(number).map(|instance| instance.name.as_str());
    let tracker = |number| plan.trackers.get(number).map(TrackerPlan::name);
    Names::new(
        (0..plan.instances.count()).map(instance),
        plan.groups.iter().map(|group| Some(group.name.as_str())),
        (0..plan.trackers.count()).map(tracker),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use ha_core::{
        Input, InstanceId, Received, Reload, TrackerId, Verdict,
        story::{Told, play},
        wire::{Authentication, ChecksumScope, Template},
    };

    use super::*;
    use crate::{engine::decide::Decider, io::slots::Slots};

    const TEXT: &str = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 1\n version 2\n \
        authentication {\n auth_type PASS\n auth_pass secret88\n }\n \
        virtual_ipaddress {\n 192.0.2.1\n }\n}\n";

    /// A directory of this test, removed at its end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("ha-record-{}-{name}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn plan() -> Plan {
        plan_of(TEXT)
    }

    fn plan_of(text: &str) -> Plan {
        Plan::new(&ha_config::parse("x", text).config, &[]).0
    }

    fn decider(plan: &Plan, recorder: &Recorder) -> Decider {
        let slots = Arc::new(Slots::new().unwrap());
        Decider::new(plan.engine.clone(), slots, true, Some(recorder.start(plan).unwrap()))
    }

    fn replay(text: &str) -> Vec<String> {
        let mut told_of = Vec::new();
        play(text, &mut |told| match told {
            Told::Line(_) | Told::Decision(_) => {}
            Told::Difference(difference) => told_of.push(difference.to_string()),
            Told::Lost { count, .. } => told_of.push(format!("{count} lost")),
        })
        .unwrap();
        told_of
    }

    #[test]
    fn what_is_recorded_is_decided_again_and_has_no_password() {
        let scratch = Scratch::new("again");
        let path = scratch.0.join("record");
        let recorder = Recorder::create(&path).unwrap();
        let plan = plan();
        let template = &plan.instances.get(0).unwrap().template;
        assert_eq!(template.authentication, Authentication::Pass(*b"secret88"));
        let message = Template::encode(template, 200, ChecksumScope::Message);
        assert!(message.ends_with(b"secret88"));
        for _ in 0..2 {
            let mut decider = decider(&plan, &recorder);
            let now = clock::now();
            let (instance, source) = (InstanceId(0), "192.0.2.10".parse().unwrap());
            decider.handle(now, Input::Source { instance, address: Some(source) });
            decider.handle(now, Input::Tracker { tracker: TrackerId(0), verdict: Verdict::Up });
            decider.handle(now, Input::Start);
            let source = "192.0.2.11".parse().unwrap();
            let received = Received { instance, at: now, source, message: &message };
            decider.handle(now, Input::Advertisement(received));
            let deadline = decider.next_deadline().unwrap();
            decider.handle(deadline.at, Input::Deadline { heard: None });
            decider.handle(deadline.at, Input::Shutdown);
        }
        drop(recorder);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("---").count(), 2);
        assert_eq!(text.matches("VI_1 BACKUP -> MASTER").count(), 2, "{text}");
        assert_eq!(text.matches("0000000000000000\n").count(), 2, "{text}");
        assert!(!text.contains(&b"secret88".map(|byte| format!("{byte:02x}")).concat()));
        assert_eq!(replay(&text), Vec::<String>::new());
    }

    #[test]
    fn a_reload_is_decided_again() {
        let scratch = Scratch::new("reload");
        let path = scratch.0.join("record");
        let recorder = Recorder::create(&path).unwrap();
        let before = plan();
        let other = TEXT.replace("VI_1", "VI_2").replace("id 1", "id 2");
        let mut decider = decider(&before, &recorder);
        let now = clock::now();
        let (instance, source) = (InstanceId(0), "192.0.2.10".parse().unwrap());
        decider.handle(now, Input::Source { instance, address: Some(source) });
        decider.handle(now, Input::Tracker { tracker: TrackerId(0), verdict: Verdict::Up });
        decider.handle(now, Input::Start);
        let deadline = decider.next_deadline().unwrap();
        decider.handle(deadline.at, Input::Deadline { heard: None });
        let mut running = before;
        // One more; the first one gone; its number another one's.
        for text in [TEXT.to_owned() + &other, other.clone(), other.replace("VI_2", "VI_3")] {
            let (plan, reload) = plan_of(&text).after(&running);
            decider.stop_for(deadline.at, &plan, &reload);
            decider.reload(deadline.at, reload);
            for (number, _) in plan.instances.numbered() {
                let instance = InstanceId(number);
                decider.handle(deadline.at, Input::Source { instance, address: Some(source) });
            }
            running = plan;
        }
        decider.handle(deadline.at, Input::Shutdown);
        drop(recorder);
        let text = fs::read_to_string(&path).unwrap();
        for (words, count) in [
            ("next\n", 3),
            (" stop_for\n", 3),
            (" reload\n", 3),
            ("retired #0", 1),
            ("VI_1 MASTER -> INIT (another configuration)", 1),
            ("VI_2 INIT -> BACKUP", 1),
            ("VI_2 BACKUP -> INIT (another configuration)", 1),
            ("VI_3 INIT -> BACKUP", 1),
            ("VI_3 BACKUP -> INIT (shutdown)", 1),
            ("DELETED", 2),
            ("STOP", 1),
            ("lost", 0),
        ] {
            assert_eq!(text.matches(words).count(), count, "{words} in\n{text}");
        }
        assert_eq!(replay(&text), Vec::<String>::new(), "{text}");
    }

    #[test]
    fn a_reload_that_finds_no_room_is_made_up_for() {
        let scratch = Scratch::new("no-room");
        let mut file = RecordFile::create(&scratch.0.join("record")).unwrap();
        let (queue, entries) = mpsc::sync_channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let mut tap = Tap::new(queue, Arc::clone(&lost));
        let (again, rest) = mpsc::sync_channel(16);
        let (plan, at) = (plan(), Instant::from_nanos);
        let reload = Reload { config: plan.engine.clone(), ..Reload::default() };
        let pass = || again.send(entries.recv().unwrap()).unwrap();
        tap.note(at(0), Input::Start, &[]);
        // Both are lost.
        tap.note_stop_for(at(1), &plan, &reload, &[]);
        tap.note_reload(at(1), &[]);
        pass();
        tap.note(at(2), Input::Start, &[]);
        pass();
        // The reload is, and the next one comes.
        tap.note_stop_for(at(3), &plan, &reload, &[]);
        tap.note_reload(at(3), &[]);
        pass();
        tap.note_stop_for(at(4), &plan, &reload, &[]);
        pass();
        tap.note_reload(at(4), &[]);
        pass();
        drop((tap, again));
        let writer = Writer::new(names(&plan), Instant::default());
        let head = format!("recorded\n{}", writer.config(&plan.engine));
        file.take_all(&head, writer.clone(), &rest, &lost).unwrap();
        let text = fs::read_to_string(scratch.0.join("record")).unwrap();
        let next = writer.next(&reload).to_string();
        let expected = head
            + "0ms start\n0.000002ms lost 2\n"
            + &next
            + "0.000002ms reload\n0.000002ms start\n"
            + &next
            + "0.000003ms stop_for\n0.000004ms lost 1\n0.000004ms reload\n"
            + &next
            + "0.000004ms stop_for\n0.000004ms reload\n";
        assert_eq!(text, expected);
        assert_eq!(replay(&text), ["2 lost", "1 lost"]);
    }

    #[test]
    fn what_does_not_fit_is_counted_where_it_is_missing() {
        let scratch = Scratch::new("lost");
        let path = scratch.0.join("record");
        let mut file = RecordFile::create(&path).unwrap();
        let (queue, entries) = mpsc::sync_channel(2);
        let lost = Arc::new(AtomicU64::new(0));
        let mut tap = Tap::new(queue, Arc::clone(&lost));
        let mut note = |nanos| tap.note(Instant::from_nanos(nanos), Input::Start, &[]);
        // The third and the fourth find no room; the fifth does.
        (1..=4).for_each(&mut note);
        let first = entries.recv().unwrap();
        note(5);
        (6..=8).for_each(&mut note);
        drop(tap);
        let (again, rest) = mpsc::sync_channel(4);
        again.send(first).unwrap();
        for entry in entries {
            again.send(entry).unwrap();
        }
        drop(again);
        file.take_all("recorded\n", Writer::default(), &rest, &lost).unwrap();
        let expected = "recorded\n0.000001ms start\n0.000002ms start\n0.000005ms lost 2\n\
                        0.000005ms start\n0.000005ms lost 3\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        assert_eq!(replay(expected), ["2 lost", "3 lost"]);
    }

    #[test]
    fn a_full_file_ends_the_record_and_nothing_else() {
        let scratch = Scratch::new("full");
        let path = scratch.0.join("record");
        let recorder = Recorder::create(&path).unwrap();
        recorder.file.lock().unwrap().as_mut().unwrap().bytes_left = 400;
        let plan = plan();
        let mut tap = recorder.start(&plan).unwrap();
        // Until the writer's end is seen here.
        while tap.queue.is_some() {
            tap.note(clock::now(), Input::Start, &[]);
        }
        // The next engine has no record either.
        let mut tap = recorder.start(&plan).unwrap();
        while tap.queue.is_some() {
            tap.note(clock::now(), Input::Start, &[]);
        }
        drop(recorder);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("start\n") && text.len() > 300, "{text}");
        assert_eq!(replay(&text), Vec::<String>::new());
    }

    #[test]
    fn only_a_record_makes_room() {
        let scratch = Scratch::new("room");
        let path = |name: &str| scratch.0.join(name);
        drop(Recorder::create(&path("record")).unwrap());
        drop(Recorder::create(&path("record")).unwrap());
        assert!(path("record.old").is_file());
        let refused = |name: &str| Recorder::create(&path(name)).err().unwrap().to_string();
        fs::write(path("keepalived.conf"), TEXT).unwrap();
        assert!(refused("keepalived.conf").ends_with("is no record: name another file"));
        assert_eq!(fs::read_to_string(path("keepalived.conf")).unwrap(), TEXT);
        symlink(path("record"), path("link")).unwrap();
        assert!(refused("link").ends_with("is no record: name another file"));
        symlink(path("nowhere"), path("dangling")).unwrap();
        assert!(refused("dangling").ends_with("is no record: name another file"));
        assert!(!path("nowhere").exists());
        assert!(refused("no/directory").starts_with("cannot record to"));
    }
}
