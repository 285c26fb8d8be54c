//! Pictures brought to the stream's size and form: a camera's JPEG decoded, a picture of another size in the middle of a
//! black one, in its own shape.

use udpstream_resample::{Filter, Resampler};

use super::{CodecError, Decoder};
use crate::media::Picture;
use crate::media::convert::resample;
use crate::media::jpeg::{Index, Subsampling};
use crate::media::y4m::Chroma;
use crate::queue::Pool;
use crate::units::Size;

/// Keeps its buffers from picture to picture.
pub struct Fitter {
    pool: Pool<Vec<u8>>,
    decoder: Decoder,
    planes: Vec<u8>,
    /// A plane of the picture that is to stand in the middle of another.
    inner: Vec<u8>,
    resampler: Resampler,
}

impl Fitter {
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self {
            pool: Pool::new(2),
            decoder: Decoder::new()?,
            planes: Vec::new(),
            inner: Vec::new(),
            resampler: Resampler::default(),
        })
    }

    /// The planes of a picture that came as a JPEG.
    pub fn decode(&mut self, picture: &Picture, jpeg: &[u8], index: &Index) -> Result<Picture, CodecError> {
        self.decoder.planes(jpeg, index, &mut self.planes)?;
        let (from, size) = (chroma(index.subsampling), index.size);
        let mut decoded = Picture::from_pool(&self.pool, size, picture.number, picture.captured);
        (decoded.content, decoded.span) = (picture.content, picture.span);
        let (luma, rest) = self.planes.split_at(size.pixels());
        let (first, second) = rest.split_at(from.plane(size).pixels());
        let [y, u, v] = decoded.split_mut();
        y.copy_from_slice(luma);
        for (source, out) in [(first, u), (second, v)] {
            match from {
                Chroma::C420 => out.copy_from_slice(source),
                _ => resample(source, from, size, out),
            }
        }
        Ok(decoded)
    }

    /// The whole picture in its shape, as large as it goes, with black around it.
    pub fn fit(&mut self, picture: &Picture, size: Size) -> Result<Picture, CodecError> {
        let mut fitted = Picture::from_pool(&self.pool, size, picture.number, picture.captured);
        (fitted.content, fitted.span) = (picture.content, picture.span);
        let inner = inside(picture.size, size);
        let corner = Size::new((size.width - inner.width) / 4 * 2, (size.height - inner.height) / 4 * 2);
        let half = |size: Size| Size::new(size.width / 2, size.height / 2);
        let whole = [size, Picture::chroma(size), Picture::chroma(size)];
        let from = [picture.size, Picture::chroma(picture.size), Picture::chroma(picture.size)];
        let to = [(corner, inner), (half(corner), Picture::chroma(inner)), (half(corner), Picture::chroma(inner))];
        let planes = picture.planes().into_iter().zip(fitted.split_mut());
        for (at, (source, target)) in planes.enumerate() {
            target.fill(if at == 0 { 0 } else { 128 });
            let (corner, part) = to[at];
            self.inner.resize(part.pixels(), 0);
            scale(&mut self.resampler, (source, from[at]), (&mut self.inner, part), Filter::Bilinear)?;
            let rows = target.chunks_exact_mut(whole[at].width.into()).skip(corner.height.into());
            for (row, scaled) in rows.zip(self.inner.chunks_exact(part.width.into())) {
                row[usize::from(corner.width)..][..scaled.len()].copy_from_slice(scaled);
            }
        }
        Ok(fitted)
    }

    /// The whole picture at exactly this size: another rendition of it.
    pub fn stretch(&mut self, picture: &Picture, size: Size) -> Result<Picture, CodecError> {
        let mut stretched = Picture::from_pool(&self.pool, size, picture.number, picture.captured);
        (stretched.content, stretched.span) = (picture.content, picture.span);
        let enlarges = size.width > picture.size.width;
        let filter = if enlarges { Filter::CatmullRom } else { Filter::Bilinear };
        let sizes = |size: Size| [size, Picture::chroma(size), Picture::chroma(size)];
        let planes = picture.planes().into_iter().zip(stretched.split_mut());
        for ((source, target), (from, to)) in planes.zip(sizes(picture.size).into_iter().zip(sizes(size))) {
            scale(&mut self.resampler, (source, from), (target, to), filter)?;
        }
        Ok(stretched)
    }
}

/// Brings a plane to another size.
fn scale(
    resampler: &mut Resampler,
    (plane, from): (&[u8], Size),
    (out, to): (&mut [u8], Size),
    filter: Filter,
) -> Result<(), CodecError> {
    let sides = |size: Size| (size.width.into(), size.height.into());
    resampler.plane((plane, sides(from)), (out, sides(to)), filter).map_err(CodecError::Scale)
}

const fn chroma(subsampling: Subsampling) -> Chroma {
    match subsampling {
        Subsampling::Yuv420 => Chroma::C420,
        Subsampling::Yuv422 => Chroma::C422,
        Subsampling::Yuv444 => Chroma::C444,
        Subsampling::Grey => Chroma::Mono,
    }
}

/// The largest size of this shape within `room`, even where that is possible.
fn inside(picture: Size, room: Size) -> Size {
    let scale = (f64::from(room.width) / f64::from(picture.width.max(1)))
        .min(f64::from(room.height) / f64::from(picture.height.max(1)));
    let side = |own: u16, room: u16| {
        let length = (f64::from(own) * scale).round() as u16;
        // A row more or less, from rounding the room, is not worth a black line.
        if length + 2 > room { room } else { length.max(2) / 2 * 2 }
    };
    Size::new(side(picture.width, room.width), side(picture.height, room.height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Encoder;
    use crate::media::jpeg;
    use crate::text::test_card::Card;
    use crate::units::{Rate, Time};

    fn card(size: Size) -> Picture {
        let mut picture = Picture::from_pool(&Pool::new(1), size, 7, Time::from_millis(3));
        Card::new(size, Rate::new(30, 1).expect("a rate")).draw(&mut picture, 7);
        picture
    }

    #[test]
    fn a_jpeg_becomes_planes_again_whatever_its_size() {
        let (mut encoder, mut fitter) = (Encoder::new().expect("the library"), Fitter::new().expect("the library"));
        for (width, height) in [(64, 48), (65, 48), (64, 49), (33, 17)] {
            let picture = card(Size::new(width, height));
            let jpeg = encoder.encode(&picture, 95, 0).expect("encodes");
            let index = jpeg::index(&jpeg).expect("ours");
            let decoded = fitter.decode(&picture, &jpeg, &index).expect("decodes");
            assert_eq!((decoded.size, decoded.number, decoded.captured), (picture.size, 7, Time::from_millis(3)));
            for (got, wanted) in decoded.planes().into_iter().zip(picture.planes()) {
                let off: u64 = got.iter().zip(wanted).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
                assert!(off < 6 * wanted.len() as u64, "{width}×{height}: off by {off} in {}", wanted.len());
            }
        }
    }

    #[test]
    fn another_size_stands_in_the_middle_of_black() {
        let mut fitter = Fitter::new().expect("the library");
        let mut picture = Picture::from_pool(&Pool::new(1), Size::new(40, 40), 1, Time::ZERO);
        picture.planes_mut().fill(200);
        let fitted = fitter.fit(&picture, Size::new(160, 80)).expect("fits");
        let [y, u, _] = fitted.planes();
        assert_eq!((fitted.size, y.len(), u.len()), (Size::new(160, 80), 160 * 80, 80 * 40));
        let at = |plane: &[u8], width: usize, x: usize, row: usize| plane[row * width + x];
        assert_eq!([at(y, 160, 80, 40), at(y, 160, 41, 1), at(u, 80, 40, 20)], [200, 200, 200]);
        assert_eq!([at(y, 160, 38, 40), at(y, 160, 121, 40), at(u, 80, 10, 20)], [0, 0, 128]);
        for (picture, room, inner) in [
            ((640, 480), (1280, 720), (960, 720)),
            ((1920, 1080), (1280, 720), (1280, 720)),
            ((1, 1000), (100, 100), (2, 100)),
            ((101, 37), (37, 37), (37, 14)),
            ((1280, 720), (400, 226), (400, 226)),
        ] {
            let size = |(width, height)| Size::new(width, height);
            assert_eq!(inside(size(picture), size(room)), size(inner), "{picture:?} in {room:?}");
        }
    }
}
