//! What may befall a network: the kinds of trouble, and which of them leave one right answer.

use std::{fmt, time::Duration};

use ha_core::{Instant, Order};

use crate::{bounds, plan::Plan, prng::Prng, story::letter};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) from: Instant,
    /// Some faults may last: what is left of the network is healthy all the same.
    pub(crate) until: Option<Instant>,
    pub(crate) kind: FaultKind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FaultKind {
    /// So many frames of a hundred are lost.
    Loss(u64),
    /// Frames take up to so long, each its own time: later ones overtake earlier ones.
    Delay(Duration),
    /// So many frames of a hundred come twice.
    Duplicates(u64),
    /// What a router sends comes back to it.
    Loop {
        router: usize,
    },
    /// No frames between those whose bit is set and the others, on one LAN or on all.
    Split {
        side: u8,
        lan: Option<usize>,
    },
    /// No frames from one router to another, on all LANs.
    OneWay {
        from: usize,
        to: usize,
    },
    /// The daemon is stopped and started again, or killed and started again.
    Restart {
        router: usize,
        graceful: bool,
    },
    /// The daemon reads another configuration.
    Reload {
        router: usize,
    },
    /// The daemon gets no CPU: the kernel still stamps and keeps.
    Sleep {
        router: usize,
    },
    /// The host gets no CPU: frames to it are lost.
    Freeze {
        router: usize,
    },
    /// The ring is full: frames are stamped, their content is lost.
    RingFull {
        router: usize,
    },
    VitalDown {
        router: usize,
    },
    WeightedDown {
        router: usize,
    },
    /// No link, and nobody tracks it: the router is alone.
    LinkDown {
        router: usize,
    },
    /// No address to send from.
    NoSource {
        router: usize,
        instance: usize,
    },
    /// The kernel refuses the virtual addresses.
    Refuses {
        router: usize,
        instance: usize,
    },
    /// An operator has demoted all of a router.
    Demoted {
        router: usize,
    },
    /// An operator orders something else.
    Ordered {
        router: usize,
        instance: usize,
        order: Order,
    },
    /// Somebody removes the virtual addresses, once or whenever they are there.
    Stranger {
        router: usize,
        instance: usize,
        again: bool,
    },
}

impl FaultKind {
    pub(crate) fn draw(plan: &Plan, chance: &mut Prng) -> Self {
        let count = plan.routers.len();
        let router = chance.index(count);
        let instance = chance.index(plan.instances);
        let lan = chance.percent(50).then_some(instance);
        match chance.below(26) {
            0 => Self::Loss(10 + chance.below(90)),
            1 => Self::Delay(bounds::interval_max(plan) * 2),
            2 => Self::Duplicates(50),
            3 => Self::Split { side: 1 << router, lan },
            4 => {
                let all = (1_u64 << count) - 1;
                let side = 1 + chance.below(all - 1);
                Self::Split { side: u8::try_from(side).expect("a few routers"), lan }
            }
            5 => Self::OneWay { from: router, to: (router + 1 + chance.index(count - 1)) % count },
            6 => Self::Restart { router, graceful: true },
            7 => Self::Restart { router, graceful: false },
            8..=10 => Self::Sleep { router },
            11 => Self::Freeze { router },
            12 => Self::RingFull { router },
            13 => Self::VitalDown { router },
            14 => Self::WeightedDown { router },
            15 => Self::LinkDown { router },
            16 => Self::NoSource { router, instance },
            17 => Self::Refuses { router, instance },
            18 => Self::Stranger { router, instance, again: chance.percent(50) },
            19 => Self::Loop { router },
            20 | 21 => Self::Demoted { router },
            22 => {
                let order = chance.pick(&[Order::Promote, Order::Announce, Order::Reset]);
                Self::Ordered { router, instance, order }
            }
            _ => Self::Reload { router },
        }
    }

    /// Whether there is still exactly one right answer while it lasts.
    pub(crate) fn may_stay(self, plan: &Plan) -> bool {
        match self {
            // A group cannot be Master here and Backup there.
            Self::Split { lan, .. } => lan.is_none_or(|lan| plan.group_of(lan).count() == 1),
            Self::Loop { .. }
            | Self::VitalDown { .. }
            | Self::WeightedDown { .. }
            | Self::LinkDown { .. }
            | Self::NoSource { .. }
            | Self::Demoted { .. }
            | Self::Reload { .. } => true,
            Self::Loss(_)
            | Self::Delay(_)
            | Self::Duplicates(_)
            | Self::OneWay { .. }
            | Self::Restart { .. }
            | Self::Sleep { .. }
            | Self::Freeze { .. }
            | Self::RingFull { .. }
            // Nobody knows of it before the takeover: then the next one has to try.
            | Self::Refuses { .. }
            | Self::Ordered { .. }
            | Self::Stranger { .. } => false,
        }
    }

    /// Whether it is a tracker, and may come and go.
    pub(crate) fn may_flap(self) -> bool {
        matches!(self, Self::VitalDown { .. } | Self::WeightedDown { .. })
    }

    /// Whether frames get from one router to another on a LAN in spite of it.
    pub(crate) fn lets_through(self, from: usize, to: usize, on: usize) -> bool {
        match self {
            Self::Split { side, lan } => {
                let is_there = |router: usize| side >> router & 1 == 1;
                is_there(from) == is_there(to) || lan.is_some_and(|lan| lan != on)
            }
            Self::LinkDown { router } => router != from && router != to,
            Self::OneWay { from: mute, to: deaf } => mute != from || deaf != to,
            _ => true,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Loss(percent) => write!(formatter, "{percent} % of all frames are lost"),
            Self::Delay(longest) => write!(formatter, "frames take up to {longest:?}"),
            Self::Duplicates(percent) => write!(formatter, "{percent} % of all frames come twice"),
            Self::Loop { router } => write!(formatter, "{} hears itself", letter(router)),
            Self::Split { side, lan } => {
                let side: String = (0..8).filter(|bit| side >> bit & 1 == 1).map(letter).collect();
                match lan {
                    Some(lan) => {
                        write!(formatter, "LAN {lan} is cut between {side} and the others")
                    }
                    None => write!(formatter, "all LANs are cut between {side} and the others"),
                }
            }
            Self::OneWay { from, to } => {
                write!(formatter, "{} does not hear {}", letter(to), letter(from))
            }
            Self::Restart { router, graceful } => {
                let how = if graceful { "stopped" } else { "killed" };
                write!(formatter, "{} is {how}, and started again", letter(router))
            }
            Self::Reload { router } => {
                write!(formatter, "{} reads another configuration", letter(router))
            }
            Self::Sleep { router } => write!(formatter, "{}'s daemon sleeps", letter(router)),
            Self::Freeze { router } => write!(formatter, "{}'s host sleeps", letter(router)),
            Self::RingFull { router } => write!(formatter, "{}'s ring is full", letter(router)),
            Self::VitalDown { router } => {
                write!(formatter, "{}'s tracker without weight is down", letter(router))
            }
            Self::WeightedDown { router } => {
                write!(formatter, "{}'s tracker with weight is down", letter(router))
            }
            Self::LinkDown { router } => write!(formatter, "{} has no link", letter(router)),
            Self::NoSource { router, instance } => {
                write!(formatter, "{} has no address on LAN {instance}", letter(router))
            }
            Self::Refuses { router, instance } => write!(
                formatter,
                "{}'s kernel refuses the virtual addresses of LAN {instance}",
                letter(router)
            ),
            Self::Demoted { router } => write!(formatter, "{} is demoted", letter(router)),
            Self::Ordered { router, instance, order } => {
                write!(formatter, "{} is told to {order:?} instance {instance}", letter(router))
            }
            Self::Stranger { router, instance, again } => {
                let again = if again { ", again and again" } else { "" };
                let who = letter(router);
                write!(formatter, "somebody removes {who}'s addresses of LAN {instance}{again}")
            }
        }
    }
}
