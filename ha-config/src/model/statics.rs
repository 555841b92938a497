//! What is there as long as the daemon runs, whoever is Master.

use super::{Address, Route, Rule};
use crate::diagnostic::Place;

/// The lines of `static_ipaddress`, `static_routes` and `static_rules`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Statics {
    /// No address is in it twice.
    pub addresses: Vec<Static<Address>>,
    /// Set after the addresses.
    pub routes: Vec<Static<Route>>,
    /// Set after the routes.
    pub rules: Vec<Static<Rule>>,
}

/// A line, and who depends on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Static<T> {
    /// What is to be there.
    pub item: T,
    /// `track_group`: the members of that [`TrackGroup`] go to Fault while it cannot be there.
    pub track_group: Option<String>,
}

/// `track_group NAME`: instances that depend on static lines.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackGroup {
    /// The block's name.
    pub name: String,
    /// `group`: names of instances, each of which exists; never empty, no name twice.
    pub members: Vec<String>,
    /// The line of the block's head.
    pub place: Place,
}
