//! What several benches need: pictures that cost as much as film, and a table of paired measurements.

use std::time::Duration;

use udpstream::clock::now;
use udpstream::codec::Encoder;
use udpstream::media::Picture;
use udpstream::media::coded::{CodedPicture, Stamps};
use udpstream::media::jpeg::{self, Index};
use udpstream::queue::Pool;
use udpstream::units::{MediaTime, Size, Time, Unit};

pub const QUALITY: u8 = 80;

/// Blurred shapes over a gradient with grain in luma: as many bytes as film.
pub fn picture(size: Size) -> Picture {
    let mut picture = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO);
    let mut state = 1_u32;
    let mut noise = |amount: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 16) * amount) >> 16
    };
    for (plane, samples) in picture.split_mut().into_iter().enumerate() {
        let wide = usize::from(size.width);
        let (width, grain) = if plane == 0 { (wide, grain(size)) } else { (wide.div_ceil(2), 2) };
        for (at, sample) in samples.iter_mut().enumerate() {
            let (x, y) = ((at % width) as u32, (at / width) as u32);
            let wave = (f64::from(x * x) / 9_000.0).sin() + (f64::from(y * (x + y)) / 20_000.0).cos();
            *sample = (110.0 + 40.0 * wave) as u8 + noise(grain) as u8;
        }
    }
    picture
}

/// Scaling a film down takes grain out of it.
const fn grain(size: Size) -> u32 {
    if size.width < 1_280 { 8 } else { 13 }
}

/// The restart interval that the encoder's thread asks for.
pub fn restart(size: Size) -> u16 {
    jpeg::restart_interval(size.width.div_ceil(16), 0).expect("a divisor")
}

/// One picture, coded, to be handed out under any number.
pub struct Sample {
    pub size: Size,
    pub jpeg: Vec<u8>,
    pub index: Index,
}

impl Sample {
    pub fn new(size: Size) -> Self {
        let jpeg = Encoder::new().and_then(|mut e| e.encode(&picture(size), QUALITY, restart(size))).expect("encodes");
        let index = jpeg::index(&jpeg).expect("sound");
        Self { size, jpeg, index }
    }

    pub fn coded(&self, unit: u32) -> CodedPicture {
        CodedPicture { jpeg: self.jpeg.clone(), ..self.blank(unit) }
    }

    /// All but the bytes.
    pub fn blank(&self, unit: u32) -> CodedPicture {
        let (jpeg, index, quality) = (Vec::new(), self.index.clone(), QUALITY);
        let (unit, media_time, stamps) = (Unit(unit), MediaTime::from_micros(0), Stamps::default());
        let lasts = Duration::from_millis(33);
        CodedPicture { unit, media_time, lasts, size: self.size, rendition: 0, quality, layout: 0, jpeg, index, stamps }
    }
}

/// Whether this run only shows that the benches work (`cargo bench -- --test`).
pub fn is_short() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

/// Whether this run measures at all, and everything: neither a list nor a choice of benches was asked for.
pub fn is_whole() -> bool {
    !std::env::args().skip(1).any(|argument| argument == "--list" || !argument.starts_with("--"))
}

/// How long `work` takes.
pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = now();
    let result = work();
    (now().since(start), result)
}

/// The middle of some durations.
pub fn median(durations: &mut [Duration]) -> Duration {
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied().unwrap_or_default()
}
