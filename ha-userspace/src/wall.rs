//! Moments by the wall clock, in the host's time zone, as people read them.

/// The parts of a moment.
fn local(since_epoch_s: u64) -> libc::tm {
    let seconds = libc::time_t::try_from(since_epoch_s).unwrap_or(libc::time_t::MAX);
    // SAFETY: `tm` is a plain C structure, for which all zeros are a value.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both point to values of ours that live until it returns. On failure it leaves the
    // second as it is.
    unsafe { libc::localtime_r(&raw const seconds, &raw mut tm) };
    tm
}

/// `Mmm dd hh:mm:ss`, the day with a blank for a leading zero (RFC 3164 §4.1.2).
pub(crate) fn stamp(since_epoch_s: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let tm = local(since_epoch_s);
    let month = usize::try_from(tm.tm_mon).ok().and_then(|month| MONTHS.get(month));
    let month = month.unwrap_or(&"Jan");
    format!("{month} {:2} {:02}:{:02}:{:02}", tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec)
}

/// `yyyy-mm-dd hh:mm:ss.mmm`, from milliseconds since 1970-01-01.
pub(crate) fn full(unix_ms: u64) -> String {
    let tm = local(unix_ms / 1_000);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}",
        i64::from(tm.tm_year) + 1_900,
        tm.tm_mon + 1,
        tm.tm_mday,
        tm.tm_hour,
        tm.tm_min,
        tm.tm_sec,
        unix_ms % 1_000,
    )
}

/// As [`stamp`], or the year and no time of day for what is over half a year old at `now_ms`.
pub(crate) fn short(unix_ms: u64, now_ms: u64) -> String {
    const HALF_A_YEAR_MS: u64 = 183 * 86_400_000;
    if now_ms.saturating_sub(unix_ms) < HALF_A_YEAR_MS {
        stamp(unix_ms / 1_000)
    } else {
        full(unix_ms).split(' ').next().unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the time zone of the host: these are far from the ends of their days.
    #[test]
    fn moments_are_said_as_people_say_them() {
        assert_eq!(&stamp(1_700_050_000)[..6], "Nov 15");
        assert_eq!(&stamp(5 * 86_400 + 43_200)[..6], "Jan  6");
        assert!(full(1_700_050_000_123).starts_with("2023-11-15 "));
        assert!(full(1_700_050_000_123).ends_with(":40.123"));
        assert_eq!(short(1_700_050_000_000, 1_700_050_000_000), stamp(1_700_050_000));
        assert_eq!(short(1_700_050_000_000, 1_800_050_000_000), "2023-11-15");
    }
}
