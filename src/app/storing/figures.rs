//! Figures of what is stored.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::figures::rounded;
use crate::app::words::{counted, grouped, seconds_text};

/// What was recorded since the start, and what there is in the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoringFigures {
    pub folder: PathBuf,
    /// Streams that are recorded just now.
    pub running: usize,
    /// Files of recordings in the folder, also of former runs, and their bytes.
    pub files: usize,
    pub bytes: u64,
    /// Files that were closed, and their length together.
    pub ended: u64,
    pub length: Duration,
    /// Pictures that were written, and those that there was no room for.
    pub pictures: u64,
    pub dropped: u64,
    /// Files that had to go.
    pub deleted: u64,
    /// So often something could not be written.
    pub failures: u64,
}

impl StoringFigures {
    pub fn json(&self) -> Value {
        json!({
            "dir": self.folder.display().to_string(), "running": self.running,
            "files": self.files, "bytes": self.bytes, "ended": self.ended,
            "seconds": rounded(self.length.as_secs_f64(), 1e3), "pictures": self.pictures, "dropped": self.dropped,
            "deleted": self.deleted, "failures": self.failures,
        })
    }

    /// `3 recorded, 420 MB`.
    pub fn line(&self) -> String {
        format!("{} recorded, {} MB", grouped(self.running as u64), grouped(self.bytes.div_ceil(1_000_000)))
    }

    /// The last sentence.
    pub fn sentence(&self) -> String {
        if self.ended == 0 {
            return "Nothing was recorded.".to_owned();
        }
        let dropped = if self.dropped > 0 { format!(", {} dropped", grouped(self.dropped)) } else { String::new() };
        let gone = if self.deleted > 0 {
            format!("; {} had to go", counted(self.deleted, "old recording"))
        } else {
            String::new()
        };
        format!(
            "Recorded {}{dropped}, {}, to {} in {}{gone}.",
            counted(self.pictures, "picture"),
            seconds_text(self.length),
            counted(self.ended, "file"),
            self.folder.display(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_read() {
        let none = StoringFigures { folder: "films".into(), ..StoringFigures::default() };
        assert_eq!(none.sentence(), "Nothing was recorded.");
        let length = Duration::from_secs(40);
        let some = StoringFigures { running: 2, bytes: 1_419_000_001, ended: 3, pictures: 1_000, length, ..none };
        assert_eq!(some.line(), "2 recorded, 1 420 MB");
        assert_eq!(some.sentence(), "Recorded 1 000 pictures, 40.0 s, to 3 files in films.");
        let worse = StoringFigures { dropped: 12, deleted: 1, ended: 1, ..some };
        let said = "Recorded 1 000 pictures, 12 dropped, 40.0 s, to 1 file in films; 1 old recording had to go.";
        assert_eq!(worse.sentence(), said);
    }
}
