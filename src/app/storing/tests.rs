//! What becomes of streams that pass, in a folder of their own.

use std::fs;

use crossbeam_channel::TryRecvError;

use super::caretaker::Order;
use super::*;
use crate::app::recording::tests::{SIZE, coded, coded_to, jpegs};
use crate::media::coded::CodedPicture;
use crate::proto::Server;
use crate::proto::server::{Config, StreamConfig};
use crate::record::film::{Film, Tracks};
use crate::record::path::RecordingPath;
use crate::units::{Rate, Size, Time};
use crate::wire::SizeClass;
use crate::wire::description::Smaller;
use crate::wire::object::ObjectView;

fn name(text: &str) -> StreamName {
    StreamName::parse(text).expect("a name")
}

fn description(size: Size) -> Description {
    Description {
        title: "A title/../with everything".to_owned(),
        size,
        smaller: Smaller::halved(2),
        rate: Rate::new(25, 1).expect("usual"),
        length: None,
        live: true,
        sound: false,
        ended: None,
        sound_ended: None,
        film: None,
    }
}

/// The picture as it passes, without the parts that `lost` names.
fn passed(picture: &CodedPicture, lost: &[u16]) -> PassedPicture {
    let cut = picture.cut(1, SizeClass::ANY).expect("cut");
    let header = |part: usize| ObjectView::parse(cut.objects()[part].bytes()).expect("ours").header;
    let parts = (0..cut.parts()).filter(|part| !lost.contains(&header(*part).part));
    let parts = parts.map(|part| cut.objects()[part].clone()).collect();
    let header = header(0);
    PassedPicture::of(&header, parts, cut.parts() as u16, Duration::ZERO, Time::ZERO).expect("it fits")
}

fn keys(count: usize) -> Vec<StreamKey> {
    let mut server = Server::new(Config::new([1; 32]));
    let open = |number| server.open(StreamConfig::new(name(&format!("cam{number}")), description(SIZE)));
    (0..count).map(open).collect()
}

fn storing(folder: &Path, most: u64) -> Storing {
    Storing::start(Folder::open(folder).expect("a folder"), most, Arc::new(|| ())).expect("threads")
}

/// The files in a folder that can be seen, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    files.retain(|path| !path.file_name().expect("a name").to_string_lossy().starts_with('.'));
    files.sort();
    files
}

#[test]
fn what_passes_is_written_as_it_was_and_gaps_are_filled() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut storing = storing(folder.path(), 1 << 30);
    let [key, other] = keys(2)[..] else { unreachable!() };
    storing.picture(key, passed(&coded(0), &[]));
    storing.stream(key, &name("halls/one"), 7, &description(SIZE), false);
    storing.stream(other, &name("two"), 8, &description(SIZE), false);
    let all = [coded(0), coded(1), coded_to(2, 1, 80), coded(3), coded(4)];
    let lost: [&[u16]; 5] = [&[], &[1], &[], &[0, 2], &[]];
    for (picture, lost) in all.iter().zip(lost) {
        storing.picture(key, passed(picture, lost));
    }
    // Of this one nothing is known that it could show again.
    storing.picture(other, PassedPicture { is_same: true, ..passed(&all[0], &[]) });
    storing.picture(other, passed(&all[1], &[]));
    storing.picture(other, PassedPicture { is_same: true, ..passed(&all[3], &[]) });
    let said = storing.finish();
    let figures = storing.figures();
    assert_eq!((figures.pictures, figures.dropped, figures.ended, figures.running), (7, 1, 2, 0), "{said:?}");
    let files = files(folder.path());
    assert_eq!(files.len(), 2, "{files:?}");
    let [one, two] = [jpegs(&files[0]), jpegs(&files[1])];
    assert!(files[0].file_name().is_some_and(|name| name.to_string_lossy().starts_with("halls-one 20")), "{files:?}");
    assert_eq!((one.len(), two.len()), (5, 2));
    assert!(one[0] == all[0].jpeg && one[4] == all[4].jpeg && one[1] != all[1].jpeg, "to the byte, but for the gaps");
    assert!(two[0] == all[1].jpeg && two[1] == two[0]);
    let sentence = figures.sentence();
    assert!(
        sentence.starts_with("Recorded 7 pictures, 1 dropped, ") && sentence.contains(" to 2 files in "),
        "{sentence}"
    );
}

#[test]
fn another_size_or_id_goes_into_another_file_and_the_same_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut storing = storing(folder.path(), 1 << 30);
    let (key, smaller) = (keys(1)[0], SIZE.rendition(1));
    for (id, size, numbers) in [(1, SIZE, 0..3), (1, SIZE, 3..5), (1, smaller, 5..6), (2, smaller, 0..2)] {
        storing.stream(key, &name("cam"), id, &description(size), false);
        for number in numbers {
            let picture = coded_to(number, u8::from(size != SIZE), 80);
            storing
                .picture(key, PassedPicture { rendition: 0, ..passed(&CodedPicture { rendition: 0, ..picture }, &[]) });
        }
    }
    storing.over(key);
    let said = storing.finish();
    assert_eq!((storing.figures().pictures, storing.figures().ended), (8, 3), "{said:?}");
    assert_eq!(files(folder.path()).iter().map(|file| jpegs(file).len()).sum::<usize>(), 8);
    drop(storing);
    // What is not as large as was announced is not recorded.
    let mut again = self::storing(folder.path(), 1 << 30);
    again.stream(key, &name("cam"), 3, &description(smaller), false);
    again.picture(key, passed(&coded(0), &[]));
    again.stream(key, &name("cam"), 4, &description(Size::new(60_000, 60_000)), false);
    again.picture(key, passed(&coded(0), &[]));
    let said = again.finish();
    assert!(
        said.iter().any(|said| matches!(said, Said::Warning(text) if text.contains("larger than any"))),
        "{said:?}"
    );
    assert_eq!((again.figures().pictures, files(folder.path()).len()), (0, 3));
}

#[test]
fn what_the_disk_has_no_time_for_is_dropped_and_said_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut storing = storing(folder.path(), 1 << 30);
    let key = keys(1)[0];
    storing.stream(key, &name("cam"), 1, &description(SIZE), false);
    storing.picture(key, passed(&coded(0), &[]));
    storing.counts.held.fetch_add(INBOX, Ordering::Relaxed);
    storing.picture(key, passed(&coded(1), &[]));
    storing.picture(key, passed(&coded(2), &[]));
    storing.counts.held.fetch_sub(INBOX, Ordering::Relaxed);
    // It repeats a picture that is not in the recording.
    storing.picture(key, PassedPicture { is_same: true, ..passed(&coded(3), &[]) });
    storing.picture(key, passed(&coded(4), &[]));
    let said = storing.finish();
    assert_eq!((storing.figures().pictures, storing.figures().dropped), (2, 3));
    let slow = said.iter().filter(|said| matches!(said, Said::Warning(text) if text.contains("too slow")));
    assert_eq!(slow.count(), 1, "{said:?}");
}

/// A recording of a former run.
fn old(folder: &Path, stream: &str, stamp: &str) -> (PathBuf, u64) {
    let path = RecordingPath::take_dated(folder, stream, stamp).expect("free");
    let mut film = Film::new(path, Tracks { size: SIZE, rate: Rate::TYPICAL, sound: false, talk: false });
    film.picture(MediaTime::ZERO, &coded(0).jpeg).expect("written");
    let path = film.finish().0.expect("a film").path;
    let bytes = fs::metadata(&path).expect("there").len();
    (path, bytes)
}

#[test]
fn the_oldest_recordings_go_and_what_is_somebody_elses_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let stamps = (10..20).map(|second| format!("2025-01-31 23.59.{second}"));
    let all: Vec<(PathBuf, u64)> = stamps.map(|stamp| old(folder.path(), "cam", &stamp)).collect();
    let foreign = ["holiday.mkv", "x 2024-01-01 00.00.00.mkv", "cam 2025-01-31 23.59.10 goal.mkv"];
    for name in foreign {
        fs::write(folder.path().join(name), vec![7; 100_000]).expect("written");
    }
    // Room for four of them and a running one.
    let mut storing = storing(folder.path(), all[0].1 * 5 + all[0].1 / 2);
    let key = keys(1)[0];
    storing.stream(key, &name("cam"), 1, &description(SIZE), false);
    storing.picture(key, passed(&coded(0), &[]));
    let said = storing.finish();
    let there: Vec<bool> = all.iter().map(|(path, _)| path.exists()).collect();
    // How many go before the room is needed depends on what was written between two looks.
    let left = there.iter().filter(|there| **there).count();
    assert!((2..=4).contains(&left) && there.is_sorted(), "the newest are left: {there:?} {said:?}");
    assert!(foreign.iter().all(|name| folder.path().join(name).exists()));
    let figures = storing.figures();
    let (files, bytes) = (left + 1, all[0].1 * (left as u64 + 1));
    assert_eq!((figures.deleted, figures.files, figures.bytes), (10 - left as u64, files, bytes), "{said:?}");
}

fn outlets() -> (Outlets, Receiver<News>, Receiver<Order>) {
    let ((news, told), (orders, ordered)) = (unbounded(), unbounded());
    let outlets = Outlets { counts: Arc::default(), news, orders: Some(orders), waker: Arc::new(|| ()) };
    (outlets, told, ordered)
}

#[test]
fn a_recording_is_parted_without_losing_a_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Arc::new(Folder::open(folder.path()).expect("a folder"));
    let (outlets, told, ordered) = outlets();
    let (counts, storer) = (Arc::clone(&outlets.counts), Storer::new(keys(1)[0], "cam", place, outlets));
    let (inbox, messages) = unbounded();
    let thread = std::thread::spawn(move || storer.run(&messages));
    let send = |message: Message| {
        counts.held.fetch_add(message.bytes(), Ordering::Relaxed);
        inbox.send(message).expect("it listens");
    };
    send(Message::Stream(1, Box::new(description(SIZE)), false));
    let mut names = Vec::new();
    for number in 0..3 {
        send(Message::Picture(passed(&coded(number), &[])));
        let Ok(Order::Begun(name, part)) = ordered.recv() else { panic!("no file is begun") };
        part.store(true, Ordering::Relaxed);
        // It is closed although nothing more comes.
        assert!(matches!(ordered.recv(), Ok(Order::Ended(ended)) if ended == name));
        names.push(name);
    }
    // A still picture goes on in the next file.
    send(Message::Picture(PassedPicture { is_same: true, ..passed(&coded(3), &[]) }));
    drop(inbox);
    thread.join().expect("no bug");
    assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "{names:?}");
    let ended = told.try_iter().filter(|news| matches!(news, News::Ended(_, Some(totals)) if totals.pictures == 1));
    assert_eq!((ended.count(), counts.pictures.load(Ordering::Relaxed)), (4, 4));
    assert_eq!(counts.held.load(Ordering::Relaxed), 0, "all that waited is accounted for");
    let files = files(folder.path());
    assert_eq!(files.iter().map(|file| jpegs(file).len()).collect::<Vec<_>>(), [1; 4]);
}

#[test]
fn what_cannot_be_written_is_told_once_and_does_not_end_the_thread() {
    let folder = tempfile::tempdir().expect("a folder");
    let below = folder.path().join("below");
    let place = Arc::new(Folder::open(&below).expect("a folder"));
    let (outlets, told, ordered) = outlets();
    let (counts, storer) = (Arc::clone(&outlets.counts), Storer::new(keys(1)[0], "cam", place, outlets));
    let (inbox, messages) = unbounded();
    fs::remove_dir_all(&below).expect("somebody removes it");
    inbox.send(Message::Stream(1, Box::new(description(SIZE)), false)).expect("room");
    for number in 0..5 {
        inbox.send(Message::Picture(passed(&coded(number), &[]))).expect("room");
    }
    drop(inbox);
    storer.run(&messages);
    let told: Vec<News> = told.try_iter().collect();
    assert!(matches!(&told[..], [News::Failed(_, why)] if why.contains("does not exist")), "{} news", told.len());
    assert_eq!(ordered.try_recv().err(), Some(TryRecvError::Disconnected));
    assert_eq!((counts.pictures.load(Ordering::Relaxed), counts.dropped.load(Ordering::Relaxed)), (0, 5));
}

/// Whether a file holds these words.
fn holds(path: &Path, words: &str) -> bool {
    fs::read(path).expect("there").windows(words.len()).any(|window| window == words.as_bytes())
}

#[test]
fn lines_are_recorded_where_the_stream_has_talk() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut storing = storing(folder.path(), 1 << 30);
    let [talking, silent] = keys(2)[..] else { unreachable!() };
    storing.line(talking, MediaTime::ZERO, "Ada", "before there is a stream");
    storing.stream(talking, &name("one"), 7, &description(SIZE), true);
    storing.stream(silent, &name("two"), 8, &description(SIZE), false);
    for key in [talking, silent] {
        storing.line(key, MediaTime::ZERO, "Ada", "before the first picture");
        (0..5).for_each(|number| storing.picture(key, passed(&coded(number), &[])));
        storing.line(key, MediaTime::from_micros(160_000), "", "after it");
    }
    storing.counts.held.fetch_add(INBOX, Ordering::Relaxed);
    storing.line(talking, MediaTime::ZERO, "Ada", "no room for this");
    storing.counts.held.fetch_sub(INBOX, Ordering::Relaxed);
    storing.over(talking);
    storing.line(talking, MediaTime::ZERO, "Ada", "when all is over");
    let said = storing.finish();
    assert_eq!((storing.figures().pictures, storing.figures().ended), (10, 2), "{said:?}");
    assert_eq!(storing.counts.held.load(Ordering::Relaxed), 0, "all that waited is accounted for");
    let files = files(folder.path());
    let [one, two] = [&files[0], &files[1]];
    assert!(holds(one, "Ada: before the first picture") && holds(one, "after it") && holds(one, "S_TEXT/UTF8"));
    assert!(["there is a stream", "no room", "all is over"].iter().all(|words| !holds(one, words)));
    assert!(!holds(two, "Ada: ") && !holds(two, "S_TEXT/UTF8"));
}

#[test]
fn no_line_is_lost_where_a_recording_is_parted() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Arc::new(Folder::open(folder.path()).expect("a folder"));
    let (outlets, _told, ordered) = outlets();
    let storer = Storer::new(keys(1)[0], "cam", place, outlets);
    let (inbox, messages) = unbounded();
    let thread = std::thread::spawn(move || storer.run(&messages));
    let send = |message: Message| inbox.send(message).expect("it listens");
    let line = |number: u32, text: &str| Message::Line(coded(number).media_time, String::new(), text.to_owned());
    send(Message::Stream(1, Box::new(description(SIZE)), true));
    send(Message::Picture(passed(&coded(0), &[])));
    send(line(1, "waits for its picture"));
    let Ok(Order::Begun(first, part)) = ordered.recv() else { panic!("no file is begun") };
    part.store(true, Ordering::Relaxed);
    assert!(matches!(ordered.recv(), Ok(Order::Ended(_))));
    send(line(1, "comes between two files"));
    send(Message::Picture(passed(&coded(2), &[])));
    drop(inbox);
    thread.join().expect("no bug");
    let files = files(folder.path());
    let (one, two): (Vec<_>, Vec<_>) = files.iter().partition(|path| path.ends_with(&first));
    let (one, two) = (one[0], two[0]);
    assert!(holds(one, "waits for its picture") ^ holds(two, "waits for its picture"));
    assert!(holds(two, "comes between two files") && !holds(one, "comes between two files"));
}
