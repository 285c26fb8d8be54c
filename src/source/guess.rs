//! Decoding begun before it is known what there is to decode: while ffprobe looks at a file, an ffmpeg is started already
//! that does what an ordinary film of its kind takes. If the look finds that it would have been told the very same, its
//! pictures are used; else it is ended. Starting each takes a tenth of a second and more, most of it in loading libraries,
//! so one after the other they take twice as long.

use super::backlog::Surplus;
use super::child::Control;
use super::ffmpeg::Child;
use super::plan::{Plan, Reading};
use super::probe::{self, Found};
use super::{Input, Options, PaceChoice, file};

/// Starts an ffmpeg on suspicion; `None` where the name says nothing, or if it cannot be started.
pub(super) fn start(input: &Input, options: &Options, control: &Control, surplus: Surplus) -> Option<Child> {
    let plan = guess(input, options)?;
    // Why it does not start is found out again, and then said.
    plan.spawn(control, surplus).ok()
}

/// The plan for an ordinary film of this name.
fn guess(input: &Input, options: &Options) -> Option<Plan> {
    let Input::File(path) = input else { return None };
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    let known = ORDINARY.contains(&ending.as_str()) && path.is_file() && options.pace != PaceChoice::Live;
    let name = input.name();
    let address = file::local_address(path, &name).ok().filter(|_| known)?;
    let reading = Reading { address, local: true, paced: false, live: false, twice: true, name };
    file::plan(reading, &ordinary()?, options).ok()
}

/// Pictures of 720p that ffmpeg hands over as they are, and a track of sound behind them.
fn ordinary() -> Option<Found> {
    probe::parse(
        br#"{"streams":[{"index":0,"codec_type":"video","codec_name":"h264","width":1280,"height":720,"pix_fmt":"yuv420p",
        "color_space":"bt709","r_frame_rate":"30/1","avg_frame_rate":"30/1","start_time":"0"},{"index":1,
        "codec_type":"audio","codec_name":"aac","sample_rate":"48000","channels":2,"start_time":"0"}],
        "format":{"format_name":"mov,mp4","start_time":"0"}}"#,
    )
}

/// Endings of films whose pictures nearly always come first, in one size.
const ORDINARY: [&str; 3] = ["mp4", "m4v", "mov"];
