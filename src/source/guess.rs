//! Decoding begun before it is known what there is to decode: while ffprobe looks at a file, an ffmpeg is started already
//! that does what an ordinary film with these tracks takes. If the look finds that it would have been told the very same,
//! its pictures are used; else it is ended. Starting each takes a tenth of a second, most of it in loading libraries, so one
//! after the other they take twice as long.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::backlog::Surplus;
use super::pass::Decoder;
use super::plan::Plan;
use super::probe::{self, Found};
use super::{Input, Options, PaceChoice, file};
use crate::ffmpeg::{Control, Reading};

/// Starts an ffmpeg on suspicion; `None` where the file says too little, or if it cannot be started.
pub(super) fn start(input: &Input, options: &Options, control: &Control, surplus: Surplus) -> Option<Decoder> {
    let plan = guess(input, options)?;
    // Why it does not start is found out again, and then said.
    plan.spawn(control, surplus).ok()
}

/// The plan for an ordinary film with this file's tracks.
fn guess(input: &Input, options: &Options) -> Option<Plan> {
    let Input::File(path) = input else { return None };
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    let known = ENDINGS.contains(&ending.as_str()) && path.is_file() && options.pace != PaceChoice::Live;
    let tracks = known.then(|| tracks(path).ok()).flatten()?;
    let name = input.name();
    let address = file::local_address(path, &name).ok()?;
    let reading = Reading { address, local: true, paced: false, live: false, twice: true, name };
    file::plan(reading, &ordinary(&tracks)?, options).ok()
}

/// Pictures of 720p that ffmpeg hands over as they are, and the first of the tracks of sound.
fn ordinary(tracks: &[[u8; 4]]) -> Option<Found> {
    let first = |kind: &[u8; 4]| tracks.iter().position(|track| track == kind);
    let pictures = first(b"vide")?;
    let sound = first(b"soun").map_or(String::new(), |sound| {
        format!(
            r#",{{"index":{sound},"codec_type":"audio","codec_name":"aac","sample_rate":"48000","channels":2,
            "start_time":"0"}}"#
        )
    });
    let report = format!(
        r#"{{"streams":[{{"index":{pictures},"codec_type":"video","codec_name":"h264","width":1280,"height":720,
        "pix_fmt":"yuv420p","color_space":"bt709","r_frame_rate":"30/1","avg_frame_rate":"30/1","start_time":"0"}}{sound}],
        "format":{{"format_name":"mov,mp4","start_time":"0"}}}}"#
    );
    probe::parse(report.as_bytes())
}

/// What kinds of tracks an MP4 has, in their order (ISO/IEC 14496-12: each track's `hdlr` box in the `moov` box).
fn tracks(path: &Path) -> io::Result<Vec<[u8; 4]>> {
    let mut file = File::open(path)?;
    loop {
        let [mut head, mut long] = [[0; 8]; 2];
        file.read_exact(&mut head)?;
        let [a, b, c, d, kind @ ..] = head;
        let (size, header) = match u32::from_be_bytes([a, b, c, d]) {
            1 => {
                file.read_exact(&mut long)?;
                (u64::from_be_bytes(long), 16)
            }
            size => (size.into(), 8),
        };
        // A size of zero is a box to the end of the file.
        let body = if size == 0 { u64::MAX } else { size.checked_sub(header).ok_or(io::ErrorKind::InvalidData)? };
        if &kind == b"moov" {
            let mut moov = Vec::new();
            file.take(body.min(LARGEST)).read_to_end(&mut moov)?;
            return Ok(handlers(&moov));
        }
        file.seek(SeekFrom::Current(i64::try_from(body).map_err(|_| io::ErrorKind::UnexpectedEof)?))?;
    }
}

/// Behind `hdlr` stand a version with flags and four bytes that say nothing, and then what it handles.
fn handlers(moov: &[u8]) -> Vec<[u8; 4]> {
    let all = moov.windows(16).filter(|window| window.starts_with(b"hdlr"));
    let kinds = all.filter_map(|window| window.last_chunk().copied());
    kinds.filter(|kind| TRACKS.contains(&kind)).collect()
}

/// Endings of films in MP4 and its like.
const ENDINGS: [&str; 3] = ["mp4", "m4v", "mov"];
/// What a track may hold that ffmpeg counts as a stream.
const TRACKS: [&[u8; 4]; 9] = [b"vide", b"soun", b"text", b"sbtl", b"subt", b"tmcd", b"meta", b"hint", b"clcp"];
/// The index of ten hours of film.
const LARGEST: u64 = 16 << 20;
