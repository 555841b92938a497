//! A file with all routes and rules that this daemon may have set. Their mark is keepalived's, which
//! others use too, so after a kill the file alone says which of them are left over.

use std::{fs, io, io::Write as _, path::PathBuf, sync::Arc};

use ha_config::{Route, Rule, Static, Statics};
use tokio::task::spawn_blocking;
use tracing::warn;

use crate::{plan::Plan, status};

/// A file that is larger was not written by this daemon.
const BYTES_MAX: u64 = 64 << 20;

/// The file; removed at the end, when nothing is set any more.
#[derive(Debug)]
pub(crate) struct RoutingFile(PathBuf);

impl RoutingFile {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Adds what `plan` may set; gives back what a run before this one may have left.
    pub(crate) async fn begin(&self, plan: &Arc<Plan>) -> Statics {
        let left = self.read();
        let mut all = routing_of(&[plan]);
        all.routes.extend(left.routes.iter().cloned());
        all.rules.extend(left.rules.iter().cloned());
        self.write(all).await;
        left
    }

    /// What a run may have left. Nothing where there is no file.
    pub(crate) fn read(&self) -> Statics {
        let text = fs::metadata(&self.0).and_then(|metadata| {
            if metadata.len() > BYTES_MAX {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            fs::read_to_string(&self.0)
        });
        match text {
            // It has no instances, of which nothing is to be said.
            Ok(text) => ha_config::parse("", &text).config.statics,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Statics::default(),
            Err(error) => {
                warn!(
                    "routes of a run before may be left: cannot read {}: {error}",
                    self.0.display()
                );
                Statics::default()
            }
        }
    }

    /// Writes what is set from now on, or may be.
    pub(crate) async fn write(&self, routing: Statics) {
        let path = self.0.clone();
        let written = spawn_blocking(move || {
            if routing == Statics::default() {
                return match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    Ok(()) | Err(_) => Ok(()),
                };
            }
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            let text = ha_config::statics_text(&routing);
            status::replace(&path, 0o600, |file| file.write_all(text.as_bytes()))
        });
        if let Err(error) = written.await.unwrap_or_else(|gone| Err(io::Error::other(gone))) {
            let path = self.0.display();
            warn!("after a kill routes may be left: cannot write {path}: {error}");
        }
    }
}

impl Drop for RoutingFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// The routes and rules of plans, whoever has them.
pub(crate) fn routing_of(plans: &[&Arc<Plan>]) -> Statics {
    let mut all = Statics::default();
    for plan in plans {
        let instances = || plan.instances.iter();
        let routes = instances().flat_map(|one| &one.routes);
        let routes = routes.chain(plan.statics.routes.iter().map(|one| &one.item));
        all.routes.extend(routes.map(|route: &Route| alone(route)));
        let rules = instances().flat_map(|one| &one.rules);
        let rules = rules.chain(plan.statics.rules.iter().map(|one| &one.item));
        all.rules.extend(rules.map(|rule: &Rule| alone(rule)));
    }
    all
}

fn alone<T: Clone>(item: &T) -> Static<T> {
    Static { item: item.clone(), track_group: None }
}
