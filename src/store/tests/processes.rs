//! Other processes: one that holds the store, and one that is killed at 200 random moments while it fills one.
#![expect(clippy::disallowed_methods, reason = "a test of real processes starts them and lets real time pass")]

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::{KIND, Random, TemporaryFolder, film, name, parts_of, slices};
use crate::store::error::StoreError;
use crate::store::objects::emit;
use crate::store::opened::Store;
use crate::store::ownership;
use crate::units::Unit;

const FOLDER: &str = "UDPSTORE_TEST_FOLDER";
const STREAM: &str = "UDPSTORE_TEST_STREAM";
const MOST_BYTES: u64 = 24 << 20;

fn start(folder: &Path, stream: u64) -> Child {
    let mut command = Command::new(env::current_exe().expect("this test"));
    command.args(["--exact", "store::tests::processes::child", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).env(STREAM, stream.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("a child")
}

/// Cheap to make, so that the child spends its time in the store.
fn content(stream: u64, unit: u32) -> Vec<Vec<u8>> {
    let body = [unit as u8; 900];
    (0..parts_of(unit)).map(|part| emit(name(stream, unit, part), parts_of(unit), &body)).collect()
}

/// Not a test: what the child does. It tells each unit that was put, until it is killed.
#[test]
fn child() {
    let (Ok(folder), Ok(stream)) = (env::var(FOLDER), env::var(STREAM)) else { return };
    let stream = stream.parse().expect("a number");
    let mut store = Store::open(Path::new(&folder), MOST_BYTES).expect("it opens");
    store.begin(film(stream), stream).expect("there is room");
    let first = store.missing(stream, KIND, 0, 0..u32::MAX).map_or(0, |missing| missing.start);
    println!("\nopen");
    for unit in first.. {
        if store.put(&slices(&content(stream, unit))).is_err() {
            // The bound is reached by this film alone, so there is nothing to do but to be killed.
            store.remove(stream).expect("it goes");
            println!("restart");
            store.begin(film(stream), stream).expect("there is room");
            continue;
        }
        println!("{unit}");
        std::io::stdout().flush().expect("the parent listens");
    }
}

/// The unit told last, if any since the film began anew.
fn last_told(text: &str) -> Option<u32> {
    // A line without its end was cut by the kill.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().last()?.parse().ok()
}

fn verify(store: &Store, stream: u64, end: u32, round: u32) {
    assert_eq!(store.missing(stream, KIND, 0, 0..end), None, "round {round}: a unit that was put is lost");
    for unit in 0..end {
        let found = store.unit(stream, KIND, 0, Unit(unit)).expect("it is listed");
        assert!(found.whole && found.objects().eq(content(stream, unit)), "round {round}: unit {unit} is wrong");
    }
}

#[test]
fn two_hundred_kills_lose_nothing_that_was_put() {
    let folder = TemporaryFolder::new();
    let mut random = Random::new(200);
    let (mut end, mut cut, mut units) = (0, 0, 0);
    for round in 0..200_u32 {
        // A film is filled by ten children, one after the other, and then left to be evicted.
        let stream = u64::from(round / 10) + 1;
        end = if round % 10 == 0 { 0 } else { end };
        let mut child = start(&folder.0, stream);
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        while line != "open\n" {
            line.clear();
            assert!(output.read_line(&mut line).expect("a pipe") > 0, "round {round}: the child ended");
        }
        thread::scope(|scope| {
            let told = scope.spawn(move || {
                let mut text = String::new();
                output.read_to_string(&mut text).map(|_| text).expect("a pipe")
            });
            thread::sleep(Duration::from_micros(random.below(6000)));
            child.kill().expect("it runs");
            child.wait().expect("it ran");
            let told = told.join().expect("a text");
            assert!(!told.contains("restart"), "the bound is too small for this test");
            end = last_told(&told).map_or(end, |unit| unit + 1);
        });
        let store = Store::open(&folder.0, MOST_BYTES).expect("it opens");
        cut += u32::from(store.recovered_bytes() > 0);
        units += u64::from(end);
        verify(&store, stream, end, round);
    }
    println!("{units} units verified; {cut} of 200 kills left an unfinished write");
    assert!(units > 10_000);
}

#[test]
fn a_second_process_is_told_who_holds_the_store() {
    let folder = TemporaryFolder::new();
    let mut child = start(&folder.0, 1);
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    while line != "open\n" {
        line.clear();
        assert!(output.read_line(&mut line).expect("a pipe") > 0, "the child ended");
    }
    let error = Store::open(&folder.0, MOST_BYTES).err().expect("it is taken");
    child.kill().expect("it runs");
    child.wait().expect("it ran");
    assert!(matches!(error, StoreError::Taken { pid, .. } if pid == Some(child.id())), "{error}");
    let text = format!("is in use by process {}; stop that, or name another folder", child.id());
    assert!(error.to_string().ends_with(&text), "{error}");
    Store::open(&folder.0, MOST_BYTES).expect("the lock died with its holder");
}

/// A thread that starts a program forks first, and until the exec its child has a copy of each descriptor.
#[test]
fn a_closed_store_is_free_although_a_child_still_has_a_copy_of_its_lock() {
    let folder = TemporaryFolder::new();
    let lock = ownership::take(&folder.0).expect("it is free");
    let copy = lock.file.try_clone().expect("a copy");
    assert!(matches!(ownership::take(&folder.0), Err(StoreError::Taken { .. })));
    drop(lock);
    ownership::take(&folder.0).expect("it is free again");
    drop(copy);
}
