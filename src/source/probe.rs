//! What ffprobe says about a film, reduced to what decoding it right takes: size, rotation, rate, colour, fields.
//! Everything is optional and nothing is believed: noise gives an error or `None`, never a panic.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

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
    pub rate: Rate,
    /// The rate is not the same throughout (or not known), so it needs evening out.
    pub uneven: bool,
    pub matrix: Matrix,
    pub full_range: bool,
    pub interlaced: bool,
    pub length: Option<Duration>,
    pub pictures: Option<u32>,
    pub has_sound: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Report {
    streams: Vec<Stream>,
    format: Format,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Format {
    format_name: String,
    duration: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Stream {
    index: u32,
    codec_type: String,
    codec_name: String,
    width: u32,
    height: u32,
    sample_aspect_ratio: String,
    pix_fmt: String,
    color_space: String,
    color_range: String,
    field_order: String,
    r_frame_rate: String,
    avg_frame_rate: String,
    duration: Option<String>,
    nb_frames: Option<String>,
    disposition: Disposition,
    tags: Tags,
    side_data_list: Vec<SideData>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Disposition {
    attached_pic: i64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tags {
    rotate: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SideData {
    rotation: Option<f64>,
    #[serde(flatten)]
    _rest: std::collections::BTreeMap<String, IgnoredAny>,
}

/// Why a report holds no film.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoFilm {
    /// Not a report at all, or one without streams.
    Nothing,
    /// Sound, perhaps with a cover picture.
    SoundOnly,
}

/// Reads what `ffprobe -of json -show_streams -show_format` printed.
pub(super) fn parse(json: &[u8]) -> Result<Film, NoFilm> {
    let report: Report = serde_json::from_slice(json).map_err(|_| NoFilm::Nothing)?;
    let has_sound = report.streams.iter().any(|stream| stream.codec_type == "audio");
    let is_film = |stream: &&Stream| stream.is_film();
    let mut films = report.streams.iter().filter(is_film);
    // A cover is not a film, unless there is nothing else at all.
    let film = films.clone().find(|stream| stream.disposition.attached_pic == 0);
    let film = film.or_else(|| films.next().filter(|_| report.streams.len() == 1));
    match film {
        Some(stream) => Ok(stream.film(&report.format, has_sound)),
        None if has_sound => Err(NoFilm::SoundOnly),
        None => Err(NoFilm::Nothing),
    }
}

impl Stream {
    fn is_film(&self) -> bool {
        // Text drawn as pictures: ffmpeg takes any file for it whose name ends in .txt, .nfo or .bin.
        let text = matches!(self.codec_name.as_str(), "ansi" | "bintext" | "xbin" | "idf");
        self.codec_type == "video" && self.width > 0 && self.height > 0 && !text
    }

    fn film(&self, format: &Format, has_sound: bool) -> Film {
        let turned = self.turned();
        let (width, height) = if turned { (self.height, self.width) } else { (self.width, self.height) };
        let aspect = ratio(&self.sample_aspect_ratio).unwrap_or((1, 1));
        let aspect = if turned { (aspect.1, aspect.0) } else { aspect };
        let (rate, uneven) = self.rate();
        // Matroska's average is what its header claims, however far apart the pictures are.
        let uneven = uneven || format.format_name.starts_with("matroska");
        let length = self.duration.as_deref().or(format.duration.as_deref()).and_then(seconds);
        Film {
            stream: self.index,
            codec: self.codec_name.clone(),
            width,
            height,
            aspect,
            rate,
            uneven,
            matrix: self.matrix(),
            full_range: self.full_range(),
            interlaced: matches!(self.field_order.as_str(), "tt" | "bb" | "tb" | "bt"),
            length,
            pictures: self.nb_frames.as_deref().and_then(|count| count.parse().ok()).filter(|&count| count > 0),
            has_sound,
        }
    }

    fn turned(&self) -> bool {
        let tagged = self.tags.rotate.as_deref().and_then(|degrees| degrees.parse().ok());
        let degrees = self.side_data_list.iter().find_map(|data| data.rotation).or(tagged).unwrap_or(0.0);
        let quarter = (degrees / 90.0_f64).round();
        quarter.is_finite() && quarter.rem_euclid(2.0) == 1.0
    }

    /// The film's rate, and whether it must be evened out. `r_frame_rate` is the finest grid all stamps lie on, so it
    /// is the nominal rate only where the average is close to it.
    fn rate(&self) -> (Rate, bool) {
        let [nominal, average] = [&self.r_frame_rate, &self.avg_frame_rate].map(|text| rate(text));
        match (nominal, average) {
            (Some(nominal), Some(average)) if nominal == average => (nominal, false),
            (Some(nominal), Some(average)) if (average.fps() / nominal.fps() - 1.0).abs() < 0.02 => (nominal, true),
            (_, Some(average)) => (Rate::from_fps(average.fps()).unwrap_or(average), true),
            (Some(nominal), None) => (nominal, false),
            (None, None) => (TWENTY_FIVE, true),
        }
    }

    fn full_range(&self) -> bool {
        self.color_range == "pc" || self.pix_fmt.starts_with("yuvj")
    }

    /// Untagged films of 720 lines and more are BT.709, except full-range ones: those are JPEGs or were made here.
    fn matrix(&self) -> Matrix {
        let planar = ["yuv", "nv1", "nv2", "p01", "p21", "yuyv", "uyvy"];
        if !planar.iter().any(|start| self.pix_fmt.starts_with(start)) {
            return Matrix::Other;
        }
        match self.color_space.as_str() {
            "bt709" => Matrix::Bt709,
            "bt470bg" | "smpte170m" => Matrix::Bt601,
            "smpte240m" => Matrix::Smpte240m,
            "bt2020nc" | "bt2020_ncl" => Matrix::Bt2020,
            "" | "unknown" | "reserved" if self.height >= 720 && !self.full_range() => Matrix::Bt709,
            "" | "unknown" | "reserved" => Matrix::Bt601,
            _ => Matrix::Other,
        }
    }
}

/// `a:b` or `a/b`, both above zero.
fn ratio(text: &str) -> Option<(u32, u32)> {
    let (num, den) = text.split_once([':', '/'])?;
    let (num, den) = (num.parse().ok()?, den.parse().ok()?);
    (num > 0 && den > 0).then_some((num, den))
}

fn rate(text: &str) -> Option<Rate> {
    let (num, den) = ratio(text)?;
    Rate::new(num, den)
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().filter(|length| !length.is_zero())
}

/// What ffmpeg itself assumes where nothing is known.
const TWENTY_FIVE: Rate = match Rate::new(25, 1) {
    Some(rate) => rate,
    None => unreachable!(),
};

/// Any bytes are a film or none.
#[doc(hidden)]
pub fn fuzz_probe(data: &[u8]) {
    if let Ok(film) = parse(data) {
        assert!(film.width > 0 && film.height > 0 && film.aspect.0 > 0 && film.aspect.1 > 0);
        super::ffmpeg::fit(&film, None);
        super::ffmpeg::fit(&film, Some(u16::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: &str = r#"{"streams":[{"index":0,"codec_type":"audio"},{"index":1,"codec_type":"video",
        "codec_name":"hevc","width":1920,"height":1080,"sample_aspect_ratio":"4:3","pix_fmt":"yuv420p10le",
        "color_space":"bt2020nc","color_range":"tv","field_order":"progressive","r_frame_rate":"30/1",
        "avg_frame_rate":"2997/100","duration":"4.5","nb_frames":"135","disposition":{"attached_pic":0},
        "tags":{"rotate":"90"},"side_data_list":[{"side_data_type":"Display Matrix","rotation":-90}]}],
        "format":{"duration":"4.6"}}"#;

    #[test]
    fn a_film_turned_by_a_quarter() {
        let film = parse(PHONE.as_bytes()).expect("a film");
        assert_eq!((film.stream, film.width, film.height, film.aspect), (1, 1080, 1920, (3, 4)));
        assert_eq!((film.rate.fps(), film.uneven, film.pictures), (30.0, true, Some(135)));
        assert_eq!((film.matrix, film.full_range, film.has_sound), (Matrix::Bt2020, false, true));
        assert_eq!(film.length, Some(Duration::from_millis(4_500)));
    }

    #[test]
    fn a_cover_is_a_film_only_alone() {
        let cover = r#"{"index":0,"codec_type":"video","width":9,"height":9,"disposition":{"attached_pic":1}}"#;
        let alone = format!(r#"{{"streams":[{cover}]}}"#);
        assert_eq!(parse(alone.as_bytes()).map(|film| (film.width, film.matrix)), Ok((9, Matrix::Other)));
        let song = format!(r#"{{"streams":[{cover},{{"codec_type":"audio"}}]}}"#);
        assert_eq!(parse(song.as_bytes()), Err(NoFilm::SoundOnly));
        assert_eq!(parse(b"{}"), Err(NoFilm::Nothing));
        assert_eq!(parse(b"noise"), Err(NoFilm::Nothing));
    }

    #[test]
    fn text_is_no_film() {
        let noise = r#"{"streams":[{"codec_type":"video","codec_name":"bintext","width":1280,"height":2000}]}"#;
        assert_eq!(parse(noise.as_bytes()), Err(NoFilm::Nothing));
    }

    #[test]
    fn twenty_thousand_damaged_reports_never_panic() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize
        };
        for _ in 0..20_000 {
            let mut data = PHONE.as_bytes().to_vec();
            for _ in 0..=random() % 3 {
                let at = random() % data.len();
                data[at] = if random() % 2 == 0 { b'0' + (random() % 10) as u8 } else { random() as u8 };
            }
            fuzz_probe(&data);
        }
    }
}
