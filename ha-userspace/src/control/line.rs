//! A document as one line.

use std::io::{self, Write};

/// Leaves out line feeds and what indents the next line. In JSON's strings there are none.
pub(crate) struct OneLine<W> {
    to: W,
    is_indent: bool,
}

impl<W: Write> OneLine<W> {
    pub(crate) const fn new(to: W) -> Self {
        Self { to, is_indent: false }
    }

    /// What it writes to.
    pub(crate) fn into_inner(self) -> W {
        self.to
    }
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let blanks = part.iter().take_while(|byte| self.is_indent && **byte == b' ').count();
            let rest = part.get(blanks..).unwrap_or_default();
            let text = rest.strip_suffix(b"\n").unwrap_or(rest);
            self.to.write_all(text)?;
            self.is_indent = text.len() < rest.len() || self.is_indent && rest.is_empty();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_says_the_same_in_one_line() {
        let text = "{\n  \"a  b\": [\n    1,\n\n    2\n  ],\n  \"c\": \"  d\"\n}\n";
        let expected = r#"{"a  b": [1,2],"c": "  d"}"#;
        // However it is cut.
        for size in 1..text.len() {
            let mut line = OneLine::new(Vec::new());
            for part in text.as_bytes().chunks(size) {
                line.write_all(part).unwrap();
            }
            assert_eq!(String::from_utf8(line.into_inner()).unwrap(), expected, "by {size}");
        }
    }
}
