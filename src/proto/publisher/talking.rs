//! What a publisher hears of those who watch its stream, and says to them: the lines are its server's.

use super::{Event, Publisher, Session};
use crate::proto::Received;
use crate::proto::talk::{Ear, Told};
use crate::units::Time;
use crate::wire::message::Message;
use crate::wire::object::{ObjectView, Type};
use crate::wire::{HOP_LEN, Hop, Kind};

impl Publisher {
    /// Listens from now on, and says what it says under this name.
    pub fn listen(&mut self, name: String) {
        self.ear = Some(Ear::new(name));
    }

    pub(super) fn speak(&mut self, now: Time, text: String) {
        let id = self.random.id();
        let told = self.ear.as_mut().and_then(|ear| ear.say(now, id, text));
        told.into_iter().for_each(|told| self.take_told(told));
    }

    /// Takes in what its server says of talk.
    pub(super) fn talk_datagram(&mut self, now: Time, datagram: Received<'_>, hop: Hop, body: &[u8]) {
        let is_tagged = |session: &Session| session.id as u32 == hop.tag;
        if !self.is_of_session(&datagram) || !self.session.as_ref().is_some_and(is_tagged) {
            return;
        }
        let Some(ear) = &mut self.ear else { return };
        let told = if hop.kind == Kind::OBJECT {
            let Ok(object) = ObjectView::parse(body) else { return };
            let is_text = object.header.kind == Type::TEXT;
            let exact = ObjectView::exact(&datagram.bytes[HOP_LEN..]).filter(|_| is_text);
            exact.and_then(|exact| ear.object(now, &object, exact)).unwrap_or_default()
        } else {
            let message = Message::parse(hop.kind, body).ok();
            message.map(|message| ear.message(now, &message)).unwrap_or_default()
        };
        told.into_iter().for_each(|told| self.take_told(told));
    }

    fn take_told(&mut self, told: Told) {
        self.events.extend(self.lines.news(told).map(Event::Talk));
    }

    pub(super) fn tend_talk(&mut self, now: Time) {
        while let Some(told) = self.ear.as_mut().and_then(|ear| ear.give_up(now)) {
            self.take_told(told);
        }
        let Self { ear: Some(ear), session: Some(Session { id, .. }), server, .. } = self else { return };
        ear.listen_in(now, *id);
        while ear.next(now, &mut |message| server.tell(*id, message)) {}
    }

    pub(super) fn talk_deadline(&self) -> Option<Time> {
        let ear = self.ear.as_ref()?;
        let due = ear.deadline().filter(|_| self.session.is_some());
        [due, ear.patience()].into_iter().flatten().min()
    }
}
