//! Frames that a real keepalived sent, kept as text in `tests/vectors`.
//!
//! `cargo run -p ha-tests --bin capture-vectors` makes them. A file is lines of comment (`#`: how
//! the frame was made) and then the bytes of one Ethernet frame in hexadecimal.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One frame and where it comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vector {
    /// The file's name without `.hex`.
    pub name: String,
    /// The comment lines, without `#`.
    pub notes: Vec<String>,
    /// From the Ethernet header on.
    pub frame: Vec<u8>,
}

impl Vector {
    /// The vector in the text `text`, or what is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut notes = Vec::new();
        let mut frame = Vec::new();
        for line in text.lines() {
            if let Some(note) = line.strip_prefix('#') {
                notes.push(note.trim().to_owned());
                continue;
            }
            for word in line.split_whitespace() {
                let byte = u8::from_str_radix(word, 16)
                    .map_err(|error| format!("{name}: `{word}`: {error}"))?;
                frame.push(byte);
            }
        }
        if frame.is_empty() {
            return Err(format!("{name}: no frame"));
        }
        Ok(Self { name: name.to_owned(), notes, frame })
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        let note = |note: &String| format!("# {note}").trim_end().to_owned() + "\n";
        let mut text: String = self.notes.iter().map(note).collect();
        for line in self.frame.chunks(16) {
            let bytes: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            text += &bytes.join(" ");
            text.push('\n');
        }
        text
    }
}

/// Where the vectors are.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// The vector `name`; panics if there is none.
pub fn load(name: &str) -> Vector {
    let path = directory().join(format!("{name}.hex"));
    let text = fs::read_to_string(&path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Vector::parse(name, &text).unwrap_or_else(|error| panic!("{error}"))
}

/// All vectors, by name.
pub fn all() -> Vec<Vector> {
    let entries = fs::read_dir(directory()).expect("the directory of the vectors");
    let name_of = |entry: fs::DirEntry| -> Option<String> {
        Some(entry.file_name().to_str()?.strip_suffix(".hex")?.to_owned())
    };
    let mut names: Vec<String> = entries.flatten().filter_map(name_of).collect();
    names.sort();
    names.iter().map(|name| load(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for vector in all() {
            assert_eq!(Vector::parse(&vector.name, &vector.to_text()), Ok(vector));
        }
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(Vector::parse("x", "# only a note\n").is_err());
        assert!(Vector::parse("x", "00 0g\n").unwrap_err().contains("0g"));
    }
}
