//! Films on demand: whoever joins one by its name is given a stream with a timeline of its own, or is let in to that of those who
//! watch together. The program brings what it is sent.

use super::{Event, Guard, Server, StreamConfig, StreamKey};
use crate::proto::door::Refusal;
use crate::proto::session::Session;
use crate::proto::stream::{OnDemand, Stream};
use crate::units::Time;
use crate::wire::message::{Join, Play, RefuseCode, Role};
use crate::wire::tlv::{kind, printable};
use crate::wire::{Description, StreamName};

/// The longest name of a party that counts, bytes.
pub const MOST_PARTY: usize = 64;

/// Said to relays.
const NO_RELAYS: &str =
    "Each who watches a film of a library has it for itself, so no relay passes it on: watch it at its server.";

/// Which films there are.
pub trait Films: Send {
    /// What is known of the film of this name, as far as it can be told at once; `None`: there is none.
    fn film(&self, name: &StreamName) -> Option<Description>;
    /// Names like this one, or some.
    fn like(&self, name: &str) -> Vec<StreamName>;
}

/// A library of films, each of which is a stream by its name for whoever joins it.
pub struct Library {
    pub films: Box<dyn Films>,
    /// Who may watch them.
    pub guard: Guard,
    /// All watch a film together, from its beginning to its end, and nobody goes elsewhere.
    pub shared: bool,
    /// Their quality and limits; name, description and guard are the film's.
    pub terms: StreamConfig,
}

impl Server {
    /// Films that can be joined by their names from now on.
    pub fn set_library(&mut self, library: Library) {
        self.library = Some(library);
    }

    /// Whether films can be joined by their names.
    pub const fn has_library(&self) -> bool {
        self.library.is_some()
    }

    /// Those who watch this stream watch a film of the library.
    pub fn is_on_demand(&self, key: StreamKey) -> bool {
        self.stream(key).is_some_and(|stream| stream.on_demand().is_some())
    }

    /// What the film is called that this is a stream of; `None`: it is of none.
    pub fn film_name(&self, key: StreamKey) -> Option<&StreamName> {
        self.stream(key).filter(|stream| stream.on_demand().is_some()).map(Stream::name)
    }

    /// The stream of the film that a Join names: of the party that it names, or a new one. `None`: there is no such film.
    pub(super) fn film_of(&mut self, join: &Join<'_>) -> Option<Result<(StreamName, Description), Refusal>> {
        let wanted = join.tlvs.text(kind::STREAM)?;
        let name = StreamName::parse(wanted).ok()?;
        let library = self.library.as_ref()?;
        let listed = library.films.film(&name)?;
        if join.role == Role::Relay {
            return Some(Err(Refusal::new(RefuseCode::ROLE, NO_RELAYS, 60_000)));
        }
        Some(Ok((name, listed)))
    }

    /// Names of films like the one that a Join names.
    pub(super) fn films_like(&self, wanted: &str) -> Vec<StreamName> {
        self.library.as_ref().map(|library| library.films.like(wanted)).unwrap_or_default()
    }

    /// The stream of a film for whoever joins it with this.
    pub(super) fn view(&mut self, name: StreamName, listed: Description, join: &Join<'_>) -> Option<StreamKey> {
        let library = self.library.as_ref()?;
        let party = join.tlvs.text(kind::TOGETHER).map(printable).filter(|party| party.len() <= MOST_PARTY);
        let party = if library.shared { Some(String::new()) } else { party.filter(|party| !party.is_empty()) };
        let together = |stream: &&Stream| {
            let film = stream.on_demand().filter(|_| stream.name() == &name && stream.goodbye().is_none());
            film.is_some_and(|film| film.party.is_some() && film.party == party)
        };
        if let Some(stream) = self.streams.iter().find(together) {
            return Some(stream.key());
        }
        let guard = library.guard.clone();
        let config = StreamConfig { name: name.clone(), description: listed, guard, ..library.terms.clone() };
        let film = OnDemand::new(party, !library.shared);
        let key = self.stream_for(config);
        let stream = self.streams.get_mut(key.index())?;
        stream.await_adoption();
        stream.passing_mut()?.withdrawn = true;
        stream.set_on_demand(film);
        self.outbox.events.push_back(Event::Viewed { stream: key, name });
        Some(key)
    }

    /// A stream that nobody has any more, made anew; or one more.
    fn stream_for(&mut self, config: StreamConfig) -> StreamKey {
        let Some(key) = self.vacant.pop() else { return self.open(config) };
        let id = self.random.id();
        if let Some(stream) = self.streams.get_mut(key.index()) {
            self.totals.add(&stream.totals);
            *stream = Stream::new(key, id, config, &self.config.talk);
        }
        key
    }

    /// A stream of a film is nobody's once nobody watches it.
    pub(super) fn vacate(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key.index()) else { return };
        if stream.on_demand().is_none() || !stream.members().is_empty() {
            return;
        }
        // What is left of it is found by no name, and brings nothing.
        let (name, description) = (stream.name().clone(), stream.description().clone());
        let totals = stream.totals;
        *stream = Stream::new(key, 0, StreamConfig::new(name, description), &self.config.talk);
        stream.totals = totals;
        stream.await_adoption();
        stream.passing_mut().into_iter().for_each(|passing| passing.withdrawn = true);
        self.outbox.events.push_back(Event::Vacated(key));
    }

    /// Somebody orders how a film is to be played.
    pub(super) fn order(&mut self, now: Time, slot: usize, order: Play) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let key = session.stream;
        // Sound alone orders nothing.
        if !session.is_for_pictures() || !session.spot.heeds(order.number) {
            return;
        }
        let Self { streams, sessions, outbox, .. } = self;
        let Some(stream) = streams.get_mut(key.index()) else { return };
        stream.play(now, order, sessions, &mut outbox.events);
    }

    /// What a Join orders counts if nobody else watches the film.
    pub(super) fn first_order(&mut self, now: Time, slot: usize, order: Option<Play>) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let (Some(order), key) = (order, session.stream) else { return };
        if self.stream(key).is_some_and(|stream| stream.on_demand().is_some() && stream.watchers() == 1) {
            self.order(now, slot, order);
        } else if let Some(session) = self.sessions.get_mut(slot) {
            session.spot.heeds(order.number);
        }
    }

    /// A session has acknowledged where it is: it can be sent what is there.
    pub(super) fn is_there(&mut self, now: Time, slot: usize) {
        let Some(key) = self.sessions.get(slot).map(|session: &Session| session.stream) else { return };
        self.streams[key.index()].catch_up(now, slot);
    }

    /// What is told next.
    pub(super) fn event(&mut self) -> Option<Event> {
        let event = self.outbox.events.pop_front()?;
        match &event {
            Event::Sought { stream, .. } => self.streams[stream.index()].note_sought(),
            // Until now the program may bring something for it.
            Event::Vacated(key) => self.vacant.push(*key),
            _ => {}
        }
        Some(event)
    }
}
