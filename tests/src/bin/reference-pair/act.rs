//! One pace of the demonstration: the version, the interval, and what the RFC's arithmetic makes of
//! them.

use core::time::Duration;

use ha_tests::{pair::Side, reference};

/// The priority in the reference files.
const PRIORITY: u32 = 100;

/// More starts of the service in ten minutes are a failure.
pub(crate) const MAX_RESTARTS: u32 = 5;

/// What the routers are configured with, and how fast that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Act {
    pub(crate) title: &'static str,
    interval: Duration,
    /// `advert_int` for `VRRPv3`; none leaves the reference files as they are.
    advert_int: Option<&'static str>,
    /// Whether the service behind the addresses is watched, instead of by a cron job.
    pub(crate) watches_service: bool,
}

impl Act {
    /// The reference files, byte for byte.
    pub(crate) const REFERENCE: Self = Self {
        title: "the reference files, unchanged: VRRPv2, PASS, an advertisement every second",
        interval: Duration::from_secs(1),
        advert_int: None,
        watches_service: false,
    };
    /// The same at the highest rate that the protocol has.
    pub(crate) const FAST: Self = Self {
        title: "the same pair with VRRPv3, an advertisement every 10 ms",
        interval: Duration::from_millis(10),
        advert_int: Some("0.01"),
        watches_service: false,
    };
    /// The reference files, with four lines for their cron job.
    pub(crate) const SERVICE: Self = Self {
        title: "the reference files, and vrrp_track_process in place of the cron job that restarts \
                the service",
        watches_service: true,
        ..Self::REFERENCE
    };

    pub(crate) fn config(self, side: Side) -> String {
        let mut config = reference::config(side);
        if self.watches_service {
            config = reference::with_process(&config, Self::service_name(side), MAX_RESTARTS);
        }
        self.advert_int
            .map_or(config.clone(), |advert_int| reference::as_version_3(&config, advert_int))
    }

    /// What the service is called on this node: both are on one host here, and see its processes.
    pub(crate) const fn service_name(side: Side) -> &'static str {
        match side {
            Side::A => "ha-demo-web-a",
            Side::B => "ha-demo-web-b",
        }
    }

    /// RFC 3768 §6.1: (256 - Priority) / 256 seconds; RFC 9568 §6.1: of the Master's interval. Both
    /// are the same here, because the reference pair's interval in version 2 is one second.
    pub(crate) fn skew(self) -> Duration {
        self.interval * (256 - PRIORITY) / 256
    }

    /// Both RFCs §6.1: three intervals and the skew time.
    pub(crate) fn master_down(self) -> Duration {
        self.interval * 3 + self.skew()
    }

    /// Beyond the RFC's bound, for a machine that does other things too. A bound broken by more
    /// than this fails the demonstration; for keepalived the times are only told.
    pub(crate) fn allowance(self) -> Duration {
        (self.interval * 10).clamp(Duration::from_millis(100), Duration::from_millis(500))
    }

    /// How long it is watched that nothing moves: longer than any timer that could run.
    pub(crate) fn quiet(self) -> Duration {
        (self.master_down() + self.interval).max(Duration::from_millis(500))
    }
}
