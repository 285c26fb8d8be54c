//! The place of the film that is watched, kept every few seconds and when it is left.

use std::time::Duration;

use super::{History, HistoryError, Left, Record};
use crate::clock::wall_ahead;
use crate::units::Time;

/// As much as somebody loses whose watcher is killed.
const EVERY: Duration = Duration::from_secs(5);

/// See the head of this file.
pub struct Keeper {
    history: History,
    record: Record,
    /// What was kept last, and when.
    kept: Option<Left>,
    next: Time,
    /// The newest place, that was not kept yet.
    newest: Option<(Duration, Duration)>,
    /// It was seen to its end in this run.
    counted: bool,
    /// It could not be written, which is said once.
    failed: bool,
}

impl Keeper {
    /// Of a film of this name; what was known of it before is gone on with.
    pub fn new(history: History, server: &str, name: &str) -> Result<Self, HistoryError> {
        let fresh = Record { server: server.to_owned(), name: name.to_owned(), ..Record::default() };
        let record = history.find(server, name)?.unwrap_or(fresh);
        Ok(Self { history, record, kept: None, next: Time::ZERO, newest: None, counted: false, failed: false })
    }

    /// Where it was left the last time.
    pub fn place(&self) -> Option<Duration> {
        self.record.place.and_then(|place| Duration::try_from_secs_f64(place).ok())
    }

    pub fn set_title(&mut self, title: &str) {
        title.clone_into(&mut self.record.title);
    }

    /// The film is there now. Returns why it cannot be kept, once.
    pub fn tell(&mut self, now: Time, place: Duration, length: Duration) -> Option<HistoryError> {
        self.newest = Some((place, length));
        if now < self.next {
            return None;
        }
        self.next = now + EVERY;
        self.keep(now)
    }

    /// The film is left.
    pub fn leave(&mut self, now: Time) -> Option<HistoryError> {
        self.keep(now)
    }

    fn keep(&mut self, now: Time) -> Option<HistoryError> {
        let (place, length) = self.newest.take()?;
        let left = Left::of(place, length);
        if self.kept == Some(left) || self.kept.is_none() && left == Left::Nothing && self.record.place.is_none() {
            return None;
        }
        self.kept = Some(left);
        self.record.length = Some(round(length));
        self.record.at = u64::try_from(now.nanos().saturating_add(wall_ahead()) / 1_000_000_000).unwrap_or(0);
        self.record.place = match left {
            Left::At(place) => Some(round(place)),
            Left::Nothing | Left::Seen => None,
        };
        if left == Left::Seen && !std::mem::replace(&mut self.counted, true) {
            self.record.seen += 1;
        }
        let failed = self.history.keep(&self.record).err()?;
        (!std::mem::replace(&mut self.failed, true)).then_some(failed)
    }
}

fn round(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_kept_now_and_then_and_when_the_film_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let history = History::at(folder.path().join("h.jsonl"));
        let length = Duration::from_secs(100);
        let place = || history.find("host", "film").expect("read").map(|record| (record.place, record.seen));
        let mut keeper = Keeper::new(history.clone(), "host", "film").expect("read");
        assert_eq!(keeper.place(), None);
        let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
        assert!(keeper.tell(at(0), Duration::from_secs(2), length).is_none());
        assert_eq!(place(), None, "it has hardly begun");
        for second in 5..=9 {
            keeper.tell(at(second), Duration::from_secs(second), length);
        }
        assert_eq!(place(), Some((Some(5.0), 0)));
        keeper.leave(at(9));
        assert_eq!(place(), Some((Some(9.0), 0)));
        let mut keeper = Keeper::new(history.clone(), "host", "film").expect("read");
        assert_eq!(keeper.place(), Some(Duration::from_secs(9)));
        keeper.tell(at(0), Duration::from_secs(95), length);
        keeper.tell(at(6), Duration::from_secs(99), length);
        keeper.leave(at(7));
        assert_eq!(place(), Some((None, 1)), "it was seen, once");
    }
}
