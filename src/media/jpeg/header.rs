//! Everything before the entropy-coded data: a strict walk over the segments, and the few segments we write ourselves.
//! Strict, because what is read here decides how far the decoder may write.

use super::{JpegError, Subsampling, tables};
use crate::units::Size;

/// What the segments from SOI to SOS say.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub size: Size,
    pub subsampling: Subsampling,
    /// 4:2:2 with all its factors downwards doubled, so that an MCU is two of the usual ones on top of each other.
    pub tall: bool,
    /// MCUs from one restart marker to the next, 0 = no restart markers.
    pub restart: u16,
    /// Offset of the SOS marker.
    pub sos: usize,
    /// Offset of the first entropy-coded byte.
    pub scan: usize,
    pub has_huffman: bool,
    has_quantisation: bool,
    components: [Component; 3],
    tables: TableSet<'a>,
}

/// Which tables a component chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Component {
    id: u8,
    sampling: u8,
    quantisation: u8,
    dc: u8,
    ac: u8,
}

#[derive(Debug, Default)]
struct TableSet<'a> {
    quantisation: [Option<&'a [u8]>; 4],
    /// By class (DC, AC) and identifier: 16 counts, then the values.
    huffman: [[Option<&'a [u8]>; 4]; 2],
}

/// The tables that one component chooses: 64 steps in zigzag order; 16 counts, then the values.
pub(super) struct Chosen<'a> {
    pub quantisation: &'a [u8],
    pub dc: &'a [u8],
    pub ac: &'a [u8],
}

struct Frame {
    size: Size,
    subsampling: Subsampling,
    tall: bool,
    components: [Component; 3],
}

/// What decides whether three components are YCbCr or RGB; libjpeg's rule.
#[derive(Default)]
struct Colour {
    jfif: bool,
    adobe_transform: Option<u8>,
}

impl<'a> Header<'a> {
    /// Reads up to and including SOS.
    pub fn walk(jpeg: &'a [u8]) -> Result<Self, JpegError> {
        let header = Self::walk_any(jpeg)?;
        if header.tall { Err(JpegError::Unsupported("its 4:2:2 has unusual factors")) } else { Ok(header) }
    }

    /// The same, also of tall ones.
    pub fn walk_any(jpeg: &'a [u8]) -> Result<Self, JpegError> {
        let mut reader = Reader { jpeg, at: 2 };
        if jpeg.get(..2) != Some(&SOI) {
            return Err(JpegError::NotJpeg);
        }
        let (mut tables, mut colour, mut frame, mut restart) = (TableSet::default(), Colour::default(), None, 0);
        loop {
            let sos = reader.at;
            let marker = reader.marker()?;
            let body = reader.segment(marker)?;
            match marker {
                0xC0 if frame.is_some() => return Err(JpegError::Marker(marker)),
                0xC0 => frame = Some(Frame::parse(body)?),
                0xC1..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCF => return Err(JpegError::Unsupported("it is not baseline")),
                0xC4 => tables.add_huffman(body)?,
                0xDB => tables.add_quantisation(body)?,
                0xDD => restart = <[u8; 2]>::try_from(body).map(u16::from_be_bytes).map_err(|_| BAD_DRI)?,
                0xDA => {
                    let frame = frame.ok_or(JpegError::Marker(marker))?;
                    return Self::finish(frame, tables, &colour, restart, body, sos..reader.at);
                }
                0xE0 => colour.jfif |= body.len() >= 14 && body.starts_with(b"JFIF\0"),
                0xEE if body.starts_with(b"Adobe") => {
                    colour.adobe_transform = body.get(11).copied().or(colour.adobe_transform);
                }
                0xE1..=0xEF | 0xFE => {}
                _ => return Err(JpegError::Marker(marker)),
            }
        }
    }

    fn finish(
        mut frame: Frame,
        tables: TableSet<'a>,
        colour: &Colour,
        restart: u16,
        scan_header: &[u8],
        sos: std::ops::Range<usize>,
    ) -> Result<Self, JpegError> {
        let count = frame.subsampling.components();
        read_scan_header(scan_header, &mut frame.components[..count])?;
        if count == 3 && colour.is_rgb(&frame.components) {
            return Err(JpegError::Unsupported("its colour is RGB, not YCbCr"));
        }
        Ok(Self {
            size: frame.size,
            subsampling: frame.subsampling,
            tall: frame.tall,
            restart,
            sos: sos.start,
            scan: sos.end,
            has_huffman: tables.huffman.iter().flatten().any(Option::is_some),
            has_quantisation: tables.quantisation.iter().any(Option::is_some),
            components: frame.components,
            tables,
        })
    }

    /// Interchange format: each table in use is in the file.
    pub fn check_complete(&self) -> Result<(), JpegError> {
        self.chosen().map(drop)
    }

    /// Abbreviated format as slices have it: no table in the file, and the usual ones chosen.
    pub fn check_abbreviated(&self) -> Result<(), JpegError> {
        let usual = self.used().enumerate().all(|(at, c)| {
            let table = u8::from(at > 0);
            (c.quantisation, c.dc, c.ac) == (table, table, table)
        });
        if usual && !self.has_huffman && !self.has_quantisation { Ok(()) } else { Err(JpegError::Tables) }
    }

    /// The quality whose Annex K tables, with the standard Huffman tables, are exactly the ones in use.
    pub fn quality(&self) -> Option<u8> {
        let quality = tables::quality_of(self.quantisation(&self.components[0])?, 0)?;
        let all = self.used().enumerate().all(|(at, c)| {
            let kind = usize::from(at > 0);
            self.quantisation(c).is_some_and(|table| tables::is_annex_k(table, kind, quality))
                && self.huffman(0, c.dc).is_some_and(|table| tables::is_standard_huffman(table, kind, false))
                && self.huffman(1, c.ac).is_some_and(|table| tables::is_standard_huffman(table, kind, true))
        });
        all.then_some(quality)
    }

    /// The tables of each component; an error if one is not in the file.
    pub fn chosen(&self) -> Result<Vec<Chosen<'a>>, JpegError> {
        let chosen = |c: &Component| {
            let (dc, ac) = (self.huffman(0, c.dc)?, self.huffman(1, c.ac)?);
            Some(Chosen { quantisation: self.quantisation(c)?, dc, ac })
        };
        self.used().map(chosen).collect::<Option<_>>().ok_or(JpegError::MissingTable)
    }

    fn used(&self) -> impl Iterator<Item = &Component> {
        self.components.iter().take(self.subsampling.components())
    }

    fn quantisation(&self, component: &Component) -> Option<&'a [u8]> {
        self.tables.quantisation.get(usize::from(component.quantisation)).copied().flatten()
    }

    fn huffman(&self, class: usize, id: u8) -> Option<&'a [u8]> {
        self.tables.huffman.get(class)?.get(usize::from(id)).copied().flatten()
    }
}

impl Frame {
    fn parse(body: &[u8]) -> Result<Self, JpegError> {
        let &[precision, h1, h0, w1, w0, count, ref list @ ..] = body else { return Err(JpegError::Segment(0xC0)) };
        if precision != 8 {
            return Err(JpegError::Unsupported("its samples are not of 8 bits"));
        }
        let size = Size::new(u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
        if size.width == 0 || size.height == 0 {
            return Err(JpegError::Unsupported("it has no size"));
        }
        let (list, rest) = list.as_chunks::<3>();
        if list.len() != usize::from(count) || !rest.is_empty() {
            return Err(JpegError::Segment(0xC0));
        }
        let mut components = [Component::default(); 3];
        for (component, &[id, sampling, quantisation]) in components.iter_mut().zip(list) {
            *component = Component { id, sampling, quantisation, ..Component::default() };
        }
        let tall = matches!(list, [[_, 0x22, _], [_, 0x12, _], [_, 0x12, _]]);
        let subsampling = if tall { Subsampling::Yuv422 } else { subsampling(list)? };
        Ok(Self { size, subsampling, tall, components })
    }
}

/// A single component is never interleaved, so its sampling factors mean nothing (T.81 A.2.2).
fn subsampling(components: &[[u8; 3]]) -> Result<Subsampling, JpegError> {
    match components {
        [[_, factors, _]] if (1..=4).contains(&(factors >> 4)) && (1..=4).contains(&(factors & 15)) => {
            Ok(Subsampling::Grey)
        }
        [[_, 0x22, _], [_, 0x11, _], [_, 0x11, _]] => Ok(Subsampling::Yuv420),
        [[_, 0x21, _], [_, 0x11, _], [_, 0x11, _]] => Ok(Subsampling::Yuv422),
        [[_, 0x11, _], [_, 0x11, _], [_, 0x11, _]] => Ok(Subsampling::Yuv444),
        _ => Err(JpegError::Unsupported("its subsampling is not 4:2:0, 4:2:2, 4:4:4 or grey")),
    }
}

/// One scan over all components in the frame's order, all coefficients at once.
fn read_scan_header(body: &[u8], components: &mut [Component]) -> Result<(), JpegError> {
    let (&count, rest) = body.split_first().ok_or(JpegError::Segment(0xDA))?;
    if usize::from(count) != components.len() {
        return Err(JpegError::Unsupported("it has more than one scan"));
    }
    let (list, progression) = rest.split_at_checked(2 * components.len()).ok_or(JpegError::Segment(0xDA))?;
    if *progression != [0, 63, 0] {
        return Err(JpegError::Segment(0xDA));
    }
    for (component, &[id, chosen]) in components.iter_mut().zip(list.as_chunks::<2>().0) {
        if id != component.id || chosen & 0x0F > 3 || chosen >> 4 > 3 {
            return Err(JpegError::Segment(0xDA));
        }
        (component.dc, component.ac) = (chosen >> 4, chosen & 0x0F);
    }
    Ok(())
}

impl<'a> TableSet<'a> {
    fn add_quantisation(&mut self, body: &'a [u8]) -> Result<(), JpegError> {
        let (list, rest) = body.as_chunks::<65>();
        if list.is_empty() || !rest.is_empty() {
            return Err(JpegError::Segment(0xDB));
        }
        for table in list {
            let slot = self.quantisation.get_mut(usize::from(table[0])).ok_or(JpegError::Segment(0xDB))?;
            *slot = Some(&table[1..]);
        }
        Ok(())
    }

    fn add_huffman(&mut self, mut body: &'a [u8]) -> Result<(), JpegError> {
        while let Some((&class_and_id, rest)) = body.split_first() {
            let counts = rest.get(..16).ok_or(JpegError::Segment(0xC4))?;
            let values: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let (table, next) = rest.split_at_checked(16 + values).ok_or(JpegError::Segment(0xC4))?;
            let class = self.huffman.get_mut(usize::from(class_and_id >> 4)).ok_or(JpegError::Segment(0xC4))?;
            let slot = class.get_mut(usize::from(class_and_id & 0x0F)).ok_or(JpegError::Segment(0xC4))?;
            *slot = Some(table);
            body = next;
        }
        Ok(())
    }
}

impl Colour {
    fn is_rgb(&self, components: &[Component; 3]) -> bool {
        let named_rgb = components.map(|c| c.id) == *b"RGB";
        !self.jfif && self.adobe_transform.map_or(named_rgb, |transform| transform == 0)
    }
}

struct Reader<'a> {
    jpeg: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next marker's code, after any fill bytes.
    fn marker(&mut self) -> Result<u8, JpegError> {
        let first = self.byte()?;
        if first != 0xFF {
            return Err(JpegError::Marker(first));
        }
        loop {
            match self.byte()? {
                0xFF => {}
                code => return Ok(code),
            }
        }
    }

    /// The segment's content, without its length.
    fn segment(&mut self, marker: u8) -> Result<&'a [u8], JpegError> {
        if matches!(marker, 0x00 | 0x01 | 0xD0..=0xD9) {
            return Err(JpegError::Marker(marker));
        }
        let length = usize::from(u16::from_be_bytes([self.byte()?, self.byte()?]));
        let length = length.checked_sub(2).ok_or(JpegError::Segment(marker))?;
        let rest = self.jpeg.get(self.at..).unwrap_or_default();
        let body = rest.get(..length).ok_or(JpegError::Truncated)?;
        self.at += length;
        Ok(body)
    }

    fn byte(&mut self) -> Result<u8, JpegError> {
        let byte = *self.jpeg.get(self.at).ok_or(JpegError::Truncated)?;
        self.at += 1;
        Ok(byte)
    }
}

pub(super) const SOI: [u8; 2] = [0xFF, 0xD8];
pub(super) const EOI: [u8; 2] = [0xFF, 0xD9];
/// The application segment libjpeg writes: JFIF 1.01, no density.
pub(super) const JFIF: [u8; 18] = [0xFF, 0xE0, 0, 16, b'J', b'F', b'I', b'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0];
const BAD_DRI: JpegError = JpegError::Segment(0xDD);

pub(super) fn append_restart(interval: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xFF, 0xDD, 0, 4]);
    out.extend_from_slice(&interval.to_be_bytes());
}

/// SOF0 with components 1, 2, 3 and tables 0, 1, 1.
pub(super) fn append_frame(size: Size, subsampling: Subsampling, out: &mut Vec<u8>) {
    let count = subsampling.components() as u8;
    let luma = match subsampling {
        Subsampling::Yuv420 => 0x22,
        Subsampling::Yuv422 => 0x21,
        Subsampling::Yuv444 | Subsampling::Grey => 0x11,
    };
    out.extend_from_slice(&[0xFF, 0xC0, 0, 8 + 3 * count, 8]);
    out.extend_from_slice(&size.height.to_be_bytes());
    out.extend_from_slice(&size.width.to_be_bytes());
    out.extend_from_slice(&[count, 1, luma, 0]);
    if count == 3 {
        out.extend_from_slice(&[2, 0x11, 1, 3, 0x11, 1]);
    }
}

/// SOS over all components.
pub(super) fn append_scan(subsampling: Subsampling, out: &mut Vec<u8>) {
    let count = subsampling.components() as u8;
    out.extend_from_slice(&[0xFF, 0xDA, 0, 6 + 2 * count, count, 1, 0x00]);
    if count == 3 {
        out.extend_from_slice(&[2, 0x11, 3, 0x11]);
    }
    out.extend_from_slice(&[0, 63, 0]);
}

/// Entropy-coded intervals with RST0, RST1 … between them, then EOI.
pub(super) fn append_intervals<'a>(intervals: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    for (at, interval) in intervals.enumerate() {
        if at > 0 {
            out.extend_from_slice(&[0xFF, 0xD0 | ((at - 1) % 8) as u8]);
        }
        out.extend_from_slice(interval);
    }
    out.extend_from_slice(&EOI);
}
