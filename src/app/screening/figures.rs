//! What `serve` tells of its library.

use serde_json::{Value, json};

use crate::app::stock;
use crate::app::words::{counted, grouped};
use crate::library::Progress;

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LibraryFigures {
    /// Films and songs that were found.
    pub films: u64,
    /// Those that nobody has looked into yet.
    pub unseen: u64,
    /// Files that cannot be watched.
    pub broken: u64,
    pub watchers: usize,
    /// Encoders that run.
    pub jobs: usize,
    /// Pictures that were encoded, and that were kept from before.
    pub encoded: u64,
    pub reused: u64,
}

impl LibraryFigures {
    pub fn new(progress: &Progress, stock: &stock::Figures, watchers: usize) -> Self {
        Self {
            films: progress.found as u64,
            unseen: progress.found.saturating_sub(progress.seen) as u64,
            broken: progress.broken as u64,
            watchers,
            jobs: stock.jobs,
            encoded: stock.encoded,
            reused: stock.reused,
        }
    }

    pub fn json(&self) -> Value {
        json!({
            "films": self.films, "unseen": self.unseen, "broken": self.broken, "watchers": self.watchers,
            "jobs": self.jobs, "pictures_encoded": self.encoded, "pictures_reused": self.reused,
        })
    }

    /// The parts of the line that updates itself.
    pub fn line(&self) -> Vec<String> {
        let mut line = vec![counted(self.films, "film"), counted(self.watchers as u64, "watcher")];
        if self.unseen > 0 {
            line.push(format!("{} to be looked into", grouped(self.unseen)));
        }
        if self.jobs > 0 {
            line.push(counted(self.jobs as u64, "encoder"));
        }
        line
    }
}
