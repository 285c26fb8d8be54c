//! Addresses without an end: cameras in a network, and broadcasts. They are watched over like any device, with their own
//! sound, which is placed by when it comes: stamps of another connection say nothing about this one.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::line::{IDLE, Line, span};
use super::stamps::Stamps;
use super::{Device, Ear, Grabber, Mode, News};
use crate::clock;
use crate::media::Picture;
use crate::media::sound::Chunk;
use crate::queue::{Pool, Pop, Producer, Watched};
use crate::source::backlog::Surplus;
use crate::source::child::Control;
use crate::source::ffmpeg::Pass;
use crate::source::heard::Heard;
use crate::source::plan::{self, Plan, Reading};
use crate::source::probe::Found;
use crate::source::{Guard, Input, Options, Source, SourceError, file, sound};
use crate::units::Time;

/// `found` was found at `reading` just now. With `ear` the sound is its.
pub(in crate::source) fn open(
    input: &Input,
    (reading, found): (Reading, Found),
    ear: Option<Box<dyn Ear>>,
    options: &Options,
    guard: Guard,
) -> Result<Source, SourceError> {
    let mut options = *options;
    options.sound = options.sound.filter(|_| ear.is_none());
    let plan = plan_of(reading, &found, &options)?;
    let details = sound::describe(&found, plan.sound.as_ref());
    let (voices, coming) = bounded(1);
    let own = plan.sound.is_some().then(|| Box::new(Own { details, coming }) as Box<dyn Ear>);
    let station = Station { input: input.clone(), options, plan: Some(plan), voices };
    super::open(Box::new(station), ear.or(own), &options, guard)
}

fn plan_of(reading: Reading, found: &Found, options: &Options) -> Result<Plan, SourceError> {
    let mut plan = file::plan(Reading { live: true, ..reading }, found, options)?;
    // A filter that evens the rate out would hold each picture back until the next is there.
    plan.rate = options.rate;
    if let Some(sound) = &mut plan.sound {
        sound.place_by_arrival();
    }
    Ok(plan)
}

/// An address that is opened anew each time.
struct Station {
    input: Input,
    options: Options,
    /// How it was opened last; none if that failed, for then it may have become another.
    plan: Option<Plan>,
    voices: Sender<Heard>,
}

impl Device for Station {
    fn name(&self) -> String {
        self.input.name()
    }

    fn open(&mut self, control: &Control) -> Result<Box<dyn Grabber>, SourceError> {
        let mut plan = match self.plan.take() {
            Some(plan) => plan,
            None => {
                let (reading, found) = file::look(&self.input, control)?;
                plan_of(reading, &found, &self.options)?
            }
        };
        let mut pass = file::open_pass(&mut plan, control, Surplus::LeaveOut)?;
        let (size, rate) = (pass.reader.header().size, plan.rate.unwrap_or(plan.film.rate));
        let mode = Mode { size, rate, details: plan::describe_pictures(&plan.film, size, rate) };
        // If nobody listens it is kept until the end, or ffmpeg would wait for ever.
        let unheard =
            pass.heard.take().and_then(|heard| self.voices.try_send(heard).err()).map(|full| full.into_inner());
        let open = Open { pass, name: self.input.name(), mode, control: control.clone(), _unheard: unheard };
        self.plan = Some(plan);
        Ok(Box::new(open))
    }
}

/// An open address.
struct Open {
    pass: Pass,
    name: String,
    mode: Mode,
    control: Control,
    /// After the run, which must be dead before its sound ends.
    _unheard: Option<Heard>,
}

impl Grabber for Open {
    fn mode(&self) -> Mode {
        self.mode.clone()
    }

    fn grab(&mut self, pool: &Pool<Vec<u8>>) -> Result<Picture, SourceError> {
        let name = || self.name.clone();
        let ready = self.pass.reader.input_mut().ready(clock::now() + PATIENCE);
        if self.control.stopped() {
            return Err(SourceError::Stopped);
        }
        if !ready {
            return Err(SourceError::FellSilent { name: name(), seconds: PATIENCE.as_secs() });
        }
        match self.pass.read(pool) {
            Ok(Some(mut picture)) => {
                picture.number = self.pass.count;
                picture.content = self.pass.count;
                Ok(picture)
            }
            Ok(None) => Err(SourceError::BrokeOff { name: name(), why: "it came to an end".to_owned() }),
            Err(SourceError::Died { name, why, .. }) => Err(SourceError::BrokeOff { name, why }),
            Err(error) => Err(error),
        }
    }
}

/// The sound of an address, connection after connection.
struct Own {
    details: String,
    coming: Receiver<Heard>,
}

impl Ear for Own {
    fn details(&self) -> String {
        self.details.clone()
    }

    fn hear(&mut self, control: &Control, zero: &Watched<Option<Time>>, out: Producer<Chunk>, _: &Sender<News>) {
        let Some(mut line) = Line::new(control, zero, out, LATEST, None) else { return };
        loop {
            let going_on = match self.coming.recv_timeout(IDLE) {
                Ok(heard) => play(&heard, &mut line),
                Err(RecvTimeoutError::Timeout) => line.idle().is_ok(),
                Err(RecvTimeoutError::Disconnected) => false,
            };
            if !going_on {
                return;
            }
        }
    }
}

/// One connection's sound; `false` if nobody wants more. It comes in bursts, so that the quickest tells when it was made.
fn play(heard: &Heard, line: &mut Line<'_>) -> bool {
    let (mut stamps, mut count) = (Stamps::default(), 0);
    line.placer.interrupted();
    loop {
        let kept = match heard.next_within(IDLE) {
            Pop::Item(block) => {
                count += block.frames.len() as i64;
                let end = stamps.captured(span(count) - A_DAY, block.captured, 0);
                line.put(&block.frames, end.offset(-span(block.frames.len() as i64)))
            }
            Pop::Empty => line.idle(),
            Pop::Closed => return line.open().is_ok(),
        };
        if kept.is_err() {
            return false;
        }
    }
}

/// Longer than any healthy sender is silent; also the longest that a lost one is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Broadcasts send their sound in bursts.
const LATEST: Duration = Duration::from_millis(1_500);
/// So that what we count is never taken for our own clock.
const A_DAY: i64 = 86_400_000_000_000;
