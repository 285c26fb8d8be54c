//! A library of films and songs: what is found below its folders, what is known of each, and how one is opened.
//!
//! A thread looks through the folders when it starts and whenever something in them changes; others look into files that are new or
//! have changed, with ffprobe at low priority. What was found out is kept in a database, so that it is there at once the next time.
//! A name from outside is looked up among what was found, and never becomes a path.

pub mod about;
mod database;
mod documents;
mod inside;
mod look;
mod names;
mod scan;
mod table;
#[cfg(test)]
mod tests;
mod titles;
mod work;

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;

use crossbeam_channel::Sender;

use self::about::{Entry, What};
use self::inside::OpenRoot;
pub use self::look::{Inspect, Inspector, NotMedia, inspect};
pub use self::names::natural;
use self::table::Table;
use self::work::Message;
use crate::queue::Waker;
use crate::wire::StreamName;

/// A folder of films.
#[derive(Clone, Debug)]
pub struct Root {
    pub path: PathBuf,
}

/// What the operator chose.
pub struct Options {
    pub roots: Vec<Root>,
    /// Where what is known is kept.
    pub folder: PathBuf,
    /// Files that are looked into at once.
    pub jobs: usize,
    /// Called when more is known than before.
    pub waker: Waker,
}

/// Why there is no library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    #[error("the folder {} cannot be read ({why}); check its name and permissions", folder.display())]
    Root { folder: PathBuf, why: io::Error },
    #[error("a thread for the library could not be started ({0}); close some programs and try again")]
    Thread(#[source] io::Error),
}

/// Why a film is not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    #[error("There is no film {0}.")]
    Unknown(StreamName),
    #[error("{name} cannot be watched: {reason}.")]
    Broken { name: StreamName, reason: String },
    #[error("{name} cannot be opened ({why}).")]
    Unreadable { name: StreamName, why: io::Error },
}

/// A film that was opened.
pub struct Opened {
    pub file: File,
    /// Where it was.
    pub path: PathBuf,
    pub entry: Arc<Entry>,
}

/// How far it has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Films and songs that were found.
    pub found: usize,
    /// Those that were looked into.
    pub seen: usize,
    /// Files that cannot be watched.
    pub broken: usize,
}

/// See the head of this file. Dropping it ends its threads.
pub struct Library {
    shared: Arc<Shared>,
    orders: Sender<Message>,
    threads: Vec<JoinHandle<()>>,
    stop: crate::ffmpeg::Control,
    /// Tells of changes, for as long as it is held.
    _watcher: Option<notify::RecommendedWatcher>,
}

/// What all threads see.
struct Shared {
    roots: Vec<OpenRoot>,
    table: RwLock<Table>,
}

impl Shared {
    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Library {
    /// Opens it: what was known the last time is there at once.
    pub fn open(options: Options) -> Result<Self, LibraryError> {
        work::open(options, Arc::new(Inspector))
    }

    /// What is known of the film of this name.
    pub fn find(&self, name: &StreamName) -> Option<Arc<Entry>> {
        self.shared.table().find(name.as_str()).map(|item| Arc::clone(&item.entry))
    }

    /// Names that somebody may have meant who typed this one, or some that there are.
    pub fn like(&self, name: &str) -> Vec<StreamName> {
        self.shared.table().like(name)
    }

    /// Opens the file of the film of this name, if it lies below the library's folders.
    pub fn open_inside(&self, name: &StreamName) -> Result<Opened, Refused> {
        let (root, path, entry) = {
            let table = self.shared.table();
            let item = table.find(name.as_str()).ok_or_else(|| Refused::Unknown(name.clone()))?;
            (item.root, item.path.clone(), Arc::clone(&item.entry))
        };
        if entry.what == What::Broken {
            let reason = entry.reason.clone().unwrap_or_default();
            return Err(Refused::Broken { name: name.clone(), reason });
        }
        let unreadable = |why| Refused::Unreadable { name: name.clone(), why };
        let root = self.shared.roots.get(root).ok_or_else(|| Refused::Unknown(name.clone()))?;
        let file = root.open(&path).map_err(unreadable)?;
        Ok(Opened { file, path: root.path.join(path), entry })
    }

    pub fn progress(&self) -> Progress {
        self.shared.table().progress()
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        self.orders.send(Message::Stop).ok();
        self.stop.stop();
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}
