//! Addresses without an end: cameras in a network, and broadcasts. They are watched over like any device, with their own
//! sound, which is placed by when it comes: stamps of another connection say nothing about this one.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::call::{Call, Fed};
use super::line::{IDLE, Line, span};
use super::stamps::CaptureClock;
use super::{Device, Ear, Grabber, Mode, News};
use crate::clock;
use crate::ffmpeg::{Control, Reading};
use crate::media::Picture;
use crate::media::sound::Chunk;
use crate::queue::{Pool, Pop, Producer, Watched};
use crate::source::backlog::Surplus;
use crate::source::heard::Heard;
use crate::source::pass::Pass;
use crate::source::plan::{self, Plan};
use crate::source::probe::Found;
use crate::source::{Guard, Input, Options, Source, SourceError, file, sound};
use crate::units::Time;

/// `found` was found at `reading` just now, or is what comes over `call`. With `ear` the sound is its.
pub(in crate::source) fn open(
    input: &Input,
    (reading, found): (Reading, Found),
    call: Option<Call>,
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
    let station = Station { input: input.clone(), options, next: Some((plan, call)), away: None, voices };
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
    /// How it is to be opened next: as last time, unless it may have become another.
    next: Option<(Plan, Option<Call>)>,
    /// Since when the address has not answered.
    away: Option<Time>,
    voices: Sender<Heard>,
}

impl Station {
    /// Finds out what is there now.
    fn look(&self, control: &Control) -> Result<(Plan, Option<Call>), SourceError> {
        if let Some(url) = file::one_connection(&self.input, &self.options) {
            let (call, found) = Call::new(url, &self.input.name(), control)?;
            return Ok((plan_of(call.reading(), &found, &self.options)?, Some(call)));
        }
        let (reading, found) = file::look(&self.input, control)?;
        Ok((plan_of(reading, &found, &self.options)?, None))
    }

    /// A sender for one caller at a time was there for the look, and is perhaps back for the next caller: looked at again it
    /// would be gone again. One that is back after a while may have become another.
    fn keep(&mut self, plan: Plan) {
        let now = clock::now();
        let away = *self.away.get_or_insert(now);
        if now.since(away) < KEPT {
            self.next = Some((plan, None));
        }
    }
}

impl Device for Station {
    fn name(&self) -> String {
        self.input.name()
    }

    fn open(&mut self, control: &Control) -> Result<Box<dyn Grabber>, SourceError> {
        let (mut plan, call) = match self.next.take() {
            Some(next) => next,
            None => {
                let next = self.look(control)?;
                self.away = None;
                next
            }
        };
        let called = call.is_some();
        let opened = match call {
            Some(call) => call.open(&plan).map(|(pass, fed)| (pass, Some(fed))),
            None => file::open_pass(&mut plan, control, Surplus::LeaveOut).map(|pass| (pass, None)),
        };
        let (mut pass, fed) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                if error.is_away() && !called {
                    self.keep(plan);
                }
                return Err(error);
            }
        };
        let (size, rate) = (pass.reader.header().size, plan.rate.unwrap_or(plan.film.rate));
        let mode = Mode { size, rate, details: plan::describe_pictures(&plan.film, size, rate) };
        // If its sound is not taken it is kept until the end, or ffmpeg would wait for ever.
        let unheard =
            pass.heard.take().and_then(|heard| self.voices.try_send(heard).err()).map(|full| full.into_inner());
        self.away = None;
        self.next = (!called).then_some((plan, None));
        Ok(Box::new(Open { pass, name: self.input.name(), mode, control: control.clone(), _unheard: unheard, fed }))
    }

    fn foreseen(&self) -> Option<Mode> {
        let (plan, _) = self.next.as_ref()?;
        let (size, rate) = (plan.size, plan.rate.unwrap_or(plan.film.rate));
        Some(Mode { size, rate, details: plan::describe_pictures(&plan.film, size, rate) })
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
    /// What it reads from, after it for the same reason.
    fed: Option<Fed>,
}

impl Open {
    /// Why it ended; the process that holds the connection may know more.
    fn broke_off(&mut self, why: Option<String>) -> SourceError {
        let why = self.fed.as_mut().and_then(Fed::why).or(why).unwrap_or_else(|| "it came to an end".to_owned());
        SourceError::BrokeOff { name: self.name.clone(), why }
    }
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
            Ok(None) => Err(self.broke_off(None)),
            Err(SourceError::Died { why, .. }) => Err(self.broke_off(Some(why))),
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

/// One connection's sound; `false` if the queue was closed. It comes in bursts, so that the quickest tells when it was made.
fn play(heard: &Heard, line: &mut Line<'_>) -> bool {
    let (mut stamps, mut count) = (CaptureClock::default(), 0);
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

/// A sender that is started again is back within that.
const KEPT: Duration = Duration::from_secs(30);
/// Longer than any healthy sender is silent; also the longest that a lost one is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Broadcasts send their sound in bursts.
const LATEST: Duration = Duration::from_millis(1_500);
/// So that what we count is never taken for our own clock.
const A_DAY: i64 = 86_400_000_000_000;
