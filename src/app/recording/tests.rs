//! What the inbox and the thread behind it make of what they are given.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::codec::{Encoder, Fitter};
use crate::media::Picture;
use crate::media::coded::Stamps;
use crate::media::jpeg::{index, restart_interval};
use crate::media::shrink::shrink;
use crate::queue::Pool;
use crate::text::test_card::Card;
use crate::units::{Rate, Size, Time, Unit};
use crate::wire::{ObjectView, SizeClass};

pub const SIZE: Size = Size::new(333, 201);

fn tracks(fps: u32, sound: bool) -> Tracks {
    Tracks { size: SIZE, rate: Rate::new(fps, 1).expect("usual"), sound }
}

fn recordings(path: &Path) -> Recordings {
    let mut recordings = Recordings::new(Arc::new(|| ()));
    recordings.begin(RecordingPath::take(path, false).expect("free")).expect("a thread");
    recordings
}

/// Waits for the end: what was said, and the summary.
fn finish(recordings: &mut Recordings) -> (Vec<Said>, Value) {
    recordings.end();
    recordings.ending.drain(..).for_each(|thread| thread.join().expect("no bug"));
    (recordings.news(), recordings.json())
}

pub fn coded(number: u32) -> CodedPicture {
    coded_to(number, 0, 80)
}

pub fn coded_to(number: u32, rendition: u8, quality: u8) -> CodedPicture {
    let size = SIZE.rendition(rendition);
    let mut picture = Picture::from_pool(&Pool::new(1), SIZE, number, Time::ZERO);
    Card::new(SIZE, tracks(25, false).rate).draw(&mut picture, number);
    if rendition > 0 {
        picture = shrink(&picture, rendition, &Pool::new(2));
    }
    let interval = restart_interval(size.width.div_ceil(16), u8::from(rendition > 0)).expect("one at least");
    let jpeg = Encoder::new().expect("an encoder").encode(&picture, quality, interval).expect("encoded");
    let index = index(&jpeg).expect("ours");
    let media_time = tracks(25, false).rate.media_time(number.into());
    let stamps = Stamps::default();
    CodedPicture {
        unit: Unit(number),
        media_time,
        lasts: Duration::ZERO,
        size,
        rendition,
        quality,
        layout: 0,
        jpeg,
        index,
        stamps,
    }
}

/// The picture as the receiver hands it on, without the slices that `lost` names.
fn receive(recordings: &mut Recordings, picture: &CodedPicture, lost: &[usize]) {
    let cut = picture.cut(1, SizeClass::ANY).expect("cut");
    assert!(cut.parts() > 2, "the regime: several slices");
    for part in (0..cut.parts()).filter(|part| !lost.contains(part)) {
        let object = cut.object(part).expect("there");
        let ObjectView { header, body } = ObjectView::parse(object.bytes()).expect("ours");
        let jpeg = body.to_vec().into();
        let (x8, y8, tables) = (header.x8, header.y8, header.tables);
        let (size, rendition) = (picture.size, picture.rendition);
        recordings.slice(&Slice { unit: picture.unit, size, rendition, full: SIZE, x8, y8, tables, jpeg });
    }
    recordings.show(&ready(picture, false));
}

fn ready(picture: &CodedPicture, same: bool) -> Ready {
    let at = Time::ZERO;
    let CodedPicture { unit, media_time, size, rendition, .. } = *picture;
    Ready {
        unit,
        media_time,
        size,
        rendition,
        full: SIZE,
        received: 1,
        missing: 0,
        same,
        first_at: at,
        last_at: at,
        in_turn_at: at,
        session: 0,
        first_hop: 0,
        last_hop: 0,
    }
}

/// Whether a file holds this JPEG.
fn holds(path: &Path, jpeg: &[u8]) -> bool {
    let bytes = fs::read(path).expect("there");
    bytes.windows(jpeg.len()).any(|window| window == jpeg)
}

#[test]
fn slices_are_recorded_as_the_picture_that_was_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mine, theirs) = (folder.path().join("mine.mkv"), folder.path().join("theirs.mkv"));
    let mut serving = recordings(&mine);
    let mut watching = recordings(&theirs);
    for side in [&mut serving, &mut watching] {
        side.stream(1, tracks(25, false));
    }
    for number in 0..5 {
        let picture = coded(number);
        serving.coded(&picture);
        receive(&mut watching, &picture, &[]);
    }
    for side in [&mut serving, &mut watching] {
        let (said, summary) = finish(side);
        assert!(
            matches!(&said[..], [Said::Plain(text)] if text.contains("Recorded 5 pictures, 0.2 s, to ")),
            "{said:?}"
        );
        assert_eq!(
            (&summary["pictures"], &summary["dropped"], &summary["seconds"]),
            (&5.into(), &0.into(), &0.2.into())
        );
    }
    assert!(fs::read(mine).expect("there") == fs::read(theirs).expect("there"), "byte for byte");
}

#[test]
fn gaps_and_repetitions_are_filled_from_the_picture_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("film.mkv");
    let mut recordings = recordings(&path);
    recordings.stream(1, tracks(25, false));
    let [first, second, third] = [0, 40, 41].map(coded);
    receive(&mut recordings, &first, &[]);
    receive(&mut recordings, &second, &[1]);
    recordings.show(&ready(&third, true));
    let (_, summary) = finish(&mut recordings);
    assert_eq!(summary["pictures"], 3);
    assert!(holds(&path, &first.jpeg) && !holds(&path, &second.jpeg));
    let bytes = fs::read(&path).expect("there");
    let starts = bytes.windows(3).filter(|window| window == &[0xFF, 0xD8, 0xFF]).count();
    assert_eq!(starts, 3, "the repeated picture is there again");
}

#[test]
fn another_stream_goes_into_another_file_and_the_same_one_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut recordings = recordings(&folder.path().join("film.mkv"));
    for (id, fps, numbers) in [(1, 25, 0..3), (1, 25, 3..5), (1, 50, 5..6), (2, 50, 0..2)] {
        recordings.stream(id, tracks(fps, false));
        numbers.map(coded).for_each(|picture| recordings.coded(&picture));
    }
    let (_, summary) = finish(&mut recordings);
    let names: Vec<PathBuf> = ["film.mkv", "film-2.mkv", "film-3.mkv"].map(|name| folder.path().join(name)).into();
    assert_eq!(summary["files"], json!(names));
    assert_eq!(summary["pictures"], 8);
}

#[test]
fn what_the_disk_has_no_time_for_is_dropped_counted_and_said_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("film.mkv");
    let mut recordings = recordings(&path);
    recordings.stream(1, tracks(25, false));
    let pictures: Vec<_> = (0..6).map(coded).collect();
    recordings.coded(&pictures[0]);
    let held = recordings.running.as_ref().map(|running| Arc::clone(&running.held)).expect("running");
    held.fetch_add(INBOX, Ordering::Relaxed);
    recordings.coded(&pictures[1]);
    recordings.coded(&pictures[2]);
    held.fetch_sub(INBOX, Ordering::Relaxed);
    // It repeats a picture that is not in the recording.
    recordings.show(&ready(&pictures[3], true));
    recordings.coded(&pictures[4]);
    recordings.show(&ready(&pictures[5], true));
    let (said, summary) = finish(&mut recordings);
    assert_eq!((&summary["pictures"], &summary["dropped"]), (&3.into(), &3.into()));
    let failed = said.iter().filter(|said| matches!(said, Said::Failed(text) if text.contains("too slow"))).count();
    assert_eq!(failed, 1, "{said:?}");
    assert!(said.iter().any(|said| matches!(said, Said::Plain(text) if text.ends_with(", 3 dropped."))), "{said:?}");
}

#[test]
fn a_recording_begun_in_the_middle_begins_with_a_whole_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut recordings = Recordings::new(Arc::new(|| ()));
    recordings.stream(1, tracks(25, false));
    recordings.begin(RecordingPath::take(&folder.path().join("film.mkv"), false).expect("free")).expect("a thread");
    // Of the first its slices were missed.
    recordings.show(&ready(&coded(0), false));
    receive(&mut recordings, &coded(1), &[]);
    let (_, summary) = finish(&mut recordings);
    assert_eq!(summary["pictures"], 1);
}

#[test]
fn a_file_for_sound_only_and_a_stream_without_sound_do_not_go_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut recordings = recordings(&folder.path().join("film.wav"));
    recordings.stream(1, tracks(25, false));
    recordings.coded(&coded(0));
    let (said, summary) = finish(&mut recordings);
    let [Said::Failed(advice), Said::Plain(end)] = &said[..] else { panic!("{said:?}") };
    assert!(advice.contains("has no sound") && end == "Nothing was recorded.", "{said:?}");
    assert_eq!((summary, fs::read_dir(folder.path()).expect("a folder").count()), (Value::Null, 0));
}

#[test]
fn sound_comes_along_and_a_failure_ends_it_with_a_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("film.mkv");
    let mut recordings = recordings(&path);
    recordings.stream(1, tracks(25, true));
    for number in 0..10 {
        recordings.coded(&coded(number));
        recordings.sound(&[[7, 8]; 1_764], u64::from(number) * 1_764);
    }
    fs::remove_file(&path).expect("deleted");
    for number in 10..60 {
        recordings.coded(&coded(number));
    }
    let (said, _) = finish(&mut recordings);
    assert!(matches!(&said[0], Said::Failed(text) if text.contains("was deleted")), "{said:?}");
    assert!(recordings.failed() && !recordings.is_running());
}

/// All JPEGs in a file that lie in it one behind the other.
pub fn jpegs(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).expect("there");
    let starts = bytes.windows(3).enumerate().filter(|(_, at)| *at == [0xFF, 0xD8, 0xFF]).map(|(at, _)| at);
    let end = |from: &[u8]| from.windows(2).position(|at| at == [0xFF, 0xD9]).map(|end| from[..end + 2].to_vec());
    starts.filter_map(|start| end(&bytes[start..])).collect()
}

#[test]
fn what_is_recorded_has_one_size_whatever_came() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("film.mkv");
    let mut recordings = recordings(&path);
    recordings.stream(1, tracks(25, false));
    let full = coded(0);
    receive(&mut recordings, &full, &[]);
    receive(&mut recordings, &coded_to(1, 1, 80), &[]);
    // A gap in the first picture of a rendition or quality, and in one that follows it.
    receive(&mut recordings, &coded_to(2, 0, 70), &[1]);
    receive(&mut recordings, &coded_to(3, 1, 80), &[1]);
    recordings.show(&ready(&coded_to(4, 1, 80), true));
    let (said, json) = finish(&mut recordings);
    assert!(said.iter().all(|said| matches!(said, Said::Plain(_))), "{said:?}");
    assert_eq!(json["pictures"], 5);
    let jpegs = jpegs(&path);
    assert_eq!(jpegs.len(), 5, "{json}");
    assert!(jpegs[0] == full.jpeg, "what came in full is what came, to the byte");
    let (mut fitter, unnamed) =
        (Fitter::new().expect("a codec"), Picture::from_pool(&Pool::new(1), SIZE, 0, Time::ZERO));
    for (number, jpeg) in jpegs.iter().enumerate() {
        let index = index(jpeg).expect("sound");
        assert_eq!(index.size, SIZE);
        let decoded = fitter.decode(&unnamed, jpeg, &index).expect("decodes");
        let sent = coded(number.min(3) as u32);
        let wanted = fitter.decode(&unnamed, &sent.jpeg, &sent.index).expect("decodes");
        let off: u64 = decoded.planes()[0].iter().zip(wanted.planes()[0]).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        // What was halved differs a little, and a gap shows the card before; otherwise it would be black.
        assert!(off < 12 * SIZE.pixels() as u64, "{number}: off by {}", off / SIZE.pixels() as u64);
    }
    assert!(jpegs[3] == jpegs[4]);
}
