//! The parts of ffprobe's report that are read, and its numbers. Everything is optional.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::units::Rate;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Report {
    pub streams: Vec<Stream>,
    pub programs: Vec<Program>,
    pub format: Format,
}

/// Streams that belong together: a program of a broadcast, or a variant of a film.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Program {
    pub streams: Vec<Member>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Member {
    pub index: u32,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Format {
    pub format_name: String,
    pub duration: Option<String>,
    pub start_time: Option<String>,
    pub size: Option<String>,
    pub tags: FormatTags,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct FormatTags {
    pub major_brand: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Stream {
    pub index: u32,
    pub codec_type: String,
    pub codec_name: String,
    pub width: u32,
    pub height: u32,
    pub sample_aspect_ratio: String,
    pub pix_fmt: String,
    pub color_space: String,
    pub color_range: String,
    pub color_transfer: String,
    pub field_order: String,
    pub r_frame_rate: String,
    pub avg_frame_rate: String,
    pub sample_rate: Option<String>,
    pub channels: u32,
    pub channel_layout: String,
    pub start_time: Option<String>,
    pub duration: Option<String>,
    pub nb_frames: Option<String>,
    pub disposition: Disposition,
    pub tags: Tags,
    pub side_data_list: Vec<SideData>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Disposition {
    pub attached_pic: i64,
    pub timed_thumbnails: i64,
    pub still_image: i64,
    pub default: i64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Tags {
    pub rotate: Option<String>,
    pub language: Option<String>,
    /// Matroska's length of one track.
    #[serde(rename = "DURATION")]
    pub duration: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct SideData {
    pub rotation: Option<f64>,
    #[serde(flatten)]
    _rest: std::collections::BTreeMap<String, IgnoredAny>,
}

/// `a:b` or `a/b`, both above zero.
pub(super) fn ratio(text: &str) -> Option<(u32, u32)> {
    let (num, den) = text.split_once([':', '/'])?;
    let (num, den) = (num.parse().ok()?, den.parse().ok()?);
    (num > 0 && den > 0).then_some((num, den))
}

pub(super) fn rate(text: &str) -> Option<Rate> {
    let (num, den) = ratio(text)?;
    Rate::new(num, den)
}

pub(super) fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().filter(|length| !length.is_zero())
}

/// A moment in seconds, which may lie before zero.
pub(super) fn stamp(text: &str) -> Option<f64> {
    text.parse().ok().filter(|seconds: &f64| seconds.abs() < 1e9)
}
