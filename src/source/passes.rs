//! A film from its beginning to its end, once or in a loop, with its sound.

use std::time::Duration;

use super::backlog::Surplus;
use super::pass::{Decoder, FIRST_PICTURE, Pass};
use super::photo;
use super::plan::Plan;
use super::sound::SoundPlan;
use super::stall::Patience;
use super::voice::{Gauge, Manner, Voice};
use super::{Finished, SourceError};
use crate::ffmpeg::Control;
use crate::media::Picture;
use crate::media::sound::Chunk;
use crate::queue::{Pool, Producer};
use crate::units::{MediaTime, Span};

/// One film, as often as wanted.
pub(super) struct Passes {
    plan: Plan,
    control: Control,
    looped: bool,
    surplus: Surplus,
    /// Of a film that comes through a network.
    patience: Option<Patience>,
    /// How long a pass is: the film's word at first, measured by the first pass.
    length: Option<Duration>,
    /// The next pass, started before this one ends, so that the queue does not run dry.
    next: Option<Decoder>,
    pictures: u32,
    /// When the running pass began on the stream's timeline.
    begun: MediaTime,
}

impl Passes {
    /// `patience` is that for a film which comes through a network.
    pub fn new(plan: Plan, control: Control, looped: bool, surplus: Surplus, patience: Option<Patience>) -> Self {
        let length = plan.film.length;
        let begun = MediaTime::ZERO;
        Self { plan, control, looped, surplus, patience, length, next: None, pictures: 0, begun }
    }

    /// From the first picture of `pass` to the last of the last pass.
    pub fn run(
        mut self,
        pass: Pass,
        out: Producer<Picture>,
        sound: Option<Producer<Chunk>>,
    ) -> Result<Finished, SourceError> {
        let voice = voice(&self.plan, self.looped, sound)?;
        let result = self.pictures(pass, &voice, &out);
        // The queue of pictures is closed first: its consumer then takes the rest of the sound.
        drop((out, self.next.take()));
        voice.finish();
        let end = self.plan.is_stamped().then_some(self.begun);
        result.map(|()| Finished { pictures: self.pictures, end })
    }

    fn pictures(&mut self, mut pass: Pass, voice: &Voice, out: &Producer<Picture>) -> Result<(), SourceError> {
        let pool = Pool::new(POOL);
        let mut gauge = voice.pass(pass.heard.take(), self.begun);
        loop {
            self.patience.iter_mut().for_each(|patience| patience.wait(&mut pass, &self.control));
            match pass.read(&pool) {
                _ if self.control.stopped() => return Ok(()),
                Ok(Some(picture)) => {
                    self.patience.iter_mut().for_each(Patience::came);
                    let end = picture.span.map_or(MediaTime::ZERO, Span::end).within(self.begun);
                    if !self.picture(picture, &gauge, out) {
                        // The sound goes with the pictures.
                        self.control.stop();
                        return Ok(());
                    }
                    self.look_ahead(end)?;
                }
                // A pass without a picture would be repeated for ever.
                Ok(None) if self.looped && pass.count > 0 => {
                    self.end(&pass, &gauge);
                    drop(gauge);
                    pass = match self.again(&pass) {
                        Err(SourceError::Stopped) => return Ok(()),
                        again => again?,
                    };
                    gauge = voice.pass(pass.heard.take(), self.begun);
                }
                Ok(None) if self.pictures == 0 => return Err(SourceError::NoPicture(self.plan.reading.name.clone())),
                Ok(None) => {
                    self.end(&pass, &gauge);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The pass is over; what comes next begins where its last picture has had its time.
    fn end(&mut self, pass: &Pass, gauge: &Gauge) {
        let end = if self.plan.film.still { MediaTime::ZERO + photo::SHOWN } else { pass.end() };
        self.begun = end.within(self.begun);
        gauge.ends_at(self.begun);
    }

    /// `false` if the queue of pictures was closed.
    fn picture(&mut self, mut picture: Picture, gauge: &Gauge, out: &Producer<Picture>) -> bool {
        picture.number = self.pictures;
        self.pictures = self.pictures.wrapping_add(1);
        if let Some(span) = &mut picture.span {
            span.at = span.at.within(self.begun);
            gauge.picture(span.end(), picture.captured);
        }
        let pushed = out.push(picture).is_ok();
        self.pictures -= u32::from(!pushed);
        pushed
    }

    /// `end`: when the last picture that was read has had its time.
    fn look_ahead(&mut self, end: MediaTime) -> Result<(), SourceError> {
        let near_end = self.length.is_some_and(|length| end.since(self.begun) + AHEAD >= length);
        if self.looped && near_end && self.next.is_none() && !self.plan.reading.live {
            self.next = Some(self.plan.spawn(&self.control, self.surplus)?);
        }
        Ok(())
    }

    fn again(&mut self, pass: &Pass) -> Result<Pass, SourceError> {
        self.length = Some(pass.end().since(MediaTime::ZERO));
        match self.next.take() {
            Some(child) => child.open(FIRST_PICTURE),
            None => self.plan.open(&self.control, self.surplus),
        }
    }
}

/// The thread for the plan's sound.
pub(super) fn voice(plan: &Plan, looped: bool, out: Option<Producer<Chunk>>) -> Result<Voice, SourceError> {
    let sound = plan.sound.as_ref();
    let manner = Manner {
        looped,
        by_arrival: sound.is_some_and(SoundPlan::is_placed_by_arrival),
        silence: sound.map_or(0, SoundPlan::silence),
    };
    // A queue that nothing will come into is closed at once.
    Voice::start(out.filter(|_| sound.is_some()), manner).map_err(SourceError::Start)
}

const POOL: usize = 16;
/// ffmpeg needs 0.1–0.3 s to its first picture. Its sound waits meanwhile, and what is too much of it would be left out.
const AHEAD: Duration = Duration::from_secs(1);
