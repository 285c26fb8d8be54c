//! A picture of which slices are missing, as one JPEG: the gaps are filled as they are on the screen, but without decoding.
//! Restart intervals know nothing of each other, so those that are missing can be taken from the picture before.

use super::index::index;
use super::join::{RestartLayout, check_quality};
use super::{Index, JpegError, Subsampling, tables};
use crate::units::Size;

/// A picture made of what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub jpeg: Vec<u8>,
    /// Restart intervals taken from the picture before.
    pub repeated: usize,
    /// Restart intervals that are black, because that one had another size, layout or quality.
    pub black: usize,
}

/// Makes one JPEG of the slices of a picture that came, each (x8, y8, body), with what is missing as it was in the
/// picture `before`. Slices that fit nowhere count as missing; complete, it is what [`super::join()`] makes.
pub fn join_over(
    size: Size,
    quality: u8,
    slices: &[(u16, u16, &[u8])],
    before: Option<&[u8]>,
) -> Result<Joined, JpegError> {
    check_quality(quality)?;
    let mut placed = slices.iter().filter_map(|&slice| RestartLayout::place(size, slice).ok()).peekable();
    let Some(&(layout, _)) = placed.peek() else { return Err(JpegError::Slices("there are none")) };
    let mut found: Vec<Option<&[u8]>> = vec![None; usize::try_from(layout.intervals(size)).unwrap_or(0)];
    for (position, interval) in placed.filter(|(other, _)| *other == layout).flat_map(|(_, placed)| placed) {
        if let Some(place) = found.get_mut(position as usize) {
            *place = Some(interval);
        }
    }
    let missing = found.iter().filter(|interval| interval.is_none()).count();
    let before = before.filter(|_| missing > 0).and_then(|jpeg| same_kind(jpeg, size, quality, layout));
    let black = Black::new(layout, size, quality);
    let last = found.len().saturating_sub(1);
    let filled = found.iter().enumerate().map(|(at, interval)| {
        let repeated = || before.as_ref().and_then(|(jpeg, index)| jpeg.get(index.intervals.get(at)?.clone()));
        interval.or_else(repeated).unwrap_or(if at == last { &black.last } else { &black.full })
    });
    let bytes = slices.iter().map(|slice| slice.2.len()).sum();
    let jpeg = layout.write(size, quality, bytes, filled);
    let repeated = if before.is_some() { missing } else { 0 };
    Ok(Joined { jpeg, repeated, black: missing - repeated })
}

/// The picture before, if its intervals can stand in this one.
fn same_kind(jpeg: &[u8], size: Size, quality: u8, layout: RestartLayout) -> Option<(&[u8], Index)> {
    let index = index(jpeg).ok()?;
    let same = index.size == size
        && index.quality == Some(quality)
        && (index.subsampling, index.restart_interval) == (layout.subsampling, Some(layout.restart));
    same.then_some((jpeg, index))
}

/// Intervals in which nothing is to be seen: as long as all others, and the last one, which may be shorter.
struct Black {
    full: Vec<u8>,
    last: Vec<u8>,
}

impl Black {
    fn new(layout: RestartLayout, size: Size, quality: u8) -> Self {
        let (columns, rows) = layout.subsampling.grid(size);
        let restart = usize::from(layout.restart).max(1);
        let rest = (columns * rows).saturating_sub(1) % restart + 1;
        let of = |mcus| black(layout.subsampling, quality, mcus);
        Self { full: of(restart), last: of(rest) }
    }
}

/// So many black MCUs: the first block says how dark it is, all others that nothing changes (T.81, tables K.3 to K.6).
fn black(subsampling: Subsampling, quality: u8, mcus: usize) -> Vec<u8> {
    let blocks = usize::from(subsampling.mcu().width / 8) * usize::from(subsampling.mcu().height / 8);
    let chroma = subsampling.components() - 1;
    let mut bits = Bits::default();
    for mcu in 0..mcus {
        for block in 0..blocks {
            if (mcu, block) == (0, 0) {
                bits.darkest(tables::luma_step(quality));
            } else {
                bits.put(0b00, 2);
            }
            bits.put(0b1010, 4);
        }
        (0..chroma).for_each(|_| bits.put(0b0000, 4));
    }
    bits.finish()
}

/// Entropy-coded bits, with a zero stuffed behind each byte of ones.
#[derive(Default)]
struct Bits {
    out: Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits {
    /// The difference of a DC coefficient that makes luma as dark as it gets: 1024 below the middle, or a little more.
    fn darkest(&mut self, step: u8) {
        let value = 1_024_u32.div_ceil(u32::from(step));
        let category = u32::BITS - value.leading_zeros();
        // Categories up to 5 have codes of three bits, from there on each has one more (T.81, table K.3).
        match category {
            ..=5 => self.put(category + 1, 3),
            _ => self.put((1 << (category - 2)) - 2, category - 2),
        }
        // A negative value is coded as its complement.
        self.put(!value & ((1 << category) - 1), category);
    }

    fn put(&mut self, bits: u32, count: u32) {
        self.held = self.held << count | bits;
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.held >> self.count) as u8;
            self.out.push(byte);
            if byte == 0xFF {
                self.out.push(0);
            }
        }
    }

    /// The last byte is filled up with ones.
    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            let free = 8 - self.count;
            self.put((1 << free) - 1, free);
        }
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::super::join;
    use super::super::sample::{Random, Sample, cut};
    use super::*;

    fn samples() -> [Sample; 6] {
        [
            Sample::new(1_280, 720, 16),
            Sample::new(500, 281, 16),
            Sample::new(1_280, 720, 160),
            Sample { subsampling: Subsampling::Yuv422, ..Sample::new(333, 201, 7) },
            Sample { subsampling: Subsampling::Yuv444, ..Sample::new(333, 201, 7) },
            Sample { subsampling: Subsampling::Grey, ..Sample::new(333, 201, 7) },
        ]
    }

    #[test]
    fn what_is_missing_is_taken_from_the_picture_before() {
        let mut random = Random(5);
        for sample in samples() {
            let size = Size::new(sample.width, sample.height);
            let (before, now) = (sample.jpeg(&mut random), sample.jpeg(&mut random));
            let owned = cut(&now, now.len() / 9);
            let all: Vec<_> = owned.iter().map(|(x8, y8, body)| (*x8, *y8, body.as_slice())).collect();
            assert!(all.len() > 8);
            let whole = join_over(size, 80, &all, Some(&before)).expect("complete");
            assert_eq!((&whole.jpeg, whole.repeated, whole.black), (&now, 0, 0));
            for keep in 1..all.len() {
                // Every keep-th is lost.
                let some = all.iter().enumerate().filter(|(at, _)| at % keep > 0 || keep == 1 && *at == 3);
                let some: Vec<_> = some.map(|(_, slice)| *slice).collect();
                let joined = join_over(size, 80, &some, Some(&before)).expect("one at least");
                let (a, b, c) = (index(&before), index(&now), index(&joined.jpeg));
                let (a, b, c) = (a.expect("ours"), b.expect("ours"), c.expect("sound"));
                let old = (0..a.intervals.len())
                    .filter(|&at| joined.jpeg[c.intervals[at].clone()] == before[a.intervals[at].clone()])
                    .count();
                let new = (0..a.intervals.len())
                    .filter(|&at| joined.jpeg[c.intervals[at].clone()] == now[b.intervals[at].clone()])
                    .count();
                assert_eq!((old, old + new, joined.black), (joined.repeated, a.intervals.len(), 0));
                assert!(old > 0);
            }
            assert!(join(size, 80, &all[1..]).is_err(), "the strict one wants them all");
        }
    }

    #[test]
    fn another_kind_of_picture_before_leaves_black() {
        let sample = Sample::new(320, 240, 10);
        let now = sample.jpeg(&mut Random(2));
        let owned = cut(&now, 3_000);
        let some: Vec<_> = owned.iter().skip(1).map(|(x8, y8, body)| (*x8, *y8, body.as_slice())).collect();
        let size = Size::new(320, 240);
        let finer = Sample { restart: 5, ..sample }.jpeg(&mut Random(3));
        let larger = Sample::new(336, 240, 21).jpeg(&mut Random(3));
        for before in [None, Some(&finer), Some(&larger), Some(&vec![1, 2, 3])] {
            let joined = join_over(size, 80, &some, before.map(Vec::as_slice)).expect("some came");
            assert!(joined.black > 0 && joined.repeated == 0);
            assert_eq!(index(&joined.jpeg).expect("sound").size, size);
        }
        let same = sample.jpeg(&mut Random(4));
        assert!(join_over(size, 70, &some, Some(&same)).expect("some came").black > 0, "another quality");
        assert!(join_over(size, 80, &some, Some(&same)).expect("some came").repeated > 0);
    }

    #[test]
    fn twenty_thousand_mutations_are_refused_or_sane() {
        let mut random = Random(77);
        let sample = Sample::new(176, 144, 11);
        let (before, now) = (sample.jpeg(&mut random), sample.jpeg(&mut random));
        let slices = cut(&now, now.len() / 5);
        let size = Size::new(176, 144);
        let mut refused = 0;
        for round in 0..20_000 {
            let mut bodies = slices.clone();
            bodies.truncate(1 + round % slices.len());
            let victim = random.below(bodies.len());
            bodies[victim].2 = random.mutate(&bodies[victim].2);
            let before = random.mutate(&before);
            let borrowed: Vec<_> = bodies.iter().map(|(x8, y8, body)| (*x8, *y8, body.as_slice())).collect();
            match join_over(size, 80, &borrowed, Some(&before)) {
                Ok(joined) => assert_eq!(index(&joined.jpeg).expect("sane").size, size),
                Err(_) => refused += 1,
            }
        }
        assert!((100..10_000).contains(&refused), "{refused}: the mutations miss what they aim at");
    }
}
