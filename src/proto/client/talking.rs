//! Talk in a client's session: what it hears and says, or, of one that was accepted, what is said to whoever sends the stream.

use super::{Client, Event, MOST_WAITING};
use crate::proto::talk::{Ear, Next, Said};
use crate::units::Time;
use crate::wire::message::{Message, Say, Unsaid, UnsaidCode};
use crate::wire::{Kind, ObjectView};

/// What is told to whoever has said something just before.
const SWITCHED: &str = "Another stream was chosen before it was said.";

impl Client {
    /// Listens from now on, and says what it says under this name.
    pub fn listen(&mut self, name: String) {
        self.ear = Some(Ear::new(name));
    }

    /// Whatever was said comes again.
    pub fn listen_again(&mut self, now: Time) {
        self.ear.iter_mut().for_each(|ear| ear.begin_again(now));
    }

    /// Says a line.
    pub fn speak(&mut self, now: Time, text: String) {
        let id = self.random.id();
        let told = self.ear.as_mut().and_then(|ear| ear.say(now, id, text));
        self.events.extend(told.map(Event::Talk));
    }

    /// Says a line of somebody who watches here, once.
    pub fn pass_on(&mut self, now: Time, said: &Said) {
        let Some(session) = self.session.as_mut().filter(|session| session.described) else { return };
        // Each relay names those behind it anew, also those of another relay there: two that share a name share a limit, and no more.
        let author = (said.author.session as u32).wrapping_mul(31).wrapping_add(said.author.behind).max(1);
        let Said { id, name, text, .. } = said;
        let say = Say { session: session.reception.id(), id: *id, author, name, text };
        self.out.push_back(session.reception.say(now, &Message::Say(say)));
    }

    /// Takes an object of type text in, and what follows the hop header with it.
    pub(super) fn hear(&mut self, now: Time, object: &ObjectView<'_>, body: &[u8]) {
        let exact = ObjectView::exact(body).unwrap_or(body);
        match self.ear.as_mut().and_then(|ear| ear.object(now, object, exact)) {
            Some(told) => self.events.extend(told.into_iter().map(Event::Talk)),
            None => self.reject(),
        }
    }

    /// Heeds what is said of talk; false: the message is of something else.
    pub(super) fn heed_talk(&mut self, now: Time, message: &Message<'_>) -> bool {
        let room = self.events.len() < MOST_WAITING;
        match *message {
            Message::Talk { .. } | Message::Unsaid(_) => {
                let told = self.ear.as_mut().filter(|_| room).map(|ear| ear.message(now, message));
                self.events.extend(told.into_iter().flatten().map(Event::Talk));
            }
            // Only of one that was accepted: a server says nothing.
            Message::Say(Say { session, id, name, text, .. }) if self.is_own(session) && room => {
                let said =
                    Said { id, author: Default::default(), is_maker: true, name: name.into(), text: text.into() };
                self.events.push_back(Event::Said(said));
            }
            Message::Heard { session, stream, next } if self.is_own(session) && room => {
                self.events.push_back(Event::Listens { stream, next });
            }
            _ => return false,
        }
        true
    }

    /// Whether the session is ours, and one that the other end has asked for.
    fn is_own(&self, id: u64) -> bool {
        self.accepted && self.session.as_ref().is_some_and(|session| session.reception.id() == id)
    }

    /// Says what is due.
    pub(super) fn tend_talk(&mut self, now: Time) {
        let Self { ear: Some(ear), session, out, events, .. } = self else { return };
        events.extend(std::iter::from_fn(|| ear.give_up(now)).map(Event::Talk));
        let Some(session) = session.as_mut().filter(|session| session.described) else { return };
        ear.listen_in(now, session.reception.id());
        while ear.next(now, &mut |message| out.push_back(session.reception.say(now, message))) {}
    }

    /// Another stream was chosen: what was meant for the one before is not said there.
    pub(super) fn take_back_lines(&mut self) {
        let back = self.ear.iter_mut().flat_map(|ear| ear.take_back(SWITCHED));
        self.events.extend(back.map(Event::Talk));
    }

    pub(super) fn talk_deadline(&self) -> Option<Time> {
        let ear = self.ear.as_ref()?;
        let due = ear.deadline().filter(|_| self.is_joined());
        [due, ear.patience()].into_iter().flatten().min()
    }

    /// Sends a line, or the word which there are, to whoever sends the stream.
    pub fn send_line(&mut self, now: Time, next: Next) {
        let Some(session) = self.session.as_mut() else { return };
        let reception = &mut session.reception;
        self.out.push_back(match next {
            Next::Range(range) => reception.say(now, &Message::Talk { session: reception.id(), range }),
            Next::Line(object) => reception.send(now, Kind::OBJECT, object),
        });
    }

    /// Tells whoever sends the stream that a line was not taken; an id of 0: that there is no talk.
    pub fn unsay(&mut self, now: Time, id: u64, code: UnsaidCode, sentence: &str) {
        let Some(session) = self.session.as_mut() else { return };
        let unsaid = Unsaid { session: session.reception.id(), id, code, sentence };
        self.out.push_back(session.reception.say(now, &Message::Unsaid(unsaid)));
    }
}
