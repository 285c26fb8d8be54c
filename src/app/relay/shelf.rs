//! What a relay keeps of films: filled while they are watched, and played where the origin is away. Everything here is told the
//! time and does its work at once; the thread around it is [`keeper`](super::keeper).

use std::collections::BTreeMap;

use crate::media::coded::{Object, PassedPicture};
use crate::media::sound::PassedSound;
use crate::proto::server::{Adoption, StreamKey};
use crate::store::{Filling, Film, Replay, Store, StoreError};
use crate::units::{MediaTime, Time, Unit};
use crate::wire::description::film_id;
use crate::wire::message::NameRange;
use crate::wire::object::Type;
use crate::wire::{Description, ObjectView, StreamName};

/// See the head of this file.
pub struct Shelf {
    store: Store,
    fillings: BTreeMap<StreamKey, Filling>,
    replays: BTreeMap<StreamKey, Replay>,
}

impl Shelf {
    pub const fn new(store: Store) -> Self {
        Self { store, fillings: BTreeMap::new(), replays: BTreeMap::new() }
    }

    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Streams that can be played to their end, and what they are.
    pub fn complete(&self) -> Vec<(StreamName, Description)> {
        let complete = self.store.films().filter(|stored| stored.film.complete);
        complete
            .filter_map(|stored| Some((StreamName::parse(&stored.film.name).ok()?, described(stored.film)?)))
            .collect()
    }

    /// A stream is of this film: what is not there of it yet is to be had. `unix`: seconds.
    pub fn fill(
        &mut self,
        now: Time,
        unix: u64,
        key: StreamKey,
        name: &StreamName,
        description: &Description,
    ) -> Result<(), StoreError> {
        let Some(hash) = description.film else { return Ok(()) };
        let stream = film_id(&hash);
        if self.fillings.get(&key).is_some_and(|filling| filling.stream() == stream && !filling.is_done()) {
            return Ok(());
        }
        let (name, identity) = (name.as_str().to_owned(), hash.to_vec());
        self.replace(&name, stream)?;
        self.store.begin(Film { stream, name, identity, description: [None, None], complete: false }, unix)?;
        self.fillings.insert(key, Filling::new(&self.store, stream, now));
        self.protect();
        Ok(())
    }

    /// The name stands for another film from now on: a part of an old one, which nobody can complete, goes.
    fn replace(&mut self, name: &str, stream: u64) -> Result<(), StoreError> {
        let old = |film: &&Film| film.name == name && film.stream != stream && !film.complete;
        let old: Vec<u64> = self.store.films().map(|stored| stored.film).filter(old).map(|film| film.stream).collect();
        old.into_iter().try_for_each(|stream| self.store.remove(stream).map(drop))
    }

    /// Films that are filled or played are not evicted.
    fn protect(&mut self) {
        let filled = self.fillings.values().filter(|filling| !filling.is_done()).map(Filling::stream);
        let played = self.replays.values().map(Replay::stream);
        let streams: Vec<u64> = filled.chain(played).collect();
        self.store.protect(&streams);
    }

    /// An object has come that was asked for.
    pub fn object(&mut self, now: Time, key: StreamKey, object: &[u8]) -> Result<(), StoreError> {
        let Self { store, fillings, .. } = self;
        let filling = fillings.get_mut(&key);
        filling.map_or(Ok(()), |filling| filling.object(now, store, object))
    }

    /// These are not to be had.
    pub fn gone(&mut self, now: Time, key: StreamKey, range: &NameRange) {
        self.fillings.get_mut(&key).into_iter().for_each(|filling| filling.gone(now, range));
    }

    /// The stream above is not there, or not watched: nothing is asked for.
    pub fn rest(&mut self, key: StreamKey) {
        self.fillings.remove(&key);
        self.protect();
    }

    /// What is to be asked for now.
    pub fn ask(&mut self, now: Time) -> Vec<(StreamKey, NameRange)> {
        let Self { store, fillings, .. } = self;
        let mut asks = Vec::new();
        for (key, filling) in fillings {
            asks.extend(filling.ask(now, store).into_iter().map(|range| (*key, range)));
        }
        asks
    }

    /// When something is to be asked for.
    pub fn deadline(&self) -> Time {
        self.fillings.values().filter_map(Filling::deadline).min().unwrap_or(Time::NEVER)
    }

    /// The newest complete film of this name.
    fn complete_film(&self, name: &StreamName) -> Option<u64> {
        let own = self.store.films().filter(|stored| stored.film.complete && stored.film.name == name.as_str());
        own.max_by_key(|stored| stored.last_used).map(|stored| stored.film.stream)
    }

    /// Plays the film of this name from a picture on: what its stream becomes. `film`: no other film than this.
    pub fn play(
        &mut self,
        unix: u64,
        key: StreamKey,
        name: &StreamName,
        film: Option<u64>,
        from: Unit,
    ) -> Option<Adoption> {
        let stream = self.complete_film(name).filter(|stream| film.is_none_or(|film| film == *stream))?;
        let replay = Replay::new(&self.store, stream, from)?;
        // If that cannot be written, the order of films is as before.
        _ = self.store.touch(stream, unix);
        let [object, ended] = replay.objects().clone().map(Some);
        let description = replay.description().clone();
        self.replays.insert(key, replay);
        self.protect();
        Some(Adoption { id: stream, description, object, ended, prompt: false })
    }

    /// The next picture of the film that a stream plays; `Err`: there is none any more, and then is its end.
    pub fn picture(&mut self, now: Time, key: StreamKey) -> Option<Result<PassedPicture, MediaTime>> {
        let Self { store, replays, .. } = self;
        let replay = replays.get_mut(&key)?;
        Some(replay.picture(store, now).ok_or_else(|| replay.end()))
    }

    /// The next chunk of sound; `None`: there is none any more.
    pub fn sound(&mut self, key: StreamKey) -> Option<PassedSound> {
        let Self { store, replays, .. } = self;
        replays.get_mut(&key)?.sound(store)
    }

    /// What a relay below asks for, as far as it is here, unit by unit; none: these are not to be had.
    pub fn supply(&self, range: &NameRange, most: u32) -> Vec<Vec<Object>> {
        if range.kind == Type::DESCRIPTION {
            let film = self.store.film(range.stream).filter(|film| film.complete);
            let object = film.and_then(|film| film.description.get(range.first.0 as usize)?.clone());
            return object.map(|object| vec![object.into()]).into_iter().collect();
        }
        let last = range.last.0.min(range.first.0.saturating_add(most));
        let unit =
            |unit| self.store.unit(range.stream, range.kind, range.rendition, Unit(unit)).filter(|unit| unit.whole);
        let units = (range.first.0..=last).map_while(unit).map(|unit| Object::all(unit.bytes, unit.parts));
        units.collect()
    }

    /// A stream plays nothing any more.
    pub fn stop(&mut self, key: StreamKey) {
        self.replays.remove(&key);
        self.protect();
    }
}

fn described(film: &Film) -> Option<Description> {
    let object = film.description.first()?.as_deref()?;
    Description::parse(ObjectView::parse(object).ok()?.body).ok()
}
