//! A coded picture and the objects that it is cut into, once per size class.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::jpeg::Subsampling;
use super::jpeg::cut::{self, TooBig};
use super::jpeg::index::Index;
use crate::units::{MediaTime, Size, Span, Time, Unit};
use crate::wire::object::{ObjectHeader, ObjectView, SAME_CUT, Type, flags, format};
use crate::wire::{BODY_RESERVE, OBJECT_RESERVE, SizeClass};

/// One picture as the encoder leaves it: a whole JPEG with its restart index, or the word that nothing has changed.
///
/// A camera's own JPEG may have other tables than Annex K's at `quality`; then it is sent whole or not at all.
pub struct CodedPicture {
    pub unit: Unit,
    pub media_time: MediaTime,
    /// Until the next picture is due; of a live one, the stream's usual interval.
    pub lasts: Duration,
    /// Of this rendition.
    pub size: Size,
    pub rendition: u8,
    /// Annex K quality, 1–100.
    pub quality: u8,
    /// Which restart layout: 0 is the largest divisor of a row not above 16, each step the next smaller one.
    pub layout: u8,
    /// Empty: it shows the same as the picture before.
    pub jpeg: Vec<u8>,
    pub index: Index,
    pub stamps: Stamps,
}

/// When each stage was done with the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    pub captured: Time,
    pub encoding: Time,
    pub encoded: Time,
}

/// Shared bytes: a range of an `Arc`, so that a thousand watchers get the same object without a copy.
#[derive(Clone, Debug)]
pub struct Object {
    bytes: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Object {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }

    pub fn len(&self) -> usize {
        self.range.len()
    }

    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }
}

impl Object {
    /// Ranges of one allocation.
    pub(crate) fn all(bytes: Vec<u8>, ranges: impl IntoIterator<Item = Range<usize>>) -> Vec<Self> {
        let bytes = Arc::new(bytes);
        ranges.into_iter().map(|range| Self { bytes: Arc::clone(&bytes), range }).collect()
    }
}

/// Equal are those of the same bytes, wherever they lie.
impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Object {}

impl From<Vec<u8>> for Object {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { bytes: Arc::new(bytes), range }
    }
}

/// All objects of one picture at one size class. Those that were cut here lie in one allocation.
#[derive(Debug, PartialEq, Eq)]
pub struct CutPicture {
    pub unit: Unit,
    objects: Vec<Object>,
}

impl CutPicture {
    pub const fn new(unit: Unit, objects: Vec<Object>) -> Self {
        Self { unit, objects }
    }

    pub fn parts(&self) -> usize {
        self.objects.len()
    }

    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// Object `part`; `None` past the last.
    pub fn object(&self, part: usize) -> Option<Object> {
        self.objects.get(part).cloned()
    }

    /// Where among its objects this part is, and the object. Usually the two numbers are the same.
    pub fn part(&self, part: u16) -> Option<(usize, Object)> {
        let is_it = |object: &Object| {
            ObjectView::parse_unchecked(object.bytes()).is_ok_and(|object| object.header.part == part)
        };
        let at = usize::from(part).min(self.objects.len());
        let at = (0..=at).rev().find(|at| self.objects.get(*at).is_some_and(is_it))?;
        Some((at, self.objects[at].clone()))
    }

    /// Bytes of all objects together.
    pub fn total(&self) -> usize {
        self.objects.iter().map(Object::len).sum()
    }

    /// The smallest class whose datagrams hold all of its objects; `None`: no class does.
    pub fn class(&self) -> Option<SizeClass> {
        let largest = self.objects.iter().map(Object::len).max().unwrap_or_default();
        // A class keeps this much free around its largest object.
        let kept = BODY_RESERVE - OBJECT_RESERVE;
        SizeClass::ALL.into_iter().rev().find(|class| largest + kept <= class.datagram())
    }
}

/// A picture as it came from elsewhere: its objects, which go on as they are. A clone shares them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedPicture {
    /// In the order of their parts; of a picture that is not whole some are missing.
    pub cut: Arc<CutPicture>,
    /// The smallest that carries all of them.
    pub class: SizeClass,
    pub media_time: MediaTime,
    /// Until the next picture is due, as far as is known.
    pub lasts: Duration,
    pub rendition: u8,
    /// Annex K quality; 0: its tables say.
    pub quality: u8,
    /// It is the word that nothing has changed.
    pub is_same: bool,
    /// All parts are there.
    pub is_whole: bool,
    /// When its first part came.
    pub came: Time,
}

impl PassedPicture {
    /// A picture of these parts, in their order; `header` is that of one of them. `None` if they fit no datagram.
    pub fn of(header: &ObjectHeader, parts: Vec<Object>, count: u16, lasts: Duration, came: Time) -> Option<Self> {
        let is_whole = count > 0 && parts.len() == usize::from(count);
        let cut = CutPicture::new(header.unit, parts);
        let is_same = header.has(flags::SAME);
        Some(Self {
            class: if is_same { SizeClass::ANY } else { cut.class()? },
            cut: Arc::new(cut),
            media_time: header.media_time,
            lasts,
            rendition: header.rendition,
            quality: header.tables.min(100),
            is_same,
            is_whole,
            came,
        })
    }
}

impl CodedPicture {
    /// It shows the same as the picture before it, which is of this rendition and its size.
    pub fn same(unit: Unit, span: Span, size: Size, rendition: u8, stamps: Stamps) -> Self {
        let Span { at: media_time, lasts } = span;
        let (subsampling, intervals) = (Subsampling::Yuv420, Vec::new());
        let mcu = subsampling.mcu();
        let index = Index { size, subsampling, mcu, restart_interval: None, quality: None, scan: 0..0, intervals };
        Self { unit, media_time, lasts, size, rendition, quality: 0, layout: 0, jpeg: Vec::new(), index, stamps }
    }

    pub const fn is_same(&self) -> bool {
        self.jpeg.is_empty()
    }

    /// Cuts for one size class: WHOLE if the JPEG fits one datagram, slices otherwise.
    pub fn cut(&self, stream: u64, class: SizeClass) -> Result<CutPicture, TooBig> {
        self.cut_as(stream, class, false, self.unit, self.media_time)
    }

    /// The same picture as another unit: for those who lack it when it is shown again. `fine`: into eight slices at least, as far
    /// as its restart intervals allow it, so that parity can be made of them; where it has as many anyway the cut is the same.
    pub fn cut_as(
        &self,
        stream: u64,
        class: SizeClass,
        fine: bool,
        unit: Unit,
        media_time: MediaTime,
    ) -> Result<CutPicture, TooBig> {
        let finer = if fine { self.fine_cut(class) } else { None };
        let header = ObjectHeader { unit, media_time, ..self.header(stream, class, finer.is_some()) };
        let mut bytes = Vec::with_capacity(self.jpeg.len() + self.jpeg.len() / 4 + 512);
        let mut parts = Vec::new();
        if self.is_same() {
            let header = ObjectHeader { flags: flags::SAME | flags::LAST, cut: SAME_CUT, parts: 1, ..header };
            parts.push(header.emit(&mut bytes, |_| {}));
        } else if finer.is_none() && self.jpeg.len() <= class.body_max() {
            let header = ObjectHeader { flags: flags::WHOLE | flags::LAST, parts: 1, ..header };
            parts.push(header.emit(&mut bytes, |out| out.extend_from_slice(&self.jpeg)));
        } else if self.index.quality != Some(self.quality) {
            return Err(TooBig { interval_bytes: self.jpeg.len() });
        } else {
            let slices = finer.map_or_else(|| cut::plan(&self.index, self.jpeg.len(), class.body_max()), Ok)?;
            for (part, slice) in slices.iter().enumerate() {
                let last = if part + 1 == slices.len() { flags::LAST } else { 0 };
                let header = ObjectHeader {
                    flags: last,
                    tables: self.quality,
                    part: part as u16,
                    parts: slices.len() as u16,
                    x8: slice.x8,
                    y8: slice.y8,
                    ..header
                };
                parts.push(header.emit(&mut bytes, |out| slice.write(&self.index, &self.jpeg, out)));
            }
        }
        Ok(CutPicture::new(unit, Object::all(bytes, parts)))
    }

    /// More slices than the class alone would cut, if there are to be more.
    fn fine_cut(&self, class: SizeClass) -> Option<Vec<cut::Slice>> {
        if self.is_same() || self.index.quality != Some(self.quality) {
            return None;
        }
        let usual = cut::plan(&self.index, self.jpeg.len(), class.body_max()).ok()?.len().max(1);
        let finer = cut::plan_finely(&self.index, class.body_max()).ok()?;
        (usual < cut::FINE && finer.len() > usual).then_some(finer)
    }

    fn header(&self, stream: u64, class: SizeClass, fine: bool) -> ObjectHeader {
        ObjectHeader {
            kind: Type::PICTURE,
            flags: 0,
            stream,
            rendition: self.rendition,
            cut: class.cut(self.layout, fine),
            tables: 0,
            format: match self.index.subsampling {
                Subsampling::Yuv420 => format::YUV420,
                Subsampling::Yuv422 => format::YUV422,
                Subsampling::Yuv444 => format::YUV444,
                Subsampling::Grey => format::GREY,
            },
            unit: self.unit,
            part: 0,
            parts: 1,
            media_time: self.media_time,
            size: self.size,
            x8: 0,
            y8: 0,
        }
    }
}
