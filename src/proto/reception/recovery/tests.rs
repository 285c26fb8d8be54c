//! Tests: what is missing is noticed, asked for, and waited for no longer than it can come.

use super::*;
use crate::wire::Ecn;

const RTT: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_millis(40);
/// Sound is always in time, and pictures as long as they are waited for.
const ALWAYS: InTime<'static> = &|kind, _, _| Some(if kind == Type::SOUND { Time::NEVER } else { Time::ZERO });

/// What comes of one session.
struct Session {
    recovery: Recovery,
    hops: Hops,
}

fn ms(millis: u64) -> Time {
    Time::from_millis(1_000 + millis)
}

impl Session {
    fn new(round_trip: Duration) -> Self {
        let mut recovery = Recovery::default();
        recovery.set(Some(round_trip), PATIENCE);
        Self { recovery, hops: Hops::default() }
    }

    fn object(&mut self, now: Time, hop: u32, header: &ObjectHeader) -> (Via, bool) {
        let newest = self.hops.newest();
        self.hops.note(hop, now, Ecn::Not);
        let is_newest = newest.is_none_or(|newest| u64::from(hop) > newest);
        self.recovery.object(now, header, hop.into(), is_newest, &self.hops)
    }

    /// A part of a picture of ten.
    fn part(&mut self, now: Time, hop: u32, unit: u32, part: u16) -> (Via, bool) {
        self.object(now, hop, &header(Type::PICTURE, unit, part, 10))
    }

    fn asks(&mut self, now: Time) -> Vec<(u32, u16, u64)> {
        self.recovery.turn(now);
        let names = self.recovery.ask(now, ALWAYS).names;
        names.iter().map(|name| (name.unit.0, name.first_part, name.bitmap)).collect()
    }
}

fn header(kind: Type, unit: u32, part: u16, parts: u16) -> ObjectHeader {
    ObjectHeader::sample(kind, unit, part, parts)
}

#[test]
fn a_gap_is_asked_for_with_the_next_datagram_and_again_after_a_round_trip() {
    let mut session = Session::new(RTT);
    for (hop, part) in [(0, 0), (1, 1), (4, 4), (6, 6), (7, 7), (8, 8), (9, 9)] {
        session.part(ms(0), hop, 1, part);
    }
    assert_eq!(session.asks(ms(0)), [(1, 2, 0b1011)], "one name for all");
    assert_eq!(session.asks(ms(5)), []);
    assert_eq!(session.part(ms(5), 10, 1, 2), (Via::Resent, false));
    let mut late = Session::new(RTT);
    [(0, 0), (2, 2)].into_iter().for_each(|(hop, part)| assert!(!late.part(ms(0), hop, 1, part).1));
    assert_eq!(late.asks(ms(0)).len(), 1);
    (3..10).for_each(|part| assert!(!late.part(ms(5), part, 1, part as u16).1));
    assert_eq!(late.asks(ms(6)), [(1, 1, 1)]);
    assert_eq!(late.asks(ms(100)), [], "twice and no more");
    assert_eq!(session.asks(ms(6)), [], "an answer would come too late");
    assert_eq!(session.part(ms(100), 11, 1, 2), (Via::Resent, true), "it had come");
}

#[test]
fn what_no_number_is_missing_of_was_not_lost() {
    let mut session = Session::new(RTT);
    session.part(ms(0), 0, 1, 0);
    // The sender gave the rest of it up.
    session.part(ms(1), 1, 2, 0);
    assert_eq!(session.asks(ms(1)), []);
    // All of a picture and the end of the one before it.
    session.part(ms(2), 20, 4, 1);
    assert_eq!(session.asks(ms(2)), [(4, 0, 1), (2, 1, 0b1_1111_1111)]);
}

#[test]
fn the_last_parts_are_missed_when_nothing_comes_for_a_moment_and_a_pause_is_no_loss() {
    let mut session = Session::new(RTT);
    (0..8).for_each(|part| assert_eq!(session.part(ms(0), part, 1, part as u16), (Via::Sent, false)));
    assert_eq!(session.recovery.deadline(), Some(ms(2)));
    assert_eq!(session.asks(ms(1)), []);
    assert_eq!(session.asks(ms(2)), [(1, 8, 0b11)]);
    assert_eq!(session.recovery.awaited(ms(3), Unit(1)), None, "the sender may have been held up");
    assert_eq!(session.part(ms(4), 10, 1, 8), (Via::Resent, false));
    assert_eq!(session.recovery.awaited(ms(5), Unit(1)), Some(ms(10)), "its number says that all had been sent");
    let mut paused = Session::new(RTT);
    (0..8).for_each(|part| assert_eq!(paused.part(ms(0), part, 1, part as u16), (Via::Sent, false)));
    assert_eq!(paused.asks(ms(2)), [(1, 8, 0b11)]);
    assert_eq!(paused.part(ms(3), 8, 1, 8), (Via::Sent, false));
    assert_eq!(paused.asks(ms(8)), [], "it goes on, if more slowly");
    assert_eq!(paused.part(ms(8), 9, 1, 9), (Via::Sent, false));
    assert_eq!((paused.asks(ms(99)), paused.recovery.deadline()), (vec![], None));
}

#[test]
fn a_path_that_changes_the_order_is_given_time() {
    let mut session = Session::new(RTT);
    session.part(ms(0), 0, 1, 0);
    session.part(ms(0), 2, 1, 2);
    assert_eq!(session.asks(ms(0)), [(1, 1, 1)], "nothing is known of it yet");
    assert_eq!(session.part(ms(4), 1, 1, 1), (Via::Sent, false), "by its number it was overtaken");
    session.part(ms(4), 4, 1, 4);
    assert_eq!(session.asks(ms(8)), []);
    assert_eq!(session.asks(ms(9)), [(1, 3, 1)], "a quarter more than it took");
}

#[test]
fn a_picture_is_waited_for_as_long_as_an_answer_may_come_and_no_longer_than_patience() {
    for (round_trip, patience, until) in [(2, 40, 26), (20, 40, 44), (20, 15, 20), (60, 40, 20), (20, 0, 20)] {
        let mut session = Session::new(Duration::from_millis(round_trip));
        session.recovery.set(Some(Duration::from_millis(round_trip)), Duration::from_millis(patience));
        (0..9).for_each(|part| assert!(!session.part(ms(0), part, 1, part as u16).1));
        session.part(ms(20), 10, 2, 0);
        let asks = session.asks(ms(20));
        assert_eq!(asks.is_empty(), patience < round_trip, "an answer would be too late");
        assert_eq!(session.recovery.awaited(ms(20), Unit(1)), Some(ms(until)), "{round_trip} {patience}");
    }
}

#[test]
fn a_picture_that_was_made_up_does_not_end_recovery() {
    let mut session = Session::new(RTT);
    session.part(ms(0), 0, 4_000_000_000, 9);
    let mut hop = 1;
    for unit in 1..20 {
        for part in (0..10).filter(|part| *part != 4) {
            session.part(ms(u64::from(unit) * 40), hop + part, unit, part as u16);
        }
        hop += 10;
    }
    assert_eq!(session.asks(ms(760)).first(), Some(&(19, 4, 1)));
}

#[test]
fn sound_is_asked_for_first_and_as_long_as_it_is_needed() {
    let chunk = |number| header(Type::SOUND, number, 0, 1);
    let late = |kind: Type, _: u8, unit: Unit| (kind != Type::SOUND || unit.0 != 6).then_some(ms(3));
    let mut session = Session::new(RTT);
    session.object(ms(0), 0, &chunk(5));
    session.part(ms(0), 1, 1, 0);
    session.part(ms(0), 3, 1, 2);
    session.object(ms(0), 6, &chunk(8));
    let names = session.recovery.ask(ms(0), &late).names;
    assert_eq!(
        names.iter().map(|name| (name.kind, name.unit.0)).collect::<Vec<_>>(),
        [(Type::SOUND, 7), (Type::PICTURE, 1)]
    );
    assert_eq!(session.object(ms(3), 7, &chunk(7)), (Via::Resent, false));
    assert_eq!(session.object(ms(3), 8, &chunk(9)), (Via::Sent, false));
}

#[test]
fn what_does_not_fit_one_nack_goes_into_the_next_and_lies_take_no_memory() {
    let mut session = Session::new(RTT);
    session.object(ms(0), 0, &header(Type::SOUND, 0, 0, 1));
    session.object(ms(0), 65, &header(Type::SOUND, 65, 0, 1));
    session.part(ms(0), 66, 1, 0);
    session.part(ms(0), 68, 1, 2);
    assert_eq!((session.asks(ms(0)).len(), session.asks(ms(0)).len()), (64, 1));
    for unit in 2..100 {
        session.object(ms(1), 70 + unit, &header(Type::PICTURE, unit, 65_534, 65_535));
        session.object(ms(1), 400 + unit * 20, &header(Type::SOUND, unit * 60, 0, 1));
        session.recovery.assert_sound();
    }
    session.recovery.turn(ms(9_000));
    assert!(session.recovery.sounds.iter().all(|lane| lane.missing.is_empty()));
}
