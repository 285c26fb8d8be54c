//! The thread of one stream: what it is sent, and the files that it writes one after the other. What fails is tried again; what
//! comes meanwhile is counted.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::caretaker::Order;
use super::folder::Folder;
use super::passed::{self, SoundInOrder};
use super::{Counts, News};
use crate::app::recording::pictures::{Pictures, What};
use crate::clock::{now, wall_ahead};
use crate::media::Canvas;
use crate::media::coded::PassedPicture;
use crate::media::sound::PassedSound;
use crate::proto::server::StreamKey;
use crate::queue::Waker;
use crate::record::RecordError;
use crate::record::dated;
use crate::record::film::{Film, Tracks};
use crate::record::path::RecordingPath;
use crate::units::{MediaTime, Time};
use crate::wire::Description;

/// What goes to the thread.
pub enum Message {
    /// What follows is of the stream of this id; the flag says whether it has lines of talk.
    Stream(u64, Box<Description>, bool),
    Picture(PassedPicture),
    Sound(PassedSound),
    /// What somebody wrote: its media time, a name that may be empty, and a text.
    Line(MediaTime, String, String),
    Over,
}

impl Message {
    pub fn bytes(&self) -> usize {
        let content = match self {
            Self::Picture(picture) => picture.cut.total(),
            Self::Sound(sound) => sound.object.len(),
            Self::Line(_, name, text) => name.len() + text.len(),
            Self::Stream(..) | Self::Over => 0,
        };
        content + size_of::<Self>()
    }
}

/// Where it tells what.
pub struct Outlets {
    pub counts: Arc<Counts>,
    pub news: Sender<News>,
    /// To whoever looks after the folder.
    pub orders: Option<Sender<Order>>,
    pub waker: Waker,
}

impl Outlets {
    fn say(&self, news: News) {
        // The event loop may have ended.
        self.news.send(news).ok();
        (self.waker)();
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // It outlives all who write.
            orders.send(order).ok();
        }
    }
}

/// What is recorded.
struct Stream {
    id: u64,
    description: Box<Description>,
    /// It has lines of talk.
    talk: bool,
}

impl Stream {
    const fn tracks(&self) -> Tracks {
        let Description { size, rate, sound, .. } = *self.description;
        Tracks { size, rate, sound, talk: self.talk }
    }
}

/// A file that is being written.
struct Writing {
    film: Film,
    path: PathBuf,
    /// It is to be closed, and another one begun.
    part: Arc<AtomicBool>,
}

/// See the head of this file.
pub struct Storer {
    key: StreamKey,
    name: String,
    folder: Arc<Folder>,
    outlets: Outlets,
    stream: Option<Stream>,
    writing: Option<Writing>,
    pictures: Pictures,
    sound: SoundInOrder,
    /// The picture before is not known, so what shows the same cannot be recorded.
    torn: bool,
    /// Something failed, and that was told.
    failed: bool,
    /// Nothing is begun before then.
    not_before: Time,
}

impl Storer {
    pub fn new(key: StreamKey, name: &str, folder: Arc<Folder>, outlets: Outlets) -> Self {
        Self {
            key,
            name: name.to_owned(),
            folder,
            outlets,
            stream: None,
            writing: None,
            pictures: Pictures::default(),
            sound: SoundInOrder::default(),
            torn: true,
            failed: false,
            not_before: Time::ZERO,
        }
    }

    /// Writes until the inbox is closed.
    pub fn run(mut self, inbox: &Receiver<Message>) {
        loop {
            match inbox.recv_timeout(LOOK) {
                Ok(message) => {
                    let bytes = message.bytes();
                    self.take(message);
                    self.outlets.counts.held.fetch_sub(bytes, Ordering::Relaxed);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.writing.as_ref().is_some_and(|writing| writing.part.load(Ordering::Relaxed)) {
                self.close();
            }
        }
        self.close();
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Stream(id, description, talk) => self.stream(Stream { id, description, talk }),
            Message::Picture(picture) => self.picture(&picture),
            Message::Sound(sound) => {
                let runs = self.sound.put(&sound);
                self.sound(runs);
            }
            Message::Line(media, name, text) => self.line(media, &name, &text),
            Message::Over => {
                self.close();
                self.stream = None;
            }
        }
    }

    fn stream(&mut self, stream: Stream) {
        let same = |before: &Stream| before.id == stream.id && before.tracks() == stream.tracks();
        if self.stream.as_ref().is_some_and(same) {
            return;
        }
        self.close();
        self.pictures.forget();
        (self.sound, self.torn) = (SoundInOrder::default(), true);
        let size = stream.description.size;
        let fits = Canvas::fits(size);
        if !fits {
            self.fail(&format!("its pictures of {size} are larger than any that can be recorded"));
        }
        self.stream = Some(stream).filter(|_| fits);
    }

    fn picture(&mut self, picture: &PassedPicture) {
        let Some(Stream { description, .. }) = &self.stream else { return };
        let what = passed::picture(picture, description);
        let usable = what.filter(|what| !(self.torn && matches!(what, What::Same)));
        let full = description.size;
        let Some(what) = usable.filter(|_| self.begin()) else {
            self.torn = true;
            self.outlets.counts.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.torn = false;
        let Self { writing: Some(Writing { film, .. }), pictures, .. } = self else { return };
        let written = pictures.take(full, what).map_or(Ok(false), |jpeg| film.picture(picture.media_time, jpeg));
        let Counts { pictures, dropped, .. } = &*self.outlets.counts;
        let count = if matches!(written, Ok(true)) { pictures } else { dropped };
        count.fetch_add(1, Ordering::Relaxed);
        match written {
            Ok(written) => self.failed &= !written,
            Err(error) => self.broken(&error),
        }
    }

    fn sound(&mut self, runs: Vec<passed::Run>) {
        let heard = self.stream.as_ref().is_some_and(|stream| stream.description.sound);
        for (first, frames) in runs {
            if !heard || !self.begin() {
                return;
            }
            let written = self.writing.as_mut().map_or(Ok(()), |writing| writing.film.sound(first, &frames));
            if let Err(error) = written {
                return self.broken(&error);
            }
        }
    }

    /// Where a file has just been closed, a line begins the next one, which takes it in with its first picture.
    fn line(&mut self, media: MediaTime, name: &str, text: &str) {
        if !self.stream.as_ref().is_some_and(|stream| stream.talk) || !self.begin() {
            return;
        }
        let written = self.writing.as_mut().map_or(Ok(false), |writing| writing.film.line(media, name, text));
        if let Err(error) = written {
            self.broken(&error);
        }
    }

    /// Begins a file if there is none; whether there is one now.
    fn begin(&mut self) -> bool {
        let Some(stream) = self.stream.as_ref().filter(|_| self.writing.is_none()) else {
            return self.writing.is_some();
        };
        if now() < self.not_before {
            return false;
        }
        // Where nothing could be written, a file is not even begun before there is room.
        if self.failed && !self.folder.has_room() {
            self.not_before = now() + AGAIN;
            return false;
        }
        let tracks = stream.tracks();
        match RecordingPath::take_dated(self.folder.path(), &self.name, &dated::stamp(unix())) {
            Ok(path) => {
                let (place, part) = (path.path().to_owned(), Arc::new(AtomicBool::new(false)));
                self.outlets.order(Order::Begun(name_of(&place), Arc::clone(&part)));
                self.outlets.say(News::Begun(self.key, place.clone()));
                self.writing = Some(Writing { film: Film::new(path, tracks), path: place, part });
                true
            }
            Err(error) => {
                self.broken(&error);
                false
            }
        }
    }

    /// Nothing can be written just now.
    fn broken(&mut self, error: &RecordError) {
        self.not_before = now() + AGAIN;
        self.fail(&error.to_string());
        self.close();
    }

    fn fail(&mut self, why: &str) {
        if !std::mem::replace(&mut self.failed, true) {
            self.outlets.say(News::Failed(self.key, why.to_owned()));
        }
    }

    /// Closes the file, if there is one.
    fn close(&mut self) {
        if self.writing.is_some() && !self.failed {
            let rest = self.sound.rest();
            self.sound(rest);
        }
        let Some(Writing { film, path, .. }) = self.writing.take() else { return };
        let (totals, outcome) = film.finish();
        if totals.is_none() && fs::metadata(&path).is_ok_and(|data| data.len() < SCRAP) {
            // A disk that is full may have taken the beginning of a header.
            fs::remove_file(&path).ok();
        }
        if let Err(error) = outcome {
            self.not_before = now() + AGAIN;
            self.fail(&error.to_string());
        }
        self.outlets.order(Order::Ended(name_of(&path)));
        self.outlets.say(News::Ended(self.key, totals));
    }
}

fn name_of(path: &std::path::Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Seconds of Unix time.
fn unix() -> u64 {
    let nanos = now().nanos().saturating_add(wall_ahead());
    u64::try_from(nanos / 1_000_000_000).unwrap_or(0)
}

/// So soon it is seen that a file is to be closed although nothing comes.
const LOOK: Duration = Duration::from_millis(500);
/// What has failed is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// No recording is so small.
const SCRAP: u64 = 1_024;
