//! Which of a file's tracks is heard, and what ffmpeg does to it: 44.1 kHz, 16 bits, stereo, in step with the pictures.
//!
//! More channels than two are mixed by ffmpeg (`-ac 2`): left = front left + 0.707 × centre + 0.707 × side or back left,
//! right alike, the low-frequency channel left out, and all of it divided by the sum of its factors (2.414 for 5.1), so
//! that nothing is cut. Mono comes on both sides as it is.

use std::time::Duration;

use super::probe::{Found, Track};
use super::timeline::{TOGETHER, Zero, longest_gap};
use super::{SoundOptions, SourceError};
use crate::ffmpeg::FfmpegCommand;
use crate::media::sound::RATE;

/// One track on its way through ffmpeg.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SoundPlan {
    stream: u32,
    timing: Timing,
    options: SoundOptions,
}

/// How the sound finds its place beside the pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Timing {
    /// By its stamps, of which `zero` is the stream's zero, as it is of those of the pictures; `silence` whole seconds before
    /// the first frame are ours to fill. Jumps are closed as those of the pictures are, if there can be any.
    Stamps { zero: f64, silence: u64, jumps: Option<Duration> },
    /// By when it comes: stamps of another connection say nothing about this one.
    Arrival,
    /// Live: by its own first stamp, which ffmpeg writes into a pipe, as it does with those of the pictures. Jumps are closed
    /// as above.
    Beside { jumps: Duration },
    /// Frame after frame as it is decoded; there are no pictures.
    None,
}

impl SoundPlan {
    /// The track that was asked for, or else the one that players choose, or else the first. `None` if no sound is wanted
    /// or there is none.
    pub fn choose(found: &Found, options: Option<SoundOptions>, name: &str) -> Result<Option<Self>, SourceError> {
        let Some(options) = options else { return Ok(None) };
        let Some(track) = track(found, &options, name)? else { return Ok(None) };
        let timing = found.film.as_ref().map_or(Timing::None, |film| {
            let first = film.start.unwrap_or(found.start);
            let start = track.start.unwrap_or(first);
            let jumps = (!film.indexed).then(|| longest_gap(film.cut));
            Timing::stamps(start.min(first), (start - first).max(0.0), jumps)
        });
        Ok(Some(Self { stream: track.stream, timing, options }))
    }

    /// From now on its place is where it comes.
    pub fn place_by_arrival(&mut self) {
        self.timing = Timing::Arrival;
    }

    /// From now on its stamps say where it lies beside the pictures of the same run.
    pub fn place_beside(&mut self, jumps: Duration) {
        self.timing = Timing::Beside { jumps };
    }

    pub fn is_placed_beside(&self) -> bool {
        matches!(self.timing, Timing::Beside { .. })
    }

    pub fn is_placed_by_arrival(&self) -> bool {
        self.timing == Timing::Arrival
    }

    /// Frames of silence before what ffmpeg sends.
    pub const fn silence(&self) -> u64 {
        match self.timing {
            Timing::Stamps { silence, .. } => silence * RATE as u64,
            Timing::Arrival | Timing::Beside { .. } | Timing::None => 0,
        }
    }

    /// What the pictures' stamps count from.
    pub const fn zero(&self) -> Zero {
        match self.timing {
            Timing::Stamps { zero, .. } => Zero::File(zero),
            Timing::Beside { .. } => Zero::File(0.0),
            Timing::Arrival | Timing::None => Zero::First(0.0),
        }
    }

    pub const fn mono(&self) -> bool {
        self.options.mono
    }

    /// An output of ffmpeg: the track of its input `input`, to the descriptor `to`, its stamps to the descriptor `stamps`.
    pub fn output(&self, command: &mut FfmpegCommand, input: u32, to: i32, stamps: Option<i32>) {
        command.args(["-map", &format!("{input}:{}", self.stream), "-vn", "-sn", "-dn"]);
        let mut filters = self.filters();
        if let Some(stamps) = stamps {
            let key = "ametadata=mode=add:key=t:value=1";
            filters += &format!(",asettb=1/1000000,{key},ametadata=mode=print:key=t:direct=1:file='pipe\\:{stamps}'");
        }
        if !filters.is_empty() {
            command.args(["-af", &filters]);
        }
        command.args(["-ac", "2", "-ar", &RATE.to_string(), "-c:a", "pcm_s16le"]);
        command.args(["-flush_packets", "1", "-f", "s16le", &format!("pipe:{to}")]);
    }

    /// The stamp of its first frame, in seconds.
    pub fn start(&self, found: &Found) -> Option<f64> {
        found.tracks.iter().find(|track| track.stream == self.stream)?.start
    }

    /// An output of ffmpeg's first input: what is heard from this stamp on, in seconds, to the frame.
    pub fn excerpt(&self, command: &mut FfmpegCommand, zero: f64) {
        command.args(["-map", &format!("0:{}", self.stream), "-vn", "-sn", "-dn"]);
        command.args(["-af", &format!("asetpts=PTS-({zero:.6})/TB,{}", in_step())]);
        command.args(["-ac", "2", "-ar", &RATE.to_string(), "-c:a", "pcm_s16le", "-f", "s16le", "pipe:1"]);
    }

    /// The filters in order; none where ffmpeg's plain conversion is all there is to do.
    fn filters(&self) -> String {
        let mut filters = Vec::new();
        match self.timing {
            Timing::Stamps { zero, silence, jumps } => {
                let zero = zero + silence as f64;
                filters.extend(match jumps {
                    Some(longest) => Some(closing_jumps(zero, longest)),
                    None => (zero != 0.0).then(|| format!("asetpts=PTS-({zero:.6})/TB")),
                });
                filters.push(in_step());
            }
            Timing::Arrival => filters.push(format!("aresample={RATE}:async=1")),
            Timing::Beside { jumps } => {
                filters.extend([closing_jumps(0.0, jumps), format!("aresample={RATE}:async=1")])
            }
            Timing::None => {}
        }
        let SoundOptions { gain_db, denoise, .. } = self.options;
        if denoise {
            filters.extend([format!("aresample={RATE}"), "aformat=channel_layouts=stereo".to_owned()]);
            // It hands everything over so much later than it came.
            let late = RATE / 40;
            filters.push(format!("apad=pad_len={late},afftdn,atrim=start_sample={late},asetpts=PTS-{late}/SR/TB"));
        }
        filters.extend((gain_db != 0.0).then(|| format!("volume={gain_db}dB")));
        filters.join(",")
    }
}

/// The first frame comes to its place, to the frame, if it is off by more than a millisecond, and so does what follows a gap
/// of more than a tenth of a second. All other samples stay as they are.
fn in_step() -> String {
    format!("aresample={RATE}:async=1:first_pts=0")
}

impl Timing {
    /// `late`: how many seconds after the stream's zero the sound begins.
    fn stamps(zero: f64, late: f64, jumps: Option<Duration>) -> Self {
        Self::Stamps { zero, silence: ours(late), jumps }
    }
}

/// Stamps that count from `zero`, with jumps closed: the frame behind one follows the frame before it.
fn closing_jumps(zero: f64, longest: Duration) -> String {
    let (back, ahead) = (TOGETHER.as_secs_f64(), longest.as_secs_f64());
    let goes_on = format!("between((PTS-PREV_INPTS)*TB,-{back},{ahead})");
    let close = "PREV_OUTPTS+NB_SAMPLES/SR/TB";
    format!("asetpts='if(isnan(PREV_INPTS),PTS-({zero:.6})/TB,if({goes_on},PREV_OUTPTS+PTS-PREV_INPTS,{close}))'")
}

/// Seconds of silence that we put before sound which is so late. ffmpeg would write all of it at once, and halt until it is
/// heard; what is left to it is a second or two.
fn ours(late: f64) -> u64 {
    (late - 1.0).max(0.0) as u64
}

fn track<'a>(found: &'a Found, options: &SoundOptions, name: &str) -> Result<Option<&'a Track>, SourceError> {
    let tracks = &found.tracks;
    let Some(number) = options.track else {
        return Ok(tracks.iter().find(|track| track.preferred).or(tracks.first()));
    };
    let wanted = usize::try_from(number).ok().and_then(|number| tracks.get(number));
    wanted.map(Some).ok_or_else(|| no_track(number, tracks, name))
}

fn no_track(number: u32, tracks: &[Track], name: &str) -> SourceError {
    let line = |(number, track): (usize, &Track)| format!("{number} ({})", track.words());
    let list: Vec<_> = tracks.iter().enumerate().take(LISTED).map(line).collect();
    let list = if tracks.len() > LISTED { format!("{}, …", list.join(", ")) } else { list.join(", ") };
    match tracks.len() {
        0 => SourceError::NoSound(name.to_owned()),
        _ => SourceError::NoTrack { name: name.to_owned(), number, list },
    }
}

impl Track {
    /// `aac 48 kHz 5.1 eng`.
    fn words(&self) -> String {
        let language = self.language.as_deref().map(|language| format!(" {language}")).unwrap_or_default();
        format!("{} {} kHz {}{language}", self.codec, f64::from(self.rate) / 1e3, self.channel_words())
    }

    fn channel_words(&self) -> String {
        match (self.channels, self.layout.split('(').next().unwrap_or_default()) {
            (1, _) => "mono".to_owned(),
            (2, _) => "stereo".to_owned(),
            (channels, "") => format!("{channels} channels"),
            (_, layout) => layout.to_owned(),
        }
    }
}

/// What there is to hear, for people: `aac 48 kHz 5.1 → stereo`.
pub(super) fn describe(found: &Found, plan: Option<&SoundPlan>) -> String {
    let Some(plan) = plan else {
        return if found.tracks.is_empty() { "no sound" } else { "sound left out" }.to_owned();
    };
    let Some(track) = found.tracks.iter().find(|track| track.stream == plan.stream) else {
        return "no sound".to_owned();
    };
    let end = match (plan.options.mono, track.channels) {
        (_, 1) | (false, 2) => "",
        (true, _) => " → mono",
        (false, _) => " → stereo",
    };
    format!("{}{end}", track.words())
}

/// Whatever a report says, a plan can be made of it.
pub(super) fn fuzz_choose(found: &Found) {
    for track in [None, Some(0), Some(u32::MAX)] {
        let options = SoundOptions { track, denoise: true, gain_db: 1.0, ..SoundOptions::default() };
        if let Ok(Some(plan)) = SoundPlan::choose(found, Some(options), "a film") {
            assert!(!plan.filters().contains("NaN") && plan.silence() < u64::MAX / 2);
            describe(found, Some(&plan));
        }
    }
}

/// Tracks that a sentence has room for.
const LISTED: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::probe::Origin;

    fn found(tracks: &[(&str, u32, &str, bool)]) -> Found {
        let track = |(stream, &(codec, channels, layout, preferred)): (usize, &(&str, u32, &str, bool))| Track {
            stream: stream as u32 + 1,
            codec: codec.to_owned(),
            rate: 44_100,
            channels,
            layout: layout.to_owned(),
            language: (stream == 1).then(|| "ger".to_owned()),
            start: Some(0.0),
            preferred,
        };
        let tracks = tracks.iter().enumerate().map(track).collect();
        let origin = Origin::default();
        Found { film: None, tracks, start: 0.0, cut: false, length: None, settled: true, origin }
    }

    fn plan(found: &Found, options: SoundOptions) -> Option<SoundPlan> {
        SoundPlan::choose(found, Some(options), "a film").unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn the_track_that_players_choose_or_the_one_asked_for() {
        let two = found(&[("aac", 2, "stereo", false), ("ac3", 6, "5.1(side)", true)]);
        let preferred = plan(&two, SoundOptions::default()).expect("a track");
        assert_eq!(describe(&two, Some(&preferred)), "ac3 44.1 kHz 5.1 ger → stereo");
        let asked = plan(&two, SoundOptions { track: Some(0), mono: true, ..SoundOptions::default() });
        assert_eq!(describe(&two, asked.as_ref()), "aac 44.1 kHz stereo → mono");
        assert_eq!(describe(&two, None), "sound left out");
        assert_eq!(
            (plan(&found(&[]), SoundOptions::default()), describe(&found(&[]), None).as_str()),
            (None, "no sound")
        );
        let odd = found(&[("pcm_s16le", 3, "", false)]);
        let odd_plan = plan(&odd, SoundOptions::default());
        assert_eq!(describe(&odd, odd_plan.as_ref()), "pcm_s16le 44.1 kHz 3 channels → stereo");
    }

    #[test]
    fn a_track_that_is_not_there_is_answered_with_those_that_are() {
        let two = found(&[("aac", 2, "stereo", false), ("ac3", 6, "5.1(side)", true)]);
        let options = Some(SoundOptions { track: Some(2), ..SoundOptions::default() });
        let error = SoundPlan::choose(&two, options, "film.mkv").expect_err("no third").to_string();
        assert!(error.contains("no sound track 2") && error.contains("1 (ac3 44.1 kHz 5.1 ger)"), "{error}");
        let error = SoundPlan::choose(&found(&[]), options, "film.mkv").expect_err("none at all").to_string();
        assert!(error.contains("film.mkv has no sound"), "{error}");
    }

    #[test]
    fn filters_are_there_only_where_something_is_to_be_done() {
        let song = found(&[("mp3", 2, "stereo", false)]);
        let filters = |options| plan(&song, options).expect("a track").filters();
        assert_eq!(filters(SoundOptions { mono: true, ..SoundOptions::default() }), "");
        assert_eq!(filters(SoundOptions { gain_db: -3.5, ..SoundOptions::default() }), "volume=-3.5dB");
        let all = filters(SoundOptions { gain_db: 6.0, denoise: true, ..SoundOptions::default() });
        assert!(all.ends_with("asetpts=PTS-1102/SR/TB,volume=6dB") && all.contains(",afftdn,"), "{all}");
        let placed = |timing| {
            let plan = SoundPlan { timing, ..plan(&song, SoundOptions::default()).expect("one") };
            (plan.filters(), plan.silence() / 44_100)
        };
        let step = "aresample=44100:async=1:first_pts=0".to_owned();
        assert_eq!(placed(Timing::stamps(0.0, 0.0, None)), (step.clone(), 0));
        assert_eq!(placed(Timing::stamps(0.0, 1.5, None)), (step.clone(), 0));
        assert_eq!(placed(Timing::stamps(-0.021, 0.0, None)), (format!("asetpts=PTS-(-0.021000)/TB,{step}"), 0));
        assert_eq!(placed(Timing::stamps(0.0, 61.5, None)), (format!("asetpts=PTS-(60.000000)/TB,{step}"), 60));
        let closing = "asetpts='if(isnan(PREV_INPTS),PTS-(1.500000)/TB,if(between((PTS-PREV_INPTS)*TB,-0.5,60),\
                       PREV_OUTPTS+PTS-PREV_INPTS,PREV_OUTPTS+NB_SAMPLES/SR/TB))'";
        assert_eq!(placed(Timing::stamps(1.5, 0.0, Some(longest_gap(true)))), (format!("{closing},{step}"), 0));
        let zero = |timing| SoundPlan { timing, ..plan(&song, SoundOptions::default()).expect("one") }.zero();
        assert_eq!(zero(Timing::stamps(0.5, 1.0, None)), Zero::File(0.5));
    }
}
