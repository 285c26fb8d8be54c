//! A session: one watcher's conversation with the server on one of its ports, and the table of all of them.

mod group;
mod passed_sound;
mod table;
mod wishes;

use std::time::Duration;

pub use group::{ANNOUNCE, Group, GroupConfig, PARITY};
pub use passed_sound::PassedSoundState;
pub use table::Sessions;
pub use wishes::Wishes;

use super::door::NewPath;
use super::sender::{Control, MediaSender, PathSize, SessionStats, ToldCell, budget};
use super::stream::StreamKey;
use super::talk::Outgoing;
use super::{Peer, Route};
use crate::media::sound::Rendition;
use crate::units::{Bitrate, Time, Unit};
use crate::wire::message::{COOKIE_LEN, WantedPictures};
use crate::wire::{Report, SizeClass};

/// Media starts at the first report, or after this time without one.
pub const FIRST_REPORT: Duration = Duration::from_millis(20);

/// Something is said so often through a connection beside UDP. Whoever keeps connections closes those on which nothing is.
pub const CONTROL_KEPT: Duration = Duration::from_secs(5);
/// Stereo sound, bits a second on the wire.
const STEREO: f64 = 1.54e6;
/// How much the last picture counts in the share that is sent.
const FRESH: f32 = 1.0 / 16.0;

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    Left,
    Silent,
    Replaced,
    Ended,
}

/// How far a watcher has got in taking its leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leaving {
    pub byes: u8,
    pub next: Time,
}

/// How a session began.
#[derive(Clone, Copy, Debug)]
pub struct Beginning {
    pub nonce: u64,
    pub cookie: [u8; COOKIE_LEN],
    pub at: Time,
    /// What the client, or the operator, allows.
    pub limit: SizeClass,
    /// The operator's choice: it is not probed for.
    pub given: bool,
}

impl Beginning {
    fn path(&self, now: Time) -> PathSize {
        if self.given { PathSize::given(self.limit, now) } else { PathSize::new(self.limit, now) }
    }
}

/// Numbered Updates: what was told last, until it is acknowledged.
#[derive(Default)]
pub struct Updates {
    /// Number and extensions.
    pub pending: Option<(u32, Vec<u8>)>,
    pub count: u32,
    pub next: Time,
}

/// What each datagram touches comes first and together, as in [`MediaSender`].
#[repr(C)]
pub struct Session {
    pub id: u64,
    /// The stream that it is of.
    pub stream: StreamKey,
    pub ready: bool,
    /// Whether it is sent pictures: on the picture port, unless they are paused.
    pub pictures: bool,
    /// Which sound it wants, if any.
    pub sound: Option<Rendition>,
    /// How much of the pictures it wants at most.
    pub wanted: WantedPictures,
    /// The coarsest sound that it can play.
    pub sound_coarsest: Rendition,
    /// The finest sound that its path allows.
    pub sound_allowed: Rendition,
    /// The sound that it is sent is coded: whether that is to change is looked at where it can.
    pub coded: bool,
    /// First and last of each rendition of sound that it was sent without a break.
    sound_sent: [Option<(Unit, Unit)>; 3],
    /// Which departure of the stream's it was sent last, or is being sent; counted from 1.
    departure: Option<u64>,
    /// When it was last sent a picture because it resumed.
    pub resumed: Option<Time>,
    /// A departure that it was not sent because its datagrams were too large for its path.
    pub unfit: Option<u64>,
    /// Of a relay: its id, and those of the relays below it.
    pub via: Vec<u64>,
    /// The chunks of sound that it is sent, of those that come from elsewhere.
    pub passed_sound: PassedSoundState,
    pub media: MediaSender,
    pub beginning: Beginning,
    /// The connection through which goes what must arrive, if media goes over UDP beside it.
    pub control: Option<Route>,
    /// When something is to be said through it, so that it is not taken for dead.
    next_control: Time,
    /// The other session of the same watcher: of a picture session its sound session, and the other way round.
    pub tied: Option<u64>,
    /// It is told what the stream is again and again, until it wants something: it does not ask for that.
    pub describe_again: bool,
    /// A sound session of its own has been announced: the clock waits for it a moment.
    pub expects_sound: bool,
    /// Number of the last Want obeyed.
    want: Option<u32>,
    /// That number is to be acknowledged.
    pub owes_wanted: bool,
    /// Accept and Description as they were first sent, for a client that asks again.
    pub welcome: Vec<u8>,
    pub heard: Time,
    pub new_path: Option<NewPath>,
    pub updates: Updates,
    pub next_clock: Time,
    pub leaving: Option<Leaving>,
    /// The client's own `sent_at` in its last report, and when that came.
    pub heard_stamp: Option<(u32, Time)>,
    /// The share of pictures that it is sent, of the last few.
    share: f32,
    /// Which of all sessions it is, counted from 1.
    pub number: u32,
    /// The lines that it is sent, if it listens.
    pub talk: Option<Box<Outgoing>>,
    /// It is no watcher's, but a group's.
    pub group: Option<Box<Group>>,
    /// What it was told of the jumps of a film on demand.
    pub spot: Spot,
}

/// Which place of a film on demand a session is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    /// The jump that it was told of last, counted from 1.
    pub jump: u32,
    /// Its hop sequence then.
    pub from: u32,
    /// The Update that told it, until that is acknowledged: before, nothing of the place is sent.
    pub untold: Option<u32>,
    /// Number of the last order that was obeyed.
    pub obeyed: Option<u32>,
}

impl Spot {
    /// Whether an order is a new one; then it is the last obeyed.
    pub const fn heeds(&mut self, number: u32) -> bool {
        let new = match self.obeyed {
            Some(last) => number.wrapping_sub(last).cast_signed() > 0,
            None => true,
        };
        if new {
            self.obeyed = Some(number);
        }
        new
    }
}

impl Session {
    pub fn new(id: u64, stream: StreamKey, route: Route, beginning: Beginning) -> Self {
        let now = beginning.at;
        Self {
            id,
            stream,
            ready: false,
            pictures: route.peer.port.is_for_pictures(),
            sound: None,
            wanted: WantedPictures::ANY,
            sound_coarsest: Rendition::Mono,
            sound_allowed: Rendition::Stereo,
            coded: false,
            sound_sent: [None; 3],
            departure: None,
            resumed: None,
            unfit: None,
            via: Vec::new(),
            passed_sound: PassedSoundState::default(),
            media: MediaSender::new(route, id as u32, beginning.path(now)),
            beginning,
            control: None,
            next_control: now,
            tied: None,
            describe_again: false,
            expects_sound: false,
            want: None,
            owes_wanted: false,
            welcome: Vec::new(),
            heard: now,
            new_path: None,
            updates: Updates { next: now, ..Updates::default() },
            next_clock: now,
            leaving: None,
            heard_stamp: None,
            share: 1.0,
            number: 0,
            talk: None,
            group: None,
            spot: Spot::default(),
        }
    }

    pub const fn peer(&self) -> Peer {
        self.media.peer()
    }

    pub const fn route(&self) -> Route {
        self.media.route()
    }

    pub const fn stats(&self) -> SessionStats {
        self.media.stats()
    }

    /// It is sent this chunk or coded unit of sound.
    pub fn note_sound(&mut self, rendition: Rendition, number: u32) {
        let Some(sent) = self.sound_sent.get_mut(usize::from(rendition.id())) else { return };
        let number = Unit(number);
        *sent = Some(match *sent {
            Some((first, last)) if last.next() == number => (first, number),
            _ => (number, number),
        });
    }

    /// Nothing that it was sent of sound is of the stream that it is of now.
    pub fn forget_sound(&mut self) {
        (self.sound_sent, self.passed_sound, self.coded) = ([None; 3], PassedSoundState::default(), false);
    }

    /// Whether it was sent this chunk or coded unit of sound.
    pub fn was_sent_sound(&self, rendition: u8, number: Unit) -> bool {
        let sent = self.sound_sent.get(usize::from(rendition)).copied().flatten();
        sent.is_some_and(|(first, last)| (first..=last).contains(&number))
    }

    /// Whether it is on the picture port, paused or not.
    pub const fn is_for_pictures(&self) -> bool {
        self.peer().port.is_for_pictures()
    }

    /// Whether it is this one who speaks of the session.
    pub fn is_of(&self, peer: Peer) -> bool {
        self.peer() == peer || self.control.is_some_and(|control| control.peer == peer)
    }

    /// Which way the clock goes this time: now and then through the connection beside UDP, on which little else is said.
    pub fn clock_route(&mut self, now: Time) -> Route {
        match self.control.filter(|_| now >= self.next_control) {
            Some(control) => {
                self.next_control = now + CONTROL_KEPT;
                control
            }
            None => self.route(),
        }
    }

    /// Whether it is the sound of another session that is still there.
    pub const fn is_second(&self) -> bool {
        self.tied.is_some() && !self.is_for_pictures()
    }

    /// Takes a report in. Returns what it tells of single datagrams, of use to a control; `None` if it does not prove that the
    /// watcher is alive.
    pub fn report(&mut self, now: Time, report: &Report, sent_at: u32) -> Option<Vec<ToldCell>> {
        let told = self.media.report(now, report)?;
        self.heard = now;
        if self.heard_stamp.is_none() {
            // The first report is answered with our clock at once.
            self.next_clock = now;
        }
        self.ready = true;
        self.heard_stamp = Some((sent_at, now));
        let has_heard = |number: u32| report.update_ack.wrapping_sub(number).cast_signed() >= 0;
        self.updates.pending.take_if(|(number, _)| has_heard(*number));
        self.spot.untold.take_if(|number| has_heard(*number));
        Some(told)
    }

    /// It is somewhere else now. The new path starts with no known size or round trip.
    pub fn move_to(&mut self, now: Time, route: Route) {
        self.media.move_to(now, route, self.beginning.path(now));
        // It has just proved that it hears us there; it is told a new token at once.
        (self.heard, self.next_clock) = (now, now);
    }

    /// Whether it can be sent this departure's picture now.
    pub fn may_start(&self, departure: u64) -> bool {
        let new = self.departure.is_none_or(|last| last < departure);
        let free = !self.media.is_sending() && !self.media.is_held() && self.spot.untold.is_none();
        self.ready && self.pictures && free && new
    }

    /// Notes that it is sent this departure's picture. Returns how many it was not sent since the one before.
    pub fn depart(&mut self, departure: u64) -> u64 {
        let missed = self.missed(departure - 1);
        self.departure = Some(departure);
        self.share += (1.0 - self.share) * FRESH;
        missed
    }

    /// Leaves this departure's picture out: its path does not carry it.
    pub fn skip(&mut self, departure: u64) {
        let missed = self.missed(departure - 1);
        self.departure = Some(departure);
        self.share -= self.share * FRESH;
        self.media.skip(missed);
    }

    /// The share of pictures that it is sent, of the last few: 0 … 1.
    pub const fn share(&self) -> f32 {
        self.share
    }

    /// What its path carries; `None` if that is not asked for.
    pub fn control(&self) -> Option<&Control> {
        self.media.control.as_deref()
    }

    /// The bits that a picture may take, which lasts so long; `None`: as many as there are. `most`: what is allowed, whatever its
    /// path carries.
    pub fn budget(&self, lasts: Duration, most: Option<Bitrate>) -> Option<f64> {
        let sound = || if self.hears() { STEREO } else { 0.0 };
        match &self.media.control {
            Some(control) => Some(control.budget(lasts, most)),
            None => {
                let most = most.map(|most| budget(most.as_bps() as f64, sound(), lasts));
                most.into_iter().chain(self.group_budget(sound(), lasts)).reduce(f64::min)
            }
        }
    }

    /// Whether it is sent sound, in one session or the other.
    fn hears(&self) -> bool {
        self.sound.is_some() || self.tied.is_some()
    }

    /// Whether a picture must be left out that was made then and takes so many bits.
    pub fn leaves_out(&mut self, now: Time, made: (Time, f64), lasts: Duration, most: Option<Bitrate>) -> bool {
        let Some(budget) = self.budget(lasts, most) else { return false };
        let used_up = self.media.allowance.is_used_up(now, budget, lasts);
        used_up || self.media.control.as_mut().is_some_and(|control| control.skips(now, made, budget))
    }

    /// A picture of so many bits begins.
    pub fn takes(&mut self, bits: f64, lasts: Duration, most: Option<Bitrate>) {
        if let Some(budget) = self.budget(lasts, most) {
            self.media.allowance.takes(bits, budget);
        }
        if let Some(control) = &mut self.media.control {
            control.begins();
        }
    }

    /// Whether its own path is what holds its next picture back, and not this machine.
    pub fn is_held_by_path(&self, now: Time) -> bool {
        let paced = || self.control().is_some_and(|control| control.release(now) > now);
        self.media.is_held() || self.media.is_sending() && paced()
    }

    /// It is owed no picture up to this departure. Later ones are sent to it, even one that it had before, unless one is
    /// still on its way.
    pub fn pass(&mut self, departure: u64) {
        let sending = self.media.is_sending();
        self.departure = self.departure.map(|last| if sending { last.max(departure) } else { departure });
    }

    /// How many pictures it was not sent of those up to this departure.
    pub fn missed(&self, departure: u64) -> u64 {
        self.departure.map_or(0, |last| departure.saturating_sub(last))
    }

    /// Whether the body of this unit is not, or not whole, on its screen, as far as we know.
    pub fn lacks(&self, body: Unit) -> bool {
        self.media.lacks(body) || self.is_to_be_shown_again()
    }
}
