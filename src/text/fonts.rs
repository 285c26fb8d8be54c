//! The bundled faces, and the system's, which a thread reads when they are wanted for the first time.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use super::index::Index;

/// Latin, Greek and Cyrillic, punctuation and currency. All its digits are of one width.
pub const LETTERS: &[u8] = include_bytes!("../../assets/fonts/NotoSans-Subset.ttf");
/// Arrows, mathematical signs, lines and blocks.
pub const SIGNS: &[u8] = include_bytes!("../../assets/fonts/NotoSansMono-Signs.ttf");

/// Where fonts are looked for beside the bundled ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Folders {
    /// Where the system keeps them.
    System,
    /// In these folders and below; none: nowhere.
    These(Vec<PathBuf>),
}

impl Folders {
    /// `UDPSTREAM_FONTS`, a list of folders like `PATH`, stands for the system's; an empty one for none.
    pub fn from_environment() -> Self {
        env::var_os("UDPSTREAM_FONTS").map_or(Self::System, |list| Self::listed(&list))
    }

    fn listed(list: &OsStr) -> Self {
        Self::These(env::split_paths(list).filter(|path| !path.as_os_str().is_empty()).collect())
    }
}

type Wake = Box<dyn FnOnce() + Send>;

/// The system's fonts.
pub struct System {
    folders: Folders,
    state: Mutex<State>,
    read: Condvar,
}

#[derive(Default)]
struct State {
    begun: bool,
    index: Option<Arc<Index>>,
    wakes: Vec<Wake>,
}

impl System {
    pub fn new(folders: Folders) -> Arc<Self> {
        Arc::new(Self { folders, state: Mutex::default(), read: Condvar::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_read(&self) -> bool {
        self.state().index.is_some()
    }

    /// What there is, if it is read; the first call begins reading.
    pub fn index(self: &Arc<Self>) -> Option<Arc<Index>> {
        let mut state = self.state();
        if !std::mem::replace(&mut state.begun, true) {
            drop(state);
            let reading = Reading(Arc::clone(self));
            // A thread that cannot be started drops its work, which then ends without any font.
            let _started = Builder::new().name("fonts".into()).spawn(move || {
                let index = Index::read(&reading.0.folders);
                reading.0.finish(index);
            });
            return None;
        }
        state.index.clone()
    }

    /// Waits until they are read.
    pub fn wait(self: &Arc<Self>) {
        self.index();
        let mut state = self.state();
        while state.index.is_none() {
            state = self.read.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Calls `wake` when they have been read; never if they have been already.
    pub fn on_read(&self, wake: Wake) {
        let mut state = self.state();
        if state.index.is_none() {
            state.wakes.push(wake);
        }
    }

    fn finish(&self, index: Index) {
        let mut state = self.state();
        if state.index.is_none() {
            state.index = Some(Arc::new(index));
            self.read.notify_all();
        }
        let wakes = std::mem::take(&mut state.wakes);
        drop(state);
        wakes.into_iter().for_each(|wake| wake());
    }
}

/// Whatever becomes of the thread, nothing waits for it in vain.
struct Reading(Arc<System>);

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.0.is_read() {
            self.0.finish(Index::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_of_folders_is_no_font() {
        assert_eq!(Folders::listed(OsStr::new("")), Folders::These(Vec::new()));
        let list = env::join_paths(["/a", "/b c"]).expect("without separators");
        assert_eq!(Folders::listed(&list), Folders::These(vec!["/a".into(), "/b c".into()]));
    }
}
