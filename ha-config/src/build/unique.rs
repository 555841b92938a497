//! A list of things with a key each, where the first one counts. A file may have a hundred thousand
//! of them, so none is looked for by going through all others.

use core::{borrow::Borrow, slice};
use std::collections::{BTreeMap, btree_map::Entry};

/// Things in the order of the file.
#[derive(Debug)]
pub(super) struct Unique<K, T> {
    items: Vec<T>,
    /// Where in `items` the thing with a key is.
    index: BTreeMap<K, usize>,
}

impl<K, T> Default for Unique<K, T> {
    fn default() -> Self {
        Self { items: Vec::new(), index: BTreeMap::new() }
    }
}

impl<K: Ord, T> Unique<K, T> {
    /// Adds `item`, unless there is one with this key, which is returned then.
    pub(super) fn insert(&mut self, key: K, item: T) -> Result<(), &T> {
        match self.index.entry(key) {
            Entry::Occupied(first) => self.items.get(*first.get()).map_or(Ok(()), Err),
            Entry::Vacant(place) => {
                place.insert(self.items.len());
                self.items.push(item);
                Ok(())
            }
        }
    }

    pub(super) fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&T>
    where
        K: Borrow<Q>,
    {
        self.items.get(*self.index.get(key)?)
    }

    pub(super) fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.index.contains_key(key)
    }

    pub(super) fn as_slice(&self) -> &[T] {
        &self.items
    }

    pub(super) fn iter(&self) -> slice::Iter<'_, T> {
        self.items.iter()
    }
}

impl<'a, K: Ord, T> IntoIterator for &'a Unique<K, T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_counts() {
        let mut list = Unique::default();
        assert_eq!(list.insert("b".to_owned(), 1), Ok(()));
        assert_eq!(list.insert("a".to_owned(), 2), Ok(()));
        assert_eq!(list.insert("b".to_owned(), 3), Err(&1));
        assert_eq!(list.as_slice(), [1, 2]);
        assert_eq!((list.find("a"), list.find("c")), (Some(&2), None));
    }
}
