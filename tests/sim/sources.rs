//! The sources of a server's other streams, beside the one that the world's own encoder feeds.

use std::rc::Rc;

use udpstream::media::sound::{Chunk, FRAMES, media_time};
use udpstream::proto::server::{Event, Feed, Local, StreamConfig, StreamKey};
use udpstream::proto::{Input, Machine, Server};
use udpstream::units::{Time, Unit};
use udpstream::wire::StreamName;

use crate::encoder::Encoder;
use crate::jpeg::Film;
use crate::net::{World, chunk, streaming};

/// What feeds one stream with pictures and sound.
pub struct Source {
    pub key: StreamKey,
    pub encoder: Encoder,
    /// The next chunk of sound.
    next_chunk: u32,
    /// How many there are.
    pub chunks: u32,
    /// When a microphone's frame 0 came into being; `None`: the sound is a file's, and all there.
    pub microphone: Option<Time>,
    /// It gives nothing any more.
    pub dead: bool,
}

impl Source {
    pub fn new(key: StreamKey, film: &Rc<Film>) -> Self {
        Self {
            key,
            encoder: Encoder::new(Rc::clone(film)),
            next_chunk: 0,
            chunks: u32::MAX,
            microphone: None,
            dead: false,
        }
    }

    pub fn wake(&self) -> Time {
        if self.dead { Time::NEVER } else { self.encoder.wake().min(self.microphone_wake()) }
    }

    /// When the next chunk of a microphone is whole.
    fn microphone_wake(&self) -> Time {
        let whole = media_time((u64::from(self.next_chunk) + 1) * FRAMES as u64).micros() * 1_000;
        self.microphone.map_or(Time::NEVER, |zero| zero.offset(whole))
    }

    /// Hands over what the server takes now; returns whether there was something.
    pub fn feed(&mut self, now: Time, server: &mut Server) -> bool {
        if self.dead {
            return false;
        }
        let mut gave = self.encoder.step(now, server, self.key);
        while if self.microphone.is_some() { self.microphone_wake() <= now } else { server.wants_sound(self.key) } {
            let number = self.next_chunk;
            let frame = media_time(u64::from(number) * FRAMES as u64).micros() * 1_000;
            let captured = self.microphone.map_or(now, |zero| zero.offset(frame));
            let feed = match number < self.chunks {
                true => Feed::Sound(Chunk { number, frames: chunk(number), captured }),
                false => Feed::SoundEnded,
            };
            server.handle(now, Input::Local(Local::Stream(self.key, feed)));
            self.next_chunk += 1;
            gave = true;
        }
        gave
    }
}

pub fn name(text: &str) -> StreamName {
    StreamName::parse(text).expect("a name")
}

/// A film's stream, with sound or without, or a live one in which nothing changes from its hundredth picture on.
pub fn stream(text: &str, film: &Film, live: bool, sound: bool) -> StreamConfig {
    let mut stream = streaming(text, film);
    (stream.description.live, stream.description.sound) = (live, sound);
    stream
}

impl World {
    /// One more stream, with a source of its own.
    pub fn open(&mut self, stream: StreamConfig) -> StreamKey {
        let mut encoder = Encoder::new(Rc::clone(&self.film));
        if stream.description.live {
            encoder.decode = self.film.rate.interval();
            encoder.still_from = Unit(100);
        }
        let key = self.server.machine.open(stream);
        self.others.push(Source { key, encoder, next_chunk: 0, chunks: u32::MAX, microphone: None, dead: false });
        self.server.wake = self.now;
        key
    }

    /// The source of a stream fails.
    pub fn kill(&mut self, key: StreamKey) {
        self.others.iter_mut().filter(|source| source.key == key).for_each(|source| source.dead = true);
        self.tell_server(Local::Stream(key, Feed::Failed("The camera is gone.".to_owned())));
    }

    /// Unit, due and actual time of every departure.
    pub fn departures(&self) -> Vec<(Unit, Time, Time)> {
        self.departures_of(self.server.key)
    }

    pub fn started(&self) -> Time {
        let started = |(_, event): &(Time, Event)| match event {
            Event::Started { at, .. } => Some(*at),
            _ => None,
        };
        self.server.events.iter().find_map(started).expect("the clock runs")
    }

    /// Unit, due and actual time of every departure of a stream.
    pub fn departures_of(&self, key: StreamKey) -> Vec<(Unit, Time, Time)> {
        let departed = |(_, event): &(Time, Event)| match event {
            Event::Departed { stream, unit, due, at, .. } if *stream == key => Some((*unit, *due, *at)),
            _ => None,
        };
        self.server.events.iter().filter_map(departed).collect()
    }

    /// How many events there were of a kind.
    pub fn said(&self, is: impl Fn(&Event) -> bool) -> usize {
        self.server.events.iter().filter(|(_, event)| is(event)).count()
    }
}
