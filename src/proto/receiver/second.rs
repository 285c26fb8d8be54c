//! The lane for sound: a session of its own on the server's sound port, or, where nobody answers, sound in the main one.

use std::net::SocketAddr;
use std::time::Duration;

use super::lane::{Lane, Role};
use super::{Config, Event, Receiver};
use crate::proto::{Output, Reason};
use crate::seal::Seed;
use crate::units::Time;
use crate::wire::message::{Place, SoundWish};

/// Nobody has answered on the sound port for so long: sound is asked for on the other.
const SOUND_PATIENCE: Duration = Duration::from_millis(600);
/// A wish is repeated this often until it shows.
const WANT_REPEAT: Duration = Duration::from_millis(250);

/// The lane for sound, as far as there is one.
pub enum Second {
    /// No sound in this session: none wanted, or none there.
    None,
    /// Being looked for, or in use.
    Lane(Box<Lane>, Time),
    /// Asked for in the main lane, and asked again at this time until it comes.
    Here(Time),
}

impl Receiver {
    /// Opens, drops or moves the lane for sound as the main session asks for it.
    pub(super) fn choose_lane(&mut self, now: Time) {
        let Some(session) = self.main.session.as_ref().filter(|session| session.described) else { return };
        if self.sound_of != Some(session.id) {
            self.sound_of = Some(session.id);
            let (id, mut server, port) = (session.id, session.server, session.sound_port);
            self.leave_second(now);
            let there = self.main.stream.as_ref().is_some_and(|stream| stream.description.sound);
            self.second = match port {
                _ if !there || self.main.config.sound.is_none() => Second::None,
                // Whoever joined the sound port itself is sent sound without asking.
                _ if server.port() == port => Second::None,
                0 => Second::Here(now),
                _ => {
                    server.set_port(port);
                    Second::Lane(Box::new(self.sound_lane(now, id, server)), now)
                }
            };
        }
        match &self.second {
            Second::Lane(lane, since) if now >= *since + SOUND_PATIENCE && !lane.is_joined() => {
                self.ask_for_sound_here(now);
            }
            Second::Here(next) if now < *next => {}
            Second::Here(_) if self.main.hears_sound(now) => self.second = Second::Here(now + WANT_REPEAT),
            Second::Here(_) => self.ask_for_sound_here(now),
            Second::None | Second::Lane(..) => {}
        }
    }

    fn sound_lane(&mut self, now: Time, with: u64, server: SocketAddr) -> Lane {
        let mut seed = Seed::default();
        for bytes in seed.chunks_exact_mut(8) {
            bytes.copy_from_slice(&self.random.u64().to_be_bytes());
        }
        let config = Config { seed, servers: vec![server], stay: false, ..self.main.config.clone() };
        Lane::new(config, Role::SoundOf(with), now)
    }

    /// Says goodbye on the sound port, where a session may be.
    fn leave_second(&mut self, now: Time) {
        if let Second::Lane(lane, _) = &mut self.second {
            lane.say_goodbye(now);
            self.main.out.append(&mut lane.out);
            self.gone = self.gone.with_second(&lane.counts);
        }
    }

    fn ask_for_sound_here(&mut self, now: Time) {
        self.leave_second(now);
        self.second = Second::Here(now + WANT_REPEAT);
        let Some(rendition) = self.main.config.sound else { return };
        let mut tlvs = Vec::with_capacity(8);
        SoundWish { place: Place::Here, rendition: rendition.id() }.put(&mut tlvs);
        self.wants += 1;
        self.main.want(now, self.wants, &tlvs);
    }

    /// When sound is to be asked for again, or elsewhere.
    pub(super) fn next_wish(&self) -> Option<Time> {
        match &self.second {
            // Without a main session there is nobody to ask.
            _ if !self.main.is_joined() => None,
            Second::Here(next) => Some(*next),
            Second::Lane(lane, since) if !lane.is_joined() => Some(*since + SOUND_PATIENCE),
            _ => None,
        }
    }

    /// What the sound's lane says concerns nobody else; without it, sound comes in the main lane. `None`: now it does.
    pub(super) fn poll_second(&mut self, now: Time) -> Option<Output<Event>> {
        loop {
            let Second::Lane(lane, _) = &mut self.second else { return Some(Output::Wait(Time::NEVER, Reason::Idle)) };
            match lane.poll(now) {
                Output::Event(Event::Refused { .. } | Event::Trouble(_)) if !self.main.finished => {
                    self.ask_for_sound_here(now);
                    return None;
                }
                Output::Event(_) => {}
                other => return Some(other),
            }
        }
    }
}
