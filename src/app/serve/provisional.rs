//! Until the server has several streams: one stream behind the interface of many.

use std::net::SocketAddr;

use crate::media::coded::{CodedPicture, Stamps};
use crate::media::sound::Chunk;
use crate::proto::schedule::Demand;
use crate::proto::server::{self as one, SessionStats, Totals};
use crate::proto::{Input, Machine, Output};
use crate::seal::Seed;
use crate::units::{MediaTime, Span, Time};
use crate::wire::{Description, SizeClass, StreamName};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamKey(u32);

pub struct Config {
    pub seed: Seed,
    pub datagram: Option<SizeClass>,
    pub sound_port: u16,
}

impl Config {
    pub fn new(seed: Seed) -> Self {
        Self { seed, datagram: None, sound_port: 0 }
    }
}

pub struct StreamConfig {
    pub name: StreamName,
    pub description: Description,
    pub quality: u8,
    pub no_wait: bool,
}

impl StreamConfig {
    pub fn new(name: StreamName, description: Description) -> Self {
        Self { name, description, quality: 80, no_wait: false }
    }
}

pub struct Server {
    config: Config,
    one: Option<one::Server>,
}

pub enum Local {
    Stream(StreamKey, Feed),
    Stop(String),
}

pub enum Feed {
    Picture(CodedPicture),
    Ended(Option<MediaTime>),
    Sound(Chunk),
    SoundEnded,
    Stop(String),
    Failed(String),
}

pub enum Event {
    Joined { stream: StreamKey, address: SocketAddr, watchers: usize },
    Left { stream: StreamKey, address: SocketAddr, why: one::Gone, watchers: usize },
    Moved { from: SocketAddr, to: SocketAddr },
    Started { stream: StreamKey, at: Time },
    Stalled { stream: StreamKey, by: std::time::Duration },
    Departed { stream: StreamKey, span: Span, due: Time, at: Time, stamps: Stamps },
    Overload(bool),
    Skipped { stream: StreamKey, unit: crate::units::Unit },
    Refused { address: SocketAddr, why: &'static str },
    StreamOver(StreamKey),
    Finished,
}

pub struct SessionView {
    pub id: u64,
    pub address: SocketAddr,
    pub stream: StreamKey,
    pub class: SizeClass,
    pub stats: SessionStats,
}

impl Server {
    pub fn new(config: Config) -> Self {
        Self { config, one: None }
    }

    pub fn open(&mut self, stream: StreamConfig) -> StreamKey {
        let mut config = one::Config::new(self.config.seed, stream.description);
        config.datagram = self.config.datagram;
        config.quality = stream.quality;
        config.no_wait = stream.no_wait;
        config.sound_port = self.config.sound_port;
        self.one.get_or_insert_with(|| one::Server::new(config));
        StreamKey(0)
    }

    fn one(&self) -> &one::Server {
        self.one.as_ref().unwrap_or_else(|| unreachable!("opened"))
    }

    pub fn id(&self, _: StreamKey) -> u64 {
        self.one().stream()
    }

    pub fn wants_picture(&self, _: StreamKey) -> bool {
        self.one().wants_picture()
    }

    pub fn wants_sound(&self, _: StreamKey) -> bool {
        self.one().wants_sound()
    }

    pub fn demand(&self, _: StreamKey, _rendition: u8) -> Demand {
        self.one().demand()
    }

    pub fn watchers(&self) -> usize {
        self.one().watchers()
    }

    pub fn watchers_of(&self, _: StreamKey) -> usize {
        self.one().watchers()
    }

    pub fn totals(&self) -> Totals {
        self.one().totals()
    }

    pub fn totals_of(&self, _: StreamKey) -> Totals {
        self.one().totals()
    }

    pub fn sessions(&self) -> impl Iterator<Item = SessionView> {
        let view = |(id, address, class, stats)| SessionView { id, address, stream: StreamKey(0), class, stats };
        self.one().sessions().map(view)
    }

    pub fn is_overloaded(&self) -> bool {
        self.one().is_overloaded()
    }

    pub fn served(&self) -> f64 {
        self.one().served()
    }
}

impl Machine for Server {
    type Local = Local;
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_, Local>) {
        let Some(one) = &mut self.one else { return };
        match input {
            Input::Datagram(datagram) => one.handle(now, Input::Datagram(datagram)),
            Input::NotSent(kind, to, failure) => one.handle(now, Input::NotSent(kind, to, failure)),
            Input::Local(local) => {
                let local = match local {
                    Local::Stop(sentence) | Local::Stream(_, Feed::Stop(sentence)) => one::Local::Stop(sentence),
                    Local::Stream(_, Feed::Picture(picture)) => one::Local::Picture(picture),
                    Local::Stream(_, Feed::Ended(end)) => one::Local::Ended(end),
                    Local::Stream(_, Feed::Sound(chunk)) => one::Local::Sound(chunk),
                    Local::Stream(_, Feed::SoundEnded) => one::Local::SoundEnded,
                    Local::Stream(_, Feed::Failed(sentence)) => one::Local::Failed(sentence),
                };
                one.handle(now, Input::Local(local));
            }
        }
    }

    fn poll(&mut self, now: Time) -> Output<Event> {
        let Some(one) = &mut self.one else { return Output::Wait(Time::NEVER, crate::proto::Reason::Idle) };
        let stream = StreamKey(0);
        match one.poll(now) {
            Output::Send(transmit) => Output::Send(transmit),
            Output::Wait(until, reason) => Output::Wait(until, reason),
            Output::Event(event) => Output::Event(match event {
                one::Event::Joined { address, watchers, .. } => Event::Joined { stream, address, watchers },
                one::Event::Left { address, why, watchers, .. } => Event::Left { stream, address, why, watchers },
                one::Event::Moved { from, to, .. } => Event::Moved { from, to },
                one::Event::Started(at) => Event::Started { stream, at },
                one::Event::Stalled(by) => Event::Stalled { stream, by },
                one::Event::Departed { span, due, at, stamps, .. } => Event::Departed { stream, span, due, at, stamps },
                one::Event::Overload(on) => Event::Overload(on),
                one::Event::Skipped(unit) => Event::Skipped { stream, unit },
                one::Event::Refused { address, why } => Event::Refused { address, why },
                one::Event::Finished => Event::Finished,
            }),
        }
    }
}
