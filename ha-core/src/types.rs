//! The field's own numbers as types: what has a range or a unit is checked once, where it enters.

use core::{
    fmt,
    num::NonZeroU8,
    ops::{Add, Sub},
    time::Duration,
};

/// A moment of `CLOCK_MONOTONIC`, in nanoseconds.
///
/// The engine never reads a clock: every moment is handed in. Arithmetic saturates, so that no
/// input can make it wrap.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Instant(u64);

impl Instant {
    /// The moment `nanos` after the clock's zero.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's zero.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to here; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }
}

/// Virtual router identifier, 1 to 255 (RFC 9568 §5.2.3; keepalived `virtual_router_id`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Vrid(NonZeroU8);

impl Vrid {
    /// `None` for 0, which no virtual router may have.
    #[must_use]
    pub const fn new(vrid: u8) -> Option<Self> {
        match NonZeroU8::new(vrid) {
            Some(vrid) => Some(Self(vrid)),
            None => None,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Priority of a virtual router, 1 to 255 (RFC 9568 §5.2.4; keepalived `priority`).
///
/// Priority 0 on the wire means "the Master stops"; it is not a priority of a running router and
/// so not a value of this type.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Priority(NonZeroU8);

impl Priority {
    /// keepalived's and the RFC's default.
    pub const DEFAULT: Self = Self(NonZeroU8::new(100).unwrap());
    /// The address owner's priority.
    pub const OWNER: Self = Self(NonZeroU8::MAX);

    /// `None` for 0.
    #[must_use]
    pub const fn new(priority: u8) -> Option<Self> {
        match NonZeroU8::new(priority) {
            Some(priority) => Some(Self(priority)),
            None => None,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self.0.get()
    }

    /// Whether this is the address owner's priority, 255.
    #[must_use]
    pub const fn is_owner(self) -> bool {
        self.0.get() == u8::MAX
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The protocol's version (keepalived `version`, `vrrp_version`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Version {
    /// RFC 3768.
    V2,
    /// RFC 9568.
    V3,
}

impl Version {
    /// The number on the wire.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// Time between two advertisements of a Master (keepalived `advert_int`).
///
/// `VRRPv2` carries whole seconds, 1 to 255; `VRRPv3` carries centiseconds, 1 to 4095.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AdvertInterval(Duration);

impl AdvertInterval {
    /// Both RFCs' default.
    pub const DEFAULT: Self = Self(Duration::from_secs(1));

    /// From the 8-bit field of `VRRPv2`, in seconds; `None` for 0.
    #[must_use]
    pub const fn from_secs(secs: u8) -> Option<Self> {
        if secs == 0 {
            return None;
        }
        #[expect(clippy::as_conversions, reason = "`u64::from` is not const")]
        Some(Self(Duration::from_secs(secs as u64)))
    }

    /// From the 12-bit field of `VRRPv3`, in centiseconds; `None` outside 1..=4095.
    ///
    /// Zero is refused although RFC 9568 does not say so (erratum 8301 does): it would make the
    /// `Active_Down_Interval` zero.
    #[must_use]
    pub const fn from_centis(centis: u16) -> Option<Self> {
        if centis == 0 || centis > 0x0fff {
            return None;
        }
        #[expect(clippy::as_conversions, reason = "`u64::from` is not const")]
        Some(Self(Duration::from_millis(centis as u64 * 10)))
    }

    /// The `VRRPv2` field: whole seconds, rounded to the nearest, at least 1 (as keepalived does).
    #[must_use]
    pub fn to_secs(self) -> u8 {
        let rounded = (self.0.as_millis() + 500) / 1000;
        u8::try_from(rounded.max(1)).unwrap_or(u8::MAX)
    }

    /// The `VRRPv3` field: centiseconds, rounded to the nearest, 1 to 4095.
    #[must_use]
    pub fn to_centis(self) -> u16 {
        let rounded = (self.0.as_millis() + 5) / 10;
        u16::try_from(rounded.clamp(1, 0x0fff)).unwrap_or(0x0fff)
    }

    /// The interval as a length of time.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        self.0
    }

    /// `Master_Down_Interval`'s constant part, `adverts` times the interval.
    #[must_use]
    pub const fn times(self, adverts: u32) -> Duration {
        self.0.saturating_mul(adverts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_the_wire_s() {
        assert_eq!(Vrid::new(0), None);
        assert_eq!(Priority::new(0), None);
        assert_eq!(AdvertInterval::from_centis(0), None);
        assert_eq!(AdvertInterval::from_centis(4096), None);
        assert_eq!(AdvertInterval::from_secs(0), None);
        let longest = AdvertInterval::from_centis(4095).unwrap();
        assert_eq!(longest.as_duration(), Duration::from_millis(40_950));
        assert_eq!(longest.to_centis(), 4095);
    }

    #[test]
    fn instants_saturate() {
        let end = Instant::from_nanos(u64::MAX);
        assert_eq!(end + Duration::MAX, end);
        assert_eq!(Instant::from_nanos(1) - Duration::MAX, Instant::default());
        assert_eq!(Instant::default().since(end), Duration::ZERO);
    }
}
