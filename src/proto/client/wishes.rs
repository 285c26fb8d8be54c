//! What is wished of a session, and telling it until the server says that it has heard.

use std::time::Duration;

use crate::units::Time;
use crate::wire::SizeClass;
use crate::wire::message::{Place, Play, RepairWish, SoundWish, WantedPictures};
use crate::wire::tlv::{self, kind};

/// A Want goes out again after this …
const WANT_REPEAT: Duration = Duration::from_millis(100);
/// … and from the fifth on, after this.
const WANT_SLOWLY: Duration = Duration::from_millis(250);
const QUICK_WANTS: usize = 5;

/// All that can be wished of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wishes {
    pub sound: SoundWish,
    /// No pictures, for the time being.
    pub paused: bool,
    /// How much of the pictures is wanted at most.
    pub limits: WantedPictures,
    pub repair: RepairWish,
    /// No larger datagrams are wanted for pictures; [`SizeClass::LOOPBACK`]: of any size.
    pub class: SizeClass,
    /// How a film on demand is to be played.
    pub play: Option<Play>,
}

impl Wishes {
    /// Pictures and no sound: what a session gives that was not asked for anything.
    pub const NONE: Self = Self {
        sound: SoundWish { place: Place::Off, rendition: 0, coarsest: 0 },
        paused: false,
        limits: WantedPictures::ANY,
        repair: RepairWish { asks: false, patience: Duration::ZERO, latency: Duration::ZERO },
        class: SizeClass::LOOPBACK,
        play: None,
    };

    /// Of these, what a session is told that is for sound alone.
    pub const fn of_sound(self) -> Self {
        Self { sound: self.sound, repair: self.repair, ..Self::NONE }
    }

    /// What a Join says of them: what differs from none.
    pub fn opening(self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.sound.place != Place::Off {
            self.sound.put(&mut out);
        }
        if self.paused {
            tlv::put(&mut out, kind::PAUSE, &[]);
        }
        self.limits.put(&mut out);
        if self.repair != Self::NONE.repair {
            self.repair.put(&mut out);
        }
        if self.class != Self::NONE.class {
            self.put_class(&mut out);
        }
        self.play.into_iter().for_each(|play| play.put(&mut out));
        out
    }

    fn put_class(self, out: &mut Vec<u8>) {
        tlv::put(out, kind::RENDITION, &[0, self.class.cut(0, false)]);
    }
}

/// What a session was told of wishes, and whether that has come.
#[derive(Debug)]
pub struct Wanting {
    wishes: Wishes,
    number: u32,
    /// A pause was told of in this session, so its end must be.
    paused_once: bool,
    /// A limit was told of in this session, so its end must be.
    limited_once: bool,
    /// A size of datagrams was told of in this session.
    sized_once: bool,
    tries: usize,
    next: Option<Time>,
}

impl Wanting {
    /// The session was made with these wishes.
    pub fn new(wishes: Wishes) -> Self {
        let (limited_once, sized_once) = (wishes.limits.is_limited(), wishes.class != Wishes::NONE.class);
        Self { wishes, number: 0, paused_once: wishes.paused, limited_once, sized_once, tries: 0, next: None }
    }

    /// From now on this is wished.
    pub fn wish(&mut self, now: Time, wishes: Wishes) {
        if wishes == self.wishes {
            return;
        }
        self.wishes = wishes;
        self.paused_once |= wishes.paused;
        self.limited_once |= wishes.limits.is_limited();
        self.sized_once |= wishes.class != Wishes::NONE.class;
        self.number = self.number.wrapping_add(1);
        (self.tries, self.next) = (0, Some(now));
    }

    /// The server has obeyed the Want with this number.
    pub const fn obeyed(&mut self, number: u32) {
        if number == self.number {
            self.next = None;
        }
    }

    /// Number and wishes of the Want that is due, if one is.
    pub fn due(&mut self, now: Time) -> Option<(u32, Vec<u8>)> {
        self.next.filter(|next| now >= *next)?;
        self.tries += 1;
        self.next = Some(now + if self.tries < QUICK_WANTS { WANT_REPEAT } else { WANT_SLOWLY });
        Some((self.number, self.tlvs()))
    }

    pub const fn deadline(&self) -> Option<Time> {
        self.next
    }

    fn tlvs(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16);
        self.wishes.sound.put(&mut out);
        if self.paused_once {
            tlv::put(&mut out, if self.wishes.paused { kind::PAUSE } else { kind::RESUME }, &[]);
        }
        if self.limited_once {
            self.wishes.limits.put_all(&mut out);
        }
        if self.wishes.repair != Wishes::NONE.repair {
            self.wishes.repair.put(&mut out);
        }
        if self.sized_once {
            self.wishes.put_class(&mut out);
        }
        self.wishes.play.into_iter().for_each(|play| play.put(&mut out));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tlv::Tlvs;

    #[test]
    fn a_wish_is_repeated_under_its_number_until_it_was_heard() {
        let mut wanting = Wanting::new(Wishes::NONE);
        assert_eq!(wanting.deadline(), None, "nothing is wished");
        wanting.wish(Time::ZERO, Wishes { paused: true, ..Wishes::NONE });
        let mut sent = Vec::new();
        for millis in 0..1_000 {
            let due = wanting.due(Time::from_millis(millis));
            sent.extend(due.map(|(number, tlvs)| (millis, number, tlvs)));
        }
        let times: Vec<u64> = sent.iter().map(|(at, ..)| *at).collect();
        assert_eq!(times, [0, 100, 200, 300, 400, 650, 900]);
        assert!(sent.iter().all(|(_, number, tlvs)| *number == 1 && *tlvs == [0, 35, 0, 3, 0, 0, 0, 0, 36, 0, 0]));
        wanting.obeyed(0);
        assert!(wanting.deadline().is_some(), "another");
        wanting.obeyed(1);
        assert_eq!(wanting.deadline(), None);
        wanting.wish(Time::ZERO, Wishes::NONE);
        assert_eq!(wanting.due(Time::ZERO), Some((2, vec![0, 35, 0, 3, 0, 0, 0, 0, 37, 0, 0])));
    }

    #[test]
    fn a_limit_that_was_told_once_is_told_with_every_want() {
        let limits = WantedPictures { quality: Some(60), ..WantedPictures::ANY };
        let limited = Wishes { limits, ..Wishes::NONE };
        assert_eq!(limited.opening(), [0, 34, 0, 1, 60]);
        let mut wanting = Wanting::new(limited);
        wanting.wish(Time::ZERO, Wishes::NONE);
        let (_, tlvs) = wanting.due(Time::ZERO).expect("a Want");
        let said = Tlvs::parse(&tlvs).expect("sound");
        assert_eq!(limits.changed_by(WantedPictures::read(said)), WantedPictures::ANY, "it is taken back");
    }
}
