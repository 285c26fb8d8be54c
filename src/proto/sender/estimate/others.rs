//! Whether somebody else fills the path who heeds no delay, and whether the way itself has become longer.

/// A queue of less than this is none, s.
const CALM: f64 = 0.008;
/// One of more than this, standing for [`FOR`], may be somebody else's.
const STANDS: f64 = 0.010;
const FOR: f64 = 1.0;
/// Ours come so much denser within trains than on average: somebody's datagrams lie between the trains.
const DENSER: f64 = 1.10;
/// Where that cannot be told: a queue that stands for so long, although less than this part of what was sent before is sent now.
const FOREIGN_FOR: f64 = 1.5;
const FOREIGN: f64 = 0.6;
/// They do not: the queue is ours.
const ALONE: f64 = 1.03;
/// Nothing was too much for so long, s.
const CALM_FOR: f64 = 1.4;
/// A queue that changes by less than this in [`FLAT_FOR`] is flat.
const FLAT: f64 = 0.003;
const FLAT_SHARE: f64 = 0.05;
const FLAT_FOR: f64 = 2.0;
/// Trains in a row without a trace of a queue.
const CLEAR: u32 = 5;

/// Standing queues, and since when.
#[derive(Default)]
pub struct Others {
    /// Since when a queue has stood, and the rate at that time.
    since: Option<(f64, f64)>,
    /// A queue a while ago.
    earlier: (f64, f64),
    /// Since when it has been flat, its least and its most.
    flat: (f64, f64, f64),
}

/// What has been found out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Finding {
    Nothing,
    /// Somebody fills the path.
    Somebody,
    /// Nobody does, or no longer.
    Nobody,
    /// The way has become longer by so much, s.
    Longer(f64),
}

/// What is seen at present.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub now: f64,
    /// The standing queue, s.
    pub queue: f64,
    /// Ours, bits a second.
    pub rate: f64,
    /// Something is too much.
    pub over: bool,
    /// When that was last.
    pub over_at: f64,
    /// We compete, and had the last loss then.
    pub competes_since: Option<f64>,
    /// How much denser ours come within trains than on average; `None`: it cannot be told.
    pub density: Option<f64>,
    /// Trains in a row that were not held up.
    pub clear: u32,
}

impl Others {
    pub fn look(&mut self, seen: Seen) -> Finding {
        let Seen { now, queue, over, over_at, competes_since, density, clear, .. } = seen;
        let mut finding = Finding::Nothing;
        if !over && queue < CALM {
            self.since = None;
            if competes_since.is_some() && now - over_at > CALM_FOR {
                finding = Finding::Nobody;
            }
        } else {
            let (since, rate) = *self.since.get_or_insert((now, seen.rate));
            let drains = self.drains(now, queue);
            // What stands although much less is sent than before is not ours either.
            let foreign = now - since > FOREIGN_FOR && seen.rate < FOREIGN * rate && !drains;
            let somebody = density.map_or(foreign, |density| density > DENSER);
            match competes_since {
                None if now - since > FOR && queue > STANDS && somebody => {
                    finding = Finding::Somebody;
                }
                Some(last) if now - last > FOR && density.is_some_and(|density| density < ALONE) => {
                    self.since = None;
                    finding = Finding::Nobody;
                }
                _ => {}
            }
        }
        self.look_at_way(now, queue, clear).map_or(finding, Finding::Longer)
    }

    /// Whether the queue has become clearly less in the last moments.
    fn drains(&mut self, now: f64, queue: f64) -> bool {
        let (at, before) = self.earlier;
        if now - at > FOR {
            self.earlier = (now, queue);
        }
        queue < 0.8 * before
    }

    /// A flat queue that holds up no train is none.
    fn look_at_way(&mut self, now: f64, queue: f64, clear: u32) -> Option<f64> {
        let (since, least, most) = self.flat;
        let (low, high) = (queue.min(least), queue.max(most));
        let flat = queue > CALM && high - low < FLAT.max(FLAT_SHARE * high);
        self.flat = if flat { (since, low, high) } else { (now, queue, queue) };
        let longer = flat && now - since > FLAT_FOR && clear >= CLEAR;
        if longer {
            self.since = None;
            self.flat = (now, 0.0, 0.0);
        }
        longer.then_some(low)
    }

    pub fn forget(&mut self) {
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(now: f64, queue: f64) -> Seen {
        Seen {
            now,
            queue,
            rate: 1e6,
            over: queue > 0.01,
            over_at: now,
            competes_since: None,
            density: Some(1.3),
            clear: 0,
        }
    }

    #[test]
    fn a_queue_that_is_not_ours_alone_is_somebodys() {
        let mut others = Others::default();
        let found: Vec<Finding> =
            (0..30).map(|n| others.look(seen(f64::from(n) * 0.05, 0.02 + 0.01 * f64::from(n % 2)))).collect();
        assert_eq!(found.iter().position(|finding| *finding == Finding::Somebody), Some(21));
        let mut ours = Others::default();
        let all =
            (0..100).map(|n| Seen { density: Some(1.0), ..seen(f64::from(n) * 0.05, 0.02 + 0.01 * f64::from(n % 2)) });
        assert!(all.into_iter().all(|seen| ours.look(seen) == Finding::Nothing));
    }

    #[test]
    fn a_flat_queue_that_holds_nothing_up_is_a_longer_way() {
        let mut others = Others::default();
        let found = (0..60).map(|n| others.look(Seen { density: None, clear: 9, ..seen(f64::from(n) * 0.05, 0.03) }));
        let found: Vec<Finding> = found.collect();
        assert!(found.contains(&Finding::Longer(0.03)), "{found:?}");
        let mut tight = Others::default();
        let found = (0..60).map(|n| tight.look(Seen { density: None, ..seen(f64::from(n) * 0.05, 0.03) }));
        assert!(found.into_iter().all(|finding| finding == Finding::Nothing));
    }
}
