//! The sound device, through cpal: which one, how it is asked, and what to say when there is none.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::Sender;
use rodio::cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use rodio::cpal::{self, BufferSize, ErrorKind, FromSample, SampleFormat, SizedSample, StreamConfig};
use rodio::cpal::{SupportedBufferSize, SupportedStreamConfigRange};

use super::Found;
use super::hush::Hush;
use super::player::Player;
use super::shared::Shared;
use crate::clock::now;
use crate::media::sound;

/// A device that can be opened, and how.
pub struct Chosen {
    device: cpal::Device,
    pub name: String,
    format: SampleFormat,
    config: StreamConfig,
}

/// An open device; it is closed when this is dropped, which can take a while if it is in trouble.
pub struct Opened {
    _stream: cpal::Stream,
}

/// The system's default device, to be asked for about `period` frames (of 44.1 kHz) at a time.
pub fn choose(period: u32) -> Result<Chosen, String> {
    let hush = Hush::begin();
    let failed = |error: cpal::Error| sentence(&error, hush.said());
    let none = || format!("{NO_DEVICE}; {ADVICE}");
    let host = cpal::available_hosts().into_iter().next().ok_or_else(none)?;
    let host = cpal::host_from_id(host).map_err(failed)?;
    let device = host.default_output_device().ok_or_else(none)?;
    let name = device.description().map_or_else(|_| "default".to_owned(), |described| described.name().to_owned());
    let ranges = device.supported_output_configs().map_err(failed)?;
    let range = ranges.max_by_key(merit).filter(|range| merit(range) > Merit::default());
    let range = range.ok_or_else(|| format!("the sound device takes no format that udpstream has; {ADVICE}"))?;
    let (rate, format) = (rate(&range), range.sample_format());
    let buffer_size = buffer_size(*range.buffer_size(), period, rate);
    let config = StreamConfig { channels: range.channels(), sample_rate: rate, buffer_size };
    Ok(Chosen { device, name, format, config })
}

impl Chosen {
    pub const fn rate(&self) -> u32 {
        self.config.sample_rate
    }

    /// Opens it and lets `player` play. When it fails later, the reason goes to `broken`, once.
    pub fn open(self, player: Player, shared: &Arc<Shared>, broken: &Sender<String>) -> Result<Opened, String> {
        match self.format {
            SampleFormat::F32 => self.build::<f32>(player, shared, broken),
            SampleFormat::I32 => self.build::<i32>(player, shared, broken),
            _ => self.build::<i16>(player, shared, broken),
        }
    }

    fn build<T: SizedSample + FromSample<f32> + Send + 'static>(
        self,
        mut player: Player,
        shared: &Arc<Shared>,
        broken: &Sender<String>,
    ) -> Result<Opened, String> {
        let hush = Hush::begin();
        let channels = usize::from(self.config.channels);
        let mut first = true;
        let data = move |out: &mut [T], info: &cpal::OutputCallbackInfo| {
            if std::mem::take(&mut first) {
                drop(Hush::begin());
            }
            let stamp = info.timestamp();
            player.asked(now(), stamp.playback.duration_since(stamp.callback), out, channels);
        };
        let trouble = trouble(Arc::clone(shared), broken.clone());
        let failed = |error: cpal::Error| sentence(&error, hush.said());
        let stream = self.device.build_output_stream(self.config, data, trouble, None).map_err(failed)?;
        stream.play().map_err(failed)?;
        Ok(Opened { _stream: stream })
    }
}

/// What the device's thread calls when something is wrong. A dead sound server has it called without end until the
/// stream is dropped, so all but the first call in a row wait a little; sound servers also recover from some failures.
fn trouble(shared: Arc<Shared>, broken: Sender<String>) -> impl FnMut(cpal::Error) + Send + 'static {
    let (mut in_a_row, mut asked) = (0, 0);
    move |error| {
        let before = std::mem::replace(&mut asked, shared.asked.load(Relaxed));
        in_a_row = if before == asked { in_a_row + 1 } else { 0 };
        match in_a_row {
            // Until the device has asked for the first time, this thread is not hushed yet.
            0 => drop(Hush::begin()),
            _ => thread::park_timeout(PAUSE),
        }
        match error.kind() {
            ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged => {}
            ErrorKind::Xrun if in_a_row < FAILURES => drop(shared.device_underruns.fetch_add(1, Relaxed)),
            ErrorKind::BackendError if in_a_row < FAILURES => {}
            // Full: it has been told already.
            _ => drop(broken.try_send(sentence(&error, None))),
        }
    }
}

/// How good a choice is; more is better, and the default is none.
type Merit = (bool, bool, u8, u8);

/// A stereo device that takes 44.1 kHz as they are, without loss.
fn merit(range: &SupportedStreamConfigRange) -> Merit {
    let format = match range.sample_format() {
        SampleFormat::F32 => 3,
        SampleFormat::I32 => 2,
        SampleFormat::I16 => 1,
        _ => return Merit::default(),
    };
    let channels = match range.channels() {
        0 => return Merit::default(),
        2 => u8::MAX,
        1 => u8::MAX - 1,
        more => u8::try_from(more).map_or(0, |more| u8::MAX - more),
    };
    (true, range.contains_rate(sound::RATE), channels, format)
}

/// 44.1 kHz, or what is nearest to 48 kHz.
fn rate(range: &SupportedStreamConfigRange) -> u32 {
    match range.contains_rate(sound::RATE) {
        true => sound::RATE,
        false => 48_000.clamp(range.min_sample_rate(), range.max_sample_rate()),
    }
}

/// `period` frames of 44.1 kHz, within the device's limits.
fn buffer_size(supported: SupportedBufferSize, period: u32, rate: u32) -> BufferSize {
    let frames = (u64::from(period) * u64::from(rate) / u64::from(sound::RATE)) as u32;
    match supported {
        SupportedBufferSize::Range { min, max } if min <= max => BufferSize::Fixed(frames.clamp(min, max)),
        _ => BufferSize::Default,
    }
}

/// What is wrong and what to do; `said` is what the sound library had to say.
fn sentence(error: &cpal::Error, said: Option<String>) -> String {
    let why = said.or_else(|| error.message().map(str::to_owned)).map(|why| format!(" ({why})")).unwrap_or_default();
    match error.kind() {
        ErrorKind::DeviceBusy => format!("another program keeps the sound device for itself{why}; close that one"),
        ErrorKind::PermissionDenied => {
            format!("the sound device may not be used{why}; add this user to the group \"audio\"")
        }
        ErrorKind::UnsupportedConfig | ErrorKind::UnsupportedOperation => {
            format!("the sound device takes none of the formats that udpstream has{why}; {ADVICE}")
        }
        ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable => format!("{NO_DEVICE}{why}; {ADVICE}"),
        _ => format!("the sound device or server does not answer{why}; start PulseAudio or PipeWire again"),
    }
}

/// Looks which device would be played on, without playing; for at most `patience`.
pub fn look(patience: Duration) -> Result<Found, String> {
    let (sender, answer) = mpsc::channel();
    let look = move || sender.send(choose(super::Settings::default().period).map(|chosen| chosen.found())).ok();
    let started = thread::Builder::new().name("audio".into()).spawn(look);
    started.map_err(|error| error.to_string())?;
    let silent = |_| format!("the sound server did not answer within {} s; start it again", patience.as_secs());
    answer.recv_timeout(patience).map_err(silent)?
}

impl Chosen {
    fn found(self) -> Found {
        Found { device: self.name, rate: self.config.sample_rate, channels: self.config.channels }
    }
}

const NO_DEVICE: &str = "there is no sound device to play on";
const ADVICE: &str = "plug one in, or start PulseAudio or PipeWire";
/// Nobody recovers from so many failures, without having asked for sound in between.
const FAILURES: u32 = 30;
const PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn range(channels: u16, min: u32, max: u32, format: SampleFormat) -> SupportedStreamConfigRange {
        let buffer = SupportedBufferSize::Range { min: 300, max: 4_000 };
        SupportedStreamConfigRange::new(channels, min, max, buffer, format)
    }

    #[test]
    fn the_best_of_what_a_device_takes_is_chosen() {
        let all = [
            range(2, 48_000, 192_000, SampleFormat::F32),
            range(6, 44_100, 48_000, SampleFormat::F32),
            range(2, 44_100, 44_100, SampleFormat::I16),
            range(1, 8_000, 48_000, SampleFormat::I32),
            range(2, 8_000, 48_000, SampleFormat::U8),
        ];
        let best = all.iter().max_by_key(|range| merit(range)).unwrap();
        assert_eq!((best.channels(), best.sample_format(), rate(best)), (2, SampleFormat::I16, 44_100));
        assert_eq!(merit(&all[4]), Merit::default());
        assert_eq!((rate(&all[0]), rate(&range(2, 8_000, 32_000, SampleFormat::I16))), (48_000, 32_000));
    }

    #[test]
    fn the_period_keeps_its_length_and_the_devices_limits() {
        let limits = SupportedBufferSize::Range { min: 300, max: 1_000 };
        assert_eq!(buffer_size(limits, 441, 48_000), BufferSize::Fixed(480));
        assert_eq!(buffer_size(limits, 64, 44_100), BufferSize::Fixed(300));
        assert_eq!(buffer_size(limits, 4_096, 44_100), BufferSize::Fixed(1_000));
        assert_eq!(buffer_size(SupportedBufferSize::Unknown, 256, 44_100), BufferSize::Default);
    }

    #[test]
    fn every_kind_of_trouble_is_a_sentence_with_advice() {
        for kind in [ErrorKind::DeviceBusy, ErrorKind::PermissionDenied, ErrorKind::BackendError, ErrorKind::Xrun] {
            let said = sentence(&cpal::Error::new(kind), Some("so it said".to_owned()));
            assert!(said.contains("(so it said); ") && !said.ends_with('.'), "{said}");
        }
    }
}
