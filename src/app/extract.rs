//! `udpstream extract`: a film's sound as a WAV file, as ffmpeg decodes it.
//!
//! The file grows under another name and gets its own when it is whole, so that nothing which was there is lost before.
//! Ctrl-C finishes it with what there is; any failure removes it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Builder;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};

use super::opening::{self, Nothing};
use super::words::Position;
use super::{Exit, terminal};
use crate::clock::now;
use crate::media::sound::RATE;
use crate::net::{App, Flow, Loop};
use crate::queue::{Consumer, Pop, WhenFull, bounded};
use crate::record::RecordError;
use crate::record::wav::WavWriter;
use crate::source::{self, Input, Listening, SoundOptions, Stopper};
use crate::units::Time;

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    pub input: Input,
    /// Without it the input's own name with `.wav`, beside it, or here for an address.
    pub output: Option<PathBuf>,
    /// Over a file that is there.
    pub force: bool,
    pub sound: SoundOptions,
    pub quiet: bool,
}

/// Takes the sound out of a file.
pub fn extract(options: Options) -> anyhow::Result<Exit> {
    let target = Target::choose(&options)?;
    let waiting = opening::listen()?;
    let stopper = Stopper::new()?;
    let (answer, result) = bounded(1, WhenFull::Block, Some(waiting.waker()));
    let progress = Arc::new(Progress::default());
    let mut app = Extracting {
        result,
        stopper: stopper.clone(),
        progress: Arc::clone(&progress),
        outcome: None,
        signals: 0,
        quiet: options.quiet,
        next_draw: now(),
    };
    let (input, partial, quiet) = (options.input.clone(), target.partial(), options.quiet);
    let job = move || {
        // After a second signal nobody wants to know any more.
        answer.push(take_out(&input, options.sound, &target, &stopper, &progress)).ok();
    };
    let thread = Builder::new().name("extract".into()).spawn(job).context("a thread could not be started")?;
    run(waiting, &mut app)?;
    let Some(outcome) = app.outcome else {
        partial.map(fs::remove_file);
        return Ok(Exit::Killed);
    };
    thread.join().map_err(|_| anyhow!("the thread that takes the sound out died: this is a bug"))?;
    let sentence = outcome?;
    if !quiet {
        terminal::conclude(&sentence);
    }
    Ok(Exit::Done)
}

fn run(waiting: Loop, app: &mut Extracting) -> anyhow::Result<()> {
    waiting.run(&mut Nothing, app).context("the event loop failed")
}

/// The file that is to be written.
struct Target {
    path: PathBuf,
    /// A device or a pipe: written as it is.
    special: bool,
}

impl Target {
    fn choose(options: &Options) -> anyhow::Result<Self> {
        let path = match &options.output {
            Some(path) => path.clone(),
            None => own_name(&options.input)?,
        };
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        if path.as_os_str() == "-" {
            bail!("a WAV file says at its beginning how long it is, so it cannot go to a pipe: name a file with -o");
        }
        if ending.is_some_and(|ending| ending != "wav") {
            bail!("{} is no name for a WAV file, and nothing else is written: let it end in .wav", path.display());
        }
        let Ok(there) = fs::metadata(&path) else { return Ok(Self { path, special: false }) };
        if there.is_dir() {
            bail!("{} is a folder: add the name of a file to it", path.display());
        }
        if is_input(&options.input, &there) {
            bail!("{} is what the sound is taken from: choose another name with -o", path.display());
        }
        if !options.force {
            bail!("{} is there already: choose another name with -o, or replace it with --force", path.display());
        }
        // What a link points to is replaced, not the link.
        Ok(Self { path: fs::canonicalize(&path).unwrap_or(path), special: !there.is_file() })
    }

    /// Its name while it grows.
    fn partial(&self) -> Option<PathBuf> {
        let mut name = self.path.file_name().filter(|_| !self.special)?.to_owned();
        name.push(format!(".{}.part", std::process::id()));
        Some(self.path.with_file_name(name))
    }

    fn begin(&self) -> Result<WavWriter, RecordError> {
        let Some(partial) = self.partial() else { return WavWriter::create(&self.path) };
        let file = File::options().read(true).write(true).create_new(true).open(&partial);
        WavWriter::over(file.map_err(|why| RecordError::of(&self.path, why))?, &self.path)
            .inspect_err(|_| self.remove())
    }

    /// What is half there helps nobody.
    fn remove(&self) {
        self.partial().map(fs::remove_file);
    }

    fn finish(&self, writer: WavWriter) -> Result<(), RecordError> {
        writer.finish()?;
        let named = self.partial().map_or(Ok(()), |partial| fs::rename(partial, &self.path));
        named.map_err(|why| RecordError::of(&self.path, why))
    }
}

/// `film.mp4` → `film.wav`, beside it, as encoders do it.
fn own_name(input: &Input) -> anyhow::Result<PathBuf> {
    match input {
        Input::File(path) => Ok(path.with_extension("wav")),
        Input::Url(_) => {
            let name = input.name();
            let path = name.split_once("://").map_or("", |(_, rest)| rest);
            let last = path.split_once('/').map_or("", |(_, path)| path).rsplit('/').next().unwrap_or_default();
            let file = if last.is_empty() { Path::new("sound") } else { Path::new(last) };
            Ok(file.with_extension("wav"))
        }
        _ => Err(source::SourceError::NothingToTake(input.name()).into()),
    }
}

fn is_input(input: &Input, there: &fs::Metadata) -> bool {
    let Input::File(path) = input else { return false };
    fs::metadata(path).is_ok_and(|own| (own.dev(), own.ino()) == (there.dev(), there.ino()))
}

/// How far it has come, for the thread that says so.
#[derive(Default)]
struct Progress {
    frames: AtomicU64,
    /// Of the whole sound, 0 where nobody knows.
    whole: AtomicU64,
    stopped: AtomicBool,
}

/// The whole work; what is said at its end.
fn take_out(
    input: &Input,
    sound: SoundOptions,
    target: &Target,
    stopper: &Stopper,
    progress: &Progress,
) -> anyhow::Result<String> {
    // Its text is the whole sentence: the causes are in it.
    let mut listening = match source::listen(input, sound, stopper) {
        Err(_) if progress.stopped.load(Ordering::Relaxed) => return Ok("Stopped before the first sound.".to_owned()),
        listening => listening.map_err(|error| anyhow!("{error}"))?,
    };
    let whole = listening.length().map_or(0, frames_in);
    if whole > MOST {
        bail!(
            "{} lasts {}, and a WAV file holds no more than {}: take the sound out with ffmpeg, into a FLAC file",
            input.name(),
            words(whole),
            words(MOST)
        );
    }
    progress.whole.store(whole, Ordering::Relaxed);
    let mut writer = target.begin()?;
    match write(&mut listening, &mut writer, progress) {
        Ok(()) => {
            target.finish(writer).inspect_err(|_| target.remove())?;
            Ok(sentence(target, &listening, progress))
        }
        Err(error) if matches!(error.downcast_ref(), Some(RecordError::WavFull(_))) => {
            // What is there is whole, and all that fits.
            target.finish(writer).inspect_err(|_| target.remove())?;
            Err(error)
        }
        Err(error) => {
            drop(writer);
            target.remove();
            let full = matches!(error.downcast_ref(), Some(RecordError::Full(_)));
            let path = target.path.display();
            Err(if full {
                anyhow!("the disk is full, so {path} was not made: make room on it, or choose another with -o")
            } else {
                error
            })
        }
    }
}

fn write(listening: &mut Listening, writer: &mut WavWriter, progress: &Progress) -> anyhow::Result<()> {
    while let Some(frames) = listening.next_frames().map_err(|error| anyhow!("{error}"))? {
        writer.write(&frames)?;
        progress.frames.fetch_add(frames.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

fn sentence(target: &Target, listening: &Listening, progress: &Progress) -> String {
    let frames = progress.frames.load(Ordering::Relaxed);
    let (path, took) = (target.path.display(), words(frames));
    if progress.stopped.load(Ordering::Relaxed) {
        return format!("Stopped: {path} holds the first {took} of the sound.");
    }
    let size = frames as f64 * 4.0 / 1e6;
    format!("Wrote {path}: {took} of sound ({}), {size:.1} MB.", listening.details())
}

fn frames_in(length: Duration) -> u64 {
    u64::try_from(length.as_nanos() * u128::from(RATE) / 1_000_000_000).unwrap_or(u64::MAX)
}

/// A length for people: `5.3 s`, `12 min 5 s`, `6 h 45 min`.
fn words(frames: u64) -> String {
    let seconds = frames / u64::from(RATE);
    match seconds {
        0..=59 => format!("{:.1} s", frames as f64 / f64::from(RATE)),
        60..=3_599 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// The main thread meanwhile: it draws the bar and hears signals.
struct Extracting {
    result: Consumer<anyhow::Result<String>>,
    stopper: Stopper,
    progress: Arc<Progress>,
    outcome: Option<anyhow::Result<String>>,
    signals: u32,
    quiet: bool,
    next_draw: Time,
}

impl App<Nothing> for Extracting {
    fn event(&mut self, _now: Time, _machine: &mut Nothing, (): ()) -> Flow {
        Flow::Continue
    }

    fn turn(&mut self, now: Time, _machine: &mut Nothing) -> Flow {
        match self.result.try_pop() {
            Pop::Item(outcome) => {
                self.outcome = Some(outcome);
                return Flow::Stop;
            }
            Pop::Closed => {
                self.outcome = Some(Err(anyhow!("the thread that takes the sound out died: this is a bug")));
                return Flow::Stop;
            }
            Pop::Empty => {}
        }
        if now >= self.next_draw {
            self.next_draw = now + BETWEEN;
            if !self.quiet {
                let [frames, whole] = [&self.progress.frames, &self.progress.whole].map(|n| n.load(Ordering::Relaxed));
                terminal::status(&bar(frames, whole));
            }
        }
        Flow::Continue
    }

    fn deadline(&self) -> Time {
        self.next_draw
    }

    fn signal(&mut self, _now: Time, _machine: &mut Nothing, _signal: i32) -> Flow {
        self.signals += 1;
        self.progress.stopped.store(true, Ordering::Relaxed);
        if self.signals > 1 {
            return Flow::Stop;
        }
        self.stopper.stop();
        Flow::Continue
    }
}

/// The line that updates itself: `[#########---------------------]`, how much of it, and where in the sound.
fn bar(frames: u64, whole: u64) -> Vec<String> {
    let at = |frames: u64| Duration::from_secs_f64(frames as f64 / f64::from(RATE));
    let length = (whole > 0).then(|| at(whole));
    let position = Position { position: at(frames), length, looped: false }.text();
    if whole == 0 {
        return vec![position];
    }
    // Lengths in headers are not exact to the frame.
    let part = (frames as f64 / whole as f64).min(1.0);
    let full = (part * f64::from(BAR)) as usize;
    let bar = format!("[{}{}]", "#".repeat(full), "-".repeat(BAR as usize - full));
    vec![format!("{bar} {:3} %", (part * 100.0) as u32), position]
}

/// The most frames a WAV file holds: it counts bytes in 32 bits, four to a frame.
const MOST: u64 = (u32::MAX as u64 - 64) / 4;
/// Between two drawings of the bar.
const BETWEEN: Duration = Duration::from_millis(100);
/// Letters in the bar.
const BAR: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn options(input: &str, output: Option<&Path>, force: bool) -> Options {
        let input = input.parse().expect("an input");
        Options { input, output: output.map(Path::to_owned), force, sound: SoundOptions::default(), quiet: true }
    }

    #[test]
    fn the_file_is_called_like_the_film() {
        for (input, name) in [
            ("/films/a b.mp4", "/films/a b.wav"),
            ("film", "film.wav"),
            ("http://host/path/song.mp3?key=1", "song.wav"),
            ("rtsp://me:secret@host", "sound.wav"),
        ] {
            assert_eq!(own_name(&input.parse().expect("an input")).expect("a name"), Path::new(name), "{input}");
        }
        for input in ["-", "test:"] {
            let error = own_name(&input.parse().expect("an input")).expect_err("no name").to_string();
            assert!(error.contains("name a film"), "{error}");
        }
    }

    #[test]
    fn nothing_is_replaced_unless_it_is_asked_for_and_never_the_film_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let [song, other] = ["song.wav", "other.wav"].map(|name| folder.path().join(name));
        fs::write(&song, b"RIFF").expect("written");
        fs::write(&other, b"RIFF").expect("written");
        let song = song.to_str().expect("plain");
        let refused = |output: Option<&Path>, force| {
            Target::choose(&options(song, output, force)).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(refused(None, true).contains("taken from"), "{}", refused(None, true));
        assert!(refused(Some(&other), false).contains("--force"));
        assert_eq!(refused(Some(&other), true), "");
        assert!(refused(Some(folder.path()), true).contains("is a folder"));
        assert!(refused(Some(Path::new("song.mp3")), false).contains(".wav"));
        let device = Target::choose(&options(song, Some(Path::new("/dev/null")), true)).expect("a device");
        assert!(device.special && device.partial().is_none(), "a device keeps its place");
    }

    #[test]
    fn the_bar_grows_to_its_end() {
        assert_eq!(bar(0, 44_100)[0], format!("[{}]   0 %", "-".repeat(30)));
        assert_eq!(bar(22_050, 44_100)[0], format!("[{}{}]  50 %", "#".repeat(15), "-".repeat(15)));
        assert_eq!(bar(50_000, 44_100)[0], format!("[{}] 100 %", "#".repeat(30)));
        assert_eq!(bar(44_100, 0).len(), 1);
        assert_eq!((words(44_100 * 90).as_str(), words(MOST).as_str()), ("1 min 30 s", "6 h 45 min"));
    }
}
