//! `vrrp_instance`: reading what is given, then filling in what is not.

use core::{net::IpAddr, time::Duration};

use ha_core::{AdvertInterval, Family, Priority, Version, Vrid};

use super::{
    Blocks, address, auth, garp, global, inactive, notify, routing,
    statement::{Value, supported, unread},
    strict, track, transport,
    unique::Unique,
};
use crate::{
    diagnostic::{Sink, Span},
    keywords::{ADDRESS, Block},
    model::{Address, Authentication, InitialState, Instance, Setting, SyncGroup},
    tree::{Statement, Word},
    value::{self, Spanned},
};

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one per thing that may be given")]
pub(super) struct Draft {
    /// The line that begins the block.
    head: Span,
    pub(super) lines: strict::Lines,
    state: InitialState,
    interface: Option<Word>,
    /// Whether an interface was given at all.
    interface_given: bool,
    pub(super) vrid: Option<Spanned<Vrid>>,
    /// Whether a VRID was given at all.
    vrid_given: bool,
    priority: Option<Priority>,
    advert_interval: Option<Spanned<Duration>>,
    version: Option<Spanned<Version>>,
    native_ipv6: Option<Span>,
    nopreempt: Option<Span>,
    preempt_delay: Option<Spanned<Duration>>,
    auth: auth::Draft,
    transport: transport::Draft,
    addresses: address::List,
    excluded: address::List,
    /// Whether lines of `virtual_ipaddress` were there, right or wrong.
    addresses_given: bool,
    pub(super) routing: routing::Draft,
    track_primary: bool,
    pub(super) tracks: track::Lists,
    notify: notify::Draft,
    garp: garp::Draft,
    down_timer_adverts: Option<u8>,
    lower_prio_no_advert: Option<bool>,
    higher_prio_send_advert: Option<bool>,
    v3_checksum_as_v2: Option<bool>,
    check_unicast_src: Option<bool>,
    skip_check_adv_addr: Option<bool>,
    owner_ignore_adverts: Option<bool>,
    strict: Option<bool>,
    accept: Option<bool>,
    smtp_alert: Option<bool>,
    inactive: Vec<Setting>,
}

/// What the other blocks say about an instance.
#[derive(Clone, Copy)]
pub(super) struct Finish<'a> {
    pub(super) name: &'a Word,
    pub(super) global: &'a global::Draft,
    pub(super) blocks: &'a Blocks,
    pub(super) group: Option<&'a SyncGroup>,
    /// Its priority is 255, whatever it tracks.
    pub(super) is_owner: bool,
}

impl Draft {
    pub(super) fn read(sink: &mut Sink, block: &Statement) -> Self {
        let mut draft = Self::new(block.line_span());
        // Nothing follows from what could not be read, be it the rest of an unclosed block.
        let is_whole = !sink.has_error_in(block.line_span());
        let unread = unread(block.body());
        let is_told_of = |name: &str| !is_whole || unread.contains(name);
        draft.interface_given = is_told_of("interface");
        draft.vrid_given = is_told_of("virtual_router_id");
        draft.addresses_given = is_told_of("virtual_ipaddress");
        for (keyword, statement) in supported(sink, Block::Instance, block.body()) {
            let name = keyword.name;
            draft.lines.insert(name, statement.line_span());
            if draft.notify.read(sink, name, statement)
                || draft.read_block(sink, name, statement)
                || draft.read_flag(sink, name, statement)
            {
                continue;
            }
            let known = Value::new(keyword, statement, 0).is_some_and(|first| {
                draft.garp.read(sink, name, first)
                    || draft.transport.read(sink, name, first)
                    || draft.read_value(sink, name, first)
            });
            if !known {
                inactive::keep(sink, keyword, statement, &mut draft.inactive);
            }
        }
        draft
    }

    fn new(head: Span) -> Self {
        Self {
            head,
            lines: strict::Lines::new(),
            state: InitialState::Backup,
            interface: None,
            interface_given: false,
            vrid: None,
            vrid_given: false,
            priority: None,
            advert_interval: None,
            version: None,
            native_ipv6: None,
            nopreempt: None,
            preempt_delay: None,
            auth: auth::Draft::default(),
            transport: transport::Draft::default(),
            addresses: Unique::default(),
            excluded: Unique::default(),
            addresses_given: false,
            routing: routing::Draft::default(),
            track_primary: true,
            tracks: track::Lists::default(),
            notify: notify::Draft::default(),
            garp: garp::Draft::default(),
            down_timer_adverts: None,
            lower_prio_no_advert: None,
            higher_prio_send_advert: None,
            v3_checksum_as_v2: None,
            check_unicast_src: None,
            skip_check_adv_addr: None,
            owner_ignore_adverts: None,
            strict: None,
            accept: None,
            smtp_alert: None,
            inactive: Vec::new(),
        }
    }

    fn read_block(&mut self, sink: &mut Sink, keyword: &str, statement: &Statement) -> bool {
        match keyword {
            "authentication" => self.auth.read(sink, statement),
            "virtual_ipaddress" => {
                address::read(sink, &ADDRESS, statement, &mut self.addresses);
                self.addresses_given |= sink.has_error_in(statement.span);
            }
            "virtual_ipaddress_excluded" => {
                address::read(sink, &ADDRESS, statement, &mut self.excluded);
            }
            "unicast_peer" => self.transport.read_peers(sink, statement),
            _ => {
                return self.tracks.read(sink, keyword, statement)
                    || self.routing.read(sink, keyword, statement);
            }
        }
        true
    }

    fn read_flag(&mut self, sink: &mut Sink, keyword: &str, statement: &Statement) -> bool {
        let flag = match keyword {
            "nopreempt" => {
                self.nopreempt = Some(statement.head.span);
                return true;
            }
            "preempt" => {
                self.nopreempt = None;
                return true;
            }
            "unicast_fault_no_peer" => {
                self.transport.unicast_only = Some(statement.head.span);
                return true;
            }
            "native_ipv6" => {
                self.native_ipv6 = Some(statement.head.span);
                return true;
            }
            "dont_track_primary" => {
                self.track_primary = false;
                return true;
            }
            "check_unicast_src" => {
                self.check_unicast_src = Some(true);
                return true;
            }
            "accept" | "no_accept" => {
                self.accept = Some(keyword == "accept");
                return true;
            }
            "skip_check_adv_addr" => &mut self.skip_check_adv_addr,
            "lower_prio_no_advert" => &mut self.lower_prio_no_advert,
            "higher_prio_send_advert" => &mut self.higher_prio_send_advert,
            "owner_ignore_adverts" => &mut self.owner_ignore_adverts,
            "strict_mode" => &mut self.strict,
            "v3_checksum_as_v2" => &mut self.v3_checksum_as_v2,
            "smtp_alert" => &mut self.smtp_alert,
            _ => return false,
        };
        *flag = value::flag(sink, statement);
        if keyword == "skip_check_adv_addr" && *flag == Some(false) {
            let message = "keepalived 2.2 takes `off` for `on` here, against its manual: it is off";
            let help = "leave the line out, and `vrrp_skip_check_adv_addr`";
            sink.warning_help(statement.line_span(), message, help);
        }
        true
    }

    fn read_value(&mut self, sink: &mut Sink, keyword: &str, given: Value<'_>) -> bool {
        let first = given.word;
        let span = first.span;
        match keyword {
            "state" => self.state = value::state(sink, first),
            "interface" => {
                self.interface_given = true;
                self.interface = address::interface_name(sink, first).map(|_| first.clone());
            }
            "virtual_router_id" => {
                self.vrid_given = true;
                let vrid = given.number(sink).and_then(Vrid::new);
                self.vrid = vrid.map(|value| Spanned { value, span });
            }
            "priority" => {
                self.priority = given.number(sink).and_then(Priority::new);
            }
            "advert_int" => {
                let interval = given.seconds(sink);
                self.advert_interval = interval.map(|value| Spanned { value, span });
            }
            "version" => {
                self.version = global::version(sink, first).map(|value| Spanned { value, span });
            }
            "preempt_delay" => {
                let delay = given.seconds(sink);
                self.preempt_delay = delay.map(|value| Spanned { value, span });
            }
            "down_timer_adverts" => self.down_timer_adverts = given.number(sink),
            _ => return false,
        }
        true
    }

    /// `None` when something it cannot do without is missing, which is then reported.
    pub(super) fn finish(&self, sink: &mut Sink, with: &Finish<'_>) -> Option<Instance> {
        let interface = self.finish_interface(sink);
        if !self.vrid_given {
            sink.error(self.head, "`virtual_router_id` is missing");
        }
        let family = self.finish_family(sink);
        let (interface, family, vrid) = (interface?, family?, self.vrid?.value);
        let version = self.finish_version(sink, with, family);
        let priority = self.priority.unwrap_or(match self.state {
            InitialState::Master => Priority::OWNER,
            InitialState::Backup => Priority::DEFAULT,
        });
        let with = &Finish { is_owner: priority.is_owner(), ..*with };
        let global = with.global;
        let strict = self.strict.unwrap_or(global.strict.is_some());
        let authentication = self.auth.finish(sink, version);
        let state = match authentication {
            _ if strict => strict::state(sink, &self.lines, self.state, priority),
            // keepalived: "Initial state master is incompatible with AH authentication - clearing".
            Authentication::Ah(_) if !priority.is_owner() => InitialState::Backup,
            Authentication::None | Authentication::Pass(_) | Authentication::Ah(_) => self.state,
        };
        let (preempt, preempt_delay) = self.finish_preempt(sink, state, priority);
        let own = &interface.text;
        let mut instance = Instance {
            name: with.name.text.clone(),
            addresses: self.addresses.iter().map(|one| one.finish(sink, &interface.text)).collect(),
            excluded: self.finish_excluded(sink, &interface.text),
            routes: self.routing.routes.clone(),
            // They get their preferences in the order of the file.
            rules: Vec::new(),
            family,
            version,
            vrid,
            state,
            priority,
            advert_interval: self.finish_interval(sink, version)?,
            preempt,
            preempt_delay,
            authentication,
            transport: self.transport.finish(sink, family),
            track_primary: self.track_primary,
            track_interfaces: self.tracks.interfaces(sink, with, own, self.track_primary),
            track_scripts: self.tracks.scripts(sink, with),
            track_processes: self.tracks.processes(sink, with),
            track_units: self.tracks.units(sink, with),
            track_files: self.tracks.files(sink, with),
            track_clocks: self.tracks.clocks(sink, with),
            notify: self.notify.finish_in(with.group, global.notify_priority_changes),
            garp: self.garp.finish(&global.garp),
            down_timer_adverts: self.down_timer_adverts.or(global.down_timer_adverts).unwrap_or(3),
            lower_prio_no_advert: self.lower_prio_no_advert.unwrap_or(global.lower_prio_no_advert),
            higher_prio_send_advert: self
                .higher_prio_send_advert
                .unwrap_or(global.higher_prio_send_advert),
            v3_checksum_as_v2: self.v3_checksum_as_v2.unwrap_or(global.v3_checksum_as_v2),
            check_unicast_src: self.check_unicast_src.unwrap_or(global.check_unicast_src)
                || self.transport.has_ttl_limits(),
            skip_check_adv_addr: self.skip_check_adv_addr.unwrap_or(global.skip_check_adv_addr),
            owner_ignore_adverts: self.owner_ignore_adverts.unwrap_or(global.owner_ignore_adverts),
            strict,
            accept: priority.is_owner() || self.accept.unwrap_or(!strict),
            smtp_alert: self.smtp_alert.unwrap_or(global.sends_mails()),
            inactive: self.inactive.clone(),
            interface: interface.text.clone(),
            place: sink.place(with.name.span),
        };
        if strict {
            strict::enforce(sink, &self.lines, &mut instance);
        }
        Some(instance)
    }

    /// Where `address` is in the file.
    pub(super) fn address_span(&self, address: IpAddr) -> Option<Span> {
        let draft = self.addresses.find(&address).or_else(|| self.excluded.find(&address));
        Some(draft?.span)
    }

    /// Whether the file itself says that the virtual addresses take no packets.
    pub(super) fn refuses_packets(&self) -> bool {
        self.accept == Some(false)
    }

    fn finish_interface(&self, sink: &mut Sink) -> Option<&Word> {
        if !self.interface_given {
            if let Some(source) = self.transport.unicast_source {
                // The manual lets it be left out; 2.2.7 does not start without it.
                let help = "name the interface that has this address, as keepalived 2.2 wants it";
                sink.error_help(source.span, "`interface` is missing", help);
            } else {
                sink.error(self.head, "`interface` is missing");
            }
        }
        self.interface.as_ref()
    }

    /// That of the first address; that the others have the same is checked.
    fn finish_family(&self, sink: &mut Sink) -> Option<Family> {
        let Some(first) = self.addresses.as_slice().first() else {
            if !self.addresses_given {
                sink.error(self.head, "`virtual_ipaddress` is missing: one address is needed");
            }
            return None;
        };
        let family = address::family(first.address);
        for other in &self.addresses {
            if address::family(other.address) != family {
                sink.error_help(
                    other.span,
                    format!(
                        "`{}` and `{}` are of different families",
                        other.address, first.address
                    ),
                    "put it into `virtual_ipaddress_excluded`, or into an instance of its own",
                );
            }
        }
        if let (Some(span), Family::V4) = (self.native_ipv6, family) {
            sink.warning(span, "`native_ipv6` with IPv4 addresses: ignored");
        }
        Some(family)
    }

    fn finish_version(&self, sink: &mut Sink, with: &Finish<'_>, family: Family) -> Version {
        match (family, self.version) {
            (Family::V6, Some(Spanned { value: Version::V2, span })) => {
                sink.warning(span, "IPv6 needs version 3: version 3 it is");
                Version::V3
            }
            (Family::V6, _) => Version::V3,
            (Family::V4, Some(version)) => version.value,
            (Family::V4, None) => with.global.version.unwrap_or(Version::V2),
        }
    }

    fn finish_interval(&self, sink: &mut Sink, version: Version) -> Option<AdvertInterval> {
        let Some(Spanned { value: given, span }) = self.advert_interval else {
            return Some(AdvertInterval::DEFAULT);
        };
        let rounded = match version {
            Version::V2 => {
                let secs = given.saturating_add(Duration::from_millis(500)).as_secs().clamp(1, 255);
                u8::try_from(secs).ok().and_then(AdvertInterval::from_secs)
            }
            Version::V3 => {
                let centis = given.saturating_add(Duration::from_millis(5)).as_millis() / 10;
                u16::try_from(centis).ok().and_then(AdvertInterval::from_centis)
            }
        };
        let Some(interval) = rounded else {
            sink.error(span, "`advert_int` of version 3 is at most 40.95 s");
            return None;
        };
        if interval.as_duration() != given {
            let unit = match version {
                Version::V2 => "whole seconds",
                Version::V3 => "hundredths of a second",
            };
            let message = format!(
                "`advert_int` of version {} is in {unit}: {} s",
                version.as_u8(),
                interval.as_duration().as_secs_f64()
            );
            let help = "version 3 has hundredths of a second; all nodes need the same version";
            match version {
                Version::V2 => sink.warning_help(span, message, help),
                Version::V3 => sink.warning(span, message),
            }
        }
        Some(interval)
    }

    /// Whether it preempts, and after what time.
    fn finish_preempt(
        &self,
        sink: &mut Sink,
        state: InitialState,
        priority: Priority,
    ) -> (bool, Duration) {
        let is_master = state == InitialState::Master;
        let nopreempt = self.nopreempt.filter(|span| {
            if is_master {
                let help = "`nopreempt` needs `state BACKUP`";
                sink.warning_help(*span, "`nopreempt` with `state MASTER`: ignored", help);
            } else if priority.is_owner() {
                sink.warning(*span, "`nopreempt` with priority 255: ignored");
            }
            !is_master && !priority.is_owner()
        });
        let delay = self.preempt_delay.filter(|delay| {
            if is_master {
                sink.warning(delay.span, "`preempt_delay` with `state MASTER`: ignored");
            } else if priority.is_owner() {
                sink.warning(delay.span, "`preempt_delay` with priority 255: ignored");
            } else if nopreempt.is_some() {
                sink.warning(delay.span, "`preempt_delay` with `nopreempt`: ignored");
            }
            !is_master && !priority.is_owner() && nopreempt.is_none()
        });
        (nopreempt.is_none(), delay.map_or(Duration::ZERO, |delay| delay.value))
    }

    fn finish_excluded(&self, sink: &Sink, interface: &str) -> Vec<Address> {
        let advertised = |address: IpAddr| self.addresses.contains(&address);
        let excluded = self.excluded.iter().filter(|one| !advertised(one.address));
        excluded.map(|one| one.finish(sink, interface)).collect()
    }
}
