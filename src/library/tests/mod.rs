//! What a library finds, and what it does not let itself be talked into.

mod kept;
mod tricks;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::about::{Entry, What};
use super::look::{Inspect, NotMedia};
use super::work::open;
use super::{Library, Options, Root};
use crate::ffmpeg::Control;

/// Knows files by their first letter: `b` is broken, `o` is something else.
#[derive(Default)]
pub struct Counting {
    pub looks: AtomicUsize,
    pub of: Mutex<Vec<PathBuf>>,
}

impl Inspect for Counting {
    fn inspect(&self, held: &Path, path: &Path, _: &Control) -> Result<Entry, NotMedia> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.of.lock().expect("not poisoned").push(path.to_owned());
        match fs::read(held).unwrap_or_default().first() {
            Some(b'b') => Err(NotMedia::Broken("it is broken".to_owned())),
            Some(b'o') => Err(NotMedia::Other),
            _ => Ok(Entry { what: What::Film, seconds: Some(60.0), ..Entry::default() }),
        }
    }
}

/// A folder with a library, and where that keeps what it knows.
pub struct Place {
    pub films: tempfile::TempDir,
    pub state: tempfile::TempDir,
    pub counting: Arc<Counting>,
}

impl Place {
    pub fn new() -> Self {
        let folder = || tempfile::tempdir().expect("a folder");
        Self { films: folder(), state: folder(), counting: Arc::default() }
    }

    /// A file that was written a while ago.
    pub fn file(&self, path: &str, content: &[u8]) -> PathBuf {
        let path = self.films.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, content).expect("written");
        rested(&path);
        path
    }

    pub fn open(&self) -> Library {
        let roots = vec![Root { path: self.films.path().to_owned() }];
        let options = Options { roots, folder: self.state.path().to_owned(), jobs: 2, waker: Arc::new(|| {}) };
        open(options, Arc::clone(&self.counting) as Arc<dyn Inspect>).expect("a library")
    }

    pub fn looks(&self) -> usize {
        self.counting.looks.load(Ordering::Relaxed)
    }
}

/// As if it had been written ten minutes ago.
pub fn rested(path: &Path) {
    let file = fs::File::options().write(true).open(path).expect("opened");
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)).expect("set");
}

/// Waits until something is so; a machine that stands still is waited for.
#[expect(clippy::disallowed_methods, reason = "threads are waited for")]
pub fn until(what: impl Fn() -> bool) {
    for _ in 0..2_500 {
        if what() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it did not come about");
}

/// All films and songs were looked into.
pub fn seen(library: &Library) -> bool {
    let progress = library.progress();
    progress.found == progress.seen
}
