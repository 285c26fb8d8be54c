//! Streams that come from elsewhere: what a relay tells its server, and asks of it.

use super::{Guard, Server};
use crate::proto::door::Refusal;
use crate::proto::session::Gone;
use crate::proto::stream::{Adoption, Needs, Stream, StreamConfig, StreamKey};
use crate::proto::talk::RoomState;
use crate::units::Time;
use crate::wire::message::{Join, MAX_HOPS, Message, RefuseCode, RelayHop, Role, bye, put_hops, put_via, via};
use crate::wire::{Description, StreamName};

/// Why a relay is not let in that is on the way already.
pub const ITSELF: &str = "This relay would come to watch itself: the stream that it asks for comes through it.";
/// Why no further relay is let in.
pub const TOO_LONG: &str = "Too many relays are in a row: a stream goes through eight at most.";
/// A relay that would come to watch itself asks again only after this.
const LOOP_AGAIN_MS: u32 = 60_000;
/// What is not there just now is asked for again after this.
const AWAY_AGAIN_MS: u32 = 1_000;

impl Server {
    /// A stream that is known by its name alone, and by what a list tells of it. Watchers are let in, and told what it is once it
    /// was [adopted](Self::adopt).
    pub fn open_awaiting(&mut self, name: StreamName, listed: Description) -> StreamKey {
        self.open_guarded(name, listed, Guard::Open)
    }

    /// The same with somebody at its door.
    pub fn open_guarded(&mut self, name: StreamName, listed: Description, guard: Guard) -> StreamKey {
        let key = self.open(StreamConfig { adapt: true, guard, ..StreamConfig::new(name, listed) });
        self.streams[key.index()].await_adoption();
        key
    }

    /// What the list tells of a stream that nothing else is known of.
    pub fn list_as(&mut self, key: StreamKey, listed: Description) {
        if let Some(stream) = self.streams.get_mut(key.index()).filter(|stream| !stream.is_described()) {
            stream.describe(listed);
        }
    }

    /// A stream that is over begins anew, of which nothing is known again.
    pub fn reopen(&mut self, key: StreamKey) {
        // Of a server that was stopped nothing begins.
        let stopped = self.stopped.is_some();
        let stream = self.streams.get_mut(key.index()).filter(|stream| stream.is_over() && !stopped);
        let Some(stream) = stream else { return };
        let description = Description { ended: None, sound_ended: None, ..stream.description().clone() };
        let guard = stream.guard().clone();
        let config = StreamConfig { adapt: true, guard, ..StreamConfig::new(stream.name().clone(), description) };
        let totals = stream.totals;
        *stream = Stream::new(key, self.random.id(), config, &self.config.talk);
        stream.totals = totals;
        stream.room.set_state(RoomState::Awaited);
        stream.await_adoption();
        self.begin_groups(key);
    }

    /// Another stream takes the place of one, of which nothing is left: neither those who watched it nor what they were told.
    pub fn renew(&mut self, key: StreamKey, name: StreamName, listed: Description, guard: Guard) {
        self.forget_watchers(key);
        if self.stopped.is_some() {
            return;
        }
        let id = self.random.id();
        if let Some(stream) = self.streams.get_mut(key.index()) {
            // What it has sent was sent by the server all the same.
            self.totals.add(&stream.totals);
            let config = StreamConfig { adapt: true, guard, ..StreamConfig::new(name, listed) };
            *stream = Stream::new(key, id, config, &self.config.talk);
            stream.await_adoption();
        }
    }

    /// Who may watch a stream from now on.
    pub fn set_guard(&mut self, key: StreamKey, guard: Guard) {
        if let Some(stream) = self.streams.get_mut(key.index()) {
            stream.set_guard(guard);
        }
    }

    /// A stream shows something else from now on; those who are there are told. An id of 0 stands for a new one.
    pub fn adopt(&mut self, key: StreamKey, adoption: Adoption) {
        let id = if adoption.id == 0 { self.random.id() } else { adoption.id };
        let Self { streams, sessions, .. } = self;
        let Some(stream) = streams.get_mut(key.index()) else { return };
        stream.adopt(self.polled, Adoption { id, ..adoption }, sessions);
        let members = stream.members().to_vec();
        members.into_iter().for_each(|slot| self.describe_to(slot));
    }

    /// The Description of the ended stream, as it came.
    pub fn note_end(&mut self, key: StreamKey, object: Vec<u8>) {
        self.streams.get_mut(key.index()).into_iter().for_each(|stream| stream.note_end(object.clone()));
    }

    /// Media time 0 was due then at the origin, in our clock.
    pub fn set_zero(&mut self, now: Time, key: StreamKey, zero: Time) {
        let Self { streams, sessions, .. } = self;
        streams.get_mut(key.index()).into_iter().for_each(|stream| stream.set_zero(now, zero, sessions));
    }

    /// Nothing comes for a while: what was shown last is given to nobody who joins.
    pub fn forget_pictures(&mut self, key: StreamKey) {
        self.streams.get_mut(key.index()).into_iter().for_each(Stream::forget_pictures);
    }

    /// Relays above a stream, the nearest to the origin first.
    pub fn set_hops(&mut self, key: StreamKey, hops: Vec<RelayHop>) {
        if let Some(passing) = self.streams.get_mut(key.index()).and_then(Stream::passing_mut) {
            passing.hops = hops;
        }
    }

    /// Why nobody is let in to a stream, or that everybody is again.
    pub fn bar(&mut self, key: StreamKey, why: Option<(RefuseCode, String)>) {
        if let Some(passing) = self.streams.get_mut(key.index()).and_then(Stream::passing_mut) {
            let retry = |code| if code == RefuseCode::LOOP { LOOP_AGAIN_MS } else { AWAY_AGAIN_MS };
            passing.refusal = why.map(|(code, sentence)| Refusal::new(code, sentence, retry(code)));
        }
    }

    /// The relays that watch a stream are told this and go, and none is let in again until it is `None`.
    pub fn bar_relays(&mut self, key: StreamKey, why: Option<String>) {
        let Some(passing) = self.streams.get_mut(key.index()).and_then(Stream::passing_mut) else { return };
        passing.no_relays.clone_from(&why);
        let Some(sentence) = why else { return };
        let Self { streams, sessions, .. } = &*self;
        let relays = |slot: &usize| sessions.get(*slot).is_some_and(|session| !session.via.is_empty());
        let relays: Vec<usize> = streams[key.index()].members().iter().copied().filter(relays).collect();
        for slot in relays {
            if let Some(session) = self.sessions.get(slot) {
                let (id, code) = (session.id, bye::FAILED);
                self.outbox.say(session.route(), None, &Message::Bye { session: id, code, sentence: &sentence });
            }
            self.remove(slot, Gone::Left);
        }
    }

    /// A stream is not there any more, or is again: while it is not, it is neither listed nor found.
    pub fn withdraw(&mut self, key: StreamKey, withdrawn: bool) {
        if let Some(passing) = self.streams.get_mut(key.index()).and_then(Stream::passing_mut) {
            passing.withdrawn = withdrawn;
        }
    }

    /// What those who watch a stream need of it.
    pub fn needs(&self, now: Time, key: StreamKey) -> Option<Needs> {
        Some(self.stream(key)?.needs(now, &self.sessions))
    }

    /// Whether a stream is over, and was not begun anew.
    pub fn is_over(&self, key: StreamKey) -> bool {
        self.stream(key).is_none_or(Stream::is_over)
    }

    /// Whether a stream runs: it was not said goodbye to.
    pub fn is_running(&self, key: StreamKey) -> bool {
        self.stream(key).is_some_and(|stream| stream.goodbye().is_none())
    }

    /// How long after it was due the newest picture left here; `None`: that is not known.
    pub fn age(&self, key: StreamKey) -> Option<std::time::Duration> {
        self.stream(key)?.passing()?.age
    }

    /// The id of the relay that this is the server of.
    pub const fn relay_id(&self) -> Option<u64> {
        self.config.relay
    }

    /// What a relay that joins would make of the way: a reason to refuse it, if a stream would come to itself.
    pub(super) fn is_loop(&self, stream: &Stream, join: &Join<'_>) -> Option<Refusal> {
        if join.role != Role::Relay {
            return None;
        }
        let below = via(join.tlvs);
        let above = stream.passing().map_or(&[][..], |passing| &passing.hops);
        let own = self.config.relay;
        let known = |id: &u64| Some(*id) == own || above.iter().any(|hop| hop.id == *id);
        if below.iter().any(known) {
            return Some(Refusal::new(RefuseCode::LOOP, ITSELF, LOOP_AGAIN_MS));
        }
        if let Some(why) = stream.passing().and_then(|passing| passing.no_relays.clone()) {
            return Some(Refusal::new(RefuseCode::LOOP, why, LOOP_AGAIN_MS));
        }
        let long = above.len() + usize::from(own.is_some()) >= MAX_HOPS;
        long.then(|| Refusal::new(RefuseCode::LOOP, TOO_LONG, LOOP_AGAIN_MS))
    }

    /// The relays that a stream has come through when it leaves here, with ages; of use to those below.
    fn hops_of(&self, stream: &Stream) -> Vec<RelayHop> {
        let (Some(id), Some(passing)) = (self.config.relay, stream.passing()) else { return Vec::new() };
        passing.hops.iter().copied().chain([RelayHop { id, age: passing.age }]).collect()
    }

    /// Appends HOPS if there are relays on the way.
    pub(super) fn put_hops_of(&self, key: StreamKey, out: &mut Vec<u8>) {
        let hops = self.stream(key).map(|stream| self.hops_of(stream)).unwrap_or_default();
        if !hops.is_empty() {
            put_hops(out, &hops);
        }
    }

    /// Appends VIA if there are relays on the way.
    pub(super) fn put_via_of(&self, key: StreamKey, out: &mut Vec<u8>) {
        let ids: Vec<u64> =
            self.stream(key).map(|stream| self.hops_of(stream)).unwrap_or_default().iter().map(|hop| hop.id).collect();
        if !ids.is_empty() {
            put_via(out, &ids);
        }
    }

    /// All who watch a stream are told this, and go.
    pub fn dismiss(&mut self, now: Time, key: StreamKey, sentence: &str) {
        if let Some(stream) = self.streams.get_mut(key.index()) {
            let goodbye = super::super::stream::Goodbye { code: bye::FAILED, sentence: sentence.to_owned() };
            stream.stop(now, goodbye);
        }
    }
}
