//! What the device's thread does each time the device asks for frames: steer, read, resample, set the volume. It waits
//! for nobody and allocates nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rodio::cpal::{FromSample, SizedSample};
use rtrb::{Consumer, Producer};
use rubato::ResamplerConstructionError;

use super::feed::{Feed, Sample};
use super::rates::{BLOCK, Rates};
use super::shared::{Block, Shared};
use crate::media::conceal::HELD;
use crate::media::sound;
use crate::proto::servo::{Servo, Steer};
use crate::units::Time;

pub struct Player {
    shared: Arc<Shared>,
    feed: Feed,
    rates: Rates,
    servo: Servo,
    /// How wrong the moments are at which frames are heard, in seconds, a figure each time the device asks.
    skews: Producer<f32>,
    /// The device's frames a second.
    rate: u32,
    /// How often it had run dry when it asked last.
    ran_dry: u64,
    gain: f32,
    /// How much the gain changes from a frame to the next.
    gain_step: f32,
}

impl Player {
    /// For a device of `rate` frames a second; what it measures goes to `skews`, or nowhere if nobody takes it.
    pub fn new(
        rate: u32,
        blocks: Consumer<Block>,
        skews: Producer<f32>,
        shared: Arc<Shared>,
    ) -> Result<Self, ResamplerConstructionError> {
        let (rates, servo) = (Rates::new(rate)?, Servo::new(rate));
        let feed = Feed::new(blocks, Arc::clone(&shared));
        let (gain, gain_step) = (shared.gain(), 1.0 / (GAIN_SECONDS * rate as f32));
        let ran_dry = shared.device_underruns.load(Ordering::Relaxed);
        Ok(Self { shared, feed, rates, servo, skews, rate, ran_dry, gain, gain_step })
    }

    /// The device asks for `out`, frames of `channels` samples. It is `now`, and the first of them will be heard
    /// `latency` later.
    pub fn asked<T: SizedSample + FromSample<f32>>(
        &mut self,
        now: Time,
        latency: Duration,
        out: &mut [T],
        channels: usize,
    ) {
        let frames = out.len() / channels.max(1);
        self.tell(latency, frames);
        self.steer(now + latency, frames);
        let target = self.shared.gain();
        for frame in out.chunks_exact_mut(channels.max(1)) {
            let sample = self.rates.next(|input| self.feed.read(input));
            self.gain += (target - self.gain).clamp(-self.gain_step, self.gain_step);
            write(sample.map(|sample| sample * self.gain), frame);
        }
    }

    fn tell(&self, latency: Duration, frames: usize) {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let period = Duration::from_secs(frames as u64) / self.rate;
        let inside = Duration::from_secs((BLOCK + HELD) as u64) / sound::RATE;
        self.shared.latency.store(nanos(latency), Ordering::Relaxed);
        self.shared.lead.store(nanos(latency + period + inside), Ordering::Relaxed);
        self.shared.asked.fetch_add(1, Ordering::Relaxed);
    }

    fn steer(&mut self, stamp: Time, frames: usize) {
        let before = std::mem::replace(&mut self.ran_dry, self.shared.device_underruns.load(Ordering::Relaxed));
        if before != self.ran_dry {
            self.servo.interrupted();
        }
        let heard = self.servo.asked(stamp, frames);
        self.feed.another_stream();
        let Some(zero) = self.shared.zero() else {
            self.rates.steer(1.0);
            return self.feed.stop();
        };
        let inside = self.rates.inside();
        let next = self.feed.position().map(|position| position - inside);
        match self.servo.steer(heard, next, zero) {
            Steer::Play { ratio } => {
                self.rates.steer(ratio);
                // Whoever reads them may be slow: then some are left out.
                self.skews.push(self.servo.skew() as f32).ok();
            }
            Steer::Jump { to } => self.feed.jump(to + inside),
        }
    }
}

/// Onto a device with as many channels as it has: both sides in one, or left and right first.
fn write<T: SizedSample + FromSample<f32>>([left, right]: Sample, frame: &mut [T]) {
    match frame {
        [mono] => *mono = T::from_sample((left + right) / 2.0),
        [first, second, others @ ..] => {
            (*first, *second) = (T::from_sample(left), T::from_sample(right));
            others.fill(T::EQUILIBRIUM);
        }
        [] => {}
    }
}

/// From silence to full volume.
const GAIN_SECONDS: f32 = 0.02;

#[cfg(test)]
mod tests {
    use rtrb::RingBuffer;

    use super::*;
    use crate::media::sound::FRAMES;

    struct Rig {
        ring: Producer<Block>,
        skews: Consumer<f32>,
        shared: Arc<Shared>,
        player: Player,
        rate: u32,
        now: Time,
        put: i64,
    }

    const LATENCY: Duration = Duration::from_millis(20);

    impl Rig {
        fn new(rate: u32) -> Self {
            let shared = Arc::new(Shared::new(100, false));
            let (ring, blocks) = RingBuffer::new(256);
            let (producer, skews) = RingBuffer::new(4_096);
            let player = Player::new(rate, blocks, producer, Arc::clone(&shared)).expect("a rate like others");
            Self { ring, skews, shared, player, rate, now: Time::from_millis(1_000), put: 0 }
        }

        /// Puts everything that is due within 100 ms, and takes `count` frames of `channels` samples, 256 at a time:
        /// each with the moment at which its first sample is heard.
        fn take(&mut self, count: usize, channels: usize, value: impl Fn(i64) -> i16) -> Vec<(Time, Vec<i16>)> {
            let mut heard = Vec::new();
            for _ in 0..count.div_ceil(256) {
                self.fill(&value);
                let mut out = vec![0_i16; 256 * channels];
                self.player.asked(self.now, LATENCY, &mut out, channels);
                let at = |n: usize| self.now + LATENCY + Duration::from_secs(n as u64) / self.rate;
                heard.extend(out.chunks(channels).enumerate().map(|(n, frame)| (at(n), frame.to_vec())));
                self.now += Duration::from_secs(256) / self.rate;
            }
            heard
        }

        fn fill(&mut self, value: impl Fn(i64) -> i16) {
            let Some(zero) = self.shared.zero() else { return };
            let due = |put: i64| zero.offset(put * 1_000_000_000 / 44_100);
            while due(self.put) < self.now + Duration::from_millis(150) {
                let frames = std::array::from_fn(|at| [value(self.put + at as i64); 2]);
                let stream = self.shared.stream.load(Ordering::Relaxed);
                self.ring.push(Block { stream, first: self.put, len: FRAMES as u16, frames }).expect("room");
                self.put += FRAMES as i64;
            }
        }
    }

    /// A slow ramp, by which a sample says its number: 1 more each 8 frames.
    fn ramp(number: i64) -> i16 {
        (number / 8) as i16
    }

    #[test]
    fn every_frame_is_heard_at_its_moment() {
        for rate in [44_100, 48_000, 96_000] {
            let mut rig = Rig::new(rate);
            rig.take(1_000, 2, ramp);
            let zero = rig.now + Duration::from_millis(77);
            rig.shared.set_zero(Some(zero));
            let heard = rig.take(rate as usize * 2, 2, ramp);
            for (at, frame) in heard {
                let due = at.signed_since(zero) as f64 * 44_100.0 / 1e9;
                let off = f64::from(frame[0]) * 8.0 - due;
                assert_eq!(frame[0], frame[1]);
                assert!((due < 200.0 && frame[0] <= 25) || off.abs() < 24.0, "{rate}: {due} is {off} frames off");
            }
            assert_eq!(rig.shared.underruns.load(Ordering::Relaxed), 0);
            let skews: Vec<f32> = std::iter::from_fn(|| rig.skews.pop().ok()).collect();
            assert!(skews.len() > 100 && skews.iter().all(|skew| skew.abs() < 0.001), "{rate}: {skews:?}");
        }
    }

    #[test]
    fn volume_and_mute_change_without_a_step() {
        let mut rig = Rig::new(44_100);
        rig.shared.set_zero(Some(rig.now));
        rig.take(4_000, 2, |_| 16_000);
        rig.shared.set_gain(50, false);
        let mut all = rig.take(4_000, 2, |_| 16_000);
        assert_eq!(all.last().unwrap().1[0], 2_000, "half the volume is an eighth of the amplitude");
        rig.shared.set_gain(50, true);
        all.extend(rig.take(4_000, 2, |_| 16_000));
        assert_eq!(all.last().unwrap().1[0], 0);
        rig.shared.set_gain(100, false);
        all.extend(rig.take(4_000, 2, |_| 16_000));
        assert_eq!(all.last().unwrap().1[0], 16_000);
        let step = all.windows(2).map(|pair| pair[0].1[0].abs_diff(pair[1].1[0])).max();
        assert!(step <= Some(20), "{step:?}");
    }

    #[test]
    fn mono_devices_and_those_with_more_channels_get_their_share() {
        for channels in [1, 2, 6] {
            let mut rig = Rig::new(44_100);
            rig.shared.set_zero(Some(rig.now));
            let heard = rig.take(4_000, channels, |_| 9_000);
            let (_, last) = heard.last().unwrap();
            assert_eq!(last[..channels.min(2)], [9_000, 9_000][..channels.min(2)]);
            assert!(last.iter().skip(2).all(|sample| *sample == 0));
        }
    }

    #[test]
    fn a_stall_is_a_jump_without_a_click_and_a_reset_is_silence() {
        let mut rig = Rig::new(44_100);
        rig.shared.set_zero(Some(rig.now));
        let mut all = rig.take(8_000, 2, |_| 10_000);
        rig.shared.set_zero(Some(rig.now.offset(-500_000_000)));
        all.extend(rig.take(8_000, 2, |_| 10_000));
        assert_eq!(all.last().unwrap().1[0], 10_000);
        rig.shared.set_zero(None);
        all.extend(rig.take(8_000, 2, |_| 10_000));
        assert_eq!(all.last().unwrap().1[0], 0);
        let step = all.windows(2).map(|pair| pair[0].1[0].abs_diff(pair[1].1[0])).max();
        assert!(step <= Some(90), "10 000 in 3 ms are 76 a frame: {step:?}");
        let silent = all[1_000..16_000].iter().filter(|(_, frame)| frame[0] < 5_000).count();
        assert!((100..2_000).contains(&silent), "it fades at the jump: {silent}");
    }
}
