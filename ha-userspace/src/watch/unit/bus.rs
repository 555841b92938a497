//! What systemd says of units, over D-Bus (org.freedesktop.systemd1(5)): asked for once, and again
//! whenever it says that something has changed. Judges nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    future, mem,
    num::NonZeroUsize,
    pin::Pin,
    time::Duration,
};

use ha_config::Unit;
use ha_core::TrackerId;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use zbus::{
    Connection, DynamicType, Error, MatchRule, Message, MessageStream, OwnedObjectPath,
    OwnedVariant, connection, export::futures_core::Stream as _,
    match_rule::Builder as RuleBuilder, message,
};

use super::judge::Sight;

/// What is tracked, by the engine's numbers.
pub(super) type Wanted = BTreeMap<TrackerId, Unit>;

/// What is new.
#[derive(Debug)]
pub(super) enum News {
    /// How a unit is now, if it is another than before or not.
    Sight(TrackerId, Sight),
    /// Nothing is heard any more, and why.
    Silence(String),
}

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const BUS: &str = "org.freedesktop.DBus";

/// An answer that takes longer is none.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two connections, doubled each time.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Nothing should be missed between: should it be, it is not for long.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Each says the same: look again.
const SIGNALS_MAX: NonZeroUsize = NonZeroUsize::MIN;

/// Tells of the units that are wanted until nobody wants to know.
pub(super) async fn listen(mut wanted: watch::Receiver<Wanted>, news: mpsc::Sender<News>) {
    let mut pause = PAUSE;
    while let Err(error) = converse(&mut wanted, &news, &mut pause).await {
        if news.send(News::Silence(error)).await.is_err() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "a connection may be tried a moment later")]
        sleep(pause).await;
        pause = pause.saturating_mul(2).min(PAUSE_MAX);
    }
}

/// How these units are now, by a connection for this alone.
pub(super) async fn look(wanted: &Wanted) -> Result<Vec<(TrackerId, Sight)>, String> {
    let systemd = Systemd::connect().await?;
    let mut sights = Vec::new();
    for (tracker, unit) in wanted {
        let sight = match systemd.load(&unit.unit).await? {
            Ok(path) => systemd.look(&path, &unit.unit).await?,
            Err(state) => Sight { state, ..Sight::default() },
        };
        sights.push((*tracker, sight));
    }
    Ok(sights)
}

/// One connection, until it ends; `Ok`: nobody wants to know any more.
async fn converse(
    wanted: &mut watch::Receiver<Wanted>,
    news: &mpsc::Sender<News>,
    pause: &mut Duration,
) -> Result<(), String> {
    let systemd = Systemd::connect().await?;
    let mut owner = systemd.owner_changes().await?;
    systemd.subscribe().await?;
    // A wanted list is one set of subscriptions.
    loop {
        let units = wanted.borrow_and_update().clone();
        let mut subscriptions = Subscriptions::default();
        let mut paths = BTreeMap::new();
        for (tracker, unit) in &units {
            match systemd.load(&unit.unit).await? {
                Ok(path) => {
                    subscriptions.add(*tracker, systemd.changes_of(&path).await?);
                    paths.insert(*tracker, path);
                }
                Err(reason) => {
                    let sight = Sight { state: reason, ..Sight::default() };
                    if news.send(News::Sight(*tracker, sight)).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
        let mut due: BTreeSet<TrackerId> = paths.keys().copied().collect();
        loop {
            for (tracker, unit) in units.iter().filter(|(tracker, _)| due.contains(tracker)) {
                let Some(path) = paths.get(tracker) else { continue };
                let sight = systemd.look(path, &unit.unit).await?;
                if news.send(News::Sight(*tracker, sight)).await.is_err() {
                    return Ok(());
                }
            }
            *pause = PAUSE;
            #[expect(clippy::disallowed_methods, reason = "it may be late")]
            let again = sleep(LOOK_AGAIN);
            tokio::select! {
                changed = wanted.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return Ok(()),
                },
                changed = subscriptions.next() => due = changed,
                () = again => due = paths.keys().copied().collect(),
                () = departure(&mut owner) => return Err("systemd has left the bus".to_owned()),
                () = systemd.0.closed() => return Err("the bus has ended the connection".to_owned()),
            }
        }
    }
}

/// systemd behind a system bus.
struct Systemd(Connection);

impl Systemd {
    /// `DBUS_SYSTEM_BUS_ADDRESS` says which bus, as everywhere.
    async fn connect() -> Result<Self, String> {
        let connect = connection::Builder::system().method_timeout(ANSWER).build();
        match timeout(ANSWER, connect).await {
            Ok(Ok(connection)) => Ok(Self(connection)),
            Ok(Err(error)) => Err(format!("no connection to the system bus: {error}")),
            Err(_) => Err("no connection to the system bus: it does not answer".to_owned()),
        }
    }

    /// Has systemd send signals at all.
    async fn subscribe(&self) -> Result<(), String> {
        self.call(MANAGER_PATH, MANAGER, "Subscribe", &())
            .await
            .map(drop)
            .map_err(|error| sentence(&error))
    }

    /// Where the unit is found, whether it runs, is there or not; or why it is not, by systemd.
    async fn load(&self, unit: &str) -> Result<Result<OwnedObjectPath, String>, String> {
        let answer = match self.call(MANAGER_PATH, MANAGER, "LoadUnit", &unit).await {
            Ok(answer) => answer,
            Err(Error::MethodError(name, words, _)) => {
                return Ok(Err(words.unwrap_or_else(|| name.to_string())));
            }
            Err(error) => return Err(sentence(&error)),
        };
        answer.body().deserialize::<OwnedObjectPath>().map(Ok).map_err(|error| sentence(&error))
    }

    async fn look(&self, path: &OwnedObjectPath, unit: &str) -> Result<Sight, String> {
        let look = async {
            let loaded = String::try_from(self.property(path, UNIT, "LoadState").await?)?;
            let active = String::try_from(self.property(path, UNIT, "ActiveState").await?)?;
            let invocation = self.property(path, UNIT, "InvocationID").await?;
            let restarts = if unit.ends_with(".service") {
                u32::try_from(self.property(path, SERVICE, "NRestarts").await?)?
            } else {
                0
            };
            // What was loaded when it began to run may be gone since.
            let is_gone = active == "inactive" && loaded != "loaded";
            let state = if is_gone { loaded } else { active };
            Ok(Sight { state, restarts, invocation: Vec::try_from(invocation)? })
        };
        look.await.map_err(|error| sentence(&error))
    }

    async fn property(
        &self,
        path: &OwnedObjectPath,
        interface: &str,
        name: &str,
    ) -> Result<OwnedVariant, Error> {
        let answer = self.call(path.as_str(), PROPERTIES, "Get", &(interface, name)).await?;
        answer.body().deserialize::<OwnedVariant>()
    }

    async fn call<B>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<Message, Error>
    where
        B: zbus::export::serde::Serialize + DynamicType,
    {
        self.0.call_method(Some(SYSTEMD), path, Some(interface), method, body).await
    }

    /// Signals of changes of a unit.
    async fn changes_of(&self, path: &OwnedObjectPath) -> Result<MessageStream, String> {
        let rule = MatchRule::builder().sender(SYSTEMD).interface(PROPERTIES);
        self.signals(rule.member("PropertiesChanged").path(path.as_str())).await
    }

    /// Signals that systemd has come to the bus or left it.
    async fn owner_changes(&self) -> Result<MessageStream, String> {
        let rule = MatchRule::builder().sender(BUS).interface(BUS);
        self.signals(rule.member("NameOwnerChanged").add_arg(SYSTEMD)).await
    }

    async fn signals(&self, rule: RuleBuilder<'_>) -> Result<MessageStream, String> {
        let rule =
            rule.msg_type(message::Type::Signal).build().map_err(|error| sentence(&error))?;
        MessageStream::for_match_rule(rule, &self.0, Some(SIGNALS_MAX))
            .await
            .map_err(|error| sentence(&error))
    }
}

/// Which units have changed. Signals are taken as they come, whatever is being asked meanwhile: those that
/// wait would hold up the answers.
#[derive(Debug)]
struct Subscriptions {
    changed: watch::Sender<BTreeSet<TrackerId>>,
    /// Dropped, they end.
    tasks: JoinSet<()>,
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self { changed: watch::Sender::default(), tasks: JoinSet::new() }
    }
}

impl Subscriptions {
    fn add(&mut self, tracker: TrackerId, mut signals: MessageStream) {
        let changed = self.changed.clone();
        self.tasks.spawn(async move {
            while next(&mut signals).await.is_some() {
                changed.send_if_modified(|changed| changed.insert(tracker));
            }
        });
    }

    /// Those that have changed since the last time, at least one.
    async fn next(&self) -> BTreeSet<TrackerId> {
        let mut listener = self.changed.subscribe();
        // Its sender is here.
        drop(listener.wait_for(|changed| !changed.is_empty()).await);
        let mut taken = BTreeSet::new();
        self.changed.send_if_modified(|changed| {
            taken = mem::take(changed);
            false
        });
        taken
    }
}

/// Systemd leaves the bus, or the connection ends.
async fn departure(owner_changes: &mut MessageStream) {
    while let Some(Ok(signal)) = next(owner_changes).await {
        if is_departure(&signal) {
            return;
        }
    }
}

/// That it has come may be told after its first answer, where it came because it was asked.
fn is_departure(owner_changed: &Message) -> bool {
    // Name, owner before, owner now.
    let body = owner_changed.body();
    !matches!(body.deserialize::<(&str, &str, &str)>(), Ok((_, "", _)))
}

/// `None`: the connection has ended.
async fn next(signals: &mut MessageStream) -> Option<Result<Message, Error>> {
    future::poll_fn(|context| Pin::new(&mut *signals).poll_next(context)).await
}

fn sentence(error: &Error) -> String {
    format!("systemd does not answer: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_to_the_bus_does_not_leave_it() {
        let is_departure = |before: &str, now: &str| {
            let signal = Message::signal("/org/freedesktop/DBus", BUS, "NameOwnerChanged");
            is_departure(&signal.build(&(SYSTEMD, before, now)).unwrap())
        };
        assert!(!is_departure("", ":1.7"));
        assert!(is_departure(":1.7", ""));
        assert!(is_departure(":1.7", ":1.9"), "another one knows nothing of us");
    }
}
