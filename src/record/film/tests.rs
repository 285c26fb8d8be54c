//! Recordings from their first picture or sound to their end.

mod talk;

use std::fs;
use std::path::Path;

use super::*;
use crate::units::{Rate, Size};

fn tracks(sound: bool) -> Tracks {
    Tracks { size: Size::new(16, 16), rate: Rate::new(25, 1).expect("usual"), sound, talk: false }
}

fn film(path: &Path, sound: bool) -> Film {
    Film::new(RecordingPath::take(path, false).expect("free"), tracks(sound))
}

#[test]
fn the_first_picture_is_the_beginning_and_time_never_goes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("film.mkv");
    let mut film = film(&path, true);
    let at = |n: i64| MediaTime::from_micros(7_000_000 + n * 40_000);
    // Sound from half a second before the first picture until the last.
    film.sound(13 * 22_050, &vec![[1, 1]; 22_050]).expect("kept");
    assert!(film.picture(at(-1), b"jpeg").expect("written"));
    film.sound(14 * 22_050, &vec![[2, 2]; 44_100]).expect("kept");
    for (n, later) in [(0, true), (1, true), (2, true), (2, false), (1, false), (5, true)] {
        assert_eq!(film.picture(at(n), b"jpeg").expect("written"), later, "{n}");
    }
    let (totals, outcome) = film.finish();
    outcome.expect("finished");
    let totals = totals.expect("recorded");
    assert_eq!(totals.pictures, 5);
    // Sound from the first picture on.
    assert!((totals.length.as_secs_f64() - 1.04).abs() < 1e-6, "{:?}", totals.length);
    assert!(fs::metadata(&path).expect("there").len() > 44_100 * 4);
}

/// Sound from the stream's beginning, 500 ms before the first picture; the sound comes first, as to a watcher, or the
/// picture does, as in a server.
#[test]
fn sound_before_the_first_picture_is_in_the_file_and_in_step() {
    for (early, sound_first) in [(500_000, true), (500_000, false), (1_700_000, true), (1_700_000, false)] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("film.mkv");
        let mut film = film(&path, true);
        let mut sound = (0..30_u64).map(|n| (n * 4_410, vec![[1_000 + n as i16; 2]; 4_410]));
        let until = |frames: u64| frames * 1_000_000 / 44_100;
        let mut pictures = (0..20).map(|n| MediaTime::from_micros(early + n * 40_000));
        let first = pictures.next().expect("one");
        if !sound_first {
            assert!(film.picture(first, b"jpeg").expect("kept"));
        }
        for (first, frames) in sound.by_ref() {
            film.sound(first, &frames).expect("kept");
            if until(first + 4_410) >= early as u64 {
                break;
            }
        }
        if sound_first {
            assert!(film.picture(first, b"jpeg").expect("written"));
        }
        pictures.for_each(|at| assert!(film.picture(at, b"jpeg").expect("written")));
        sound.for_each(|(first, frames)| film.sound(first, &frames).expect("kept"));
        let (totals, outcome) = film.finish();
        outcome.expect("finished");
        let totals = totals.expect("recorded");
        assert_eq!((totals.pictures, totals.length), (20, Duration::from_secs(3)), "{early} {sound_first}");
        let film = fs::read(&path).expect("there");
        let frames = (1_000..1_030_i16).all(|n| film.windows(4).any(|four| four == [n.to_le_bytes(); 2].concat()));
        assert!(frames, "all of the sound");
        assert_eq!(crate::record::matroska::first_picture(&film), Some(early as u64 / 1_000), "{sound_first}");
    }
}

#[test]
fn sound_that_comes_late_and_belongs_before_the_beginning_is_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut film = film(&folder.path().join("film.mkv"), true);
    (250..280).for_each(|n| assert!(film.picture(MediaTime::from_micros(n * 40_000), b"jpeg").expect("kept")));
    film.sound(9 * 44_100, &vec![[1, 1]; 88_200]).expect("kept");
    let (totals, outcome) = film.finish();
    outcome.expect("finished");
    assert_eq!(totals.expect("recorded").length, Duration::from_millis(1_200));
}

#[test]
fn sound_that_is_a_second_ahead_of_the_first_picture_is_the_beginning() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut film = film(&folder.path().join("film.mkv"), true);
    (0..30).for_each(|n| film.sound(n * 4_410, &vec![[1, 1]; 4_410]).expect("kept"));
    assert!(film.picture(MediaTime::from_micros(3_000_000), b"jpeg").expect("written"));
    let (totals, outcome) = film.finish();
    outcome.expect("finished");
    assert_eq!(totals.expect("recorded").length, Duration::from_millis(3_040));
}

#[test]
fn a_film_without_sound_is_as_long_as_its_pictures() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut film = film(&folder.path().join("film.mkv"), false);
    film.sound(0, &vec![[1, 1]; 441_000]).expect("left out");
    for n in 0..50 {
        assert!(film.picture(MediaTime::from_micros(n * 40_000), b"jpeg").expect("written"));
    }
    let (totals, outcome) = film.finish();
    outcome.expect("finished");
    assert_eq!(totals.expect("recorded").length, Duration::from_secs(2));
}

#[test]
fn sound_alone_goes_into_a_wav_file_with_silence_for_what_was_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sound.wav");
    let mut film = film(&path, true);
    assert!(!film.picture(MediaTime::ZERO, b"jpeg").expect("left out"));
    film.sound(5_120, &[[1, 2]; 256]).expect("written");
    film.sound(5_632, &[[3, 4]; 256]).expect("written");
    let (totals, outcome) = film.finish();
    outcome.expect("finished");
    assert_eq!(totals.map(|totals| totals.pictures), Some(0));
    let samples: Vec<i16> =
        hound::WavReader::open(&path).expect("a WAV").samples().map(|sample| sample.expect("whole")).collect();
    assert_eq!(samples, [[1, 2].repeat(256), vec![0; 512], [3, 4].repeat(256)].concat());
}

#[test]
fn where_nothing_was_recorded_there_is_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["film.mkv", "film.mp4", "sound.wav"] {
        let film = film(&folder.path().join(name), true);
        assert_eq!(film.finish().0, None);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn a_deleted_file_is_noticed_within_a_second() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("film.mkv");
    let mut film = film(&path, false);
    film.picture(MediaTime::ZERO, b"jpeg").expect("written");
    fs::remove_file(&path).expect("deleted");
    let failed = (1..=30).find_map(|n| film.picture(MediaTime::from_micros(n * 40_000), b"jpeg").err());
    assert!(matches!(failed, Some(RecordError::Deleted(_))), "{failed:?}");
}
