//! What is looked up by the command line: keywords, and how a shell completes them.
#![cfg(test)]

use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ha-userspace");

fn run(words: &[&str]) -> Output {
    Command::new(PROGRAM).args(words).env("NO_COLOR", "1").output().unwrap()
}

fn stdout(words: &[&str]) -> String {
    let output = run(words);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_keyword_is_explained() {
    // Its range and default are keepalived.conf(5)'s.
    let explained = stdout(&["explain", "vrrp_version"]);
    let expected = "vrrp_version 2|3 (in global_defs)\n  default: 2\n  supported\n";
    assert_eq!(explained, expected);
    // Two blocks have it.
    let explained = stdout(&["explain", "track_script"]);
    assert!(explained.contains("} (in vrrp_instance)\n"), "{explained}");
    assert!(explained.contains("} (in vrrp_sync_group)\n"), "{explained}");
}

#[test]
fn an_unknown_keyword_has_a_near_one() {
    let output = run(&["explain", "inteval"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("`inteval` is no keyword"), "{said}");
    assert!(said.contains("did you mean `interval`?"), "{said}");
}

/// What bash offers when Tab is pressed at the end of `words`.
fn complete(words: &[&str]) -> Vec<String> {
    let test = r#"
        source <(printf %s "$SCRIPT")
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        completer=$(complete -p ha-userspace)
        completer=${completer##*-F }
        ${completer%% *} "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let script = stdout(&["completions", "bash"]);
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", test, "bash"]).args(words).env("SCRIPT", script);
    let output = bash.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_keywords() {
    assert_eq!(complete(&["ha-userspace", "expl"]), ["explain"]);
    assert_eq!(complete(&["ha-userspace", "check", "--form"]), ["--format"]);
    assert_eq!(complete(&["ha-userspace", "check", "--format", "j"]), ["json"]);
    assert_eq!(complete(&["ha-userspace", "explain", "priori"]), ["priority"]);
    let refreshing = complete(&["ha-userspace", "explain", "garp_master_refresh"]);
    assert_eq!(refreshing, ["garp_master_refresh", "garp_master_refresh_repeat"]);
}

#[test]
fn every_shell_s_script_has_every_keyword() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&["completions", shell]);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words: Vec<&str> = script.split(|c| !is_part(c)).collect();
        for keyword in ["global_defs", "vrrp_instance", "nopreempt", "script", "virtual_server"] {
            assert!(words.contains(&keyword), "{keyword} is not in that of {shell}");
        }
    }
}
