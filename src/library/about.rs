//! What a library tells of what is in it: the documents that it is asked for, as JSON.

use serde::{Deserialize, Serialize};

/// What an entry is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Folder,
    #[default]
    Film,
    Song,
    /// It cannot be watched; the entry says why.
    Broken,
}

/// A film, a song, or a folder of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// By which it is watched: the names of its folders and its own, with slashes between them.
    pub name: String,
    pub what: What,
    /// For people; never empty.
    pub title: String,
    /// Of its file; `None` of a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When its file was changed last, seconds of Unix time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<u64>,
    /// How many films and songs are below a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Nobody has looked into the file yet: what follows may come to be known.
    #[serde(skip_serializing_if = "is_false")]
    pub unseen: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u16>,
    /// Pictures a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// ffmpeg's names of codecs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture_codec: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound_codec: Option<String>,
    /// Its sound tracks, in the order in which they are numbered, from 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tracks: Vec<Track>,
    /// Its subtitles that are text, numbered likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subtitles: Vec<Track>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chapters: Vec<Chapter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub album: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub genre: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub season: Option<u32>,
    /// Of an episode within its season, or of a song within its album.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub episode: Option<u32>,
    /// There is a picture that stands for it, which is no picture of the film itself.
    #[serde(skip_serializing_if = "is_false")]
    pub cover: bool,
    /// Why it cannot be watched, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A sound track, or subtitles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Track {
    /// As its file says it, mostly three letters (ISO 639-2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    /// The one that is played unless another is chosen.
    #[serde(skip_serializing_if = "is_false")]
    pub default: bool,
}

/// Where a chapter begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Chapter {
    pub seconds: f64,
    pub title: String,
}

/// A page of a folder: its entries, folders first, in natural order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listing {
    /// The folder; empty: the library as a whole.
    pub name: String,
    /// How many entries there are on all pages.
    pub total: u32,
    /// Which of them is the first here.
    pub first: u32,
    pub entries: Vec<Entry>,
    /// How many files nobody has looked into yet.
    pub unseen: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_false(value: &bool) -> bool {
    !value
}
