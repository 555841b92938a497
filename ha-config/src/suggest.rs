//! "Did you mean": the nearest known word.

/// The candidate nearest to `word`, if one is near enough to be a slip of the keyboard.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // No keyword is longer than 40 characters; longer words only cost time.
    if word.len() > LONGEST {
        return None;
    }
    let typed = word.to_ascii_lowercase().replace('-', "_");
    let length = typed.chars().count();
    let limit = (length / 3).clamp(1, 3);
    candidates
        .into_iter()
        // The distance is at least the difference in length, and that is cheap.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= limit)
        .filter_map(|candidate| {
            let distance = distance(&typed, &candidate.to_ascii_lowercase(), limit)?;
            Some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

const LONGEST: usize = 64;

/// Letters to insert, remove, replace or swap with their neighbour to make `left` into `right`;
/// `None` above `limit`.
fn distance(left: &str, right: &str, limit: usize) -> Option<usize> {
    let right: Vec<char> = right.chars().collect();
    // Rows of the table for the prefixes of `left` up to the letter before last, last, this one.
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut left_before = None;
    for (row, letter) in left.chars().enumerate() {
        let mut this = vec![row + 1];
        let mut right_before = None;
        for (column, other) in right.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
            let replace = at(&last, column).saturating_add(usize::from(letter != *other));
            let insert = at(&this, column).saturating_add(1);
            let remove = at(&last, column + 1).saturating_add(1);
            let mut best = replace.min(insert).min(remove);
            if left_before == Some(*other) && right_before == Some(letter) {
                best = best.min(at(&before_last, column.saturating_sub(1)).saturating_add(1));
            }
            this.push(best);
            right_before = Some(*other);
        }
        // Two rows above the limit cannot lead below it again; a swap reaches back that far.
        if this.iter().chain(&last).all(|distance| *distance > limit) {
            return None;
        }
        left_before = Some(letter);
        before_last = core::mem::replace(&mut last, this);
    }
    last.last().copied().filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc", 3), Some(3));
        assert_eq!(distance("abc", "", 3), Some(3));
        assert_eq!(distance("priority", "priority", 3), Some(0));
        assert_eq!(distance("proirity", "priority", 3), Some(1));
        assert_eq!(distance("kitten", "sitting", 2), None);
        assert_eq!(distance("kitten", "sitting", 3), Some(3));
    }

    #[test]
    fn near_words_only() {
        let known = ["priority", "preempt", "nopreempt", "state"];
        assert_eq!(nearest("pirority", known), Some("priority"));
        assert_eq!(nearest("no_preempt", known), Some("nopreempt"));
        assert_eq!(nearest("bananas", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
