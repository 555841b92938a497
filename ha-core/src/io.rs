//! What goes into the engine and what comes out: the two closed lists.
//!
//! An [`Action`] states what is wanted, so that repeating one is harmless. An action that failed
//! comes back as an [`Input`].

use core::{fmt, net::IpAddr, time::Duration};

use crate::{
    GroupId, InstanceId, Instant, Order, TrackerId, Verdict,
    wire::{DecodeError, Dialect},
};

/// Something that happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Input<'a> {
    /// Everything is in place: instances may leave Init as soon as what they depend on is known.
    Start,
    /// A frame that passed all checks that need no state.
    Advertisement(Received<'a>),
    /// Advertisements came that nobody has read, because they said what a Backup expects to hear
    /// again ([`crate::Engine::expectation`]).
    ///
    /// It is the same as if each had been handled. What they said is what was expected last, also
    /// where nothing is expected any more.
    Heard {
        /// Whose.
        instance: InstanceId,
        /// When the last one of them reached the host, by the kernel's stamp.
        at: Instant,
        /// How many.
        count: u32,
    },
    /// The earliest timer may have been reached: [`crate::Engine::next_deadline`] says which.
    Deadline {
        /// If a takeover is to be decided: the kernel's stamp of the last valid frame, read now.
        ///
        /// A frame stamped before the deadline prevents the takeover, even if its content is
        /// still on its way or was lost in a full ring: then the daemon was late, not the peer.
        heard: Option<Instant>,
    },
    /// A tracked thing was looked at, for the first time or again.
    Tracker {
        /// Which.
        tracker: TrackerId,
        /// How it is.
        verdict: Verdict,
    },
    /// The address that the instance sends from was found, has changed, or is gone.
    Source {
        /// Whose.
        instance: InstanceId,
        /// Primary address, link-local address or `unicast_src_ip`; `None`: there is none.
        address: Option<IpAddr>,
    },
    /// The last [`Action::Addresses`] could not be carried out, or now can be again.
    AddressesUsable {
        /// Whose.
        instance: InstanceId,
        /// Whether the addresses can be set.
        usable: bool,
    },
    /// An address that was set for a Master is not on its interface any more, and it was not this
    /// daemon that removed it.
    AddressesMissing {
        /// Whose.
        instance: InstanceId,
    },
    /// An operator wants something of an instance and its sync group.
    Order {
        /// Whose.
        instance: InstanceId,
        /// What.
        order: Order,
    },
    /// The daemon stops: release everything, tell the peers.
    Shutdown,
}

/// A received advertisement and what is known of its way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Received<'a> {
    /// Whose.
    pub instance: InstanceId,
    /// When the frame reached the host: the kernel's stamp, not the moment of reading.
    pub at: Instant,
    /// Sender.
    pub source: IpAddr,
    /// The VRRP message.
    pub message: &'a [u8],
}

/// Something to be done, in the order given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Send one advertisement (to every peer, where there are unicast peers).
    Advertise {
        /// Whose.
        instance: InstanceId,
        /// Effective priority; 0: the Master stops.
        priority: u8,
    },
    /// The virtual addresses are wanted on the interface, or not.
    Addresses {
        /// Whose.
        instance: InstanceId,
        /// Wanted or not.
        present: bool,
    },
    /// Send gratuitous ARP or unsolicited NA for each address.
    Announce {
        /// Whose.
        instance: InstanceId,
        /// How often each address is announced in this round.
        repeat: u32,
    },
    /// The instance has changed its state.
    Transition(Transition),
    /// Tell the operator's scripts.
    Notify(Notify),
    /// The effective priority has changed.
    Priority {
        /// Whose.
        instance: InstanceId,
        /// Before.
        from: u8,
        /// Now.
        to: u8,
    },
    /// A frame was refused; nothing else has changed.
    Rejected {
        /// Whose.
        instance: InstanceId,
        /// Sender.
        source: IpAddr,
        /// Why.
        reason: Rejection,
    },
    /// A valid advertisement shows something that the operator should know; nothing is refused.
    Noticed {
        /// Whose.
        instance: InstanceId,
        /// Sender.
        source: IpAddr,
        /// What.
        notice: Notice,
    },
    /// Somebody removed virtual addresses of a Master: they are set again after `wait`.
    Restoring {
        /// Whose.
        instance: InstanceId,
        /// How often in a row this has happened, this time included.
        times: u32,
        /// Zero the first time, then longer and longer.
        wait: Duration,
    },
    /// The daemon was late, and holds back until it has listened for one interval.
    Late {
        /// Whose.
        instance: InstanceId,
        /// How long after its deadline the instance got to act.
        by: Duration,
    },
}

/// State of an instance (RFC 9568 §6.4; Fault is keepalived's).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum State {
    /// Not started, or what it depends on is not known yet.
    Init,
    /// Another router is Master.
    Backup,
    /// This router owns the addresses.
    Master,
    /// Something the instance depends on has failed.
    Fault,
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Init => "INIT",
            Self::Backup => "BACKUP",
            Self::Master => "MASTER",
            Self::Fault => "FAULT",
        })
    }
}

/// A change of state and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transition {
    /// Whose.
    pub instance: InstanceId,
    /// Before.
    pub from: State,
    /// Now.
    pub to: State,
    /// Why.
    pub cause: Cause,
}

/// Why an instance changed its state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// Everything it depends on is there.
    Ready,
    /// No acceptable advertisement came for the whole `Master_Down_Interval`.
    MasterDown {
        /// The last acceptable one, if there ever was one.
        heard: Option<Instant>,
        /// When the interval ended.
        deadline: Instant,
    },
    /// The Master said that it stops (priority 0).
    MasterStopped,
    /// The Master has a lower priority, and preemption is on.
    Preempt,
    /// A better router is Master.
    BetterMaster {
        /// Who.
        source: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// This daemon was late, and somebody else had become Master meanwhile.
    Late {
        /// Who.
        source: IpAddr,
    },
    /// A tracked thing failed.
    TrackerDown(TrackerId),
    /// There is no address to send from.
    NoSource,
    /// The virtual addresses could not be set.
    AddressesFailed,
    /// Somebody kept removing the virtual addresses.
    AddressesRemoved,
    /// An operator has given mastership away.
    Demoted,
    /// An operator wanted it, and the Master has a lower priority.
    Promoted,
    /// Another member of the sync group moved.
    Group(InstanceId),
    /// The daemon stops.
    Shutdown,
    /// Another configuration, with which it could not go on as it was.
    Reload,
}

/// What a notify script is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subject {
    /// One virtual router.
    Instance(InstanceId),
    /// A sync group.
    Group(GroupId),
}

/// One notification, as keepalived's scripts know them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Notify {
    /// About whom.
    pub subject: Subject,
    /// What to.
    pub event: Event,
    /// Effective priority; 0 for a group.
    pub priority: u8,
}

/// What keepalived's notify scripts are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// `notify_master`.
    Master,
    /// `notify_backup`.
    Backup,
    /// `notify_fault`.
    Fault,
    /// `notify_stop`.
    Stop,
    /// `notify_deleted`: a reload has left the instance out.
    Deleted,
    /// `notify_master_rx_lower_pri`: a Master has heard another one that has to yield to it. Told at
    /// most once each half interval.
    LowerMaster,
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Master => "MASTER",
            Self::Backup => "BACKUP",
            Self::Fault => "FAULT",
            Self::Stop => "STOP",
            Self::Deleted => "DELETED",
            Self::LowerMaster => "MASTER_RX_LOWER_PRI",
        })
    }
}

/// Why the engine refused a frame that the stateless checks had accepted.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Rejection {
    /// Not an advertisement of this virtual router.
    Malformed(DecodeError),
    /// Another virtual router's identifier.
    Vrid,
    /// `VRRPv2`: another interval than configured (RFC 3768 §7.1).
    Interval,
    /// Sent from our own address.
    OwnSource,
    /// We own the addresses, and hear nobody (RFC 9568 §7.1).
    Owner,
}

impl Rejection {
    /// Names for programs, by [`Rejection::kind`].
    pub const NAMES: [&'static str; 10] = [
        "length",
        "version",
        "type",
        "vrid_0",
        "no_address",
        "interval_0",
        "vrid",
        "interval",
        "own_source",
        "owner",
    ];

    /// Which kind it is: an index into [`Rejection::NAMES`].
    #[must_use]
    pub const fn kind(self) -> usize {
        match self {
            Self::Malformed(DecodeError::Length) => 0,
            Self::Malformed(DecodeError::Version) => 1,
            Self::Malformed(DecodeError::Type) => 2,
            Self::Malformed(DecodeError::Vrid) => 3,
            Self::Malformed(DecodeError::Count) => 4,
            Self::Malformed(DecodeError::Interval) => 5,
            Self::Vrid => 6,
            Self::Interval => 7,
            Self::OwnSource => 8,
            Self::Owner => 9,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(formatter),
            Self::Vrid => formatter.write_str("another virtual router identifier"),
            Self::Interval => formatter.write_str("another advertisement interval than ours"),
            Self::OwnSource => formatter.write_str("sent from our own address"),
            Self::Owner => formatter.write_str("the address owner ignores advertisements"),
        }
    }
}

/// What a valid advertisement shows that its receiver's operator should know.
///
/// Each is told once of a sender, and again when it has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Notice {
    /// `VRRPv3`: advertised at another interval than ours (V-7.1-7).
    Interval(Duration),
    /// Lists other addresses than ours (V-7.1-8).
    Addresses,
    /// `VRRPv3` over IPv4: what its checksums cover; told of everybody.
    Checksum(Dialect),
    /// Claims priority 255, as we do (V-8.3.2).
    SecondOwner,
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interval(theirs) => {
                let ms = theirs.as_millis();
                write!(formatter, "advertises every {ms} ms, which is not our advert_int")
            }
            Self::Addresses => formatter.write_str("advertises other virtual addresses than ours"),
            Self::Checksum(dialect) => write!(formatter, "computes checksums {dialect}"),
            Self::SecondOwner => {
                formatter.write_str("claims to own the addresses too (priority 255)")
            }
        }
    }
}

/// The actions of one step, in order. Kept and emptied by the caller, so that steps do not allocate.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Actions(Vec<Action>);

impl Actions {
    /// The actions, in the order in which they are to be carried out.
    #[must_use]
    pub fn as_slice(&self) -> &[Action] {
        &self.0
    }

    /// Forgets all actions, keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Keeps memory for `count` actions, or for those that there are.
    pub fn shrink_to(&mut self, count: usize) {
        self.0.shrink_to(count);
    }

    pub(crate) fn push(&mut self, action: Action) {
        self.0.push(action);
    }
}
