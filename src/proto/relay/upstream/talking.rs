//! Lines of one stream: from the server above to those who watch here, or to the publisher who sends it.

use super::Upstream;
use crate::proto::Server;
use crate::proto::client::Client;
use crate::proto::talk::{Outgoing, Refused, RoomState, Said, Told};
use crate::units::Time;

impl Upstream {
    /// Somebody here has said something.
    pub fn pass_up(&mut self, now: Time, said: &Said) {
        self.client.iter_mut().for_each(|client| client.pass_on(now, said));
        self.stirred = true;
    }

    /// What was told of talk above.
    pub(super) fn told_of_talk(&self, told: Told, server: &mut Server) {
        match told {
            Told::Begins(first) => server.begin_lines(self.key, first),
            Told::Line(heard) => server.pass_line(self.key, heard),
            Told::Open(true) => server.open_room(self.key),
            Told::Open(false) => server.set_room(self.key, RoomState::Off),
            Told::Unpassed { id, code, sentence } => server.unsay_passed(id, code, &sentence),
            // A relay says nothing of its own.
            Told::Unsaid(_) => {}
        }
    }

    /// The publisher says something.
    pub(super) fn publisher_says(&mut self, now: Time, said: &Said, server: &mut Server) {
        if let Err(Refused { code, sentence }) = server.take_line(now, self.key, said) {
            self.client.iter_mut().for_each(|client| client.unsay(now, said.id, code, &sentence));
        }
    }

    /// The publisher listens, and has all lines before `next`.
    pub(super) fn publisher_hears(&mut self, now: Time, stream: u64, next: u32, server: &Server) {
        let listener = self.listener.get_or_insert_with(Outgoing::default);
        if !server.note_heard(now, self.key, listener, stream, next) {
            let Refused { code, sentence } = Refused::OFF;
            self.client.iter_mut().for_each(|client| client.unsay(now, 0, code, &sentence));
        }
    }

    /// Sends the publisher the lines that it lacks.
    pub(super) fn talk_to_publisher(&mut self, now: Time, server: &Server) {
        let Self { key, client: Some(client), listener: Some(listener), .. } = self else { return };
        while let Some(next) = server.next_line(now, *key, listener) {
            client.send_line(now, next);
        }
    }

    /// When a line is to be said again to the publisher.
    pub(super) fn listener_deadline(&self) -> Option<Time> {
        self.listener.as_ref().and_then(Outgoing::deadline).filter(|_| self.client.is_some())
    }

    /// Whether the publisher listens.
    pub const fn is_listened_to(&self) -> bool {
        self.listener.is_some()
    }

    /// There may be a line for the publisher.
    pub const fn stir(&mut self) {
        self.stirred = true;
    }

    /// The way above listens for talk.
    pub(super) fn listening(mut client: Client) -> Client {
        client.listen(String::new());
        client
    }
}
