//! Says lines, one after the other, each until it comes back or is refused: so they stay in order, and none is lost where
//! the server is away for a moment.

use std::collections::VecDeque;
use std::time::Duration;

use crate::units::Time;

/// So many lines wait to be said.
const MOST: usize = 16;
/// A line that has not come back is said again after this, …
const REPEAT: Duration = Duration::from_millis(150);
/// … and from the fourth time on after this.
const SLOWLY: Duration = Duration::from_millis(500);
const QUICK: u32 = 4;
/// It is given up after so long.
const GIVEN_UP: Duration = Duration::from_secs(20);

/// A line that was not said after all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unspoken {
    pub text: String,
    pub sentence: String,
}

struct Pending {
    id: u64,
    text: String,
    since: Time,
}

/// See the head of this file.
#[derive(Default)]
pub struct Speaker {
    waiting: VecDeque<Pending>,
    tries: u32,
    next: Time,
}

impl Speaker {
    /// Says a line under this id, which is random and not 0. The text comes back if too many wait.
    pub fn say(&mut self, now: Time, id: u64, text: String) -> Result<(), Unspoken> {
        if self.waiting.len() >= MOST {
            let sentence = "Too many lines wait to be said: the server has not answered yet.".to_owned();
            return Err(Unspoken { text, sentence });
        }
        if self.waiting.is_empty() {
            (self.tries, self.next) = (0, now);
        }
        self.waiting.push_back(Pending { id, text, since: now });
        Ok(())
    }

    /// Id and text of the line that is to be said now.
    pub fn due(&mut self, now: Time) -> Option<(u64, &str)> {
        let first = self.waiting.front().filter(|_| now >= self.next)?;
        self.tries += 1;
        self.next = now + if self.tries < QUICK { REPEAT } else { SLOWLY };
        Some((first.id, &first.text))
    }

    /// A line with this id has come: whether it was one of these.
    pub fn came(&mut self, now: Time, id: u64) -> bool {
        self.take(now, id).is_some()
    }

    /// The server does not take the line with this id.
    pub fn refused(&mut self, now: Time, id: u64, sentence: &str) -> Option<Unspoken> {
        self.take(now, id).map(|text| Unspoken { text, sentence: sentence.to_owned() })
    }

    /// A line that is given up.
    pub fn give_up(&mut self, now: Time) -> Option<Unspoken> {
        let id = self.waiting.front().filter(|first| now.since(first.since) >= GIVEN_UP)?.id;
        self.refused(now, id, "No answer came: perhaps nobody has heard it.")
    }

    fn take(&mut self, now: Time, id: u64) -> Option<String> {
        let at = self.waiting.iter().position(|pending| pending.id == id)?;
        if at == 0 {
            (self.tries, self.next) = (0, now);
        }
        self.waiting.remove(at).map(|pending| pending.text)
    }

    /// Nothing that waits is to be said any more, for this reason.
    pub fn take_back(&mut self, sentence: &str) -> Vec<Unspoken> {
        let back = |pending: Pending| Unspoken { text: pending.text, sentence: sentence.to_owned() };
        self.waiting.drain(..).map(back).collect()
    }

    /// The session is new: what waits is said there at once.
    pub const fn begin_again(&mut self, now: Time) {
        (self.tries, self.next) = (0, now);
    }

    /// When the next line is to be said.
    pub fn deadline(&self) -> Option<Time> {
        self.waiting.front().map(|_| self.next)
    }

    /// When one is given up.
    pub fn patience(&self) -> Option<Time> {
        self.waiting.front().map(|first| first.since + GIVEN_UP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_said_until_it_comes_back_and_only_then_the_next() {
        let mut speaker = Speaker::default();
        let at = Time::from_millis;
        speaker.say(at(0), 1, "one".to_owned()).expect("room");
        speaker.say(at(0), 2, "two".to_owned()).expect("room");
        let said: Vec<(u64, u64)> = (0..1_200).filter_map(|ms| speaker.due(at(ms)).map(|(id, _)| (ms, id))).collect();
        assert_eq!(said, [(0, 1), (150, 1), (300, 1), (450, 1), (950, 1)]);
        assert!(!speaker.came(at(1_200), 3) && speaker.came(at(1_200), 1) && !speaker.came(at(1_200), 1));
        assert_eq!(speaker.due(at(1_200)), Some((2, "two")));
        assert_eq!(speaker.refused(at(1_300), 2, "No."), Some(Unspoken { text: "two".into(), sentence: "No.".into() }));
        assert_eq!(speaker.due(at(9_000)), None);
        assert_eq!(speaker.deadline(), None);
    }

    #[test]
    fn what_nobody_answers_is_given_up_and_what_is_too_much_comes_back() {
        let mut speaker = Speaker::default();
        for id in 1..=MOST as u64 {
            speaker.say(Time::ZERO, id, id.to_string()).expect("room");
        }
        let back = speaker.say(Time::ZERO, 99, "more".to_owned()).expect_err("too many");
        assert_eq!(back.text, "more");
        assert_eq!(speaker.give_up(Time::from_millis(19_999)), None);
        assert_eq!(speaker.give_up(Time::from_millis(20_000)).map(|line| line.text), Some("1".to_owned()));
    }
}
