//! Things by number. A number stays with its thing for as long as the daemon runs: kernel slots,
//! sockets and what is on its way between threads refer to it.

use std::collections::BTreeMap;

/// Things, some of which may be gone.
#[derive(Clone, Debug)]
pub(crate) struct Numbered<T>(Vec<Option<T>>);

impl<T> Numbered<T> {
    /// One more than the highest number there ever was.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.0.get(usize::try_from(number).ok()?)?.as_ref()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().flatten()
    }

    /// With their numbers, in their order.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.0).filter_map(|(number, thing)| Some((number, thing.as_ref()?)))
    }

    /// Numbers of nothing.
    pub(crate) fn free(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.0).filter(|(_, thing)| thing.is_none()).map(|(number, _)| number)
    }

    /// The numbers that these things get when they come after `before`: what `is_same` finds there
    /// keeps its number, the others get those that were free before. One that becomes free now is
    /// nobody's for once: its thing is still being spoken of.
    ///
    /// Only things of one name are compared: there may be ten thousands.
    pub(super) fn numbers_after(
        &self,
        before: &Self,
        name: fn(&T) -> &str,
        is_same: impl Fn(&T, &T) -> bool,
    ) -> Vec<u32> {
        let mut known: BTreeMap<&str, Vec<(u32, &T)>> = BTreeMap::new();
        for (number, old) in before.numbered() {
            known.entry(name(old)).or_default().push((number, old));
        }
        let mut free = before.free().chain(before.count()..);
        let mut number_of = |thing: &T| {
            let same_name = known.get_mut(name(thing));
            let same = same_name.and_then(|same_name| {
                let at = same_name.iter().position(|(_, old)| is_same(old, thing))?;
                Some(same_name.remove(at).0)
            });
            same.or_else(|| free.next()).unwrap_or(u32::MAX)
        };
        self.iter().map(&mut number_of).collect()
    }

    /// The same things by other numbers, one for each, none twice; at least `count` places.
    pub(super) fn renumbered(self, numbers: &[u32], count: u32) -> Self {
        let last = numbers.iter().map(|number| number.saturating_add(1)).max().unwrap_or(0);
        let places = usize::try_from(last.max(count)).unwrap_or(0);
        let mut things: Vec<Option<T>> = (0..places).map(|_| None).collect();
        for (thing, number) in self.0.into_iter().flatten().zip(numbers) {
            let place = usize::try_from(*number).ok();
            if let Some(place) = place.and_then(|place| things.get_mut(place)) {
                *place = Some(thing);
            }
        }
        Self(things)
    }
}

impl<T> FromIterator<T> for Numbered<T> {
    fn from_iter<I: IntoIterator<Item = T>>(things: I) -> Self {
        Self(things.into_iter().map(Some).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Each letter is a thing, and its own name.
    fn of(text: &str) -> Numbered<String> {
        text.chars().map(String::from).collect()
    }

    fn after(before: &Numbered<String>, text: &str) -> Numbered<String> {
        let numbers = of(text).numbers_after(before, String::as_str, |one, other| one == other);
        of(text).renumbered(&numbers, before.count())
    }

    fn shown(things: &Numbered<String>) -> String {
        things.0.iter().map(|thing| thing.as_deref().unwrap_or("-")).collect()
    }

    #[test]
    fn what_stays_keeps_its_number_and_new_ones_take_free_ones() {
        assert_eq!(shown(&after(&of("abc"), "ca")), "a-c");
        assert_eq!(shown(&after(&of("abc"), "xcay")), "a-cxy");
        assert_eq!(shown(&after(&of(""), "ab")), "ab");
        let gone = after(&of("abc"), "c");
        assert_eq!(shown(&gone), "--c");
        assert_eq!(gone.free().collect::<Vec<_>>(), [0, 1]);
        assert_eq!(gone.numbered().collect::<Vec<_>>(), [(2, &"c".to_owned())]);
        assert_eq!(shown(&after(&gone, "dc")), "d-c");
        // Two that look alike are two.
        assert_eq!(shown(&after(&of("aa"), "aaa")), "aaa");
    }

    #[test]
    fn ten_thousand_are_looked_at_once_each() {
        let numbers = || 0..10_000_u32;
        let before: Numbered<String> = numbers().map(|number| number.to_string()).collect();
        let now: Numbered<String> = numbers().rev().map(|number| number.to_string()).collect();
        let compared = Cell::new(0);
        let is_same = |old: &String, new: &String| {
            compared.set(compared.get() + 1);
            old == new
        };
        let numbers_after = now.numbers_after(&before, String::as_str, is_same);
        assert_eq!(numbers_after, numbers().rev().collect::<Vec<_>>());
        assert_eq!(compared.get(), 10_000);
    }
}
