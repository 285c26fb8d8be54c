//! What of a session's objects is missing, and when it is asked for.
//!
//! A sender sends the parts of a picture in their order and chunks of sound in theirs, so whatever lies between two that came,
//! and between which numbers of the hop sequence are missing, was lost or will come out of its turn. What is missing behind the
//! last part that came is noticed by silence. It knows names, not bytes, and not what pictures are for: until when something
//! would be in time it is told by who asks ([`Recovery::ask`]).

mod missing;
mod reorder;
mod tracked;

use std::collections::BTreeMap;
use std::time::Duration;

use super::Via;
use crate::proto::hops::Hops;
use crate::units::{Time, Unit};
use crate::wire::message::{MAX_NAMES, NackName};
use crate::wire::object::{ObjectHeader, Type};
use missing::{MARGIN, MissingObject};
use reorder::Reordering;
use tracked::Tracked;

/// Pictures that are remembered: more than are ever on their way at once.
const PICTURES: usize = 8;
/// A picture of which more is missing is beyond repair, and so is a longer silence of sound.
const MOST_PARTS: usize = 1_024;
const MOST_CHUNKS: u32 = 64;
/// Silence of which it follows that the last parts of a picture are lost: twice the longest pause within pictures, within this.
const SILENCE: std::ops::RangeInclusive<Duration> = Duration::from_millis(2)..=Duration::from_millis(8);
/// So many objects in a row of pictures before all that is remembered show that something wrong was believed.
const STRAYS: u32 = 64;
/// What is missing for longer is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(2);
/// Parity came within so long: it may bring what was not asked for.
const PROTECTED: Duration = Duration::from_secs(5);
/// Sound was missed within so long: more will be.
const LOSSY: Duration = Duration::from_secs(30);
/// Chunks are protected together that last so long: eight of 5.8 ms.
const PROTECTED_SOUND: Duration = Duration::from_millis(47);
/// A chunk passes through this machine.
const SOUND_MARGIN: Duration = Duration::from_millis(2);
/// Sound is not held back for longer so that it can be repaired.
const SOUND_MOST: Duration = Duration::from_millis(150);
/// An answer may wait so long behind what is being sent, and in the path's queue.
const LATE_ANSWER: Duration = Duration::from_millis(25);
/// A round trip, as long as none is known.
const USUAL_ROUND_TRIP: Duration = Duration::from_millis(30);
/// Renditions of sound from this on are coded: their units are numbered by themselves.
const CODED: u8 = 2;

/// See the head of this file.
#[derive(Default)]
pub struct Recovery {
    pictures: BTreeMap<Unit, Tracked>,
    /// Chunks, and coded units.
    sounds: [Lane; 2],
    /// When sound was missed last.
    sound_missed: Option<Time>,
    reordering: Reordering,
    /// The longest pause within a picture, fading.
    pause: Duration,
    round_trip: Option<Duration>,
    /// How long answers take that take long, fading: they wait behind what is being sent.
    answers: Duration,
    /// How long a picture is waited for at most; `None`: not known yet.
    patience: Option<Duration>,
    /// When parity came last.
    protected: Option<Time>,
    /// Objects of pictures before all that is remembered, one after the other.
    strays: u32,
    /// Nothing is asked for: only parity brings what is missing.
    listens: bool,
}

/// Sound of one numbering.
#[derive(Default)]
struct Lane {
    rendition: u8,
    stream: u64,
    cut: u8,
    /// The last that came in its turn, the number of the hop sequence that it had, and when that was.
    last: Option<(Unit, u64, Time)>,
    missing: BTreeMap<Unit, MissingObject>,
}

/// Until when what is missing would be in time as far as who plays it can tell; `None`: it would be too late. A picture may be
/// waited for longer than that: see [`Recovery::awaited`].
pub type InTime<'a> = &'a dyn Fn(Type, u8, Unit) -> Option<Time>;

/// What an ask came to.
#[derive(Default)]
pub struct NackNames {
    pub names: Vec<NackName>,
    /// Objects among them that had not been asked for before.
    pub first: u64,
}

impl Recovery {
    /// Round trip, and how long a picture is waited for at most.
    pub const fn set(&mut self, round_trip: Option<Duration>, patience: Duration) {
        (self.round_trip, self.patience) = (round_trip, Some(patience));
    }

    /// So long a picture is waited for at most after it could have been whole: as long as an answer takes.
    pub fn waits(&self) -> Duration {
        (self.slow_answer() + MARGIN).min(self.patience.unwrap_or_default())
    }

    fn round_trip(&self) -> Duration {
        self.round_trip.unwrap_or(USUAL_ROUND_TRIP)
    }

    /// How long an answer takes, if it is one of those that take long.
    fn slow_answer(&self) -> Duration {
        self.answers.clamp(self.round_trip(), self.round_trip() + LATE_ANSWER)
    }

    /// An object has come with this number; `is_newest`: none with a higher one had. Returns how it came, and whether it had
    /// come already.
    pub fn object(&mut self, now: Time, header: &ObjectHeader, hop: u64, is_newest: bool, hops: &Hops) -> (Via, bool) {
        match header.kind {
            Type::PICTURE => self.picture(now, header, hop, is_newest, hops),
            Type::SOUND => self.sound(now, header, hop, is_newest, hops),
            _ => (Via::Sent, false),
        }
    }

    fn picture(&mut self, now: Time, header: &ObjectHeader, hop: u64, is_newest: bool, hops: &Hops) -> (Via, bool) {
        let unit = header.unit;
        let known = self.pictures.get_mut(&unit).filter(|tracked| tracked.is_of(header));
        if let Some(tracked) = known {
            if tracked.parts == 0 {
                tracked.parts = header.parts_told();
            }
            if header.part < tracked.top {
                let Some(gap) = tracked.missing.remove(&header.part) else { return (Via::Resent, true) };
                let via = came(&gap, now, hop, &mut self.reordering);
                if let Some(took) = gap.answered(now).filter(|_| via == Via::Resent) {
                    self.answers = (self.answers * 31 / 32).max(took);
                }
                if tracked.silent_from.is_some_and(|from| header.part >= from) && is_newest {
                    if via == Via::Sent {
                        // They had not been lost: they come after a pause.
                        self.pause = self.pause.max(now.since(tracked.at));
                        tracked.resume(now, header.part, hop);
                    } else {
                        tracked.closed.get_or_insert(now);
                    }
                }
                return (via, false);
            }
        }
        let wait = self.reordering.wait(now);
        // What was overtaken by a later picture begins no gap behind that.
        let newest = self.pictures.last_key_value().map(|(unit, _)| *unit);
        if newest.is_some_and(|newest| unit < newest) {
            self.strays += 1;
            if self.strays >= STRAYS || self.pictures.values().all(|tracked| tracked.stream != header.stream) {
                // Another stream, or what was believed to be newer was made up.
                self.pictures.clear();
            }
            return (Via::Sent, false);
        }
        self.strays = 0;
        if newest != Some(unit) {
            self.close_all(now, hop, hops);
            self.begin(header);
        }
        if let Some(tracked) = self.pictures.get_mut(&unit) {
            if tracked.top > 0 {
                self.pause = (self.pause * 63 / 64).max(now.since(tracked.at));
            }
            tracked.note(now, header.part, hop, wait);
        }
        (Via::Sent, false)
    }

    fn begin(&mut self, header: &ObjectHeader) {
        while self.pictures.len() >= PICTURES {
            self.pictures.pop_first();
        }
        self.pictures.insert(header.unit, Tracked::new(header));
    }

    /// A later picture begins, or parity of the last one comes, with this number: all before has been sent.
    fn close_all(&mut self, now: Time, hop: u64, hops: &Hops) {
        let wait = self.reordering.wait(now);
        for tracked in self.pictures.values_mut().rev().take_while(|tracked| tracked.closed.is_none()) {
            tracked.close(now, hop, hops.missing_between(tracked.hop, hop), wait);
        }
    }

    /// A repair symbol of this unit has come, with this number.
    pub fn parity(&mut self, now: Time, kind: Type, unit: Unit, hop: u64, hops: &Hops) {
        self.protected = Some(now);
        if kind == Type::PICTURE && self.pictures.last_key_value().is_some_and(|(last, _)| *last == unit) {
            self.close_all(now, hop, hops);
        }
    }

    /// This object was rebuilt.
    pub fn rebuilt(&mut self, header: &ObjectHeader) {
        if header.kind == Type::PICTURE {
            let tracked = self.pictures.get_mut(&header.unit).filter(|tracked| tracked.is_of(header));
            tracked.and_then(|tracked| tracked.missing.remove(&header.part));
        } else if header.kind == Type::SOUND {
            self.sounds[usize::from(header.rendition >= CODED)].missing.remove(&header.unit);
        }
    }

    fn sound(&mut self, now: Time, header: &ObjectHeader, hop: u64, is_newest: bool, hops: &Hops) -> (Via, bool) {
        let wait = self.reordering.wait(now);
        let lane = &mut self.sounds[usize::from(header.rendition >= CODED)];
        let unit = header.unit;
        if lane.stream != header.stream {
            *lane = Lane::default();
        }
        if let Some(gap) = lane.missing.remove(&unit) {
            return (came(&gap, now, hop, &mut self.reordering), false);
        }
        if let Some((last, at_hop, at)) = lane.last {
            if unit <= last {
                return (if is_newest { Via::Resent } else { Via::Sent }, is_newest);
            }
            let between = unit.0 - last.0 - 1;
            let lost = hops.missing_between(at_hop, hop) > 0 && between <= MOST_CHUNKS && now.since(at) < FORGOTTEN;
            if lost && is_newest {
                let gaps = (last.0 + 1..unit.0).map(|number| (Unit(number), MissingObject::new(now, hop, wait)));
                lane.missing.extend(gaps);
                self.sound_missed = Some(now);
            }
        }
        if is_newest {
            (lane.rendition, lane.stream, lane.cut) = (header.rendition, header.stream, header.cut);
            lane.last = Some((unit, hop, now));
        }
        (Via::Sent, false)
    }

    /// Time passes: where nothing more comes of the last picture, the rest of it is lost.
    pub fn turn(&mut self, now: Time) {
        let (silent, wait) = (self.silent_at(), self.reordering.wait(now));
        if let Some((_, last)) = self.pictures.last_key_value().filter(|_| silent.is_some_and(|at| now >= at)) {
            let (top, hop) = (last.top, last.hop + u64::from(last.parts - last.top));
            if let Some(mut last) = self.pictures.last_entry() {
                let last = last.get_mut();
                last.miss(top..last.parts, &MissingObject::new(now, hop, wait));
                (last.silent_from, last.top) = (Some(top), last.parts);
            }
        }
        for tracked in self.pictures.values_mut() {
            tracked.missing.retain(|_, gap| now.since(gap.since) < FORGOTTEN);
        }
        for lane in &mut self.sounds {
            lane.missing.retain(|_, gap| now.since(gap.since) < FORGOTTEN);
        }
    }

    /// What is missing is asked for.
    pub const fn asks(&mut self) {
        self.listens = false;
    }

    /// The same where nothing is asked for.
    pub fn listen(&mut self, now: Time) {
        self.listens = true;
        self.turn(now);
        let sounds = self.sounds.iter_mut().flat_map(|lane| lane.missing.values_mut());
        let pictures = self.pictures.values_mut().flat_map(|tracked| tracked.missing.values_mut());
        sounds.chain(pictures).for_each(MissingObject::give_up);
    }

    /// When the last parts of the picture that comes are missed.
    fn silent_at(&self) -> Option<Time> {
        let (_, last) = self.pictures.last_key_value()?;
        // Where pauses are longer the path is slow.
        let silence = (self.pause * 2).clamp(*SILENCE.start(), *SILENCE.end()).max(self.pause * 5 / 4);
        (last.closed.is_none() && last.top < last.parts).then(|| last.at + silence)
    }

    /// What is to be asked for now, sound first. `in_time` says until when each would be of use.
    pub fn ask(&mut self, now: Time, in_time: InTime<'_>) -> NackNames {
        let mut asked = NackNames::default();
        if self.due().is_none_or(|due| due > now) {
            return asked;
        }
        let (round_trip, wait) = (self.round_trip(), self.reordering.wait(now));
        let patience = self.waits();
        let mut asking = Asking { now, round_trip, answer: self.slow_answer(), asked: &mut asked };
        for lane in &mut self.sounds {
            let name = lane.name();
            for (unit, gap) in &mut lane.missing {
                asking.consider(gap, in_time(name.kind, name.rendition, *unit), NackName { unit: *unit, ..name });
            }
        }
        for (unit, tracked) in self.pictures.iter_mut().rev() {
            let name = tracked.name(*unit);
            // What is still being sent may be all here in a moment.
            let waited_for = tracked.closed.map_or(now, |closed| closed + wait) + patience;
            let until = in_time(name.kind, name.rendition, *unit).map(|until| until.max(waited_for));
            for (part, gap) in &mut tracked.missing {
                asking.consider(gap, until, NackName { first_part: *part, ..name });
            }
        }
        asked
    }

    /// When something is to be asked for next.
    fn due(&self) -> Option<Time> {
        let sounds = self.sounds.iter().flat_map(|lane| lane.missing.values());
        let pictures = self.pictures.values().flat_map(|tracked| tracked.missing.values());
        sounds.chain(pictures).filter_map(MissingObject::due).min()
    }

    /// When it is to be looked at next.
    pub fn deadline(&self) -> Option<Time> {
        [self.due(), self.silent_at()].into_iter().flatten().min()
    }

    /// Until when it is worth waiting for what is missing of this picture; `None` as long as that cannot be told.
    pub fn awaited(&self, now: Time, unit: Unit) -> Option<Time> {
        let tracked = self.pictures.get(&unit)?;
        let closed = tracked.closed.filter(|_| !tracked.missing.is_empty())? + self.reordering.wait(now);
        let (answer, patience) = (self.slow_answer(), self.patience?);
        let answers = tracked.missing.values().filter_map(|gap| gap.awaited(answer)).max();
        let most = closed + self.waits();
        let parity = self.protected.filter(|at| now.since(*at) < PROTECTED);
        let last = |at: Time| if self.listens { at.max(closed).min(closed + patience) } else { closed };
        let parity = parity.map(|at| last(at) + (*SILENCE.end()).min(patience));
        Some(answers.map_or(closed, |at| at.min(most)).max(parity.unwrap_or(closed)))
    }

    /// So long after sound is missed it is there, asked for twice if need be; zero where none was missed lately.
    pub fn sound_takes(&self, now: Time) -> Duration {
        let lately = self.sound_missed.is_some_and(|at| now.since(at) < LOSSY);
        if lately && self.listens {
            PROTECTED_SOUND + SOUND_MARGIN
        } else if lately {
            (missing::overdue(self.slow_answer()) + self.slow_answer() + SOUND_MARGIN).min(SOUND_MOST)
        } else {
            Duration::ZERO
        }
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.pictures.len() <= PICTURES);
        assert!(self.pictures.values().all(|tracked| tracked.missing.len() <= MOST_PARTS));
        assert!(self.sounds.iter().all(|lane| lane.missing.len() <= 1 << 14), "chunks of two seconds");
    }
}

/// How something came that was missing.
fn came(gap: &MissingObject, now: Time, hop: u64, reordering: &mut Reordering) -> Via {
    if hop > gap.hop && gap.is_asked() {
        return Via::Resent;
    }
    if hop < gap.hop {
        reordering.came(now, now.since(gap.since));
    }
    Via::Sent
}

/// What is gathered into one Nack.
struct Asking<'a> {
    now: Time,
    round_trip: Duration,
    /// After so long it is asked again.
    answer: Duration,
    asked: &'a mut NackNames,
}

impl Asking<'_> {
    /// Asks for this one, if its time has come and an answer would be there `until` then.
    fn consider(&mut self, gap: &mut MissingObject, until: Option<Time>, name: NackName) {
        if gap.due().is_none_or(|due| due > self.now) {
            return;
        }
        if until.is_none_or(|until| self.now + self.round_trip > until) {
            return gap.give_up();
        }
        let names = &mut self.asked.names;
        let full = names.len() >= MAX_NAMES;
        let last = names.last_mut().filter(|last| {
            let behind = name.first_part.checked_sub(last.first_part).is_some_and(|behind| behind < 64);
            (last.kind, last.unit, last.rendition, last.cut) == (name.kind, name.unit, name.rendition, name.cut)
                && behind
        });
        match last {
            Some(last) => last.bitmap |= 1 << (name.first_part - last.first_part),
            // What does not fit goes into the next one, at once.
            None if full => return,
            None => names.push(name),
        }
        self.asked.first += u64::from(gap.ask(self.now, self.answer));
    }
}

impl Lane {
    const fn name(&self) -> NackName {
        let Self { stream, rendition, cut, .. } = *self;
        NackName { stream, kind: Type::SOUND, rendition, cut, unit: Unit(0), first_part: 0, bitmap: 1 }
    }
}

#[cfg(test)]
mod tests;
