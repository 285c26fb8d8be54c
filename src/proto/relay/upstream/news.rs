//! What the server above, or whoever publishes the stream, has to tell.

use super::{Above, Fetched, Tapped, Upstream};
use crate::proto::Server;
use crate::proto::client::{Client, Event as Told};
use crate::proto::server::Adoption;
use crate::units::Time;
use crate::wire::description::film_id;
use crate::wire::message::RefuseCode;

impl Upstream {
    pub(super) fn take_news(&mut self, now: Time, server: &mut Server) {
        while let Some(told) = self.client.as_mut().and_then(Client::event) {
            match told {
                Told::Described(_) | Told::HeardAgain => self.described(now, server),
                Told::Trouble(_) if self.vouched.is_some() => self.is_lost(server),
                Told::Trouble(_) => self.above = Above::Away(String::new()),
                Told::Talk(told) => self.told_of_talk(told, server),
                // Of a server above that is nothing: it answers, and says nothing of its own.
                Told::Said(_) | Told::Listens { .. } if self.published.is_none() => {}
                Told::Said(said) => self.publisher_says(now, &said, server),
                Told::Listens { stream, next } => self.publisher_hears(now, (stream, next), server),
                Told::Gone(range) => self.fetched.push_back(Fetched::Gone(range)),
                Told::Refused { code: RefuseCode::LOOP, sentence, .. } => self.found_loop(now, server, sentence),
                Told::Refused { sentence, .. } => self.above = Above::Away(sentence),
            }
        }
    }

    /// The stream above is there: it is shown here, if it was not.
    pub(super) fn described(&mut self, now: Time, server: &mut Server) {
        let Some(stream) = self.client.as_ref().and_then(Client::stream) else { return };
        self.above = Above::Flows;
        self.film = stream.description.film.as_ref().map(film_id);
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
