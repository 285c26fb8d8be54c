//! One picture on two threads. Restart intervals know nothing of each other, so the upper and the lower half can be
//! encoded or decoded at the same time, and the JPEG is the same to the byte as one thread would have made it. Where no
//! processor is free for the second half, the first thread does both: nobody is waited for.

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{CodecError, Decoder, Encoder};
use crate::media::jpeg::{self, Halves, Index, Subsampling};
use crate::media::{Canvas, Picture};
use crate::units::Size;

/// Below this the second thread costs more than it saves: about a sixth of a 720p picture.
const WORTH_PIXELS: usize = 150_000;
const WORTH_BYTES: usize = 16_000;

/// An [`Encoder`] for each half, for those to whom time counts more than processor cycles; or a single one.
pub struct PairedEncoder {
    upper: Encoder,
    lower: Option<Encoder>,
}

impl PairedEncoder {
    /// `paired`: on two threads.
    pub fn new(paired: bool) -> Result<Self, CodecError> {
        Ok(Self { upper: Encoder::new()?, lower: paired.then(Encoder::new).transpose()? })
    }

    /// As [`Encoder::encode`], and where its restart intervals lie.
    pub fn encode(
        &mut self,
        picture: &Picture,
        quality: u8,
        restart_blocks: u16,
    ) -> Result<(Vec<u8>, Index), CodecError> {
        let Self { upper, lower } = self;
        let (Some(lower), Some(middle)) = (lower, middle_row(picture.size, restart_blocks)) else {
            return indexed(upper.encode(picture, quality, restart_blocks)?);
        };
        let half =
            |encoder: &mut Encoder, rows| indexed(encoder.encode_rows(picture, rows, quality, restart_blocks)?);
        let (upper, lower) = rayon::join(|| half(upper, 0..middle), || half(lower, middle..picture.size.height));
        match (upper, lower) {
            (Ok((upper, above)), Ok((lower, below))) => Ok(jpeg::stack((&upper, &above), (&lower, &below))?),
            // One alone does it, or says why not: for want of a thread no picture is lost.
            _ => indexed(self.upper.encode(picture, quality, restart_blocks)?),
        }
    }
}

/// The first row of the lower half, where MCU rows and restart intervals begin; `None` if it is not worth it.
fn middle_row(size: Size, restart_blocks: u16) -> Option<u16> {
    let (columns, rows) = Subsampling::Yuv420.grid(size);
    let cuttable = restart_blocks > 0 && columns.is_multiple_of(usize::from(restart_blocks)) && rows > 1;
    (cuttable && size.pixels() >= WORTH_PIXELS).then_some((rows / 2) as u16 * Subsampling::Yuv420.mcu().height)
}

fn indexed(jpeg: Vec<u8>) -> Result<(Vec<u8>, Index), CodecError> {
    let index = jpeg::index(&jpeg)?;
    Ok((jpeg, index))
}

/// A [`Decoder`] for each half of a JPEG or slice; or a single one.
pub struct PairedDecoder {
    upper: Decoder,
    lower: Option<Decoder>,
    bodies: [Vec<u8>; 2],
}

impl PairedDecoder {
    /// `paired`: on two threads. Where many streams are decoded side by side, each has one.
    pub fn new(paired: bool) -> Result<Self, CodecError> {
        let lower = paired.then(Decoder::new).transpose()?;
        Ok(Self { upper: Decoder::new()?, lower, bodies: [Vec::new(), Vec::new()] })
    }

    /// As [`Decoder::decode`], on two threads if that is worth it.
    pub fn decode(&mut self, tables: u8, body: &[u8], canvas: &mut Canvas, x8: u16, y8: u16) -> Result<(), CodecError> {
        if body.len() >= WORTH_BYTES && self.decode_halves(tables, body, canvas, (x8, y8)).is_some() {
            return Ok(());
        }
        self.upper.decode(tables, body, canvas, x8, y8)
    }

    /// `None` if it cannot be halved, or a half cannot be decoded: one decoder alone says why, or knows better.
    fn decode_halves(&mut self, tables: u8, body: &[u8], canvas: &mut Canvas, (x8, y8): (u16, u16)) -> Option<()> {
        let Self { upper, lower, bodies } = self;
        let lower = lower.as_mut()?;
        let [upper_body, lower_body] = bodies;
        let Halves { size, upper_rows, quality } = jpeg::halve(tables, body, upper_body, lower_body)?;
        let scale = canvas.scale();
        let mut rectangle = canvas.rectangle_mut(x8, y8, size.width, size.height)?;
        // A whole number of MCUs, so exact at every scale.
        let [above, below] = rectangle.split_at_row(scale.length(upper_rows))?;
        let (upper, lower) = rayon::join(
            || upper.decode_slice(quality, upper_body, scale, above),
            || lower.decode_slice(quality, lower_body, scale, below),
        );
        upper.and(lower).ok()?;
        canvas.cover(x8, y8, size.width, size.height);
        Some(())
    }
}

/// A second thread for the one that calls this, for as long as the value lives: what [`PairedEncoder`] and
/// [`PairedDecoder`] do at the same time is then done by these two. Without it they borrow threads that all share.
pub fn second_thread(name: &'static str) -> Result<ThreadPool, CodecError> {
    let pool = ThreadPoolBuilder::new().num_threads(2).use_current_thread().thread_name(move |_| format!("{name} 2"));
    pool.build().map_err(|error| CodecError::Thread(error.to_string()))
}
