//! Lines of `virtual_routes` and `static_routes`.

use ha_core::Family;

use super::{
    address,
    option::{self, Families, Given, Target},
};
use crate::{
    diagnostic::{Sink, Span},
    keywords::{ROUTE, routing},
    model::{
        Hop, MAIN_TABLE, Network, PathMetric, PathSetting, Route, RouteKind, RouterPreference,
        Scope,
    },
    tree::{Statement, Word},
    value,
};

/// The routes of `list`, each with its track group.
pub(super) fn read(sink: &mut Sink, list: &Statement) -> Vec<(Route, Option<Word>)> {
    let mut routes = Vec::new();
    for (line, options) in option::lines(sink, &ROUTE, list) {
        let mut draft = Draft::new(line.line_span());
        if options.iter().try_for_each(|given| draft.read(sink, given)).is_some() {
            routes.extend(draft.finish(sink).map(|route| (route, draft.group)));
        }
    }
    routes
}

/// A line, before what is missing is filled in.
struct Draft {
    line: Span,
    families: Families,
    kind: RouteKind,
    destination: Option<Target>,
    /// The one of the line itself, while there is no `nexthop`.
    hop: Hop,
    hop_given: bool,
    hops: Vec<Hop>,
    source: Option<core::net::IpAddr>,
    table: u32,
    scope: Option<(Scope, Span)>,
    protocol: Option<(u8, Span)>,
    metric: Option<u32>,
    tos: u8,
    path: Vec<PathSetting>,
    preference: Option<(RouterPreference, Span)>,
    append: bool,
    track: bool,
    group: Option<Word>,
}

const HOP: Hop = Hop { gateway: None, interface: None, onlink: false, weight: 1 };

impl Draft {
    const fn new(line: Span) -> Self {
        Self {
            line,
            families: Families::NONE,
            kind: RouteKind::Unicast,
            destination: None,
            hop: HOP,
            hop_given: false,
            hops: Vec::new(),
            source: None,
            table: MAIN_TABLE,
            scope: None,
            protocol: None,
            metric: None,
            tos: 0,
            path: Vec::new(),
            preference: None,
            append: false,
            track: true,
            group: None,
        }
    }

    fn read(&mut self, sink: &mut Sink, given: &Given<'_>) -> Option<()> {
        if let Some(metric) = named(&PathMetric::NAMES, given.name) {
            let setting =
                PathSetting { metric, value: given.number()?, locked: given.has_particle };
            self.path.retain(|other| other.metric != metric);
            self.path.push(setting);
            return Some(());
        }
        if let Some(kind) = named(&RouteKind::NAMES, given.name) {
            self.kind = kind;
            return Some(());
        }
        match given.name {
            "" | "to" => {
                self.destination = Some(option::target(sink, &mut self.families, given.value)?);
            }
            "src" => {
                let source = value::address(sink, given.value)?;
                self.families.add(sink, given.value, address::family(source))?;
                self.source = Some(source);
            }
            "inet" => self.families.add(sink, given.word, Family::V4)?,
            "inet6" => self.families.add(sink, given.word, Family::V6)?,
            "table" => self.table = routing::table(given.text())?,
            "scope" => self.scope = Some((address::scope(sink, given.value)?, given.word.span)),
            "protocol" => {
                self.protocol = Some((routing::protocol(given.text())?, given.word.span));
            }
            "metric" | "priority" | "preference" => self.metric = Some(given.number()?),
            "pref" => {
                let preference = named(&RouterPreference::NAMES, given.text())?;
                self.preference = Some((preference, given.word.span));
            }
            "tos" | "dsfield" => self.tos = routing::tos(given.text())?,
            "append" => self.append = true,
            "prepend" => self.append = false,
            "no_track" => self.track = false,
            "track_group" => self.group = Some(given.value.clone()),
            _ => self.read_hop(sink, given)?,
        }
        Some(())
    }

    fn read_hop(&mut self, sink: &mut Sink, given: &Given<'_>) -> Option<()> {
        if given.name == "nexthop" {
            self.hops.push(HOP);
            return Some(());
        }
        if given.name == "weight" && self.hops.is_empty() {
            sink.error(given.word.span, "`weight` is a `nexthop`'s");
            return None;
        }
        self.hop_given |= self.hops.is_empty();
        let hop = self.hops.last_mut().unwrap_or(&mut self.hop);
        match given.name {
            "via" | "gw" => {
                let gateway = value::address(sink, given.value)?;
                self.families.add(sink, given.value, address::family(gateway))?;
                hop.gateway = Some(gateway);
            }
            "dev" | "oif" => hop.interface = Some(given.text().to_owned()),
            "onlink" => hop.onlink = true,
            "weight" => hop.weight = given.number()?,
            other => {
                let message = format!("`{other}` {}", super::statement::NO_BUILDER);
                sink.error(given.word.span, message);
                return None;
            }
        }
        Some(())
    }

    /// `None` when it cannot be a route, which is then reported.
    fn finish(&self, sink: &mut Sink) -> Option<Route> {
        let family = self.families.family();
        let Some(destination) = self.destination else {
            sink.error_help(self.line, "a route needs a destination", "such as 192.0.2.0/24");
            return None;
        };
        let hops = self.finish_hops(sink)?;
        if let (Family::V4, Some((_, span))) = (family, self.preference) {
            sink.error(span, "`pref` is IPv6's");
            return None;
        }
        if let (Family::V6, Some((_, span))) = (family, self.scope) {
            sink.warning(span, "IPv6 routes have no `scope`: ignored");
        }
        let mut path = self.path.clone();
        path.sort_unstable_by_key(|setting| setting.metric);
        Some(Route {
            kind: self.kind,
            destination: match destination {
                Target::All => Network::all(family),
                Target::Network(network) => network,
            },
            hops,
            source: self.source,
            table: self.table,
            scope: self.scope.filter(|_| family == Family::V4).map_or(Scope::GLOBAL, |one| one.0),
            protocol: option::protocol(sink, self.protocol, self.track),
            metric: self.metric,
            tos: self.tos,
            path,
            preference: self.preference.map_or(RouterPreference::Medium, |one| one.0),
            append: self.append,
            track: self.track,
            place: sink.place(self.line),
        })
    }

    fn finish_hops(&self, sink: &mut Sink) -> Option<Vec<Hop>> {
        let hops = match (self.hops.as_slice(), self.hop_given) {
            ([], false) => Vec::new(),
            ([], true) => vec![self.hop.clone()],
            (hops, false) => hops.to_vec(),
            (_, true) => {
                let message = "`via` and `dev` are before `nexthop`";
                sink.error_help(self.line, message, "each `nexthop` has its own");
                return None;
            }
        };
        let leads_somewhere = |hop: &Hop| hop.gateway.is_some() || hop.interface.is_some();
        let is_whole = !hops.is_empty() && hops.iter().all(leads_somewhere);
        match self.kind {
            RouteKind::Unicast if !is_whole => {
                let message = "a route needs `via` or `dev`, or a kind such as `blackhole`";
                sink.error(self.line, message);
                None
            }
            RouteKind::Unicast => Some(hops),
            RouteKind::Blackhole
            | RouteKind::Unreachable
            | RouteKind::Prohibit
            | RouteKind::Throw => {
                if !hops.is_empty() {
                    let message =
                        "`via`, `dev` and `nexthop` of a route that leads nowhere: ignored";
                    sink.warning(self.line, message);
                }
                Some(Vec::new())
            }
        }
    }
}

/// What has this name.
fn named<T: Copy>(names: &[(&str, T)], name: &str) -> Option<T> {
    names.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}
