//! The watcher: joins, stays joined, puts pictures together, says when to show them, puts sound in order, says when it
//! is to be heard, and reports.
//!
//! Slices of the picture that is shown next are handed out as they come ([`Event::Slice`]), so that decoding runs
//! along with receiving; [`Event::Show`] closes the picture. Whatever is missing then is the decoder's to conceal.
//!
//! Pictures and sound come in two lanes, sessions of their own on two ports of the server. If nobody answers on the sound
//! port (a firewall), sound is asked for on the other. As long as a loudspeaker plays, both are played so long after
//! they are due that nearly everything has come by then ([`delay`]); otherwise pictures are shown when they are there.

mod assembly;
mod delay;
mod fuzz;
mod join;
mod lane;
mod playout;
mod sound;
mod stats;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

pub use assembly::{Ready, Slice};
pub use sound::Counts as SoundCounts;
pub use stats::Counts;

use super::{Input, Machine, Output, Port, Reason, Soonest};
use crate::media::sound::{FRAMES, Frame, Rendition, media_time};
use crate::seal::{Random, Seed};
use crate::units::Time;
use crate::wire::Description;
use crate::wire::message::{Place, RefuseCode, SoundWish, bye};
use delay::Delay;
use lane::{Heard, Lane, Role};
use sound::Sound;

/// Nobody has answered on the sound port for so long: sound is asked for on the other.
const SOUND_PATIENCE: Duration = Duration::from_millis(600);
/// A wish is repeated this often until it shows.
const WANT_REPEAT: Duration = Duration::from_millis(250);
/// Pictures may be seen so much earlier than the sound that belongs to them is heard: nobody notices (ITU-R BT.1359 puts
/// the threshold at 125 ms), and they wait less.
const AHEAD: Duration = Duration::from_millis(10);
/// Beyond what the loudspeaker needs: a chunk passes through this machine.
const MARGIN: Duration = Duration::from_millis(10);
/// The moment of frame 0 is told again when it has moved by more than this, ns.
const MOVED: u64 = 200_000;

/// What the viewer chose.
#[derive(Clone, Debug)]
pub struct Config {
    pub seed: Seed,
    /// Where the server may be: all are asked, the first to answer is taken.
    pub servers: Vec<SocketAddr>,
    /// Largest datagram wanted; 0: no limit.
    pub max_datagram: u16,
    /// Show pictures this long after they are due; zero: as soon as they are there.
    pub latency: Duration,
    /// After a goodbye look for the server again, instead of finishing.
    pub stay: bool,
    /// Which sound is wanted, if the stream has any; `None`: no sound, and nothing waits for it.
    pub sound: Option<Rendition>,
}

impl Config {
    /// Datagrams of any size, no sound, pictures as soon as they are there, and the end of the stream is the end.
    pub const fn new(seed: Seed, servers: Vec<SocketAddr>) -> Self {
        Self { seed, servers, max_datagram: 0, latency: Duration::ZERO, stay: false, sound: None }
    }
}

/// What the program around the receiver tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// Say goodbye and finish.
    Stop,
    /// A loudspeaker plays, and needs chunks so long before they are heard; or, with `None`, none does.
    Loudspeaker(Option<Duration>),
}

/// What the receiver tells the program around it.
#[derive(Clone, Debug)]
pub enum Event {
    /// Accepted by a server, with the stream's description.
    Playing {
        description: Description,
        stream: u64,
        server: SocketAddr,
        rejoined: bool,
    },
    /// To be decoded into the canvas of its unit; slices of one unit come between two Shows.
    Slice(Slice),
    /// The picture's time has come. `due` is when it should have left the server (paced) or was captured (live), in
    /// our clock.
    Show {
        picture: Ready,
        due: Option<Time>,
    },
    /// 256 frames of sound from frame `first` on (the last chunk of a stream may have fewer), in order and without gaps
    /// unless `first` jumps; `None`: lost, to be concealed.
    Sound {
        first: u64,
        frames: Option<Vec<Frame>>,
    },
    /// The sound has ended with what came last.
    SoundOver,
    /// Frame 0 of the sound is to be heard at this moment of our clock, and frame n n/44 100 s later.
    SoundZero(Time),
    Refused {
        code: RefuseCode,
        sentence: String,
    },
    /// Nothing has been heard for a while; looking for the server.
    Trouble(Trouble),
    /// The stream ended, or the server stopped, with its sentence. Unless [`Config::stay`], `Finished` follows.
    Over {
        why: Over,
        sentence: String,
    },
    /// All is said; the program can end.
    Finished,
}

/// Why a server said goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The stream came to its end.
    Ended,
    /// Somebody stopped the server.
    Stopped,
    /// The stream's source failed.
    Failed,
}

impl Over {
    const fn of(code: u16) -> Self {
        match code {
            bye::ENDED => Self::Ended,
            bye::FAILED => Self::Failed,
            _ => Self::Stopped,
        }
    }
}

/// Why no pictures come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody has answered since the start.
    Nobody,
    /// The server was there and has fallen silent.
    Silent,
    /// This machine has no way to the server: nothing can even be sent.
    Network,
}

/// The lane for sound, as far as there is one.
enum Second {
    /// No sound in this session: none wanted, or none there.
    None,
    /// Being looked for, or in use.
    Lane(Box<Lane>, Time),
    /// Asked for in the main lane, and asked again at this time until it comes.
    Here(Time),
}

pub struct Receiver {
    main: Lane,
    second: Second,
    /// The session whose sound it is.
    sound_of: Option<u64>,
    random: Random,
    sound: Sound,
    delay: Delay,
    loudspeaker: Option<Duration>,
    zero: Option<Time>,
    wants: u32,
    /// Nothing but goodbyes is left to send.
    leaving: bool,
    events: VecDeque<Event>,
}

impl Receiver {
    pub fn new(config: Config, now: Time) -> Self {
        let mut random = Random::new(&config.seed);
        // Another than the lane draws from the same seed.
        random.u64();
        Self {
            main: Lane::new(config, Role::Main, now),
            second: Second::None,
            sound_of: None,
            random,
            sound: Sound::default(),
            delay: Delay::default(),
            loudspeaker: None,
            zero: None,
            wants: 0,
            leaving: false,
            events: VecDeque::new(),
        }
    }

    /// What became of all datagrams and pictures.
    pub fn counts(&self) -> Counts {
        match &self.second {
            Second::Lane(lane, _) => self.main.counts.with_second(&lane.counts),
            _ => self.main.counts,
        }
    }

    pub const fn sound_counts(&self) -> &SoundCounts {
        self.sound.counts()
    }

    /// A goodbye is not the end.
    pub const fn is_staying(&self) -> bool {
        self.main.config.stay
    }

    pub const fn rtt(&self) -> Option<Duration> {
        self.main.clock.rtt()
    }

    /// How long after it was due everything is played.
    pub fn played_after(&self) -> Duration {
        self.main.config.latency.max(self.delay.now())
    }

    /// Everything that is not datagrams: which lanes there are, what they brought, what is due.
    fn tend(&mut self, now: Time) {
        if self.main.finished {
            return;
        }
        self.choose_lane(now);
        self.take_in(now);
        self.keep_time();
        let (zero, reserve) = (self.zero, self.reserve());
        while let Some(played) = self.sound.play(now, |frame| heard(zero, frame), reserve) {
            self.events.push_back(Event::Sound { first: played.first, frames: played.frames });
        }
        let ended = self.main.stream.as_ref().and_then(|stream| stream.description.sound_ended);
        if self.sound.is_over(ended.map(|chunks| chunks.0)) {
            self.events.push_back(Event::SoundOver);
        }
    }

    /// Opens, drops or moves the lane for sound as the main session asks for it.
    fn choose_lane(&mut self, now: Time) {
        let session = self.main.session.as_ref().filter(|session| session.described);
        let there = self.main.stream.as_ref().is_some_and(|stream| stream.description.sound);
        let Some(session) = session.filter(|_| there && self.main.config.sound.is_some()) else { return };
        if self.sound_of != Some(session.id) {
            self.sound_of = Some(session.id);
            let (id, server, port) = (session.id, session.server, session.sound_port);
            self.second = match port {
                // Whoever joined the sound port itself is sent sound without asking.
                _ if server.port() == port => Second::None,
                0 => Second::Here(now),
                _ => Second::Lane(Box::new(self.sound_lane(now, id, SocketAddr::new(server.ip(), port))), now),
            };
            if let (Second::Lane(lane, _), SocketAddr::V6(server)) = (&mut self.second, server) {
                let mut address = server;
                address.set_port(port);
                lane.config.servers = vec![address.into()];
            }
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

    fn ask_for_sound_here(&mut self, now: Time) {
        self.second = Second::Here(now + WANT_REPEAT);
        let Some(rendition) = self.main.config.sound else { return };
        let mut tlvs = Vec::with_capacity(8);
        SoundWish { place: Place::Here, rendition: rendition.id() }.put(&mut tlvs);
        self.wants += 1;
        self.main.want(now, self.wants, &tlvs);
    }

    /// Takes over what came in either lane.
    fn take_in(&mut self, now: Time) {
        let mut heard = std::mem::take(&mut self.main.heard);
        if let Second::Lane(lane, _) = &mut self.second {
            heard.append(&mut lane.heard);
        }
        let stream = self.main.stream.as_ref().map(|stream| stream.id);
        if self.sound.follow(stream) {
            (self.zero, self.delay) = (None, Delay::default());
        }
        for Heard { number, frames, media_time, at } in heard {
            if let Some(due) = self.main.due(media_time) {
                self.delay.sound(at, at.signed_since(due));
            }
            self.sound.take(number, frames, at);
        }
        self.main.lateness.drain(..).for_each(|late| self.delay.picture(late));
        self.delay.turn(now, self.loudspeaker.map(|needs| needs + MARGIN));
    }

    /// When frame 0 is heard, and how long pictures wait for that.
    fn keep_time(&mut self) {
        let plays = self.loudspeaker.is_some() && self.sound.is_there();
        let after = self.played_after();
        self.main.latency =
            if plays { self.main.config.latency.max(after.saturating_sub(AHEAD)) } else { self.main.config.latency };
        let zero = self.main.due(media_time(0)).map(|due| due + after);
        let moved = |old: Time| zero.is_some_and(|new| new.signed_since(old).unsigned_abs() > MOVED);
        if zero.is_some() && self.zero.is_none_or(moved) {
            self.zero = zero;
            self.events.extend(zero.map(Event::SoundZero));
        }
        let last = self.main.stream.as_ref().and_then(|stream| stream.description.sound_ended);
        let last = last.filter(|_| plays).map_or(self.sound.end(), |chunks| u64::from(chunks.0) * FRAMES as u64);
        self.main.hold = self.zero.filter(|_| plays).and_then(|zero| heard(Some(zero), last));
    }

    /// How long before it is heard a chunk must be handed out.
    fn reserve(&self) -> Duration {
        self.loudspeaker.unwrap_or_default() + MARGIN
    }

    /// What the sound's lane says concerns nobody else; without it, sound comes in the main lane. `None`: now it does.
    fn poll_second(&mut self, now: Time) -> Option<Output<Event>> {
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

    fn poll_main(&mut self, now: Time) -> Output<Event> {
        match self.main.poll(now) {
            Output::Event(Event::Finished) => {
                self.leave(now);
                Output::Wait(Time::NEVER, Reason::Idle)
            }
            other => other,
        }
    }

    /// The main lane has finished: the other says goodbye, and then nothing is left.
    fn leave(&mut self, now: Time) {
        self.leaving = true;
        let chunks = self.main.stream.as_ref().and_then(|stream| stream.description.sound_ended);
        self.sound.ended(chunks.map(|chunks| chunks.0));
        if let Second::Lane(lane, _) = &mut self.second {
            lane.stop(now);
        }
    }

    fn soonest(&self) -> Soonest {
        if self.main.finished {
            return Soonest::new();
        }
        let wish = match &self.second {
            Second::Here(next) => Some(*next),
            Second::Lane(lane, since) if !lane.is_joined() => Some(*since + SOUND_PATIENCE),
            _ => None,
        };
        let gap = self.sound.deadline(|frame| heard(self.zero, frame), self.reserve());
        Soonest::new().or(wish, Reason::Retry).or(gap, Reason::Sound)
    }
}

impl Machine for Receiver {
    type Local = Local;
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_, Local>) {
        if self.main.finished {
            return;
        }
        match (input, &mut self.second) {
            (Input::Datagram(datagram), Second::Lane(lane, _)) if datagram.port == Port::SOUND => {
                lane.datagram(now, datagram);
            }
            (Input::Datagram(datagram), _) => self.main.datagram(now, datagram),
            (Input::NotSent(Port::SOUND, ..), Second::Lane(lane, _)) => lane.not_sent(),
            (Input::NotSent(..), _) => self.main.not_sent(),
            (Input::Local(Local::Stop), _) => self.main.stop(now),
            (Input::Local(Local::Loudspeaker(needs)), _) => self.loudspeaker = needs,
        }
    }

    fn poll(&mut self, now: Time) -> Output<Event> {
        self.tend(now);
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        let main = self.poll_main(now);
        let Output::Wait(until, reason) = main else { return main };
        let Some(second) = self.poll_second(now) else { return self.poll(now) };
        let Output::Wait(also, why) = second else { return second };
        if std::mem::take(&mut self.leaving) {
            return Output::Event(Event::Finished);
        }
        let Soonest(own, whose) = self.soonest();
        let Soonest(at, reason) = Soonest(until, reason).or(Some(also), why).or(Some(own), whose);
        Output::Wait(at, reason)
    }
}

/// When a frame is heard if frame 0 is heard at `zero`.
fn heard(zero: Option<Time>, frame: u64) -> Option<Time> {
    zero.map(|zero| zero.offset(media_time(frame).micros() * 1_000))
}
