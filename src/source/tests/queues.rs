//! Pictures and sound whose queues are full, closed or empty; and what a source leaves behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sound::{assert_same, decoded, with_sound};
use super::*;
use crate::media::sound::{FRAMES, frame_at};

#[test]
fn sound_that_lies_far_from_its_pictures_keeps_nobody_waiting() {
    let folder = TempDir::new().expect("a folder");
    // Eight seconds of sound, all of it behind all of the pictures: more than pipes and queues hold.
    let arguments = "-f lavfi -i testsrc2=size=320x240:rate=25:duration=8 -f lavfi -i sine=frequency=300:duration=8 \
                     -c:v libx264 -preset ultrafast -c:a pcm_s16le -max_interleave_delta 0 -chunk_duration 60000000";
    let path = make(&folder, "apart.mov", arguments, &[]);
    let source = open_with(&file(&path), with_sound());
    let (producer, consumer) = queue::bounded(4, WhenFull::Block, None);
    let (sounding, listening) = queue::bounded(8, WhenFull::Block, None);
    let running = source.start(producer, Some(sounding));
    // As a server does it: a picture, and the sound of the same time, in turn.
    let mut got = Vec::new();
    for number in 1..=200 {
        assert!(consumer.pop().is_some(), "picture {number}");
        while got.len() + FRAMES <= frame_at(Rate::new(25, 1).expect("usual"), number) as usize {
            got.extend(listening.pop().expect("sound of this picture").frames);
        }
    }
    got.extend(std::iter::from_fn(|| listening.pop()).flat_map(|chunk| chunk.frames));
    assert_same(&got, &decoded(&path, ""), "apart");
    running.join().expect("a clean end");
}

#[test]
fn a_source_whose_sound_nobody_takes_can_be_stopped_and_leaves_nothing() {
    let named = || {
        let names = std::fs::read_dir("/proc/self/task").expect("Linux").flatten();
        let names = names.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.trim() == "sound in" || name.trim() == "sound").count()
    };
    for (looped, keep) in [(false, true), (true, true), (true, false)] {
        let source = open_with(&file(SAMPLE), Options { looped, ..with_sound() });
        let (producer, consumer) = queue::bounded(2, WhenFull::Block, None);
        let (sounding, listening) = queue::bounded(2, WhenFull::Block, None);
        let running = source.start(producer, Some(sounding));
        assert!(consumer.pop().is_some() && listening.pop().is_some());
        assert!(named() >= 2, "both threads are at work");
        let kept = keep.then_some((consumer, listening));
        running.stop();
        running.join().expect("stopped, not failed");
        drop(kept);
    }
}

#[test]
fn pictures_go_on_when_nobody_wants_the_sound() {
    for (path, told) in two_films(&TempDir::new().expect("a folder")) {
        let source = open_with(&file(&path), with_sound());
        let (producer, consumer) = queue::bounded(10, WhenFull::Block, None);
        let (sounding, listening) = queue::bounded(2, WhenFull::Block, None);
        let running = source.start(producer, Some(sounding));
        assert!(listening.pop().is_some());
        drop(listening);
        assert_eq!(std::iter::from_fn(|| consumer.pop()).count(), told.pictures);
        running.join().expect("a clean end");
        // Nor does a source that was opened with sound need anybody to take it.
        assert_eq!(pictures(open_with(&file(&path), with_sound()), usize::MAX).len(), told.pictures);
    }
}

/// The pipes that a process has open beyond its first three files, and under which numbers.
fn open_pipes(process: &str) -> Vec<(u32, PathBuf)> {
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).expect("a living process").flatten();
    let pipe = |file: std::fs::DirEntry| {
        let number = file.file_name().to_str()?.parse().ok().filter(|number| *number > 2)?;
        let link = std::fs::read_link(file.path()).ok()?;
        link.to_string_lossy().starts_with("pipe:").then_some((number, link))
    };
    files.filter_map(pipe).collect()
}

/// The pipes from a child to us: of these we have one end. Of one that another test or a library has made for itself in
/// this process we have both, and one that we were born with has the same number in the child.
fn pipes_to_us(child: u32) -> Vec<PathBuf> {
    let here = open_pipes("self");
    let is_ours =
        |pipe: &(u32, PathBuf)| here.iter().filter(|(_, other)| *other == pipe.1).count() == 1 && !here.contains(pipe);
    open_pipes(&child.to_string()).into_iter().filter(is_ours).map(|(_, pipe)| pipe).collect()
}

#[test]
fn each_child_inherits_its_own_pipe_and_no_other() {
    let open_one = || {
        let source = open_with(&file(SAMPLE), Options { looped: true, ..with_sound() });
        let (producer, consumer) = queue::bounded(2, WhenFull::Block, None);
        let (sounding, listening) = queue::bounded(2, WhenFull::Block, None);
        let running = source.start(producer, Some(sounding));
        assert!(consumer.pop().is_some() && listening.pop().is_some());
        (running, consumer, listening)
    };
    let started = Arc::new(std::sync::Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for number in 0..4 {
            let started = Arc::clone(&started);
            scope.spawn(move || started.lock().expect("no panic").insert(number, open_one()));
        }
    });
    let started = started.lock().expect("no panic");
    let children: Vec<_> = started.values().flat_map(|(running, ..)| children_of(running)).collect();
    assert_eq!(children.len(), 4);
    let mut pipes: Vec<_> = children.into_iter().flat_map(pipes_to_us).collect();
    pipes.sort();
    let all = pipes.len();
    pipes.dedup();
    assert_eq!((all, pipes.len()), (8, 8), "each has its own sound and stamps, and nobody else's");
}

/// Inputs of several kinds: films with sound, test cards, a camera with a microphone, a song.
fn eight_inputs(folder: &TempDir) -> Vec<(Input, Option<Input>)> {
    let song = make(folder, "song.wav", "-f lavfi -i sine=frequency=300:duration=2", &[]);
    let input = |text: &str| text.parse::<Input>().expect("an input");
    vec![
        (file(SAMPLE), None),
        (file(SAMPLE), None),
        (file(SAMPLE), None),
        (file(song), None),
        (input("test:64x48@30"), None),
        (input("test:64x48@25"), None),
        (input("camera:lavfi:testsrc2=size=64x48:rate=25"), None),
        (input("camera:lavfi:testsrc2=size=64x48:rate=25"), Some(input("mic:lavfi:sine=440"))),
    ]
}

#[test]
fn eight_sources_are_opened_at_once_closed_and_opened_again() {
    let folder = TempDir::new().expect("a folder");
    let inputs = eight_inputs(&folder);
    let open_one = |(input, ear): &(Input, Option<Input>)| {
        let stopper = Stopper::new().expect("an eventfd");
        let source = open(input, ear.as_ref(), &with_sound(), &stopper).unwrap_or_else(|error| panic!("{error}"));
        (source, stopper)
    };
    std::thread::scope(|scope| {
        for both in &inputs {
            scope.spawn(move || {
                let (source, stopper) = open_one(both);
                let (children, size) = (stopper.0.children(), source.info().size);
                let info = source.close();
                assert_eq!((stopper.0.children(), info.size), (Vec::new(), size), "{}", info.title);
                let gone = |id: &u32| !Path::new(&format!("/proc/{id}")).exists();
                assert!(children.iter().all(gone), "{} has left a child", info.title);
                let (source, _stopper) = open_one(both);
                assert_eq!((source.info().size, &source.info().details), (info.size, &info.details));
                let pictures = numbered(source, 3);
                assert_eq!(pictures.len(), 3);
            });
        }
    });
}

#[test]
fn eight_full_test_cards_cost_nothing() {
    crate::source::live::tests::alone("source::tests::queues::eight_full_cards");
}

/// Processor time of this process, in seconds.
fn spent() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[test]
#[ignore = "counts what the process spends: run by the test before it, alone"]
fn eight_full_cards() {
    let cards: Vec<_> = (0..8)
        .map(|_| {
            let source = open_with(&"test:1280x720@30".parse().expect("a card"), with_sound());
            let (producer, pictures) = queue::bounded(10, WhenFull::Block, None);
            let (sounding, chunks) = queue::bounded(32, WhenFull::Block, None);
            (source.start(producer, Some(sounding)), pictures, chunks)
        })
        .collect();
    let settled = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        cards.iter().all(|(_, pictures, chunks)| pictures.len() == 10 || chunks.len() == 32)
    });
    assert!(settled, "the regime: a full queue each");
    std::thread::sleep(Duration::from_millis(200));
    let (before, began) = (spent(), clock::now());
    std::thread::sleep(Duration::from_secs(2));
    let share = (spent() - before) / clock::now().since(began).as_secs_f64();
    println!("eight full test cards: {:.3} % of a core", share * 100.0);
    assert!(share < 0.01, "{share} of a core");
}
