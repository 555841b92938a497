//! How many advertisements a second each instance sent or heard, from status to status.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::text;
use crate::control::list;

/// Of each instance: what is wide enough to be seen.
const REMEMBERED: usize = 24;
/// Eighths of a line.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// By the instance's name.
#[derive(Debug, Default)]
pub(super) struct Trends(BTreeMap<String, Trend>);

#[derive(Debug, Default)]
struct Trend {
    at_nanos: u64,
    count: u64,
    rates: VecDeque<f64>,
}

impl Trends {
    /// Remembers a status; forgets who is not in it.
    pub(super) fn take(&mut self, status: &Value) {
        let at_nanos = status.get("at_nanos").and_then(Value::as_u64).unwrap_or(0);
        let mut before = std::mem::take(&mut self.0);
        for instance in list(status, "instances") {
            let name = text(instance, "name").to_owned();
            let mut trend = before.remove(&name).unwrap_or_default();
            let adverts = ["/statistics/adverts_sent", "/statistics/adverts_received"];
            let counts = adverts.map(|at| instance.pointer(at).and_then(Value::as_u64));
            trend.take(at_nanos, counts.into_iter().flatten().sum());
            self.0.insert(name, trend);
        }
    }

    /// The last rate; `None` before the second status.
    pub(super) fn rate(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.rates.back().copied()
    }

    /// The rates as a line of bars, the last one at its end; the highest is a whole one.
    pub(super) fn bars(&self, name: &str) -> String {
        let Some(Trend { rates, .. }) = self.0.get(name) else { return String::new() };
        let most = rates.iter().copied().fold(0.0, f64::max);
        rates.iter().map(|rate| bar(*rate, most)).collect()
    }
}

impl Trend {
    fn take(&mut self, at_nanos: u64, count: u64) {
        let is_first = self.at_nanos == 0;
        let (nanos, more) =
            (at_nanos.saturating_sub(self.at_nanos), count.saturating_sub(self.count));
        (self.at_nanos, self.count) = (at_nanos, count);
        // The same status twice, or a daemon that was started again, says nothing of a rate.
        if is_first || nanos == 0 {
            return;
        }
        #[expect(
            clippy::as_conversions,
            clippy::cast_precision_loss,
            reason = "a bar has eight heights"
        )]
        self.rates.push_back(more as f64 * 1e9 / nanos as f64);
        if self.rates.len() > REMEMBERED {
            self.rates.pop_front();
        }
    }
}

fn bar(rate: f64, most: f64) -> char {
    let share = if most > 0.0 { rate / most } else { 0.0 };
    let heights = BARS.iter().zip(1_u8..);
    let mut enough = heights.filter(|(_, height)| share * 8.0 <= f64::from(*height));
    enough.next().map_or('█', |(bar, _)| *bar)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(millis: u64, sent: u64) -> Value {
        json!({ "at_nanos": millis * 1_000_000, "instances": [
            { "name": "VI_1", "statistics": { "adverts_sent": sent, "adverts_received": 1 } }] })
    }

    #[test]
    fn a_rate_is_what_came_in_between() {
        let mut trends = Trends::default();
        trends.take(&status(1_000, 5));
        assert_eq!(trends.rate("VI_1"), None);
        trends.take(&status(1_500, 10));
        assert_eq!(trends.rate("VI_1"), Some(10.0));
        trends.take(&status(2_000, 10));
        trends.take(&status(2_000, 10));
        trends.take(&status(2_500, 15));
        assert_eq!(trends.bars("VI_1"), "█▁█");
        trends.take(&json!({ "at_nanos": 3_000_000_000_u64, "instances": [] }));
        assert_eq!(trends.bars("VI_1"), "");
    }

    #[test]
    fn half_is_half_a_bar_and_only_the_last_are_remembered() {
        let mut trends = Trends::default();
        trends.take(&status(1_000, 0));
        for second in 0..100 {
            trends.take(&status(2_000 + second * 1_000, (second + 1) * 8));
        }
        trends.take(&status(102_000, 804));
        let bars = trends.bars("VI_1");
        assert_eq!(bars.chars().count(), REMEMBERED);
        assert!(bars.ends_with("█▄"), "{bars}");
    }
}
