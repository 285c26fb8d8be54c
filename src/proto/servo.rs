//! Keeps the loudspeaker on the stream's clock. Each time a sound device asks for frames it is told when the first of
//! them will be heard; a filter makes a steady clock of that, and the distance to what should be heard then becomes a
//! resampling ratio a little off 1, or a jump where the distance is large. Sound and its device are not known here.

use crate::media::sound;
use crate::units::Time;

/// What to do with the frames that the device asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Steer {
    /// Go on, with this many frames made of one frame of the stream.
    Play { ratio: f64 },
    /// Too far off to be mended by going faster or slower: go on with this frame. What lies between is left out; what
    /// comes before frame 0 is silence.
    Jump { to: i64 },
}

/// One device's servo.
#[derive(Clone, Debug)]
pub struct Servo {
    clock: DeviceClock,
    /// Frames that should have been played by now and were not; negative when it plays too early.
    late: f64,
}

impl Servo {
    /// For a device that says it takes `rate` frames a second.
    pub fn new(rate: u32) -> Self {
        Self { clock: DeviceClock::new(f64::from(rate)), late: 0.0 }
    }

    /// The device asks for `frames` frames of its own; as it says, the first of them will be heard at `stamp`. Returns
    /// when it will be heard, as far as all stamps so far can tell.
    pub fn asked(&mut self, stamp: Time, frames: usize) -> Time {
        self.clock.asked(stamp, frames)
    }

    /// The device ran dry or stood still since it asked last, so its next frame is heard later than those before it told.
    pub fn interrupted(&mut self) {
        self.clock.next = None;
        self.clock.count = 0;
    }

    /// At `heard`, frame `next` of the stream would be heard (none: nothing is played yet), and frame 0 was or is to be
    /// heard at `zero`.
    pub fn steer(&mut self, heard: Time, next: Option<i64>, zero: Time) -> Steer {
        let due = heard.signed_since(zero) as f64 * RATE / 1e9;
        let limit = if self.clock.is_fresh() { FRESH_JUMP } else { JUMP };
        let late = next.map(|next| due - next as f64).filter(|late| late.abs() <= limit * RATE);
        self.late = late.unwrap_or(0.0);
        if late.is_none() {
            return Steer::Jump { to: due.round() as i64 };
        }
        let faster = self.late / RATE * GAIN;
        let ratio = self.clock.rate() * (1.0 - faster.clamp(-LIMIT, LIMIT));
        Steer::Play { ratio: ratio.clamp(1.0 - LIMIT, 1.0 + LIMIT) }
    }

    /// When a frame was heard at the last steering, from when it should have been, in seconds: negative is too early.
    pub fn skew(&self) -> f64 {
        self.late / RATE
    }
}

/// When each frame of a device is heard, in two terms: where it is now and how fast it goes. A delay-locked loop, as in
/// F. Adriaensen, "Using a DLL to filter time" (2005), with an average over all stamps at first.
#[derive(Clone, Debug)]
struct DeviceClock {
    /// Frames a second, as the device says.
    nominal: f64,
    /// Its real rate over that.
    rate: f64,
    /// When the first frame of the next question will be heard; none before the first question.
    next: Option<Time>,
    /// Nanoseconds lost in rounding `next`.
    fraction: f64,
    /// Questions since it began anew.
    count: u32,
    /// Stamps in a row that were far off, on one side.
    strange: i32,
}

impl DeviceClock {
    const fn new(nominal: f64) -> Self {
        Self { nominal, rate: 1.0, next: None, fraction: 0.0, count: 0, strange: 0 }
    }

    const fn rate(&self) -> f64 {
        self.rate
    }

    /// It began a moment ago, and some stamps agree since.
    fn is_fresh(&self) -> bool {
        FRESH.contains(&self.count)
    }

    fn asked(&mut self, stamp: Time, frames: usize) -> Time {
        let length = frames as f64 / self.nominal;
        let expected = self.next.unwrap_or(stamp);
        let heard = self.correct(expected, stamp, length);
        let span = length * 1e9 / self.rate + self.fraction;
        self.fraction = span - span.trunc();
        self.next = Some(heard.offset(span as i64));
        heard
    }

    fn correct(&mut self, expected: Time, stamp: Time, length: f64) -> Time {
        let error = stamp.signed_since(expected) as f64 / 1e9;
        if self.is_strange(error) {
            return if self.strange.abs() < STRANGE { expected } else { self.begin_anew(stamp) };
        }
        self.count = self.count.saturating_add(1);
        let quick = (2.0 / f64::from(self.count + 1)).min(1.0);
        let slow = (length / MEMORY).min(1.0);
        if quick < slow {
            // In `rate` more is faster, so a stamp that is later than expected makes it less.
            self.rate = (self.rate - slow * slow / 8.0 * error / length.max(1e-6)).clamp(1.0 - PPM, 1.0 + PPM);
        }
        expected.offset((error * quick.max(slow) * 1e9) as i64)
    }

    /// Whether a stamp is too far off to be the jitter of a healthy device.
    fn is_strange(&mut self, error: f64) -> bool {
        let far = error.abs() > FAR;
        let same_side = f64::from(self.strange) * error >= 0.0;
        self.strange = match (far, same_side) {
            (false, _) => 0,
            (true, true) => self.strange + error.signum() as i32,
            (true, false) => error.signum() as i32,
        };
        far
    }

    /// The device stood still, or it said nothing sensible until now. How fast it goes is still known.
    fn begin_anew(&mut self, stamp: Time) -> Time {
        (self.count, self.strange, self.fraction) = (1, 0, 0.0);
        stamp
    }
}

/// Frames a second of a stream.
const RATE: f64 = sound::RATE as f64;
/// Further off than this (seconds), going faster or slower would take too long: people notice sound that is 45 ms early
/// (ITU-R BT.1359-1).
const JUMP: f64 = 0.040;
/// When a device has just begun, or begun again, sound was interrupted anyway: what the first stamp was wrong by is mended
/// by another jump, once so many stamps have come.
const FRESH_JUMP: f64 = 0.008;
const FRESH: std::ops::Range<u32> = 12..24;
/// How much of an error is made good in a second.
const GAIN: f64 = 0.2;
/// Never faster or slower than this: six hundredths of a semitone.
const LIMIT: f64 = 0.0035;
/// The filter's memory for where the device is, in seconds. For how fast it goes it is seven times that.
const MEMORY: f64 = 3.0;
/// Quartzes are within 100 ppm; virtual devices are somewhat worse.
const PPM: f64 = 1_000e-6;
/// Stamps jitter by milliseconds. This far off (seconds) they are wrong, or the device stood still …
const FAR: f64 = 0.020;
/// … which it did if so many in a row say so.
const STRANGE: i32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// A device in virtual time, and a player as `audio` has one: frames are taken by the ratio, one more or less.
    struct Rig {
        servo: Servo,
        /// The device's real frames a second.
        rate: f64,
        /// Seconds: when the next frame that is asked for will be heard.
        heard: f64,
        zero: f64,
        next: i64,
        owed: f64,
        seed: u64,
        jumps: u32,
        errors: Vec<(f64, f64)>,
        ratios: Vec<f64>,
    }

    const FRAMES: usize = 512;

    fn time(seconds: f64) -> Time {
        Time::from_nanos((seconds * 1e9) as i64)
    }

    impl Rig {
        fn new(ppm: f64) -> Self {
            let rate = RATE * (1.0 + ppm * 1e-6);
            let (errors, ratios) = (Vec::new(), Vec::new());
            let servo = Servo::new(44_100);
            Self { servo, rate, heard: 5.0, zero: 6.0, next: 0, owed: 0.0, seed: 7, jumps: 0, errors, ratios }
        }

        /// Between 0 and 1.
        fn random(&mut self) -> f64 {
            self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.seed >> 11) as f64 / (1_u64 << 53) as f64
        }

        /// `jitter` in seconds, to either side.
        fn run(&mut self, seconds: f64, jitter: f64) {
            let end = self.heard + seconds;
            while self.heard < end {
                let stamp = time(self.heard + (self.random() * 2.0 - 1.0) * jitter);
                let heard = self.servo.asked(stamp, FRAMES);
                let mut ratio = 1.0;
                match self.servo.steer(heard, (self.jumps > 0).then_some(self.next), time(self.zero)) {
                    Steer::Play { ratio: asked } => ratio = asked,
                    Steer::Jump { to } => (self.next, self.jumps) = (to, self.jumps + 1),
                }
                self.errors.push((self.heard, self.heard - self.zero - self.next as f64 / RATE));
                self.ratios.push(ratio);
                self.owed += FRAMES as f64 / ratio;
                self.next += self.owed as i64;
                self.owed -= self.owed.trunc();
                self.heard += FRAMES as f64 / self.rate;
            }
        }

        fn since(&self, start: f64) -> Vec<(f64, f64)> {
            self.errors.iter().copied().filter(|(at, _)| *at >= start).collect()
        }
    }

    fn p99(errors: &[(f64, f64)]) -> f64 {
        let mut sizes: Vec<f64> = errors.iter().map(|(_, error)| error.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        sizes[sizes.len() * 99 / 100]
    }

    /// Seconds of error a second, by least squares.
    fn slope(errors: &[(f64, f64)]) -> f64 {
        let n = errors.len() as f64;
        let (at, error) = errors.iter().fold((0.0, 0.0), |(a, e), (at, error)| (a + at / n, e + error / n));
        let (above, below) = errors
            .iter()
            .fold((0.0, 0.0), |(above, below), (t, e)| (above + (t - at) * (e - error), below + (t - at) * (t - at)));
        above / below
    }

    #[test]
    fn an_hour_beside_any_quartz_is_heard_in_time_and_does_not_drift() {
        for (ppm, jitter) in [(-200.0, 0.005), (0.0, 0.008), (200.0, 0.005), (200.0, 0.0)] {
            let mut rig = Rig::new(ppm);
            rig.run(3_600.0, jitter);
            assert!(rig.jumps <= 2, "{ppm} ppm: only at the start");
            let (all, later) = (p99(&rig.errors), p99(&rig.since(65.0)));
            assert!(all < 0.003 && later < 0.002, "{ppm} ppm: p99 {all:.5} s, {later:.5} s after a minute");
            let worst = rig.errors.iter().fold(0.0_f64, |worst, (_, error)| worst.max(error.abs()));
            assert!(worst < 0.010, "{ppm} ppm: at worst {worst:.4} s");
            let drift = slope(&rig.since(65.0)) * 3_600.0;
            assert!(drift.abs() < 0.000_5, "{ppm} ppm: {drift:.6} s in an hour");
        }
    }

    #[test]
    fn it_settles_and_does_not_hunt() {
        let mut rig = Rig::new(120.0);
        rig.run(60.0, 0.005);
        let before = rig.ratios.len();
        rig.run(60.0, 0.005);
        for ratio in &rig.ratios[before..] {
            assert!((ratio - 1.000_12).abs() < 0.000_25, "{ratio}");
        }
    }

    #[test]
    fn a_zero_that_moves_a_little_is_followed_without_a_jump() {
        let mut rig = Rig::new(-50.0);
        rig.run(60.0, 0.004);
        rig.zero += 0.030;
        rig.run(60.0, 0.004);
        assert_eq!(rig.jumps, 1);
        let peak = rig.ratios.iter().fold(0.0_f64, |peak, ratio| peak.max((ratio - 1.0).abs()));
        assert!((0.003..=LIMIT).contains(&peak), "at its limit for a while: {peak}");
        assert!(p99(&rig.since(95.0)) < 0.002);
        let early = rig.since(65.0).iter().map(|(_, error)| *error).fold(0.0, f64::max);
        assert!(early < 0.004, "it does not go too far: {early}");
    }

    #[test]
    fn a_zero_that_jumps_is_followed_at_once() {
        let mut rig = Rig::new(0.0);
        rig.run(30.0, 0.004);
        rig.zero += 2.0;
        rig.run(30.0, 0.004);
        assert_eq!(rig.jumps, 2);
        assert!(p99(&rig.since(35.1)) < 0.005);
    }

    #[test]
    fn a_device_that_stops_for_seconds_comes_back_in_time() {
        let mut rig = Rig::new(80.0);
        rig.run(60.0, 0.005);
        rig.heard += 4.0;
        let back = rig.heard;
        rig.run(30.0, 0.005);
        assert_eq!(rig.jumps, 2);
        let after = rig.since(back);
        assert!(after[..2].iter().all(|(_, error)| *error > 3.9), "two stamps are not believed");
        assert!(after[3..].iter().all(|(_, error)| error.abs() < 0.010), "the third one is");
    }

    #[test]
    fn a_device_that_ran_dry_is_believed_at_once_and_its_rate_is_kept() {
        let mut rig = Rig::new(80.0);
        rig.run(200.0, 0.002);
        let rate = rig.servo.clock.rate();
        assert!((rate - 1.000_08).abs() < 0.000_03, "{rate}");
        rig.heard += 0.015;
        rig.servo.interrupted();
        let dry = rig.heard;
        rig.run(20.0, 0.002);
        assert_eq!(rig.jumps, 2);
        assert!(p99(&rig.since(dry + 0.5)) < 0.002);
        assert!(rig.ratios.iter().rev().take(500).all(|ratio| (ratio - rate).abs() < 0.000_4), "no wrong lesson");
    }

    #[test]
    fn one_wild_stamp_changes_nothing() {
        let mut rig = Rig::new(0.0);
        rig.run(30.0, 0.002);
        let (calm, after) = (rig.servo.clone(), time(rig.heard + 0.5));
        let expected = calm.clock.next;
        assert_eq!(Some(rig.servo.asked(after, FRAMES)), expected);
        rig.heard += FRAMES as f64 / rig.rate;
        rig.run(10.0, 0.002);
        assert_eq!(rig.jumps, 1);
    }

    #[test]
    fn what_is_before_the_beginning_is_a_negative_frame() {
        let mut servo = Servo::new(48_000);
        let heard = servo.asked(Time::from_millis(1_000), 480);
        assert_eq!(servo.steer(heard, None, Time::from_millis(1_100)), Steer::Jump { to: -4_410 });
        let heard = servo.asked(Time::from_millis(1_010), 480);
        assert_eq!(servo.steer(heard, Some(-3_969), Time::from_millis(1_100)), Steer::Play { ratio: 1.0 });
        assert_eq!(servo.skew(), 0.0);
    }
}
