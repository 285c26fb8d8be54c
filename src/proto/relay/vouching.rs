//! Guarded streams through a relay: the proof is the origin's to check, and a relay learns no key.
//!
//! Whoever asks here by a code or password is handed the origin's part of what is proven, in a second Challenge, and proves again; that goes
//! to the origin with all that it is about, and what the origin proves back goes to whoever asked. Each one who joins is vouched for so,
//! and again when the way to the origin breaks: those who watch have the key, and the relay has not.

use std::time::Duration;

use super::upstream::Upstream;
use super::{Event, LISTS, Relay, unknown};
use crate::proto::client::{Client, Retry};
use crate::proto::door::{Refusal, lookup, network};
use crate::proto::server::Guard;
use crate::proto::{Peer, Port, Reason, Received, Route, Soonest, Transmit, hop};
use crate::seal::{LookupId, Proof, Subject};
use crate::units::Time;
use crate::wire::message::{
    Accept, COOKIE_LEN, Join, MAX_VIA, Message, Refuse, RefuseCode, Role, Scheme, bye, put_via, via,
};
use crate::wire::tlv::{self, Tlvs, kind, printable};
use crate::wire::{Hop, Kind, StreamName, VERSION};

/// So many are asked about at once, and of one network.
const MOST: usize = 96;
const MOST_OF_NETWORK: usize = 8;
/// An origin that has not answered after so long is not waited for: who wants in asks again.
const LIMIT: Duration = Duration::from_secs(3);

/// An origin that is known to be away is waited for this long.
const AWAY_AFTER: Duration = Duration::from_secs(1);
const AWAY: &str = "The server that the streams come from is not heard, and it alone can let anybody in here.";
/// Who wants in asks again after this, ms.
const AWAY_AGAIN_MS: u32 = 1_000;

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Code(LookupId),
    Name(StreamName),
}

impl Asked {
    fn subject(&self) -> Subject<'_> {
        match self {
            Self::Code(id) => Subject::Code(*id),
            Self::Name(name) => Subject::Name(name.as_str()),
        }
    }
}

/// One who wants in.
pub struct Vouch {
    asked: Asked,
    route: Route,
    nonce: u64,
    cookie: [u8; COOKIE_LEN],
    /// The newest Join, as it came behind its hop header.
    join: Vec<u8>,
    /// The proof that came before the origin's part was handed on: it proves nothing to the origin.
    stale: Proof,
    port: Port,
    /// Of our question.
    ours: u64,
    retry: Retry,
    begun: Time,
    origin: Option<Origin>,
}

struct Origin {
    peer: Peer,
    cookie: [u8; COOKIE_LEN],
    nonce: u64,
    /// The Join goes there.
    asked: bool,
}

impl Vouch {
    /// The origin's part, for whoever asks.
    fn challenge(&self) -> Option<Message<'static>> {
        let origin = self.origin.as_ref()?;
        let (nonce, cookie, server_nonce) = (self.nonce, self.cookie, origin.nonce);
        Some(Message::Challenge { nonce, cookie, server_nonce, publish_key: None })
    }
}

/// What stands in a Join for somebody else: the role, nonce and cookie that the proof is about.
fn behalf(join: &Join<'_>) -> Vec<u8> {
    // A relay below has somebody below it.
    if let Some(behalf) = join.tlvs.find(kind::ON_BEHALF).filter(|_| join.role == Role::Relay) {
        return behalf.to_vec();
    }
    let mut value = vec![join.role as u8];
    value.extend_from_slice(&join.nonce.to_be_bytes());
    value.extend_from_slice(&join.cookie);
    value
}

fn proof(join: &Join<'_>) -> Option<Proof> {
    join.tlvs.find(kind::PROOF)?.try_into().ok()
}

impl Relay {
    /// Takes a Join for a stream that is guarded above; false: it is for the server.
    pub(super) fn is_to_be_vouched(&mut self, now: Time, datagram: Received<'_>) -> bool {
        if self.config.origins.is_empty() || datagram.bytes.get(3) != Some(&Kind::JOIN.0) {
            return false;
        }
        let parsed = Hop::parse(datagram.bytes).ok().filter(|(hop, _)| hop.tag == 0);
        let Some((hop, body)) = parsed else { return false };
        let Ok(Message::Join(join)) = Message::parse(hop.kind, body) else { return false };
        let Some(asked) = self.asked(&join) else { return false };
        let (peer, nonce, cookie) = (datagram.peer(), join.nonce, join.cookie);
        if self.server.has_joined(peer, nonce, &cookie) || self.server.is_split(peer, &join) {
            return false;
        }
        let known = |vouch: &&mut Vouch| (vouch.route.peer, vouch.nonce, vouch.cookie) == (peer, nonce, cookie);
        let Some(proof) = proof(&join) else { return false };
        if let Some(vouch) = self.vouches.iter_mut().find(known) {
            vouch.join = body.to_vec();
            if proof == vouch.stale {
                // The origin's part was lost on the way.
                vouch.challenge().into_iter().for_each(|message| self.server.say_to(datagram.route(), &message));
            } else {
                self.ask_above(now, (peer, nonce, cookie));
            }
            return true;
        }
        if self.server.is_heard(now, datagram, &join) {
            self.begin_vouching(now, datagram, (asked, proof), (nonce, cookie), body);
        }
        true
    }

    /// What is asked for, if that is guarded and not by us.
    fn asked(&self, join: &Join<'_>) -> Option<Asked> {
        join.tlvs.find(kind::PROOF)?;
        if let Some(id) = lookup(join) {
            return (!self.server.has_code(id)).then_some(Asked::Code(id));
        }
        let name = StreamName::parse(join.tlvs.text(kind::STREAM)?).ok()?;
        self.server.is_guarded_elsewhere(&name).then_some(Asked::Name(name))
    }

    fn begin_vouching(
        &mut self,
        now: Time,
        datagram: Received<'_>,
        (asked, stale): (Asked, Proof),
        (nonce, cookie): (u64, [u8; COOKIE_LEN]),
        join: &[u8],
    ) {
        let route = datagram.route();
        if let Err(refusal) = self.server.door_mut().may_try(now, route.peer, asked.subject()) {
            return self.server.turn_away(route, nonce, refusal);
        }
        let from = network(route.peer.address.ip());
        let own = self.vouches.iter().filter(|vouch| network(vouch.route.peer.address.ip()) == from).count();
        if own >= MOST_OF_NETWORK {
            return;
        }
        // Whoever gets no answer asks again.
        let Some(port) = (self.vouches.len() < MOST).then(|| self.free_port()).flatten() else { return };
        let (ours, retry, begun, join) = (self.random.id(), Retry::new(now), now, join.to_vec());
        self.vouches.push(Vouch { asked, route, nonce, cookie, join, stale, port, ours, retry, begun, origin: None });
        self.tend_vouches(now);
    }

    /// Says again what has not been answered, and gives up.
    pub(super) fn tend_vouches(&mut self, now: Time) {
        let mut over = Vec::new();
        for at in 0..self.vouches.len() {
            let unlisted = self.unlisted;
            let vouch = &mut self.vouches[at];
            let patience = if unlisted { AWAY_AFTER } else { LIMIT };
            if vouch.origin.is_none() && now >= vouch.begun + patience {
                over.push(vouch.port);
                let refusal = Refusal::new(RefuseCode::BUSY, AWAY, AWAY_AGAIN_MS);
                self.server.turn_away(vouch.route, vouch.nonce, refusal);
            } else if now >= vouch.begun + LIMIT {
                over.push(vouch.port);
            } else if vouch.retry.is_due(now) {
                match &vouch.origin {
                    None => self.say_hello(now, at),
                    Some(origin) if origin.asked => self.say_join(now, at),
                    Some(_) => {}
                }
            }
        }
        over.into_iter().for_each(|port| self.end_vouch(port));
    }

    pub(super) fn vouches_soonest(&self) -> Soonest {
        // One that is known to be away is asked more often than that patience lasts.
        let due = |vouch: &Vouch| (vouch.begun + LIMIT).min(vouch.retry.deadline().unwrap_or(Time::NEVER));
        Soonest::new().or(self.vouches.iter().map(due).min(), Reason::Retry)
    }

    fn say_hello(&mut self, now: Time, at: usize) {
        let vouch = &self.vouches[at];
        let message = Message::Hello { highest: VERSION, lowest: VERSION, nonce: vouch.ours };
        // Where lists come through connections alone, the rest does too.
        let above = self.upstreams.iter().filter(|upstream| upstream.published.is_none());
        let connected = above.filter_map(Upstream::client).any(Client::is_connected);
        let waited = now.since(vouch.begun);
        for origin in self.config.origins.asked(vouch.port, waited, connected || self.unlisted) {
            self.out.push_back(Transmit::message(origin, hop(Kind::HELLO, 0, now), &message));
        }
    }

    /// The newest proof goes to the origin.
    fn ask_above(&mut self, now: Time, of: (Peer, u64, [u8; COOKIE_LEN])) {
        let same = |vouch: &Vouch| (vouch.route.peer, vouch.nonce, vouch.cookie) == of;
        let Some(at) = self.vouches.iter().position(same) else { return };
        let vouch = &mut self.vouches[at];
        let Some(origin) = &mut vouch.origin else { return };
        if !std::mem::replace(&mut origin.asked, true) {
            vouch.retry = Retry::new(now);
            vouch.retry.is_due(now);
            self.say_join(now, at);
        }
    }

    fn say_join(&mut self, now: Time, at: usize) {
        let vouch = &self.vouches[at];
        let Ok(Message::Join(join)) = Message::parse(Kind::JOIN, &vouch.join) else { return };
        let (Some(origin), Some(proof)) = (&vouch.origin, proof(&join)) else { return };
        let mut tlvs = Vec::new();
        match &vouch.asked {
            Asked::Code(id) => tlv::put(&mut tlvs, kind::LOOKUP, &id.get().to_be_bytes()),
            Asked::Name(name) => tlv::put(&mut tlvs, kind::STREAM, name.as_str().as_bytes()),
        }
        tlv::put(&mut tlvs, kind::PROOF, &proof);
        tlv::put(&mut tlvs, kind::ON_BEHALF, &behalf(&join));
        let ids: Vec<u64> = [self.config.id].into_iter().chain(via(join.tlvs)).take(MAX_VIA).collect();
        put_via(&mut tlvs, &ids);
        let mut wish = Vec::new();
        tlv::put(&mut wish, kind::PAUSE, &[]);
        tlv::put(&mut tlvs, kind::WANT, &wish);
        let message = Message::Join(Join {
            nonce: vouch.ours,
            cookie: origin.cookie,
            role: Role::Relay,
            fec: Scheme::ReedSolomon.bit(),
            max_datagram: 0,
            tlvs: Tlvs::trusted(&tlvs),
        });
        self.out.push_back(Transmit::message(origin.peer, hop(Kind::JOIN, 0, now), &message));
    }

    /// What an origin says to this.
    pub(super) fn vouch_datagram(&mut self, now: Time, datagram: Received<'_>) {
        if !self.config.origins.has(datagram.peer()) {
            return;
        }
        let Some(at) = self.vouches.iter().position(|vouch| vouch.port == datagram.port.socket()) else { return };
        let Ok((hop, body)) = Hop::parse(datagram.bytes) else { return };
        match Message::parse(hop.kind, body) {
            Ok(Message::Challenge { nonce, cookie, server_nonce, .. }) => {
                self.challenged(at, datagram.peer(), nonce, (cookie, server_nonce));
            }
            Ok(Message::Accept(accept)) => self.vouched(now, at, datagram, hop.tag, &accept),
            Ok(Message::Refuse(refuse)) => self.not_vouched(now, at, &refuse),
            _ => {}
        }
    }

    /// The origin's part is there, or another's above it: it is handed on.
    fn challenged(&mut self, at: usize, from: Peer, nonce: u64, (cookie, theirs): ([u8; COOKIE_LEN], u64)) {
        let vouch = &mut self.vouches[at];
        let first = vouch.origin.is_none();
        let again = vouch.origin.as_ref().is_some_and(|origin| {
            (origin.peer, origin.cookie) == (from, cookie) && origin.asked && origin.nonce != theirs
        });
        if nonce != vouch.ours || !(first || again) {
            return;
        }
        if let Ok(Message::Join(join)) = Message::parse(Kind::JOIN, &vouch.join) {
            vouch.stale = proof(&join).unwrap_or(vouch.stale);
        }
        vouch.origin = Some(Origin { peer: from, cookie, nonce: theirs, asked: false });
        let route = vouch.route;
        vouch.challenge().into_iter().for_each(|message| self.server.say_to(route, &message));
    }

    /// The origin lets it in.
    fn vouched(&mut self, now: Time, at: usize, datagram: Received<'_>, tag: u32, accept: &Accept<'_>) {
        let vouch = &self.vouches[at];
        let ours = accept.nonce == vouch.ours && tag == accept.session as u32;
        let name = accept.tlvs.text(kind::STREAM).and_then(|name| StreamName::parse(name).ok());
        let proof: Option<Proof> = accept.tlvs.find(kind::PROOF).and_then(|proof| proof.try_into().ok());
        let (true, Some(name), Some(proof)) = (ours && vouch.origin.is_some(), name, proof) else { return };
        let (route, port, asked, join) = (vouch.route, vouch.port, vouch.asked.clone(), vouch.join.clone());
        let Ok(Message::Join(join)) = Message::parse(Kind::JOIN, &join) else { return };
        let Some(place) = self.guarded_place(&asked, name) else {
            self.end_vouch(port);
            return self.server.turn_away(route, join.nonce, Refusal::busy());
        };
        let seed = self.random.seed();
        let kept = self.upstreams[place].take_session(now, (port, datagram.peer()), accept, &seed);
        self.vouches.retain(|vouch| vouch.port != port);
        if !kept {
            let (session, code) = (accept.session, bye::LEAVING);
            let goodbye = Message::Bye { session, code, sentence: "" };
            self.is_free(port, vec![Transmit::message(datagram.peer(), hop(Kind::BYE, session as u32, now), &goodbye)]);
        }
        let key = self.upstreams[place].key;
        self.server.withdraw(key, false);
        self.server.admit_vouched(now, route, key, &join, proof);
        self.upstreams[place].look_soon();
    }

    fn not_vouched(&mut self, now: Time, at: usize, refuse: &Refuse<'_>) {
        let vouch = &self.vouches[at];
        if refuse.nonce != vouch.ours {
            return;
        }
        let (route, nonce, port) = (vouch.route, vouch.nonce, vouch.port);
        if matches!(refuse.code, RefuseCode::NO_SUCH_STREAM | RefuseCode::GUARDED) {
            let asked = vouch.asked.clone();
            self.server.door_mut().note_failure(now, route.peer, asked.subject());
        }
        let sentence = printable(refuse.sentence);
        self.server.turn_away(route, nonce, Refusal::new(refuse.code, sentence, refuse.retry_after_ms));
        self.end_vouch(port);
    }

    fn end_vouch(&mut self, port: Port) {
        self.vouches.retain(|vouch| vouch.port != port);
        self.is_free(port, Vec::new());
    }

    /// Where the stream is, or is to be.
    fn guarded_place(&mut self, asked: &Asked, name: StreamName) -> Option<usize> {
        let same = |upstream: &Upstream| upstream.vouched.as_ref() == Some(asked);
        if let Some(at) = self.upstreams.iter().position(same) {
            return Some(at);
        }
        let by_name = |upstream: &Upstream| *asked == Asked::Name(upstream.name.clone()) && !upstream.is_hidden();
        let at = match self.upstreams.iter().position(by_name) {
            Some(at) => at,
            None => self.new_guarded_place(name)?,
        };
        self.upstreams[at].vouched = Some(asked.clone());
        Some(at)
    }

    fn new_guarded_place(&mut self, name: StreamName) -> Option<usize> {
        let guard = Guard::Elsewhere { listed: false };
        if let Some(at) = self.upstreams.iter().position(|upstream| upstream.is_vacant) {
            self.take_place(at, name, guard);
            self.awaits_talk(self.upstreams[at].key);
            return Some(at);
        }
        if self.upstreams.len() >= super::MOST_STREAMS {
            return None;
        }
        let key = self.server.open_guarded(name.clone(), unknown(&name), guard);
        self.awaits_talk(key);
        self.upstreams.push(Upstream::new(key, name.clone(), false));
        self.events.push_back(Event::Opened(key, name));
        Some(self.upstreams.len() - 1)
    }

    /// The last who watched has left, or the session above is gone.
    pub(super) fn is_guarded_no_more(&mut self, at: usize) {
        let upstream = &mut self.upstreams[at];
        // One that has ended takes its leave first.
        if upstream.vouched.is_none() || !self.server.is_running(upstream.key) {
            return;
        }
        // Those who are there although they want nothing just now have to prove anew, too.
        self.server.forget_watchers(upstream.key);
        upstream.begins_anew();
        if upstream.is_hidden() {
            self.vacate(at);
        } else {
            upstream.vouched = None;
        }
    }

    /// Ports that are asked from at present.
    pub(super) fn is_vouching_on(&self, port: Port) -> bool {
        port > LISTS && self.vouches.iter().any(|vouch| vouch.port == port)
    }
}
