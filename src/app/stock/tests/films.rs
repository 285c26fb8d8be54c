//! Which pictures come, from wherever, and how often each is made.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::app::stock::{Answer, Figures, Opened, Order, Settings, Stock, Wanted};
use crate::codec::Decoder;
use crate::ffmpeg::{Control, Question, ffmpeg};
use crate::media::Canvas;
use crate::media::coded::PassedPicture;
use crate::media::sound::{FRAMES, PassedSound, Rendition};
use crate::units::MediaTime;
use crate::wire::object::ObjectView;

/// A film whose pictures are of one grey each: number n has the luma 16 + 2 (n mod 100), and a beep is at each second.
fn film(folder: &Path, name: &str, seconds: u32, more: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let pictures = format!("nullsrc=s=192x128:r=25:d={seconds},geq=lum='20+2*mod(N,100)':cb=128:cr=128");
    let beeps = format!("aevalsrc='if(lt(mod(t,1),0.02),0.6*sin(2*PI*1000*t),0)':s=48000:d={seconds}");
    let mut command = ffmpeg().expect("ffmpeg");
    command.args(["-y", "-f", "lavfi", "-i", &pictures, "-f", "lavfi", "-i", &beeps]);
    command.args([
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-qp",
        "4",
        "-bf",
        "2",
        "-g",
        "50",
        "-pix_fmt",
        "yuv420p",
    ]);
    command.args(["-c:a", "pcm_s16le"]).args(more).arg(&path);
    let question = Question { command, feed: &[], input: "a film", name: "a film" };
    let answer = Control::new().expect("made").ask(question, crate::clock::now() + Duration::from_secs(25));
    assert!(answer.expect("asked").is_some_and(|answer| answer.succeeded));
    path
}

struct Viewing<'a> {
    stock: &'a Stock,
    viewer: u64,
    question: u64,
}

/// What a viewer is answered; a machine that stands still is waited for.
#[expect(clippy::disallowed_methods, reason = "threads are waited for")]
fn answer(stock: &Stock, viewer: u64) -> Answer {
    for _ in 0..12_000 {
        match stock.answer() {
            Some((of, answer)) if of == viewer => return answer,
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
    panic!("nothing came: {:?}", stock.figures());
}

impl<'a> Viewing<'a> {
    fn open(stock: &'a Stock, viewer: u64, path: &Path) -> (Self, Opened) {
        let file = File::open(path).expect("a film");
        let (name, title) = ("film".to_owned(), "Film".to_owned());
        stock.order(viewer, Order::Open(Box::new(Wanted { file, path: path.to_owned(), name, title, track: None })));
        match answer(stock, viewer) {
            Answer::Opened(opened) => (Self { stock, viewer, question: 0 }, *opened),
            Answer::Trouble(why) => panic!("{why}"),
            _ => panic!("it was to be opened first"),
        }
    }

    fn seek(&self, millis: i64, exact: bool) {
        self.stock.order(self.viewer, Order::Seek { to: MediaTime::from_micros(millis * 1_000), exact });
    }

    fn picture(&mut self, rung: u8) -> Result<PassedPicture, MediaTime> {
        self.question += 1;
        self.stock.order(self.viewer, Order::Picture { question: self.question, rung });
        match answer(self.stock, self.viewer) {
            Answer::Picture { question, picture } if question == self.question => Ok(picture),
            Answer::End { at, .. } => Err(at),
            Answer::Trouble(why) => panic!("{why}"),
            _ => panic!("another answer"),
        }
    }

    fn sound(&mut self, rendition: Rendition) -> Option<PassedSound> {
        self.question += 1;
        self.stock.order(self.viewer, Order::Sound { question: self.question, rendition });
        match answer(self.stock, self.viewer) {
            Answer::Sound { question, sound } if question == self.question => Some(sound),
            Answer::SoundEnd { .. } => None,
            _ => panic!("another answer"),
        }
    }
}

fn stock(store: &Path, most_bytes: u64, jobs: usize) -> Stock {
    Stock::start(Settings { store: store.to_owned(), most_bytes, jobs }, Arc::new(|| {})).expect("a stock")
}

/// The number that a picture says, modulo 100.
fn said(picture: &PassedPicture) -> u32 {
    let mut decoder = Decoder::new().expect("a decoder");
    let objects: Vec<_> =
        picture.cut.objects().iter().map(|object| ObjectView::parse(object.bytes()).expect("whole")).collect();
    let size = objects[0].header.size;
    let mut canvas = Canvas::new(size);
    for object in &objects {
        let header = &object.header;
        decoder.decode(header.tables, object.body, &mut canvas, header.x8, header.y8).expect("decoded");
    }
    let pixel = canvas.pixels()[canvas.pixels().len() / 2] & 0xff;
    // Limited range was stretched to the full one.
    let luma = f64::from(pixel) * 219.0 / 255.0 + 16.0;
    ((luma - 20.0) / 2.0).round() as u32
}

#[test]
fn from_wherever_a_film_is_begun_the_pictures_are_the_right_ones_and_their_bytes_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, more) in [
        ("film.mkv", &[][..]),
        ("film.mp4", &["-c:a", "aac"]),
        ("film.ts", &["-c:a", "aac", "-muxdelay", "0.7"]),
        ("late.mkv", &["-output_ts_offset", "7.3"]),
    ] {
        let path = film(folder.path(), name, 8, more);
        let store = folder.path().join(format!("store-{name}"));
        let stock = stock(&store, 1 << 30, 4);
        let (mut viewing, opened) = Viewing::open(&stock, 1, &path);
        assert!(opened.description.sound && opened.description.rate.fps() == 25.0);
        let mut from_the_beginning = Vec::new();
        for number in 0..60 {
            let picture = viewing.picture(0).expect("a picture");
            assert_eq!((picture.cut.unit.0, said(&picture)), (number, number % 100), "{name}");
            from_the_beginning.push(picture);
        }
        // Another store knows nothing of those.
        let other = self::stock(&folder.path().join(format!("other-{name}")), 1 << 30, 4);
        let (mut viewing, _) = Viewing::open(&other, 1, &path);
        for number in [57, 3, 111, 149, 50, 99, 100] {
            viewing.seek(i64::from(number) * 40 + 15, true);
            let picture = viewing.picture(0).expect("a picture");
            assert_eq!((picture.cut.unit.0, said(&picture)), (number, number % 100), "{name}");
            if let Some(same) = from_the_beginning.get(number as usize) {
                assert!(same.cut.objects() == picture.cut.objects(), "{name}: picture {number} has other bytes");
            }
        }
        viewing.seek(1_000_000, true);
        assert_eq!(viewing.picture(0).map(|picture| picture.cut.unit.0), Ok(199), "{name}: behind the end is the last");
        assert_eq!(viewing.picture(0).map(|_| ()), Err(MediaTime::from_micros(8_000_000)));
        viewing.seek(3_000, false);
        let near = viewing.picture(0).expect("a picture");
        assert!((50..=75).contains(&near.cut.unit.0) && said(&near) == near.cut.unit.0, "{name}: {}", near.cut.unit.0);
    }
}

#[test]
fn two_who_are_ten_seconds_apart_share_what_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = film(folder.path(), "film.mkv", 20, &[]);
    let stock = stock(&folder.path().join("store"), 1 << 30, 4);
    let (mut ahead, _) = Viewing::open(&stock, 1, &path);
    let (mut behind, _) = Viewing::open(&stock, 2, &path);
    ahead.seek(10_000, true);
    for number in 0..240_u32 {
        assert_eq!(ahead.picture(0).map(|picture| picture.cut.unit.0), Ok(250 + number));
        assert_eq!(behind.picture(0).map(|picture| picture.cut.unit.0), Ok(number));
    }
    while behind.picture(0).is_ok() {}
    let Figures { encoded, reused, .. } = stock.figures();
    assert!((500..=502).contains(&encoded), "{encoded} pictures of 500 were encoded, {reused} were there");
}

#[test]
fn what_is_in_the_store_is_not_made_again_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = film(folder.path(), "film.mkv", 6, &[]);
    let store = folder.path().join("store");
    for turn in 0..2 {
        let stock = stock(&store, 1 << 30, 2);
        let (mut viewing, _) = Viewing::open(&stock, 1, &path);
        while viewing.picture(1).is_ok() {}
        let encoded = stock.figures().encoded;
        assert_eq!(encoded, if turn == 0 { 150 } else { 0 });
    }
}

#[test]
fn a_store_that_is_full_is_not_grown_and_everything_is_watched_all_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = film(folder.path(), "film.mkv", 6, &[]);
    let store = folder.path().join("store");
    let stock = stock(&store, 60_000, 2);
    let (mut viewing, _) = Viewing::open(&stock, 1, &path);
    for turn in 0..2 {
        viewing.seek(0, true);
        for number in 0..150 {
            assert_eq!(viewing.picture(0).map(|picture| picture.cut.unit.0), Ok(number), "turn {turn}");
        }
    }
    let Figures { stored, .. } = stock.figures();
    assert!(stored <= 60_000, "{stored} bytes are stored");
}

#[test]
fn sound_goes_with_its_pictures_and_is_the_same_from_wherever() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = film(folder.path(), "film.mkv", 20, &[]);
    let stock = stock(&folder.path().join("store"), 1 << 30, 4);
    let (mut viewing, _) = Viewing::open(&stock, 1, &path);
    let mut chunks = Vec::new();
    while let Some(sound) = viewing.sound(Rendition::Stereo) {
        assert_eq!(sound.number as usize, chunks.len());
        chunks.push(sound);
    }
    assert_eq!(chunks.len(), (20 * 44_100_usize).div_ceil(FRAMES));
    let samples = |sound: &PassedSound| {
        let view = ObjectView::parse(sound.object.bytes()).expect("whole");
        view.body.chunks_exact(4).map(|frame| i16::from_le_bytes([frame[0], frame[1]])).collect::<Vec<_>>()
    };
    let all: Vec<i16> = chunks.iter().flat_map(samples).collect();
    for second in 0..20 {
        let begins = all[second * 44_100..].iter().position(|sample| sample.unsigned_abs() > 4_000).expect("a beep");
        assert!(begins < 20, "second {second}: the beep is {begins} frames late");
    }
    for millis in [15_700, 16_300, 40, 9_960] {
        viewing.seek(millis, true);
        let sound = viewing.sound(Rendition::Stereo).expect("sound");
        let frame = millis as usize / 40 * 40 * 44_100 / 1_000;
        assert_eq!(sound.number as usize, frame / FRAMES);
        assert!(sound == chunks[sound.number as usize], "{millis} ms: other bytes");
        let coded = viewing.sound(Rendition::Coded).expect("coded");
        assert!((i64::from(coded.number) - frame as i64 / 960).abs() <= 1);
    }
}

#[test]
fn a_viewer_too_many_hears_so_and_what_is_no_film_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = film(folder.path(), "film.mkv", 60, &["-preset", "ultrafast"]);
    let stock = stock(&folder.path().join("store"), 1 << 30, 1);
    let (mut first, _) = Viewing::open(&stock, 1, &path);
    first.picture(0).expect("a picture");
    let (second, _) = Viewing::open(&stock, 2, &path);
    second.seek(50_000, true);
    stock.order(2, Order::Picture { question: 1, rung: 0 });
    // The first goes on watching meanwhile, else its job would be given up.
    let mut refused = None;
    for _ in 0..3_000 {
        stock.order(1, Order::Picture { question: 7, rung: 0 });
        match answer_of_any(&stock) {
            Some((2, Answer::Trouble(why))) => {
                refused = Some(why);
                break;
            }
            Some((2, _)) => panic!("the second was to be refused"),
            _ => {}
        }
    }
    assert!(refused.is_some_and(|why| why.contains("--jobs") && why.ends_with('.')));
    let none = folder.path().join("text.mkv");
    std::fs::write(&none, "no film").expect("written");
    let file = File::open(&none).expect("opened");
    let wanted = Wanted { file, path: none, name: "text.mkv".to_owned(), title: "Text".to_owned(), track: None };
    stock.order(3, Order::Open(Box::new(wanted)));
    match answer(&stock, 3) {
        Answer::Trouble(why) => {
            assert!(why.contains("text.mkv") && !why.contains("/proc") && why.ends_with('.'), "{why}")
        }
        _ => panic!("it is no film"),
    }
}

#[expect(clippy::disallowed_methods, reason = "threads are waited for")]
fn answer_of_any(stock: &Stock) -> Option<(u64, Answer)> {
    std::thread::sleep(Duration::from_millis(5));
    stock.answer()
}

#[test]
fn a_film_that_is_replaced_or_deleted_is_watched_to_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = film(folder.path(), "film.mkv", 20, &[]);
    let stock = stock(&folder.path().join("store"), 1 << 30, 2);
    let (mut viewing, before) = Viewing::open(&stock, 1, &path);
    viewing.picture(0).expect("a picture");
    std::fs::remove_file(&path).expect("removed");
    viewing.seek(15_000, true);
    assert_eq!(viewing.picture(0).map(|picture| (picture.cut.unit.0, said(&picture))), Ok((375, 75)));
    let other = film(folder.path(), "film.mkv", 4, &[]);
    let (mut next, after) = Viewing::open(&stock, 2, &other);
    assert_ne!(before.id, after.id, "another film has another name for its objects");
    assert_eq!(next.picture(0).map(|picture| picture.cut.unit.0), Ok(0));
    assert_eq!(viewing.picture(0).map(|picture| picture.cut.unit.0), Ok(376));
}
