//! The running relay: what the event loop tells, what is shown while nothing comes from above, and what is said each second.

mod showing;
mod taking;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::card::Shown;
use super::figures::{RelayFigures, StreamFigures, StreamState};
use super::keeper::{Answer, Keeper, Kept, Order};
use super::{Options, words};
use crate::app::Exit;
use crate::app::figures::Output;
use crate::app::group::Announced;
use crate::app::storing::Storing;
use crate::media::coded::PassedPicture;
use crate::media::sound::PassedSound;
use crate::net::{App, Flow};
use crate::proto::relay::{Above, Event, Local, Relay, StreamView};
use crate::proto::server::{self, Feed, StreamKey};
use crate::proto::{Input, Machine};
use crate::units::{Bitrate, MediaTime, Time, Unit};
use crate::wire::StreamName;
use crate::wire::message::NameRange;
use crate::wire::talk::Line;

const TICK: Duration = Duration::from_secs(1);
/// Of a film that plays out of the cache, so many pictures and chunks are read ahead.
const PICTURES: usize = 4;
const CHUNKS: usize = 96;

/// Questions of one relay below that wait.
const MOST_ASKED: usize = 64;

/// What is known of one stream.
struct Stage {
    name: StreamName,
    above: Above,
    /// What is shown while nothing comes.
    card: Option<Shown>,
    plays: Option<Playing>,
    /// The keeper was asked for a film, and has not answered yet.
    asked: bool,
    /// The picture after the last that left.
    next: Unit,
    /// Bytes that had come and gone when the running second began.
    before: (u64, u64),
}

/// A film that plays out of the cache: what was read ahead, and what is on its way.
#[derive(Default)]
struct Playing {
    pictures: VecDeque<Result<PassedPicture, MediaTime>>,
    sounds: VecDeque<Option<PassedSound>>,
    asked: (usize, usize),
    over: (bool, bool),
}

/// What a relay below asks for: one question at a time is answered.
#[derive(Default)]
struct Lending {
    asked: VecDeque<NameRange>,
    is_busy: bool,
}

pub struct Relaying {
    options: Options,
    output: Output,
    keeper: Option<Keeper>,
    kept: Kept,
    storing: Option<Storing>,
    /// What relays below ask for, by their sessions.
    lending: BTreeMap<u64, Lending>,
    stages: BTreeMap<StreamKey, Stage>,
    next_tick: Time,
    began: Time,
    most_watchers: usize,
    /// No list of streams comes from above.
    unlisted: bool,
    stopped: bool,
    killed: bool,
}

impl Relaying {
    pub fn new(options: Options, output: Output, keeper: Option<Keeper>, storing: Option<Storing>) -> Self {
        let began = output.start();
        Self {
            options,
            next_tick: began + TICK,
            began,
            output,
            keeper,
            kept: Kept::default(),
            storing,
            lending: BTreeMap::new(),
            stages: BTreeMap::new(),
            most_watchers: 0,
            unlisted: false,
            stopped: false,
            killed: false,
        }
    }

    /// Says on both channels where it listens.
    pub fn announce(&mut self, local: SocketAddr, sound: u16, group: Option<&Announced>) {
        let origins = self.options.origins.to_string();
        let fields = json!({
            "address": local.ip().to_string(), "port": local.port(), "audio_port": sound, "origin": origins,
            "group": group.map(Announced::json),
            "cache": self.options.cache.as_ref().map(|folder| folder.display().to_string()),
            "record_dir": self.options.record_dir.as_ref().map(|folder| folder.display().to_string()),
        });
        self.stopped |= self.output.event("listening", fields).is_err();
        let port = local.port();
        let place = if local.ip().is_unspecified() { format!("HOST:{port}") } else { local.to_string() };
        let scheme = self.options.transports.scheme();
        let how = format!("Watch with: udpstream watch {scheme}{place}");
        self.output.say(&format!("Relaying {origins} on port {port}. {how}"));
        group.iter().for_each(|group| self.output.say(&group.sentence()));
    }

    fn feed(&self, now: Time, relay: &mut Relay, key: StreamKey, feed: Feed) {
        relay.handle(now, Input::Local(Local::Server(server::Local::Stream(key, feed))));
    }

    /// Somebody has said something: it is recorded with its stream.
    fn said(&mut self, key: StreamKey, line: &Line) {
        let storing = self.storing.as_mut();
        storing.into_iter().for_each(|storing| storing.line(key, line.media, &line.signed_name(), &line.text));
    }

    /// What has become of a stream above.
    fn above(&mut self, now: Time, relay: &mut Relay, key: StreamKey, above: Above) {
        let Some(stage) = self.stages.get_mut(&key) else { return };
        let before = std::mem::replace(&mut stage.above, above.clone());
        match &above {
            Above::Flows => {
                stage.card = None;
                if matches!(before, Above::Away(_)) {
                    self.output.say(&format!("{}: it comes again.", stage.name));
                }
            }
            Above::Away(_) => self.away(now, relay, key),
            Above::Idle | Above::Over => self.order(Order::Rest(key)),
            // What is known to be away need not be waited for.
            Above::Asked if self.unlisted && self.keeper.is_some() => self.away(now, relay, key),
            // What is published here alone can be paused.
            Above::Asked | Above::Paused => {}
        }
        tracing::info!(?above, "above");
    }

    fn order(&self, order: Order) {
        if let Some(keeper) = &self.keeper {
            keeper.tell(order);
        }
    }

    fn take_answers(&mut self, now: Time, relay: &mut Relay) {
        while let Some(answer) = self.keeper.as_ref().and_then(Keeper::answer) {
            match answer {
                Answer::Get(key, range) => relay.handle(now, Input::Local(Local::Get(key, range))),
                Answer::Plays(key, adoption) => self.plays(now, relay, key, adoption),
                Answer::Picture(key, picture) => {
                    if let Some(playing) = self.playing(key) {
                        playing.asked.0 = playing.asked.0.saturating_sub(1);
                        playing.pictures.push_back(picture);
                    }
                }
                Answer::Sound(key, sound) => {
                    if let Some(playing) = self.playing(key) {
                        playing.asked.1 = playing.asked.1.saturating_sub(1);
                        playing.sounds.push_back(sound);
                    }
                }
                Answer::Lent(id, range, objects) => self.lent(now, relay, id, range, objects),
                Answer::Trouble(key, sentence) => {
                    let name = self.stages.get(&key).map_or_else(String::new, |stage| format!("{}: ", stage.name));
                    self.output.warn(&format!("warning: {name}the film is not kept: {sentence}"));
                    self.stopped |= self.output.event("cache-trouble", json!({ "text": sentence })).is_err();
                }
                Answer::Kept(kept) => self.kept = kept,
            }
        }
    }

    fn playing(&mut self, key: StreamKey) -> Option<&mut Playing> {
        self.stages.get_mut(&key)?.plays.as_mut()
    }

    fn served(&mut self, now: Time, relay: &mut Relay, event: server::Event) -> Flow {
        match event {
            server::Event::Departed { stream, unit, .. } => {
                let stage = self.stages.get_mut(&stream).filter(|stage| stage.card.is_none());
                stage.into_iter().for_each(|stage| stage.next = unit.next());
                self.feed_film(now, relay, stream);
            }
            server::Event::StreamOver(key) => {
                self.order(Order::Stop(key));
                if let Some(stage) = self.stages.get_mut(&key) {
                    (stage.plays, stage.card, stage.next) = (None, None, Unit(0));
                }
            }
            server::Event::Asked { id, range, .. } if self.keeper.is_some() => {
                let lending = self.lending.entry(id).or_default();
                if lending.asked.len() < MOST_ASKED {
                    lending.asked.push_back(range);
                }
            }
            server::Event::Asked { id, range, .. } => {
                relay.handle(now, Input::Local(Local::Server(server::Local::Gone(id, range))));
            }
            server::Event::Joined { address, .. } => {
                let watchers = relay.server().watchers();
                self.most_watchers = self.most_watchers.max(watchers);
                tracing::info!(%address, watchers, "joined");
            }
            server::Event::Said { stream, line } => self.said(stream, &line),
            server::Event::Left { address, why, .. } => tracing::info!(%address, ?why, "left"),
            server::Event::Refused { address, why } => tracing::info!(%address, why, "refused"),
            server::Event::Overload(true) => self.output.warn(
                "warning: more is to be sent than this machine can: watchers miss pictures, and nobody else is let in.",
            ),
            server::Event::Overload(false) => self.output.say("All can be sent again."),
            server::Event::GroupReached { address, reached } => self.output.tell_of_group(address, reached),
            server::Event::Finished => return Flow::Stop,
            _ => {}
        }
        Flow::Continue
    }

    fn figures(&self, relay: &Relay, took: Option<Duration>) -> RelayFigures {
        let streams = relay.streams().filter_map(|view| self.stream(relay, &view, took));
        RelayFigures {
            streams: streams.collect(),
            all: relay.throughput(),
            watchers: relay.server().watchers(),
            refused: relay.server().totals().refused,
            kept: self.keeper.as_ref().map(|_| self.kept),
            stored: self.storing.as_ref().map(Storing::figures),
        }
    }

    fn stream(&self, relay: &Relay, view: &StreamView, took: Option<Duration>) -> Option<StreamFigures> {
        let stage = self.stages.get(&view.key)?;
        let sent = relay.server().totals_of(view.key);
        let (came, went) = took.map_or((0, 0), |_| stage.before);
        let rate = |bytes: u64, before: u64| {
            Bitrate::of(bytes.saturating_sub(before), took.unwrap_or_else(|| self.output.elapsed())).unwrap_or_default()
        };
        Some(StreamFigures {
            name: stage.name.clone(),
            state: StreamState::of(&view.above, stage.plays.is_some()),
            watchers: relay.server().watchers_of(view.key),
            came: rate(view.came.1, came),
            sent: rate(sent.bytes, went),
            came_bytes: view.came.1,
            sent_bytes: sent.bytes,
            pictures: sent.pictures,
            damaged: view.passed.1,
            round_trip: view.round_trip,
            hops: view.hops.clone(),
            age: view.age,
            file: self.storing.as_ref().and_then(|storing| storing.file(view.key)).map(Path::to_owned),
        })
    }

    fn tick(&mut self, relay: &Relay) -> Flow {
        let figures = self.figures(relay, Some(TICK));
        self.output.status_with(&words::line(&figures), |room| words::rows(&figures, room));
        for view in relay.streams() {
            let sent = relay.server().totals_of(view.key).bytes;
            self.stages.get_mut(&view.key).into_iter().for_each(|stage| stage.before = (view.came.1, sent));
        }
        self.output.event("stats", figures.json()).map_or(Flow::Stop, |()| Flow::Continue)
    }

    /// Says the last word.
    pub fn finish(mut self, relay: &Relay) -> Exit {
        self.end_recordings();
        let figures = self.figures(relay, None);
        // What was fetched is written to its end.
        self.keeper = None;
        if !self.killed {
            self.output.conclude(&words::relayed(self.output.elapsed(), self.most_watchers, &figures));
            figures.stored.iter().for_each(|stored| self.output.say(&stored.sentence()));
        }
        self.output.summary(figures.json());
        if self.killed { Exit::Killed } else { Exit::Done }
    }

    fn limit(&self) -> Time {
        self.options.duration.filter(|_| !self.stopped).map_or(Time::NEVER, |limit| self.began + limit)
    }

    fn stop(&mut self, now: Time, relay: &mut Relay, sentence: &str) {
        self.stopped = true;
        relay.handle(now, Input::Local(Local::Server(server::Local::Stop(sentence.to_owned()))));
    }
}

/// Why nothing comes, for people.
fn why(above: &Above, options: &Options) -> String {
    match above {
        Above::Away(sentence) if !sentence.is_empty() => sentence.clone(),
        _ if options.origins.group.is_some() => format!("Nothing is heard on {}.", options.origins),
        _ => format!("There is no answer from {}.", options.origins),
    }
}

impl App<Relay> for Relaying {
    fn event(&mut self, now: Time, relay: &mut Relay, event: Event) -> Flow {
        match event {
            Event::Server(event) => return self.served(now, relay, event),
            Event::Opened(key, name) => {
                tracing::info!(%name, "opened");
                let (card, plays, asked, next, before) = (None, None, false, Unit(0), (0, 0));
                let stage = Stage { name, above: Above::Idle, card, plays, asked, next, before };
                self.stages.insert(key, stage);
            }
            Event::Above(key, above) => self.above(now, relay, key, above),
            Event::Film(key, description) => {
                if let Some(stage) = self.stages.get(&key) {
                    self.order(Order::Fill(key, stage.name.clone(), Box::new(description)));
                }
            }
            Event::Fetched(key, fetched) => {
                if let Some(keeper) = &self.keeper {
                    keeper.fetched(key, fetched);
                }
            }
            Event::Tapped(key, tapped) => self.take(key, tapped),
            Event::AnotherSender(_, address) => self.output.warn(&format!(
                "warning: another sender, {address}, uses the group {} too; it is left out.",
                self.options.origins
            )),
            Event::Unlisted(failure) => {
                tracing::info!(?failure, "list");
                self.unlisted = failure.is_some();
                if failure.is_some() {
                    let origins = &self.options.origins;
                    self.output.warn(&format!(
                        "warning: {origins} does not say which streams it has; it is asked again until it does."
                    ));
                }
            }
        }
        Flow::Continue
    }

    fn turn(&mut self, now: Time, relay: &mut Relay) -> Flow {
        if self.stopped && relay.server().keys().next().is_none() {
            return Flow::Stop;
        }
        self.take_answers(now, relay);
        self.lend(relay);
        self.mourn(now, relay);
        self.tell_recordings();
        self.feed_all(now, relay);
        if now >= self.limit() {
            self.stop(now, relay, "The relay's time is up.");
        }
        if now < self.next_tick {
            return Flow::Continue;
        }
        self.next_tick = (self.next_tick + TICK).max(now);
        self.tick(relay)
    }

    fn ports(&self, relay: &Relay) -> usize {
        relay.ports()
    }

    fn deadline(&self) -> Time {
        let cards = self.stages.values().filter_map(|stage| stage.card.as_ref()).map(Shown::deadline);
        cards.fold(self.next_tick, Time::min).min(self.limit())
    }

    fn signal(&mut self, now: Time, relay: &mut Relay, _signal: i32) -> Flow {
        if self.stopped {
            self.killed = true;
            return Flow::Stop;
        }
        self.stop(now, relay, "The relay was stopped.");
        Flow::Continue
    }
}
