//! Pictures as packet trains: datagrams that left at a known pace, and whose spacing at the receiver tells what the path carries.

use std::collections::{BTreeMap, VecDeque};

use super::Cell;

/// Datagrams that a train has at least.
const LEAST: usize = 3;
/// Of one this long the first third is left out: it may have ridden on a shaper's tokens.
const LONG: usize = 9;
/// As many tell how dense a train is (fewer are noise beside sound).
const DENSE: usize = 5;
/// A path that stretches a train by more than this holds it up. Bursts of a radio do less to 30 ms (±15 %).
const TIGHT: f64 = 0.85;
/// Trains that are kept, and for how long, s.
const KEPT: usize = 3;
const FRESH: f64 = 1.0;
/// Pictures whose datagrams are not all told of yet.
const OPEN: usize = 8;

/// What one picture said of the path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Train {
    /// Bits a second, with the sound beside it.
    pub carried: f64,
    /// The path held it up: it carries no more.
    pub tight: bool,
    at: f64,
}

#[derive(Default)]
pub struct Trains {
    /// When each datagram left and arrived, and its bits.
    open: BTreeMap<u32, Vec<(f64, f64, f64)>>,
    kept: VecDeque<Train>,
    /// When, bits and seconds of trains that tell density.
    dense: VecDeque<(f64, f64, f64)>,
    /// Trains in a row that were not held up.
    pub clear: u32,
}

impl Trains {
    /// A datagram of this picture arrived.
    pub fn arrived(&mut self, picture: u32, cell: &Cell, at: f64) {
        self.open.entry(picture).or_default().push((cell.sent, at, cell.bits));
        while self.open.len() > OPEN {
            self.open.pop_first();
        }
    }

    /// Takes the pictures that are over, which is when a later one has begun. `side` is what passes beside them. Returns how
    /// many trains they made.
    pub fn finish(&mut self, now: f64, side: f64) -> usize {
        let mut fresh = 0;
        while self.open.len() > 1 {
            let Some((_, seen)) = self.open.pop_first() else { break };
            if let Some(train) = self.train(now, &seen, side) {
                self.clear = if train.tight { 0 } else { self.clear.saturating_add(1) };
                self.kept.push_back(train);
                fresh += 1;
            }
        }
        while self.kept.len() > KEPT || self.kept.front().is_some_and(|train| train.at < now - FRESH) {
            self.kept.pop_front();
        }
        while self.dense.front().is_some_and(|(at, ..)| *at < now - FRESH) {
            self.dense.pop_front();
        }
        fresh
    }

    fn train(&mut self, now: f64, seen: &[(f64, f64, f64)], side: f64) -> Option<Train> {
        let seen = if seen.len() >= LONG { &seen[seen.len() / 3..] } else { seen };
        let (first, last) = seen.first().zip(seen.last()).filter(|_| seen.len() >= LEAST)?;
        let (sent, arrived) = (last.0 - first.0, last.1 - first.1);
        if sent <= 0.0 || arrived <= 0.0 {
            return None;
        }
        let bits: f64 = seen[1..].iter().map(|(.., bits)| bits).sum();
        if seen.len() >= DENSE {
            self.dense.push_back((now, bits, arrived));
        }
        Some(Train { carried: bits / arrived + side, tight: arrived > sent / TIGHT, at: now })
    }

    /// What those carried that were held up, rising.
    pub fn tight(&self) -> Vec<f64> {
        let mut tight: Vec<f64> = self.kept.iter().filter(|train| train.tight).map(|train| train.carried).collect();
        tight.sort_by(f64::total_cmp);
        tight
    }

    /// The first of those that were held up.
    pub fn first_tight(&self) -> Option<f64> {
        self.kept.iter().find(|train| train.tight).map(|train| train.carried)
    }

    /// The least that those carried that were not held up.
    pub fn least_clear(&self) -> Option<f64> {
        self.kept.iter().filter(|train| !train.tight).map(|train| train.carried).reduce(f64::min)
    }

    /// How dense datagrams come within trains, bits a second; `None` if there are too few trains to tell.
    pub fn density(&self) -> Option<f64> {
        let (bits, time) = self.dense.iter().fold((0.0, 0.0), |(bits, time), (_, b, t)| (bits + b, time + t));
        (self.dense.len() > 8).then(|| bits / time)
    }

    /// After a cut they say nothing any more.
    pub fn clear_kept(&mut self) {
        self.kept.clear();
    }

    pub fn forget(&mut self) {
        self.kept.clear();
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twelve datagrams of 10 000 bits that leave each `sent` s and arrive each `arrived` s.
    fn train(trains: &mut Trains, picture: u32, sent: f64, arrived: f64) {
        for n in 0..12 {
            let n = f64::from(n);
            let cell = Cell { sent: n * sent, arrived: None, bits: 1e4, picture: Some(picture), marked: false };
            trains.arrived(picture, &cell, 5.0 + n * arrived);
        }
    }

    #[test]
    fn what_a_path_carries_is_read_from_its_spacing() {
        let mut trains = Trains::default();
        train(&mut trains, 1, 0.001, 0.002);
        assert_eq!(trains.finish(1.0, 0.0), 0, "it may not be over");
        train(&mut trains, 2, 0.001, 0.001);
        assert_eq!((trains.finish(1.0, 1e6), trains.clear), (1, 0));
        let tight = trains.tight();
        assert!((tight[0] - 6e6).abs() < 1.0, "5 Mb/s, and 1 beside it: {tight:?}");
        train(&mut trains, 3, 0.001, 0.001);
        assert_eq!((trains.finish(1.1, 0.0), trains.clear), (1, 1));
        assert!(trains.least_clear().is_some_and(|carried| (carried - 1e7).abs() < 1.0));
        trains.finish(3.0, 0.0);
        assert_eq!((trains.tight(), trains.least_clear()), (vec![], None), "long ago");
    }
}
