//! What is wrong with a configuration, and where.

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The file means something else than it says, or than its author thinks.
    Warning,
    /// The block that has it is not used.
    Error,
}

/// A piece of the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// Offset of its first byte.
    pub start: usize,
    /// Offset after its last byte.
    pub end: usize,
    /// Line of its first byte, from 1.
    pub line: u32,
    /// Column of its first byte, from 1, in characters.
    pub column: u32,
}

/// One complaint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}
