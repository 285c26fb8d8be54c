//! One stream of a running server: its source, its encoder, whoever looks at it in here, and what is measured of it.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::StreamOptions;
use super::coding::SoundCoding;
use super::figures::{Activity, StreamFigures};
use super::lending::Lending;
use super::measured::{Departure, Measured, Period};
use super::pipeline::{Ended, Pipeline};
use super::rest::{Rest, RestAction};
use super::tap::Taps;
use super::voice::Voice;
use crate::app::encode::{EncoderCounts, Origin};
use crate::app::figures::Output;
use crate::app::group::Announced;
use crate::app::opening::Attempt;
use crate::app::words::Position;
use crate::proto::server::{Feed, Local, Server, StreamKey};
use crate::proto::{Input as MachineInput, Machine};
use crate::queue::{Pop, Waker};
use crate::source::{Info, Pace, Source, Usage};
use crate::units::Time;
use crate::wire::Description;
use crate::wire::message::NameRange;

/// Less than the server holds of it; while pictures leave, sound is asked for with each of them.
const SOUND_PAUSE: Duration = Duration::from_millis(100);
/// After the last picture most sources have ended within milliseconds.
const END_PAUSE: Duration = Duration::from_millis(5);

pub struct Channel {
    pub key: StreamKey,
    pub stream: StreamOptions,
    /// The group that it is sent to.
    pub group: Option<Announced>,
    /// Messages name it.
    named: bool,
    /// Where it is told of.
    pub output: Output,
    pub info: Info,
    pub taps: Taps,
    pub measured: Measured,
    waker: Waker,
    pipeline: Option<Pipeline>,
    rest: Rest,
    /// Threads that close what is not needed any more: a device may take its time.
    closing: Vec<JoinHandle<()>>,
    counts: Arc<EncoderCounts>,
    /// The meter of the source that runs, and seconds of those before it.
    usage: (Option<Usage>, f64),
    /// When the film began, whether or not anybody watched.
    started: Option<Time>,
    /// When to ask for a film's sound again, even if no picture leaves until then.
    sound_again: Time,
    coding: SoundCoding,
    /// Pictures that the server has been handed and that have not departed as far as is known.
    on_the_way: u64,
    /// When to ask again whether a source without further pictures has ended.
    end_again: Time,
    /// Where a source that is opened again goes on.
    origin: Origin,
    outcome: Option<Outcome>,
    /// For relays that want the whole film.
    lending: Option<Lending>,
    /// Its watchers have been told of the end.
    over: bool,
}

/// How a stream's source ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Over,
    Failed,
}

impl Channel {
    /// A stream whose source is open: it starts, or, on demand, is closed until somebody looks.
    pub fn start(
        key: StreamKey,
        stream: StreamOptions,
        source: Source,
        taps: Taps,
        waker: Waker,
        output: Output,
    ) -> anyhow::Result<Self> {
        let mut channel = Self {
            key,
            group: None,
            named: false,
            measured: Measured::new(output.start()),
            output,
            info: source.info().clone(),
            rest: Rest::Never,
            taps,
            waker,
            pipeline: None,
            closing: Vec::new(),
            counts: Arc::default(),
            usage: (None, 0.0),
            started: None,
            sound_again: Time::NEVER,
            coding: SoundCoding::default(),
            on_the_way: 0,
            end_again: Time::NEVER,
            origin: Origin::default(),
            outcome: None,
            lending: None,
            over: false,
            stream,
        };
        let rests = channel.stream.on_demand && channel.is_live();
        if rests && !channel.taps.want_pictures() {
            channel.rest = Rest::Resting;
            channel.close(source);
            return Ok(channel);
        }
        if rests {
            channel.rest = Rest::Running { idle: None };
        }
        channel.run(source)?;
        Ok(channel)
    }

    fn run(&mut self, source: Source) -> anyhow::Result<()> {
        let (counts, waker) = (Arc::clone(&self.counts), Arc::clone(&self.waker));
        let pipeline = Pipeline::start(&self.stream, &self.info, source, self.origin, counts, waker)?;
        self.usage.0 = pipeline.usage();
        self.pipeline = Some(pipeline);
        Ok(())
    }

    /// The film may be had as a whole: it is told so.
    pub fn lend(&mut self, description: &Description) {
        let lend = |hash| Lending::new(&self.stream, &self.info, hash, description, Arc::clone(&self.waker));
        self.lending = description.film.map(lend);
    }

    /// A session asks for a part of the film as a whole.
    pub fn asked(&mut self, now: Time, session: u64, range: NameRange) {
        self.lending.iter_mut().for_each(|lending| lending.ask(now, session, range));
    }

    /// Sends what was asked for.
    pub fn supply(&mut self, now: Time, server: &mut Server) {
        self.lending.iter_mut().for_each(|lending| lending.turn(now, server));
    }

    /// Messages name it from now on: there are others.
    pub fn name_it(&mut self) {
        self.named = true;
        self.output = self.output.of_stream(self.stream.name.as_str());
    }

    pub fn voice(&self) -> Voice<'_> {
        Voice { output: &self.output, name: self.named.then_some(&self.stream.name) }
    }

    pub fn is_live(&self) -> bool {
        self.info.pace == Pace::Live
    }

    pub fn title(&self) -> &str {
        self.stream.title.as_deref().unwrap_or(&self.info.title)
    }

    pub const fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// The server has ended the stream.
    pub const fn end_of_stream(&mut self) {
        self.over = true;
    }

    pub const fn start_of_film(&mut self, at: Time) {
        self.started = Some(at);
    }

    /// Hands the server what it can take, no picture if there are to be no more, and tells the encoder what is wanted.
    pub fn feed(&mut self, now: Time, server: &mut Server, more: bool) {
        let mut ending = false;
        if more && server.wants_picture(self.key) {
            match self.pipeline.as_ref().map_or(Pop::Empty, Pipeline::picture) {
                Pop::Item(coded) => {
                    self.origin.unit = coded.picture.unit.0.wrapping_add(1);
                    self.on_the_way += 1;
                    coded.for_taps().into_iter().for_each(|picture| self.taps.picture(picture));
                    self.tell(now, server, Feed::Picture(coded.picture));
                }
                Pop::Closed => ending = self.source_ended(now, server),
                Pop::Empty => {}
            }
        }
        self.feed_sound(now, server);
        self.end_again = if ending { now + END_PAUSE } else { Time::NEVER };
        let (demand, taps) = (server.demand(self.key, 0), self.taps.want_pictures());
        self.pipeline.iter().for_each(|pipeline| pipeline.order(demand, taps));
    }

    pub fn tell(&self, now: Time, server: &mut Server, feed: Feed) {
        server.handle(now, MachineInput::Local(Local::Stream(self.key, feed)));
    }

    fn feed_sound(&mut self, now: Time, server: &mut Server) {
        let runs = self.started.is_some() && self.info.sound && self.pipeline.is_some();
        self.sound_again = if runs { now + SOUND_PAUSE } else { Time::NEVER };
        while server.wants_sound(self.key) {
            let Some(pipeline) = &mut self.pipeline else { return };
            let feed = match pipeline.chunk() {
                Pop::Item(chunk) => {
                    self.taps.sound(&chunk);
                    let coded = self.coding.chunk(&chunk, server.wants_coded_sound(self.key));
                    coded.into_iter().for_each(|unit| self.tell(now, server, Feed::CodedSound(unit)));
                    Feed::Sound(chunk)
                }
                // There may be more when the source is opened again.
                Pop::Closed if !matches!(self.rest, Rest::Never) => return,
                Pop::Closed => {
                    let last = self.coding.end();
                    last.into_iter().for_each(|unit| self.tell(now, server, Feed::CodedSound(unit)));
                    Feed::SoundEnded
                }
                Pop::Empty => return,
            };
            self.tell(now, server, feed);
        }
    }

    /// Tells the server of the end of the source, or returns true if it still has sound to bring.
    fn source_ended(&mut self, now: Time, server: &mut Server) -> bool {
        let ended = self.pipeline.as_mut().map_or(Some(Ended::Over(None)), Pipeline::end);
        let Some(ended) = ended else { return true };
        self.rest = Rest::Never;
        let feed = match ended {
            Ended::Over(end) => {
                self.outcome.get_or_insert(Outcome::Over);
                Feed::Ended(end.filter(|_| !self.is_live()))
            }
            Ended::Failed(sentence) => {
                self.outcome = Some(Outcome::Failed);
                self.voice().fail(&sentence);
                Feed::Failed(format!("The source failed: {sentence}."))
            }
        };
        self.tell(now, server, feed);
        false
    }

    /// Opens or closes a source that runs on demand.
    pub fn rest_or_run(&mut self, now: Time, server: &Server) {
        if matches!(self.rest, Rest::Never) || self.outcome.is_some() {
            return;
        }
        let looked_at = server.audience_of(self.key) > 0 || self.taps.want_pictures();
        match self.rest.turn(now, looked_at) {
            RestAction::Nothing => self.woken(now),
            RestAction::Open => match Attempt::begin(&self.stream.request(), Arc::clone(&self.waker)) {
                Ok(attempt) => self.rest.wake(attempt),
                Err(error) => self.not_woken(now, &error.to_string()),
            },
            RestAction::Close => {
                self.usage.1 += self.usage.0.take().map_or(0.0, |usage| usage.cpu_seconds());
                let pipeline = self.pipeline.take();
                self.origin = pipeline.as_ref().map_or(self.origin, |pipeline| pipeline.goes_on(self.origin.unit));
                self.close(pipeline);
                self.rest = Rest::Resting;
                tracing::info!(stream = %self.stream.name, "nobody watches: its source is closed");
            }
            RestAction::GiveUp => {
                let attempt = std::mem::replace(&mut self.rest, Rest::Resting);
                self.close(attempt);
            }
        }
    }

    /// Drops it on a thread of its own, so that no other stream waits.
    fn close(&mut self, unneeded: impl Send + 'static) {
        self.closing.retain(|thread| !thread.is_finished());
        self.closing.extend(Builder::new().name("close".into()).spawn(move || drop(unneeded)));
    }

    /// Takes a source that has been opened.
    fn woken(&mut self, now: Time) {
        let Rest::Waking { attempt, .. } = &mut self.rest else { return };
        let started = match attempt.result() {
            None => return,
            Some(Ok(source)) => self.run(source).map_err(|error| error.to_string()),
            Some(Err(error)) => Err(error.to_string()),
        };
        match started {
            Ok(()) => {
                self.rest = Rest::Running { idle: None };
                tracing::info!(stream = %self.stream.name, "somebody watches: its source is open");
            }
            Err(sentence) => self.not_woken(now, &sentence),
        }
    }

    fn not_woken(&mut self, now: Time, sentence: &str) {
        self.rest.try_again(now);
        let text = format!("{sentence}; it is tried again while somebody watches");
        self.voice().warn("device-lost", &text);
    }

    /// What became of its devices, or of a film on its way.
    pub fn tell_news(&self) {
        let voice = self.voice();
        let news = || self.pipeline.as_ref().and_then(Pipeline::news);
        std::iter::from_fn(news).for_each(|news| voice.news(news));
    }

    /// When it has something to do even if nothing happens.
    pub fn deadline(&self) -> Time {
        let lending = self.lending.as_ref().map_or(Time::NEVER, Lending::deadline);
        self.sound_again.min(self.end_again).min(self.rest.deadline()).min(lending)
    }

    /// Pictures that will still depart: what a stream that has failed was handed does not.
    pub const fn on_the_way(&self) -> u64 {
        match self.outcome {
            Some(Outcome::Failed) => 0,
            _ => self.on_the_way,
        }
    }

    pub fn departed(&mut self, departure: &Departure) {
        self.on_the_way -= 1;
        let live = self.is_live();
        self.measured.departed(departure, live);
    }

    /// Where in the stream we are; `None` before anything was sent.
    pub fn position(&self, now: Time) -> Option<Position> {
        let passed = self.started.map(|started| now.since(started));
        let position = self.measured.sent.map(|_| self.measured.position).or(passed)?;
        Some(Position { position, length: self.info.length, looped: self.stream.source.looped })
    }

    pub fn figures(&self, now: Time, server: &Server, period: Period) -> StreamFigures {
        let totals = server.totals_of(self.key);
        let figures = self.measured.figures(now, &totals, &self.counts, period);
        StreamFigures {
            name: Some(self.stream.name.clone()),
            activity: match self.outcome {
                Some(Outcome::Failed) => Activity::Failed,
                _ if self.over => Activity::Ended,
                None if self.rest.is_resting() => Activity::Resting,
                // The last picture may still stand.
                _ => Activity::Running,
            },
            watchers: server.watchers_of(self.key),
            sound: figures.sound.filter(|_| self.info.sound),
            quality: self.stream.quality,
            source_cpu_seconds: self.usage.1 + self.usage.0.as_ref().map_or(0.0, Usage::cpu_seconds),
            ..figures
        }
    }

    /// Ends its threads and children.
    pub fn stop(&mut self) {
        self.pipeline = None;
        self.lending = None;
        self.rest = Rest::Never;
        self.closing.drain(..).for_each(|thread| drop(thread.join()));
    }
}
