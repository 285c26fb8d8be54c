//! A JPEG coded anew without being turned into pixels: the usual Huffman tables, restart markers to cut at, and the
//! tables of a quality where its own are others. What stays of a picture with the usual tables is every coefficient.

use std::mem;
use std::ops::Range;

use super::entropy::{Coding, Decoding, Reader, Writer};
use super::header::{EOI, Header};
use super::join::{append_whole_header, check_quality};
use super::{Index, JpegError, tables};
use crate::units::Size;

/// Codes that are the same for all pictures.
pub struct Recoder {
    /// Of luma and of chroma.
    coding: [Codings; 2],
}

struct Codings {
    dc: Coding,
    ac: Coding,
}

impl Default for Recoder {
    fn default() -> Self {
        let coding = |kind, ac| {
            let (counts, values) = tables::huffman(kind, ac);
            Coding::new(counts, values)
        };
        Self { coding: [0, 1].map(|kind| Codings { dc: coding(kind, false), ac: coding(kind, true) }) }
    }
}

impl Recoder {
    /// `jpeg`, whose index is `index`, with the tables of `quality` (1–100) and a marker after every `restart` MCUs
    /// (at least 1), and the index of that.
    ///
    /// With the quality that the picture has, nothing is lost. Numbers that no baseline JPEG may have are limited.
    ///
    /// # Errors
    /// The picture is damaged, or `index` is not its.
    pub fn recode(&self, jpeg: &[u8], index: &Index, quality: u8, restart: u16) -> Result<(Vec<u8>, Index), JpegError> {
        check_quality(quality)?;
        let header = Header::walk(jpeg)?;
        let mut components = self.components(&header, quality)?;
        let mut coded = Vec::with_capacity(jpeg.len() + jpeg.len() / 8 + 1_024);
        append_whole_header(index.size, quality, index.subsampling, restart, &mut coded);
        let start = coded.len();
        let mut out = Output { writer: Writer::default(), intervals: Vec::new(), from: start, restart, mcus: 0 };
        out.writer.bytes = coded;
        let (columns, rows) = index.mcus();
        let mut remaining = columns * rows;
        for range in &index.intervals {
            let count = remaining.min(index.restart_interval.map_or(usize::MAX, usize::from));
            remaining -= count;
            let bytes = jpeg.get(range.clone()).ok_or(JpegError::Truncated)?;
            components.iter_mut().for_each(|component| component.read = 0);
            interval(&mut Reader::new(bytes), count, &mut components, &mut out)?;
        }
        let (coded, intervals) = out.end();
        let index = Index {
            restart_interval: Some(restart),
            quality: Some(quality),
            scan: start..coded.len() - EOI.len(),
            intervals,
            ..*index
        };
        Ok((coded, index))
    }

    fn components(&self, header: &Header<'_>, quality: u8) -> Result<Vec<Component<'_>>, JpegError> {
        let blocks = match header.subsampling.mcu() {
            Size { width: 16, height: 16 } => 4,
            Size { width: 16, .. } => 2,
            _ => 1,
        };
        let component = |(at, chosen): (usize, super::header::Chosen<'_>)| {
            let kind = usize::from(at > 0);
            let steps = tables::quantisation(kind, quality);
            let mut ratios = [0; 64];
            for (ratio, (&old, new)) in ratios.iter_mut().zip(chosen.quantisation.iter().zip(steps)) {
                *ratio = (u32::from(old) << 16) / u32::from(new);
            }
            Ok(Component {
                blocks: if at == 0 { blocks } else { 1 },
                dc: Decoding::new(chosen.dc)?,
                ac: Decoding::new(chosen.ac)?,
                coding: &self.coding[kind],
                ratios,
                read: 0,
                written: 0,
            })
        };
        header.chosen()?.into_iter().enumerate().map(component).collect()
    }
}

/// The quality to code a picture anew with, which is `at_most` or less: its own where it has one, and then nothing is lost;
/// else the lowest at which luma's steps, taken together, are not coarser than its own.
pub fn quality_for(jpeg: &[u8], at_most: u8) -> Result<u8, JpegError> {
    let header = Header::walk(jpeg)?;
    let chosen = header.chosen()?;
    let own = |chosen: &[super::header::Chosen<'_>]| {
        let quality = tables::quality_of(chosen.first()?.quantisation, 0)?;
        let rest = chosen.iter().skip(1).all(|chosen| tables::is_annex_k(chosen.quantisation, 1, quality));
        rest.then_some(quality)
    };
    if let Some(quality) = own(&chosen) {
        return Ok(quality.min(at_most));
    }
    let luma = chosen.first().map_or(&[][..], |chosen| chosen.quantisation);
    let sum: u32 = luma.iter().map(|&step| u32::from(step)).sum();
    let finer = |quality: &u8| tables::quantisation(0, *quality).map(u32::from).sum::<u32>() <= sum;
    Ok((1..at_most).find(finer).unwrap_or(at_most))
}

/// One component on its way from the old coefficients to the new ones.
struct Component<'a> {
    /// In each MCU.
    blocks: u8,
    dc: Decoding,
    ac: Decoding,
    coding: &'a Codings,
    /// Old step by new step, in 65 536ths, in zigzag order.
    ratios: [u32; 64],
    /// The last block's mean, as read and as written: each is coded as the difference to it.
    read: i32,
    written: i32,
}

/// What is written, with a marker where one is due.
struct Output {
    writer: Writer,
    intervals: Vec<Range<usize>>,
    /// Where the interval in the making begins.
    from: usize,
    restart: u16,
    /// In that interval.
    mcus: u16,
}

impl Output {
    /// Before each MCU: true if it begins a new interval.
    fn begin(&mut self) -> bool {
        let due = self.mcus >= self.restart.max(1);
        if due {
            self.close();
            let marker = 0xD0 | ((self.intervals.len() - 1) % 8) as u8;
            self.writer.bytes.extend_from_slice(&[0xFF, marker]);
            (self.from, self.mcus) = (self.writer.bytes.len(), 0);
        }
        self.mcus += 1;
        due
    }

    fn close(&mut self) {
        self.writer.align();
        self.intervals.push(self.from..self.writer.bytes.len());
    }

    fn end(mut self) -> (Vec<u8>, Vec<Range<usize>>) {
        self.close();
        let mut bytes = mem::take(&mut self.writer.bytes);
        bytes.extend_from_slice(&EOI);
        (bytes, self.intervals)
    }
}

fn interval(
    reader: &mut Reader<'_>,
    mcus: usize,
    components: &mut [Component<'_>],
    out: &mut Output,
) -> Result<(), JpegError> {
    for _ in 0..mcus {
        if out.begin() {
            components.iter_mut().for_each(|component| component.written = 0);
        }
        for component in &mut *components {
            for _ in 0..component.blocks {
                component.block(reader, &mut out.writer).ok_or(JpegError::Scan)?;
            }
        }
        if reader.is_over() {
            return Err(JpegError::Truncated);
        }
    }
    Ok(())
}

impl Component<'_> {
    /// One block from `reader` to `writer`; `None` if it is damaged.
    fn block(&mut self, reader: &mut Reader<'_>, writer: &mut Writer) -> Option<()> {
        let found = reader.next(&self.dc)?;
        self.read = self.read.wrapping_add(found.value).clamp(-LARGEST_MEAN, LARGEST_MEAN);
        let mean = requantised(self.read, self.ratios[0]).clamp(-LARGEST - 1, LARGEST);
        writer.put(&self.coding.dc, 0, mean - self.written);
        self.written = mean;
        let (mut at, mut zeros) = (0, 0);
        while at < 63 {
            let found = reader.next(&self.ac)?;
            let run = usize::from(found.symbol >> 4);
            if found.symbol & 15 == 0 && run != 15 {
                break;
            }
            at += run + 1;
            let value = requantised(found.value, *self.ratios.get(at)?).clamp(-LARGEST, LARGEST);
            zeros += run as u32;
            if value == 0 {
                zeros += 1;
                continue;
            }
            while zeros > 15 {
                writer.put(&self.coding.ac, 15, 0);
                zeros -= 16;
            }
            writer.put(&self.coding.ac, zeros, value);
            zeros = 0;
        }
        if at < 63 || zeros > 0 {
            writer.put(&self.coding.ac, 0, 0);
        }
        Some(())
    }
}

/// The nearest number of new steps; exactly as many where the steps are the same.
fn requantised(value: i32, ratio: u32) -> i32 {
    let size = (u64::from(value.unsigned_abs()) * u64::from(ratio) + (1 << 15)) >> 16;
    if value < 0 { -(size as i32) } else { size as i32 }
}

/// What a coefficient of a baseline JPEG may be, and a mean one less below (T.81 tables F.1 and F.2 have no code for more).
const LARGEST: i32 = 1_023;
/// A mean that is read may be more, in a damaged picture.
const LARGEST_MEAN: i32 = 0xFFFF;
