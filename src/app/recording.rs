//! Recording beside the stream: a thread that writes, an inbox that never makes its sender wait, and what people are told of
//! it. Both sides use it: `serve` has whole JPEGs, `watch` has slices.

pub(super) mod pictures;
mod renditions;
mod writer;

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use serde_json::{Value, json};

use self::pictures::What;
use self::writer::{Message, Writer};
use super::figures::{Output, rounded};
use super::watch::screen::Screen;
use super::words;
use crate::media::coded::CodedPicture;
use crate::media::sound::Frame;
use crate::proto::receiver::{Ready, Slice};
use crate::queue::Waker;
use crate::record::RecordError;
use crate::record::film::{Totals, Tracks};
use crate::record::path::{RecordingKind, RecordingPath};
use crate::units::MediaTime;

/// Where people are told something.
pub type Ears<'a> = (&'a Output, &'a Screen);

/// All recordings of one run, at most one at a time.
pub struct Recordings {
    waker: Waker,
    running: Option<Running>,
    /// Told to end, or ended by themselves.
    ending: Vec<JoinHandle<()>>,
    /// Recordings begun.
    begun: u64,
    /// What is to be recorded: the stream's number and what is in it.
    stream: Option<(u64, Tracks)>,
    news: (Sender<News>, Receiver<News>),
    /// Slices of the picture that is being received.
    slices: Vec<Slice>,
    /// The slices of a whole picture are being kept.
    collecting: bool,
    done: Done,
}

/// Something for people to know.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Plain(String),
    Failed(String),
}

/// What all recordings of a run hold.
#[derive(Default)]
struct Done {
    files: Vec<Totals>,
    /// Recordings by number, and the pictures dropped of each.
    dropped: Vec<(u64, u64)>,
    failed: bool,
}

struct Running {
    number: u64,
    inbox: Sender<Message>,
    /// Bytes in the inbox.
    held: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
    dropped: u64,
    /// Its file has no room for pictures.
    sound_only: bool,
    /// A picture was dropped, so the one before is not the one that was recorded last.
    torn: bool,
}

enum News {
    Said(Said),
    /// The recording of this number has ended, with these files.
    Ended(u64, Vec<Totals>),
}

impl Running {
    fn send(&self, message: Message) {
        let bytes = message.bytes();
        self.held.fetch_add(bytes, Ordering::Relaxed);
        if self.inbox.send(message).is_err() {
            // It has failed, and its news is on the way.
            self.held.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Recordings {
    /// None yet. The waker is called when there is news.
    pub fn new(waker: Waker) -> Self {
        Self {
            waker,
            running: None,
            ending: Vec::new(),
            begun: 0,
            stream: None,
            news: unbounded(),
            slices: Vec::new(),
            collecting: false,
            done: Done::default(),
        }
    }

    pub const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Begins a recording, of the running stream if there is one.
    pub fn begin(&mut self, path: RecordingPath) -> Result<(), RecordError> {
        let (inbox, messages) = unbounded();
        let sound_only = path.kind() == RecordingKind::Wav;
        let held = Arc::new(AtomicUsize::new(0));
        let writer = Writer::new(path);
        let (news, waker, taken) = (self.news.0.clone(), Arc::clone(&self.waker), Arc::clone(&held));
        self.begun += 1;
        let number = self.begun;
        let run = move || {
            let (files, failure) = writer.run(&messages, &taken);
            let said = failure.map(|error| News::Said(Said::Failed(format!("error: recording stopped: {error}"))));
            for told in said.into_iter().chain([News::Ended(number, files)]) {
                // After the last word the receiver is gone.
                news.send(told).ok();
            }
            waker();
        };
        let thread = Builder::new().name("record".into()).spawn(run).map_err(RecordError::Thread)?;
        let running = Running { number, inbox, held, thread, dropped: 0, sound_only, torn: false };
        self.running = Some(running);
        if let Some((id, tracks)) = self.stream {
            self.tell_stream(id, tracks);
        }
        // In the middle of a picture its first slices have gone by.
        self.collecting = self.stream.is_none();
        Ok(())
    }

    /// Begins a recording under a new name in the current folder, or ends the running one, and says so.
    pub fn toggle(&mut self, title: &str, time: Duration, ears: Ears<'_>) {
        let said = if self.running.is_some() {
            self.end();
            Said::Plain("The recording ends.".to_owned())
        } else if self.stream.is_none() {
            Said::Plain("There is nothing to record yet.".to_owned())
        } else {
            self.begin_anew(title, time)
        };
        tell(said, ears);
        ears.1.recording(self.is_running());
    }

    fn begin_anew(&mut self, title: &str, time: Duration) -> Said {
        let folder = env::current_dir().unwrap_or_else(|_| ".".into());
        let begun = RecordingPath::take_new(&folder, title, time).and_then(|path| {
            let name = path.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.begin(path).map(|()| name)
        });
        match begun {
            Ok(name) => Said::Plain(format!("Recording to {name}; r ends it.")),
            Err(error) => Said::Failed(format!("Not recorded: {error}.")),
        }
    }

    /// Ends the running recording; its file is closed in the background, and news follows.
    fn end(&mut self) {
        self.slices.clear();
        if let Some(Running { number, dropped, thread, .. }) = self.running.take() {
            self.done.dropped.push((number, dropped));
            self.ending.push(thread);
        }
    }

    /// A stream begins, or another one, or the same at another size or rate: then another file.
    pub fn stream(&mut self, id: u64, tracks: Tracks) {
        let other = self.stream.replace((id, tracks)) != Some((id, tracks));
        self.slices.clear();
        if other {
            self.tell_stream(id, tracks);
        }
    }

    fn tell_stream(&self, id: u64, tracks: Tracks) {
        if let Some(running) = &self.running {
            running.send(Message::Stream(id, tracks));
            if running.sound_only && !tracks.sound {
                let text = "This stream has no sound, and a .wav file holds nothing else: record to .mkv.";
                self.news.0.send(News::Said(Said::Failed(text.to_owned()))).ok();
            }
        }
    }

    /// A picture as its encoder made it.
    pub fn coded(&mut self, picture: &CodedPicture) {
        if self.running.is_some() {
            let what = if picture.is_same() { What::Same } else { What::Whole(picture.jpeg.clone()) };
            self.put(Message::Picture(picture.media_time, what));
        }
    }

    /// A slice of the picture that is shown next.
    pub fn slice(&mut self, slice: &Slice) {
        if self.running.is_some() && self.collecting {
            self.slices.push(slice.clone());
        }
    }

    /// The picture of all slices since the last one.
    pub fn show(&mut self, picture: &Ready) {
        let slices = std::mem::take(&mut self.slices);
        if self.running.is_some() && std::mem::replace(&mut self.collecting, true) {
            let what = if picture.same { What::Same } else { What::Slices(picture.size, slices) };
            self.put(Message::Picture(picture.media_time, what));
        }
    }

    /// Frames of sound, the first of which is this one of the stream.
    pub fn sound(&mut self, frames: &[Frame], first: u64) {
        if self.running.is_some() {
            self.put(Message::Sound(first, frames.to_vec()));
        }
    }

    /// A line that somebody wrote at this media time, under a name that may be empty; it is recorded where the stream's
    /// [`Tracks::talk`] says that it has such lines.
    pub fn line(&mut self, media: MediaTime, name: &str, text: &str) {
        if self.running.is_some() {
            self.put(Message::Line(media, name.to_owned(), text.to_owned()));
        }
    }

    /// Never waits: what a slow disk leaves no room for is dropped, counted and, the first time, said.
    fn put(&mut self, message: Message) {
        let Some(running) = &mut self.running else { return };
        let picture = matches!(message, Message::Picture(..));
        let orphan = running.torn && matches!(message, Message::Picture(_, What::Same));
        let bytes = message.bytes();
        if orphan || running.held.load(Ordering::Relaxed) + bytes > INBOX {
            running.dropped += u64::from(picture);
            running.torn |= picture;
            if running.dropped == 1 && picture {
                let text = "The disk is too slow for this recording: pictures are missing in it. Record to another \
                            disk, or serve with a smaller --width or --quality.";
                self.news.0.send(News::Said(Said::Failed(text.to_owned()))).ok();
            }
            return;
        }
        running.torn &= !picture;
        running.send(message);
    }

    /// Says what there is to say since the last time.
    pub fn tell(&mut self, ears: Ears<'_>) {
        let news = self.news();
        if !news.is_empty() {
            ears.1.recording(self.is_running());
        }
        news.into_iter().for_each(|said| tell(said, ears));
    }

    fn news(&mut self) -> Vec<Said> {
        let news: Vec<News> = self.news.1.try_iter().collect();
        news.into_iter().map(|news| self.hear(news)).collect()
    }

    fn hear(&mut self, news: News) -> Said {
        match news {
            News::Said(said) => {
                self.done.failed |= matches!(said, Said::Failed(_));
                said
            }
            News::Ended(number, files) => {
                // If it still runs, it has ended by itself.
                if self.running.as_ref().is_some_and(|running| running.number == number) {
                    self.end();
                }
                let dropped = self.done.dropped.iter().find(|(of, _)| *of == number).map_or(0, |(_, count)| *count);
                let text = words::recorded(&files, dropped);
                self.done.files.extend(files);
                Said::Plain(text)
            }
        }
    }

    /// Ends whatever still runs, waits until it is written, and says the last of it.
    pub fn finish(&mut self, ears: Ears<'_>) {
        self.end();
        let died = self.ending.drain(..).filter_map(|thread| thread.join().err()).count();
        self.tell(ears);
        if died > 0 {
            self.done.failed = true;
            tell(Said::Failed("error: the recorder's thread died: this is a bug".to_owned()), ears);
        }
    }

    /// Waits for nothing any more: what is written so far can be played.
    pub fn abandon(&mut self) {
        self.end();
        self.ending.clear();
    }

    /// Something could not be recorded.
    pub const fn failed(&self) -> bool {
        self.done.failed
    }

    /// For the summary: what was recorded, or null.
    pub fn json(&self) -> Value {
        let Done { files, dropped, .. } = &self.done;
        let Some(first) = files.first() else { return Value::Null };
        let seconds: f64 = files.iter().map(|file| file.length.as_secs_f64()).sum();
        let names: Vec<_> = files.iter().map(|file| file.path.display().to_string()).collect();
        json!({
            "file": first.path.display().to_string(), "files": names,
            "pictures": files.iter().map(|file| file.pictures).sum::<u64>(),
            "seconds": rounded(seconds, 1e3), "dropped": dropped.iter().map(|(_, count)| count).sum::<u64>(),
        })
    }
}

impl Drop for Recordings {
    /// Whatever went wrong elsewhere: files are closed, and empty ones go.
    fn drop(&mut self) {
        self.end();
        for thread in self.ending.drain(..) {
            thread.join().ok();
        }
    }
}

fn tell(said: Said, (output, screen): Ears<'_>) {
    match said {
        Said::Plain(text) => {
            output.say(&text);
            screen.notice(&text);
        }
        Said::Failed(text) => {
            output.warn(&text);
            screen.notice(&text);
            // A reader that has gone is noticed with the next figures.
            output.event("warning", json!({ "code": "record", "text": text })).ok();
        }
    }
}

/// Bytes that may wait for the disk: some seconds of a large picture.
const INBOX: usize = 64 << 20;

#[cfg(test)]
pub(super) mod tests;
