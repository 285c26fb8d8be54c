//! What ffprobe says about a film, reduced to what decoding it right takes: size, rotation, rate, colour, fields, and the
//! tracks of its sound. Everything is optional and nothing is believed: noise gives an error or `None`, never a panic.

mod choice;

use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

pub(super) use self::choice::is_still_codec;
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

#[derive(Deserialize, Default)]
#[serde(default)]
struct Report {
    streams: Vec<Stream>,
    programs: Vec<Program>,
    format: Format,
}

/// Streams that belong together: a program of a broadcast, or a variant of a film.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Program {
    streams: Vec<Member>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Member {
    index: u32,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Format {
    format_name: String,
    duration: Option<String>,
    start_time: Option<String>,
    size: Option<String>,
    tags: FormatTags,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FormatTags {
    major_brand: String,
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
    color_transfer: String,
    field_order: String,
    r_frame_rate: String,
    avg_frame_rate: String,
    sample_rate: Option<String>,
    channels: u32,
    channel_layout: String,
    start_time: Option<String>,
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
    timed_thumbnails: i64,
    still_image: i64,
    default: i64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tags {
    rotate: Option<String>,
    language: Option<String>,
    /// Matroska's length of one track.
    #[serde(rename = "DURATION")]
    duration: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SideData {
    rotation: Option<f64>,
    #[serde(flatten)]
    _rest: std::collections::BTreeMap<String, IgnoredAny>,
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

impl Stream {
    fn is_settled(&self) -> bool {
        match self.codec_type.as_str() {
            "video" => self.is_film() && !self.pix_fmt.is_empty(),
            "audio" => self.track().is_some(),
            _ => true,
        }
    }

    fn is_film(&self) -> bool {
        // Text drawn as pictures: ffmpeg takes any file for it whose name ends in .txt, .nfo or .bin.
        let text = matches!(self.codec_name.as_str(), "ansi" | "bintext" | "xbin" | "idf");
        self.codec_type == "video" && self.width > 0 && self.height > 0 && !text
    }

    fn film(&self, format: &Format) -> Film {
        let turned = self.turned();
        let (width, height) = if turned { (self.height, self.width) } else { (self.width, self.height) };
        let aspect = ratio(&self.sample_aspect_ratio).unwrap_or((1, 1));
        let aspect = if turned { (aspect.1, aspect.0) } else { aspect };
        let named = |known: &[&str]| format.format_name.split(',').any(|name| known.contains(&name));
        let length = self.duration.as_deref().or(format.duration.as_deref()).and_then(seconds);
        Film {
            stream: self.index,
            codec: self.codec_name.clone(),
            width,
            height,
            aspect,
            rate: self.rate(),
            indexed: named(&INDEXED),
            cut: named(&CUT),
            stamped_by_ends: self.codec_name == "theora" && named(&["ogg"]),
            changing: !named(&FIXED) && !format.format_name.contains("_pipe"),
            matrix: self.matrix(),
            transfer: self.transfer(),
            full_range: self.full_range(),
            interlaced: matches!(self.field_order.as_str(), "tt" | "bb" | "tb" | "bt"),
            length,
            pictures: self.nb_frames.as_deref().and_then(|count| count.parse().ok()).filter(|&count| count > 0),
            start: self.start_time.as_deref().and_then(stamp),
            still: false,
            turn: Turn::default(),
        }
    }

    /// Sound that says what it is; the rest is none that ffmpeg could decode.
    fn track(&self) -> Option<Track> {
        let rate = self.sample_rate.as_deref().and_then(|rate| rate.parse().ok()).filter(|&rate| rate > 0)?;
        let language = self.tags.language.clone().filter(|language| !matches!(language.as_str(), "" | "und"));
        (self.codec_type == "audio" && self.channels > 0 && !self.codec_name.is_empty()).then(|| Track {
            stream: self.index,
            codec: self.codec_name.clone(),
            rate,
            channels: self.channels,
            layout: self.channel_layout.clone(),
            language,
            start: self.start_time.as_deref().and_then(stamp),
            preferred: self.disposition.default != 0,
        })
    }

    fn turned(&self) -> bool {
        let tagged = self.tags.rotate.as_deref().and_then(|degrees| degrees.parse().ok());
        let degrees = self.side_data_list.iter().find_map(|data| data.rotation).or(tagged).unwrap_or(0.0);
        let quarter = (degrees / 90.0_f64).round();
        quarter.is_finite() && quarter.rem_euclid(2.0) == 1.0
    }

    /// `r_frame_rate` is the finest grid all stamps lie on, so it is the usual rate only where the average is close to it.
    fn rate(&self) -> Rate {
        let [nominal, average] = [&self.r_frame_rate, &self.avg_frame_rate].map(|text| rate(text));
        match (nominal, average) {
            (Some(nominal), Some(average)) if (average.fps() / nominal.fps() - 1.0).abs() < 0.02 => nominal,
            (_, Some(average)) => Rate::from_fps(average.fps()).unwrap_or(average),
            (Some(nominal), None) => nominal,
            (None, None) => TWENTY_FIVE,
        }
    }

    fn full_range(&self) -> bool {
        self.color_range == "pc" || self.pix_fmt.starts_with("yuvj")
    }

    fn is_large(&self) -> bool {
        self.width >= 1_280 || self.height > 576
    }

    /// Untagged films that are larger than television once was are BT.709, as players assume, whichever way they are turned;
    /// except full-range ones: those are JPEGs or were made here.
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
            "" | "unknown" | "reserved" if self.is_large() && !self.full_range() => Matrix::Bt709,
            "" | "unknown" | "reserved" => Matrix::Bt601,
            _ => Matrix::Other,
        }
    }

    fn transfer(&self) -> Option<Transfer> {
        match self.color_transfer.as_str() {
            "smpte2084" => Some(Transfer::Pq),
            "arib-std-b67" => Some(Transfer::Hlg),
            _ => None,
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

/// A moment in seconds, which may lie before zero.
fn stamp(text: &str) -> Option<f64> {
    text.parse().ok().filter(|seconds: &f64| seconds.abs() < 1e9)
}

/// Formats whose stamps ffmpeg expects to jump (its flag `TS_DISCONT`).
const CUT: [&str; 6] = ["mpegts", "mpeg", "ogg", "hls", "rtsp", "live_flv"];
/// Formats with an index.
const INDEXED: [&str; 2] = ["mov", "mp4"];
/// Formats whose header says a size once and for all.
const FIXED: [&str; 8] = ["mov", "mp4", "avi", "asf", "gif", "image2", "yuv4mpegpipe", "rawvideo"];
/// Formats of what happens now, if it is not known when it ends.
const LIVE: [&str; 6] = ["hls", "dash", "mpjpeg", "rtsp", "rtp", "sdp"];
/// What ffmpeg itself assumes where nothing is known.
const TWENTY_FIVE: Rate = match Rate::new(25, 1) {
    Some(rate) => rate,
    None => unreachable!(),
};

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

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: &str = r#"{"streams":[{"index":0,"codec_type":"audio","codec_name":"aac",
        "sample_rate":"48000","channels":6,"channel_layout":"5.1(side)","start_time":"-0.021","tags":{"language":"eng"},
        "disposition":{"default":1}},{"index":1,"codec_type":"video",
        "codec_name":"hevc","width":1920,"height":1080,"sample_aspect_ratio":"4:3","pix_fmt":"yuv420p10le",
        "color_space":"bt2020nc","color_range":"tv","field_order":"progressive","r_frame_rate":"30/1",
        "avg_frame_rate":"2997/100","start_time":"0.5","duration":"4.5","nb_frames":"135","disposition":{"attached_pic":0},
        "tags":{"rotate":"90"},"side_data_list":[{"side_data_type":"Display Matrix","rotation":-90}]}],
        "format":{"duration":"4.6","start_time":"-0.021"}}"#;

    #[test]
    fn a_film_turned_by_a_quarter() {
        let found = parse(PHONE.as_bytes()).expect("a film");
        let film = found.film.expect("pictures");
        assert_eq!((film.stream, film.width, film.height, film.aspect), (1, 1080, 1920, (3, 4)));
        assert_eq!((film.rate.fps(), film.pictures), (30.0, Some(135)));
        assert_eq!((film.matrix, film.full_range, film.start), (Matrix::Bt2020, false, Some(0.5)));
        assert_eq!(film.length, Some(Duration::from_millis(4_500)));
        assert_eq!((found.start, found.cut, found.length), (-0.021, false, Some(Duration::from_millis(4_600))));
    }

    #[test]
    fn hdr_is_known_by_its_transfer() {
        let transfers = [("smpte2084", Some(Transfer::Pq)), ("arib-std-b67", Some(Transfer::Hlg)), ("bt709", None)];
        for (name, transfer) in transfers {
            let tagged = PHONE.replace(r#""color_range""#, &format!(r#""color_transfer":"{name}","color_range""#));
            let film = parse(tagged.as_bytes()).and_then(|found| found.film).expect("a film");
            assert_eq!(film.transfer, transfer, "{name}");
        }
        assert_eq!(parse(PHONE.as_bytes()).and_then(|found| found.film).and_then(|film| film.transfer), None);
    }

    #[test]
    fn a_track_says_what_it_is_or_is_none() {
        let found = parse(PHONE.as_bytes()).expect("a film");
        let track = Track {
            stream: 0,
            codec: "aac".to_owned(),
            rate: 48_000,
            channels: 6,
            layout: "5.1(side)".to_owned(),
            language: Some("eng".to_owned()),
            start: Some(-0.021),
            preferred: true,
        };
        assert_eq!(found.tracks, [track]);
        for (text, other) in [("\"48000\"", "\"0\""), (":6,", ":0,"), ("\"aac\"", "\"\""), ("\"48000\"", "\"x\"")] {
            let found = parse(PHONE.replace(text, other).as_bytes()).expect("a film still");
            assert_eq!(found.tracks, [], "{other} in place of {text}");
        }
    }

    #[test]
    fn a_cover_is_a_film_only_alone() {
        let cover = r#"{"index":0,"codec_type":"video","width":9,"height":9,"disposition":{"attached_pic":1}}"#;
        let alone = format!(r#"{{"streams":[{cover}]}}"#);
        let film = parse(alone.as_bytes()).and_then(|found| found.film).expect("a picture");
        assert_eq!((film.width, film.matrix), (9, Matrix::Other));
        let sound = r#"{"codec_type":"audio","codec_name":"mp3","sample_rate":"44100","channels":2}"#;
        let song = parse(format!(r#"{{"streams":[{cover},{sound}]}}"#).as_bytes()).expect("a song");
        assert_eq!((song.film, song.tracks.len()), (None, 1));
        assert_eq!((parse(b"{}"), parse(b"noise")), (None, None));
    }

    #[test]
    fn large_films_without_a_tag_are_of_high_definition() {
        let matrix = |width: u32, height: u32, more: &str| {
            let size = format!(r#""width":{width},"height":{height},"pix_fmt":"yuv420p"{more}"#);
            let json = format!(r#"{{"streams":[{{"codec_type":"video",{size}}}]}}"#);
            parse(json.as_bytes()).and_then(|found| found.film).expect("a film").matrix
        };
        assert_eq!([(1_280, 536), (480, 640)].map(|(width, height)| matrix(width, height, "")), [Matrix::Bt709; 2]);
        assert_eq!([(1_024, 576), (720, 480)].map(|(width, height)| matrix(width, height, "")), [Matrix::Bt601; 2]);
        assert_eq!(matrix(1_920, 1_080, r#","color_range":"pc""#), Matrix::Bt601);
        let turned = r#","tags":{"rotate":"90"}"#;
        assert_eq!(
            [(1_280, 500), (576, 576)].map(|(width, height)| matrix(width, height, turned)),
            [Matrix::Bt709, Matrix::Bt601]
        );
    }

    #[test]
    fn text_is_no_film() {
        let noise = r#"{"streams":[{"codec_type":"video","codec_name":"bintext","width":1280,"height":2000}]}"#;
        assert_eq!(parse(noise.as_bytes()), None);
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
