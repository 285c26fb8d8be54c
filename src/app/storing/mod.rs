//! Storing: every stream that passes through is recorded into files of its own in one folder, and the folder is kept within a
//! bound. The event loop hands over what passes and never waits: each stream has a thread that writes, and one more looks after
//! the folder. Where streams come from is not known here.

mod bound;
mod caretaker;
mod figures;
mod folder;
mod passed;
mod storer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, unbounded};
use serde_json::json;

use self::caretaker::Caretaker;
pub use self::figures::StoringFigures;
pub use self::folder::{Folder, FolderError};
use self::storer::{Message, Outlets, Storer};
use super::figures::Output;
use super::lines::Closed;
use super::words;
use crate::media::coded::PassedPicture;
use crate::media::sound::PassedSound;
use crate::proto::relay::Tapped;
use crate::proto::server::StreamKey;
use crate::queue::Waker;
use crate::record::film::Totals;
use crate::units::MediaTime;
use crate::wire::{Description, StreamName};

/// Something for people to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Plain(String),
    Warning(String),
}

/// Tells people, and programs where it is a warning.
pub fn say(output: &Output, said: Said) -> Result<(), Closed> {
    match said {
        Said::Plain(text) => {
            output.say(&text);
            Ok(())
        }
        Said::Warning(text) => {
            output.warn(&format!("warning: {text}"));
            output.event("warning", json!({ "code": "record", "text": text }))
        }
    }
}

/// What the threads count.
#[derive(Default)]
struct Counts {
    /// Bytes that wait for the disk, of all streams.
    held: AtomicUsize,
    /// Pictures that were written.
    pictures: AtomicU64,
    /// Pictures that there was no room for, in memory or on the disk.
    dropped: AtomicU64,
}

/// What the threads tell.
enum News {
    Begun(StreamKey, PathBuf),
    /// A file is closed; `None`: nothing was recorded, and the file is gone.
    Ended(StreamKey, Option<Totals>),
    /// A stream is not recorded just now, for this reason.
    Failed(StreamKey, String),
    /// Files of recordings in the folder, and their bytes.
    Stock(usize, u64),
    /// A recording had to go.
    Deleted(String),
    /// The folder is not looked after just now, for this reason.
    Untended(String),
}

/// One stream, as the event loop sees it.
struct Line {
    name: StreamName,
    /// Closed when all is over.
    inbox: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    /// A picture was dropped, so the one before is not the one that was recorded last.
    torn: bool,
    /// It was said that the disk is too slow.
    is_slow: bool,
    file: Option<PathBuf>,
}

/// See the head of this file. When it is dropped all files are closed.
pub struct Storing {
    folder: Arc<Folder>,
    lines: BTreeMap<StreamKey, Line>,
    /// Threads of streams in whose place another is.
    past: Vec<JoinHandle<()>>,
    counts: Arc<Counts>,
    caretaker: Option<Caretaker>,
    waker: Waker,
    news: (Sender<News>, Receiver<News>),
    figures: StoringFigures,
    /// What is to be said beside the news.
    said: Vec<Said>,
    /// What is said of streams is recorded.
    talk: bool,
}

impl Storing {
    /// Records into this folder, where all recordings together take no more than so many bytes. The waker is called when there
    /// is news.
    pub fn start(folder: Folder, most_bytes: u64, waker: Waker) -> anyhow::Result<Self> {
        let (folder, news) = (Arc::new(folder), unbounded());
        let caretaker = Caretaker::start(Arc::clone(&folder), most_bytes, news.0.clone(), Arc::clone(&waker));
        let caretaker = Some(caretaker.context("a thread could not be started")?);
        let figures = StoringFigures { folder: folder.path().to_owned(), ..StoringFigures::default() };
        let (lines, counts, said) = (BTreeMap::new(), Arc::default(), Vec::new());
        Ok(Self { folder, lines, past: Vec::new(), counts, caretaker, waker, news, figures, said, talk: false })
    }

    /// What is said of streams is recorded, or is not.
    pub const fn with_talk(mut self, talk: bool) -> Self {
        self.talk = talk;
        self
    }

    /// What follows is of this stream; `talk` says whether it has lines of talk, for which there is a track then. Another
    /// stream than before, or one of another size or rate, goes into another file.
    pub fn stream(&mut self, key: StreamKey, name: &StreamName, id: u64, description: &Description, talk: bool) {
        // A place may have another stream than before.
        if self.lines.get(&key).is_some_and(|line| line.name != *name) {
            self.over(key);
            let past = self.lines.remove(&key).and_then(|line| line.thread);
            self.past.retain(|thread| !thread.is_finished());
            self.past.extend(past);
        }
        if !self.lines.contains_key(&key) {
            match self.start_line(key, name) {
                Ok(line) => drop(self.lines.insert(key, line)),
                Err(why) => {
                    return self
                        .said
                        .push(Said::Warning(format!("{name} is not recorded: no thread could be started ({why})")));
                }
            }
        }
        self.send(key, Message::Stream(id, Box::new(description.clone()), talk));
    }

    fn start_line(&self, key: StreamKey, name: &StreamName) -> std::io::Result<Line> {
        let outlets = Outlets {
            counts: Arc::clone(&self.counts),
            news: self.news.0.clone(),
            orders: self.caretaker.as_ref().and_then(Caretaker::orders),
            waker: Arc::clone(&self.waker),
        };
        let (inbox, messages) = unbounded();
        let storer = Storer::new(key, name.as_str(), Arc::clone(&self.folder), outlets);
        let thread = Builder::new().name("record".into()).spawn(move || storer.run(&messages))?;
        let (inbox, thread) = (Some(inbox), Some(thread));
        Ok(Line { name: name.clone(), inbox, thread, torn: false, is_slow: false, file: None })
    }

    /// What a relay tells of a stream that is recorded.
    pub fn take(&mut self, key: StreamKey, name: &StreamName, tapped: Tapped) {
        match tapped {
            Tapped::Stream(id, description) => self.stream(key, name, id, &description, self.talk),
            Tapped::Picture(picture) => self.picture(key, picture),
            Tapped::Sound(sound) => self.sound(key, sound),
            Tapped::Over => self.over(key),
        }
    }

    /// Closes all files, unless somebody is in a hurry; what is to be said of that.
    pub fn end(&mut self, hurry: bool) -> Vec<Said> {
        if hurry {
            self.abandon();
            return self.news();
        }
        self.finish()
    }

    /// A picture of the stream; what a slow disk leaves no room for is dropped, counted and, the first time, said.
    pub fn picture(&mut self, key: StreamKey, picture: PassedPicture) {
        let is_same = picture.is_same;
        let message = Message::Picture(picture);
        let Some(line) = self.lines.get_mut(&key) else { return };
        let full = self.counts.held.load(Ordering::Relaxed) + message.bytes() > INBOX;
        if full || line.torn && is_same {
            line.torn = true;
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            if full && !std::mem::replace(&mut line.is_slow, true) {
                let text =
                    format!("{}: the disk is too slow for all that is recorded: pictures are missing", line.name);
                self.said.push(Said::Warning(text));
            }
            return;
        }
        line.torn = false;
        self.send(key, message);
    }

    /// Sound of the stream, not always in order.
    pub fn sound(&mut self, key: StreamKey, sound: PassedSound) {
        self.put(key, Message::Sound(sound));
    }

    /// A line that somebody wrote at this media time of the stream, under a name that may be empty; it is recorded where the
    /// stream was said to have talk.
    pub fn line(&mut self, key: StreamKey, media: MediaTime, name: &str, text: &str) {
        self.put(key, Message::Line(media, name.to_owned(), text.to_owned()));
    }

    /// What a slow disk leaves no room for is left out.
    fn put(&self, key: StreamKey, message: Message) {
        if self.counts.held.load(Ordering::Relaxed) + message.bytes() <= INBOX {
            self.send(key, message);
        }
    }

    /// The stream has ended: its file is closed.
    pub fn over(&mut self, key: StreamKey) {
        self.send(key, Message::Over);
    }

    fn send(&self, key: StreamKey, message: Message) {
        let Some(inbox) = self.lines.get(&key).and_then(|line| line.inbox.as_ref()) else { return };
        let bytes = message.bytes();
        self.counts.held.fetch_add(bytes, Ordering::Relaxed);
        if inbox.send(message).is_err() {
            self.counts.held.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// What there is to say since the last time.
    pub fn news(&mut self) -> Vec<Said> {
        let news: Vec<News> = self.news.1.try_iter().collect();
        news.into_iter().for_each(|news| self.hear(news));
        std::mem::take(&mut self.said)
    }

    fn hear(&mut self, news: News) {
        let name = |key: &StreamKey| self.lines.get(key).map_or_else(String::new, |line| line.name.to_string());
        let said = match &news {
            News::Begun(key, path) => {
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                Some(Said::Plain(format!("{}: recorded to {file}.", name(key))))
            }
            News::Ended(key, Some(totals)) => {
                let recorded = words::recorded(std::slice::from_ref(totals), 0);
                Some(Said::Plain(format!("{}: {}", name(key), words::lowered(&recorded))))
            }
            News::Failed(key, why) => {
                Some(Said::Warning(format!("{} is not recorded just now: {why}; it is tried again", name(key))))
            }
            News::Untended(why) => Some(Said::Warning(why.clone())),
            News::Deleted(file) => Some(Said::Plain(format!("{file} was removed: it was the oldest recording."))),
            News::Ended(_, None) | News::Stock(..) => None,
        };
        self.said.extend(said);
        let figures = &mut self.figures;
        match news {
            News::Begun(key, path) => {
                self.lines.get_mut(&key).into_iter().for_each(|line| line.file = Some(path.clone()))
            }
            News::Ended(key, totals) => {
                self.lines.get_mut(&key).into_iter().for_each(|line| line.file = None);
                figures.ended += u64::from(totals.is_some());
                figures.length += totals.map_or(Duration::ZERO, |totals| totals.length);
            }
            News::Stock(files, bytes) => (figures.files, figures.bytes) = (files, bytes),
            News::Deleted(_) => figures.deleted += 1,
            News::Failed(..) | News::Untended(_) => figures.failures += 1,
        }
    }

    /// The file that a stream is recorded to just now.
    pub fn file(&self, key: StreamKey) -> Option<&Path> {
        self.lines.get(&key)?.file.as_deref()
    }

    pub fn figures(&self) -> StoringFigures {
        let running = self.lines.values().filter(|line| line.file.is_some()).count();
        let [pictures, dropped] =
            [&self.counts.pictures, &self.counts.dropped].map(|count| count.load(Ordering::Relaxed));
        StoringFigures { running, pictures, dropped, ..self.figures.clone() }
    }

    /// Ends all recordings, waits until they are written, and says the last of it.
    pub fn finish(&mut self) -> Vec<Said> {
        self.close();
        self.news()
    }

    /// Waits for nothing any more: what is written so far can be played.
    pub fn abandon(&mut self) {
        self.lines.values_mut().for_each(|line| (line.inbox, line.thread) = (None, None));
        if let Some(caretaker) = self.caretaker.take() {
            caretaker.abandon();
        }
    }

    fn close(&mut self) {
        self.lines.values_mut().for_each(|line| line.inbox = None);
        let lines = self.lines.values_mut().filter_map(|line| line.thread.take());
        let threads: Vec<_> = lines.chain(self.past.drain(..)).collect();
        for thread in threads {
            if thread.join().is_err() {
                self.said.push(Said::Warning("a thread that records died: this is a bug".to_owned()));
            }
        }
        // It looks once more when all files are closed.
        self.caretaker = None;
    }
}

impl Drop for Storing {
    fn drop(&mut self) {
        self.close();
    }
}

/// Bytes that may wait for the disk, of all streams together.
const INBOX: usize = 256 << 20;

#[cfg(test)]
mod tests;
