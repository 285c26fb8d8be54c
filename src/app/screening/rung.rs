//! Which rung of a film a watcher is sent: the finest that its path carries.

use crate::proto::ladder::{Ladder, Rung, Wish};
use crate::units::Size;

/// A finer rung is taken only if so much more than it needs is there: else one would go to and fro between two.
const ROOM: f64 = 1.15;
/// Bytes of objects as parts of those of the JPEG that they carry.
const OVERHEAD: f64 = 1.05;

/// See the head of this file.
pub struct RungChoice {
    /// Finest first, as the stock has them.
    rungs: Vec<Rung>,
    /// How many bytes a picture of each takes.
    ladder: Ladder,
    /// The one that was chosen last.
    chosen: u8,
}

impl RungChoice {
    /// Of a film of this size. Until more is known the coarser half of the rungs is enough for the first picture, which comes
    /// sooner so.
    pub fn new(size: Size, rungs: Vec<Rung>) -> Self {
        Self { ladder: Ladder::new(size.pixels()), rungs, chosen: 0 }
    }

    /// A picture of this rung took so many bytes.
    pub fn learn(&mut self, rung: u8, bytes: usize) {
        if let Some(rung) = self.rungs.get(usize::from(rung)) {
            self.ladder.learn(*rung, (bytes as f64 / OVERHEAD) as usize);
        }
    }

    /// The rung of the next picture.
    pub fn choose(&mut self, wish: &Wish) -> u8 {
        let last = self.rungs.len().saturating_sub(1);
        let fits = |at: usize| {
            let Some(rung) = self.rungs.get(at) else { return true };
            let finest = wish.limits.finest;
            let wanted = rung.rendition > finest.rendition
                || rung.rendition == finest.rendition && rung.quality <= finest.quality
                || at == last;
            let room = if at < usize::from(self.chosen) { ROOM } else { 1.0 };
            wanted && wish.most.is_none_or(|most| self.ladder.expected(*rung) * room <= f64::from(most))
        };
        self.chosen = (0..last).find(|at| fits(*at)).unwrap_or(last) as u8;
        self.chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::ladder::Limits;

    fn wish(most: Option<u32>, finest: Rung) -> Wish {
        Wish { rung: finest, most, limits: Limits { finest, ..Limits::up_to(80) } }
    }

    #[test]
    fn the_finest_that_fits_is_chosen_and_a_finer_one_only_with_room() {
        let rungs = vec![Rung::new(0, 80), Rung::new(0, 60), Rung::new(1, 75), Rung::new(2, 60)];
        let mut choice = RungChoice::new(Size::new(1_280, 720), rungs.clone());
        let full = Rung::new(0, 80);
        assert_eq!(choice.choose(&wish(None, full)), 0);
        for (at, bytes) in [(0, 100_000), (1, 70_000), (2, 30_000), (3, 8_000)] {
            (0..50).for_each(|_| choice.learn(at, bytes));
        }
        assert_eq!(choice.choose(&wish(Some(1_000_000), full)), 0);
        let first = choice.ladder.expected(rungs[0]);
        assert_eq!(choice.choose(&wish(Some((first * 0.99) as u32), full)), 1);
        assert_eq!(choice.choose(&wish(Some((first * 1.05) as u32), full)), 1, "there is not room enough");
        assert_eq!(choice.choose(&wish(Some((first * 1.2) as u32), full)), 0);
        assert_eq!(choice.choose(&wish(Some(10), full)), 3, "the coarsest is sent in any case");
        assert_eq!(choice.choose(&wish(None, Rung::new(1, 80))), 2, "no more is wanted");
        assert_eq!(choice.choose(&wish(None, Rung::new(0, 60))), 1);
    }
}
