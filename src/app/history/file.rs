//! The file of records: appended to, read, and written anew when most of it is old.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::Record;

/// A file of so many lines more than it has records is written anew.
const OLD: usize = 500;
/// Nobody has watched more.
const LONGEST: u64 = 64 << 20;

/// Why the history cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be {action} ({why}); check its permissions", path.display())]
pub struct HistoryError {
    path: PathBuf,
    action: &'static str,
    why: io::Error,
}

/// See the head of this file.
#[derive(Clone)]
pub struct History {
    path: PathBuf,
}

impl History {
    /// The one that is kept in this file, which need not be there.
    pub const fn at(path: PathBuf) -> Self {
        Self { path }
    }

    fn failed(&self, action: &'static str) -> impl Fn(io::Error) -> HistoryError {
        move |why| HistoryError { path: self.path.clone(), action, why }
    }

    /// The newest record of each film, the one that changed last first. What cannot be read is left out.
    pub fn records(&self) -> Result<Vec<Record>, HistoryError> {
        let content = match read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            content => content.map_err(self.failed("read"))?,
        };
        Ok(newest(&content).0)
    }

    /// The record of a film, if there is one.
    pub fn find(&self, server: &str, name: &str) -> Result<Option<Record>, HistoryError> {
        let all = self.records()?;
        Ok(all.into_iter().find(|record| record.server == server && record.name == name))
    }

    /// Appends a record, which takes the place of an older one of the same film.
    pub fn keep(&self, record: &Record) -> Result<(), HistoryError> {
        self.append(record).map_err(self.failed("written"))
    }

    fn append(&self, record: &Record) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = self.locked()?;
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        // A line that somebody has not finished does not spoil this one.
        let length = file.seek(SeekFrom::End(0))?;
        if length > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                line.insert(0, b'\n');
            }
        }
        file.write_all(&line)?;
        let content = read(&self.path)?;
        let (records, lines) = newest(&content);
        if lines > records.len() + OLD { self.write_anew(&records) } else { Ok(()) }
    }

    /// Opened for all that is done with it, while nobody else does anything.
    fn locked(&self) -> io::Result<File> {
        loop {
            let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
            flock(&file, FlockOperation::LockExclusive)?;
            // It may have been written anew meanwhile, which is another file.
            let same = fs::metadata(&self.path).is_ok_and(|now| file.metadata().is_ok_and(|own| is_same(&now, &own)));
            if same {
                return Ok(file);
            }
        }
    }

    /// In one step: whoever is killed leaves the old file or the new one.
    fn write_anew(&self, records: &[Record]) -> io::Result<()> {
        let beside = self.path.with_extension(format!("jsonl.{}", std::process::id()));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            for record in records.iter().rev() {
                let mut line = serde_json::to_vec(record)?;
                line.push(b'\n');
                file.write_all(&line)?;
            }
            file.sync_all()?;
            fs::rename(&beside, &self.path)
        })();
        if written.is_err() {
            fs::remove_file(&beside).ok();
        }
        written
    }

    /// Forgets the films that `which` says; tells how many.
    pub fn clear(&self, which: impl Fn(&Record) -> bool) -> Result<usize, HistoryError> {
        if !self.path.exists() {
            return Ok(0);
        }
        let _lock = self.locked().map_err(self.failed("written"))?;
        let records = self.records()?;
        let count = records.len();
        let kept: Vec<Record> = records.into_iter().filter(|record| !which(record)).collect();
        self.write_anew(&kept).map_err(self.failed("written"))?;
        Ok(count - kept.len())
    }
}

fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut content)?;
    Ok(content)
}

/// The newest record of each film, the last first, and how many lines there are.
fn newest(content: &[u8]) -> (Vec<Record>, usize) {
    let mut films: BTreeMap<(String, String), (usize, Record)> = BTreeMap::new();
    let mut lines = 0;
    for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        lines += 1;
        if let Ok(record) = serde_json::from_slice::<Record>(line)
            && !record.name.is_empty()
        {
            films.insert((record.server.clone(), record.name.clone()), (lines, record));
        }
    }
    let mut all: Vec<(usize, Record)> = films.into_values().collect();
    all.sort_by_key(|(line, _)| std::cmp::Reverse(*line));
    (all.into_iter().map(|(_, record)| record).collect(), lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, place: f64) -> Record {
        let (server, title) = ("host".to_owned(), name.to_owned());
        Record { server, name: name.to_owned(), title, place: Some(place), length: Some(100.0), seen: 0, at: 1 }
    }

    fn history(folder: &Path) -> History {
        History::at(folder.join("state/udpstream/history.jsonl"))
    }

    #[test]
    fn the_newest_of_each_film_counts_and_a_file_of_old_lines_is_written_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let history = history(folder.path());
        assert_eq!(history.records().expect("none yet"), []);
        for place in 0..1_100 {
            history.keep(&record("one", f64::from(place))).expect("kept");
        }
        history.keep(&record("two", 5.0)).expect("kept");
        assert_eq!(history.records().expect("read"), [record("two", 5.0), record("one", 1_099.0)]);
        let lines = fs::read_to_string(&history.path).expect("read").lines().count();
        assert!(lines <= OLD + 3, "{lines} lines");
        assert_eq!(history.clear(|record| record.name == "one").expect("cleared"), 1);
        assert_eq!(history.find("host", "one").expect("read"), None);
        assert_eq!(history.find("host", "two").expect("read"), Some(record("two", 5.0)));
    }

    /// What a writer that was killed leaves behind: any beginning of the file.
    #[test]
    fn a_file_that_is_cut_anywhere_loses_its_last_line_at_most_and_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let history = history(folder.path());
        for number in 0..5 {
            history.keep(&record(&number.to_string(), 7.0)).expect("kept");
        }
        let whole = fs::read(&history.path).expect("read");
        for cut in 0..=whole.len() {
            fs::write(&history.path, &whole[..cut]).expect("cut");
            let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
            let found = history.records().expect("read").len();
            assert!((lines..=lines + 1).contains(&found), "cut at {cut}: {found} of {lines}");
            history.keep(&record("next", 9.0)).expect("kept");
            let after = history.records().expect("read");
            assert_eq!((after.len(), &after[0]), (found + 1, &record("next", 9.0)), "cut at {cut}");
        }
        fs::write(&history.path, b"\xff\xfe{}\n[]\n{\"name\":5}\n\0\n").expect("written");
        assert_eq!(history.records().expect("read"), []);
    }

    #[test]
    fn several_write_at_the_same_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let history = history(folder.path());
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let history = history.clone();
                scope.spawn(move || {
                    for number in 0..50 {
                        history.keep(&record(&format!("{writer}-{number}"), 1.0)).expect("kept");
                    }
                });
            }
        });
        assert_eq!(history.records().expect("read").len(), 200);
    }
}
