//! The recorder's thread: what is sent to it, and what it makes of that.

use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::Receiver;

use super::pictures::{Pictures, What};
use crate::media::sound::Frame;
use crate::record::RecordError;
use crate::record::film::{Film, Totals, Tracks};
use crate::record::path::RecordingPath;
use crate::units::MediaTime;

/// What goes to the thread that writes.
pub(super) enum Message {
    Stream(u64, Tracks),
    Picture(MediaTime, What),
    Sound(u64, Vec<Frame>),
    /// Its media time, a name and a text.
    Line(MediaTime, String, String),
}

impl Message {
    pub fn bytes(&self) -> usize {
        let content = match self {
            Self::Picture(_, what) => what.bytes(),
            Self::Sound(_, frames) => size_of_val(frames.as_slice()),
            Self::Line(_, name, text) => name.len() + text.len(),
            Self::Stream(..) => 0,
        };
        content + size_of::<Self>()
    }
}

/// The thread that writes: one file after the other.
pub(super) struct Writer {
    /// Until the stream is known.
    path: Option<RecordingPath>,
    film: Option<Film>,
    stream: Option<(u64, Tracks)>,
    pictures: Pictures,
    files: Vec<Totals>,
}

impl Writer {
    /// Writes to `path`, once the stream is known.
    pub fn new(path: RecordingPath) -> Self {
        Self { path: Some(path), film: None, stream: None, pictures: Pictures::default(), files: Vec::new() }
    }

    /// Writes until the inbox is closed or something fails.
    pub fn run(mut self, messages: &Receiver<Message>, held: &AtomicUsize) -> (Vec<Totals>, Option<RecordError>) {
        let failed = messages.iter().find_map(|message| {
            let bytes = message.bytes();
            let outcome = self.take(message);
            held.fetch_sub(bytes, Ordering::Relaxed);
            outcome.err()
        });
        let ended = self.film.take().map_or(Ok(()), |film| self.close(film));
        (self.files, failed.or(ended.err()))
    }

    fn take(&mut self, message: Message) -> Result<(), RecordError> {
        match message {
            Message::Stream(id, tracks) => self.stream(id, tracks),
            Message::Picture(media, what) => self.picture(media, what),
            Message::Sound(first, frames) => self.sound(first, &frames),
            Message::Line(media, name, text) => {
                self.film.as_mut().map_or(Ok(()), |film| film.line(media, &name, &text).map(drop))
            }
        }
    }

    fn stream(&mut self, id: u64, tracks: Tracks) -> Result<(), RecordError> {
        if self.stream.replace((id, tracks)) == Some((id, tracks)) {
            return Ok(());
        }
        self.pictures.forget();
        let path = match (self.film.take(), self.path.take()) {
            (Some(mut film), _) => {
                let path = film.next_path()?;
                self.close(film)?;
                path
            }
            (None, Some(path)) => path,
            (None, None) => return Ok(()),
        };
        self.film = Some(Film::new(path, tracks));
        Ok(())
    }

    fn picture(&mut self, media: MediaTime, what: What) -> Result<(), RecordError> {
        let Some(film) = &mut self.film else { return Ok(()) };
        let full = film.tracks().size;
        self.pictures.take(full, what).map_or(Ok(()), |jpeg| film.picture(media, jpeg).map(drop))
    }

    fn sound(&mut self, first: u64, frames: &[Frame]) -> Result<(), RecordError> {
        let Some(film) = &mut self.film else { return Ok(()) };
        match film.sound(first, frames) {
            Err(RecordError::WavFull(_)) => {
                let (path, tracks) = (film.next_path()?, film.tracks());
                let full = self.film.replace(Film::new(path, tracks));
                full.map_or(Ok(()), |full| self.close(full))?;
                self.film.as_mut().map_or(Ok(()), |film| film.sound(first, frames))
            }
            other => other,
        }
    }

    fn close(&mut self, film: Film) -> Result<(), RecordError> {
        let (totals, outcome) = film.finish();
        self.files.extend(totals);
        outcome
    }
}
