//! What lies below the folders: every file that may be a film or a song, and what is plainly wrong with it.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::inside::OpenRoot;

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which of the roots, and the path below it.
    pub root: usize,
    pub path: PathBuf,
    pub bytes: u64,
    /// When it was changed last, nanoseconds of Unix time.
    pub changed: i64,
    /// Why it cannot be watched, as far as that is seen from outside.
    pub wrong: Option<&'static str>,
    /// It has the ending of a film or a song.
    pub is_known: bool,
}

/// A file that was changed so shortly before may still be written.
const RESTS: Duration = Duration::from_secs(2);
/// Folders within folders, at most.
const DEEPEST: usize = 64;

const FILMS: &[&str] = &[
    "mp4", "m4v", "mkv", "webm", "mov", "avi", "ts", "m2ts", "mts", "mpg", "mpeg", "m2v", "vob", "wmv", "asf", "flv",
    "f4v", "ogv", "ogm", "3gp", "3g2", "mxf", "nut", "rm", "rmvb", "divx", "y4m", "mjpg", "mjpeg", "dv", "h264", "264",
    "hevc", "265", "ivf",
];
const SONGS: &[&str] = &[
    "mp3", "flac", "ogg", "oga", "opus", "m4a", "m4b", "aac", "wav", "wave", "wma", "aif", "aiff", "ape", "wv", "mka",
    "ac3", "eac3", "dts", "mp2", "tta", "amr", "au", "caf", "mpc", "ra", "w64", "spx",
];
/// What lies beside films, and is none.
const OTHERS: &[&str] = &[
    "jpg", "jpeg", "png", "gif", "webp", "bmp", "tif", "tiff", "svg", "heic", "avif", "ico", "txt", "md", "nfo", "xml",
    "json", "csv", "log", "srt", "vtt", "ass", "ssa", "sub", "idx", "sup", "pdf", "doc", "docx", "odt", "epub", "zip",
    "gz", "xz", "bz2", "7z", "rar", "tar", "iso", "db", "ini", "m3u", "m3u8", "pls", "cue", "html", "htm", "css", "js",
    "py", "rs", "sh", "exe", "dll", "so", "toml", "yaml", "yml", "lock", "sqlite", "sha256", "md5", "torrent", "url",
    "lnk", "bak",
];
/// Endings of what is being fetched.
const HALVES: &[&str] = &["part", "partial", "crdownload", "download", "tmp", "temp"];

/// All that is found below the roots, in the order of paths; and whether something is to be looked at again soon.
pub fn scan(roots: &[OpenRoot], now: SystemTime) -> (Vec<Found>, bool) {
    let (mut found, mut again) = (Vec::new(), false);
    for (number, root) in roots.iter().enumerate() {
        let mut walk = Walk { root: number, base: &root.path, now, found: &mut found, again: &mut again };
        walk.folder(Path::new(""), 0);
    }
    (found, again)
}

struct Walk<'a> {
    root: usize,
    base: &'a Path,
    now: SystemTime,
    found: &'a mut Vec<Found>,
    again: &'a mut bool,
}

impl Walk<'_> {
    fn folder(&mut self, below: &Path, depth: usize) {
        // A folder that cannot be read, or is gone, has nothing in it for anybody.
        let Ok(entries) = fs::read_dir(self.base.join(below)) else { return };
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            let path = below.join(&name);
            let Ok(about) = fs::symlink_metadata(self.base.join(&path)) else { continue };
            let hidden = name.as_encoded_bytes().starts_with(b".");
            if about.is_dir() {
                if !hidden && depth < DEEPEST {
                    self.folder(&path, depth + 1);
                }
                continue;
            }
            self.file(path, &about, hidden);
        }
    }

    fn file(&mut self, path: PathBuf, about: &Metadata, hidden: bool) {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
        let half = HALVES.contains(&ending.as_str());
        let is_known = FILMS.contains(&ending.as_str()) || SONGS.contains(&ending.as_str());
        if OTHERS.contains(&ending.as_str()) || hidden && !is_known || ending.is_empty() && hidden {
            return;
        }
        let (about, wrong) = match about.is_symlink() {
            true => match self.target(&path) {
                Ok(about) => (about, None),
                Err(why) => (about.clone(), Some(why)),
            },
            false => (about.clone(), None),
        };
        if !about.is_file() && wrong.is_none() {
            return;
        }
        let changed = about.modified().unwrap_or(UNIX_EPOCH);
        let fresh = self.now.duration_since(changed).is_ok_and(|ago| ago < RESTS);
        *self.again |= fresh;
        let wrong = wrong
            .or(hidden.then_some("it is hidden, as its name begins with a dot"))
            .or(half.then_some("it is not complete: something is still fetching it"))
            .or(fresh.then_some("it is still being written"))
            .or((about.len() == 0).then_some("it is empty"));
        let since = changed.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64);
        self.found.push(Found {
            root: self.root,
            path,
            bytes: about.len(),
            changed: since,
            wrong,
            is_known: is_known || half,
        });
    }

    /// What a link leads to, if that lies below the root.
    fn target(&self, path: &Path) -> Result<Metadata, &'static str> {
        let target = self.base.join(path).canonicalize().map_err(|_| "it is a link that leads nowhere")?;
        if !target.starts_with(self.base) {
            return Err("it is a link that leads out of the library");
        }
        let about = fs::metadata(&target).map_err(|_| "it is a link that leads nowhere")?;
        if about.is_dir() { Err("it is a link to a folder, which is not followed") } else { Ok(about) }
    }
}
