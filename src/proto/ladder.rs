//! The ladder: what is given up when a path carries less than a stream would take. Quality first, then size, then the number of
//! pictures; always what costs the eye least at the bytes that there are.
//!
//! A rendition is the picture at its full size, at half and at a quarter of each side. Below the quality [`FLOOR`] of one, the
//! next looks better at the same bytes (measured by PSNR, SSIM and MS-SSIM of luma on two films, scaled up with Catmull–Rom),
//! so quality goes down to there, and then it is the next rendition's turn. How many bytes a picture takes at a quality is
//! predicted from the Annex K tables' usual curve, and corrected by what the last pictures took.

pub use crate::units::RENDITIONS;

/// Below this quality the next rendition looks better at the same bytes.
const FLOOR: [u8; RENDITIONS] = [30, 15, 10];
/// A smaller rendition is only used where the larger one does not fit: more than this quality does not show when it is scaled up.
const TOP: [u8; RENDITIONS] = [100, 88, 82];
/// A finer rendition is taken again only if it fits with so much more than its lowest quality.
const MARGIN: u8 = 6;
/// Steps in which quality is chosen.
const STEP: u8 = 2;
/// A picture so much larger than it may be is coded again (a quarter too large).
const TOO_LARGE: f64 = 1.25;
/// How much the last picture counts in the prediction.
const FRESH: f64 = 0.25;

/// Bytes at a quality as parts of those at quality 80, of real films in 4:2:0 (12 pictures of one, 10 of another; 720p).
const CURVE: [(u8, f64); 12] = [
    (1, 0.06),
    (5, 0.14),
    (10, 0.239),
    (20, 0.358),
    (30, 0.455),
    (40, 0.530),
    (50, 0.604),
    (60, 0.687),
    (70, 0.806),
    (80, 1.0),
    (90, 1.455),
    (100, 4.0),
];
/// Bytes of the renditions at the same quality, as parts of those of the full size (the same films).
const SHARE: [f64; RENDITIONS] = [1.0, 0.35, 0.112];
/// Bytes a pixel at quality 80 before anything was coded.
const BYTES_A_PIXEL: f64 = 0.145;

/// What one picture is coded to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rung {
    /// 0 full size, 1 half of each side, 2 a quarter.
    pub rendition: u8,
    /// Annex K, 1–100.
    pub quality: u8,
}

impl Rung {
    pub const fn new(rendition: u8, quality: u8) -> Self {
        Self { rendition, quality }
    }

    fn index(self) -> usize {
        (self.rendition as usize).min(RENDITIONS - 1)
    }

    /// Bytes as parts of a full-size picture at quality 80.
    fn size(self) -> f64 {
        SHARE[self.index()] * curve(self.quality)
    }

    /// Larger pictures first, then better ones.
    pub const fn is_finer_than(self, other: Self) -> bool {
        self.rendition < other.rendition || self.rendition == other.rendition && self.quality > other.quality
    }

    /// Whether a picture that stands still is worth coding again to this rung, if the eye has it at that one.
    pub const fn is_worth_coding_after(self, shown: Self) -> bool {
        let clearly = self.quality >= shown.quality.saturating_add(MARGIN);
        self.rendition < shown.rendition || self.rendition == shown.rendition && clearly
    }
}

/// Between which rungs one is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The finest rung: what the operator allows, or all who watch want at most.
    pub finest: Rung,
    /// The operator's lowest quality, of every rendition.
    pub least_quality: u8,
    /// The smallest rendition there may be.
    pub coarsest: u8,
}

impl Limits {
    /// Everything up to the full size at this quality.
    pub const fn up_to(quality: u8) -> Self {
        Self { finest: Rung::new(0, quality), least_quality: 1, coarsest: RENDITIONS as u8 - 1 }
    }

    /// The finest quality of a rendition: it takes no more bytes than the finest rung.
    fn top(&self, rendition: u8) -> u8 {
        if rendition == self.finest.rendition {
            self.finest.quality
        } else {
            let most = self.finest.size();
            let fits = |quality: &u8| Rung::new(rendition, *quality).size() <= most;
            let top = TOP[usize::from(rendition).min(RENDITIONS - 1)];
            (1..=top).rev().find(fits).unwrap_or(1)
        }
    }

    /// The lowest quality of a rendition; of the coarsest it may be less than where the next would look better.
    fn floor(&self, rendition: u8) -> u8 {
        let floor = FLOOR[usize::from(rendition).min(RENDITIONS - 1)];
        floor.max(self.least_quality).min(self.top(rendition))
    }

    /// The coarsest rung of all.
    pub fn coarsest(&self) -> Rung {
        let rendition = self.coarsest.max(self.finest.rendition);
        Rung::new(rendition, self.floor(rendition))
    }

    /// All rungs, finest first.
    fn rungs(self) -> impl Iterator<Item = Rung> {
        (self.finest.rendition..=self.coarsest.max(self.finest.rendition)).flat_map(move |rendition| {
            let (floor, top) = (self.floor(rendition), self.top(rendition));
            let steps = (top - floor) / STEP;
            let inner = (0..steps).map(move |step| Rung::new(rendition, top - step * STEP));
            inner.chain([Rung::new(rendition, floor)])
        })
    }
}

/// What the encoder is asked for: a rung, and how many bytes it may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    pub rung: Rung,
    /// Bytes of the JPEG; `None`: as many as it takes.
    pub most: Option<u32>,
    pub limits: Limits,
}

impl Wish {
    /// Without a limit on bytes.
    pub const fn free(quality: u8) -> Self {
        Self { rung: Rung::new(0, quality), most: None, limits: Limits::up_to(quality) }
    }

    /// A picture coded to `rung` took so many bytes: the rung to code it to instead, if that is too many by a quarter and there
    /// is a coarser one. The rung that comes out is the finest of which is expected that it fits.
    pub fn again(&self, rung: Rung, bytes: usize) -> Option<Rung> {
        let most = f64::from(self.most?);
        if bytes as f64 <= TOO_LARGE * most {
            return None;
        }
        let scale = bytes as f64 / rung.size();
        let coarser = |other: &Rung| rung.is_finer_than(*other);
        let fits = |other: &Rung| other.size() * scale <= most;
        let last = self.limits.coarsest();
        self.limits.rungs().filter(coarser).find(fits).or_else(|| Some(last).filter(coarser))
    }
}

/// Chooses rungs, and learns what they take.
#[derive(Clone, Copy, Debug)]
pub struct Ladder {
    /// Bytes of a full-size picture at quality 80, as each rendition's last pictures say.
    scale: [f64; RENDITIONS],
    rung: Option<Rung>,
}

impl Ladder {
    /// `pixels` of the full size.
    pub fn new(pixels: usize) -> Self {
        Self { scale: [pixels as f64 * BYTES_A_PIXEL; RENDITIONS], rung: None }
    }

    /// A picture came out with so many bytes. What it tells of its rendition it tells of the others, as far as they are not
    /// known.
    pub fn learn(&mut self, rung: Rung, bytes: usize) {
        let found = bytes as f64 / rung.size();
        let before = self.scale[rung.index()];
        let after = before + FRESH * (found - before);
        let change = after / before.max(1.0);
        for (index, scale) in self.scale.iter_mut().enumerate() {
            *scale = if index == rung.index() { after } else { *scale * change };
        }
    }

    /// Bytes that a picture is expected to take.
    pub fn expected(&self, rung: Rung) -> f64 {
        self.scale[rung.index()] * rung.size()
    }

    /// The finest rung whose picture fits so many bytes, `None` for all there are. A finer rendition than the last is chosen only
    /// if it fits well.
    pub fn choose(&mut self, bytes: Option<f64>, limits: Limits) -> Rung {
        let last = self.rung.filter(|last| last.rendition > limits.finest.rendition);
        let well = |rung: &Rung| {
            let wanted =
                Rung::new(rung.rendition, (limits.floor(rung.rendition) + MARGIN).min(limits.top(rung.rendition)));
            last.is_none_or(|last| rung.rendition >= last.rendition) || bytes.is_none_or(|b| self.expected(wanted) <= b)
        };
        let fits = |rung: &Rung| bytes.is_none_or(|bytes| self.expected(*rung) <= bytes);
        let rung = limits.rungs().find(|rung| fits(rung) && well(rung)).unwrap_or_else(|| limits.coarsest());
        self.rung = Some(rung);
        rung
    }
}

/// Bytes at a quality as parts of those at 80: between two that were measured by the logarithm.
fn curve(quality: u8) -> f64 {
    let quality = quality.clamp(1, 100);
    let after = CURVE.iter().position(|(known, _)| *known >= quality).unwrap_or(CURVE.len() - 1);
    let ((low, few), (high, many)) = (CURVE[after.saturating_sub(1)], CURVE[after]);
    if low == high {
        return many;
    }
    let part = f64::from(quality.saturating_sub(low)) / f64::from(high - low);
    few.powf(1.0 - part) * many.powf(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIXELS: usize = 1_280 * 720;

    fn ladder() -> Ladder {
        Ladder::new(PIXELS)
    }

    #[test]
    fn fewer_bytes_are_coarser_rungs_without_a_gap() {
        let limits = Limits::up_to(80);
        let mut before = None::<Rung>;
        for bytes in (1..=200).rev().map(|kilo| f64::from(kilo) * 1_000.0) {
            let mut ladder = ladder();
            let rung = ladder.choose(Some(bytes), limits);
            assert!(ladder.expected(rung) <= bytes || rung == limits.coarsest(), "{rung:?} for {bytes}");
            assert!(before.is_none_or(|before| !rung.is_finer_than(before)), "{rung:?} after {before:?}");
            before = Some(rung);
        }
        assert_eq!(ladder().choose(None, limits), Rung::new(0, 80));
        assert_eq!(ladder().choose(Some(1.0), limits), Rung::new(2, 10));
    }

    #[test]
    fn a_finer_rendition_is_taken_again_only_with_room_to_spare() {
        let limits = Limits::up_to(80);
        let mut ladder = ladder();
        let floor = ladder.expected(Rung::new(0, 30));
        assert_eq!(ladder.choose(Some(floor * 1.01), limits).rendition, 0);
        assert_eq!(ladder.choose(Some(floor * 0.99), limits).rendition, 1);
        assert_eq!(ladder.choose(Some(floor * 1.01), limits).rendition, 1, "not at once");
        let well = ladder.expected(Rung::new(0, 36));
        assert_eq!(ladder.choose(Some(well * 1.01), limits), Rung::new(0, 36));
    }

    #[test]
    fn it_learns_what_pictures_take() {
        let mut ladder = ladder();
        let rung = Rung::new(0, 80);
        let wanted = ladder.expected(rung) * 3.0;
        for _ in 0..40 {
            ladder.learn(rung, wanted as usize);
        }
        assert!((ladder.expected(rung) / wanted - 1.0).abs() < 0.01);
        let smaller = ladder.expected(Rung::new(1, 80));
        assert!((smaller / (0.35 * wanted) - 1.0).abs() < 0.01, "what is not known better follows");
    }

    #[test]
    fn a_picture_a_quarter_too_large_is_coded_again() {
        let wish = Wish { most: Some(50_000), ..Wish::free(80) };
        let rung = Rung::new(0, 60);
        assert_eq!(wish.again(rung, 62_000), None);
        let again = wish.again(rung, 70_000).expect("too large");
        assert!(again.rendition == 0 && (30..60).contains(&again.quality), "{again:?}");
        let far = wish.again(rung, 400_000).expect("much too large");
        assert!(far.rendition > 0, "{far:?}");
        assert_eq!(wish.again(Rung::new(2, 10), 400_000), None, "there is nothing below it");
        assert_eq!(Wish::free(80).again(rung, 400_000), None);
    }

    #[test]
    fn the_operators_limits_hold() {
        let limits = Limits { finest: Rung::new(1, 70), least_quality: 40, coarsest: 1 };
        assert_eq!(ladder().choose(None, limits), Rung::new(1, 70));
        assert_eq!(ladder().choose(Some(1.0), limits), Rung::new(1, 40));
        let narrow = Limits { finest: Rung::new(0, 20), least_quality: 40, coarsest: 2 };
        assert_eq!(ladder().choose(Some(1.0), narrow), Rung::new(2, 40));
        assert_eq!(ladder().choose(None, narrow), Rung::new(0, 20));
    }

    #[test]
    fn what_stands_still_is_coded_again_when_it_gets_clearly_better() {
        let shown = Rung::new(1, 60);
        let worth = |rendition, quality| Rung::new(rendition, quality).is_worth_coding_after(shown);
        assert!(worth(0, 30) && worth(1, 66) && !worth(1, 65) && !worth(2, 100));
        assert!(!Rung::new(0, 100).is_worth_coding_after(Rung::new(0, 100)));
    }

    #[test]
    fn the_curve_only_rises() {
        assert!((1..100).all(|quality| curve(quality) < curve(quality + 1)));
        assert!((curve(80) - 1.0).abs() < 1e-12 && (curve(10) - 0.239).abs() < 1e-12);
    }
}
