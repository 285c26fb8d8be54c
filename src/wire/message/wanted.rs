//! How much of the pictures a watcher wants at most.

use crate::units::{Bitrate, Size};
use crate::wire::bytes::{Put, Reader};
use crate::wire::tlv::{self, Tlvs, kind};

/// A watcher's own limits: MAX_RATE, QUALITY and MAX_SIZE of a Want; `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WantedPictures {
    /// Of all that it is sent.
    pub max_rate: Option<Bitrate>,
    /// Annex K, 1–100.
    pub quality: Option<u8>,
    /// No larger pictures than fill this; a side of 0 is not limited.
    pub max_size: Option<Size>,
}

impl WantedPictures {
    /// Whatever there is.
    pub const ANY: Self = Self { max_rate: None, quality: None, max_size: None };

    /// Whether there is any limit.
    pub const fn is_limited(&self) -> bool {
        self.max_rate.is_some() || self.quality.is_some() || self.max_size.is_some()
    }

    /// Which limits extensions set anew. What they leave out, or what cannot be read, is `None`; a limit of 0 takes one back.
    pub fn read(tlvs: Tlvs<'_>) -> Self {
        let reader = |kind| tlvs.find(kind).map(|value| Reader::new(value, "a wish"));
        let size = |mut reader: Reader<'_>| Some(Size::new(reader.u16().ok()?, reader.u16().ok()?));
        Self {
            max_rate: reader(kind::MAX_RATE).and_then(|mut reader| reader.u64().ok()).map(Bitrate::bps),
            quality: reader(kind::QUALITY).and_then(|mut reader| reader.u8().ok()),
            max_size: reader(kind::MAX_SIZE).and_then(size),
        }
    }

    /// These limits after a Want that says `new`, as [`WantedPictures::read`] gives it.
    pub fn changed_by(self, new: Self) -> Self {
        let nothing = Size::default();
        Self {
            max_rate: new.max_rate.map_or(self.max_rate, |rate| Some(rate).filter(|rate| rate.as_bps() > 0)),
            quality: new.quality.map_or(self.quality, |quality| Some(quality.min(100)).filter(|quality| *quality > 0)),
            max_size: new.max_size.map_or(self.max_size, |size| Some(size).filter(|size| *size != nothing)),
        }
    }

    /// Appends the limits that there are.
    pub fn put(self, out: &mut Vec<u8>) {
        if let Some(rate) = self.max_rate {
            tlv::put(out, kind::MAX_RATE, &rate.as_bps().to_be_bytes());
        }
        if let Some(quality) = self.quality {
            tlv::put(out, kind::QUALITY, &[quality]);
        }
        if let Some(size) = self.max_size {
            let mut value = Vec::with_capacity(4);
            value.u16(size.width);
            value.u16(size.height);
            tlv::put(out, kind::MAX_SIZE, &value);
        }
    }

    /// Appends all limits; those that there are not take back what was said before.
    pub fn put_all(self, out: &mut Vec<u8>) {
        let (max_rate, quality) = (self.max_rate.unwrap_or_default(), self.quality.unwrap_or(0));
        let max_size = Some(self.max_size.unwrap_or_default());
        Self { max_rate: Some(max_rate), quality: Some(quality), max_size }.put(out);
    }

    /// How often a picture of this size can be halved, `most` times at most, and still fill what is wanted.
    pub fn halvings(&self, full: Size, most: u8) -> u8 {
        let Some(wanted) = self.max_size else { return 0 };
        let fills = |halvings: &u8| {
            let side =
                |full: u16, wanted: u16| wanted == 0 || u32::from(full).div_ceil(1 << halvings) >= u32::from(wanted);
            side(full.width, wanted.width) && side(full.height, wanted.height)
        };
        (1..=most.min(15)).take_while(fills).last().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_want_leaves_out_stays_and_zero_takes_back() {
        let all = WantedPictures {
            max_rate: Some(Bitrate::bps(20_000_000)),
            quality: Some(60),
            max_size: Some(Size::new(640, 0)),
        };
        let said = |put: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            put(&mut out);
            WantedPictures::read(Tlvs::trusted(&out))
        };
        assert_eq!(WantedPictures::ANY.changed_by(said(&|out| all.put(out))), all);
        let less = WantedPictures { quality: None, ..all };
        assert_eq!(all.changed_by(said(&|out| less.put(out))), all, "nothing is said of quality");
        assert_eq!(all.changed_by(said(&|out| less.put_all(out))), less);
        assert_eq!(all.changed_by(said(&|out| WantedPictures::ANY.put_all(out))), WantedPictures::ANY);
    }

    #[test]
    fn what_cannot_be_read_changes_nothing() {
        let mut out = Vec::new();
        [kind::MAX_RATE, kind::QUALITY, kind::MAX_SIZE].into_iter().for_each(|kind| tlv::put(&mut out, kind, &[]));
        let some = WantedPictures { quality: Some(60), ..WantedPictures::ANY };
        assert_eq!(some.changed_by(WantedPictures::read(Tlvs::trusted(&out))), some);
        let mut beyond = Vec::new();
        tlv::put(&mut beyond, kind::QUALITY, &[255]);
        assert_eq!(some.changed_by(WantedPictures::read(Tlvs::trusted(&beyond))).quality, Some(100));
    }

    #[test]
    fn a_picture_is_halved_only_as_long_as_it_fills() {
        let full = Size::new(1_280, 720);
        for (size, halvings) in [
            (Size::new(640, 360), 1),
            (Size::new(641, 360), 0),
            (Size::new(640, 361), 0),
            (Size::new(640, 0), 1),
            (Size::new(0, 180), 2),
            (Size::new(1, 1), 2),
            (Size::new(4_000, 4_000), 0),
        ] {
            let wanted = WantedPictures { max_size: Some(size), ..WantedPictures::ANY };
            assert_eq!(wanted.halvings(full, 2), halvings, "{size}");
        }
        assert_eq!(WantedPictures::ANY.halvings(full, 2), 0);
    }
}
