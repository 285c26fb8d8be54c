//! What is heard: the loudspeaker, fed with what the receiver hands out, and what people are told of it.

use std::time::Duration;

use super::figures::SoundFigures;
use crate::audio::{Figures, Happened, Settings, Speaker};
use crate::media::sound::Frame;
use crate::proto::receiver::{Local, SoundCounts};
use crate::queue::Waker;
use crate::units::Time;
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

/// The loudspeaker from the first stream with sound on.
pub struct Hearing {
    choice: Choice,
    muted: bool,
    waker: Waker,
    speaker: Option<Speaker>,
    /// What the receiver was told of it last.
    told: Option<Duration>,
    /// Of the stream that plays.
    has_sound: bool,
}

impl Hearing {
    pub const fn new(choice: Choice, waker: Waker) -> Self {
        Self { choice, muted: false, waker, speaker: None, told: None, has_sound: false }
    }

    /// A stream begins, or goes on; `other`: another than before. Returns what is wrong, if anything.
    pub fn playing(&mut self, stream: &Description, other: bool) -> Option<String> {
        let sound = stream.sound;
        self.has_sound = sound;
        if let Some(speaker) = self.speaker.as_mut().filter(|_| other) {
            speaker.reset();
        }
        if !sound || self.choice.off || self.speaker.is_some() {
            return None;
        }
        let usual = Settings { volume: self.choice.volume, muted: self.muted, ..Settings::default() };
        // A file's sound comes long before its time; of a live one every millisecond counts.
        let settings = if stream.live { Settings { period: LIVE_PERIOD, ..usual } } else { usual };
        match Speaker::start(settings, self.waker.clone()) {
            Ok(speaker) => self.speaker = Some(speaker),
            Err(error) => return Some(format!("There is no sound: no thread could be started for it ({error}).")),
        }
        None
    }

    pub fn put(&mut self, first: u64, frames: Option<&[Frame]>) {
        if let Some(speaker) = &mut self.speaker {
            speaker.put(first, frames);
        }
    }

    /// What was put last was the end.
    pub fn finish(&mut self) {
        if let Some(speaker) = &mut self.speaker {
            speaker.finish();
        }
    }

    pub fn set_zero(&mut self, zero: Time) {
        if let Some(speaker) = &mut self.speaker {
            speaker.set_zero(Some(zero));
        }
    }

    /// What became of the device, oldest first.
    pub fn news(&mut self) -> Option<Happened> {
        self.speaker.as_mut()?.happened()
    }

    /// What the receiver is to know of the loudspeaker, if that has changed.
    pub fn needs(&mut self) -> Option<Local> {
        let figures = self.speaker.as_mut()?.figures();
        let needs = figures.open.then_some(figures.lead);
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
        self.muted = !self.muted;
        if let Some(speaker) = &mut self.speaker {
            speaker.mute(self.muted);
        }
        self.loudness()
    }

    pub fn turn(&mut self, up: bool) -> String {
        let volume = self.choice.volume;
        self.choice.volume = if up { (volume + STEP).min(100) } else { volume.saturating_sub(STEP) };
        self.muted = false;
        if let Some(speaker) = &mut self.speaker {
            speaker.mute(false);
            speaker.volume(self.choice.volume);
        }
        self.loudness()
    }

    fn loudness(&self) -> String {
        match () {
            () if self.choice.off => "Sound is off: started with --no-audio.".to_owned(),
            () if !self.has_sound => "This stream has no sound.".to_owned(),
            () if self.muted => "Muted.".to_owned(),
            () => format!("Volume {} %.", self.choice.volume),
        }
    }

    /// Of the last second, or of the whole run; `None` without sound. `delay` is how long after it was due everything is
    /// played.
    pub fn figures(&mut self, counts: &SoundCounts, delay: Duration, whole: bool) -> Option<SoundFigures> {
        let speaker = self.speaker.as_mut().filter(|_| self.has_sound || whole)?;
        let Figures { open, device, latency, underruns, device_underruns, concealed, dropped, .. } = speaker.figures();
        let skews = speaker.skews();
        Some(SoundFigures {
            chunks: counts.chunks,
            lost: counts.lost,
            late: counts.late,
            underruns,
            skew: if whole { skews.total.block(1e3) } else { skews.recent.block(1e3) },
            concealed,
            dropped,
            device_underruns,
            delay,
            device,
            open,
            device_latency: latency,
            volume: self.choice.volume,
            muted: self.muted,
        })
    }

    pub fn next_second(&mut self) {
        if let Some(speaker) = &mut self.speaker {
            speaker.skews().recent.clear();
        }
    }
}
