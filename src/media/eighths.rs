//! Scales at which a JPEG can be decoded: n eighths of its size, so that each block of 8 × 8 pixels becomes one of n × n.
#![forbid(unsafe_code)]

use crate::units::Size;

/// A scale of n/8, 1 ≤ n ≤ 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Eighths(u8);

impl Eighths {
    /// The size that the picture has.
    pub const FULL: Self = Self(8);

    /// `None` unless 1 ≤ n ≤ 8.
    pub const fn new(n: u8) -> Option<Self> {
        if n >= 1 && n <= 8 { Some(Self(n)) } else { None }
    }

    /// All scales, the smallest first.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=8).map(Self)
    }

    pub const fn get(self) -> u8 {
        self.0
    }

    /// The smallest scale that saves time and at which the picture covers all of `room` that it takes in its own shape.
    /// Never more than the picture has.
    pub fn covering(picture: Size, room: Size) -> Self {
        let covers = |scale: &Self| {
            let size = scale.of(picture);
            size.width >= room.width || size.height >= room.height
        };
        Self::all().filter(|scale| scale.0 <= QUICK).find(covers).unwrap_or(Self::FULL)
    }

    /// A picture's size at this scale.
    pub fn of(self, size: Size) -> Size {
        Size::new(self.length(size.width), self.length(size.height))
    }

    /// A length at this scale, rounded up.
    pub fn length(self, pixels: u16) -> u16 {
        // Never more than `pixels`, so the cast loses nothing.
        (u32::from(pixels) * u32::from(self.0)).div_ceil(8) as u16
    }
}

/// The largest scale below 8/8 that is worth its while. libjpeg-turbo has vector code for 2, 4 and 8 eighths only: a
/// picture of 640×360 took 0.64, 0.85, 0.99, 1.19, 2.07, 2.12, 2.48 and 1.28 ms at 1 to 8 eighths.
const QUICK: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_covers_its_room_and_the_next_smaller_one_does_not() {
        let covering = |picture: (u16, u16), room: (u16, u16)| {
            Eighths::covering(Size::new(picture.0, picture.1), Size::new(room.0, room.1)).get()
        };
        assert_eq!(covering((640, 360), (426, 240)), 8, "6/8 takes longer");
        assert_eq!(covering((640, 360), (320, 180)), 4);
        assert_eq!(covering((640, 360), (320, 400)), 4, "black above and below");
        assert_eq!(covering((640, 360), (319, 179)), 4);
        assert_eq!(covering((640, 360), (1_920, 1_080)), 8);
        assert_eq!(covering((1_920, 1_080), (1, 1)), 1);
        assert_eq!(covering((0, 0), (0, 0)), 1);
        for n in 1..=4 {
            let scale = Eighths::new(n).expect("a scale");
            assert_eq!(Eighths::covering(Size::new(333, 201), scale.of(Size::new(333, 201))), scale);
        }
        assert_eq!((Eighths::new(0), Eighths::new(9)), (None, None));
        assert_eq!(Eighths::FULL.length(u16::MAX), u16::MAX);
    }
}
