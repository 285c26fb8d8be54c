//! What a receiver has on its screen of a picture that stands: whether something of it is missing, as far as is known here.
//!
//! A part that was lost counts, and one that was sent again, or can be rebuilt from parity, makes it good. Parts are counted, not
//! told apart: what is sent again without need hides a loss, until the whole body is sent anew, as it is every two seconds.

use super::history::Cargo;
use crate::units::Unit;

/// See the head of this file.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnScreen {
    /// The unit whose body it has.
    shown: Option<Unit>,
    /// Which of the pictures that it was sent that was.
    picture: u32,
    /// Number of the body's first datagram.
    from: u32,
    /// Parts that were lost, less those that were sent again and are not known to be lost.
    lost: i32,
    /// Repair symbols that were sent and are not known to be lost.
    symbols: i32,
}

impl OnScreen {
    /// A body is sent, as the `picture`th that the receiver is sent, from this number of the hop sequence on.
    pub const fn begin(&mut self, body: Unit, picture: u32, from: u32) {
        *self = Self { shown: Some(body), picture, from, lost: 0, symbols: 0 };
    }

    /// Whether the body of this unit is not, or not whole, on the receiver's screen.
    pub fn lacks(&self, body: Unit) -> bool {
        self.shown != Some(body) || self.lost > self.symbols.max(0)
    }

    /// Nothing is known any more.
    pub const fn harmed(&mut self) {
        self.shown = None;
    }

    /// Something of this picture leaves besides its parts.
    pub const fn repairs(&mut self, cargo: Cargo, picture: u32) {
        match cargo {
            Cargo::Repair if picture == self.picture => self.lost -= 1,
            Cargo::Parity if picture == self.picture => self.symbols += 1,
            _ => {}
        }
    }

    /// A report tells of a datagram of this picture; `straggler`: it was told to be lost and has come after all.
    pub const fn told(&mut self, cargo: Cargo, picture: u32, sequence: u32, received: bool, straggler: bool) {
        let change = match (received, straggler) {
            (_, true) => -1,
            (false, false) => 1,
            (true, false) => return,
        };
        match cargo {
            Cargo::Body if sequence.wrapping_sub(self.from).cast_signed() >= 0 => self.lost += change,
            Cargo::Repair if picture == self.picture => self.lost += change,
            Cargo::Parity if picture == self.picture => self.symbols -= change,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> OnScreen {
        let mut screen = OnScreen::default();
        screen.begin(Unit(7), 3, 100);
        screen
    }

    #[test]
    fn what_is_lost_is_lacking_until_it_is_sent_again_and_does_not_get_lost() {
        let mut screen = sent();
        assert!(screen.lacks(Unit(6)) && !screen.lacks(Unit(7)));
        screen.told(Cargo::Body, 3, 105, false, false);
        screen.told(Cargo::Body, 2, 99, false, false);
        assert!(screen.lacks(Unit(7)));
        screen.repairs(Cargo::Repair, 3);
        assert!(!screen.lacks(Unit(7)), "it is on its way");
        screen.told(Cargo::Repair, 3, 130, false, false);
        assert!(screen.lacks(Unit(7)));
        screen.told(Cargo::Repair, 3, 130, true, true);
        assert!(!screen.lacks(Unit(7)), "it came after all");
        screen.harmed();
        assert!(screen.lacks(Unit(7)));
    }

    #[test]
    fn parity_makes_as_many_losses_good_as_there_are_symbols() {
        let mut screen = sent();
        (0..2).for_each(|_| screen.repairs(Cargo::Parity, 3));
        screen.repairs(Cargo::Parity, 4);
        (0..2).for_each(|n| screen.told(Cargo::Body, 3, 100 + n, false, false));
        assert!(!screen.lacks(Unit(7)));
        screen.told(Cargo::Parity, 3, 120, false, false);
        assert!(screen.lacks(Unit(7)));
    }
}
