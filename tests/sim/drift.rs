//! Sound and picture stay together for an hour, although the clocks of server, watcher and sound device all differ.

use std::rc::Rc;
use std::time::Duration;

use udpstream::media::sound::{FRAMES, RATE};
use udpstream::proto::receiver::Local;
use udpstream::proto::servo::{Servo, Steer};
use udpstream::units::{Rate, Size, Time};

use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{SOUND, Seen, Watcher, World, ms, seconds};
use crate::random::Random;

/// Frames that the device asks for at a time.
const PERIOD: usize = 512;
/// From that to when they are heard.
const LATENCY: Duration = Duration::from_millis(15);
/// How long before it is heard a chunk must be put: what the device needs and a chunk that is being read.
const NEEDS: Duration = Duration::from_millis(33);

/// A sound device that plays what a watcher was handed, in the watcher's time.
struct Device {
    servo: Servo,
    /// The number of the next frame, once it plays.
    next: Option<f64>,
    /// When a frame was heard, and which.
    heard: Vec<(Time, f64)>,
    underruns: usize,
    jumps: usize,
}

impl Device {
    /// Plays from `from` to `until`; its quartz is off by `ppm` of the watcher's clock, and its stamps jitter.
    fn play(watcher: &Watcher, (from, until): (Time, Time), ppm: f64, random: &mut Random) -> Self {
        let mut device = Self { servo: Servo::new(RATE), next: None, heard: Vec::new(), underruns: 0, jumps: 0 };
        let Seen { sound, zero, .. } = &watcher.seen;
        let (mut put, mut told) = (0, 0);
        for question in 0_u64.. {
            let nanos = question as f64 * PERIOD as f64 * 1e9 / (f64::from(RATE) * (1.0 + ppm / 1e6));
            let now = from + Duration::from_nanos(nanos as u64);
            if now > until {
                break;
            }
            put += sound[put..].iter().take_while(|(at, ..)| watcher.local(*at) <= now).count();
            told += zero[told..].iter().take_while(|(at, _)| watcher.local(*at) <= now).count();
            let ready = put.checked_sub(1).map_or(0, |last| sound[last].1 + FRAMES as u64);
            if let Some((_, zero)) = told.checked_sub(1).map(|last| zero[last]) {
                device.asked(now + LATENCY, random.duration(ms(3)), zero, ready as f64);
            }
        }
        device
    }

    fn asked(&mut self, heard: Time, jitter: Duration, zero: Time, ready: f64) {
        let stamp = self.servo.asked(heard + jitter, PERIOD);
        let ratio = match self.servo.steer(stamp, self.next.map(|next| next.round() as i64), zero) {
            Steer::Play { ratio } => ratio,
            Steer::Jump { to } => {
                self.jumps += usize::from(self.next.is_some());
                self.next = Some(to as f64);
                1.0
            }
        };
        let Some(next) = self.next.as_mut() else { return };
        self.heard.push((heard, *next));
        *next += PERIOD as f64 / ratio;
        // Before the first frame there is silence.
        self.underruns += usize::from(*next > ready && *next > 0.0);
    }

    /// Seconds of the stream that are heard at this moment.
    fn position(&self, at: Time) -> Option<f64> {
        let after = self.heard.partition_point(|(heard, _)| *heard <= at);
        let (heard, frame) = *self.heard.get(after.checked_sub(1)?)?;
        Some(frame / f64::from(RATE) + at.since(heard).as_secs_f64())
    }
}

/// For each picture that was shown, how far the sound was ahead of it, in seconds.
fn skews(watcher: &Watcher, device: &Device) -> Vec<f64> {
    let shown = watcher.seen.shown.iter();
    let skew = |(at, picture, _): &(Time, udpstream::proto::receiver::Ready, Option<Time>)| {
        Some(device.position(watcher.local(*at))? - picture.media_time.seconds())
    };
    shown.filter_map(skew).collect()
}

fn together(length: Duration, watcher_ppm: i64, device_ppm: f64, path: Path) {
    let film = Rc::new(Film::new(Size::new(32, 32), Rate::new(10, 1).expect("10 fps"), 4));
    let mut world = World::with(31, &film, Time::from_millis(60_000), |config, stream| {
        stream.description.sound = true;
        config.sound_port = SOUND.port();
    });
    let n = world.watch(path);
    world.watchers[n].ppm = watcher_ppm;
    world.tell_watcher(n, Local::Loudspeaker(Some(NEEDS)));
    world.run(length);
    let watcher = &world.watchers[n];
    let span = (watcher.local(Time::from_millis(60_500)), watcher.local(world.now));
    let device = Device::play(watcher, span, device_ppm, &mut Random::fork(31, 99));
    let skews = skews(watcher, &device);
    // The first seconds find their pace.
    let settled = &skews[skews.len().min(100)..];
    assert!(settled.len() as u64 > length.as_secs() * 9, "{} pictures", settled.len());
    let mut sizes: Vec<f64> = settled.iter().map(|skew| skew.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let p99 = sizes[sizes.len() * 99 / 100];
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let third = settled.len() / 3;
    let drift = mean(&settled[2 * third..]) - mean(&settled[..third]);
    let state = format!("p99 {p99:.4} s, mean {:.4} s, drift {drift:.5} s, {} jumps", mean(settled), device.jumps);
    assert!(p99 <= 0.040 && mean(settled).abs() <= 0.015 && drift.abs() < 0.003, "{state}");
    assert_eq!((device.underruns, device.jumps), (0, 0), "{state}");
}

#[test]
fn an_hour_with_a_watcher_that_is_fast_and_a_device_that_is_slow() {
    together(seconds(3_600), 200, -200.0, Path { jitter: ms(4), ..Path::GOOD });
}

#[test]
fn ten_minutes_the_other_way_round_on_a_worse_path() {
    together(seconds(600), -200, 200.0, Path { jitter: ms(15), loss: 0.01, ..Path::GOOD });
}
