//! Tests: from chunks to coded units and back.

use super::tests::receipt;
use super::*;

fn chunk(number: u32) -> Came {
    Came::Chunk(number, vec![[1, 2]; FRAMES])
}

fn unit(number: u32) -> Came {
    Came::Coded(CodedSound { number, frames: 960, packet: vec![number as u8] })
}

/// Chunk n is to be handed out at 80 ms + n · 5.8 ms.
const NEEDED: Moments =
    Moments { needed: Some(Timing::normal(Time::from_nanos(80_000_000))), due: Some(Timing::normal(Time::ZERO)) };

/// First frame, how many, and of a unit which and with which before it.
type Said = (u64, u64, Option<(u8, Option<u8>)>, bool);

fn said(sound: &mut SoundOrder, millis: u64) -> Vec<Said> {
    let played = std::iter::from_fn(|| sound.play(Time::from_millis(millis), NEEDED));
    let said = |Played { first, piece }| match piece {
        Piece::Frames(frames) => (first, frames.len() as u64, None, true),
        Piece::Coded { packet, before, frames } => {
            (first, frames.into(), Some((packet[0], before.map(|before| before[0]))), true)
        }
        Piece::Lost { frames, .. } => (first, frames.into(), None, false),
    };
    played.map(said).collect()
}

fn is_seamless(said: &[Said]) -> bool {
    said.windows(2).all(|pair| pair[1].0 == pair[0].0 + pair[0].1)
}

/// What a server sends around frame 3 840, where it goes from chunks to units.
const TO_UNITS: fn() -> Vec<Came> = || [(11..15).map(chunk).collect(), vec![unit(3), unit(4), unit(5)]].concat();
/// And back, around frame 7 680.
const TO_CHUNKS: fn() -> Vec<Came> = || [vec![unit(6), unit(7)], (30..33).map(chunk).collect()].concat();

#[test]
fn chunks_and_units_follow_each_other_without_a_seam_whatever_overtakes_what() {
    for turned in 0..12 {
        let mut sound = SoundOrder::default();
        (0..11).for_each(|number| sound.take(chunk(number), receipt(Time::ZERO), true));
        let mut all = [TO_UNITS(), TO_CHUNKS()].concat();
        let at = all.len() - 1 - turned.min(all.len() - 2);
        all.swap(at, at - 1);
        let mut heard = Vec::new();
        for came in all {
            sound.take(came, receipt(Time::ZERO), true);
            heard.extend(said(&mut sound, 0));
        }
        assert!(is_seamless(&heard) && heard.iter().all(|said| said.3), "{turned}: {heard:?}");
        assert_eq!((heard[0].0, heard.last().map(|said| said.0 + said.1)), (0, Some(33 * 256)));
        let (cold, warm) = (turned == 6, heard.contains(&(3_840, 960, Some((4, Some(3))), true)));
        assert!(warm != cold, "the first is warm, unless what was to warm it comes later: {heard:?}");
        assert!(heard.iter().any(|said| said.2 == Some((5, None))), "the next is without");
        let counts = *sound.counts();
        assert_eq!(
            (counts.chunks, counts.lost, counts.late, counts.duplicates),
            (18 + 4, 0, u64::from(cold), 0),
            "{turned}"
        );
    }
}

#[test]
fn what_is_lost_around_a_change_leaves_no_gap_and_is_played_once() {
    let all = || [TO_UNITS(), TO_CHUNKS()].concat();
    for lost in 0..all().len() {
        for burst in 1..6 {
            let mut sound = SoundOrder::default();
            (0..11).for_each(|number| sound.take(chunk(number), receipt(Time::ZERO), true));
            let mut heard = said(&mut sound, 0);
            let came = all().into_iter().enumerate().filter(|(n, _)| !(lost..lost + burst).contains(n));
            for (_, came) in came {
                sound.take(came, receipt(Time::ZERO), true);
                heard.extend(said(&mut sound, 0));
            }
            heard.extend(said(&mut sound, 1_000));
            assert!(is_seamless(&heard), "{lost} + {burst}: {heard:?}");
            let coded: Vec<u8> = heard.iter().filter_map(|said| said.2.map(|unit| unit.0)).collect();
            assert!(coded.windows(2).all(|pair| pair[0] < pair[1]), "{coded:?}");
            let missing: u64 = heard.iter().filter(|said| !said.3).map(|said| said.1).sum();
            assert!(missing <= burst as u64 * 960, "{lost} + {burst}: {missing} frames");
        }
    }
}

#[test]
fn a_unit_that_is_lost_among_others_is_the_decoders_to_fill_in() {
    let mut sound = SoundOrder::default();
    [unit(4), unit(5), unit(8), unit(9)].into_iter().for_each(|unit| sound.take(unit, receipt(Time::ZERO), true));
    let played: Vec<Played> = std::iter::from_fn(|| sound.play(Time::from_millis(1_000), NEEDED)).collect();
    let lost: Vec<(u64, bool)> = played.iter().map(|played| (played.first / 960, played.piece.is_lost())).collect();
    assert_eq!(lost, [(4, false), (5, false), (6, true), (7, true), (8, false), (9, false)]);
    assert_eq!(played[3].piece, Piece::Lost { frames: 960, coded: true });
    assert_eq!((sound.counts().lost, sound.end()), (2, 9_600));
    sound.take(unit(7), receipt(Time::from_millis(1_000)), true);
    assert_eq!(sound.counts().late, 1, "it was filled in for");
    // 39 chunks are 9 984 frames: the last 384 were in no unit when the stream was stopped.
    assert!(!sound.is_over(Some(42)) && sound.is_over(Some(39)) && !sound.is_over(Some(39)));
    sound.ended(Some(39));
    assert_eq!(sound.counts().lost, 2);
}
