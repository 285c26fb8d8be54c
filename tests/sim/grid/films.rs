//! What is shown at a relay while nothing comes, and films as a whole: made by an origin, played out of a store.

use std::collections::VecDeque;

use udpstream::app::relay::shelf::Shelf;
use udpstream::media::sound::{Chunk, Rendition};
use udpstream::proto::relay::{self, Above, Fetched, Relay, Tapped};
use udpstream::proto::server::{self, Adoption, Feed, StreamKey};
use udpstream::proto::{Input, Machine, Output, Server, Transmit};
use udpstream::store::StoreError;
use udpstream::units::{Time, Unit};
use udpstream::wire::description::{Smaller, film_id};
use udpstream::wire::message::NameRange;
use udpstream::wire::object::{Name, Type};
use udpstream::wire::{Description, Kind, SizeClass};

use super::watchers::said_by;
use super::{Crossed, Grid, Machinery, Node};
use crate::jpeg::Film;
use crate::net::{chunk, description};
use crate::sources::Source;

impl Grid {
    pub fn shelf(&self, node: Node) -> &Shelf {
        let Machinery::Relay { shelf: Some(shelf), .. } = &self.places[node].machinery else { panic!("no shelf") };
        shelf
    }

    pub fn troubles(&self, node: Node) -> &[StoreError] {
        &self.places[node].troubles
    }

    /// What passed through a relay since this was asked last.
    pub fn passed(&mut self, node: Node) -> Vec<(StreamKey, Tapped)> {
        std::mem::take(&mut self.places[node].passed)
    }

    /// Bytes that went from one node to the other since a moment, of objects.
    pub fn object_bytes(&self, from: Node, to: Node, since: Time) -> usize {
        let of = |crossed: &&Crossed| (crossed.from, crossed.to, crossed.kind) == (from, to, Kind::OBJECT);
        self.crossed.iter().filter(of).filter(|crossed| crossed.at >= since).map(|crossed| crossed.bytes).sum()
    }

    pub(super) fn poll_relay(&mut self, node: Node) -> Option<Result<Transmit, (Time, udpstream::proto::Reason)>> {
        let now = self.now;
        let place = &mut self.places[node];
        let Machinery::Relay { relay, shelf, plays, names } = &mut place.machinery else { return None };
        let mut wait = None;
        match relay.poll(now) {
            Output::Send(transmit) => return Some(Ok(transmit)),
            Output::Wait(at, reason) => wait = Some((at, reason)),
            Output::Event(relay::Event::Opened(key, name)) => drop(names.insert(key, name)),
            Output::Event(relay::Event::Film(key, description)) => {
                let fill = |shelf: &mut Box<Shelf>| shelf.fill(now, 7, key, &names[&key], &description).err();
                place.troubles.extend(shelf.iter_mut().filter_map(fill));
            }
            Output::Event(relay::Event::Fetched(key, fetched)) => {
                for shelf in shelf.iter_mut() {
                    match &fetched {
                        Fetched::Object(object) => place.troubles.extend(shelf.object(now, key, object).err()),
                        Fetched::Gone(range) => shelf.gone(now, key, range),
                    }
                }
            }
            Output::Event(relay::Event::Tapped(key, tapped)) => place.passed.push((key, tapped)),
            Output::Event(relay::Event::Above(key, above)) => {
                let away = matches!(above, Above::Away(_) | Above::Paused);
                place.above.push((now, above));
                let at = self.departed.get(&(node, key)).map_or(Unit(0), |unit| unit.next());
                let play = shelf.as_mut().filter(|_| away && !plays.contains(&key));
                if let Some(adoption) = play.and_then(|shelf| shelf.play(8, key, &names[&key], None, at)) {
                    relay.handle(now, Input::Local(relay::Local::Play(key, adoption)));
                    plays.insert(key);
                } else if away && !plays.contains(&key) {
                    show_card(relay, key, now, &self.film);
                }
            }
            Output::Event(relay::Event::Server(server::Event::Departed { stream, unit, .. })) => {
                self.departed.insert((node, stream), unit);
            }
            Output::Event(relay::Event::Server(server::Event::StreamOver(key))) => {
                plays.remove(&key);
                self.departed.remove(&(node, key));
                shelf.iter_mut().for_each(|shelf| shelf.stop(key));
            }
            Output::Event(event) => place.said.extend(said_by(event)),
        }
        let (mut at, reason) = wait?;
        if let Some(shelf) = shelf {
            if plays.iter().any(|key| feed_film(relay, shelf, *key, now)) {
                return None;
            }
            let asks = shelf.ask(now);
            if !asks.is_empty() {
                for (key, range) in asks {
                    relay.handle(now, Input::Local(relay::Local::Get(key, range)));
                }
                return None;
            }
            at = at.min(shelf.deadline());
        }
        Some(Err((at, reason)))
    }
}

/// What a relay's program shows while nothing comes.
pub fn show_card(relay: &mut Relay, key: StreamKey, now: Time, film: &Film) {
    let description = udpstream::wire::Description { title: "card".to_owned(), live: true, ..description(film) };
    let adoption = Adoption { id: 0, description, object: None, ended: None, prompt: true };
    relay.handle(now, Input::Local(relay::Local::Show(key, adoption)));
    let picture = film.picture(udpstream::units::Unit(0), now, now);
    let feed = server::Local::Stream(key, Feed::Picture(picture));
    relay.handle(now, Input::Local(relay::Local::Server(feed)));
}

/// Pictures and sound among names.
pub fn is_media(name: &Name) -> bool {
    matches!(name.kind, Type::PICTURE | Type::SOUND)
}

/// A film that plays out of the store; whether it brought something.
pub fn feed_film(relay: &mut Relay, shelf: &mut Shelf, key: StreamKey, now: Time) -> bool {
    let mut brought = false;
    let mut tell = |relay: &mut Relay, feed| {
        relay.handle(now, Input::Local(relay::Local::Server(server::Local::Stream(key, feed))));
        brought = true;
    };
    if relay.server().wants_picture(key) {
        match shelf.picture(now, key) {
            Some(Ok(picture)) => tell(relay, Feed::Passed(picture)),
            Some(Err(end)) => tell(relay, Feed::Ended(Some(end))),
            None => {}
        }
    }
    while relay.server().wants_sound(key) {
        tell(relay, shelf.sound(key).map_or(Feed::SoundEnded, Feed::PassedSound));
    }
    brought
}

/// What relays asked for of the film of an origin's first stream, as far as there is room; whether there was something.
pub fn supply(
    now: Time,
    server: &mut Server,
    sources: &[Source],
    asked: &mut VecDeque<(u64, NameRange)>,
    film: &Film,
) -> bool {
    let Some((id, range)) = asked.front_mut() else { return false };
    let id = *id;
    let film_of = |source: &&Source| server.description(source.key).and_then(|told| told.film.as_ref().map(film_id));
    let source = sources.iter().find(|source| film_of(source) == Some(range.stream)).expect("one of ours");
    let gone = !server.has_session(id);
    if gone || server.supply_room(id) == 0 {
        return gone && asked.pop_front().is_some();
    }
    let unit = range.first;
    let (pictures, chunks) = (source.encoder.length, source.chunks);
    let objects = match range.kind {
        Type::PICTURE if unit.0 < pictures => {
            let picture = film.picture(unit, now, now);
            picture.cut(range.stream, SizeClass::ANY).expect("it fits").objects().to_vec()
        }
        Type::SOUND if unit.0 < chunks => {
            let chunk = Chunk { number: unit.0, frames: chunk(unit.0), captured: now };
            vec![chunk.object(range.stream, Rendition::Stereo)]
        }
        Type::DESCRIPTION => vec![film_description(server, source, range.stream, unit).into()],
        _ => Vec::new(),
    };
    let last = unit >= range.last || objects.is_empty();
    let told = if objects.is_empty() { server::Local::Gone(id, *range) } else { server::Local::Supply(id, objects) };
    range.first = unit.next();
    if last {
        asked.pop_front();
    }
    server.handle(now, Input::Local(told));
    true
}

pub fn film_description(server: &Server, source: &Source, stream: u64, unit: Unit) -> Vec<u8> {
    let told = server.description(source.key).expect("a stream");
    assert_eq!(told.film.as_ref().map(film_id), Some(stream));
    let ended = (unit.0 == 1).then_some((Unit(source.encoder.length), Unit(source.chunks)));
    let description = Description {
        smaller: Smaller::NONE,
        film: None,
        ended: ended.map(|(pictures, _)| pictures),
        sound_ended: ended.map(|(_, chunks)| chunks),
        ..told.clone()
    };
    description.object(stream)
}
