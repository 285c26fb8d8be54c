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

/// The pipes that a child has inherited beyond its first three, but for those that we ourselves were born with.
fn pipes_of(process: u32) -> Vec<PathBuf> {
    let link = |process: &str, number: u32| std::fs::read_link(format!("/proc/{process}/fd/{number}")).ok();
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).expect("a living child").flatten();
    let numbers = files.filter_map(|file| file.file_name().to_str()?.parse::<u32>().ok()).filter(|&number| number > 2);
    let links = numbers.filter_map(|number| Some((number, link(&process.to_string(), number)?)));
    let links = links.filter(|(number, file)| link("self", *number).as_ref() != Some(file)).map(|(_, file)| file);
    links.filter(|file| file.to_string_lossy().starts_with("pipe:")).collect()
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
    let mut pipes: Vec<_> = children.into_iter().flat_map(pipes_of).collect();
    pipes.sort();
    let all = pipes.len();
    pipes.dedup();
    assert_eq!((all, pipes.len()), (8, 8), "each has its own sound and stamps, and nobody else's");
}
