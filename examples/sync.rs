//! Whether sound and picture are together, from outside: watches the flash of the test card on the X screen and listens
//! to its beep on the monitor of a PulseAudio sink, and prints for each second when either began, in nanoseconds of
//! CLOCK_MONOTONIC, and how many milliseconds the sound was behind the picture; at the end what they come to.
//!
//! `sync 640x480 SECONDS MONITOR`

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use udpstream::clock;
use udpstream::media::sound::RATE;
use udpstream::units::Time;
use x11rb::connection::Connection;
use x11rb::protocol::damage::{ConnectionExt as _, ReportLevel};
use x11rb::protocol::xproto::{ConnectionExt, ImageFormat, MapState};
use x11rb::rust_connection::RustConnection;

type Failure = Box<dyn std::error::Error>;

/// The longest time without a look.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// The ramp is grey in its middle, the flash white.
const WHITE: u8 = 200;
/// Between the peaks of the tone and of the beep.
const LOUD: u16 = 8_000;
/// A null sink renders its blocks so long before they are played, and its monitor hears them then (PulseAudio,
/// module-null-sink.c: as long as the rendered ends before now plus a block); a block is as long as parec's latency.
const BLOCK: Duration = Duration::from_millis(20);
/// A beep is over when nothing has been that loud for so many frames.
const QUIET: usize = RATE as usize / 5;
/// Frames on either side of a beep from which its moment is taken: three seconds.
const AROUND: usize = 3 * RATE as usize;
/// A flash and a beep further apart than this belong to two seconds.
const APART: f64 = 500.0;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [size, seconds, monitor] = &arguments[..] else { return Err("which size, how long, which monitor?".into()) };
    let (width, height) = size.split_once('x').ok_or("a size is WxH")?;
    let (size, seconds) = ((width.parse()?, height.parse()?), seconds.parse()?);
    let until = clock::now() + Duration::from_secs(seconds);
    let mut recorder = record(monitor)?;
    let (sender, bytes) = channel();
    let mut stdout = recorder.stdout.take().ok_or("parec has no output")?;
    let listening = std::thread::spawn(move || listen(&mut stdout, &sender));
    let flashes = look(size, until);
    recorder.kill()?;
    recorder.wait()?;
    listening.join().map_err(|_| "the listener died")?;
    let (flashes, beeps) = (flashes?, beeps(&bytes));
    report(&flashes, &beeps);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "parec records what the sink plays")]
fn record(monitor: &str) -> Result<Child, Failure> {
    let arguments = ["--raw", "--format=s16le", "--rate=44100", "--channels=1", "--latency-msec=20", "-d", monitor];
    Ok(Command::new("parec").args(arguments).stdout(Stdio::piped()).spawn()?)
}

/// Hands on what comes, with the moment at which it came.
fn listen(stdout: &mut impl Read, sender: &Sender<(Time, Vec<u8>)>) {
    let mut buffer = [0; 4_096];
    while let Ok(count @ 1..) = stdout.read(&mut buffer) {
        sender.send((clock::now(), buffer[..count].to_vec())).ok();
    }
}

/// When each beep began. A frame is here at the soonest when it was played, so of all guesses of when the first was
/// played those are best that are least; only those from around the beep, because the sink has a clock of its own.
fn beeps(bytes: &Receiver<(Time, Vec<u8>)>) -> Vec<Time> {
    let (mut samples, mut guesses) = (Vec::new(), Vec::new());
    let mut odd = Vec::new();
    while let Ok((at, more)) = bytes.recv() {
        odd.extend_from_slice(&more);
        let whole = odd.len() & !1;
        samples.extend(odd[..whole].chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])));
        odd.drain(..whole);
        guesses.push((samples.len(), at - Duration::from_secs(samples.len() as u64) / RATE));
    }
    let (mut beeps, mut last) = (Vec::new(), None);
    for (n, _) in samples.iter().enumerate().filter(|(_, sample)| sample.unsigned_abs() > LOUD) {
        if last.is_none_or(|last| n - last > QUIET) {
            let near = guesses.iter().filter(|(count, _)| count.abs_diff(n) < AROUND).map(|(_, guess)| *guess).min();
            beeps.extend(near.map(|began| began + BLOCK + Duration::from_secs(n as u64) / RATE));
        }
        last = Some(n);
    }
    beeps
}

/// When each flash began.
fn look(size: (u16, u16), until: Time) -> Result<Vec<Time>, Failure> {
    let (connection, screen) = x11rb::connect(None)?;
    let root = connection.setup().roots[screen].root;
    let (mut place, mut white, mut flashes) = (None, true, Vec::new());
    while clock::now() < until {
        let Some((x, y)) = place else {
            place = find(&connection, root, size)?;
            poll(&mut [], Some(&PAUSE))?;
            continue;
        };
        let pixel = connection.get_image(ImageFormat::Z_PIXMAP, root, x, y, 1, 1, u32::MAX)?.reply()?.data;
        let at = clock::now();
        let was = std::mem::replace(&mut white, pixel.get(1).is_some_and(|green| *green > WHITE));
        if white && !was {
            flashes.push(at);
        }
        if connection.poll_for_event()?.is_none() {
            poll(&mut [PollFd::new(connection.stream(), PollFlags::IN)], Some(&PAUSE))?;
        }
        while connection.poll_for_event()?.is_some() {}
    }
    Ok(flashes)
}

/// The middle of the area that flashes, on the screen; asks to be told of all that is drawn on its window.
fn find(connection: &RustConnection, root: u32, size: (u16, u16)) -> Result<Option<(i16, i16)>, Failure> {
    for window in connection.query_tree(root)?.reply()?.children {
        let Ok(geometry) = connection.get_geometry(window)?.reply() else { continue };
        let Ok(attributes) = connection.get_window_attributes(window)?.reply() else { continue };
        if (geometry.width, geometry.height) == size && attributes.map_state == MapState::VIEWABLE {
            connection.damage_query_version(1, 1)?.reply()?;
            connection.damage_create(connection.generate_id()?, window, ReportLevel::RAW_RECTANGLES)?;
            let middle = (size.0 / 2, size.1 / 8 * 7);
            return Ok(Some((geometry.x + middle.0 as i16, geometry.y + middle.1 as i16)));
        }
    }
    Ok(None)
}

fn report(flashes: &[Time], beeps: &[Time]) {
    let (mut sizes, mut sum) = (Vec::new(), 0.0);
    for flash in flashes {
        let distance = |beep: &&Time| beep.signed_since(*flash).unsigned_abs();
        let Some(beep) = beeps.iter().min_by_key(distance) else { continue };
        let millis = beep.signed_since(*flash) as f64 / 1e6;
        if millis.abs() < APART {
            println!("{} {} {millis:.2}", flash.nanos(), beep.nanos());
            sizes.push(millis.abs());
            sum += millis;
        }
    }
    sizes.sort_by(f64::total_cmp);
    let p99 = sizes.get(sizes.len().saturating_sub(1) * 99 / 100).copied().unwrap_or(f64::NAN);
    let mean = sum / sizes.len().max(1) as f64;
    println!("{} flashes and beeps: sound {mean:+.2} ms behind the picture, 99 % within {p99:.2} ms", sizes.len());
}
