//! The command `check`, as somebody sees it who types it.
#![cfg(test)]
#![expect(clippy::print_stderr, reason = "a test that was not run says why")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command, Output},
};

use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ha-userspace");
const SOUND: &str = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 1\n \
                     virtual_ipaddress {\n 192.0.2.1\n }\n}\n";

/// A directory of this test, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("ha-check-run-{}-{name}", process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn check(file: &Path, words: &[&str]) -> Output {
    Command::new(PROGRAM).arg("check").arg(file).args(words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn an_included_file_s_line_is_shown() {
    let directory = Directory::new("include");
    let instance = SOUND.replace("virtual_router_id 1", "virtual_router_id 256");
    // The same line of the other file says something else.
    let main = directory.write("main.conf", "! one\n! two\n! three\ninclude part.conf\n");
    let part = directory.write("part.conf", instance);
    let output = check(&main, &[]);
    assert_eq!(output.status.code(), Some(4));
    let shown = text(&output.stderr);
    let place = format!(" --> {}:3:20\n  |\n3 |  virtual_router_id 256\n", part.display());
    assert!(shown.contains(&place), "{shown}");
    assert!(shown.ends_with(&format!("{}: 1 error(s), 0 warning(s)\n", main.display())), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn carets_stay_right_whatever_the_encoding() {
    let directory = Directory::new("encoding");
    let lines = [
        &b"\xef\xbb\xbf! byte order mark\r\n"[..],
        b"\tinteval 1\r\n",
        b"\xe9t\xe9 { \xff } inteval\n",
        "東京 { 東 } inteval".as_bytes(),
    ];
    let shown = text(&check(&directory.write("odd.conf", lines.concat()), &[]).stderr);
    let lines: Vec<&str> = shown.lines().collect();
    let carets: Vec<(&str, &str)> = lines
        .windows(2)
        .filter_map(|pair| pair[1].contains("^^^^^^^").then_some((pair[0], pair[1])))
        .collect();
    assert_eq!(
        carets,
        [
            ("2 |  inteval 1", "  |  ^^^^^^^"),
            ("3 | \u{fffd}t\u{fffd} { \u{fffd} } inteval", "  |           ^^^^^^^"),
            ("4 | 東京 { 東 } inteval", "  |             ^^^^^^^"),
        ],
        "{shown}"
    );
}

/// What `check` writes to a terminal, with these variables.
fn on_a_terminal(file: &Path, variables: &[(&str, &str)]) -> String {
    let command = format!("{PROGRAM} check {}", file.display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    script.env_remove("NO_COLOR").env("TERM", "xterm").envs(variables.iter().copied());
    let output = script.output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    text(&output.stdout)
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let directory = Directory::new("colours");
    let file = directory.write("broken.conf", "vrrp_instanc A {\n}\n");
    let coloured = on_a_terminal(&file, &[]);
    assert!(coloured.contains("\u{1b}[1m"), "{coloured:?}");
    let plain = text(&check(&file, &[]).stderr);
    for variables in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let shown = on_a_terminal(&file, &[variables]);
        assert_eq!(shown.replace("\r\n", "\n"), plain);
    }
}

#[test]
fn no_flood_hides_what_counts() {
    let directory = Directory::new("flood");
    let flood = "vrrp_instanc A { x }\n".repeat(30_000);
    let file = directory.write("flood.conf", flood.clone() + SOUND);
    let output = check(&file, &[]);
    let shown = text(&output.stderr);
    let last = shown.lines().last().unwrap();
    assert!(last.ends_with(" error(s), 0 warning(s); the first 1000 are shown"), "{last}");
    assert_eq!(shown.matches("error: ").count(), 1000);
    let stray = format!("{}{SOUND}vrrp_instanc A {{\n}}\n", ";\n".repeat(30_000));
    let output = check(&directory.write("stray.conf", stray), &[]);
    let shown = text(&output.stderr);
    assert!(shown.contains("error: unknown keyword `vrrp_instanc`"), "{shown}");
    assert_eq!(output.status.code(), Some(4));
}

/// What another program reads of it.
fn json(file: &Path) -> (Value, Option<i32>) {
    let output = check(file, &["--format", "json"]);
    let line = text(&output.stdout);
    assert_eq!(line.lines().count(), 1, "{line}");
    (reread(&line), output.status.code())
}

/// As another reader understands it, who knows nothing of our library.
fn reread(line: &str) -> Value {
    let copy = "import json, sys; print(json.dumps(json.loads(sys.argv[1])))";
    let read = match Command::new("python3").args(["-c", copy, line]).output() {
        Ok(output) if output.status.success() => text(&output.stdout),
        Ok(output) => panic!("{line}: {}", text(&output.stderr)),
        Err(error) => {
            eprintln!("python3 does not read it as well: {error}");
            line.to_owned()
        }
    };
    serde_json::from_str(&read).unwrap()
}

#[test]
fn programs_are_told_the_same() {
    let directory = Directory::new("json");
    let name = "odd \"\\\n\u{1b}é.conf";
    let file = directory.write(name, "! x\r\n\tpriö\u{7f}rity 300 # 東\r\n");
    let (object, code) = json(&file);
    assert_eq!(code, Some(4));
    let path = file.to_str().unwrap();
    let unknown = json!({
        "severity": "error", "file": path, "line": 2, "column": 2, "end_column": 11,
        "message": "unknown keyword `priö\u{fffd}rity` in the top level",
        "help": "did you mean `priority`, which belongs in `vrrp_instance`?",
    });
    assert_eq!(object["diagnostics"][0], unknown, "{object}");
    let counts = json!([object["file"], object["verdict"], object["errors"], object["warnings"]]);
    assert_eq!(counts, json!([path, "errors", 1, 0]), "{object}");
    assert_eq!(object["diagnostics"].as_array().unwrap().len(), 1, "{object}");
}

#[test]
fn programs_are_told_of_success_too() {
    let directory = Directory::new("json-sound");
    let (object, code) = json(&directory.write("sound.conf", SOUND));
    assert_eq!(code, Some(0));
    assert_eq!(object["verdict"], "ok", "{object}");
    assert_eq!(object["diagnostics"], json!([]), "{object}");
    let missing = check(&directory.0.join("missing"), &["--format", "json"]);
    assert_eq!((missing.status.code(), missing.stdout.len()), (Some(1), 0));
}
