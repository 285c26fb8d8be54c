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
mod second;
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
use crate::units::{Size, Time};
use crate::wire::Description;
use crate::wire::message::{RefuseCode, bye};
use delay::Delay;
use lane::{Heard, Lane, Role};
use playout::END_PATIENCE;
use second::Second;
use sound::{ENDING, Sound, Zero};

/// Pictures may be seen so much earlier than the sound that belongs to them is heard: nobody notices (ITU-R BT.1359 puts
/// the threshold at 125 ms), and they wait less.
const AHEAD: Duration = Duration::from_millis(10);
/// Beyond what the loudspeaker needs: a chunk passes through this machine.
const MARGIN: Duration = Duration::from_millis(4);
/// Pictures are held for no longer than this after they are due: the longest [`Config::latency`].
pub const MAX_LATENCY: Duration = Duration::from_secs(10);
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
    /// Show pictures this long after they are due, at most [`MAX_LATENCY`]; zero: as soon as they are there.
    pub latency: Duration,
    /// After a goodbye look for the server again, instead of finishing.
    pub stay: bool,
    /// Which sound is wanted, if the stream has any; `None`: no sound, and nothing waits for it.
    pub sound: Option<Rendition>,
    /// After so many pictures say goodbye and finish; `None`: show all that come.
    pub frames: Option<u64>,
}

impl Config {
    /// Datagrams of any size, no sound, every picture as soon as it is there, and the end of the stream is the end.
    pub const fn new(seed: Seed, servers: Vec<SocketAddr>) -> Self {
        Self { seed, servers, max_datagram: 0, latency: Duration::ZERO, stay: false, sound: None, frames: None }
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
    /// The stream's pictures are larger than any canvas ([`Canvas::fits`]). The server is left, and looked for again.
    ///
    /// [`Canvas::fits`]: crate::media::Canvas::fits
    TooLarge(Size),
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
    /// What came in sound lanes that are no more.
    gone: Counts,
    /// Nothing but goodbyes is left to send.
    leaving: bool,
    events: VecDeque<Event>,
}

impl Receiver {
    pub fn new(mut config: Config, now: Time) -> Self {
        config.latency = config.latency.min(MAX_LATENCY);
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
            gone: Counts::default(),
            leaving: false,
            events: VecDeque::new(),
        }
    }

    /// What became of all datagrams and pictures.
    pub fn counts(&self) -> Counts {
        let counts = self.main.counts.with_second(&self.gone);
        match &self.second {
            Second::Lane(lane, _) => counts.with_second(&lane.counts),
            _ => counts,
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
        self.hand_out(now);
    }

    /// Says which chunks are to be heard next, and when that was the last.
    fn hand_out(&mut self, now: Time) {
        let zero = self.sound_zero();
        while let Some(played) = self.sound.play(now, zero) {
            self.events.push_back(Event::Sound { first: played.first, frames: played.frames });
        }
        if self.sound.is_over(self.chunks()) {
            self.events.push_back(Event::SoundOver);
        }
    }

    /// What is known of the time of frame 0.
    fn sound_zero(&self) -> Zero {
        let needed = self.zero.zip(self.loudspeaker).map(|(heard, needs)| heard - needs - MARGIN);
        Zero { needed, due: self.main.due(media_time(0)) }
    }

    /// How many chunks of sound there were, once the stream has ended.
    fn chunks(&self) -> Option<u32> {
        self.main.stream.as_ref().and_then(|stream| stream.description.sound_ended).map(|chunks| chunks.0)
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
        // Around a restart the lanes may be in two streams.
        for Heard { number, frames, media_time, at, .. } in heard.into_iter().filter(|h| Some(h.stream) == stream) {
            let due = self.main.due(media_time);
            if !self.sound.can_be(number, at, due) {
                self.gone.rejected += 1;
                continue;
            }
            if let Some(due) = due {
                self.delay.sound(at, at.signed_since(due));
            }
            self.sound.take(number, frames, at, due.is_some());
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
        let heard = if plays { self.heard_out() } else { self.all_there() };
        self.main.hold = heard.max(self.seen_out());
    }

    /// When the last picture has had its time on the screen: the server says that it ends when it has had it there.
    fn seen_out(&self) -> Option<Time> {
        let ended = self.main.stream.as_ref().and_then(|stream| stream.ended_at);
        ended.map(|at| at + self.main.latency)
    }

    /// When the last frame is heard: that of the stream, or of what is still to be believed of it.
    fn heard_out(&self) -> Option<Time> {
        let end = self.sound.end();
        let last = self.chunks().map_or(end, |chunks| end_of(chunks).min(end + (ENDING * FRAMES) as u64));
        sound::at(self.zero, last)
    }

    /// How long the last chunks are waited for if nobody hears them.
    fn all_there(&self) -> Option<Time> {
        let missing = self.sound.is_there() && self.chunks().is_some_and(|chunks| self.sound.end() < end_of(chunks));
        let ended = self.main.stream.as_ref().and_then(|stream| stream.ended_at);
        ended.filter(|_| missing).map(|at| at + END_PATIENCE)
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

    /// The main lane has finished: what is held is handed out, the other says goodbye, and then nothing is left.
    fn leave(&mut self, now: Time) {
        self.leaving = true;
        self.hand_out(Time::NEVER);
        self.sound.ended(self.chunks());
        if let Second::Lane(lane, _) = &mut self.second {
            lane.stop(now);
        }
    }

    fn soonest(&self) -> Soonest {
        if self.main.finished {
            return Soonest::new();
        }
        let gap = self.sound.deadline(self.sound_zero());
        Soonest::new().or(self.next_wish(), Reason::Retry).or(gap, Reason::Sound)
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
            (Input::NotSent(Port::PICTURES, ..), _) => self.main.not_sent(),
            (Input::NotSent(..), _) => self.gone.send_errors += 1,
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
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
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

/// The frame behind the last of so many chunks.
fn end_of(chunks: u32) -> u64 {
    u64::from(chunks) * FRAMES as u64
}
