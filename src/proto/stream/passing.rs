//! A stream whose objects come from elsewhere: from a server above, as they come, or out of a store, at their moments. They go on
//! as they are, under the name that they have there. What is made here in their place is a card, while nothing comes.

use std::sync::Arc;
use std::time::Duration;

use super::adapt::Adapting;
use super::departure::ALL_ASKED_FOR;
use super::load::Load;
use super::offer::Content;
use super::sound::Sound;
use super::{Phase, Stream};
use crate::media::coded::PassedPicture;
use crate::media::sound::Rendition;
use crate::proto::door::Refusal;
use crate::proto::sender::Control;
use crate::proto::session::{Session, Sessions};
use crate::units::{Bitrate, MediaTime, Size, Time};
use crate::wire::message::{RelayHop, WantedPictures};
use crate::wire::{Description, SizeClass};

/// What a stream shows from now on.
#[derive(Clone, Debug)]
pub struct Adoption {
    /// The stream id of the wire.
    pub id: u64,
    pub description: Description,
    /// Its Description object as it came; `None`: it is made here.
    pub object: Option<Vec<u8>>,
    /// The Description object of its end, if that is known.
    pub ended: Option<Vec<u8>>,
    /// Whether all leaves as it comes, or at its moments.
    pub prompt: bool,
}

/// What is known of a stream that comes from elsewhere.
#[derive(Default)]
pub struct Passing {
    /// Something was adopted: before that nobody can be told what it is.
    pub described: bool,
    pub prompt: bool,
    /// When something was adopted last.
    adopted: Time,
    /// Description objects as they came: of the running stream, and of the ended one.
    objects: [Option<Vec<u8>>; 2],
    /// When media time 0 was due at the origin, in our clock, and when that was told.
    zero: Option<(Time, Time)>,
    /// Of the timeline that was told last.
    generation: u32,
    /// Relays above, the nearest to the origin first.
    pub hops: Vec<RelayHop>,
    /// How long after it was due the newest picture left.
    pub age: Option<Duration>,
    /// Why nobody is let in.
    pub refusal: Option<Refusal>,
    /// Why no relay is let in.
    pub no_relays: Option<String>,
    /// It is not there any more.
    pub withdrawn: bool,
}

impl Passing {
    /// Its timeline, of which so many generations were told, begins anew.
    pub const fn begin_anew(&mut self, now: Time, generations: u32) {
        self.generation += generations + 2;
        self.adopted = now;
    }
}

/// What those who watch a stream need of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Needs {
    /// Sessions that are to be sent something.
    pub audience: usize,
    /// Somebody can be sent all that was asked for, or has had the time to get so far.
    pub ready: bool,
    pub pictures: bool,
    /// Which renditions of sound somebody is to be sent.
    pub sounds: [bool; 3],
    /// The coarsest sound that all who hear can play.
    pub coarsest: Rendition,
    /// The least that is enough for all.
    pub limits: WantedPictures,
    /// The smallest datagrams that somebody can be sent.
    pub class: SizeClass,
    /// Relays among those who watch, and those below them.
    pub via: Vec<u64>,
}

/// A path is looked at for so long before its size counts: larger datagrams are being tried out.
const SETTLED: Duration = Duration::from_millis(150);
/// A clock that is off by less is not told anew.
const DRIFT: Duration = Duration::from_millis(1);
/// No more often than this.
const TOLD_AGAIN: Duration = Duration::from_millis(500);

impl Stream {
    /// A stream of which nothing is known yet but its name, and what a list tells.
    pub fn await_adoption(&mut self) {
        self.passing = Some(Passing::default());
    }

    /// Whether it can be told what the stream is.
    pub fn is_described(&self) -> bool {
        self.passing.as_ref().is_none_or(|passing| passing.described)
    }

    /// Whether all that comes leaves at once.
    pub fn is_prompt(&self) -> bool {
        self.passing.as_ref().map_or(self.config.description.live, |passing| passing.prompt)
    }

    /// Shows something else from now on to those who are there. What was on its way is given up.
    pub fn adopt(&mut self, now: Time, adoption: Adoption, sessions: &mut Sessions) {
        let Adoption { id, description, object, ended, prompt } = adoption;
        let Some(passing) = self.passing.as_mut() else { return };
        let generation =
            self.schedule.map_or(passing.generation, |schedule| passing.generation + schedule.generation());
        (passing.described, passing.prompt, passing.generation) = (true, prompt, generation);
        passing.adopted = now;
        (passing.objects, passing.zero, passing.age) = ([object, ended], None, None);
        (self.schedule, self.live_zero, self.units, self.ended) = (None, None, 0, None);
        self.forget_pictures();
        self.turns.stop();
        self.load = Load::new(description.rate.interval());
        self.sound = Sound::new(description.sound);
        self.adapting = Adapting::new(description.size, self.config.quality);
        if self.id != id {
            self.room.move_to(id);
        }
        (self.id, self.config.description) = (id, description);
        for slot in &self.members {
            let Some(session) = sessions.get_mut(*slot) else { continue };
            session.media.abandon();
            session.media.harmed();
            session.forget_sound();
        }
        self.look_again();
    }

    /// What was shown last is too old to be shown to anybody.
    pub fn forget_pictures(&mut self) {
        (self.next, self.departing, self.body) = (None, None, None);
    }

    /// The Description of the ended stream, as it came. Its watchers are told with the goodbye.
    pub fn note_end(&mut self, object: Vec<u8>) {
        if let Some(passing) = &mut self.passing {
            passing.objects[1] = Some(object);
        }
    }

    /// The Description object that was adopted, of the running or the ended stream.
    pub(super) fn passed_description(&self, ended: bool) -> Option<Vec<u8>> {
        let [running, over] = &self.passing.as_ref()?.objects;
        if ended { over.as_ref().or(running.as_ref()) } else { running.as_ref() }.cloned()
    }

    /// Media time 0 was due then at the origin. Those who watch are told when that has changed.
    pub fn set_zero(&mut self, now: Time, zero: Time, sessions: &mut Sessions) {
        let Some(passing) = self.passing.as_mut().filter(|passing| passing.prompt) else { return };
        let off = passing.zero.map(|(before, told)| (before.since(zero).max(zero.since(before)), now.since(told)));
        if off.is_some_and(|(off, ago)| off < DRIFT || ago < TOLD_AGAIN) {
            return;
        }
        passing.zero = Some((zero, now));
        passing.generation += 1;
        self.tell_timeline_to_all(sessions);
    }

    /// Generation, and when media time 0 is due, of a stream that comes from above.
    pub(super) fn passed_timeline(&self) -> Option<(u32, Time)> {
        let passing = self.passing.as_ref()?;
        let (zero, _) = passing.zero.filter(|_| passing.prompt)?;
        Some((passing.generation, zero))
    }

    /// By how much generations are higher than the schedule's own.
    pub(super) fn generations_before(&self) -> u32 {
        self.passing.as_ref().map_or(0, |passing| passing.generation)
    }

    /// A picture from elsewhere: in hand, or in the place of one that nobody has begun to be sent.
    pub fn pass(&mut self, now: Time, picture: PassedPicture, sessions: &Sessions) {
        if self.phase == Phase::Running && self.is_described() {
            self.take(now, Content::Passed(Arc::new(picture)), sessions);
        }
    }

    /// How old a picture of this media time is that leaves now.
    pub(super) fn note_age(&mut self, now: Time, media: MediaTime) {
        if let Some(passing) = &mut self.passing
            && let Some((zero, _)) = passing.zero
        {
            passing.age = Some(now.since(zero.offset(media.micros().saturating_mul(1_000))));
        }
    }

    pub const fn passing(&self) -> Option<&Passing> {
        self.passing.as_ref()
    }

    pub const fn passing_mut(&mut self) -> Option<&mut Passing> {
        self.passing.as_mut()
    }

    /// What those who watch need.
    pub fn needs(&self, now: Time, sessions: &Sessions) -> Needs {
        let members = || self.members.iter().filter_map(|slot| sessions.get(*slot));
        let watching = || members().filter(|session| session.pictures);
        let hearing = || members().filter(|session| session.sound.is_some() || session.expects_sound);
        let mut sounds = [false; 3];
        for session in hearing() {
            let rendition = session.sound_rendition().unwrap_or(Rendition::Stereo);
            sounds[usize::from(rendition.id())] = true;
        }
        let limits = || watching().map(|session| session.wanted);
        Needs {
            // What a stream is, even a relay wants to know that waits for somebody to want pictures.
            audience: members().filter(|session| wants(session) || !self.is_described()).count(),
            ready: members().any(|session| self.is_gathered(now, session, sessions)),
            pictures: watching().next().is_some(),
            sounds,
            coarsest: hearing().map(|session| session.sound_coarsest).min().unwrap_or(Rendition::Coded),
            limits: WantedPictures {
                max_rate: self.most_of_all(watching()),
                quality: limits().map(|limits| limits.quality).reduce(|a, b| Some(a?.max(b?))).flatten(),
                max_size: limits().map(|limits| limits.max_size).reduce(|a, b| Some(larger(a?, b?))).flatten(),
            },
            class: watching()
                .filter(|s| now.since(s.beginning.at) > SETTLED)
                .map(|s| s.media.class())
                .min()
                .unwrap_or(SizeClass::LOOPBACK),
            via: members().flat_map(|session| session.via.iter().copied()).collect(),
        }
    }

    /// Whether a watcher can be sent all that it has asked for, or has had the time to get so far.
    fn is_gathered(&self, now: Time, session: &Session, sessions: &Sessions) -> bool {
        let second = session.expects_sound && !sessions.is_tied_and_ready(session);
        let all = session.ready && !session.is_second() && !second;
        self.is_described() && wants(session) && (all || now >= self.told_since(session) + ALL_ASKED_FOR)
    }

    /// Since when a watcher knows what the stream is.
    pub(super) fn told_since(&self, session: &Session) -> Time {
        let adopted = self.passing.as_ref().map_or(session.beginning.at, |passing| passing.adopted);
        adopted.max(session.beginning.at)
    }

    /// What the widest of their paths carries, or what is wanted there at most; `None`: there is no limit.
    fn most_of_all<'a>(&self, watching: impl Iterator<Item = &'a Session>) -> Option<Bitrate> {
        let of = |session: &Session| {
            let carried = session.control().filter(|control| !control.is_starting()).map(Control::rate);
            [carried, self.most(session)].into_iter().flatten().min()
        };
        watching.map(of).reduce(|a, b| Some(a?.max(b?))).flatten()
    }
}

/// Whether it is to be sent something.
const fn wants(session: &Session) -> bool {
    session.pictures || session.sound.is_some() || session.expects_sound
}

/// What fills both; a side of 0 is not limited.
fn larger(a: Size, b: Size) -> Size {
    let side = |a: u16, b: u16| if a == 0 || b == 0 { 0 } else { a.max(b) };
    Size::new(side(a.width, b.width), side(a.height, b.height))
}
