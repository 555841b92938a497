//! What is looked up and printed: keywords, the version, manual pages, and scripts for shells.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use clap::{CommandFactory as _, builder::PossibleValuesParser};
use clap_complete::{Shell, generate};
use clap_mangen::Man;

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

/// The version, how it was built, and what it needs.
pub(super) const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit ",
    env!("HA_BUILD_COMMIT"),
    "\n",
    env!("HA_BUILD_RUSTC"),
    "\neBPF object ",
    env!("HA_BUILD_OBJECT"),
    "\nfeatures: VRRPv2 (PASS, AH), VRRPv3, IPv4, IPv6, unicast, XDP, SCHED_DEADLINE",
    "\nkernel: Linux 5.18 for XDP, and to know addresses again after a kill; older ones by packet \
     sockets",
);

/// Writes a page for the program and one for each of its commands.
///
/// # Errors
/// One sentence: a file cannot be written.
pub(super) fn write_manual(directory: &Path) -> Result<(), String> {
    let mut command = Arguments::command();
    command.build();
    let pages = command.get_subcommands().filter(|page| !page.is_hide_set()).cloned();
    let pages: Vec<clap::Command> = pages.filter(|page| page.get_name() != "help").collect();
    for page in pages.into_iter().chain([command]) {
        let name = match page.get_name() {
            NAME => NAME.to_owned(),
            command => format!("{NAME}-{command}"),
        };
        let path = directory.join(format!("{name}.8"));
        let mut text = Vec::new();
        let page = Man::new(page).section("8").title(name).manual("System administration");
        page.render(&mut text)
            .and_then(|()| fs::write(&path, text))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
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
