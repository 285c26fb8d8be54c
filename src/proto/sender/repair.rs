//! What a receiver may be sent once more: the pictures of the last moments, held by reference; how often each part was sent
//! again; and what waits to be. A quarter of all that it is sent is spent on that at most.
//!
//! An object is sent again twice at most. Asked for again before an answer could have come, it is the same question; asked for
//! before it could have come itself, it is none.

mod beside;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::media::coded::{CutPicture, Object};
use crate::units::{Time, Unit};
use crate::wire::message::{ANY_CUT, NackName};
use crate::wire::object::{Name, ObjectView, Type};

/// So many pictures are held in any case …
const NEWEST: usize = 3;
/// … and older ones for so long, so many in all, and so many bytes of them.
const HELD_FOR: Duration = Duration::from_millis(500);
const MOST: usize = 16;
const OLDER_BYTES: usize = 8 << 20;
/// An object is sent again so often at most.
const TIMES: u8 = 2;
/// A question that comes within this part of a round trip after the answer is the same one; and never within a millisecond.
const SAME: f64 = 0.8;
const SAME_AT_LEAST: Duration = Duration::from_millis(1);
/// What left within this part of the shortest round trip cannot have been missed yet.
const TOO_YOUNG: f64 = 0.95;
/// Of what is sent, one byte in so many may be sent again.
const SHARE: f64 = 4.0;
/// A whole lost picture may be sent again, and a burst of small ones.
const CREDIT: f64 = 32_000.0;
/// The same of what others were sent: a picture of the largest usual size, half a second of losses of a fast stream.
const BESIDE: f64 = 256_000.0;
/// What looking for one part of that costs, whether there is one or not.
const LOOK: f64 = 16.0;
/// Two copies leave so far apart: a short burst does not take both, and the second is still in time where the first would be.
const APART: Duration = Duration::from_millis(2);
/// What waits for longer is of no use.
const STALE: Duration = Duration::from_millis(250);
/// So many chunks of sound back it is remembered which were sent again.
const CHUNKS: u32 = 256;

/// One object that is sent once more.
pub struct Resend {
    pub object: Object,
    /// Of a part: of which of the pictures that this receiver was sent.
    pub picture: Option<u32>,
    /// A second copy.
    pub is_second: bool,
    since: Time,
}

/// What was sent again already.
#[derive(Clone, Copy, Debug)]
struct Again {
    times: u8,
    at: Time,
}

/// A picture that was sent, or is on its way.
struct Held {
    picture: Arc<CutPicture>,
    number: u32,
    began: Time,
    /// When each part left, of those that have: the low 32 bits of our clock, µs.
    left: Vec<u32>,
    again: BTreeMap<u16, Again>,
}

/// Of a path, as its reports tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundTrips {
    /// Of the last seconds.
    pub shortest: Duration,
    pub usual: Duration,
}

/// See the head of this file.
pub struct Repair {
    held: VecDeque<Held>,
    sounds: BTreeMap<(u8, Unit), Again>,
    /// Of what was sent to others, and what those had been sent when it was asked for last.
    beside: BTreeMap<(Unit, u16), Again>,
    sent_beside: Option<u64>,
    sound: VecDeque<Resend>,
    pictures: VecDeque<Resend>,
    /// Second copies, which leave a moment after the first.
    later: VecDeque<Resend>,
    /// Bytes that may be sent again now.
    credit: f64,
}

impl Default for Repair {
    fn default() -> Self {
        let (held, sounds, sound, pictures, later) = Default::default();
        let (beside, sent_beside) = Default::default();
        Self { held, sounds, beside, sent_beside, sound, pictures, later, credit: CREDIT }
    }
}

impl Repair {
    /// A picture begins, the `number`th that this receiver is sent.
    pub fn begin(&mut self, now: Time, picture: Arc<CutPicture>, number: u32) {
        let parts = picture.parts();
        self.held.push_back(Held {
            picture,
            number,
            began: now,
            left: Vec::with_capacity(parts),
            again: BTreeMap::new(),
        });
        let mut older = 0;
        let kept = self.held.iter().rev().enumerate().take_while(|(age, held)| {
            let newest = *age < NEWEST;
            older += if newest { 0 } else { held.picture.total() };
            newest || *age < MOST && now.since(held.began) <= HELD_FOR && older <= OLDER_BYTES
        });
        let kept = kept.count();
        self.held.drain(..self.held.len() - kept);
    }

    /// The next part of the picture on its way leaves.
    pub fn leaves(&mut self, now: Time) {
        if let Some(last) = self.held.back_mut() {
            last.left.push(now.wire_micros());
        }
    }

    /// So many bytes of media have left.
    pub fn earn(&mut self, bytes: usize) {
        let whole = self.held.back().map_or(0, |held| held.picture.total()) as f64;
        self.credit = (self.credit + bytes as f64 / SHARE).min(CREDIT.max(whole));
    }

    /// These parts of a picture are asked for. `twice`: there is no time to ask again, so each is sent twice at once. Returns how
    /// many there are, whether they are sent again or not.
    pub fn ask(&mut self, now: Time, round_trips: RoundTrips, name: &NackName, twice: bool) -> u64 {
        let RoundTrips { shortest, usual: round_trip } = round_trips;
        let Self { held, pictures, later, credit, .. } = self;
        let Some(held) = held.iter_mut().rev().find(|held| held.picture.unit == name.unit) else { return 0 };
        // All parts of a picture have one name but for the part.
        if !held.picture.object(0).is_some_and(|object| is_named(&object, name)) {
            return 0;
        }
        let mut known = 0;
        for bit in (0..64).filter(|bit| name.bitmap >> bit & 1 == 1) {
            let part = usize::from(name.first_part) + bit;
            // What came from elsewhere may lack some of its parts.
            let Some((at, object)) = held.picture.part(part as u16) else { continue };
            // What has not left yet is nothing that was sent.
            let Some(left) = held.left.get(at) else { continue };
            known += 1;
            if is_too_young(now, *left, shortest) || !is_affordable(*credit, &object) {
                continue;
            }
            let again = held.again.entry(part as u16).or_insert(Again { times: 0, at: Time::ZERO });
            if again.is_due(now, round_trip) {
                *credit -= object.len() as f64;
                if twice && is_affordable(*credit, &object) {
                    again.times += 1;
                    *credit -= object.len() as f64;
                    let object = object.clone();
                    later.push_back(Resend { object, picture: Some(held.number), is_second: true, since: now + APART });
                }
                pictures.push_back(Resend { object, picture: Some(held.number), is_second: false, since: now });
            }
        }
        known
    }

    /// A chunk or a coded unit of sound is asked for, which it was sent.
    pub fn ask_for_sound(&mut self, now: Time, round_trip: Duration, name: &NackName, object: Object) {
        if !is_affordable(self.credit, &object) {
            return;
        }
        let lane = name.rendition;
        if !self.sounds.contains_key(&(lane, name.unit)) {
            self.sounds.retain(|(other, unit), _| *other != lane || name.unit.0.abs_diff(unit.0) <= CHUNKS);
        }
        let again = self.sounds.entry((lane, name.unit)).or_insert(Again { times: 0, at: Time::ZERO });
        if again.is_due(now, round_trip) {
            self.credit -= object.len() as f64;
            self.sound.push_back(Resend { object, picture: None, is_second: false, since: now });
        }
    }

    /// What is sent again next, sound first.
    pub fn next(&mut self, now: Time) -> Option<Resend> {
        self.forget_stale(now);
        let later = self.later.front().is_some_and(|resend| resend.since <= now);
        let next = self.sound.pop_front().or_else(|| self.pictures.pop_front());
        if later { next.or_else(|| self.later.pop_front()) } else { next }
    }

    fn forget_stale(&mut self, now: Time) {
        for waiting in [&mut self.sound, &mut self.pictures, &mut self.later] {
            while waiting.front().is_some_and(|resend| now.since(resend.since) > STALE) {
                waiting.pop_front();
            }
        }
    }

    /// Of how many parts the last picture is.
    pub fn parts(&self) -> usize {
        self.held.back().map_or(0, |held| held.picture.parts())
    }

    /// Whether something waits to be sent again.
    pub fn waits(&self) -> bool {
        !self.sound.is_empty() || !self.pictures.is_empty() || !self.later.is_empty()
    }

    /// When the first of what waits may leave.
    pub fn release(&self) -> Option<Time> {
        let now = !self.sound.is_empty() || !self.pictures.is_empty();
        if now { Some(Time::ZERO) } else { self.later.front().map(|resend| resend.since) }
    }

    /// Nothing waits any more.
    pub fn clear(&mut self) {
        (self.sound, self.pictures, self.later) = Default::default();
    }

    /// Nothing that was sent so far is sent again.
    pub fn forget(&mut self) {
        let credit = self.credit;
        *self = Self { credit, ..Self::default() };
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.held.len() <= MOST && self.sounds.len() <= 6 * (CHUNKS as usize + 1));
        let bytes =
            self.sound.iter().chain(&self.pictures).chain(&self.later).map(|resend| resend.object.len()).sum::<usize>();
        let largest = self.held.iter().map(|held| held.picture.total()).max().unwrap_or_default();
        let credit = if self.is_beside() { BESIDE } else { CREDIT };
        assert!(bytes as f64 <= 2.0 * credit.max(largest as f64), "{bytes} bytes wait");
        assert!(self.beside.len() <= (2 * MOST + 1) * (1 << 16), "parts of the last pictures");
    }
}

impl Again {
    /// Whether it is sent again now; then that is noted.
    fn is_due(&mut self, now: Time, round_trip: Duration) -> bool {
        let same = round_trip.mul_f64(SAME).max(SAME_AT_LEAST);
        let due = self.times < TIMES && (self.times == 0 || now.since(self.at) >= same);
        if due {
            (self.times, self.at) = (self.times + 1, now);
        }
        due
    }
}

/// Whether what left at this moment left so lately that nobody can have missed it.
fn is_too_young(now: Time, left: u32, round_trip: Duration) -> bool {
    Duration::from_micros(now.wire_micros().wrapping_sub(left).into()) < round_trip.mul_f64(TOO_YOUNG)
}

fn is_affordable(credit: f64, object: &Object) -> bool {
    object.len() as f64 <= credit
}

/// Whether this object is of the unit that is meant, and cut as it says.
pub fn is_named(object: &Object, name: &NackName) -> bool {
    let Ok(view) = ObjectView::parse_unchecked(object.bytes()) else { return false };
    let Name { stream, kind, rendition, cut, unit, .. } = view.header.name();
    // Sound of another rendition is of another moment.
    let alike = (rendition, cut) == (name.rendition, name.cut) || name.cut == ANY_CUT && kind != Type::SOUND;
    alike && (stream, kind, unit) == (name.stream, name.kind, name.unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::object::{ObjectHeader, Type};

    const RTT: Duration = Duration::from_millis(10);
    const TRIPS: RoundTrips = RoundTrips { shortest: RTT, usual: RTT };

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn object(kind: Type, unit: u32, part: u16, bytes: usize) -> Object {
        let header = ObjectHeader::sample(kind, unit, part, 10);
        let mut out = Vec::new();
        header.emit(&mut out, |body| body.resize(body.len() + bytes, 0));
        out.into()
    }

    fn name(unit: u32, bitmap: u64) -> NackName {
        let (stream, kind, rendition, cut) = (7, Type::PICTURE, 0, 2);
        NackName { stream, kind, rendition, cut, unit: Unit(unit), first_part: 0, bitmap }
    }

    fn sent(repair: &mut Repair, at: Time, unit: u32) {
        let parts = (0..10).map(|part| object(Type::PICTURE, unit, part, 1_000)).collect();
        repair.begin(at, Arc::new(CutPicture::new(Unit(unit), parts)), unit);
        (0..10).for_each(|_| repair.leaves(at));
    }

    fn answers(repair: &mut Repair, now: Time) -> usize {
        std::iter::from_fn(|| repair.next(now)).count()
    }

    #[test]
    fn a_part_is_sent_again_twice_and_not_while_an_answer_may_be_on_its_way() {
        let mut repair = Repair::default();
        sent(&mut repair, ms(0), 1);
        let mut asked = |at: u64| {
            assert_eq!(repair.ask(ms(at), TRIPS, &name(1, 0b101), false), 2);
            answers(&mut repair, ms(at))
        };
        assert_eq!(asked(5), 0, "it may still be on its way");
        assert_eq!([asked(10), asked(13), asked(17), asked(18), asked(40)], [2, 0, 0, 2, 0]);
    }

    #[test]
    fn nothing_answers_a_wrong_name() {
        let mut repair = Repair::default();
        sent(&mut repair, ms(0), 1);
        for wrong in [
            NackName { stream: 8, ..name(1, 1) },
            NackName { kind: Type::SOUND, ..name(1, 1) },
            NackName { rendition: 1, ..name(1, 1) },
            NackName { cut: 3, ..name(1, 1) },
            NackName { first_part: 10, ..name(1, u64::MAX) },
            name(2, u64::MAX),
        ] {
            assert_eq!(repair.ask(ms(50), TRIPS, &wrong, false), 0, "{wrong:?}");
        }
        let any = NackName { cut: ANY_CUT, rendition: 0, ..name(1, u64::MAX) };
        assert_eq!((repair.ask(ms(50), TRIPS, &any, false), answers(&mut repair, ms(50))), (10, 10));
    }

    #[test]
    fn what_has_not_left_is_not_sent_again_and_old_pictures_are_let_go() {
        let mut repair = Repair::default();
        let parts = (0..10).map(|part| object(Type::PICTURE, 1, part, 1_000)).collect();
        repair.begin(ms(0), Arc::new(CutPicture::new(Unit(1), parts)), 1);
        (0..4).for_each(|n| repair.leaves(ms(5 * n)));
        assert_eq!(repair.ask(ms(20), TRIPS, &name(1, u64::MAX), false), 4);
        assert_eq!(answers(&mut repair, ms(20)), 3, "the last of them cannot have been missed");
        (2..40).for_each(|unit| sent(&mut repair, ms(u64::from(unit) * 100), unit));
        repair.assert_sound();
        let known = (1..40).filter(|unit| repair.ask(ms(4_000), TRIPS, &name(*unit, 1), false) == 1);
        assert_eq!(known.collect::<Vec<_>>(), [34, 35, 36, 37, 38, 39], "of half a second");
        (40..43).for_each(|unit| sent(&mut repair, ms(u64::from(unit) * 10_000), unit));
        let known = (1..43).filter(|unit| repair.ask(ms(990_000), TRIPS, &name(*unit, 1), false) == 1);
        assert_eq!(known.collect::<Vec<_>>(), [40, 41, 42], "three in any case");
    }

    #[test]
    fn looking_for_what_others_were_sent_is_paid_for() {
        let (mut group, mut repair) = (Repair::default(), Repair::default());
        (1..=3).for_each(|unit| sent(&mut group, ms(0), unit));
        let mut lent = BTreeMap::new();
        // The same parts over and over, and such as are not there.
        let names = [name(1, u64::MAX), name(1, u64::MAX), NackName { first_part: 5, ..name(1, u64::MAX) }, name(9, 1)];
        names.iter().for_each(|name| group.lend(name, &mut lent));
        assert_eq!(lent.len(), 10, "each once");
        repair.earn_beside(0);
        let mut asked = |at: u64| {
            repair.ask_beside(ms(at), RTT, &lent);
            answers(&mut repair, ms(at))
        };
        assert_eq!([asked(0), asked(2), asked(10), asked(30)], [10, 0, 10, 0]);
        let questions = (0..).take_while(|_| {
            let may = repair.may_ask_beside();
            repair.pay_looks(4_096);
            may
        });
        assert_eq!(questions.count(), 1, "as many as can be named at once, and the first credit is gone");
        repair.earn_beside(400_000);
        assert!(repair.may_ask_beside());
    }

    #[test]
    fn a_quarter_of_what_is_sent_may_be_sent_again_and_sound_goes_first() {
        let mut repair = Repair::default();
        let mut again = 0;
        for unit in 0..100 {
            sent(&mut repair, ms(u64::from(unit) * 40), unit);
            repair.earn(10_480);
            repair.ask(ms(u64::from(unit) * 40 + 20), TRIPS, &name(unit, u64::MAX), false);
            let resent = std::iter::from_fn(|| repair.next(ms(u64::from(unit) * 40 + 20)));
            again += resent.map(|resend| resend.object.len()).sum::<usize>();
        }
        assert!((262_000 + 20_000..262_000 + 34_000).contains(&again), "{again} of a million");
        let mut repair = Repair::default();
        sent(&mut repair, ms(0), 1);
        repair.ask(ms(20), TRIPS, &name(1, 1), false);
        let chunk = NackName { kind: Type::SOUND, ..name(5, 1) };
        (0..3).for_each(|_| repair.ask_for_sound(ms(20), RTT, &chunk, object(Type::SOUND, 5, 0, 100)));
        let order: Vec<bool> = std::iter::from_fn(|| repair.next(ms(21))).map(|r| r.picture.is_none()).collect();
        assert_eq!(order, [true, false]);
        repair.ask(ms(40), TRIPS, &name(1, 1), false);
        assert!(repair.waits() && repair.next(ms(900)).is_none(), "too old to be of use");
    }
}
