//! Sound as a WAV file: 44.1 kHz, 16 bits, stereo. Its header is brought up to date each second, so that whatever ends
//! this program leaves a file that players take.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavSpec};

use super::RecordError;
use crate::media::sound::{Frame, RATE};

/// A WAV file in the making. Dropped without [`WavWriter::finish`] it is finished too, but no error is told.
pub struct WavWriter {
    path: PathBuf,
    writer: hound::WavWriter<BufWriter<File>>,
    frames: u64,
    /// Frames that the header does not tell of yet.
    unflushed: u64,
    /// The most frames that this file takes.
    room: u64,
}

impl WavWriter {
    /// Begins a file, over what was there.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        let file = File::create(path).map_err(|why| RecordError::of(path, why))?;
        Self::over(file, path)
    }

    /// Begins in an empty file that is open for writing; `path` is its name in messages.
    pub fn over(file: File, path: &Path) -> Result<Self, RecordError> {
        let spec =
            WavSpec { channels: CHANNELS, sample_rate: RATE, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let mut writer = hound::WavWriter::new(BufWriter::new(file), spec).map_err(|error| told(path, error))?;
        // Even one that ends at once is a WAV file without sound, not an empty one.
        writer.flush().map_err(|error| told(path, error))?;
        Ok(Self { path: path.to_owned(), writer, frames: 0, unflushed: 0, room: ROOM })
    }

    /// Appends frames. [`RecordError::WavFull`] if not all of them fit: then none was written, and the file can be
    /// finished.
    pub fn write(&mut self, frames: &[Frame]) -> Result<(), RecordError> {
        if self.frames + frames.len() as u64 > self.room {
            return Err(RecordError::WavFull(self.path.display().to_string()));
        }
        for frames in frames.chunks(RATE as usize) {
            let mut samples = self.writer.get_i16_writer(frames.len() as u32 * u32::from(CHANNELS));
            frames.iter().flatten().for_each(|&sample| samples.write_sample(sample));
            samples.flush().map_err(|error| told(&self.path, error))?;
            self.frames += frames.len() as u64;
            self.unflushed += frames.len() as u64;
            if self.unflushed >= u64::from(RATE) {
                self.unflushed = 0;
                self.writer.flush().map_err(|error| told(&self.path, error))?;
            }
        }
        Ok(())
    }

    /// Frames written.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// Brings the header up to date and closes the file.
    pub fn finish(self) -> Result<(), RecordError> {
        let Self { path, writer, .. } = self;
        writer.finalize().map_err(|error| told(&path, error))
    }
}

fn told(path: &Path, error: hound::Error) -> RecordError {
    match error {
        hound::Error::IoError(why) => RecordError::of(path, why),
        other => RecordError::of(path, std::io::Error::other(other)),
    }
}

const CHANNELS: u16 = 2;
/// The header counts bytes in 32 bits, its own included; four bytes a frame.
const ROOM: u64 = (u32::MAX as u64 - 64) / 4;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn frames(count: usize) -> Vec<Frame> {
        (0..count).map(|n| [n as i16, !(n as i16)]).collect()
    }

    fn read(path: &Path) -> Vec<Frame> {
        let mut reader = hound::WavReader::open(path).expect("a WAV file");
        let samples: Vec<i16> = reader.samples().map(|sample| sample.expect("whole")).collect();
        samples.as_chunks::<2>().0.to_vec()
    }

    #[test]
    fn what_was_written_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sound.wav");
        let mut writer = WavWriter::create(&path).expect("created");
        let all = frames(100_000);
        all.chunks(256).for_each(|chunk| writer.write(chunk).expect("written"));
        assert_eq!(writer.frames(), 100_000);
        writer.finish().expect("finished");
        assert_eq!(read(&path), all);
        let reader = hound::WavReader::open(&path).expect("a WAV file");
        let spec = reader.spec();
        assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (2, 44_100, 16));
    }

    #[test]
    fn a_file_that_nobody_finished_holds_all_but_the_last_second() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sound.wav");
        let mut writer = WavWriter::create(&path).expect("created");
        assert!(read(&path).is_empty(), "without sound, and yet a WAV file");
        let all = frames(3 * RATE as usize + 100);
        all.chunks(256).for_each(|chunk| writer.write(chunk).expect("written"));
        // What is on the disk now is what a killed program leaves.
        let left = read(&path);
        assert!(left.len() > 2 * RATE as usize && all.starts_with(&left), "{} frames", left.len());
        writer.finish().expect("finished");
    }

    #[test]
    fn a_full_file_says_so_and_stays_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sound.wav");
        let mut writer = WavWriter { room: 1_000, ..WavWriter::create(&path).expect("created") };
        writer.write(&frames(900)).expect("room");
        let error = writer.write(&frames(101)).expect_err("no room");
        assert!(matches!(error, RecordError::WavFull(_)) && error.to_string().contains("4 GB"), "{error}");
        writer.finish().expect("finished");
        assert_eq!(read(&path), frames(900));
        assert!(4 * ROOM + 64 <= u64::from(u32::MAX));
    }

    #[test]
    fn what_cannot_be_begun_is_said_with_advice() {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, words) in [("missing/sound.wav", "does not exist"), ("", "is a folder")] {
            let error = WavWriter::create(&folder.path().join(path)).err().expect("refused");
            assert!(error.to_string().contains(words), "{error}");
        }
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
        let error = WavWriter::create(Path::new("/dev/full")).err().expect("full");
        assert!(matches!(error, RecordError::Full(_)), "{error}");
    }
}
