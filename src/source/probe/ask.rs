//! ffprobe and ffmpeg asked about a film before it is decoded.

use std::time::Duration;

use super::{Film, Found, parse};
use crate::clock;
use crate::ffmpeg::{self, Answer, Control, Question, Reading};
use crate::source::SourceError;
use crate::source::run::{no_film, silent};

/// Asks ffprobe about a film; `feed` is what it finds on its stdin.
pub(in crate::source) fn probe(control: &Control, reading: &Reading, feed: &[u8]) -> Result<Found, SourceError> {
    ask(control, reading, feed, &[])
}

/// The same of an address. A look of a second says everything about most that have no end, where ffprobe by itself looks
/// for five seconds.
pub(in crate::source) fn probe_address(control: &Control, reading: &Reading) -> Result<Found, SourceError> {
    match ask(control, reading, &[], GLANCE) {
        Ok(found) if found.settled && found.length().is_none() => Ok(found),
        Ok(_) | Err(SourceError::NoPicture(_)) => probe(control, reading, &[]),
        Err(error) => Err(error),
    }
}

/// The same of the first bytes that came from somewhere; all of them are looked at.
pub(in crate::source) fn probe_bytes(control: &Control, reading: &Reading, bytes: &[u8]) -> Result<Found, SourceError> {
    ask(control, reading, bytes, &["-probesize", "100000000", "-analyzeduration", "60000000"])
}

/// `more` are options for the input.
fn ask(control: &Control, reading: &Reading, feed: &[u8], more: &[&str]) -> Result<Found, SourceError> {
    let (local, name) = (reading.local, reading.name.as_str());
    let mut command = ffmpeg::ffprobe()?;
    command.args(more);
    reading.restrict(&mut command);
    command.args(["-of", "json", "-show_programs", "-show_streams", "-show_format", "-i"]).arg(&reading.address);
    let patience = if local { PROBE_FILE } else { PROBE_ADDRESS };
    let question = Question { command, feed, input: &reading.address.to_string_lossy(), name };
    let answer = control.ask(question, clock::now() + patience).map_err(SourceError::Start)?;
    let Some(Answer { succeeded, output, words }) = answer else {
        return Err(if control.stopped() { SourceError::Stopped } else { silent(local, name, patience) });
    };
    match parse(&output) {
        Some(found) => Ok(found),
        None if !succeeded || words.say_animated_webp() => Err(no_film(&words, local, name)),
        None => Err(SourceError::NoPicture(name.to_owned())),
    }
}

/// The stamp of the first picture that can be decoded, in seconds; the container's word is that of its first packet, which
/// of a film that was cut anywhere is often none. `None` if nothing comes soon.
pub(in crate::source) fn first_stamp(control: &Control, reading: &Reading, film: &Film) -> Option<f64> {
    let mut command = ffmpeg::ffmpeg().ok()?;
    command.arg("-copyts");
    reading.input(&mut command, &["-an", "-sn", "-dn"]);
    command.args(["-map", &format!("0:{}", film.stream), "-frames:v", "1", "-vf", "scale=16:16", "-fps_mode"]);
    command.args(["passthrough", "-enc_time_base", "1:1000000", "-f", "framecrc", "pipe:1"]);
    let input = reading.address.to_string_lossy();
    let question = Question { command, feed: &[], input: &input, name: &reading.name };
    let answer = control.ask(question, clock::now() + PROBE_ADDRESS).ok()??;
    // `#tb 0: 1/1000000`, then `0, dts, pts, duration, size, sum`.
    let text = String::from_utf8_lossy(&answer.output).into_owned();
    let unit = text.lines().find_map(|line| line.strip_prefix("#tb 0: 1/")?.parse::<f64>().ok())?;
    let line = text.lines().find(|line| !line.starts_with('#'))?;
    Some(line.split(',').nth(2)?.trim().parse::<f64>().ok()? / unit)
}

/// In microseconds.
const GLANCE: &[&str] = &["-analyzeduration", "1000000"];
/// Nobody waits longer for an address that is dead; ffprobe itself looks at a live one for five seconds.
pub(in crate::source) const PROBE_ADDRESS: Duration = Duration::from_secs(10);
/// A disc that sleeps wakes in less, and so does a machine that is busy.
const PROBE_FILE: Duration = Duration::from_secs(30);
