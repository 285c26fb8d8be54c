//! A film whose pictures take as many bytes as real ones at the rung that is wished: for what chooses rungs.
//!
//! Pictures that follow each other differ in what they hold (`noise`), and where a scene ends by more (`cuts`). All of it is
//! drawn from the seed. A picture is made of a few restart intervals again and again, with as many coefficients as its bytes
//! need, so that it is drawn in no time.

use std::cell::RefCell;
use std::collections::BTreeMap;

use udpstream::media::jpeg::tables::header;
use udpstream::media::jpeg::{Index, index};
use udpstream::proto::ladder::{Ladder, Rung, Wish};
use udpstream::units::{Size, Unit};

use crate::jpeg::{Bits, Draw, Drawn, QUALITY, assemble};
use crate::random::Random;

/// How much more a busy scene holds than a calm one.
const BUSY: f64 = 1.35;
/// Different restart intervals of a picture.
const INTERVALS: usize = 8;
/// Bits of an MCU with no coefficients but its means, with its share of restart markers; and of each coefficient, with what
/// stuffed zeros take.
const MEANS: f64 = 45.8;
const COEFFICIENT: f64 = 3.02;
/// Coefficients of an MCU: all but the means of its six blocks.
const MOST: usize = 6 * 63;

pub struct Elastic {
    pub size: Size,
    pub seed: u64,
    /// Each picture takes up to so much more or less than usual, as a part.
    pub noise: f64,
    /// Every so many pictures calm and busy scenes change places.
    pub cuts: Option<u32>,
    /// Bytes of a picture in a calm scene at full size and quality 80.
    pub bytes: f64,
    /// What was drawn already, by rendition and coefficients of an MCU.
    drawn: RefCell<BTreeMap<(u8, usize), Drawn>>,
}

impl Elastic {
    /// Every picture takes what is expected.
    pub fn even(size: Size) -> Self {
        let bytes = Ladder::new(size.pixels()).expected(Rung::new(0, QUALITY));
        Self { size, seed: 0, noise: 0.0, cuts: None, bytes, drawn: RefCell::default() }
    }

    /// ±15 % from picture to picture, and a cut every three seconds at 25 pictures a second: worse than most films.
    pub fn harsh(size: Size, seed: u64) -> Self {
        Self { seed, noise: 0.15, cuts: Some(75), ..Self::even(size) }
    }

    /// Bytes that this picture takes at a rung.
    pub fn bytes(&self, unit: Unit, rung: Rung) -> f64 {
        let mut random = Random::fork(self.seed, u64::from(unit.0) + 1);
        let noise = 1.0 + self.noise * (2.0 * (random.next() >> 11) as f64 / (1_u64 << 53) as f64 - 1.0);
        let busy = self.cuts.is_some_and(|cuts| unit.0 / cuts % 2 == 1);
        let usual = Ladder::new(self.size.pixels());
        let share = usual.expected(rung) / usual.expected(Rung::new(0, QUALITY));
        self.bytes * share * noise * if busy { BUSY } else { 1.0 }
    }

    fn at(&self, unit: Unit, rung: Rung) -> Drawn {
        let size = self.size.rendition(rung.rendition);
        let mcus = f64::from(size.width.div_ceil(16)) * f64::from(size.height.div_ceil(16));
        let bits = (self.bytes(unit, rung) - 620.0) * 8.0 / mcus;
        let detail = ((bits - MEANS) / COEFFICIENT).round().clamp(0.0, MOST as f64) as usize;
        let mut cache = self.drawn.borrow_mut();
        let known = cache.entry((rung.rendition, detail)).or_insert_with(|| draw(size, rung.rendition, detail));
        at_quality(known, rung.quality)
    }
}

impl Draw for Elastic {
    fn draw(&self, unit: Unit, wish: &Wish) -> (Drawn, bool) {
        let drawn = self.at(unit, wish.rung);
        match wish.again(wish.rung, drawn.jpeg.len()) {
            Some(rung) => (self.at(unit, rung), true),
            None => (drawn, false),
        }
    }
}

/// The same with other tables, which are as long.
fn at_quality(drawn: &Drawn, quality: u8) -> Drawn {
    let mut jpeg = drawn.jpeg.clone();
    let head = header(quality, false);
    jpeg[2..2 + head.len()].copy_from_slice(&head);
    let index = Index { quality: Some(quality), ..drawn.index.clone() };
    Drawn { jpeg, index, quality, ..*drawn }
}

/// `detail`: coefficients of each MCU.
fn draw(size: Size, rendition: u8, detail: usize) -> Drawn {
    let mut random = Random::new(detail as u64);
    let mut intervals = Vec::new();
    let mut next = 0..;
    let jpeg = assemble(size, QUALITY, |mcus| {
        let n = next.next().unwrap_or(0) % INTERVALS;
        if n == intervals.len() {
            let mut bits = Bits::default();
            let blocks = std::array::from_fn(|block| (detail + block) / 6);
            (0..mcus).for_each(|_| bits.mcu(&mut random, blocks));
            intervals.push(bits.finish());
        }
        intervals[n].clone()
    });
    let index = index(&jpeg).expect("a sound picture");
    Drawn { jpeg, index, rendition, quality: QUALITY }
}

#[test]
fn pictures_take_the_bytes_that_are_wished() {
    let film = Elastic::harsh(Size::new(1_280, 720), 7);
    for (rendition, quality) in [(0, 80), (0, 60), (0, 30), (1, 86), (1, 40), (1, 15), (2, 80), (2, 10)] {
        let rung = Rung::new(rendition, quality);
        for unit in (60..90).map(Unit) {
            let (drawn, again) = film.draw(unit, &Wish { rung, ..Wish::free(100) });
            let (bytes, wanted) = (drawn.jpeg.len() as f64, film.bytes(unit, rung));
            assert!((bytes / wanted - 1.0).abs() < 0.05, "{rung:?}: {bytes} for {wanted}");
            assert!(!again && (drawn.rendition, drawn.quality) == (rendition, quality));
            assert_eq!(index(&drawn.jpeg), Ok(drawn.index), "{rung:?}");
        }
    }
    let wish = Wish { most: Some(100_000), ..Wish::free(80) };
    let (drawn, again) = film.draw(Unit(80), &wish);
    assert!(again && drawn.jpeg.len() < 110_000 && drawn.quality < 80, "{}", drawn.jpeg.len());
}
