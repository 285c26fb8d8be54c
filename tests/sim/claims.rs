//! What a server may claim: a watcher against datagrams written by hand, one at a time.

use udpstream::units::{MediaTime, Size, Time, Unit};
use udpstream::wire::Kind;
use udpstream::wire::message::{Message, Refuse, RefuseCode};
use udpstream::wire::object::{ObjectHeader, flags};
use udpstream::wire::tlv::Tlvs;

use crate::net::seconds;
use crate::told::{COOKIE, PICTURE, SIZE, Told};

#[test]
fn what_was_not_announced_is_not_decoded() {
    let mut told = Told::joined(1);
    let last = flags::LAST;
    for header in [
        ObjectHeader { size: Size::new(u16::MAX, u16::MAX), flags: last, ..PICTURE },
        ObjectHeader { size: Size::new(64, 47), flags: last, ..PICTURE },
        ObjectHeader { size: Size::new(u16::MAX, u16::MAX), flags: last | flags::SAME, ..PICTURE },
        ObjectHeader { flags: last | flags::SEALED, ..PICTURE },
        ObjectHeader { rendition: 1, flags: last, ..PICTURE },
    ] {
        let before = told.machine.counts().traffic.rejected;
        told.object(header);
        assert_eq!(
            (told.machine.counts().traffic.rejected - before, told.slices, told.shown.len()),
            (1, 0, 0),
            "{header:?}"
        );
    }
    told.object(ObjectHeader { flags: last, ..PICTURE });
    assert_eq!((told.slices, told.shown), (1, vec![(0, 0)]), "nor does it stand in the way of what was");
}

/// Part, parts and flags.
type Part = (u16, u16, u16);

#[test]
fn the_number_of_parts_may_come_late() {
    let last = flags::LAST;
    // Each unit: what comes, and how much of it is taken.
    let units: [(&[Part], u32); 5] = [
        (&[(0, 0, 0), (1, 0, 0), (2, 0, last)], 3),
        (&[(2, 0, last), (0, 0, 0), (1, 0, 0)], 3),
        (&[(0, 0, 0), (1, 2, 0)], 2),
        // Four parts cannot be told of where part 4 has come, nor five of three.
        (&[(4, 0, 0), (3, 0, last), (0, 5, 0), (0, 3, 0), (2, 0, last), (1, 0, 0), (2, 5, 0), (3, 0, 0)], 5),
        (&[(0, 2, 0), (0, 0, 0), (1, 0, flags::SAME), (2, 0, last), (1, 0, last)], 2),
    ];
    let mut told = Told::joined(1);
    for (unit, (parts, taken)) in (0..).zip(units) {
        let before = told.slices;
        for (at, &(part, parts, flags)) in parts.iter().enumerate() {
            assert_eq!(told.shown.len(), unit as usize, "unit {unit} is not shown before its datagram {at}");
            told.object(ObjectHeader { unit: Unit(unit), part, parts, flags, ..PICTURE });
        }
        assert_eq!((told.slices - before, told.shown.last()), (taken, Some(&(unit, 0))), "unit {unit}");
    }
}

#[test]
fn an_accept_counts_although_the_old_session_has_spoken_again() {
    let mut told = Told::joined(1);
    // Silence: the watcher looks for the server, and joins again after its second thoughts.
    told.wait(650);
    let nonce = told.hello();
    told.challenge(nonce);
    assert_eq!(told.sent.iter().filter(|(kind, _)| *kind == Kind::JOIN).count(), 2);
    assert!(told.answers(1), "a datagram of the old session was on its way");
    told.sequence = 0;
    told.accept(nonce, 2);
    assert!(told.answers(2) && !told.answers(1), "the server knows the new session only");
    told.accept(nonce, 3);
    assert!(told.answers(2) && !told.answers(3), "one Join, one session");
    told.wait(50);
    assert_eq!((told.machine.counts().reconnects, told.machine.counts().traffic.rejected), (1, 0));
    assert!(told.now < Time::ZERO + seconds(1));
}

#[test]
fn the_parts_of_a_picture_agree_in_all_that_they_share() {
    let first = ObjectHeader { parts: 2, ..PICTURE };
    let second = ObjectHeader { part: 1, ..first };
    let mut told = Told::joined(1);
    told.object(first);
    for header in [
        ObjectHeader { media_time: MediaTime::from_micros(1), ..second },
        ObjectHeader { tables: 79, ..second },
        ObjectHeader { format: 1, ..second },
        ObjectHeader { cut: 1, ..second },
        ObjectHeader { flags: flags::SAME, ..second },
    ] {
        let before = told.machine.counts().traffic.rejected;
        told.object(header);
        assert_eq!(
            (told.machine.counts().traffic.rejected - before, told.slices, told.shown.len()),
            (1, 1, 0),
            "{header:?}"
        );
    }
    told.object(second);
    assert_eq!((told.slices, told.shown), (2, vec![(0, 0)]));
}

/// An incomplete picture is shown a reorder window after the first part of a later one came, and the later one, complete,
/// right behind it; not before.
#[test]
fn a_complete_picture_waits_for_an_incomplete_one_before_it_for_a_reorder_window() {
    let mut told = Told::joined(1);
    told.object(ObjectHeader { parts: 2, ..PICTURE });
    told.object(ObjectHeader { unit: Unit(1), flags: flags::LAST, ..PICTURE });
    told.wait(7);
    assert_eq!(told.shown, [], "a quarter of 40 ms, at most 8 ms");
    told.wait(2);
    assert_eq!(told.shown, [(0, 1), (1, 0)]);
}

#[test]
fn what_belongs_to_no_session_has_no_tag() {
    let mut told = Told::new();
    let nonce = told.hello();
    let mut body = Vec::new();
    Message::Challenge { nonce, cookie: COOKIE, server_nonce: 0, publish_key: None }.emit(&mut body);
    told.datagram(Kind::CHALLENGE, 7, 0, &body);
    assert!(told.sent.iter().all(|(kind, _)| *kind == Kind::HELLO), "it is nobody's");
    let (code, sentence, tlvs) = (RefuseCode::FULL, "Full.", Tlvs::default());
    let refuse = Refuse { nonce, highest: 1, lowest: 1, code, retry_after_ms: 60_000, sentence, tlvs };
    let mut body = Vec::new();
    Message::Refuse(refuse).emit(&mut body);
    told.datagram(Kind::REFUSE, 7, 0, &body);
    assert_eq!(told.machine.counts().traffic.rejected, 2);
    told.challenge(nonce);
    assert!(told.sent.iter().any(|(kind, _)| *kind == Kind::JOIN), "without one it is heard");
}

#[test]
fn pictures_that_no_canvas_is_made_for_are_left_and_looked_at_again() {
    for (size, fits) in [((7_680, 4_320), true), ((8_192, 4_320), true), ((16_384, 1), true), ((16_384, 16_384), false)]
    {
        let mut told = Told::new();
        told.size = Size::new(size.0, size.1);
        let nonce = told.hello();
        told.challenge(nonce);
        told.accept(nonce, 1);
        assert_eq!((told.too_large.is_empty(), told.answers(1)), (fits, fits), "{size:?}");
        told.object(ObjectHeader { size: told.size, flags: flags::LAST, ..PICTURE });
        assert_eq!(told.slices, u32::from(fits), "{size:?}");
        if fits {
            continue;
        }
        let hellos = |told: &Told| told.sent.iter().filter(|(kind, _)| *kind == Kind::HELLO).count();
        told.wait(4_900);
        assert_eq!(hellos(&told), 0);
        told.wait(200);
        assert!(hellos(&told) > 0, "something smaller may be served by now");
        let nonce = told.hello();
        (told.size, told.sequence) = (SIZE, 0);
        told.challenge(nonce);
        told.accept(nonce, 1);
        told.object(ObjectHeader { flags: flags::LAST, ..PICTURE });
        assert_eq!((told.slices, told.shown.len(), told.too_large.len()), (1, 1, 1));
    }
}

#[test]
fn whoever_is_not_answered_asks_again_at_the_times_of_the_page() {
    let mut told = Told::new();
    told.wait(1_200);
    assert_eq!(told.sent_after(Kind::HELLO, Time::ZERO), [0, 50, 150, 350, 600, 850, 1_100]);
    let (nonce, asked) = (told.hello(), told.now);
    told.challenge(nonce);
    told.wait(700);
    assert_eq!(told.sent_after(Kind::JOIN, asked), [0, 50, 150, 350, 600]);
    let accepted = told.now;
    told.accept_only(nonce, 1);
    told.wait(700);
    assert_eq!(told.sent_after(Kind::JOIN, accepted), [50, 100, 200, 400, 650], "no Description yet");
    told.wait(1_000);
    assert_eq!(told.sent_after(Kind::JOIN, accepted).len(), 8, "and then it starts over");
    assert_eq!(told.sent_after(Kind::HELLO, accepted), [1_650]);
}

#[test]
fn a_timeline_counts_in_its_own_session_by_its_generation() {
    let mut told = Told::joined(1);
    let due = |told: &mut Told, session: u64, unit: u32| {
        told.object_in(session, ObjectHeader { unit: Unit(unit), flags: flags::LAST, ..PICTURE });
        assert_eq!(told.shown.last(), Some(&(unit, 0)));
        told.due
    };
    assert_eq!(due(&mut told, 1, 0), None, "not told yet");
    let [first, second, third] = [10, 20, 30].map(|at| Time::ZERO + seconds(at));
    told.timeline(1, 2, first);
    assert_eq!(due(&mut told, 1, 1), Some(first));
    told.timeline(1, 1, second);
    assert_eq!(due(&mut told, 1, 2), Some(first), "an older one was on its way");
    told.wait(650);
    let nonce = told.hello();
    told.challenge(nonce);
    told.sequence = 0;
    told.accept(nonce, 2);
    assert_eq!(due(&mut told, 2, 3), None, "what another session told is forgotten");
    told.timeline(2, 1, third);
    // The watcher's clock is ahead of what the second Accept told.
    let ahead = told.now.signed_since(Time::ZERO);
    assert_eq!(due(&mut told, 2, 4), Some(third.offset(ahead)));
}

/// A picture that was forged, or that came before the watcher was asleep for a day, is not what all others are measured by.
#[test]
fn a_watcher_that_was_deceived_begins_anew_with_what_comes() {
    for (deceived, then) in [(1 << 20, 5), (u32::MAX, 5), (u32::MAX, 1 << 30), (5, 1 << 21)] {
        let mut told = Told::joined(1);
        told.object(ObjectHeader { unit: Unit(deceived), flags: flags::LAST, ..PICTURE });
        assert_eq!(told.shown, [(deceived, 0)]);
        for n in 0..60 {
            told.wait(40);
            told.object(ObjectHeader { unit: Unit(then + n), flags: flags::LAST, ..PICTURE });
        }
        let anew: Vec<_> = (25..60).map(|n| (then + n, 0)).collect();
        assert_eq!(told.shown[1..], anew, "after {deceived}, within a second of {then}");
    }
}

#[test]
fn a_few_pictures_from_far_away_change_nothing() {
    let mut told = Told::joined(1);
    for n in 0..100 {
        told.wait(40);
        told.object(ObjectHeader { unit: Unit(200 + n), flags: flags::LAST, ..PICTURE });
        for far in [n, 1 << 24] {
            told.object(ObjectHeader { unit: Unit(far), flags: flags::LAST, ..PICTURE });
        }
    }
    let all: Vec<_> = (200..300).map(|unit| (unit, 0)).collect();
    assert_eq!(told.shown, all);
}
