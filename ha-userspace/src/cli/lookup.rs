//! What is looked up and printed: keywords, and scripts for shells.

use std::io::{self, Write as _};

use clap::{CommandFactory as _, builder::PossibleValuesParser};
use clap_complete::{Shell, generate};

use super::arguments::Arguments;

const NAME: &str = "ha-userspace";

/// Writes to standard output.
///
/// # Errors
/// One sentence.
pub(crate) fn print(text: &str) -> Result<(), String> {
    let mut output = io::stdout();
    let printed = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    printed.map_err(|error| format!("cannot write to standard output: {error}"))
}

/// What is known of `keyword`.
///
/// # Errors
/// One sentence: there is no such keyword.
pub(super) fn explain(keyword: &str) -> Result<String, String> {
    ha_config::explain(keyword).map_err(|nearest| {
        let advice = match nearest {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "docs/keywords.md lists them".to_owned(),
        };
        format!("`{keyword}` is no keyword of keepalived.conf: {advice}")
    })
}

/// The script for `shell`.
pub(super) fn completions(shell: Shell) -> String {
    let keywords = ha_config::keywords();
    // Only here, so that the command itself can say which keyword was meant.
    let values = PossibleValuesParser::new(&keywords);
    let mut command = Arguments::command().mut_subcommand("explain", |explain| {
        explain.mut_arg("keyword", |keyword| keyword.value_parser(values))
    });
    let mut script = Vec::new();
    generate(shell, &mut command, NAME, &mut script);
    let script = String::from_utf8_lossy(&script);
    if shell == Shell::Bash {
        // It does not find its own commands where the program's name has a hyphen:
        // https://github.com/clap-rs/clap/issues/6421
        script.replace("ha__subcmd__userspace", "ha__userspace")
    } else if shell == Shell::Fish {
        // It is told of options only.
        let keywords = keywords.into_iter().collect::<Vec<_>>().join(" ");
        let condition = "__fish_seen_subcommand_from explain";
        format!("{script}complete -c {NAME} -n \"{condition}\" -f -a \"{keywords}\"\n")
    } else {
        script.into_owned()
    }
}
