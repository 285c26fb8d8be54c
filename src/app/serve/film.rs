//! What a film's bytes follow from, as one hash: its file, every option that changes them, and the programs that make them. Who
//! cannot make the same bytes again must have another one.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::StreamOptions;
use crate::ffmpeg;
use crate::seal;
use crate::source::{self, Info, Input, Pace};
use crate::wire::description::FilmHash;

/// So much of a file's beginning and end is looked at.
const END: u64 = 64 << 10;
/// Raised when the same options come to make other bytes.
const MAKING: &str = "film 1";

/// The hash of a stream's film; `None` if it is none that can be had as a whole, or its file cannot be read.
pub fn hash(stream: &StreamOptions, info: &Info) -> Option<FilmHash> {
    let Input::File(path) = &stream.input else { return None };
    if info.pace == Pace::Live || stream.ear.is_some() || stream.input.is_named_pipe() {
        return None;
    }
    let file = of_file(path).ok()?;
    let program = ffmpeg::find("ffmpeg").ok().and_then(|path| size_and_time(&File::open(path).ok()?).ok());
    let options = format!("{:?} {}", once(&stream.source), stream.quality);
    let shown = format!("{:?} {} {:?}", stream.title, info.title, (info.size, info.rate, info.sound));
    let version = env!("CARGO_PKG_VERSION");
    let program = format!("{program:?}");
    let parts = [MAKING, version, &options, &shown, &program].map(str::as_bytes);
    Some(seal::digest(parts.into_iter().chain([&file[..]])))
}

/// The options of one pass.
pub const fn once(options: &source::Options) -> source::Options {
    source::Options { looped: false, ..*options }
}

/// Size, time, beginning and end of a file.
fn of_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let (size, time) = size_and_time(&file)?;
    let mut all = format!("{size} {time}").into_bytes();
    Read::by_ref(&mut file).take(END).read_to_end(&mut all)?;
    file.seek(SeekFrom::Start(size.saturating_sub(END)))?;
    file.take(END).read_to_end(&mut all)?;
    Ok(all)
}

/// Bytes, and when they were written last, in nanoseconds of Unix time.
fn size_and_time(file: &File) -> io::Result<(u64, u128)> {
    let about = file.metadata()?;
    let time = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((about.len(), time.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grows_or_changes_at_either_end_is_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("film");
        let mut seen = Vec::new();
        let mut bytes = vec![7; 200_000];
        for change in [0, 1, 2, 3] {
            match change {
                1 => bytes.push(7),
                2 => bytes[10] = 8,
                3 => *bytes.last_mut().expect("some") = 8,
                _ => {}
            }
            std::fs::write(&path, &bytes).expect("written");
            let file = File::options().write(true).open(&path).expect("there");
            file.set_modified(UNIX_EPOCH).expect("its time is set");
            seen.push(of_file(&path).expect("read"));
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 4);
        assert!(of_file(&folder.path().join("none")).is_err());
    }
}
