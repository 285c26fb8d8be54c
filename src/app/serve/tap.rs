//! Whatever looks at a stream inside this program: recordings, the preview's window.

use crate::app::recording::Recordings;
use crate::media::coded::CodedPicture;
use crate::media::sound::Chunk;

/// One that looks at a stream. It never holds the stream up.
pub trait Tap: Send {
    /// A picture on its way to the watchers.
    fn picture(&mut self, picture: &CodedPicture);

    /// A chunk of sound on its way to the watchers.
    fn sound(&mut self, _chunk: &Chunk) {}

    /// Whether pictures are wanted even if there is no watcher.
    fn wants_pictures(&self) -> bool;
}

impl Tap for Recordings {
    fn picture(&mut self, picture: &CodedPicture) {
        self.coded(picture);
    }

    fn sound(&mut self, chunk: &Chunk) {
        Self::sound(self, &chunk.frames, chunk.first());
    }

    fn wants_pictures(&self) -> bool {
        self.is_running()
    }
}

/// All taps of one stream.
pub struct Taps {
    pub recordings: Recordings,
    /// Recordings keep what is said of the stream.
    pub talk: bool,
    others: Vec<Box<dyn Tap>>,
}

impl Taps {
    pub const fn new(recordings: Recordings, talk: bool) -> Self {
        Self { recordings, talk, others: Vec::new() }
    }

    pub fn add(&mut self, tap: impl Tap + 'static) {
        self.others.push(Box::new(tap));
    }

    fn all(&mut self) -> impl Iterator<Item = &mut dyn Tap> {
        let others = self.others.iter_mut().map(|tap| &mut **tap as &mut dyn Tap);
        std::iter::once(&mut self.recordings as &mut dyn Tap).chain(others)
    }

    pub fn picture(&mut self, picture: &CodedPicture) {
        self.all().for_each(|tap| tap.picture(picture));
    }

    pub fn sound(&mut self, chunk: &Chunk) {
        self.all().for_each(|tap| tap.sound(chunk));
    }

    pub fn want_pictures(&self) -> bool {
        self.recordings.wants_pictures() || self.others.iter().any(|tap| tap.wants_pictures())
    }
}
