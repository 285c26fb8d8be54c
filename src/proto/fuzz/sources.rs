//! The streams of the world's server, and what feeds them.

use super::film::{Film, SIZE};
use crate::media::sound::{CODED_AHEAD, CODED_FRAMES, Chunk, CodedSound, FRAMES, Frame};
use crate::proto::server::{Config, Feed, Local, StreamConfig, StreamKey};
use crate::proto::{Input, Machine, Server};
use crate::units::{Rate, Time, Unit};
use crate::wire::description::Smaller;
use crate::wire::{Description, StreamName};

/// What feeds a stream.
pub struct Source {
    pub key: StreamKey,
    pub live: bool,
    pub rate: Rate,
    pub unit: Unit,
    chunk: u32,
    /// When the last picture came.
    captured: Time,
}

impl Source {
    pub const fn new(key: StreamKey, live: bool, rate: Rate) -> Self {
        Self { key, live, rate, unit: Unit(0), chunk: 0, captured: Time::ZERO }
    }

    /// Hands over the next picture and chunk, if the server would have them.
    pub fn feed(&mut self, now: Time, server: &mut Server, film: &mut Film) {
        let (key, interval) = (self.key, self.rate.interval());
        let due = !self.live || now >= self.captured + interval;
        if due
            && server.wants_picture(key)
            && let Some(picture) = film.picture(server.id(key), self.unit, self.rate, now)
        {
            (self.unit, self.captured) = (Unit(self.unit.0.saturating_add(1)), now);
            server.handle(now, Input::Local(Local::Stream(key, Feed::Picture(picture))));
        }
        if server.wants_sound(key) && (!self.live || u64::from(self.chunk) * 6 < now.micros() / 1_000) {
            let wanted = server.wants_coded_sound(key);
            for unit in units(self.chunk).filter(|_| wanted) {
                let unit = CodedSound { number: unit, frames: CODED_FRAMES as u16, packet: packet(unit) };
                server.handle(now, Input::Local(Local::Stream(key, Feed::CodedSound(unit))));
            }
            let feed = Feed::Sound(Chunk { number: self.chunk, frames: sound(self.chunk), captured: now });
            self.chunk += 1;
            server.handle(now, Input::Local(Local::Stream(key, feed)));
        }
    }
}

/// What chunk `number` sounds like.
pub fn sound(number: u32) -> Vec<Frame> {
    vec![[number as i16, !number as i16]; FRAMES]
}

/// What stands for coded unit `number`.
pub fn packet(number: u32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// The coded units that chunk `number` completes.
fn units(number: u32) -> std::ops::Range<u32> {
    let whole = |frames: u64| (frames.saturating_sub(CODED_AHEAD as u64) / CODED_FRAMES as u64) as u32;
    let first = u64::from(number) * FRAMES as u64;
    whole(first)..whole(first + FRAMES as u64)
}

/// Names of further streams than the first.
pub const OTHERS: [&str; 2] = ["desk", "room/2"];
/// Streams of one server, at most.
pub const MOST_STREAMS: usize = 5;

pub fn description(live: bool, rate: Rate, sound: bool) -> Description {
    let title = "A film".to_owned();
    Description {
        title,
        size: SIZE,
        smaller: Smaller::worth_having(SIZE),
        rate,
        length: None,
        live,
        sound,
        ended: None,
        sound_ended: None,
        film: None,
    }
}

/// A server: whether its first stream is live, its rate, whether it waits for nobody, whether it has sound. Of further
/// streams every other one is live.
pub fn serving(
    seed: u8,
    sound_port: u16,
    (live, rate, no_wait, sound): (bool, Rate, bool, bool),
    streams: usize,
) -> Option<(Server, Vec<Source>)> {
    let mut config = Config::new([seed; 32]);
    config.sound_port = if sound { sound_port } else { 0 };
    config.max_sessions = 6;
    config.max_sessions_per_address = 3;
    config.max_joins_per_second = 5;
    let (mut server, mut sources, mut live) = (Server::new(config), Vec::new(), live);
    for name in ["film"].iter().chain(&OTHERS).take(streams) {
        let mut stream = StreamConfig::new(StreamName::parse(name).ok()?, description(live, rate, sound));
        stream.no_wait = no_wait;
        let key = server.open(stream);
        sources.push(Source::new(key, live, rate));
        live = !live;
    }
    Some((server, sources))
}
