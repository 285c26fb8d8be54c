//! A picture for everybody, and its cuts: one list of shared objects for each way in which somebody is sent it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::adapt::bits_of;
use crate::media::coded::{CodedPicture, CutPicture, Object, PassedPicture, Stamps};
use crate::media::parity::protect;
use crate::proto::sender::Pace;
use crate::proto::session::Session;
use crate::units::{MediaTime, Span, Time, Unit};
use crate::wire::message::Scheme;
use crate::wire::{HOP_LEN, SizeClass};

/// What pictures are made of.
#[derive(Clone)]
pub enum Content {
    /// A JPEG that is cut here.
    Coded(Arc<CodedPicture>),
    /// Objects from elsewhere.
    Passed(Arc<PassedPicture>),
}

impl Content {
    pub fn unit(&self) -> Unit {
        match self {
            Self::Coded(picture) => picture.unit,
            Self::Passed(picture) => picture.cut.unit,
        }
    }

    fn media_time(&self) -> MediaTime {
        match self {
            Self::Coded(picture) => picture.media_time,
            Self::Passed(picture) => picture.media_time,
        }
    }

    fn lasts(&self) -> Duration {
        match self {
            Self::Coded(picture) => picture.lasts,
            Self::Passed(picture) => picture.lasts,
        }
    }

    fn rendition(&self) -> u8 {
        match self {
            Self::Coded(picture) => picture.rendition,
            Self::Passed(picture) => picture.rendition,
        }
    }

    fn is_same(&self) -> bool {
        match self {
            Self::Coded(picture) => picture.is_same(),
            Self::Passed(picture) => picture.is_same,
        }
    }

    fn stamps(&self) -> Stamps {
        match self {
            Self::Coded(picture) => picture.stamps,
            Self::Passed(picture) => Stamps { captured: picture.came, encoding: picture.came, encoded: picture.came },
        }
    }

    /// Its objects as somebody is sent them, of this stream, and if they are made here as this unit; `None` if they do not fit.
    fn cut(&self, stream: u64, key: Cut, (unit, media_time): (Unit, MediaTime)) -> Option<Arc<CutPicture>> {
        match self {
            Self::Coded(picture) => picture.cut_as(stream, key.class, key.fine, unit, media_time).ok().map(Arc::new),
            Self::Passed(picture) => (picture.class <= key.class).then(|| Arc::clone(&picture.cut)),
        }
    }
}

/// The picture in hand, or the one that has departed.
pub struct Offer {
    picture: Content,
    /// What it shows: itself, or, if it is the word that nothing has changed, what was shown last.
    body: Option<Content>,
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
    pub fn new(now: Time, picture: Content, before: Option<Content>) -> Self {
        let body = if picture.is_same() { before } else { Some(picture.clone()) };
        Self { picture, body, cuts: BTreeMap::new(), parity: BTreeMap::new(), at: now, waited: false }
    }

    pub const fn body(&self) -> Option<&Content> {
        self.body.as_ref()
    }

    /// The picture, if it was coded here.
    pub fn coded(&self) -> Option<&CodedPicture> {
        match &self.picture {
            Content::Coded(picture) => Some(picture),
            Content::Passed(_) => None,
        }
    }

    /// The picture, if it came from elsewhere.
    pub fn passed(&self) -> Option<&PassedPicture> {
        match &self.picture {
            Content::Coded(_) => None,
            Content::Passed(picture) => Some(picture),
        }
    }

    /// Bits on the wire of the largest cut that was made; `None`: none was.
    pub fn bits(&self) -> Option<f64> {
        let bits = |(cut, _): &(Arc<CutPicture>, Pace)| bits_of(cut.total(), cut.parts());
        self.cuts.values().flatten().map(bits).reduce(f64::max)
    }

    pub fn unit(&self) -> Unit {
        self.picture.unit()
    }

    pub fn media_time(&self) -> MediaTime {
        self.picture.media_time()
    }

    pub fn lasts(&self) -> Duration {
        self.picture.lasts()
    }

    pub fn span(&self) -> Span {
        Span { at: self.media_time(), lasts: self.lasts() }
    }

    pub fn stamps(&self) -> Stamps {
        self.picture.stamps()
    }

    pub fn rendition(&self) -> u8 {
        self.picture.rendition()
    }

    pub fn cut_for(&self, session: &Session) -> Cut {
        let lacks = |body: &Content| !self.picture.is_same() || session.lacks(body.unit());
        Cut {
            rendition: self.picture.rendition(),
            class: session.media.class(),
            fine: session.media.protection.is_on(),
            body: self.body.as_ref().is_some_and(lacks),
        }
    }

    /// The unit whose body is sent so; `None`: only the word that nothing has changed.
    pub fn body_of(&self, cut: Cut) -> Option<Unit> {
        self.body.as_ref().filter(|_| cut.body).map(Content::unit)
    }

    /// The first so many repair symbols of what was cut so.
    pub fn symbols(&mut self, key: Cut, scheme: Scheme, count: usize) -> Vec<Object> {
        // Of what is not whole some members of its codes are missing.
        let whole = self.passed().is_none_or(|picture| picture.is_whole);
        let Some(Some((cut, _))) = self.cuts.get(&key).filter(|_| count > 0 && whole) else { return Vec::new() };
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
            let cut = shown.cut(stream, key, (picture.unit(), picture.media_time()))?;
            let bytes = cut.total() + cut.parts() * HOP_LEN;
            Some((cut, Pace::new(Time::ZERO, bytes, key.class, interval)))
        });
        cut.clone()
    }
}
