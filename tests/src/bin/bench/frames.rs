//! Frames that no router accepts, each for one reason, and those that every router accepts and that
//! change nothing: the captured advertisement of the Master, changed on purpose.

use core::fmt;

use ha_tests::{
    forge::{self, Cover, Layout},
    pair::Side,
};

use crate::duel::Duel;

/// What is wrong with a frame, if anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Bogus {
    UnknownVrid,
    Checksum,
    Ttl,
    Version,
    Type,
    Count,
    Length,
    Destination,
    OwnSource,
    Interval,
    /// Two valid advertisements of another router with the lowest priorities, in turn.
    LowPriorities,
}

impl Bogus {
    pub(crate) const ALL: [Self; 11] = [
        Self::UnknownVrid,
        Self::Checksum,
        Self::Ttl,
        Self::Version,
        Self::Type,
        Self::Count,
        Self::Length,
        Self::Destination,
        Self::OwnSource,
        Self::Interval,
        Self::LowPriorities,
    ];

    /// Frames of this kind, to be sent in turn, which look as if they came from the third host.
    pub(crate) fn frames(self, duel: &Duel) -> Vec<Vec<u8>> {
        let captured = duel.wire().advertisement(Side::A).expect("node A has advertised");
        let (node_a, third) = Duel::host_addresses();
        let changed = |change: &dyn Fn(&mut Vec<u8>, Layout)| {
            forge::changed(&captured.bytes, Cover::PseudoHeader, |frame, layout| {
                set(frame, 6, &[2, 0, 0, 0, 0, 3]);
                set(frame, layout.source().0, &third.octets());
                change(frame, layout);
            })
        };
        let frame = match self {
            // The VRIDs of the scenes are below.
            Self::UnknownVrid => changed(&|frame, layout| set(frame, layout.message + 1, &[255])),
            Self::Checksum => {
                let mut frame = changed(&|_, _| ());
                let at = Layout::of(&frame).message + 6;
                set(&mut frame, at, &[0xba, 0xad]);
                frame
            }
            Self::Ttl => changed(&|frame, layout| set(frame, layout.ttl(), &[254])),
            Self::Version => changed(&|frame, layout| set(frame, layout.message, &[0x71])),
            Self::Type => changed(&|frame, layout| set(frame, layout.message, &[0x3f])),
            Self::Count => changed(&|frame, layout| {
                set(frame, layout.message + 3, &[0]);
                frame.truncate(layout.message + 8);
            }),
            Self::Length => changed(&|frame, layout| frame.truncate(layout.message + 10)),
            Self::Destination => changed(&|frame, layout| {
                set(frame, layout.destination().0, &node_a.octets());
            }),
            Self::OwnSource => changed(&|frame, layout| {
                set(frame, layout.source().0, &node_a.octets());
            }),
            Self::Interval => changed(&|frame, layout| set(frame, layout.message + 4, &[0, 0])),
            Self::LowPriorities => {
                let of = |priority| {
                    changed(&|frame, layout| set(frame, layout.message + 2, &[priority]))
                };
                return [1, 2].map(of).into();
            }
        };
        vec![frame]
    }
}

impl fmt::Display for Bogus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnknownVrid => "unknown VRID",
            Self::Checksum => "wrong checksum",
            Self::Ttl => "wrong TTL",
            Self::Version => "wrong version",
            Self::Type => "no advertisement",
            Self::Count => "no addresses",
            Self::Length => "wrong length",
            Self::Destination => "wrong destination",
            Self::OwnSource => "own source",
            Self::Interval => "interval 0",
            Self::LowPriorities => "valid, priorities 1 and 2 in turn",
        })
    }
}

fn set(frame: &mut [u8], at: usize, bytes: &[u8]) {
    frame.get_mut(at..at + bytes.len()).expect("inside the frame").copy_from_slice(bytes);
}
