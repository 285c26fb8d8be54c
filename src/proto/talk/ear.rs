//! Both ends of one who listens, and may speak: asks whether there is talk, confirms what has come, says lines.

use std::time::Duration;

use super::{HeardLine, Incoming, Speaker, Unspoken};
use crate::units::Time;
use crate::wire::message::{LineRange, Message, Say, Unsaid, UnsaidCode};
use crate::wire::tlv::printable;
use crate::wire::{MIN_DATAGRAM, ObjectView};

/// Whether there is talk is asked again after this, and then after twice as long each time …
const ASK: Duration = Duration::from_millis(100);
/// … up to this: the other end may not know such a question at all.
const ASK_SLOWLY: Duration = Duration::from_secs(30);

/// See the head of this file.
#[derive(Default)]
pub struct Ear {
    /// The session in which it listens; 0: in none.
    session: u64,
    incoming: Incoming,
    speaker: Speaker,
    name: String,
    /// When it asks next whether there is talk; `None`: that is known in this session.
    ask: Option<Time>,
    tries: u32,
    /// What has come is to be confirmed.
    owes: bool,
    /// There is none in this session.
    off: bool,
}

/// What an ear tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The lines of the other end begin with this one.
    Begins(u32),
    Line(HeardLine),
    /// A line that was said here was not taken.
    Unsaid(Unspoken),
    /// A line that was passed on by here was not taken.
    Unpassed {
        id: u64,
        code: UnsaidCode,
        sentence: String,
    },
    /// Whether there is talk, as far as it is news: said with the first answer in each session.
    Open(bool),
}

impl Ear {
    /// One who speaks under this name.
    pub fn new(name: String) -> Self {
        Self { name, ..Self::default() }
    }

    /// The session is this one from now on.
    pub fn listen_in(&mut self, now: Time, session: u64) {
        if self.session != session {
            (self.session, self.ask, self.tries) = (session, Some(now), 0);
            (self.owes, self.off) = (false, false);
            self.speaker.begin_again(now);
        }
    }

    /// All lines are to come again.
    pub fn begin_again(&mut self, now: Time) {
        (self.incoming, self.ask, self.tries) = (Incoming::default(), Some(now), 0);
    }

    /// Says a line under a random id.
    pub fn say(&mut self, now: Time, id: u64, text: String) -> Option<Told> {
        self.speaker.say(now, id.max(1), text).err().map(Told::Unsaid)
    }

    /// Takes in what the other end says of talk in this session.
    pub fn message(&mut self, now: Time, message: &Message<'_>) -> Vec<Told> {
        match *message {
            Message::Talk { session, range } if session == self.session => self.range(range),
            Message::Unsaid(Unsaid { session, id: 0, .. }) if session == self.session => {
                self.ask = None;
                if std::mem::replace(&mut self.off, true) { Vec::new() } else { vec![Told::Open(false)] }
            }
            Message::Unsaid(Unsaid { session, id, code, sentence }) if session == self.session => {
                let sentence = printable(sentence);
                let own = self.speaker.refused(now, id, &sentence).map(Told::Unsaid);
                vec![own.unwrap_or(Told::Unpassed { id, code, sentence })]
            }
            _ => Vec::new(),
        }
    }

    fn range(&mut self, range: LineRange) -> Vec<Told> {
        let is_news = self.ask.take().is_some() | std::mem::take(&mut self.off);
        self.owes = true;
        let open = is_news.then_some(Told::Open(true));
        let begins = self.incoming.range(range).then_some(Told::Begins(range.first));
        open.into_iter().chain(begins).collect()
    }

    /// Takes an object of type text in: the lines whose turn it is. `None`: it is no line that is awaited.
    pub fn object(&mut self, now: Time, object: &ObjectView<'_>, bytes: &[u8]) -> Option<Vec<Told>> {
        let heard = self.incoming.take(object, bytes)?;
        self.owes = true;
        for heard in &heard {
            self.speaker.came(now, heard.line.id);
        }
        Some(heard.into_iter().map(Told::Line).collect())
    }

    /// The next message that is due.
    pub fn next(&mut self, now: Time, say: &mut dyn FnMut(&Message<'_>)) -> bool {
        let session = self.session;
        if session == 0 {
            return false;
        }
        if std::mem::take(&mut self.owes)
            && let Some((stream, next)) = self.incoming.heard()
        {
            say(&Message::Heard { session, stream, next });
            return true;
        }
        if self.ask.is_some_and(|at| now >= at) {
            self.ask = Some(now + (ASK * (1 << self.tries.min(9))).min(ASK_SLOWLY));
            self.tries += 1;
            say(&Message::Heard { session, stream: 0, next: 0 });
            return true;
        }
        let Self { speaker, name, .. } = self;
        let Some((id, text)) = speaker.due(now) else { return false };
        say(&Message::Say(Say { session, id, author: 0, name, text }));
        true
    }

    /// Nothing that waits is to be said any more, for this reason.
    pub fn take_back(&mut self, sentence: &str) -> impl Iterator<Item = Told> + use<> {
        self.speaker.take_back(sentence).into_iter().map(Told::Unsaid)
    }

    /// A line that is given up.
    pub fn give_up(&mut self, now: Time) -> Option<Told> {
        self.speaker.give_up(now).map(Told::Unsaid)
    }

    /// When it has something to say in its session.
    pub fn deadline(&self) -> Option<Time> {
        let owes = self.owes.then_some(Time::ZERO);
        [owes, self.ask, self.speaker.deadline()].into_iter().flatten().min().filter(|_| self.session != 0)
    }

    /// When a line is given up, in a session or without one.
    pub fn patience(&self) -> Option<Time> {
        self.speaker.patience()
    }
}

/// A line and all that is around it fits any path.
const _: () =
    assert!(MIN_DATAGRAM > 16 + 8 + 8 + 4 + 2 + crate::wire::talk::MAX_NAME + 2 + crate::wire::talk::MAX_LINE);
