//! Which of several tracks of pictures is shown, and which sound belongs to it: as players choose.

use super::Track;
use super::report::{self, Disposition, Program, Report, Stream};

/// The track that is shown: never a cover while there is anything else, a film before a still picture, then the one that
/// is marked as the default, then the largest, then the first.
pub(super) fn film(report: &Report) -> Option<&Stream> {
    let films = report.streams.iter().filter(|stream| stream.is_film());
    let best = films.rev().max_by_key(|stream| Rank::of(stream))?;
    // A cover of a song is not a film.
    (!best.disposition.is_cover() || report.streams.len() == 1).then_some(best)
}

/// Of a broadcast with several programs, or a film in several variants, sound of another one is not preferred.
pub(super) fn prefer_own(tracks: &mut [Track], film: Option<&Stream>, programs: &[Program]) {
    let holds = |program: &&Program, stream: u32| program.streams.iter().any(|other| other.index == stream);
    let Some(film) = film else { return };
    let own: Vec<_> = programs.iter().filter(|program| holds(program, film.index)).collect();
    let is_own = |track: &Track| own.iter().any(|program| holds(program, track.stream));
    if !tracks.iter().any(is_own) {
        return;
    }
    tracks.iter_mut().filter(|track| !is_own(track)).for_each(|track| track.preferred = false);
    if !tracks.iter().any(|track| track.preferred) {
        tracks.iter_mut().find(|track| is_own(track)).into_iter().for_each(|track| track.preferred = true);
    }
}

/// Fields in order of weight; more is better.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    no_cover: bool,
    moves: bool,
    default: bool,
    pixels: u64,
}

impl Rank {
    fn of(stream: &Stream) -> Self {
        Self {
            no_cover: !stream.disposition.is_cover(),
            moves: stream.disposition.still_image == 0 && !stream.is_still(),
            default: stream.disposition.default != 0,
            pixels: u64::from(stream.width) * u64::from(stream.height),
        }
    }
}

impl Disposition {
    const fn is_cover(&self) -> bool {
        self.attached_pic != 0 || self.timed_thumbnails != 0
    }
}

impl Stream {
    /// One picture, or one without a rate, in a codec of single pictures.
    fn is_still(&self) -> bool {
        let average = report::rate(&self.avg_frame_rate);
        let lasts = self.tags.duration.as_deref().and_then(clock_time);
        let one_by_length = average.zip(lasts).is_some_and(|(rate, seconds)| seconds * rate.fps() < 1.5);
        let one = self.nb_frames.as_deref() == Some("1") || one_by_length || average.is_none();
        one && is_still_codec(&self.codec_name)
    }
}

/// Each picture of such a codec stands for itself, and most files of them hold one.
pub(in crate::source) fn is_still_codec(codec: &str) -> bool {
    STILL_CODECS.contains(&codec)
}

/// `HH:MM:SS.fraction`, in seconds.
fn clock_time(text: &str) -> Option<f64> {
    text.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))
}

/// As ffmpeg calls them.
const STILL_CODECS: [&str; 22] = [
    "mjpeg", "jpegls", "jpeg2000", "jpegxl", "png", "apng", "gif", "bmp", "webp", "tiff", "targa", "ppm", "pgm", "pbm",
    "pam", "pcx", "dpx", "exr", "qoi", "sgi", "svg", "psd",
];

#[cfg(test)]
mod tests {
    use crate::source::probe::parse;

    fn chosen(films: &[&str]) -> u32 {
        let film = |(index, more): (usize, &&str)| {
            let height = if more.contains("height") { "" } else { r#""height":48,"# };
            format!(r#"{{"index":{index},"codec_type":"video","width":64,"avg_frame_rate":"25/1",{height}{more}}}"#)
        };
        let films: Vec<_> = films.iter().enumerate().map(film).collect();
        let json = format!(r#"{{"streams":[{}]}}"#, films.join(","));
        parse(json.as_bytes()).and_then(|found| found.film).expect("pictures").stream
    }

    #[test]
    fn covers_and_stills_come_last_then_the_default_and_the_largest_count() {
        let plain = r#""codec_name":"h264","nb_frames":"9""#;
        let default = r#""codec_name":"h264","disposition":{"default":1}"#;
        let large = r#""codec_name":"h264","height":96"#;
        assert_eq!(chosen(&[plain, plain]), 0);
        assert_eq!(chosen(&[plain, default, default]), 1);
        assert_eq!(chosen(&[plain, large]), 1);
        assert_eq!(chosen(&[large, default]), 1);
        for disposition in ["attached_pic", "timed_thumbnails", "still_image"] {
            let cover = format!(r#""codec_name":"h264","disposition":{{"default":1,"{disposition}":1}}"#);
            assert_eq!(chosen(&[&cover, plain]), 1, "{disposition}");
        }
        for still in [r#""nb_frames":"1""#, r#""tags":{"DURATION":"00:00:00.040000000"}"#] {
            let still = format!(r#""codec_name":"mjpeg","disposition":{{"default":1}},{still}"#);
            assert_eq!(chosen(&[&still, plain]), 1, "{still}");
        }
        let moving = r#""codec_name":"mjpeg","disposition":{"default":1},"tags":{"DURATION":"00:01:00.0"}"#;
        assert_eq!(chosen(&[plain, moving]), 1);
    }

    /// Two variants, small and large, as a playlist of HLS has them.
    #[test]
    fn the_sound_is_that_of_the_variant() {
        let film = |index, height| {
            format!(r#"{{"index":{index},"codec_type":"video","codec_name":"h264","width":64,"height":{height}}}"#)
        };
        let sound = |index| {
            format!(r#"{{"index":{index},"codec_type":"audio","codec_name":"aac","sample_rate":"48000","channels":2}}"#)
        };
        let streams = [film(0, 48), sound(1), film(2, 96), sound(3)].join(",");
        let programs = r#"{"streams":[{"index":0},{"index":1}]},{"streams":[{"index":2},{"index":3}]}"#;
        let json = format!(r#"{{"programs":[{programs}],"streams":[{streams}]}}"#);
        let found = parse(json.as_bytes()).expect("a report");
        assert_eq!(found.film.map(|film| film.stream), Some(2));
        let preferred: Vec<_> = found.tracks.iter().map(|track| (track.stream, track.preferred)).collect();
        assert_eq!(preferred, [(1, false), (3, true)]);
    }
}
