//! When the configuration is read again, and who is told what came of it.

use tracing::{error, info};

use super::{Held, Run};
use crate::{
    cli::Options,
    clock,
    control::{Answer, Question, protocol::Request},
    reading::{self, Reading},
};

impl Run {
    pub(super) fn begin_reload(
        &mut self,
        options: &Options,
        held: &mut Held,
        asked: Option<Question>,
    ) -> Option<Reading> {
        held.manager.tell_reloading();
        match reading::start(options) {
            Ok(mut reading) => {
                reading.asked = asked;
                Some(reading)
            }
            Err(error) => {
                self.end_reload(options, held, Err(error.to_string()), asked);
                None
            }
        }
    }

    /// Says what came of it.
    pub(super) fn end_reload(
        &mut self,
        options: &Options,
        held: &mut Held,
        reloaded: Result<String, String>,
        asked: Option<Question>,
    ) {
        let result = match reloaded {
            Ok(changes) => Ok(format!("{}: read again: {changes}", options.source.path.display())),
            Err(error) => Err(format!("the running configuration stays: {error}")),
        };
        match &result {
            Ok(words) => info!("{words}"),
            Err(words) => error!("{words}"),
        }
        held.manager.tell_reloaded();
        if let Some(Question { asker, answer, .. }) = asked {
            self.audit(clock::now(), asker, &Request::Reload, &result);
            // Whoever asked may have gone away.
            drop(answer.send(result.map_or_else(Answer::Refused, Answer::Done)));
        }
    }
}
