//! A device that comes and goes, without any device; and what the tests of real ones count.
#![expect(clippy::disallowed_methods, reason = "a test starts itself anew, to be alone")]

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::queue::{self, Consumer, WhenFull};
use crate::source;

const SIZE: Size = Size::new(64, 48);

/// Says what happens at each opening: so many pictures, or a refusal.
#[derive(Clone)]
struct Script {
    turns: Arc<Vec<Result<u32, &'static str>>>,
    turn: Arc<AtomicU32>,
    size: Size,
}

struct Playing {
    left: u32,
    made: u32,
    size: Size,
    control: Control,
}

impl Device for Script {
    fn name(&self) -> String {
        "camera".to_owned()
    }

    fn open(&mut self, control: &Control) -> Result<Box<dyn Grabber>, SourceError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) as usize;
        match self.turns.get(turn) {
            Some(&Ok(left)) => Ok(Box::new(Playing { left, made: 0, size: self.size, control: control.clone() })),
            Some(Err(why)) => Err(SourceError::NotFound((*why).to_owned())),
            None => Ok(Box::new(Playing { left: u32::MAX, made: 0, size: self.size, control: control.clone() })),
        }
    }
}

impl Grabber for Playing {
    fn mode(&self) -> Mode {
        Mode { size: self.size, rate: THIRTY, details: "played".to_owned() }
    }

    fn grab(&mut self, pool: &Pool<Vec<u8>>) -> Result<Picture, SourceError> {
        if self.left == 0 {
            return Err(SourceError::NotFound("the cable".to_owned()));
        }
        self.left -= 1;
        self.made += 1;
        self.control.sleep_until(clock::now() + Duration::from_millis(1));
        // Two in a row show the same.
        let mut picture = Picture::from_pool(pool, self.size, self.made, clock::now());
        picture.content = self.made / 2;
        Ok(picture)
    }
}

fn start(turns: Vec<Result<u32, &'static str>>) -> (source::Running, Consumer<Picture>) {
    let script = Script { turns: Arc::new(turns), turn: Arc::default(), size: SIZE };
    let control = Control::new().unwrap();
    let guard = Guard { control, threads: Vec::new(), news: None };
    let source = open(Box::new(script), None, &Options::default(), guard).unwrap();
    assert_eq!(source.info().pace, Pace::Live);
    let (out, pictures) = queue::bounded(4, WhenFull::Block, None);
    (source.start(out, None), pictures)
}

fn all_news(running: &source::Running) -> Vec<News> {
    std::iter::from_fn(|| running.news()).collect()
}

#[test]
fn a_lost_device_is_a_card_until_it_is_back() {
    let (running, pictures) = start(vec![Ok(5), Err("the plug"), Ok(3)]);
    let (mut contents, mut back) = (Vec::new(), 0);
    while back < 40 {
        let picture = pictures.pop().unwrap();
        assert_eq!((picture.number as usize, picture.size), (contents.len(), SIZE));
        contents.push(picture.content);
        back += u32::from(all_news(&running).contains(&News::Back("camera".to_owned())));
        back += u32::from(back > 0);
    }
    // 1 2 2 3 3 → five pictures with three contents, each named after the first that shows it.
    assert_eq!(contents[..5], [0, 1, 1, 3, 3]);
    assert_eq!(contents[5], 5, "the card is another picture");
    let ends = contents.iter().filter(|&&content| content == 5).count();
    assert!(ends > 1, "a card is repeated");
    drop(pictures);
    running.join().unwrap();
}

#[test]
fn what_happens_is_told_once() {
    let (running, pictures) = start(vec![Err("the plug"), Err("the plug"), Ok(2)]);
    let lost = |what: &str| News::Lost(SourceError::NotFound(what.to_owned()).to_string());
    let mut news = Vec::new();
    while !news.contains(&lost("the cable")) {
        pictures.pop().unwrap();
        news.extend(all_news(&running));
    }
    assert_eq!(news, [lost("the plug"), News::Back("camera".to_owned()), lost("the cable")]);
    drop(pictures);
    running.join().unwrap();
}

#[test]
fn whoever_stops_waits_for_nothing() {
    let (running, pictures) = start(vec![Err("the plug"); 1_000]);
    assert!(pictures.pop().is_some());
    running.stop();
    while pictures.pop().is_some() {}
    running.join().unwrap();
    // Also if nobody takes any picture.
    let (running, _pictures) = start(Vec::new());
    running.stop();
    running.join().unwrap();
}

#[test]
fn a_final_refusal_is_said_at_once() {
    struct Missing;
    impl Device for Missing {
        fn name(&self) -> String {
            "camera".to_owned()
        }
        fn open(&mut self, _: &Control) -> Result<Box<dyn Grabber>, SourceError> {
            Err(SourceError::Ffmpeg(crate::ffmpeg::FfmpegError::NotInstalled { program: "ffmpeg" }))
        }
    }
    let guard = Guard { control: Control::new().unwrap(), threads: Vec::new(), news: None };
    assert!(open(Box::new(Missing), None, &Options::default(), guard).is_err());
}

/// Runs an ignored test of this name in a process of its own: in this one, other tests come and go.
pub(super) fn alone(test: &str) {
    let mut alone = Command::new(std::env::current_exe().expect("a file"));
    let output = alone.args(["--exact", test, "--ignored", "--nocapture"]).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Bytes of memory that this process has in use.
pub(super) fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * rustix::param::page_size()
}

/// Rounds after which the allocator has what it needs, and by how much it may differ; forty pictures of a
/// screen would show.
pub(super) const WARM: usize = 10;
pub(super) const NOISE: usize = 1 << 20;
