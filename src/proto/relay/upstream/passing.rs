//! What comes from above, and goes on to those who watch here.

use super::{Fetched, LOOK, Tapped, Upstream};
use crate::media::coded::PassedPicture;
use crate::media::sound::{PassedSound, Rendition};
use crate::proto::client::Client;
use crate::proto::relay::LINGER;
use crate::proto::server::{Feed, Local};
use crate::proto::{Input, Machine, Received, Server};
use crate::units::Time;
use crate::wire::HOP_LEN;
use crate::wire::object::{ObjectHeader, ObjectView, Type};

impl Upstream {
    /// Takes a datagram from above in.
    pub fn datagram(&mut self, now: Time, datagram: Received<'_>, server: &mut Server) {
        self.stirred = true;
        if self.sounds.has(datagram.port) {
            if let Some((header, raw)) = self.sounds.datagram(now, datagram).filter(|(h, _)| h.kind == Type::SOUND) {
                self.object(now, &header, raw, server);
            }
            return;
        }
        let Some(client) = self.client.as_mut() else { return };
        let came = client.datagram(now, datagram);
        let raw = came.as_ref().and_then(|_| ObjectView::exact(datagram.bytes.get(HOP_LEN..)?));
        let header = came.map(|(_, object)| object.header);
        self.take_news(now, server);
        if let (Some(header), Some(raw)) = (header, raw) {
            self.tap_sound(&header, raw);
            self.object(now, &header, raw, server);
        }
        while let Some((_, object)) = self.client.as_mut().and_then(|client| client.rebuilt(now)) {
            if let Ok(view) = ObjectView::parse_unchecked(object.bytes()) {
                self.tap_sound(&view.header, object.bytes());
                self.object(now, &view.header, object.bytes(), server);
            }
        }
        self.pass_on(now, server);
    }

    /// The tap is told the sound that comes with the pictures, and no further renditions of it.
    fn tap_sound(&mut self, header: &ObjectHeader, raw: &[u8]) {
        if header.kind == Type::SOUND
            && self.shown == Some(header.stream)
            && let Some(rendition) = Rendition::of(header.rendition)
        {
            let number = header.unit.0;
            self.tap(|| Tapped::Sound(PassedSound { object: raw.to_vec().into(), rendition, number }));
        }
    }

    fn object(&mut self, now: Time, header: &ObjectHeader, raw: &[u8], server: &mut Server) {
        if self.film == Some(header.stream) {
            return self.fetched.push_back(Fetched::Object(raw.to_vec()));
        }
        if self.shown != Some(header.stream) {
            return;
        }
        let taken = match header.kind {
            Type::PICTURE => self.assembly.take(now, header, raw),
            Type::SOUND => self.sound(now, header, raw, server),
            // Kinds to come.
            _ => true,
        };
        if !taken {
            self.client.iter_mut().for_each(Client::reject);
        }
    }

    fn sound(&mut self, now: Time, header: &ObjectHeader, raw: &[u8], server: &mut Server) -> bool {
        let Some(rendition) = Rendition::of(header.rendition) else { return false };
        let number = header.unit.0;
        if self.heard[usize::from(header.rendition)].note(number) {
            let feed = Feed::PassedSound(PassedSound { object: raw.to_vec().into(), rendition, number });
            server.handle(now, Input::Local(Local::Stream(self.key, feed)));
        }
        true
    }

    /// Hands over the pictures that can go on.
    pub(super) fn pass_on(&mut self, now: Time, server: &mut Server) {
        let Some(client) = self.client.as_ref() else { return };
        let lasts = client.stream().map_or(LOOK, |stream| stream.description.rate.interval());
        let awaited = |unit| client.awaited(now, unit);
        let pictures: Vec<_> = std::iter::from_fn(|| self.assembly.next(now, lasts, &awaited)).collect();
        pictures.into_iter().for_each(|picture| self.pass(now, picture, server));
    }

    pub(super) fn flush(&mut self, now: Time, server: &mut Server) {
        while let Some(picture) = self.assembly.next(now + LINGER, LOOK, &|_| Some(now)) {
            self.pass(now, picture, server);
        }
    }

    fn pass(&mut self, now: Time, picture: PassedPicture, server: &mut Server) {
        self.passed.0 += 1;
        self.passed.1 += u64::from(!picture.is_whole);
        self.tap(|| Tapped::Picture(picture.clone()));
        server.handle(now, Input::Local(Local::Stream(self.key, Feed::Passed(picture))));
    }
}
