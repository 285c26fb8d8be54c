//! What ffprobe says about a film, reduced to what decoding it right takes: size, rotation, rate, colour, fields, and the
//! tracks of its sound. Everything is optional and nothing is believed: noise gives an error or `None`, never a panic.

mod ask;
mod choice;
mod report;
mod stream;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(super) use self::ask::{PROBE_ADDRESS, first_stamp, probe, probe_address, probe_bytes};
pub(super) use self::choice::is_still_codec;
use self::report::{Format, Report, Stream, seconds, stamp};
use super::photo::Turn;
use crate::media::tonemap::Transfer;
use crate::units::Rate;

/// The matrix of a film's YUV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matrix {
    Bt601,
    Bt709,
    Smpte240m,
    Bt2020,
    /// Not YUV, or one that only swscale knows: it reads the tags itself.
    Other,
}

/// A film as ffmpeg will hand it to our filters: turned upright already.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Film {
    /// ffmpeg's number of the stream.
    pub stream: u32,
    pub codec: String,
    pub width: u32,
    pub height: u32,
    /// Width over height of one sample.
    pub aspect: (u32, u32),
    /// The usual one: what the film says, or the average where it says none. Its stamps say when each picture is due.
    pub rate: Rate,
    /// Its header says all about its streams, and its stamps do not jump: little need be read to find out.
    pub indexed: bool,
    /// As [`Found::cut`] of its file.
    pub cut: bool,
    /// Each of its stamps is the end of the picture before, as ffmpeg reads them: Theora in Ogg.
    pub stamped_by_ends: bool,
    /// Its pictures may come in another size in mid-film: broadcasts, calls and recorded streams do that.
    pub changing: bool,
    pub matrix: Matrix,
    /// Of an HDR film.
    pub transfer: Option<Transfer>,
    pub full_range: bool,
    pub interlaced: bool,
    pub length: Option<Duration>,
    pub pictures: Option<u32>,
    /// Stamp of its first picture, in seconds.
    pub start: Option<f64>,
    /// One picture of an image format, and nothing else.
    pub still: bool,
    /// What is still to be done so that it stands upright: only for still pictures.
    pub turn: Turn,
}

/// One of a file's tracks of sound.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Track {
    /// ffmpeg's number of the stream.
    pub stream: u32,
    pub codec: String,
    /// Frames a second.
    pub rate: u32,
    pub channels: u32,
    /// The channels' names as ffmpeg knows them, such as `5.1(side)`; often empty.
    pub layout: String,
    /// As three letters, where it is known.
    pub language: Option<String>,
    /// Stamp of its first frame, in seconds.
    pub start: Option<f64>,
    /// The one that players choose.
    pub preferred: bool,
}

/// All that a file holds for us: pictures, sound, or both.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub film: Option<Film>,
    pub tracks: Vec<Track>,
    /// What ffmpeg takes for the file's zero, in seconds: the earliest stamp.
    pub start: f64,
    /// Cut anywhere, as broadcasts are: stamps jump, and the first packets may be no pictures yet. ffmpeg takes the
    /// earliest stamp of the streams in use for such a file's zero.
    pub cut: bool,
    /// Of the whole file.
    pub length: Option<Duration>,
    /// Each stream says what it is. Of an address that was looked at for a moment only, some may not have begun.
    pub settled: bool,
    pub origin: Origin,
}

/// What sort of file it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// As ffmpeg calls it, with all the names that it has.
    format: String,
    /// The kind of MP4.
    brand: String,
    /// Bytes, where that is known.
    pub size: Option<u64>,
}

/// Reads what `ffprobe -of json -show_programs -show_streams -show_format` printed; `None` if it is no report, or one of neither pictures
/// nor sound.
pub(super) fn parse(json: &[u8]) -> Option<Found> {
    let report: Report = serde_json::from_slice(json).ok()?;
    let film = choice::film(&report);
    let mut tracks: Vec<_> = report.streams.iter().filter_map(Stream::track).collect();
    choice::prefer_own(&mut tracks, film, &report.programs);
    let found = Found {
        film: film.map(|stream| stream.film(&report.format)),
        tracks,
        start: report.format.start_time.as_deref().and_then(stamp).unwrap_or(0.0),
        cut: report.format.format_name.split(',').any(|name| CUT.contains(&name)),
        length: report.format.duration.as_deref().and_then(seconds),
        settled: !report.streams.is_empty() && report.streams.iter().all(Stream::is_settled),
        origin: Origin::of(&report.format),
    };
    (found.film.is_some() || !found.tracks.is_empty()).then_some(found)
}

impl Origin {
    fn of(format: &Format) -> Self {
        let (name, brand) = (format.format_name.clone(), format.tags.major_brand.clone());
        Self { format: name, brand, size: format.size.as_deref().and_then(|size| size.parse().ok()) }
    }

    /// Made for single pictures, although many may be in it.
    pub fn is_image(&self) -> bool {
        let format = self.format.as_str();
        let brands = ["avif", "avis", "heic", "heix", "mif1"];
        matches!(format, "image2" | "ico" | "gif" | "apng")
            || format.ends_with("_pipe")
            || brands.contains(&self.brand.as_str())
    }

    /// Something that happens now, and has neither length nor end.
    pub fn is_live(&self) -> bool {
        self.format.split(',').any(|name| LIVE.contains(&name))
    }
}

impl Found {
    /// Of the film, or of the sound where there is no film.
    pub fn length(&self) -> Option<Duration> {
        self.film.as_ref().map_or(self.length, |film| film.length)
    }

    /// One still picture, and nothing to hear.
    pub fn is_still(&self) -> bool {
        self.film.as_ref().is_some_and(|film| film.still)
    }
}

/// Formats whose stamps ffmpeg expects to jump (its flag `TS_DISCONT`).
const CUT: [&str; 6] = ["mpegts", "mpeg", "ogg", "hls", "rtsp", "live_flv"];
/// Formats of what happens now, if it is not known when it ends.
const LIVE: [&str; 6] = ["hls", "dash", "mpjpeg", "rtsp", "rtp", "sdp"];

/// Any bytes are a film or none.
#[doc(hidden)]
pub fn fuzz_probe(data: &[u8]) {
    let Some(found) = parse(data) else { return };
    if let Some(film) = &found.film {
        assert!(film.width > 0 && film.height > 0 && film.aspect.0 > 0 && film.aspect.1 > 0);
        super::plan::fit(film, None);
        super::plan::fit(film, Some(u16::MAX));
    }
    super::sound::fuzz_choose(&found);
}
