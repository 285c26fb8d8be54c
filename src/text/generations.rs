//! A bounded cache of two generations: what is used moves to the young one; when that is full the old one goes.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// Values by key, each with a weight; it holds at most twice `most` of them.
pub struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    weight: usize,
    most: usize,
}

impl<K: Hash + Eq, V: Clone> Generations<K, V> {
    pub fn new(most: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), weight: 0, most }
    }

    /// What is kept under this key; `weigh` tells what it weighs.
    pub fn find(&mut self, key: &K, weigh: impl Fn(&V) -> usize) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        let weight = weigh(&value);
        self.keep(key, value.clone(), weight);
        Some(value)
    }

    pub fn keep(&mut self, key: K, value: V, weight: usize) {
        if self.weight + weight > self.most {
            self.old = mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += weight;
        self.young.insert(key, value);
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_bounded() {
        let mut cache = Generations::new(10);
        for n in 0..1_000 {
            cache.keep(n, n, 1);
            assert_eq!(cache.find(&0, |_| 1), Some(0), "used all the time");
            assert!(cache.len() <= 20, "{}", cache.len());
        }
        assert_eq!((cache.find(&500, |_| 1), cache.find(&999, |_| 1)), (None, Some(999)));
    }
}
