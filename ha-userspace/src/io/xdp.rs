//! The XDP program: loaded, given its tables, attached, and read.
//!
//! Links are file descriptors of this process: the kernel detaches the program when the process
//! ends, however it ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    mem::offset_of,
    net::IpAddr,
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
};

use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{HashMap as BpfHashMap, MapData, MapError, PerCpuHashMap, PerCpuValues, RingBuf},
    programs::{
        ProgramError, Xdp as XdpProgram, XdpMode,
        xdp::{XdpError, XdpLinkId},
    },
};
use ha_common::{
    abi::{
        self, ADDRESSES_MAX, AddressKey, AdvertHeader, Counters, INSTANCES_MAX, InstanceKey,
        InstanceRule, PEERS_MAX, PeerKey, PeerRule, names,
    },
    check::Reason,
};
use ha_core::{Family, InstanceId, Instant};
use tokio::io::unix::AsyncFd;

use crate::{
    cli::XdpChoice,
    io::{
        object::{self, chain, refused, take},
        refused::RefusedFrames,
        slots::Slots,
        sys,
        tables::{self, Keys, Tables},
    },
};

/// The program as `cargo xtask build` made it; empty if built without.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ha-ebpf"));

/// How an interface's frames are judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// In the driver.
    Native,
    /// In the kernel's network stack.
    Generic,
}

impl Mode {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

/// The loaded program and its maps.
pub(crate) struct Xdp {
    ebpf: Ebpf,
    addresses: BpfHashMap<MapData, AddressKey, u32>,
    instances: BpfHashMap<MapData, InstanceKey, InstanceRule>,
    peers: BpfHashMap<MapData, PeerKey, PeerRule>,
    counters: PerCpuHashMap<MapData, u32, Counters>,
    ring: RingBuf<MapData>,
    slots: Arc<Slots>,
    links: BTreeMap<u32, XdpLinkId>,
    /// What the maps hold, to write differences only.
    written: Tables,
    /// Values of an entry in a per-CPU map.
    cpus: usize,
}

impl Xdp {
    /// Loads the program, with a ring for so many instances; nothing is attached yet.
    ///
    /// # Errors
    /// One sentence for the operator: not built in, not permitted, or refused by the kernel.
    pub(crate) fn load(pass_unknown_vrids: bool, instances: u32) -> io::Result<Self> {
        if OBJECT.is_empty() {
            return Err(io::Error::other(
                "the XDP program is not in this binary: build it with `cargo xtask build`",
            ));
        }
        let pass = u32::from(pass_unknown_vrids);
        let mut ebpf = EbpfLoader::new()
            .override_global(names::UNKNOWN_VRID_PASS, &pass, true)
            .map_max_entries(names::RING, abi::ring_bytes(instances))
            .load(OBJECT)
            .map_err(|error| refused(WHAT, &error))?;
        let program = program(&mut ebpf)?;
        object::load(WHAT, || program.load())?;
        let slots = Arc::new(Slots::of_program(take(&mut ebpf, names::SLOTS)?, instances)?);
        let cpus = aya::util::nr_cpus().map_err(|(what, error)| {
            io::Error::new(error.kind(), format!("cannot count CPUs in {what}: {error}"))
        })?;
        Ok(Self {
            addresses: hash_map(&mut ebpf, names::ADDRESSES)?,
            instances: hash_map(&mut ebpf, names::INSTANCES)?,
            peers: hash_map(&mut ebpf, names::PEERS)?,
            counters: PerCpuHashMap::try_from(take(&mut ebpf, names::COUNTERS)?)
                .map_err(io::Error::other)?,
            ring: RingBuf::try_from(take(&mut ebpf, names::RING)?).map_err(io::Error::other)?,
            slots,
            links: BTreeMap::new(),
            written: Tables::default(),
            cpus,
            ebpf,
        })
    }

    /// What the program refuses, for the runtime this is called in: not the engine thread's. Once.
    pub(crate) fn refused(&mut self) -> io::Result<RefusedFrames> {
        RefusedFrames::new(take(&mut self.ebpf, names::REFUSED)?)
    }

    /// A descriptor that is readable when the ring is not empty. Only inside a tokio runtime.
    pub(crate) fn wake_up(&self) -> io::Result<AsyncFd<OwnedFd>> {
        sys::register(self.ring.as_fd().try_clone_to_owned()?)
    }

    /// Attaches the program to an interface as asked for.
    ///
    /// The driver of a bond's member would run the program under its own index, where nobody has
    /// an instance: on an aggregate only the network stack knows whose frame it is.
    ///
    /// # Errors
    /// Says why not; nothing is attached then.
    pub(crate) fn attach(
        &mut self,
        ifindex: u32,
        is_aggregate: bool,
        choice: XdpChoice,
    ) -> io::Result<Mode> {
        let modes: &[Mode] = match choice {
            XdpChoice::Native if is_aggregate => {
                return Err(io::Error::other(
                    "a bond or team has no native XDP of its own: take --xdp generic or auto",
                ));
            }
            XdpChoice::Auto if is_aggregate => &[Mode::Generic],
            XdpChoice::Auto => &[Mode::Native, Mode::Generic],
            XdpChoice::Native => &[Mode::Native],
            XdpChoice::Generic => &[Mode::Generic],
            XdpChoice::Off => &[],
        };
        let zero = Counters { frames: [0; abi::COUNTERS_LEN] };
        let zeros = PerCpuValues::try_from(vec![zero; self.cpus])?;
        self.counters.insert(ifindex, zeros, 0).map_err(io::Error::other)?;
        self.link(ifindex, modes).inspect_err(|_| {
            // There is room for a limited number of interfaces.
            self.counters.remove(&ifindex).ok();
        })
    }

    fn link(&mut self, ifindex: u32, modes: &[Mode]) -> io::Result<Mode> {
        let mut last = io::Error::other("XDP is off");
        for &mode in modes {
            let flags = match mode {
                Mode::Native => XdpMode::Driver,
                Mode::Generic => XdpMode::Skb,
            };
            match program(&mut self.ebpf)?.attach_to_if_index(ifindex, flags) {
                Ok(link) => {
                    self.links.insert(ifindex, link);
                    return Ok(mode);
                }
                Err(error) => last = not_attached(&error),
            }
            if last.kind() == io::ErrorKind::ResourceBusy {
                break;
            }
        }
        Err(last)
    }

    /// Detaches the program from an interface; one that is gone has taken the link with it.
    pub(crate) fn detach(&mut self, ifindex: u32) {
        if let Some(link) = self.links.remove(&ifindex)
            && let Ok(program) = program(&mut self.ebpf)
        {
            // Nothing can be done about a failure, and the kernel detaches at the end anyway.
            drop(program.detach(link));
        }
        drop(self.counters.remove(&ifindex));
    }

    /// Makes the maps hold exactly `tables`; after a failure it may be called again.
    ///
    /// # Errors
    /// One sentence for the operator. Some of it may have been written.
    pub(crate) fn write(&mut self, tables: &Tables) -> io::Result<()> {
        let Tables { addresses, instances, peers } = &self.written;
        let keys = Keys {
            addresses: addresses.keys().chain(tables.addresses.keys()).copied().collect(),
            instances: instances.keys().chain(tables.instances.keys()).copied().collect(),
            peers: peers.keys().chain(tables.peers.keys()).copied().collect(),
        };
        self.write_changed(tables, &keys)
    }

    /// The same, where only what these keys are of may be different.
    ///
    /// # Errors
    /// As above: then [`Self::write`] is to be called.
    pub(crate) fn write_changed(&mut self, tables: &Tables, keys: &Keys) -> io::Result<()> {
        let Self { peers, instances, addresses, written, .. } = self;
        // What leads to a rule comes after it: no new frame meets an instance without its peers.
        write_map(peers, &mut written.peers, &tables.peers, &keys.peers)
            .map_err(|error| full("unicast peers", tables.peers.len(), PEERS_MAX, &error))?;
        write_map(instances, &mut written.instances, &tables.instances, &keys.instances)
            .map_err(|error| full("instances", tables.instances.len(), INSTANCES_MAX, &error))?;
        let what = "addresses of the interfaces that instances are on";
        write_map(addresses, &mut written.addresses, &tables.addresses, &keys.addresses)
            .map_err(|error| full(what, tables.addresses.len(), ADDRESSES_MAX, &error))
    }

    /// What the program stamps, and what it absorbs.
    pub(crate) fn slots(&self) -> Arc<Slots> {
        Arc::clone(&self.slots)
    }

    /// Hands every waiting record to `take`, at most `limit` of them; says whether it is empty now.
    pub(crate) fn drain(&mut self, limit: usize, mut take: impl FnMut(Advert<'_>)) -> bool {
        for _ in 0..limit {
            let Some(record) = self.ring.next() else { return true };
            if let Some(advert) = Advert::decode(&record) {
                take(advert);
            }
        }
        false
    }

    /// Frames of an interface by what became of them, all CPUs together.
    pub(crate) fn counters(&self, ifindex: u32) -> Vec<(&'static str, u64)> {
        let values = self.counters.get(&ifindex, 0).ok();
        let sum = |reason: Reason| -> u64 {
            let counts = values.iter().flat_map(|values| values.iter());
            counts.filter_map(|counters| counters.frames.get(reason.index())).sum()
        };
        Reason::ALL.iter().map(|reason| (reason.name(), sum(*reason))).collect()
    }
}

/// A record of the ring: what the engine needs of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advert<'a> {
    pub(crate) instance: InstanceId,
    /// The interface it came in by.
    pub(crate) ifindex: u32,
    pub(crate) at: Instant,
    pub(crate) source: IpAddr,
    pub(crate) message: &'a [u8],
}

impl<'a> Advert<'a> {
    /// `None` for a record that is not of the program's making; there is none.
    fn decode(record: &'a [u8]) -> Option<Self> {
        let (header, rest) = record.split_first_chunk::<{ size_of::<AdvertHeader>() }>()?;
        let message_len = u16::from_ne_bytes(field(header, offset_of!(AdvertHeader, message_len))?);
        let [family] = field(header, offset_of!(AdvertHeader, family))?;
        let family = if family == Family::V4.as_u8() { Family::V4 } else { Family::V6 };
        let slot = u32::from_ne_bytes(field(header, offset_of!(AdvertHeader, slot))?);
        let ifindex = u32::from_ne_bytes(field(header, offset_of!(AdvertHeader, ifindex))?);
        let stamp = u64::from_ne_bytes(field(header, offset_of!(AdvertHeader, stamp_nanos))?);
        Some(Self {
            instance: InstanceId(slot),
            ifindex,
            at: Instant::from_nanos(stamp),
            source: tables::address(family, field(header, offset_of!(AdvertHeader, source))?),
            message: rest.get(..usize::from(message_len))?,
        })
    }
}

fn field<const N: usize>(header: &[u8], offset: usize) -> Option<[u8; N]> {
    header.get(offset..)?.first_chunk().copied()
}

fn program(ebpf: &mut Ebpf) -> io::Result<&mut XdpProgram> {
    ebpf.program_mut(names::PROGRAM).and_then(|program| program.try_into().ok()).ok_or_else(|| {
        io::Error::other("the XDP program has another name than this binary expects")
    })
}

fn hash_map<K: Pod, V: Pod>(ebpf: &mut Ebpf, name: &str) -> io::Result<BpfHashMap<MapData, K, V>> {
    BpfHashMap::try_from(take(ebpf, name)?).map_err(io::Error::other)
}

fn write_map<K: Ord + Pod, V: PartialEq + Pod>(
    map: &mut BpfHashMap<MapData, K, V>,
    written: &mut BTreeMap<K, V>,
    wanted: &BTreeMap<K, V>,
    keys: &BTreeSet<K>,
) -> Result<(), MapError> {
    // Removals make room.
    for key in keys.iter().filter(|key| !wanted.contains_key(key)) {
        if written.contains_key(key) {
            map.remove(key)?;
            written.remove(key);
        }
    }
    for key in keys {
        if let Some(value) = wanted.get(key).filter(|value| written.get(key) != Some(value)) {
            map.insert(key, value, 0)?;
            written.insert(*key, *value);
        }
    }
    Ok(())
}

/// Why a table could not be written, which is to have so many entries.
fn full(what: &str, wanted: usize, most: u32, error: &MapError) -> io::Error {
    io::Error::other(format!(
        "the XDP program's table of {what} could not be written: it is to have {wanted} entries, of \
         {most} at most ({}): have fewer of them, or start with --xdp off",
        chain(error)
    ))
}

const WHAT: &str = "the XDP program (it needs Linux 5.18, CAP_BPF and CAP_NET_ADMIN)";

fn not_attached(error: &ProgramError) -> io::Error {
    let os_error = if let ProgramError::SyscallError(error) = error {
        error.io_error.raw_os_error()
    } else if let ProgramError::XdpError(XdpError::NetlinkError(error)) = error {
        error.raw_os_error()
    } else {
        None
    };
    match os_error {
        Some(libc::EBUSY | libc::EEXIST) => io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another XDP program is attached there: detach it (`ip link set IF xdp off`), or start \
             with --xdp off",
        ),
        _ => io::Error::other(chain(error)),
    }
}
