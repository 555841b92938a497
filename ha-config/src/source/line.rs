//! A line as it is after substitution, that still knows which piece of the file each part is from.

use core::ops::Range;

use crate::diagnostic::Span;

#[derive(Clone, Debug)]
pub(crate) struct Line {
    text: String,
    /// In the order of the text; the first begins at or before it.
    pieces: Vec<Piece>,
    file: u32,
    number: u32,
}

/// A part of the text, from `start` to the next one.
#[derive(Clone, Debug)]
struct Piece {
    start: usize,
    /// Offsets in the file.
    source: Range<u32>,
    /// Whether it is that part of the file, or stands for it.
    verbatim: bool,
}

impl Line {
    /// Line `number` of `file`, where it begins at `offset`.
    pub(crate) fn new(text: &str, file: u32, number: u32, offset: usize) -> Self {
        let mut line = Self { text: String::new(), pieces: Vec::new(), file, number };
        let start = to_u32(offset);
        line.push(text, start..start.saturating_add(to_u32(text.len())), true);
        line
    }

    /// Without any text yet, from where `self` is from.
    pub(crate) const fn emptied(&self) -> Self {
        Self { text: String::new(), pieces: Vec::new(), file: self.file, number: self.number }
    }

    /// `text` in the place of all that `self` is from.
    pub(crate) fn replaced_by(&self, text: &str) -> Self {
        let mut line = self.emptied();
        line.push(text, self.source(0..self.text.len()), false);
        line
    }

    /// Appends `range` of `other`, as it is.
    pub(crate) fn push_part(&mut self, other: &Self, range: Range<usize>) {
        for (index, piece) in other.pieces.iter().enumerate() {
            let next = other.pieces.get(index.saturating_add(1));
            let end = next.map_or(other.text.len(), |next| next.start).min(range.end);
            let start = piece.start.max(range.start);
            let Some(text) = other.text.get(start..end).filter(|text| !text.is_empty()) else {
                continue;
            };
            let source =
                if piece.verbatim { other.source(start..end) } else { piece.source.clone() };
            self.push(text, source, piece.verbatim);
        }
    }

    /// Appends `text`, which stands for `range` of `other`.
    pub(crate) fn push_for(&mut self, text: &str, other: &Self, range: Range<usize>) {
        self.push(text, other.source(range), false);
    }

    fn push(&mut self, text: &str, source: Range<u32>, verbatim: bool) {
        self.pieces.push(Piece { start: self.text.len(), source, verbatim });
        self.text.push_str(text);
    }

    /// The rest from `start` on.
    #[must_use]
    pub(crate) fn after(&self, start: usize) -> Self {
        let mut rest = self.emptied();
        rest.push_part(self, start..self.text.len());
        if rest.pieces.is_empty() {
            rest.push("", self.source(start..start), false);
        }
        rest
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where `range` of the text is from, as the span of what is at `at`.
    pub(crate) fn span(&self, range: Range<usize>, at: Range<u32>) -> Span {
        let source = self.source(range);
        Span {
            file: self.file,
            line: self.number,
            start: source.start,
            end: source.end,
            at: at.start,
            until: at.end,
        }
    }

    fn source(&self, range: Range<usize>) -> Range<u32> {
        let holding = |offset: usize| {
            let index = self.pieces.partition_point(|piece| piece.start <= offset);
            self.pieces.get(index.saturating_sub(1))
        };
        let last = range.end.saturating_sub(1).max(range.start);
        let (Some(first), Some(final_piece)) = (holding(range.start), holding(last)) else {
            return 0..0;
        };
        let start = if first.verbatim {
            first.source.start.saturating_add(to_u32(range.start.saturating_sub(first.start)))
        } else {
            first.source.start
        };
        let end = if final_piece.verbatim {
            let length = to_u32(range.end.saturating_sub(final_piece.start));
            final_piece.source.start.saturating_add(length)
        } else {
            final_piece.source.end
        };
        start..end.max(start)
    }
}

/// Files are smaller than 4 GiB.
fn to_u32(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_knows_where_it_is_from() {
        // `x ${A} y` at offset 10, with A=long.
        let raw = Line::new("x ${A} y", 0, 1, 10);
        let mut line = raw.emptied();
        line.push_part(&raw, 0..2);
        line.push_for("long", &raw, 2..6);
        line.push_part(&raw, 6..8);
        assert_eq!(line.text(), "x long y");
        assert_eq!(line.source(0..1), 10..11);
        assert_eq!(line.source(2..6), 12..16);
        assert_eq!(line.source(3..4), 12..16);
        assert_eq!(line.source(7..8), 17..18);
        assert_eq!(line.source(0..8), 10..18);
        assert_eq!(line.after(4).source(0..2), 12..16);
        assert_eq!(line.after(7).source(0..1), 17..18);
        assert_eq!(line.after(8).source(0..0), 18..18);
        assert_eq!(line.replaced_by("z").source(0..1), 10..18);
    }
}
