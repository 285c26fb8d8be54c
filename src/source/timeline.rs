//! When a film's pictures are due: from the stamps that ffmpeg writes beside their pipe to the stream's media time.
//!
//! Stamps are believed, however uneven they are, with four exceptions. Those that were rounded (Matroska, FLV and ASF count
//! milliseconds) go back to the steady grid they came from. One that is missing, or a little too early, follows the one
//! before closely and moves nothing. Where they jump back, or far ahead, the film was joined from pieces, and goes on
//! after its usual interval, as its sound does at the same place (`sound.rs`); smaller gaps are gaps.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use crate::units::{MediaTime, Rate};

/// What a film's stamps count from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Zero {
    /// What this many seconds are to the stream is its zero, as it is for those of its sound.
    File(f64),
    /// They say nothing but distances: the first picture is due so many seconds after the stream's zero.
    First(f64),
}

/// One pass of a film; all times in nanoseconds.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    rate: Rate,
    zero: Zero,
    /// The longest step ahead that is a gap and no jump.
    longest_gap: i64,
    /// What is added to stamps to make media times; known from the first stamp on.
    shift: Option<i64>,
    /// The last stamp, as it was or should have been, and the media time made of it.
    last: Option<(i64, i64)>,
    /// A picture from which on all have been on the grid of the usual rate.
    anchor: i64,
}

impl Timeline {
    /// `rate` is the film's usual one; see [`longest_gap`].
    pub fn new(rate: Rate, zero: Zero, longest_gap: Duration) -> Self {
        Self { rate, zero, longest_gap: nanos(longest_gap), shift: None, last: None, anchor: 0 }
    }

    /// How long a picture is shown where nothing else says it.
    pub fn interval(&self) -> Duration {
        self.rate.interval()
    }

    /// When the next picture is due; `stamp` is in microseconds. Later than the one before in any case.
    pub fn place(&mut self, stamp: Option<i64>) -> MediaTime {
        let interval = nanos(self.rate.interval());
        let stamp = stamp.map(|stamp| stamp.clamp(-FARTHEST, FARTHEST) * 1_000);
        let Some((last_stamp, last)) = self.last else {
            let stamp = stamp.unwrap_or(0);
            let first = match self.zero {
                Zero::File(zero) => stamp.saturating_sub((zero * 1e9) as i64),
                Zero::First(late) => (late * 1e9) as i64,
            };
            self.shift = Some(first - stamp);
            self.anchor = first;
            return self.note(stamp, first);
        };
        let stamp = stamp.unwrap_or(last_stamp + interval);
        let step = stamp - last_stamp;
        if step < -nanos(TOGETHER).max(interval) || step > self.longest_gap {
            self.shift = Some(last + interval - stamp);
            self.anchor = last + interval;
            return self.note(stamp, last + interval);
        }
        let at = stamp + self.shift.unwrap_or(0);
        let close = (interval / 2).min(CLOSEST);
        let earliest = last + if step > 0 { step.min(close) } else { close };
        let at = self.on_grid(at).filter(|&at| at >= earliest).unwrap_or(at).max(earliest);
        self.note(stamp.max(last_stamp), at)
    }

    /// The moment of the grid that was rounded to `at`, if one was. Where none was, a new grid begins.
    fn on_grid(&mut self, at: i64) -> Option<i64> {
        let since = (at - self.anchor).max(0);
        let number = self.rate.index_at(Duration::from_nanos((since + ROUNDED).unsigned_abs()));
        let moment = self.anchor + nanos(self.rate.at(number));
        let tolerance = ROUNDED.min(nanos(self.rate.interval()) / 4);
        let near = (moment - at).abs() <= tolerance;
        if !near {
            self.anchor = at;
        }
        near.then_some(moment)
    }

    fn note(&mut self, stamp: i64, at: i64) -> MediaTime {
        self.last = Some((stamp, at));
        MediaTime::from_micros(at.div_euclid(1_000))
    }
}

/// No film has nothing to show for longer than an hour, as ffplay sees it. A broadcast of which pieces were cut out jumps by
/// minutes; one that shows slides stands for less than one.
pub(super) const fn longest_gap(cut: bool) -> Duration {
    if cut { Duration::from_secs(60) } else { Duration::from_secs(3_600) }
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

/// Stamps as ffmpeg's filter `metadata=print` writes them: `frame:0    pts:40000   pts_time:0.04`, then the lines of the
/// picture's metadata.
pub(super) struct StampReader<R> {
    lines: BufReader<R>,
    /// What lies between a picture and the stamp of the one behind it, in microseconds, where only that is right.
    ahead: Option<i64>,
    begun: bool,
}

impl<R: Read> StampReader<R> {
    pub fn new(input: R) -> Self {
        Self { lines: BufReader::new(input), ahead: None, begun: false }
    }

    /// Each stamp says when the picture before it was over, had that one been shown for this `interval`: so ffmpeg reads
    /// Ogg's granule positions, which belong to the end of a packet (RFC 3533, section 6; libavformat/oggdec.c).
    pub fn of_ends(input: R, interval: Duration) -> Self {
        Self { ahead: i64::try_from(interval.as_micros()).ok(), ..Self::new(input) }
    }

    /// The next picture's; `None` if it has none, or if no more are written.
    pub fn next(&mut self) -> Option<i64> {
        if self.ahead.is_some() && !std::mem::replace(&mut self.begun, true) {
            self.read();
        }
        let stamp = self.read()?;
        Some(stamp.saturating_sub(self.ahead.unwrap_or(0)))
    }

    /// What it reads from, before anything has been read.
    pub fn into_inner(self) -> R {
        self.lines.into_inner()
    }

    fn read(&mut self) -> Option<i64> {
        let mut line = String::new();
        loop {
            line.clear();
            // A pipe that is cut off brings no more stamps; why, is seen in the pictures' pipe.
            if self.lines.by_ref().take(LONGEST_LINE).read_line(&mut line).unwrap_or(0) == 0 {
                return None;
            }
            if line.starts_with("frame:") {
                return parse(&line);
            }
        }
    }
}

fn parse(line: &str) -> Option<i64> {
    line.split_whitespace().find_map(|field| field.strip_prefix("pts:")?.parse().ok())
}

/// Containers round to a millisecond; some of them down.
const ROUNDED: i64 = 1_100_000;
/// Stamps that go back by less are out of order; by more, something else begins.
pub(super) const TOGETHER: Duration = Duration::from_millis(500);
/// Pictures that were stamped too early leave so soon after the one before.
const CLOSEST: i64 = 5_000_000;
/// In microseconds: 30 years.
const FARTHEST: i64 = 1_000_000_000_000_000;
const LONGEST_LINE: u64 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(fps: f64) -> Rate {
        Rate::from_fps(fps).expect("usual")
    }

    fn placed(fps: f64, zero: Zero, stamps: &[i64]) -> Vec<i64> {
        let mut timeline = Timeline::new(rate(fps), zero, longest_gap(false));
        stamps.iter().map(|&stamp| timeline.place(Some(stamp)).micros()).collect()
    }

    #[test]
    fn a_steady_film_is_as_if_it_were_counted_whatever_its_container_rounds_to() {
        for (fps, unit) in [(25.0, 1), (29.97, 1), (29.97, 1_000), (23.976, 1_000), (59.94, 1_000), (30.0, 1_000)] {
            let rate = rate(fps);
            let mut timeline = Timeline::new(rate, Zero::File(0.0), longest_gap(false));
            for n in 0..100_000 {
                let exact = rate.media_time(n).micros();
                for rounded in [exact / unit * unit, (exact + unit / 2) / unit * unit] {
                    let mut twin = timeline.clone();
                    let off = twin.place(Some(rounded)).micros() - exact;
                    assert!(off.abs() <= 1, "{fps} in {unit} µs, picture {n}: {off}");
                }
                timeline.place(Some(exact / unit * unit));
            }
        }
    }

    #[test]
    fn uneven_stamps_are_believed() {
        let stamps = [0, 2_000_000, 2_050_000, 2_100_000, 2_103_000, 9_000_000, 609_000_000, 609_000_500];
        assert_eq!(placed(12.0, Zero::File(0.0), &stamps), stamps);
        let missing = [0, 40_000, 200_000, 240_000, 1_000_000];
        assert_eq!(placed(25.0, Zero::File(0.0), &missing), missing);
    }

    #[test]
    fn what_the_zero_is() {
        assert_eq!(placed(25.0, Zero::File(0.0), &[3_000_000, 3_040_000]), [3_000_000, 3_040_000]);
        assert_eq!(placed(25.0, Zero::File(-0.021), &[0, 40_000]), [21_000, 61_000]);
        assert_eq!(placed(25.0, Zero::First(0.0), &[3_000_000, 3_040_000]), [0, 40_000]);
        assert_eq!(placed(25.0, Zero::First(0.5), &[-7_000, 33_000]), [500_000, 540_000]);
    }

    #[test]
    fn a_jump_is_closed_and_a_slip_moves_nothing() {
        // Back, and hours ahead, as films that were joined have it.
        let jump = [10_000_000, 10_040_000, 0, 40_000, 90_000_000_000, 90_000_040_000];
        let closed = [10_000_000, 10_040_000, 10_080_000, 10_120_000, 10_160_000, 10_200_000];
        assert_eq!(placed(25.0, Zero::File(0.0), &jump), closed);
        let slip = placed(25.0, Zero::File(0.0), &[0, 40_000, 39_000, 120_000, 160_000]);
        assert_eq!(slip, [0, 40_000, 45_000, 120_000, 160_000]);
    }

    #[test]
    fn missing_stamps_are_made_up_and_time_always_goes_on() {
        let mut timeline = Timeline::new(rate(25.0), Zero::File(0.0), longest_gap(true));
        let made: Vec<_> = (0..4).map(|_| timeline.place(None).micros()).collect();
        assert_eq!(made, [0, 40_000, 80_000, 120_000]);
        let (mut timeline, mut last) = (Timeline::new(rate(2_000.0), Zero::First(0.0), longest_gap(false)), i64::MIN);
        for stamp in [i64::MIN, i64::MAX, 0, 0, 0, 1, 5, 2, -400, i64::MAX, 500, 1_000, 1_500] {
            let at = timeline.place(Some(stamp)).micros();
            assert!(at > last, "{at} after {last}");
            last = at;
        }
    }

    #[test]
    fn stamps_are_read_as_ffmpeg_writes_them() {
        let text = "frame:0    pts:-7      pts_time:-7e-06\nt=1\nframe:1    pts:40000   pts_time:0.04\nt=1\n\
                    frame:2    pts:NOPTS   pts_time:NOPTS\nt=1\nframe:3    pts:3600000001  pts_time:3600\nt=1\n";
        let mut stamps = StampReader::new(text.as_bytes());
        let read: Vec<_> = (0..5).map(|_| stamps.next()).collect();
        assert_eq!(read, [Some(-7), Some(40_000), None, Some(3_600_000_001), None]);
        assert_eq!(StampReader::new(&[0xFF; 10_000][..]).next(), None);
        // Pictures of 0, 40 and 200 ms, and the end at 220 ms.
        let text = [0, 20_000, 60_000, 220_000].map(|stamp| format!("frame:0 pts:{stamp}\nt=1\n")).concat();
        let mut stamps = StampReader::of_ends(text.as_bytes(), Duration::from_millis(20));
        assert_eq!([(); 4].map(|()| stamps.next()), [Some(0), Some(40_000), Some(200_000), None]);
    }
}
