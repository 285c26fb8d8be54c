//! A file of sound only as a source of pictures too: a card with its name, and a meter that follows what is heard.

use super::listen::SoundPass;
use super::pass::FIRST_PICTURE;
use super::probe::Found;
use super::sound::{self, SoundPlan};
use super::voice::Chunks;
use super::{Finished, Guard, Info, Options, Pace, PaceChoice, Source, SourceError};
use crate::ffmpeg::{Control, Reading, Tap};
use crate::media::Picture;
use crate::media::sound::{Chunk, Frame, frame_at};
use crate::queue::{Pool, Producer};
use crate::text::meter::{Level, Meter};
use crate::units::{Rate, Size, Time};

/// A file or an address.
pub(super) fn open(
    reading: Reading,
    found: &Found,
    title: String,
    pace: Pace,
    options: &Options,
    guard: Guard,
) -> Result<Source, SourceError> {
    let plan = plan(found, options, &reading)?;
    let (pass, _) = SoundPass::open(&reading, &plan, &guard.control, None, FIRST_PICTURE)?;
    let info = info(found, &plan, title, pace, options);
    let tune = Tune { reading, plan, control: guard.control.clone(), looped: options.looped, pictures: 0 };
    Ok(tune.source(pass, info, guard))
}

/// What is fed to ffmpeg's stdin.
pub(super) fn open_fed(
    reading: Reading,
    found: &Found,
    feed: Tap,
    options: &Options,
    mut guard: Guard,
) -> Result<Source, SourceError> {
    let plan = plan(found, options, &reading)?;
    // The program that fills the pipe may take any time.
    let (pass, feeding) = SoundPass::open(&reading, &plan, &guard.control, Some(feed), std::time::Duration::MAX)?;
    guard.threads.extend(feeding);
    let pace = if options.pace == PaceChoice::Live { Pace::Live } else { Pace::File };
    let info = info(found, &plan, reading.name.clone(), pace, options);
    let tune = Tune { reading, plan, control: guard.control.clone(), looped: false, pictures: 0 };
    Ok(tune.source(pass, info, guard))
}

/// The meter needs the sound also where it is not to be heard.
fn plan(found: &Found, options: &Options, reading: &Reading) -> Result<SoundPlan, SourceError> {
    let plan = SoundPlan::choose(found, Some(options.sound.unwrap_or_default()), &reading.name)?;
    plan.ok_or_else(|| SourceError::NoPicture(reading.name.clone()))
}

fn info(found: &Found, plan: &SoundPlan, title: String, pace: Pace, options: &Options) -> Info {
    let (size, rate) = card(options);
    let length = found.length.map(|length| format!(", {:.1} s", length.as_secs_f64())).unwrap_or_default();
    let details = format!("{}{length}, no pictures", sound::describe(found, Some(plan)));
    Info { title, size, rate, length: found.length, pictures: None, pace, details, sound: options.sound.is_some() }
}

/// Size and rate of the card.
pub(super) fn card(options: &Options) -> (Size, Rate) {
    let size = options.width.map_or(Size::new(640, 360), |width| Size::new(width.max(2), (width / 16 * 9).max(2) & !1));
    // A card that stands still for seconds is no meter.
    (size, options.rate.filter(|rate| rate.fps() >= 1.0).unwrap_or(TWENTY_FIVE))
}

/// One song, as often as wanted.
struct Tune {
    reading: Reading,
    plan: SoundPlan,
    control: Control,
    looped: bool,
    pictures: u32,
}

/// Where it all goes.
struct Stage {
    meter: Meter,
    size: Size,
    rate: Rate,
    pool: Pool<Vec<u8>>,
    out: Producer<Picture>,
    chunks: Chunks,
}

impl Tune {
    fn source(mut self, pass: SoundPass, info: Info, guard: Guard) -> Source {
        let Info { size, rate, sound: wanted, .. } = info;
        let title = info.title.clone();
        let work = Box::new(move |out: Producer<Picture>, sound: Option<Producer<Chunk>>| {
            let meter = Meter::new(size, &title);
            let chunks = Chunks::new(sound.filter(|_| wanted));
            let mut stage = Stage { meter, size, rate, pool: Pool::new(POOL), out, chunks };
            self.passes(pass, &mut stage)?;
            drop(stage.out);
            stage.chunks.finish();
            let end = stage.rate.media_time(self.pictures.into());
            Ok(Finished { pictures: self.pictures, end: Some(end) })
        });
        Source { info, work, guard }
    }

    fn passes(&mut self, mut pass: SoundPass, stage: &mut Stage) -> Result<(), SourceError> {
        loop {
            let before = self.pictures;
            if !self.pass(&mut pass, stage)? || !self.looped || self.pictures == before {
                return Ok(());
            }
            pass = match SoundPass::open(&self.reading, &self.plan, &self.control, None, FIRST_PICTURE) {
                Err(SourceError::Stopped) => return Ok(()),
                opened => opened?.0,
            };
        }
    }

    /// From the first frame to the last, a picture for each piece of sound; `false` if the queue was closed.
    fn pass(&mut self, pass: &mut SoundPass, stage: &mut Stage) -> Result<bool, SourceError> {
        let (mut piece, mut came) = (Vec::<Frame>::new(), Time::ZERO);
        while let Some(block) = pass.next()? {
            let mut frames = &block.frames[..];
            while !frames.is_empty() {
                if piece.is_empty() {
                    came = block.captured;
                }
                let (now, later) = frames.split_at((self.length(stage.rate) - piece.len()).min(frames.len()));
                piece.extend_from_slice(now);
                frames = later;
                if piece.len() == self.length(stage.rate) && !self.show(&mut piece, came, stage) {
                    return Ok(false);
                }
            }
        }
        if self.looped && !piece.is_empty() {
            // The next pass begins with a picture.
            piece.resize(self.length(stage.rate), [0, 0]);
        }
        Ok(!self.control.stopped() && (piece.is_empty() || self.show(&mut piece, came, stage)))
    }

    /// Frames of the next picture; at least one at any rate that a source may have.
    fn length(&self, rate: Rate) -> usize {
        let number = u64::from(self.pictures);
        (frame_at(rate, number + 1) - frame_at(rate, number)) as usize
    }

    /// A picture of `piece`, and then the piece itself: sound is never there without its picture.
    fn show(&mut self, piece: &mut Vec<Frame>, came: Time, stage: &mut Stage) -> bool {
        let mut picture = Picture::from_pool(&stage.pool, stage.size, self.pictures, came);
        picture.span = Some(stage.rate.span(self.pictures.into()));
        stage.meter.draw(&mut picture, &Level::of(piece));
        if self.control.stopped() || stage.out.push(picture).is_err() {
            self.control.stop();
            return false;
        }
        self.pictures = self.pictures.wrapping_add(1);
        stage.chunks.push(piece, came);
        piece.clear();
        true
    }
}

const TWENTY_FIVE: Rate = match Rate::new(25, 1) {
    Some(rate) => rate,
    None => unreachable!(),
};
const POOL: usize = 16;
