//! What is heard: the loudspeaker, fed with what the receiver hands out, and what people are told of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::figures::SoundFigures;
use super::unpacking::Heard;
use crate::audio::{Figures, Happened, Settings, Speaker};
use crate::proto::receiver::{Local, SoundCounts};
use crate::queue::Waker;
use crate::units::Timing;
use crate::wire::Description;

/// One press of a key.
const STEP: u8 = 5;
/// Frames that the device is to ask for at a time where the stream is live.
const LIVE_PERIOD: u32 = 256;
/// A loudspeaker's needs are told again when they have changed by more than this.
const CHANGED: Duration = Duration::from_millis(2);

/// What the user chose.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Nothing is to be heard.
    pub off: bool,
    /// In percent.
    pub volume: u8,
    /// Half the bytes.
    pub mono: bool,
}

/// How loud it is. Tiles of a wall share it.
#[derive(Clone)]
pub struct Loudness(Arc<Mutex<(u8, bool)>>);

impl Loudness {
    pub fn new(volume: u8) -> Self {
        Self(Arc::new(Mutex::new((volume, false))))
    }

    /// In percent, and whether it is muted all the same.
    fn now(&self) -> (u8, bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(u8, bool) -> (u8, bool)) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = change(held.0, held.1);
    }
}

/// The loudspeaker from the first stream with sound on.
pub struct Hearing {
    choice: Choice,
    loudness: Loudness,
    waker: Waker,
    speaker: Option<Speaker>,
    /// What the receiver was told of it last.
    told: Option<Duration>,
    /// The stream that plays has sound, and whether it is live.
    stream: Option<bool>,
    /// It is to be heard: in a wall only the chosen tile is.
    heard: bool,
    /// It is played as fast as it was made.
    normal: bool,
    /// Which place of a film on demand is played.
    jump: Option<u32>,
}

impl Hearing {
    pub const fn new(choice: Choice, loudness: Loudness, heard: bool, waker: Waker) -> Self {
        Self { choice, loudness, waker, speaker: None, told: None, stream: None, heard, normal: true, jump: None }
    }

    /// Whether it may be heard: it is to be, and sound was not switched off.
    pub const fn is_heard(&self) -> bool {
        self.heard && !self.choice.off
    }

    /// Whether it is to be heard from now on. Returns what is wrong, if anything.
    pub fn hear(&mut self, heard: bool) -> Option<String> {
        if std::mem::replace(&mut self.heard, heard) == heard {
            return None;
        }
        if !heard {
            self.speaker = None;
        }
        self.open()
    }

    /// A stream begins, or goes on; `other`: another than before. Returns what is wrong, if anything.
    pub fn playing(&mut self, stream: &Description, other: bool) -> Option<String> {
        self.stream = stream.sound.then_some(stream.live);
        if let Some(speaker) = self.speaker.as_mut().filter(|_| other) {
            speaker.reset();
        }
        self.open()
    }

    fn open(&mut self) -> Option<String> {
        let live = self.stream.filter(|_| self.is_heard() && self.speaker.is_none())?;
        let (volume, muted) = self.loudness.now();
        let usual = Settings { volume, muted, ..Settings::default() };
        // A file's sound comes long before its time; of a live one every millisecond counts.
        let settings = if live { Settings { period: LIVE_PERIOD, ..usual } } else { usual };
        match Speaker::start(settings, self.waker.clone()) {
            Ok(speaker) => self.speaker = Some(speaker),
            Err(error) => return Some(format!("There is no sound: no thread could be started for it ({error}).")),
        }
        None
    }

    pub fn put(&mut self, first: u64, heard: &Heard) {
        let Some(speaker) = self.speaker.as_mut().filter(|_| self.normal) else { return };
        match heard {
            Heard::Whole(frames) | Heard::Made(frames) => speaker.put(first, Some(frames)),
            Heard::Lost(frames) => speaker.lose(first, *frames),
        }
    }

    /// What was put last was the end.
    pub fn finish(&mut self) {
        if let Some(speaker) = &mut self.speaker {
            speaker.finish();
        }
    }

    /// When each frame is to be heard. Sound that is faster or slower than it was made is not heard.
    pub fn set_timing(&mut self, timing: Timing) {
        self.normal = timing.speed.is_normal();
        if let Some(speaker) = &mut self.speaker {
            speaker.set_zero(self.normal.then_some(timing.zero));
        }
    }

    /// Another place of a film on demand is played than before, or it stands: what was to be heard is not.
    pub fn played(&mut self, jump: u32, plays: bool) {
        let other = self.jump.replace(jump) != Some(jump);
        if let Some(speaker) = self.speaker.as_mut().filter(|_| other || !plays) {
            speaker.reset();
        }
    }

    /// What became of the device, oldest first.
    pub fn news(&mut self) -> Option<Happened> {
        self.speaker.as_mut()?.happened()
    }

    /// What the receiver is to know of the loudspeaker, if that has changed.
    pub fn needs(&mut self) -> Option<Local> {
        let figures = self.speaker.as_mut().map(|speaker| speaker.figures());
        let needs = figures.filter(|figures| figures.open).map(|figures| figures.lead);
        let changed = match (self.told, needs) {
            (Some(told), Some(needs)) => told.abs_diff(needs) > CHANGED,
            (told, needs) => told.is_some() != needs.is_some(),
        };
        changed.then(|| {
            self.told = needs;
            Local::Loudspeaker(needs)
        })
    }

    /// Says how loud it is then; without sound, that.
    pub fn mute(&mut self) -> String {
        self.loudness.change(|volume, muted| (volume, !muted));
        self.set()
    }

    pub fn turn(&mut self, up: bool) -> String {
        let turned = |volume: u8| if up { (volume + STEP).min(100) } else { volume.saturating_sub(STEP) };
        self.loudness.change(|volume, _| (turned(volume), false));
        self.set()
    }

    fn set(&mut self) -> String {
        let (volume, muted) = self.loudness.now();
        if let Some(speaker) = &mut self.speaker {
            speaker.volume(volume);
            speaker.mute(muted);
        }
        match () {
            () if self.choice.off => "Sound is off: started with --no-audio.".to_owned(),
            () if self.stream.is_none() => "This stream has no sound.".to_owned(),
            () if muted => "Muted.".to_owned(),
            () => format!("Volume {volume} %."),
        }
    }

    /// Of the last second, or of the whole run; `None` without sound. `delay` is how long after it was due everything is
    /// played.
    pub fn figures(&mut self, counts: &SoundCounts, delay: Duration, whole: bool) -> Option<SoundFigures> {
        let (volume, muted) = self.loudness.now();
        let speaker = self.speaker.as_mut().filter(|_| self.stream.is_some() || whole)?;
        let Figures { open, device, latency, underruns, device_underruns, concealed, dropped, .. } = speaker.figures();
        let skews = speaker.skews();
        Some(SoundFigures {
            chunks: counts.chunks,
            lost: counts.lost,
            late: counts.late,
            repaired: counts.repaired,
            underruns,
            skew: if whole { skews.total.block(1e3) } else { skews.recent.block(1e3) },
            concealed,
            dropped,
            device_underruns,
            delay,
            device,
            open,
            device_latency: latency,
            volume,
            muted,
        })
    }

    pub fn next_second(&mut self) {
        if let Some(speaker) = &mut self.speaker {
            speaker.skews().recent.clear();
        }
    }
}
