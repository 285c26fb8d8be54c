//! Talk at the server: lines are taken in, or passed on to the server above, and sent to all who listen.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::{Event, Server, StreamKey};
use crate::proto::sender::Cargo;
use crate::proto::talk::{Author, HeardLine, Next, Outgoing, Refused, RoomState, Said};
use crate::proto::{Peer, Transmit};
use crate::units::Time;
use crate::wire::Kind;
use crate::wire::message::{Message, Say, Unsaid, UnsaidCode};

/// So many lines wait for the server above; who says one repeats it.
const FORWARDS: usize = 64;
/// So many that went there are known, so that what becomes of them can be told.
const PASSED: usize = 256;
/// For so long: nobody says a line for longer.
const PASSED_FOR: Duration = Duration::from_secs(30);
/// A line that is repeated goes on again only after so long.
const PASSED_AGAIN: Duration = Duration::from_millis(100);

/// What of talk is of no single stream.
#[derive(Default)]
pub(super) struct Talking {
    /// Slots of sessions that may have something to be sent.
    awake: BTreeSet<usize>,
    /// Lines for the server above.
    forwards: VecDeque<(StreamKey, Said)>,
    /// Lines that went there.
    passed: VecDeque<PassedLine>,
    /// What left last was a line: then it is a picture's turn.
    was_line: bool,
}

/// A line that went to the server above.
struct PassedLine {
    id: u64,
    /// Who said it here.
    session: u64,
    /// When it went first, and last.
    first: Time,
    last: Time,
}

impl Talking {
    /// For fuzzing: panics if something grows without bound.
    pub(super) fn assert_sound(&self) {
        assert!(self.awake.is_empty() && self.forwards.len() <= FORWARDS && self.passed.len() <= PASSED);
    }
}

impl Server {
    /// Somebody says something.
    pub(super) fn say(&mut self, now: Time, from: Peer, say: &Say<'_>) {
        let session = self.sessions.slot_of(from, say.session).and_then(|slot| self.sessions.get(slot));
        let Some(session) = session.filter(|session| session.ready && session.leaving.is_none() && say.id != 0) else {
            self.totals.rejected += 1;
            return;
        };
        // Only a relay has others behind it.
        let behind = if session.via.is_empty() { 0 } else { say.author };
        let author = Author { session: session.number.into(), behind };
        let (key, id) = (session.stream, session.id);
        let (name, text) = (say.name.to_owned(), say.text.to_owned());
        let said = Said { id: say.id, author, is_maker: false, name, text };
        let refused = match self.streams[key.index()].room.state() {
            RoomState::Here | RoomState::Off => self.take_line(now, key, &said).err(),
            RoomState::Awaited | RoomState::Above => self.pass_up(now, key, id, said),
        };
        if let Some(refused) = refused {
            self.unsay(id, say.id, &refused);
        }
    }

    /// A line of whoever makes the stream, or of its publisher.
    pub(in crate::proto) fn take_line(&mut self, now: Time, key: StreamKey, said: &Said) -> Result<(), Refused> {
        let Some(stream) = self.streams.get_mut(key.index()) else { return Ok(()) };
        let (id, media) = (stream.id(), stream.media_now(now));
        if let Some(line) = stream.room.take(now, id, media, said)? {
            self.outbox.events.push_back(Event::Said { stream: key, line });
            self.wake_listeners(key);
        }
        Ok(())
    }

    /// The program around says something, as whoever makes the stream.
    pub(super) fn speak(&mut self, now: Time, key: StreamKey, name: String, text: String) {
        let said = Said { id: self.random.id(), author: Author::default(), is_maker: true, name, text };
        if let Err(refused) = self.take_line(now, key, &said) {
            let sentence = refused.sentence.into_owned();
            self.outbox.events.push_back(Event::Unsaid { stream: key, text: said.text, sentence });
        }
    }

    fn pass_up(&mut self, now: Time, key: StreamKey, session: u64, said: Said) -> Option<Refused> {
        let Talking { forwards, passed, .. } = &mut self.talking;
        passed.retain(|line| now.since(line.first) < PASSED_FOR);
        match passed.iter_mut().find(|line| (line.id, line.session) == (said.id, session)) {
            Some(line) if now.since(line.last) < PASSED_AGAIN => return None,
            Some(line) => line.last = now,
            None => {
                if let Err(refused) = self.streams[key.index()].room.may_pass(now, &said)? {
                    return Some(refused);
                }
                if passed.len() == PASSED {
                    passed.pop_front();
                }
                passed.push_back(PassedLine { id: said.id, session, first: now, last: now });
            }
        }
        if forwards.len() < FORWARDS {
            forwards.push_back((key, said));
        }
        None
    }

    /// The next line that is for the server above.
    pub(in crate::proto) fn take_forward(&mut self) -> Option<(StreamKey, Said)> {
        self.talking.forwards.pop_front()
    }

    /// The server above has not taken a line: whoever said it here is told.
    pub(in crate::proto) fn unsay_passed(&mut self, id: u64, code: UnsaidCode, sentence: &str) {
        let known = self.talking.passed.iter().position(|line| line.id == id);
        if let Some(line) = known.and_then(|at| self.talking.passed.remove(at)) {
            self.unsay(line.session, id, &Refused { code, sentence: sentence.to_owned().into() });
        }
    }

    fn unsay(&mut self, session: u64, id: u64, refused: &Refused) {
        let to = self.sessions.slot(session).and_then(|slot| self.sessions.get(slot));
        if let Some(to) = to.filter(|_| !self.outbox.is_full()) {
            let unsaid = Unsaid { session, id, code: refused.code, sentence: &refused.sentence };
            self.outbox.say(to.route(), Some(session), &Message::Unsaid(unsaid));
        }
    }

    /// A session has all lines before `next`; of stream 0: it asks whether there is talk.
    pub(super) fn heard_lines(&mut self, now: Time, from: Peer, id: u64, stream: u64, next: u32) {
        let slot = self.sessions.slot_of(from, id);
        let Some((slot, session)) = slot.and_then(|slot| Some((slot, self.sessions.get_mut(slot)?))) else {
            self.totals.rejected += 1;
            return;
        };
        let room = &self.streams[session.stream.index()].room;
        match stream {
            // It listens, and is told when there is talk, if there is none now.
            0 => session.talk.get_or_insert_default().ask(now),
            stream => session.talk.iter_mut().for_each(|talk| talk.heard(now, stream, next, room)),
        }
        if room.state() == RoomState::Off {
            return self.unsay(id, 0, &Refused::OFF);
        }
        self.talking.awake.insert(slot);
    }

    /// There is something for those who listen to a stream.
    fn wake_listeners(&mut self, key: StreamKey) {
        let members = self.streams[key.index()].members().iter();
        let listens = |slot: &&usize| self.sessions.get(**slot).is_some_and(|session| session.talk.is_some());
        self.talking.awake.extend(members.filter(listens).copied());
    }

    /// A session may have to be told something again.
    pub(super) fn wake_listener(&mut self, now: Time, slot: usize) {
        let talk = self.sessions.get(slot).and_then(|session| session.talk.as_ref());
        if talk.and_then(|talk| talk.deadline()).is_some_and(|at| at <= now) {
            self.talking.awake.insert(slot);
        }
    }

    /// The next line or datagram of a stream, in turns: many who listen hold no picture up.
    pub(super) fn line_or_media(&mut self, now: Time) -> Option<Transmit> {
        if std::mem::take(&mut self.talking.was_line) {
            return self.media(now).or_else(|| self.talk(now));
        }
        let line = self.talk(now);
        self.talking.was_line = line.is_some();
        line.or_else(|| self.media(now))
    }

    /// The next line that leaves, or the word which there are.
    fn talk(&mut self, now: Time) -> Option<Transmit> {
        while let Some(slot) = self.talking.awake.first().copied() {
            if let Some(transmit) = self.talk_to(now, slot) {
                return Some(transmit);
            }
            self.talking.awake.remove(&slot);
        }
        None
    }

    fn talk_to(&mut self, now: Time, slot: usize) -> Option<Transmit> {
        let session = self.sessions.get_mut(slot).filter(|session| session.leaving.is_none())?;
        let stream = &mut self.streams[session.stream.index()];
        if matches!(stream.room.state(), RoomState::Awaited | RoomState::Off) || !stream.is_described() {
            return None;
        }
        let id = session.id;
        let transmit = match session.talk.as_mut()?.next(now, stream.id(), &stream.room)? {
            Next::Line(object) => self.sessions.transmit(slot, now, Kind::OBJECT, Cargo::Other, object)?,
            Next::Range(range) => {
                let to = session.route();
                self.outbox.say(to, Some(id), &Message::Talk { session: id, range });
                self.outbox.next(now, &mut self.sessions)?.0
            }
        };
        stream.totals.count(&transmit);
        Some(transmit)
    }

    /// Where the lines of a stream come from, from now on.
    pub(in crate::proto) fn set_room(&mut self, key: StreamKey, state: RoomState) {
        if let Some(stream) = self.streams.get_mut(key.index()) {
            let before = stream.room.state();
            stream.room.set_state(state);
            match stream.room.state() {
                same if same == before => {}
                RoomState::Off => self.tell_off(key),
                _ => self.wake_listeners(key),
            }
        }
    }

    /// There is talk above after all.
    pub(in crate::proto) fn open_room(&mut self, key: StreamKey) {
        if self.stream(key).is_some_and(|stream| stream.room.state() == RoomState::Off) {
            self.set_room(key, RoomState::Above);
        }
    }

    fn tell_off(&mut self, key: StreamKey) {
        let members = self.streams[key.index()].members().to_vec();
        for slot in members {
            let session = self.sessions.get(slot).filter(|session| session.talk.is_some()).map(|session| session.id);
            session.into_iter().for_each(|id| self.unsay(id, 0, &Refused::OFF));
        }
    }

    /// The lines above begin with this one.
    pub(in crate::proto) fn begin_lines(&mut self, key: StreamKey, first: u32) {
        if let Some(stream) = self.streams.get_mut(key.index()) {
            stream.room.begin_at(first);
            self.wake_listeners(key);
        }
    }

    /// A line has come from above.
    pub(in crate::proto) fn pass_line(&mut self, key: StreamKey, heard: HeardLine) {
        let Some(stream) = self.streams.get_mut(key.index()) else { return };
        let (grew, is_new) = stream.room.pass(&heard);
        if is_new {
            self.outbox.events.push_back(Event::Said { stream: key, line: heard.line });
        }
        if grew {
            self.wake_listeners(key);
        }
    }

    /// What is next for whoever sends a stream, who listens by itself and not in a session of ours.
    pub(in crate::proto) fn next_line(&self, now: Time, key: StreamKey, outgoing: &mut Outgoing) -> Option<Next> {
        let stream = self.stream(key).filter(|stream| stream.room.state() == RoomState::Here)?;
        outgoing.next(now, stream.id(), &stream.room)
    }

    /// What it has confirmed. False: there is no talk.
    pub(in crate::proto) fn note_heard(
        &self,
        now: Time,
        key: StreamKey,
        outgoing: &mut Outgoing,
        stream: u64,
        next: u32,
    ) -> bool {
        let Some(room) = self.stream(key).map(|stream| &stream.room) else { return false };
        if stream == 0 {
            outgoing.ask(now)
        } else {
            outgoing.heard(now, stream, next, room)
        }
        room.state() != RoomState::Off
    }

    /// Says something in a session, outside any sequence.
    pub(in crate::proto) fn tell(&mut self, id: u64, message: &Message<'_>) {
        if let Some(session) = self.sessions.slot(id).and_then(|slot| self.sessions.get(slot)) {
            self.outbox.say(session.route(), Some(id), message);
        }
    }
}
