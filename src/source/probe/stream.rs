//! What one stream of ffprobe's report comes to: a film, or a track of sound.

use super::report::{self, Format, Stream, ratio, seconds, stamp};
use super::{CUT, Film, Matrix, Track, Turn};
use crate::media::tonemap::Transfer;
use crate::units::Rate;

impl Stream {
    pub(super) fn is_settled(&self) -> bool {
        match self.codec_type.as_str() {
            "video" => self.is_film() && !self.pix_fmt.is_empty(),
            "audio" => self.track().is_some(),
            _ => true,
        }
    }

    pub(super) fn is_film(&self) -> bool {
        // Text drawn as pictures: ffmpeg takes any file for it whose name ends in .txt, .nfo or .bin.
        let text = matches!(self.codec_name.as_str(), "ansi" | "bintext" | "xbin" | "idf");
        self.codec_type == "video" && self.width > 0 && self.height > 0 && !text
    }

    pub(super) fn film(&self, format: &Format) -> Film {
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
    pub(super) fn track(&self) -> Option<Track> {
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
        let [nominal, average] = [&self.r_frame_rate, &self.avg_frame_rate].map(|text| report::rate(text));
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

/// Formats with an index.
const INDEXED: [&str; 2] = ["mov", "mp4"];
/// Formats whose header says a size once and for all.
const FIXED: [&str; 8] = ["mov", "mp4", "avi", "asf", "gif", "image2", "yuv4mpegpipe", "rawvideo"];
/// What ffmpeg itself assumes where nothing is known.
const TWENTY_FIVE: Rate = match Rate::new(25, 1) {
    Some(rate) => rate,
    None => unreachable!(),
};
