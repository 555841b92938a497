//! Where getopt(3), by which keepalived reads its command line, takes what clap does not.

use std::ffi::OsString;

/// Options of one letter whose value, if they have one, is glued to them.
const MAY_HAVE_VALUE: [char; 2] = ['t', 'M'];
/// Those that have a value always: what is glued to them is no further option.
const HAVE_VALUE: &str = "fiSgprsucbA";

/// `arguments` with `-tFILE` as `-t=FILE`, also behind other letters.
pub(super) fn as_clap_reads_it(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut is_over = false;
    let separated = arguments.into_iter().map(|argument| {
        is_over |= argument == "--";
        let separated = argument.to_str().filter(|_| !is_over).and_then(separated);
        separated.map_or(argument, OsString::from)
    });
    separated.collect()
}

/// With a `=` before the glued value, if it has one.
fn separated(argument: &str) -> Option<String> {
    let letters = argument.strip_prefix('-').filter(|letters| !letters.starts_with('-'))?;
    let at =
        letters.find(|letter| MAY_HAVE_VALUE.contains(&letter) || HAVE_VALUE.contains(letter))?;
    // Of one byte, as all of them.
    let (before, value) = letters.split_at_checked(at.checked_add(1)?)?;
    let is_glued = before.ends_with(MAY_HAVE_VALUE) && !value.is_empty() && !value.starts_with('=');
    is_glued.then(|| format!("-{before}={value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glued_values_are_found() {
        for (given, expected) in [
            ("-tlog.txt", "-t=log.txt"),
            ("-nDt/tmp/log", "-nDt=/tmp/log"),
            ("-Mcore", "-M=core"),
            ("-t", "-t"),
            ("-t=x", "-t=x"),
            ("-f/etc/t", "-f/etc/t"),
            ("-Dit", "-Dit"),
            ("--config-test", "--config-test"),
            ("-", "-"),
            ("-ä", "-ä"),
            ("tx", "tx"),
        ] {
            assert_eq!(as_clap_reads_it([given.into()]), [expected], "{given}");
        }
        let after = ["--", "-tx"].map(OsString::from);
        assert_eq!(as_clap_reads_it(after.clone()), after);
    }
}
