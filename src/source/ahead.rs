//! Whether an address without a length is a recording or happens now: a recording has a size, or comes faster than it is to
//! be shown.

use std::io::Read;
use std::time::Duration;

use super::probe::Found;
use super::run::named;
use crate::clock;
use crate::ffmpeg::{self, Control, Pipes, Process, Reading, Tap};

/// Takes a look of two seconds where nothing else tells, from when something comes.
pub(super) fn is_recording(control: &Control, reading: &Reading, found: &Found) -> bool {
    let address = reading.address.to_string_lossy().to_lowercase();
    let is_http = ["http://", "https://"].iter().any(|scheme| address.starts_with(scheme));
    if !is_http || found.origin.is_live() {
        return false;
    }
    let film = found.film.as_ref();
    found.origin.size.is_some() || film.is_some_and(|film| comes_ahead(control, reading, film.stream).unwrap_or(false))
}

/// `None` if ffprobe could not be started.
fn comes_ahead(control: &Control, reading: &Reading, stream: u32) -> Option<bool> {
    let mut command = ffmpeg::ffprobe().ok()?;
    reading.input(&mut command, &["-analyzeduration", "500000", "-select_streams", &stream.to_string()]);
    command.args(["-show_entries", "packet=pts_time", "-of", "csv=p=0"]);
    let (mut process, Pipes { mut stdout, .. }) = Process::start(control, &mut command, named(reading)).ok()?;
    let ahead = read_ahead(&mut stdout);
    process.kill();
    // Its words are of no use, but the thread that reads them is to end here.
    process.words();
    Some(ahead)
}

/// Whether more of the film comes than time goes by, by far, or all of it at once. How long ffprobe takes to start, which is
/// seconds on a busy machine, says nothing of the film.
fn read_ahead(tap: &mut Tap) -> bool {
    let (mut stamps, mut text, mut block) = (Progress::default(), Vec::new(), [0; 4 << 10]);
    let (mut first, mut until) = (None, clock::now() + START);
    while tap.ready(until) {
        let count = tap.read(&mut block).unwrap_or(0);
        let now = clock::now();
        let began = *first.get_or_insert(now);
        until = began + LOOK;
        let elapsed = now.since(began);
        if count == 0 {
            // It came to its end. What happens now does not, or its end is not ahead of the time.
            return stamps.span > (elapsed + ANALYSED).as_secs_f64();
        }
        text.extend_from_slice(&block[..count]);
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        String::from_utf8_lossy(&text[..whole]).lines().for_each(|line| stamps.line(line));
        text.drain(..whole);
        if stamps.span > (elapsed + AHEAD).as_secs_f64() {
            return true;
        }
    }
    false
}

/// How much of a film came, by the stamps of its pictures in the order in which they are decoded.
#[derive(Default)]
struct Progress {
    latest: Option<f64>,
    /// Seconds.
    span: f64,
}

impl Progress {
    /// One stamp in seconds, perhaps with a comma after it; anything else is none.
    fn line(&mut self, line: &str) {
        let Ok(stamp) = line.trim_end_matches(',').trim().parse::<f64>() else { return };
        let latest = *self.latest.get_or_insert(stamp);
        let step = stamp - latest;
        // A jump is the sender's, and tells nothing; a step back is the order of decoding.
        if step.abs() > JUMP {
            self.latest = Some(stamp);
        } else if step > 0.0 {
            self.span += step;
            self.latest = Some(stamp);
        }
    }
}

/// No longer than people wait gladly.
const LOOK: Duration = Duration::from_secs(2);
/// ffprobe has just looked at the same address: it says something sooner if something comes.
const START: Duration = Duration::from_secs(5);
/// ffprobe holds as much back until it knows what it is: half a second, see `-analyzeduration` above, and what a GOP adds.
const ANALYSED: Duration = Duration::from_secs(1);
/// A sender of what happens now begins with as much as it holds ready for newcomers: some seconds.
const AHEAD: Duration = Duration::from_secs(8);
/// Seconds between two pictures; more is no interval.
const JUMP: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_add_up_and_jumps_do_not() {
        let mut stamps = Progress::default();
        for line in ["10.0", "10.12", "10.04,", "10.08", "N/A", "", "10.16", "5000.0", "5000.04", "0.5", "0.54"] {
            stamps.line(line);
        }
        assert!((stamps.span - 0.24).abs() < 1e-9, "{}", stamps.span);
    }
}
