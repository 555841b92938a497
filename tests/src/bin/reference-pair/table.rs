//! The summary: one line for each event, aligned, in milliseconds.

use core::time::Duration;

/// What was seen of one event.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) event: &'static str,
    /// The RFC's bound for the new Master's first advertisement; none where nothing fails over.
    pub(crate) bound: Option<Duration>,
    /// Until the new Master had advertised on both segments.
    pub(crate) advert: Option<Duration>,
    /// Until it had announced all four addresses.
    pub(crate) announcement: Option<Duration>,
    /// The longest time for which one of the addresses did not answer the client.
    pub(crate) silence: Option<Duration>,
    /// How much of that may be the client's own lateness.
    pub(crate) pause: Option<Duration>,
}

/// The table of one act.
pub(crate) fn print(title: &str, rows: &[Row]) {
    println!("\n{title}");
    println!(
        "  {:<34}{:>12}{:>14}{:>14}{:>12}{:>12}",
        "", "bound", "first advert", "all announced", "client", "client's"
    );
    println!(
        "  {:<34}{:>12}{:>14}{:>14}{:>12}{:>12}",
        "event (milliseconds)", "by RFC", "of new Master", "by ARP", "silence", "own pause"
    );
    for row in rows {
        println!(
            "  {:<34}{:>12}{:>14}{:>14}{:>12}{:>12}",
            row.event,
            millis(row.bound),
            millis(row.advert),
            millis(row.announcement),
            millis(row.silence),
            millis(row.pause),
        );
    }
}

/// Milliseconds with a tenth; a dash for what does not apply.
pub(crate) fn millis(duration: Option<Duration>) -> String {
    let text = |duration: Duration| {
        let tenths = duration.as_micros().saturating_add(50) / 100;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    duration.map_or_else(|| "-".to_owned(), text)
}
