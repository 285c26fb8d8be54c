//! A film as Matroska (RFC 9559) while it comes: motion JPEG, PCM and lines of text, written once from front to back. Wherever it is cut
//! off it stays playable: clusters have no size until they end, and the length in the header is never older than a
//! cluster. What is patched afterwards (sizes, length, cues) is left out where nothing can be patched, as in a pipe.

use std::io::{self, Seek, SeekFrom, Write};
use std::time::Duration;

use super::ebml::{UNKNOWN, append_id, append_size, element, float, id, master, size_of_eight, text, unsigned, void};
use crate::media::sound::{Frame, RATE};
use crate::units::{Rate, Size};

/// What is in the film.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracks {
    pub size: Size,
    pub rate: Rate,
    pub sound: bool,
    /// Lines that people write to each other; there may be none. Where the header can be patched, their track is in it only if there
    /// are some.
    pub talk: bool,
}

/// A film in the making.
pub struct Matroska<W> {
    out: W,
    patching: bool,
    rate: Rate,
    places: Places,
    /// The end of the last whole element.
    end: u64,
    cluster: Option<Cluster>,
    /// Clusters that begin with a picture: time and place, at most one a second.
    cues: Vec<(u64, u64)>,
    length: Duration,
}

/// Where in the file something is patched later.
#[derive(Clone, Copy, Default)]
struct Places {
    segment_size: u64,
    /// Where the segment's elements begin: positions in it count from here.
    segment: u64,
    cues: u64,
    length: u64,
    /// Where the track of lines is announced with the first of them.
    talk: Option<u64>,
}

/// The cluster that blocks are being put into.
struct Cluster {
    start: u64,
    ticks: u64,
}

impl<W: Write + Seek> Matroska<W> {
    /// Writes the header. Without `patching` nothing is ever sought in `out`.
    pub fn begin(mut out: W, tracks: Tracks, patching: bool) -> io::Result<Self> {
        let (bytes, places) = header(tracks, patching);
        out.write_all(&bytes)?;
        let end = bytes.len() as u64;
        let (cues, length) = (Vec::new(), Duration::ZERO);
        Ok(Self { out, patching, rate: tracks.rate, places, end, cluster: None, cues, length })
    }

    /// Appends a picture at a time from the film's beginning; times never go back.
    pub fn picture(&mut self, at: Duration, jpeg: &[u8]) -> io::Result<()> {
        let ticks = ticks(at);
        if self.cluster.as_ref().is_none_or(|cluster| ticks >= cluster.ticks + CLUSTER) {
            self.begin_cluster(ticks)?;
            self.note_cue(ticks);
        }
        self.block(PICTURES, ticks, jpeg)?;
        self.length = self.length.max(at + self.rate.interval());
        Ok(())
    }

    /// Appends frames, the first of which is heard at this time; for pictures and sound to be found together, no later
    /// than the picture that follows them.
    pub fn sound(&mut self, at: Duration, frames: &[Frame]) -> io::Result<()> {
        let bytes: Vec<u8> = frames.iter().flatten().flat_map(|sample| sample.to_le_bytes()).collect();
        self.block(SOUND, ticks(at), &bytes)?;
        let nanos = frames.len() as u64 * 1_000_000_000 / u64::from(RATE);
        self.length = self.length.max(at + Duration::from_nanos(nanos));
        Ok(())
    }

    /// Appends a line of text that is shown from this time on, as SubRip knows it without its times. Lines may overlap; none
    /// makes the film longer.
    pub fn line(&mut self, at: Duration, lasts: Duration, text: &str) -> io::Result<()> {
        if let Some(place) = self.places.talk {
            self.patch(place, &talk_track())?;
            self.places.talk = None;
        }
        let ticks = ticks(at);
        let near = self.near(ticks)?;
        let mut block = vec![0x80 | TALK];
        block.extend_from_slice(&near.to_be_bytes());
        block.push(0);
        block.extend_from_slice(text.as_bytes());
        let mut group = Vec::with_capacity(block.len() + 24);
        master(id::BLOCK_GROUP, &mut group, |out| {
            element(id::BLOCK, &block, out);
            unsigned(id::BLOCK_DURATION, self::ticks(lasts), out);
        });
        self.out.write_all(&group)?;
        self.end += group.len() as u64;
        Ok(())
    }

    /// Ends the film: cues, length and sizes. Behind a failed write too: what was not written whole is written over.
    /// Returns the bytes of the film, behind which the file may be cut off.
    pub fn finish(&mut self) -> io::Result<u64> {
        if self.patching {
            self.out.seek(SeekFrom::Start(self.end))?;
            self.end_cluster()?;
            self.append_cues()?;
            let size = self.end - self.places.segment;
            self.patch(self.places.segment_size, &size_of_eight(size))?;
        }
        self.out.flush()?;
        Ok(self.end)
    }

    /// The bytes that are whole so far.
    pub const fn bytes(&self) -> u64 {
        self.end
    }

    /// From the beginning to the end of the last picture or sound.
    pub const fn length(&self) -> Duration {
        self.length
    }

    pub fn into_inner(self) -> W {
        self.out
    }

    /// One SimpleBlock.
    fn block(&mut self, track: u8, ticks: u64, data: &[u8]) -> io::Result<()> {
        let near = self.near(ticks)?;
        let mut head = Vec::with_capacity(16);
        append_id(id::SIMPLE_BLOCK, &mut head);
        append_size(BLOCK_HEAD + data.len() as u64, &mut head);
        head.push(0x80 | track);
        head.extend_from_slice(&near.to_be_bytes());
        head.push(KEYFRAME);
        self.out.write_all(&head)?;
        self.out.write_all(data)?;
        self.end += (head.len() + data.len()) as u64;
        Ok(())
    }

    /// The time of a block in its cluster: the running one if that is near enough, else one that begins with it.
    fn near(&mut self, ticks: u64) -> io::Result<i16> {
        let offset = |cluster: &Cluster| i16::try_from(ticks.cast_signed() - cluster.ticks.cast_signed()).ok();
        if let Some(offset) = self.cluster.as_ref().and_then(offset) {
            return Ok(offset);
        }
        self.begin_cluster(ticks).map(|()| 0)
    }

    fn begin_cluster(&mut self, ticks: u64) -> io::Result<()> {
        self.end_cluster()?;
        let mut bytes = Vec::with_capacity(32);
        append_id(id::CLUSTER, &mut bytes);
        bytes.extend_from_slice(&UNKNOWN);
        unsigned(id::TIMESTAMP, ticks, &mut bytes);
        self.out.write_all(&bytes)?;
        self.cluster = Some(Cluster { start: self.end, ticks });
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Gives the running cluster its size and the film its length so far.
    fn end_cluster(&mut self) -> io::Result<()> {
        let Some(Cluster { start, .. }) = self.cluster.take().filter(|_| self.patching) else { return Ok(()) };
        let mut length = Vec::new();
        float(id::DURATION, self.length.as_nanos() as f64 / TICK.as_nanos() as f64, &mut length);
        self.patch(self.places.length, &length)?;
        self.patch(start + ID_OF_FOUR, &size_of_eight(self.end - start - ID_OF_FOUR - UNKNOWN.len() as u64))
    }

    fn note_cue(&mut self, ticks: u64) {
        if self.cues.last().is_none_or(|(last, _)| ticks >= last + CUE)
            && let Some(cluster) = &self.cluster
        {
            self.cues.push((ticks, cluster.start - self.places.segment));
        }
    }

    fn append_cues(&mut self) -> io::Result<()> {
        if self.cues.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        master(id::CUES, &mut bytes, |out| {
            for &(ticks, place) in &self.cues {
                master(id::CUE_POINT, out, |out| {
                    unsigned(id::CUE_TIME, ticks, out);
                    master(id::CUE_POSITIONS, out, |out| {
                        unsigned(id::CUE_TRACK, PICTURES.into(), out);
                        unsigned(id::CUE_CLUSTER, place, out);
                    });
                });
            }
        });
        self.out.write_all(&bytes)?;
        let mut seek = Vec::new();
        append_seek(id::CUES, self.end - self.places.segment, &mut seek);
        self.end += bytes.len() as u64;
        self.patch(self.places.cues, &seek)
    }

    /// Writes over what stands at `place`, and goes back to the end.
    fn patch(&mut self, place: u64, bytes: &[u8]) -> io::Result<()> {
        self.out.seek(SeekFrom::Start(place))?;
        self.out.write_all(bytes)?;
        self.out.seek(SeekFrom::Start(self.end)).map(drop)
    }
}

/// Whether a file that begins like this was written here.
pub(super) fn is_ours(beginning: &[u8]) -> bool {
    let mut name = Vec::new();
    append_id(id::WRITING_APP, &mut name);
    // One byte of size follows.
    let is_named = |at: &[u8]| at.starts_with(&name) && at[name.len() + 1..] == *PROGRAM.as_bytes();
    let mut ebml = Vec::new();
    append_id(id::EBML, &mut ebml);
    beginning.starts_with(&ebml) && beginning.windows(name.len() + 1 + PROGRAM.len()).any(is_named)
}

/// Everything before the first cluster.
fn header(tracks: Tracks, patching: bool) -> (Vec<u8>, Places) {
    let mut out = Vec::new();
    master(id::EBML, &mut out, |out| {
        unsigned(id::EBML_VERSION, 1, out);
        unsigned(id::EBML_READ_VERSION, 1, out);
        unsigned(id::EBML_MAX_ID_LENGTH, 4, out);
        unsigned(id::EBML_MAX_SIZE_LENGTH, 8, out);
        text(id::DOC_TYPE, "matroska", out);
        unsigned(id::DOC_TYPE_VERSION, 4, out);
        unsigned(id::DOC_TYPE_READ_VERSION, 2, out);
    });
    append_id(id::SEGMENT, &mut out);
    let segment_size = out.len() as u64;
    out.extend_from_slice(&UNKNOWN);
    let segment = out.len() as u64;
    // The places of the two that follow are known from its own length.
    let info = (ID_OF_FOUR + 1) + 3 * SEEK as u64;
    let (information, length) = information();
    master(id::SEEK_HEAD, &mut out, |out| {
        append_seek(id::INFO, info, out);
        append_seek(id::TRACKS, info + information.len() as u64, out);
        void(SEEK, out);
    });
    let (cues, length) = (segment + info - SEEK as u64, segment + info + length);
    out.extend_from_slice(&information);
    let track = if tracks.talk { talk_track() } else { Vec::new() };
    append_tracks(tracks, &mut out, |out| {
        if patching && tracks.talk { void(track.len(), out) } else { out.extend_from_slice(&track) }
    });
    // It is the last of the tracks, which are the last of the header.
    let talk = (patching && tracks.talk).then(|| (out.len() - track.len()) as u64);
    (out, Places { segment_size, segment, cues, length, talk })
}

/// The Info element, and where in it the length goes.
fn information() -> (Vec<u8>, u64) {
    let program = format!("{PROGRAM}{}", env!("CARGO_PKG_VERSION"));
    let mut out = Vec::new();
    master(id::INFO, &mut out, |out| {
        unsigned(id::TIMESTAMP_SCALE, TICK.as_nanos() as u64, out);
        text(id::MUXING_APP, &program, out);
        text(id::WRITING_APP, &program, out);
        void(LENGTH, out);
    });
    let place = (out.len() - LENGTH) as u64;
    (out, place)
}

fn append_tracks(tracks: Tracks, out: &mut Vec<u8>, talk: impl FnOnce(&mut Vec<u8>)) {
    master(id::TRACKS, out, |out| {
        append_track(PICTURES, PICTURES, "V_MJPEG", out, |out| {
            unsigned(id::DEFAULT_DURATION, tracks.rate.interval().as_nanos() as u64, out);
            master(id::VIDEO, out, |out| append_video(tracks.size, out));
        });
        if tracks.sound {
            append_track(SOUND, SOUND, "A_PCM/INT/LIT", out, |out| {
                master(id::AUDIO, out, |out| {
                    float(id::SAMPLING_FREQUENCY, RATE.into(), out);
                    unsigned(id::CHANNELS, 2, out);
                    unsigned(id::BIT_DEPTH, 16, out);
                });
            });
        }
        talk(out);
    });
}

/// The track of lines.
fn talk_track() -> Vec<u8> {
    let mut track = Vec::new();
    append_track(TALK, SUBTITLES, "S_TEXT/UTF8", &mut track, |out| {
        // Players show it without being asked, as it was on the screen, and can hide it.
        unsigned(id::FLAG_DEFAULT, 1, out);
        text(id::NAME, "Talk", out);
    });
    track
}

fn append_track(number: u8, kind: u8, codec: &str, out: &mut Vec<u8>, rest: impl FnOnce(&mut Vec<u8>)) {
    master(id::TRACK_ENTRY, out, |out| {
        unsigned(id::TRACK_NUMBER, number.into(), out);
        unsigned(id::TRACK_UID, number.into(), out);
        unsigned(id::TRACK_TYPE, kind.into(), out);
        unsigned(id::FLAG_LACING, 0, out);
        text(id::LANGUAGE, "und", out);
        text(id::CODEC_ID, codec, out);
        rest(out);
    });
}

/// Progressive, BT.601, full range: what a JPEG is.
fn append_video(size: Size, out: &mut Vec<u8>) {
    unsigned(id::FLAG_INTERLACED, 2, out);
    unsigned(id::PIXEL_WIDTH, size.width.into(), out);
    unsigned(id::PIXEL_HEIGHT, size.height.into(), out);
    master(id::COLOUR, out, |out| {
        unsigned(id::MATRIX, 5, out);
        unsigned(id::RANGE, 2, out);
    });
}

/// Where in the segment an element is; always [`SEEK`] bytes.
fn append_seek(what: u32, place: u64, out: &mut Vec<u8>) {
    master(id::SEEK, out, |out| {
        element(id::SEEK_ID, &what.to_be_bytes(), out);
        element(id::SEEK_POSITION, &place.to_be_bytes(), out);
    });
}

fn ticks(at: Duration) -> u64 {
    ((at + TICK / 2).as_nanos() / TICK.as_nanos()) as u64
}

/// A hundred thousandth of a second, less than half a frame of sound. Blocks count in 16 bits from the start of their
/// cluster, so a cluster holds a third of a second.
const TICK: Duration = Duration::from_micros(10);
/// Ticks after which the next picture begins a new cluster: sound between two pictures still has its place.
const CLUSTER: u64 = 25_000;
/// Ticks between two cues.
const CUE: u64 = 100_000;
/// Who wrote a file; the version follows.
const PROGRAM: &str = "udpstream ";
/// So many bytes tell who it was.
pub(super) const BEGINNING: u64 = 512;
/// Numbers of tracks; the first two are their types too: 1 is video, 2 is audio (RFC 9559, table 4).
const PICTURES: u8 = 1;
const SOUND: u8 = 2;
const TALK: u8 = 3;
/// The type of a track of subtitles.
const SUBTITLES: u8 = 17;
/// Track, time and flags of a SimpleBlock.
const BLOCK_HEAD: u64 = 4;
const KEYFRAME: u8 = 0x80;
/// Bytes of a Seek, a Duration, and the identifier of a Cluster.
const SEEK: usize = 21;
const LENGTH: usize = 11;
const ID_OF_FOUR: u64 = 4;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use self::tests::{blocks, first_picture};
