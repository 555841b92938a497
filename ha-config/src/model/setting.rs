//! What is read and checked, but not active yet.

use crate::diagnostic::Place;

/// A statement in the words of the file, without a type of its own yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Setting {
    /// The first word of the line; in a list, the first word of the entry.
    pub keyword: String,
    /// The other words.
    pub values: Vec<String>,
    /// What is between its braces.
    pub body: Vec<Setting>,
    /// The line of the file.
    pub place: Place,
}
