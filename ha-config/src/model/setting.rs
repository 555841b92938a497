//! What is read and checked, but not active yet.

/// A statement in the words of the file, without a type of its own yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Setting {
    /// The first word of the line; in a list, the first word of the entry.
    pub keyword: String,
    /// The other words.
    pub values: Vec<String>,
    /// What is between its braces.
    pub body: Vec<Setting>,
    /// Line of the file, from 1.
    pub line: u32,
}
