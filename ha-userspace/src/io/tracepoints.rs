//! Events of processes from BPF programs at the kernel's tracepoints, which know whom to tell of.

use std::{
    collections::BTreeSet,
    fs, io,
    mem::offset_of,
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{HashMap as BpfHashMap, MapData, PerCpuArray, RingBuf},
    programs::RawTracePoint,
};
use ha_common::abi::process::{self, names};
use tokio::{io::unix::AsyncFd, time::timeout};

use super::{
    btf::Btf,
    object::{self, refused, take},
    sys,
};
use crate::watch::Event;

/// The programs as `cargo xtask build` made them; empty if built without.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ha-process"));

/// `PROC_PID_INIT_INO` (`linux/proc_ns.h`): the programs know processes by their numbers there.
const INITIAL_NAMESPACE: &str = "pid:[4026531836]";
/// The kernel's wake-up is a hint: so often it is looked without one.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The attached programs; dropped, they are gone.
pub(crate) struct Tracepoints {
    _ebpf: Ebpf,
    wake_up: AsyncFd<OwnedFd>,
    ring: RingBuf<MapData>,
    watched: BpfHashMap<MapData, u32, u32>,
    names: Keys<process::Name>,
    commands: Keys<process::Command>,
    lost: PerCpuArray<MapData, u64>,
    /// So many events were lost when that was noticed last.
    noticed: u64,
}

impl Tracepoints {
    /// Loads and attaches the programs. Only inside a tokio runtime.
    ///
    /// # Errors
    /// One sentence for the operator: not built in, not permitted, or not of use here.
    pub(crate) fn attach() -> io::Result<Self> {
        if OBJECT.is_empty() {
            return Err(io::Error::other(
                "the programs are not in this binary: build it with `cargo xtask build`",
            ));
        }
        // Whoever cannot read it does not read `/proc` either.
        let namespace = fs::read_link("/proc/self/ns/pid")?;
        if namespace.as_os_str() != INITIAL_NAMESPACE {
            return Err(io::Error::other(
                "in a container, processes have other numbers than for the programs",
            ));
        }
        let btf = Btf::of_kernel()?;
        let mut offsets = Vec::new();
        for (global, structure, field) in names::OFFSETS {
            offsets.push((global, btf.offset(structure, field)?));
        }
        drop(btf);
        let mut loader = EbpfLoader::new();
        // The programs have no relocations.
        loader.btf(None);
        for (global, offset) in &offsets {
            loader.override_global(global, offset, true);
        }
        let mut ebpf = loader.load(OBJECT).map_err(|error| refused(WHAT, &error))?;
        for (name, tracepoint) in names::PROGRAMS {
            let program: Option<&mut RawTracePoint> =
                ebpf.program_mut(name).and_then(|program| program.try_into().ok());
            let program = program
                .ok_or_else(|| io::Error::other(format!("this binary has no program {name}")))?;
            object::load(WHAT, || program.load())?;
            program.attach(tracepoint).map_err(|error| refused(WHAT, &error))?;
        }
        let ring = RingBuf::try_from(take(&mut ebpf, names::EVENTS)?).map_err(io::Error::other)?;
        Ok(Self {
            wake_up: sys::register(ring.as_fd().try_clone_to_owned()?)?,
            ring,
            watched: BpfHashMap::try_from(take(&mut ebpf, names::WATCHED)?)
                .map_err(io::Error::other)?,
            names: Keys::take(&mut ebpf, names::NAMES)?,
            commands: Keys::take(&mut ebpf, names::COMMANDS)?,
            lost: PerCpuArray::try_from(take(&mut ebpf, names::LOST)?).map_err(io::Error::other)?,
            noticed: 0,
            _ebpf: ebpf,
        })
    }

    /// Has processes told that begin to have one of these names, or begin with one of these
    /// commands.
    pub(crate) fn look_for<'a>(
        &mut self,
        names: impl Iterator<Item = &'a [u8]>,
        commands: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        self.names.set(names.map(process::key).collect())?;
        self.commands.set(commands.map(process::key).collect())
    }

    /// Has the forks and the end of a process told.
    pub(crate) fn hold(&mut self, pid: u32) -> io::Result<()> {
        self.watched.insert(pid, 1, 0).map_err(io::Error::other)
    }

    /// Nothing more is told of it.
    pub(crate) fn release(&mut self, pid: u32) {
        // What is not there has ended.
        drop(self.watched.remove(&pid));
    }

    /// All that is told of.
    pub(crate) fn held(&self) -> Vec<u32> {
        self.watched.keys().flatten().collect()
    }

    /// What has happened since, at most `limit` events.
    ///
    /// # Errors
    /// Some are missing, and why.
    pub(crate) async fn events(&mut self, limit: usize) -> io::Result<Vec<Event>> {
        let mut events = Vec::new();
        while events.is_empty() {
            let mut guard = timeout(LOOK_EVERY, self.wake_up.readable()).await.ok().transpose()?;
            while events.len() < limit {
                let Some(record) = self.ring.next() else {
                    if let Some(guard) = &mut guard {
                        guard.clear_ready();
                    }
                    break;
                };
                events.extend(decode(&record));
            }
            let lost = self.lost.get(&0, 0).map_err(io::Error::other)?;
            let lost = lost.iter().fold(0_u64, |sum, one| sum.wrapping_add(*one));
            if lost != self.noticed {
                let count = lost.wrapping_sub(self.noticed);
                self.noticed = lost;
                let text = format!("{count} events of processes had no room");
                return Err(io::Error::other(text));
            }
        }
        Ok(events)
    }
}

impl std::fmt::Debug for Tracepoints {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tracepoints")
            .field("noticed", &self.noticed)
            .finish_non_exhaustive()
    }
}

const WHAT: &str =
    "the programs that tell of processes (they need Linux 5.8, CAP_BPF and CAP_PERFMON)";

/// `None` for a record that is not of the programs' making; there is none.
fn decode(record: &[u8]) -> Option<Event> {
    let number = |offset: usize| -> Option<u32> {
        Some(u32::from_ne_bytes(*record.get(offset..)?.first_chunk()?))
    };
    let pid = number(offset_of!(process::Event, pid))?;
    match number(offset_of!(process::Event, kind))? {
        process::FORKED => {
            Some(Event::Fork { parent: number(offset_of!(process::Event, other))?, child: pid })
        }
        process::CHANGED => Some(Event::Exec { pid }),
        process::ENDED => Some(Event::Exit { pid }),
        _ => None,
    }
}

/// A table of which only the keys matter.
struct Keys<K: Pod + Ord> {
    map: BpfHashMap<MapData, K, u32>,
    written: BTreeSet<K>,
}

impl<K: Pod + Ord> Keys<K> {
    fn take(ebpf: &mut Ebpf, name: &str) -> io::Result<Self> {
        let map = BpfHashMap::try_from(take(ebpf, name)?).map_err(io::Error::other)?;
        Ok(Self { map, written: BTreeSet::new() })
    }

    fn set(&mut self, wanted: BTreeSet<K>) -> io::Result<()> {
        for gone in self.written.difference(&wanted) {
            self.map.remove(gone).map_err(io::Error::other)?;
        }
        for new in wanted.difference(&self.written) {
            self.map.insert(new, 1, 0).map_err(io::Error::other)?;
        }
        self.written = wanted;
        Ok(())
    }
}
