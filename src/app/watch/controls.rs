//! How a film on demand is played: what keys and mouse ask for becomes orders for the server.

use std::time::Duration;

use crate::proto::receiver::Played;
use crate::units::{MediaTime, Rate, Speed, Time};
use crate::view::{FilmPlace, FilmWish};
use crate::wire::message::{Play, Seek, State};

/// Halves to twice as fast, in quarters.
const SPEEDS: [(u32, u32); 6] = [(1, 2), (3, 4), (1, 1), (5, 4), (3, 2), (2, 1)];

/// A moment of a film, as people write it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    At(Duration),
    /// Parts of its length.
    Part(f64),
}

impl Moment {
    pub fn of(self, length: Option<Duration>) -> Option<MediaTime> {
        let at = match self {
            Self::At(at) => at,
            Self::Part(part) => length?.mul_f64(part.clamp(0.0, 1.0)),
        };
        Some(micros(at))
    }
}

/// What comes of a wish.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    pub order: Option<Play>,
    pub notice: Option<String>,
}

/// See the head of this file.
pub struct Controls {
    /// What was ordered last.
    play: Play,
    played: Option<Played>,
    length: Option<Duration>,
    rate: Rate,
    /// The picture that was shown last.
    shown: MediaTime,
    /// Nothing has been shown since the last order that was obeyed.
    waits: bool,
    /// Where the mouse is, until the place before has been seen.
    scrub: Option<MediaTime>,
    end: Option<Moment>,
    /// Its end was told.
    over: bool,
}

impl Controls {
    /// `place`: where the film is begun.
    pub fn new(place: Option<MediaTime>, end: Option<Moment>) -> Self {
        let seek = place.map(|to| Seek { to, exact: true });
        Self {
            play: Play { number: 1, paused: false, seek, speed: Speed::NORMAL },
            played: None,
            length: None,
            rate: Rate::TYPICAL,
            shown: MediaTime::ZERO,
            waits: false,
            scrub: None,
            end,
            over: false,
        }
    }

    /// What the server is told when it is joined.
    pub const fn first(&self) -> Play {
        self.play
    }

    /// How long the film is.
    pub const fn length(&self) -> Option<Duration> {
        self.length
    }

    /// Whether a film on demand is shown.
    pub const fn is_there(&self) -> bool {
        self.played.is_some()
    }

    /// A stream plays of this length and rate; what is known of the one before does not count any more.
    pub fn begin(&mut self, length: Option<u64>, rate: Rate) {
        (self.length, self.rate) = (length.map(Duration::from_micros), rate);
        (self.played, self.scrub, self.waits, self.over) = (None, None, false, false);
    }

    /// The server says how the film is played. Returns true when it has come to its end.
    pub fn played(&mut self, played: Played) -> bool {
        let before = self.played.replace(played);
        self.waits |= before.is_none_or(|before| before.jump != played.jump);
        if played.state != State::Ended {
            self.over = false;
            return false;
        }
        !std::mem::replace(&mut self.over, true)
    }

    /// A picture of this moment is handed over to be shown. Returns what is to be ordered, now that this place was seen.
    pub fn shown(&mut self, now: Time, at: MediaTime) -> Done {
        self.shown = at;
        if self.is_obeyed() {
            self.waits = false;
        }
        if let Some(to) = self.scrub.take_if(|_| !self.waits) {
            return self.order(to, false, self.play.paused);
        }
        let end = self.end.and_then(|end| end.of(self.length));
        if end.is_some_and(|end| at >= end) && !self.play.paused && !self.waits {
            self.over = true;
            return self.pause(now, true);
        }
        Done::default()
    }

    /// Whether it stands where it was to end.
    pub const fn is_over(&self) -> bool {
        self.over
    }

    fn is_obeyed(&self) -> bool {
        self.played.is_some_and(|played| played.obeyed >= self.play.number)
    }

    /// Where the film is, or is going.
    pub fn position(&self, now: Time) -> MediaTime {
        let going = self.play.seek.filter(|_| !self.is_obeyed() || self.waits);
        if let Some(seek) = going {
            return seek.to;
        }
        let Some(played) = self.played else { return self.shown };
        match (played.state, played.at) {
            (State::Playing, Some(at)) => {
                let since = now.signed_since(at) as f64 * played.speed.factor() / 1e3;
                let at = MediaTime::from_micros(played.media.micros().saturating_add(since as i64));
                self.within(at.max(played.media))
            }
            (State::Playing, None) => self.shown,
            _ => played.media,
        }
    }

    fn within(&self, at: MediaTime) -> MediaTime {
        let end = self.length.map_or(i64::MAX, |length| micros(length).micros());
        MediaTime::from_micros(at.micros().clamp(0, end))
    }

    /// What the window shows of it.
    pub fn place(&self, now: Time) -> Option<FilmPlace> {
        let played = self.played?;
        let ended = played.state == State::Ended;
        let paused = if self.is_obeyed() { played.state == State::Paused } else { self.play.paused };
        Some(FilmPlace { at: self.position(now), length: self.length, paused, ended, speed: self.play.speed })
    }

    /// Does what is wished.
    pub fn wish(&mut self, now: Time, wish: FilmWish) -> Done {
        if self.played.is_none() {
            return Done::default();
        }
        let here = self.position(now);
        let ended = self.played.is_some_and(|played| played.state == State::Ended);
        match wish {
            FilmWish::Pause if ended => self.order(MediaTime::ZERO, true, false),
            FilmWish::Pause => self.pause(now, !self.play.paused),
            FilmWish::Skip(seconds) => {
                let to = here.micros().saturating_add(i64::from(seconds) * 1_000_000);
                self.go(MediaTime::from_micros(to))
            }
            FilmWish::Step(on) => {
                let unit = self.rate.index_at(Duration::from_micros(self.shown.micros().max(0).unsigned_abs()));
                let unit = if on { unit + 1 } else { unit.saturating_sub(1) };
                self.order(self.rate.media_time(unit), true, true)
            }
            FilmWish::Home => self.go(MediaTime::ZERO),
            FilmWish::End => match self.length {
                Some(length) => self.go(micros(length)),
                None => Done::said("It is not known how long this film is."),
            },
            FilmWish::Tenth(tenth) => match self.length {
                Some(length) => self.go(micros(length * tenth.into() / 10)),
                None => Done::said("It is not known how long this film is."),
            },
            FilmWish::Speed(faster) => self.speed(faster),
            FilmWish::Scrub(to) if self.waits || !self.is_obeyed() => {
                self.scrub = Some(to);
                Done::default()
            }
            FilmWish::Scrub(to) => self.order(to, false, self.play.paused),
            FilmWish::Seek(to) => self.go(to),
        }
    }

    /// Where a film is to begin that was written as parts of its length.
    pub fn begin_at(&mut self, moment: Moment) -> Done {
        moment.of(self.length).map_or_else(Done::default, |to| self.go(to))
    }

    fn go(&mut self, to: MediaTime) -> Done {
        self.scrub = None;
        self.order(to, true, self.play.paused)
    }

    fn order(&mut self, to: MediaTime, exact: bool, paused: bool) -> Done {
        let to = self.within(to);
        self.over = false;
        self.play =
            Play { number: self.play.number + 1, paused, seek: Some(Seek { to, exact }), speed: self.play.speed };
        Done { order: Some(self.play), notice: None }
    }

    fn pause(&mut self, now: Time, paused: bool) -> Done {
        // What it goes on with is what is on the screen.
        let seek = (!paused && self.is_obeyed()).then(|| Seek { to: self.position(now), exact: true });
        let seek = seek.or(self.play.seek.filter(|_| !self.is_obeyed()));
        self.play = Play { number: self.play.number + 1, paused, seek, ..self.play };
        Done { order: Some(self.play), notice: None }
    }

    fn speed(&mut self, faster: bool) -> Done {
        let now = SPEEDS.iter().position(|(num, den)| Speed::new(*num, *den) == Some(self.play.speed)).unwrap_or(2);
        let next = if faster { (now + 1).min(SPEEDS.len() - 1) } else { now.saturating_sub(1) };
        let speed = SPEEDS.get(next).and_then(|(num, den)| Speed::new(*num, *den)).unwrap_or(Speed::NORMAL);
        let seek = self.play.seek.filter(|_| !self.is_obeyed());
        let factor = speed.factor();
        let notice = Some(if speed.is_normal() {
            "As fast as usual.".to_owned()
        } else {
            format!("{factor}× as fast, without sound.")
        });
        if speed == self.play.speed {
            return Done { order: None, notice };
        }
        self.play = Play { number: self.play.number + 1, seek, speed, ..self.play };
        Done { order: Some(self.play), notice }
    }
}

impl Done {
    fn said(text: &str) -> Self {
        Self { order: None, notice: Some(text.to_owned()) }
    }
}

fn micros(at: Duration) -> MediaTime {
    MediaTime::from_micros(i64::try_from(at.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(at: i64) -> MediaTime {
        MediaTime::from_micros(at * 1_000_000)
    }

    fn playing(jump: u32, obeyed: u32, media: MediaTime, at: u64) -> Played {
        let (state, speed) = (State::Playing, Speed::NORMAL);
        Played { generation: jump, jump, obeyed, state, media, at: Some(Time::from_millis(at)), speed }
    }

    /// A film of a hundred seconds that plays from its beginning since zero.
    fn film() -> Controls {
        let mut controls = Controls::new(None, None);
        controls.begin(Some(100_000_000), Rate::TYPICAL);
        assert!(!controls.played(playing(1, 1, MediaTime::ZERO, 0)));
        controls.shown(Time::ZERO, MediaTime::ZERO);
        controls
    }

    fn to(done: &Done) -> Option<MediaTime> {
        done.order.and_then(|order| order.seek).map(|seek| seek.to)
    }

    #[test]
    fn quick_keys_add_up() {
        let (mut controls, now) = (film(), Time::from_millis(10_000));
        assert_eq!(controls.position(now), seconds(10));
        for wanted in [15, 20, 25] {
            assert_eq!(to(&controls.wish(now, FilmWish::Skip(5))), Some(seconds(wanted)));
        }
        controls.played(playing(2, 4, seconds(25), 10_100));
        assert_eq!(controls.position(Time::from_millis(10_100)), seconds(25));
        controls.shown(Time::from_millis(10_100), seconds(25));
        assert_eq!(controls.position(Time::from_millis(12_100)), seconds(27));
        assert_eq!(to(&controls.wish(Time::from_millis(12_100), FilmWish::Skip(-5))), Some(seconds(22)));
        assert_eq!(to(&controls.wish(Time::from_millis(12_100), FilmWish::Tenth(9))), Some(seconds(90)));
        assert_eq!(
            to(&controls.wish(Time::from_millis(12_100), FilmWish::Skip(100))),
            Some(seconds(100)),
            "no further"
        );
    }

    #[test]
    fn a_mouse_that_is_moved_is_followed_as_fast_as_places_are_seen() {
        let (mut controls, now) = (film(), Time::from_millis(1_000));
        assert_eq!(to(&controls.wish(now, FilmWish::Scrub(seconds(30)))), Some(seconds(30)));
        for place in 31..60 {
            assert_eq!(controls.wish(now, FilmWish::Scrub(seconds(place))), Done::default());
        }
        controls.played(playing(2, 2, seconds(30), 1_100));
        let next = controls.shown(now, seconds(30));
        assert_eq!(
            (to(&next), next.order.and_then(|order| order.seek).map(|seek| seek.exact)),
            (Some(seconds(59)), Some(false))
        );
        let released = controls.wish(now, FilmWish::Seek(seconds(61)));
        assert_eq!(released.order.and_then(|order| order.seek), Some(Seek { to: seconds(61), exact: true }));
    }

    #[test]
    fn it_stands_goes_on_and_begins_again_at_its_end() {
        let (mut controls, now) = (film(), Time::from_millis(4_000));
        let order = controls.wish(now, FilmWish::Pause).order.expect("an order");
        assert!(order.paused && order.seek.is_none());
        controls.played(Played { state: State::Paused, ..playing(1, 2, seconds(4), 4_000) });
        assert_eq!(
            controls.place(Time::from_millis(9_000)).map(|place| (place.at, place.paused)),
            Some((seconds(4), true))
        );
        controls.shown(now, seconds(4));
        let step = controls.wish(now, FilmWish::Step(true));
        assert_eq!(
            (to(&step), step.order.map(|order| order.paused)),
            (Some(MediaTime::from_micros(4_040_000)), Some(true))
        );
        assert!(controls.played(Played { state: State::Ended, ..playing(2, 3, seconds(100), 9_000) }));
        assert!(
            !controls.played(Played { state: State::Ended, ..playing(2, 3, seconds(100), 9_000) }),
            "it is said once"
        );
        let again = controls.wish(now, FilmWish::Pause).order.expect("an order");
        assert_eq!((again.paused, again.seek.map(|seek| seek.to)), (false, Some(MediaTime::ZERO)));
    }

    #[test]
    fn speeds_are_a_few_and_an_end_can_be_chosen() {
        let (mut controls, now) = (film(), Time::ZERO);
        let faster: Vec<f64> = (0..5)
            .map_while(|_| controls.wish(now, FilmWish::Speed(true)).order)
            .map(|order| order.speed.factor())
            .collect();
        assert_eq!(faster, [1.25, 1.5, 2.0]);
        let mut controls = Controls::new(None, Some(Moment::Part(0.5)));
        controls.begin(Some(100_000_000), Rate::TYPICAL);
        controls.played(playing(1, 1, MediaTime::ZERO, 0));
        assert_eq!(controls.shown(now, seconds(49)), Done::default());
        assert!(controls.shown(now, seconds(50)).order.is_some_and(|order| order.paused) && controls.is_over());
    }
}
