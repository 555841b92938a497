//! Files of `tests/data`, and what is expected of them.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The configurations in `directory`, seen from the crate.
pub(crate) fn confs(directory: &str) -> Vec<PathBuf> {
    let directory = root().join(directory);
    let mut confs: Vec<PathBuf> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "conf"))
        .collect();
    confs.sort();
    assert!(!confs.is_empty(), "no files in {}", directory.display());
    confs
}

/// The file `path` must be `actual`.
pub(crate) fn expect(path: &Path, actual: &str) {
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(path, actual).unwrap();
    }
    let expected = if path.exists() { read(path) } else { String::new() };
    assert!(
        expected == actual,
        "{} differs; UPDATE_EXPECT=1 writes it. Now:\n{actual}",
        path.display()
    );
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
