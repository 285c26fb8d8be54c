//! Where a live film's own time lies on our clock. Its pictures tell, by their stamps and by when they come; its sound goes
//! to the same place, however early or late ffmpeg hands it over.

use std::sync::Arc;
use std::time::Duration;

use super::live::CaptureClock;
use crate::queue::Watched;
use crate::units::{MediaTime, Time};

/// What is added to a moment of the film to make one of our clock, in nanoseconds; nothing until a picture has come.
#[derive(Clone)]
pub(super) struct FilmZero(Arc<Watched<Option<i64>>>);

impl FilmZero {
    /// Waits for the first picture, no longer than `patience`.
    pub fn wait(&self, patience: Duration) -> Option<i64> {
        let known = self.0.load();
        if known.is_some() { known } else { self.0.wait_change(&known, patience) }
    }

    /// The moment of the film's time `nanos`, if that is known.
    pub fn moment(&self, nanos: i64) -> Option<Time> {
        self.0.load().map(|zero| Time::ZERO.offset(zero.saturating_add(nanos)))
    }
}

/// The side of the pictures.
pub(super) struct FilmClock {
    clock: CaptureClock,
    zero: FilmZero,
}

impl FilmClock {
    pub fn new() -> Self {
        Self { clock: CaptureClock::default(), zero: FilmZero(Arc::new(Watched::new(None))) }
    }

    pub fn zero(&self) -> FilmZero {
        self.zero.clone()
    }

    /// A picture of this moment of the film came then.
    pub fn picture(&mut self, at: MediaTime, came: Time) {
        let nanos = at.micros().saturating_mul(1_000);
        // Far enough away that the film's time is not taken for that of a clock.
        let made = self.clock.captured(nanos.saturating_sub(A_DAY), came, 0);
        let zero = i128::from(made.nanos()) - i128::from(nanos);
        self.zero.0.store(i64::try_from(zero).ok());
    }
}

const A_DAY: i64 = 86_400_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quickest_picture_tells_where_the_film_lies() {
        let mut clock = FilmClock::new();
        let zero = clock.zero();
        assert_eq!(zero.moment(0), None);
        // A second and a half of film waited for us, and came at once; then each picture comes up to 30 ms late.
        let start = Time::from_millis(100_000);
        for n in 0..60_u64 {
            clock.picture(MediaTime::from_micros(n as i64 * 25_000), start + Duration::from_millis(n.min(2)));
        }
        for n in 60..120_u64 {
            let late = Duration::from_millis((n * 7) % 30);
            clock.picture(
                MediaTime::from_micros(n as i64 * 25_000),
                start + Duration::from_millis((n - 59) * 25) + late,
            );
        }
        let moment = zero.moment(3_000_000_000).expect("known").signed_since(start);
        assert!((moment - 1_527_000_000).abs() < 3_000_000, "{moment}");
    }
}
