//! The test card as a source: made in this process, with its tone, as fast as the queues take it or at its own rate.

use std::sync::Arc;
use std::time::Duration;

use super::voice::Chunks;
use super::{Finished, Guard, Info, Options, Pace, PaceChoice, SoundOptions, Source, SourceError};
use crate::clock;
use crate::ffmpeg::Control;
use crate::media::Picture;
use crate::media::sound::{Chunk, FRAMES, RATE};
use crate::media::tone::Tone;
use crate::queue::{Pool, Producer};
use crate::text::test_card::Card;
use crate::units::{Rate, Size, Time};

pub(super) fn open(size: Size, rate: Rate, options: &Options, guard: Guard) -> Result<Source, SourceError> {
    let size = options.width.map_or(size, |width| scaled(size, width));
    let rate = options.rate.unwrap_or(rate);
    let pace = if options.pace == PaceChoice::Live { Pace::Live } else { Pace::File };
    if let Some(number @ 1..) = options.sound.and_then(|sound| sound.track) {
        return Err(SourceError::NoTrack { name: TITLE.to_owned(), number, list: "0 (a tone)".to_owned() });
    }
    let heard = if options.sound.is_some() { "tone of 440 Hz with a beep each second" } else { "sound left out" };
    let info = Info {
        title: TITLE.to_owned(),
        size,
        rate,
        length: None,
        pictures: None,
        pace,
        details: format!("test card {size}, {rate} fps, {heard}"),
        sound: options.sound.is_some(),
    };
    let (control, options) = (guard.control.clone(), options.sound);
    let work = Box::new(move |out: Producer<Picture>, sound: Option<Producer<Chunk>>| {
        let sound = options.zip(sound).map(|(options, sound)| Sounding::new(options, sound));
        Ok(Drawing { card: Arc::new(Card::new(size, rate)), rate, pool: Pool::new(POOL), out }
            .run(pace, &control, sound))
    });
    Ok(Source { info, work, guard })
}

fn scaled(size: Size, width: u16) -> Size {
    let width = width.clamp(1, 16_384);
    let height = (u64::from(size.height) * u64::from(width) / u64::from(size.width.max(1))).clamp(2, 16_384);
    Size::new(width, height as u16 & !1)
}

/// The pictures of the card. Those that encode them draw them: of a film that nobody watches nothing is drawn.
struct Drawing {
    card: Arc<Card>,
    rate: Rate,
    pool: Pool<Vec<u8>>,
    out: Producer<Picture>,
}

impl Drawing {
    /// Picture n belongs to the moment `start + n·interval`, a chunk to the moment at which its last frame has been heard.
    /// Both are made in the order of their moments, so that neither queue has to wait for what the other does not get.
    /// Live, they are made at their moments; pictures whose moment went by are left out, and sound is made good.
    fn run(&self, pace: Pace, control: &Control, mut sound: Option<Sounding>) -> Finished {
        let start = clock::now();
        let (mut number, mut pictures) = (0_u32, 0);
        while !control.stopped() {
            if pace == Pace::Live {
                number = number.max(self.rate.index_at(clock::now().since(start)) as u32);
            }
            let picture = self.rate.at(u64::from(number));
            let chunk = sound.as_ref().map_or(Duration::MAX, Sounding::due);
            if pace == Pace::Live && !control.sleep_until(start + picture.min(chunk)) {
                break;
            }
            if chunk < picture {
                sound = sound.and_then(|sound| sound.make(pace, start));
                continue;
            }
            if !self.hand_out(number) {
                break;
            }
            number = number.wrapping_add(1);
            pictures += 1;
        }
        Finished { pictures, end: (pace == Pace::File).then(|| self.rate.media_time(number.into())) }
    }

    /// `false` if the queue was closed.
    fn hand_out(&self, number: u32) -> bool {
        let mut picture = Picture::undrawn(Arc::<Card>::clone(&self.card), &self.pool, number, clock::now());
        picture.span = Some(self.rate.span(number.into()));
        self.out.push(picture).is_ok()
    }
}

/// The tone beside it.
struct Sounding {
    tone: Tone,
    chunks: Chunks,
}

impl Sounding {
    fn new(options: SoundOptions, out: Producer<Chunk>) -> Self {
        Self { tone: Tone::new(options.gain_db), chunks: Chunks::new(Some(out)) }
    }

    /// When the next chunk has been heard.
    fn due(&self) -> Duration {
        moment(self.chunks.frames() + FRAMES as u64)
    }

    /// The next chunk; `None` if the queue was closed.
    fn make(mut self, pace: Pace, start: Time) -> Option<Self> {
        let first = self.chunks.frames();
        let captured = if pace == Pace::Live { start + moment(first) } else { clock::now() };
        self.chunks.push(&self.tone.frames(first, FRAMES), captured);
        (!self.chunks.is_closed()).then_some(self)
    }
}

/// When frame `frame` is heard, from the zero of the sound.
fn moment(frame: u64) -> Duration {
    let nanos = u128::from(frame) * 1_000_000_000 / u128::from(RATE);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

const TITLE: &str = "test card";
/// One is encoded while the next is drawn.
const POOL: usize = 2;
