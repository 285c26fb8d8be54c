//! What the server above, or whoever publishes the stream, has to tell.

use super::{Above, Fetched, Tapped, Upstream};
use crate::proto::Server;
use crate::proto::client::{self, Client};
use crate::proto::server::Adoption;
use crate::units::Time;
use crate::wire::description::film_id;
use crate::wire::message::RefuseCode;

impl Upstream {
    pub(super) fn take_news(&mut self, now: Time, server: &mut Server) {
        while let Some(told) = self.client.as_mut().and_then(Client::event) {
            match told {
                client::Event::Described(_) | client::Event::HeardAgain => self.described(now, server),
                client::Event::Trouble(_) if self.vouched.is_some() => self.is_lost(server),
                client::Event::Trouble(_) => self.above = Above::Away(String::new()),
                // Of a film on demand nothing is passed on.
                client::Event::Jumped => {}
                client::Event::AnotherSender(address) => self.others.push_back(address),
                client::Event::Talk(told) => self.told_of_talk(told, server),
                // Of a server above that is nothing: it answers, and says nothing of its own.
                client::Event::Said(_) | client::Event::Listens { .. } if self.published.is_none() => {}
                client::Event::Said(said) => self.publisher_says(now, &said, server),
                client::Event::Listens { stream, next } => self.publisher_hears(now, stream, next, server),
                client::Event::Gone(range) => self.fetched.push_back(Fetched::Gone(range)),
                client::Event::Refused { code: RefuseCode::LOOP, sentence, .. } => {
                    self.found_loop(now, server, sentence)
                }
                client::Event::Refused { sentence, .. } => self.above = Above::Away(sentence),
            }
        }
    }

    /// The stream above is there: it is shown here, if it was not.
    pub(super) fn described(&mut self, now: Time, server: &mut Server) {
        let Some(stream) = self.client.as_ref().and_then(Client::stream) else { return };
        self.above = Above::Flows;
        // A group is asked for nothing.
        self.film = stream.description.film.as_ref().filter(|_| !self.is_tuned).map(film_id);
        self.waits &= !stream.description.live;
        self.next_look = now;
        if stream.description.ended.is_some() {
            server.note_end(self.key, stream.object.clone());
        }
        if self.shown != Some(stream.id) {
            self.shown = Some(stream.id);
            (self.assembly, self.heard) = Default::default();
            let (description, object) = (stream.description.clone(), Some(stream.object.clone()));
            let tapped = Box::new(description.clone());
            let id = stream.id;
            server.adopt(self.key, Adoption { id, description, object, ended: None, prompt: true });
            self.tap(|| Tapped::Stream(id, tapped));
            self.tell_time(now, server);
            self.client.iter_mut().for_each(|client| client.listen_again(now));
        }
        let film = self.film;
        self.client.iter_mut().for_each(|client| client.set_film(film));
    }
}
