//! A film that is watched: what is known of it, and its pictures in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::Opened;
use super::coder::rungs;
use super::shelf::Stretch;
use crate::ffmpeg;
use crate::media::coded::PassedPicture;
use crate::proto::ladder::Rung;
use crate::seal;
use crate::source::excerpt::{Reel, moment};
use crate::units::{MediaTime, Time};
use crate::wire::Description;
use crate::wire::description::film_id;

/// Pictures in memory of all rungs together, bytes.
const MEMORY: usize = 64 << 20;
/// Changes whenever a picture of the same film would come out as other bytes.
const MAKING: &str = "on demand 1";
/// Bytes of either end of a file that its identity is made of.
const END: u64 = 1 << 16;

pub struct FilmState {
    pub id: u64,
    pub name: String,
    pub title: String,
    pub reel: Arc<Reel>,
    /// Held open, so that it is read to its end whatever becomes of its name.
    _file: Arc<File>,
    pub rungs: Vec<Rung>,
    pub opened: Opened,
    /// How many pictures there are, once a job has come to the end; and what is known before: there are not so many.
    pub end: Option<u32>,
    pub bound: u32,
    /// Pictures by rung and number.
    made: BTreeMap<(u8, u32), PassedPicture>,
    bytes: usize,
    /// When somebody watched it.
    pub used: Time,
}

impl FilmState {
    pub fn new(id: u64, (name, title): (String, String), reel: Arc<Reel>, file: Arc<File>, used: Time) -> Self {
        let (rungs, smaller) = rungs(reel.size);
        let length = reel.length.map(|length| length.as_micros() as u64);
        let description = Description {
            title: title.clone(),
            size: reel.size,
            smaller,
            rate: reel.rate,
            length,
            live: false,
            sound: reel.has_sound(),
            ended: None,
            sound_ended: None,
            film: None,
        };
        let object = description.object(id);
        let opened = Opened { id, description, object, rungs: rungs.clone() };
        // A length is not always right; a little more is tried.
        let bound = u32::MAX;
        Self {
            id,
            name,
            title,
            reel,
            _file: file,
            rungs,
            opened,
            end: None,
            bound,
            made: BTreeMap::new(),
            bytes: 0,
            used,
        }
    }

    /// Which picture is to be seen at a moment: the last at the latest, as far as it is known which that is.
    pub fn unit_at(&self, to: MediaTime) -> u32 {
        let unit = self.reel.rate.index_at(Duration::from_micros(to.micros().max(0).unsigned_abs()));
        let unit = u32::try_from(unit).unwrap_or(u32::MAX - 1);
        let expected = self.end.or_else(|| self.reel.expected()).unwrap_or(u32::MAX);
        unit.min(expected.min(self.bound).saturating_sub(1))
    }

    pub fn moment(&self, unit: u32) -> MediaTime {
        moment(self.reel.rate, unit)
    }

    pub fn lasts(&self, unit: u32) -> Duration {
        self.moment(unit.saturating_add(1)).since(self.moment(unit))
    }

    /// So many pictures are so long.
    pub fn pictures(&self, length: Duration) -> u32 {
        (length.as_secs_f64() * self.reel.rate.fps()).ceil() as u32
    }

    /// The minute of a picture in which the store has it.
    pub fn stretch(&self, rung: u8, unit: u32) -> Stretch {
        let minute = self.pictures(Duration::from_secs(60)).max(1);
        Stretch { film: self.id, rung, minute: unit / minute }
    }

    pub fn put(&mut self, rung: u8, picture: PassedPicture) {
        let (unit, bytes) = (picture.cut.unit.0, picture.cut.total());
        self.bytes += bytes;
        if let Some(before) = self.made.insert((rung, unit), picture) {
            self.bytes -= before.cut.total();
        }
    }

    pub fn get(&self, rung: u8, unit: u32) -> Option<&PassedPicture> {
        self.made.get(&(rung, unit))
    }

    /// Forgets pictures that nobody is near until memory is enough; `near`: whether one is still needed.
    pub fn tidy(&mut self, near: impl Fn(u8, u32) -> bool) {
        if self.bytes <= MEMORY {
            return;
        }
        let far: Vec<(u8, u32)> = self.made.keys().copied().filter(|(rung, unit)| !near(*rung, *unit)).collect();
        for key in far {
            self.bytes -= self.made.remove(&key).map_or(0, |picture| picture.cut.total());
            if self.bytes <= MEMORY / 2 {
                return;
            }
        }
    }

    pub fn forget_all(&mut self) {
        self.made.clear();
        self.bytes = 0;
    }
}

/// The stream id of a film's objects: of its file, the track that is heard, and what makes them.
pub fn identity(file: &File, track: Option<u8>) -> io::Result<u64> {
    let about = file.metadata()?;
    let time = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let mut ends = Vec::new();
    let mut reading = file;
    reading.seek(SeekFrom::Start(0))?;
    Read::by_ref(&mut reading).take(END).read_to_end(&mut ends)?;
    reading.seek(SeekFrom::Start(about.len().saturating_sub(END)))?;
    Read::by_ref(&mut reading).take(END).read_to_end(&mut ends)?;
    let program = ffmpeg::find("ffmpeg").ok().and_then(|path| std::fs::metadata(path).ok()).map(|about| about.len());
    let text = format!("{MAKING} {} {} {time} {track:?} {program:?}", env!("CARGO_PKG_VERSION"), about.len());
    Ok(film_id(&seal::digest([text.as_bytes(), &ends])))
}
