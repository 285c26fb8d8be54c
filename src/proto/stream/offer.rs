//! A picture for everybody, and its cuts: one list of shared objects for each way in which somebody is sent it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::adapt::bits_of;
use crate::media::coded::{CodedPicture, CutPicture, Object, Stamps};
use crate::media::parity::protect;
use crate::proto::sender::Pace;
use crate::proto::session::Session;
use crate::units::{MediaTime, Span, Time, Unit};
use crate::wire::message::Scheme;
use crate::wire::{HOP_LEN, SizeClass};

/// The picture in hand, or the one that has departed.
pub struct Offer {
    picture: Arc<CodedPicture>,
    /// What it shows: itself, or, if it is the word that nothing has changed, what was shown last.
    body: Option<Arc<CodedPicture>>,
    cuts: BTreeMap<Cut, Option<(Arc<CutPicture>, Pace)>>,
    /// Repair symbols, and how many were made.
    parity: BTreeMap<(Cut, Scheme), (usize, Vec<Object>)>,
    /// When it came.
    pub at: Time,
    /// Its moment has come, but not everybody had been sent the one before.
    pub waited: bool,
}

/// How a watcher is sent a picture.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut {
    rendition: u8,
    pub class: SizeClass,
    /// Into eight slices at least, so that parity can be made of them.
    fine: bool,
    /// With its body, or only the word that nothing has changed.
    body: bool,
}

impl Offer {
    /// `before` is what was shown last.
    pub fn new(now: Time, picture: CodedPicture, before: Option<Arc<CodedPicture>>) -> Self {
        let picture = Arc::new(picture);
        let body = if picture.is_same() { before } else { Some(Arc::clone(&picture)) };
        Self { picture, body, cuts: BTreeMap::new(), parity: BTreeMap::new(), at: now, waited: false }
    }

    pub const fn body(&self) -> Option<&Arc<CodedPicture>> {
        self.body.as_ref()
    }

    pub fn picture(&self) -> &CodedPicture {
        &self.picture
    }

    /// Bits on the wire of the largest cut that was made; `None`: none was.
    pub fn bits(&self) -> Option<f64> {
        let bits = |(cut, _): &(Arc<CutPicture>, Pace)| bits_of(cut.total(), cut.parts());
        self.cuts.values().flatten().map(bits).reduce(f64::max)
    }

    pub fn unit(&self) -> Unit {
        self.picture.unit
    }

    pub fn media_time(&self) -> MediaTime {
        self.picture.media_time
    }

    pub fn lasts(&self) -> Duration {
        self.picture.lasts
    }

    pub fn span(&self) -> Span {
        Span { at: self.picture.media_time, lasts: self.picture.lasts }
    }

    pub fn stamps(&self) -> Stamps {
        self.picture.stamps
    }

    pub fn rendition(&self) -> u8 {
        self.picture.rendition
    }

    pub fn cut_for(&self, session: &Session) -> Cut {
        let lacks = |body: &Arc<CodedPicture>| !self.picture.is_same() || session.lacks(body.unit);
        Cut {
            rendition: self.picture.rendition,
            class: session.media.class(),
            fine: session.media.protection.is_on(),
            body: self.body.as_ref().is_some_and(lacks),
        }
    }

    /// The unit whose body is sent so; `None`: only the word that nothing has changed.
    pub fn body_of(&self, cut: Cut) -> Option<Unit> {
        self.body.as_ref().filter(|_| cut.body).map(|body| body.unit)
    }

    /// The first so many repair symbols of what was cut so.
    pub fn symbols(&mut self, key: Cut, scheme: Scheme, count: usize) -> Vec<Object> {
        let Some(Some((cut, _))) = self.cuts.get(&key).filter(|_| count > 0) else { return Vec::new() };
        let (made, symbols) = self.parity.entry((key, scheme)).or_default();
        // Sums of which some are left out would leave some parts without any.
        if *made < count || scheme == Scheme::Xor && *made != count {
            (*made, *symbols) = (count, protect(scheme, cut.objects(), count));
        }
        symbols.iter().take(count).cloned().collect()
    }

    /// The objects, and how fast they may leave; `None`: it cannot be cut so.
    pub fn cut(&mut self, stream: u64, key: Cut, interval: Duration) -> Option<(Arc<CutPicture>, Pace)> {
        let Self { picture, body, cuts, .. } = self;
        let cut = cuts.entry(key).or_insert_with(|| {
            let shown = body.as_ref().filter(|_| key.body).unwrap_or(picture);
            let cut = shown.cut_as(stream, key.class, key.fine, picture.unit, picture.media_time).ok()?;
            let bytes = cut.total() + cut.parts() * HOP_LEN;
            Some((Arc::new(cut), Pace::new(Time::ZERO, bytes, key.class, interval)))
        });
        cut.clone()
    }
}
