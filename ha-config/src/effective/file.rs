//! `track_file` at the top level.

use super::{track::weight, writer::Writer};
use crate::model::{InitFile, TrackedFile};

pub(super) fn write(writer: &mut Writer, file: &TrackedFile) {
    let TrackedFile { name, path, weight: by, init, place: _ } = file;
    writer.block("track_file", Some(name), |writer| {
        writer.value("file", path);
        writer.line("weight", weight(*by));
        match init {
            Some(InitFile { value, overwrite }) => {
                let overwrite = overwrite.then(|| "overwrite".to_owned());
                writer.line("init_file", core::iter::once(value.to_string()).chain(overwrite));
            }
            None => writer.silent("init_file", "(only read)"),
        }
    });
}
