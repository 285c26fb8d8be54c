//! Whether the program can send what a stream asks of it: how many watchers each picture reached before the next departed, and
//! whether that one had to wait for it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::units::Time;

/// Departures that are strained (pictures wait for the one before, or pass watchers by) without a break for this long are
/// an overload.
const OVERLOAD_AFTER: Duration = Duration::from_millis(500);
/// There must be so many of them: a machine that stood still for a moment makes that good.
const OVERLOAD_DEPARTURES: u32 = 3;
/// It is over when none has been strained for so long.
const RELIEVED_AFTER: Duration = Duration::from_secs(1);
/// The share that is told is of the departures of this time.
const WINDOW: Duration = Duration::from_secs(1);

/// A datagram that took longer to send than this did not: something else had the processor.
const LONGEST_SEND: Duration = Duration::from_millis(1);

/// What became of each departure of the last second.
pub struct Load {
    /// Of the stream's pictures.
    interval: Duration,
    departures: VecDeque<Departure>,
    run: Option<Run>,
    /// When one was last.
    last: Time,
    overloaded: bool,
    /// [`Meter::busy`] at the last departure.
    busy: Duration,
}

/// The time that a server spends with sending, whatever stream it is for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    /// When the datagram was handed out that is being sent.
    sending: Option<Time>,
    busy: Duration,
}

impl Meter {
    /// The program asks what to do next: what it was given to send before has been sent.
    pub fn sent(&mut self, now: Time) {
        if let Some(since) = self.sending.take() {
            self.busy += now.since(since).min(LONGEST_SEND);
        }
    }

    /// It is given something to send.
    pub const fn sends(&mut self, now: Time) {
        self.sending = Some(now);
    }

    /// All the time spent so far.
    pub const fn busy(&self) -> Duration {
        self.busy
    }
}

/// Strained departures in a row.
#[derive(Clone, Copy)]
struct Run {
    since: Time,
    count: u32,
    /// How late the first of them was.
    late: Duration,
}

/// A picture that departs, and what became of the one before it.
#[derive(Clone, Copy)]
pub struct Departure {
    pub at: Time,
    /// Those who are to have it.
    pub watchers: usize,
    /// Those of them who have not been sent the one before.
    pub missed: usize,
    /// It had to wait for them.
    pub waited: bool,
    /// How long after its time it departs.
    pub late: Duration,
    /// See [`Meter::busy`].
    pub busy: Duration,
}

impl Load {
    pub const fn new(interval: Duration) -> Self {
        Self {
            interval,
            departures: VecDeque::new(),
            run: None,
            last: Time::ZERO,
            overloaded: false,
            busy: Duration::ZERO,
        }
    }

    /// A picture departs.
    pub fn departed(&mut self, departure: Departure) {
        let now = departure.at;
        // Late because the processor was busy with sending, and not because it was somewhere else.
        let busy = departure.busy.saturating_sub(std::mem::replace(&mut self.busy, departure.busy));
        let mostly_busy = self.departures.back().is_some_and(|last| busy * 2 > now.since(last.at));
        let held_up = departure.late > self.interval && mostly_busy;
        self.departures.push_back(departure);
        while self.departures.front().is_some_and(|departure| now.since(departure.at) > WINDOW) {
            self.departures.pop_front();
        }
        if departure.missed == 0 && !departure.waited && !held_up {
            self.run = None;
            return;
        }
        self.last = now;
        let run = self.run.get_or_insert(Run { since: now, count: 0, late: departure.late });
        run.count += 1;
        // A halt is being made good as long as lateness shrinks.
        let lasting = departure.missed > 0 || departure.late >= run.late * 3 / 4;
        self.overloaded |= run.count >= OVERLOAD_DEPARTURES && now.since(run.since) >= OVERLOAD_AFTER && lasting;
    }

    /// Whether that has changed, and then what it is now. To be asked now and then, with the word whether some still lack the
    /// last picture.
    pub fn turn(&mut self, now: Time, told: bool, handing_out: bool) -> Option<bool> {
        if now.since(self.last) >= RELIEVED_AFTER && !handing_out {
            (self.overloaded, self.run) = (false, None);
        }
        (self.overloaded != told).then_some(self.overloaded)
    }

    /// The share of the stream's pictures that watchers were sent in the last second: 0 … 1, and 1 unless overloaded.
    pub fn served(&self) -> f64 {
        let sum = |of: fn(&Departure) -> usize| self.departures.iter().map(of).sum::<usize>() as f64;
        let wanted = sum(|departure| departure.watchers);
        if !self.overloaded || wanted == 0.0 {
            return 1.0;
        }
        let sent = 1.0 - sum(|departure| departure.missed) / wanted;
        let departed = self.departures.len() as f64 * self.interval.as_secs_f64() / WINDOW.as_secs_f64();
        sent * departed.min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(40);

    /// Departure `n`, 40 ms after the one before.
    fn departure(n: u64, missed: usize) -> Departure {
        Departure {
            at: Time::from_millis(n * 40),
            watchers: 10,
            missed,
            waited: false,
            late: Duration::ZERO,
            busy: Duration::ZERO,
        }
    }

    /// When overload was said to begin and to end, of 175 departures.
    fn run(each: impl Fn(&mut Load, u64) -> Departure) -> Vec<(u64, bool)> {
        let (mut load, mut told, mut said) = (Load::new(INTERVAL), false, Vec::new());
        for n in 25..200 {
            let departure = each(&mut load, n);
            load.departed(departure);
            if let Some(overloaded) = load.turn(departure.at, told, false) {
                told = overloaded;
                said.push((n, overloaded));
            }
        }
        said
    }

    fn missing(missed: impl Fn(u64) -> usize) -> Vec<(u64, bool)> {
        run(|_, n| departure(n, missed(n)))
    }

    #[test]
    fn a_lasting_lack_is_overload_and_a_halt_is_none() {
        assert_eq!(missing(|_| 0), []);
        assert_eq!(missing(|n| if n % 5 == 0 { 10 } else { 0 }), [], "a halt each fifth of a second");
        assert_eq!(missing(|n| if (99..111).contains(&n) { 10 } else { 0 }), [], "one of almost half a second");
        assert_eq!(missing(|n| usize::from((99..150).contains(&n))), [(112, true), (174, false)]);
    }

    #[test]
    fn pictures_that_always_wait_for_the_one_before_are_overload_too() {
        assert_eq!(run(|_, n| Departure { waited: n % 7 > 0, ..departure(n, 0) }), []);
        assert_eq!(run(|_, n| Departure { waited: n < 50, ..departure(n, 0) }), [(38, true), (74, false)]);
    }

    #[test]
    fn a_halt_that_is_being_made_good_is_none_however_long_that_takes() {
        let late = |n: u64| Duration::from_millis(if n < 100 { 0 } else { 600_u64.saturating_sub(12 * (n - 100)) });
        let catching_up = |n: u64| Departure { waited: late(n) > INTERVAL, late: late(n), ..departure(n, 0) };
        assert_eq!(run(|_, n| catching_up(n)), []);
        // The same without an end is no halt.
        assert_eq!(
            run(|_, n| Departure { late: INTERVAL * 3, ..catching_up(n.min(100)) }).len(),
            0,
            "late, and no more"
        );
        let behind = |n| Departure { at: departure(n, 0).at, late: INTERVAL * 3, ..catching_up(n.clamp(99, 100)) };
        assert_eq!(run(|_, n| behind(n)), [(113, true)]);
    }

    #[test]
    fn a_slow_stream_is_not_relieved_between_two_pictures() {
        let mut load = Load::new(Duration::from_secs(2));
        for n in 1..6 {
            load.departed(Departure { at: Time::from_millis(n * 2_000), ..departure(0, 3) });
        }
        assert_eq!(load.turn(Time::from_millis(11_500), false, true), Some(true), "some still lack it");
        assert_eq!(load.turn(Time::from_millis(11_500), true, false), Some(false));
        load.departed(Departure { at: Time::from_millis(60_000), ..departure(0, 3) });
        assert_eq!(load.turn(Time::from_millis(60_000), false, true), None, "one alone is nothing");
    }

    /// On one processor sending leaves too little of it for those who make the pictures.
    #[test]
    fn pictures_that_are_late_because_of_sending_are_overload_and_others_are_not() {
        let late = |busy: u64| {
            let meter = std::cell::Cell::new(Meter::default());
            run(move |_, n| {
                let departure = Departure { late: Duration::from_millis(100), ..departure(n, 0) };
                let mut spent = meter.get();
                for tenth in 0..busy * 10 {
                    let at = departure.at - INTERVAL + Duration::from_micros(100 * tenth);
                    spent.sends(at);
                    spent.sent(at + Duration::from_micros(100));
                }
                meter.set(spent);
                Departure { busy: spent.busy(), ..departure }
            })
        };
        assert_eq!(late(10), []);
        assert_eq!(late(30), [(39, true)]);
    }

    #[test]
    fn the_share_is_of_the_last_second_and_of_the_streams_rate() {
        let mut load = Load::new(INTERVAL);
        assert!((load.served() - 1.0).abs() < 1e-9);
        for n in 0..100 {
            load.departed(departure(n, if n < 50 { 10 } else { 4 }));
        }
        assert!((load.served() - 0.6).abs() < 1e-9, "{}", load.served());
        for n in 50..80 {
            load.departed(departure(2 * n, 4));
        }
        assert!((load.served() - 0.3).abs() < 0.02, "half of them depart: {}", load.served());
    }
}
