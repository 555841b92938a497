//! Files with a number.

use super::Weight;
use crate::diagnostic::Place;

/// `track_file NAME`: a file whose number moves priorities.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackedFile {
    /// The block's name.
    pub name: String,
    /// `file`: not empty.
    pub path: String,
    /// `weight`, which the number is multiplied with; default 1. Where it is tracked it may be
    /// overridden: see [`TrackFile::weight`], which is the one to use.
    pub weight: Weight,
    /// `init_file [NUMBER] [overwrite]`. `None`: the file is only read.
    pub init: Option<InitFile>,
    /// The line of the block's head.
    pub place: Place,
}

/// What is written to a tracked file at the start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InitFile {
    /// Default 0.
    pub value: i32,
    /// `overwrite`: also if the file is there.
    pub overwrite: bool,
}

/// One line of a `track_file` in a group or an instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackFile {
    /// A name in [`super::Config::files`].
    pub file: String,
    /// `weight N [reverse]`; default is the file's own weight.
    pub weight: Weight,
    /// The line of the file.
    pub place: Place,
}
