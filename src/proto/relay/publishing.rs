//! Streams that are published here: who may, under which name and code, and what becomes of one whose publisher is not heard.
//!
//! A publisher is a sender that comes by itself: what it sends is passed on as what comes from a server above is. It is known again by
//! its own key, whatever address it comes from, and finds its stream, and those who watch it, for [`KEPT`] after it was heard last.

use std::net::SocketAddr;
use std::time::Duration;

use super::upstream::{Published, Upstream};
use super::{Event, Relay, unknown};
use crate::proto::Received;
use crate::proto::door::Refusal;
use crate::proto::server::Guard;
use crate::seal::{Code, Grant, GrantExchange, GrantKey, Key, Side, Subject};
use crate::units::{Bitrate, Time};
use crate::wire::message::Role;
use crate::wire::message::{Accept, Join, Message, RefuseCode, put_via};
use crate::wire::name::MAX_NAME;
use crate::wire::tlv::{self, Tlvs, kind};
use crate::wire::{Hop, Kind, StreamName};

/// A stream whose publisher is gone is kept for so long.
pub const KEPT: Duration = Duration::from_secs(10);
/// Who is not let in asks again after this, ms.
const AGAIN_MS: u32 = 5_000;
/// A publisher says something four times a second at least (its clock): after so much silence another may take its place.
const HELD: Duration = Duration::from_secs(1);
/// Who waits for that asks again after this, ms.
const HELD_AGAIN_MS: u32 = 500;
const TWICE: &str = "Another publisher sends this stream at present, under the same code: stop one of the two.";
/// How often the server reports to a publisher.
pub const REPORTS: Duration = Duration::from_millis(50);
const TOO_MUCH: &str = "The publisher sent more than the server allows.";
/// Who has sent too much is not let in for so long; so many are remembered.
const OUT: Duration = Duration::from_secs(30);
const MOST_OUT: usize = 64;
/// A publisher may send more than is allowed for so many seconds.
const PATIENCE: u32 = 3;

/// Which publishers are taken.
#[derive(Clone, Debug)]
pub struct Publishing {
    pub most: usize,
    /// Of the code that says who may publish; `None`: all may.
    pub allowed: Option<Key>,
    /// Most that one may send.
    pub max_rate: Option<Bitrate>,
}

/// What is needed for that.
pub struct Gate {
    pub config: Publishing,
    key: GrantKey,
    /// Owners who sent too much, and until when they are not let in.
    out: Vec<(Key, Time)>,
}

impl Gate {
    pub const fn new(config: Publishing, key: GrantKey) -> Self {
        Self { config, key, out: Vec::new() }
    }

    fn show_out(&mut self, now: Time, owner: Option<Key>) {
        self.out.retain(|(_, until)| now < *until);
        if self.out.len() >= MOST_OUT {
            self.out.remove(0);
        }
        self.out.extend(owner.map(|owner| (owner, now + OUT)));
    }

    fn shown_out(&self, now: Time, owner: &Key) -> Option<Time> {
        self.out.iter().find(|(out, until)| out == owner && now < *until).map(|(_, until)| *until)
    }
}

impl Relay {
    /// Takes what comes from publishers to the server's port; false: it is for the server.
    pub(super) fn is_for_publishing(&mut self, now: Time, datagram: Received<'_>) -> bool {
        let Some(at) = self.publisher_at(&datagram) else { return self.publish(now, datagram) };
        let Self { upstreams, server, .. } = self;
        upstreams[at].datagram(now, datagram, server);
        true
    }

    /// The publisher that a datagram on the server's port comes from.
    fn publisher_at(&self, datagram: &Received<'_>) -> Option<usize> {
        self.gate.as_ref()?;
        let tag: [u8; 4] = datagram.bytes.get(4..8)?.try_into().ok()?;
        let kind = Kind(*datagram.bytes.get(3)?);
        // What belongs to no session is for the door.
        if matches!(kind, Kind::HELLO | Kind::JOIN | Kind::LIST) {
            return None;
        }
        let from = |upstream: &Upstream| {
            let published = upstream.published.as_ref();
            published.is_some_and(|it| it.peer == datagram.peer() && it.session as u32 == u32::from_be_bytes(tag))
        };
        self.upstreams.iter().position(from)
    }

    /// Takes a Join from a publisher; false: it is none.
    fn publish(&mut self, now: Time, datagram: Received<'_>) -> bool {
        if self.gate.is_none() || datagram.bytes.get(3) != Some(&Kind::JOIN.0) {
            return false;
        }
        let parsed = Hop::parse(datagram.bytes).ok().filter(|(hop, _)| hop.tag == 0);
        let Some(Ok(Message::Join(join))) = parsed.map(|(hop, body)| Message::parse(hop.kind, body)) else {
            return false;
        };
        if join.role != Role::Publish {
            return false;
        }
        if self.welcome_again(datagram, &join) || !self.server.is_heard(now, datagram, &join) {
            return true;
        }
        if let Err(refusal) = self.let_in(now, datagram, &join) {
            self.server.turn_away(datagram.route(), join.nonce, refusal);
        }
        true
    }

    /// The Accept was lost on the way: the same again.
    fn welcome_again(&mut self, datagram: Received<'_>, join: &Join<'_>) -> bool {
        let published = self.upstreams.iter().filter_map(|upstream| upstream.published.as_ref());
        let same = |it: &&Published| it.peer == datagram.peer() && (it.nonce, it.cookie) == (join.nonce, join.cookie);
        let Some((id, accept)) = published.into_iter().find(same).map(|it| (it.session, it.accept.clone())) else {
            return false;
        };
        self.server.say_accept(datagram.route(), id, accept);
        true
    }

    fn let_in(&mut self, now: Time, datagram: Received<'_>, join: &Join<'_>) -> Result<(), Refusal> {
        let grant = self.grant(now, datagram, join)?;
        if let Some(until) = self.gate.as_ref().and_then(|gate| gate.shown_out(now, &grant.owner)) {
            let wait = u32::try_from(until.since(now).as_millis()).unwrap_or(AGAIN_MS).max(AGAIN_MS);
            return Err(Refusal::new(RefuseCode::BUSY, TOO_MUCH, wait));
        }
        let same = |upstream: &Upstream| upstream.published.as_ref().is_some_and(|published| published.grant == grant);
        let known = self.upstreams.iter().position(same);
        let at = match known {
            // It would take the stream back at once, and so on without end. One that has only moved names its session.
            Some(at)
                if self.upstreams[at].is_sent_from_elsewhere(now, datagram.peer(), HELD)
                    && !self.upstreams[at].is_session(join) =>
            {
                return Err(Refusal::new(RefuseCode::BUSY, TWICE, HELD_AGAIN_MS));
            }
            Some(at) => at,
            None => self.new_place(join, &grant)?,
        };
        self.server.door_mut().admit(now, join.cookie);
        let session = self.server.draw_id();
        let upstream = &mut self.upstreams[at];
        let accept = accept(now, session, join, self.config.id, upstream.name.as_str(), &|name| {
            let exchange = self.server.exchange(join, Subject::Name(name));
            grant.owner.prove(Side::Accepting, &exchange)
        });
        let route = datagram.route();
        let published = Published {
            grant,
            peer: datagram.peer(),
            local: datagram.local,
            session,
            nonce: join.nonce,
            cookie: join.cookie,
            accept: accept.clone(),
            most: self.gate.as_ref().and_then(|gate| gate.config.max_rate),
        };
        let seed = self.random.seed();
        upstream.take_publisher(now, published, &seed);
        self.server.withdraw(upstream.key, false);
        self.server.say_accept(route, session, accept);
        Ok(())
    }

    /// What the publisher wants, in a grant that only this server can read.
    fn grant(&mut self, now: Time, datagram: Received<'_>, join: &Join<'_>) -> Result<Grant, Refusal> {
        let Some(gate) = &self.gate else { return Err(not_allowed(false)) };
        let allowed = gate.config.allowed.as_ref();
        let exchange = GrantExchange { client_nonce: join.nonce, cookie: &join.cookie, allowed };
        let asks = allowed.is_some();
        let door = self.server.door_mut();
        if asks {
            door.may_try(now, datagram.peer(), Subject::Name(""))?;
        }
        let sealed = join.tlvs.find(kind::GRANT).unwrap_or_default();
        gate.key.open(&exchange, sealed).ok_or_else(|| {
            if asks {
                door.note_failure(now, datagram.peer(), Subject::Name(""));
            }
            not_allowed(asks)
        })
    }

    /// A place for a stream that was not here before.
    fn new_place(&mut self, join: &Join<'_>, grant: &Grant) -> Result<usize, Refusal> {
        let most = self.gate.as_ref().map_or(0, |gate| gate.config.most);
        if self.upstreams.iter().filter(|upstream| upstream.published.is_some()).count() >= most {
            let publishers = if most == 1 { "publisher" } else { "publishers" };
            let why = format!("The server takes {most} {publishers}, and has as many.");
            return Err(Refusal::new(RefuseCode::FULL, why, AGAIN_MS));
        }
        if let Some((id, _)) = &grant.code
            && self.server.has_code(*id)
        {
            return Err(Refusal::new(RefuseCode::TAKEN, "This code is another's: a new one is to be drawn.", 250));
        }
        let wished = match join.tlvs.find(kind::STREAM) {
            None => StreamName::from_any("live"),
            Some(name) => std::str::from_utf8(name).ok().and_then(|name| StreamName::parse(name).ok()),
        };
        let Some(wished) = wished.filter(|name| !Code::is_meant(name.as_str())) else {
            let why = "A stream cannot be called so: names have at most 200 bytes, of letters, digits and - _ . /";
            return Err(Refusal::new(RefuseCode::NO_SUCH_STREAM, why, 60_000));
        };
        let name = if grant.code.is_some() { wished } else { self.free_name(wished) };
        let guard = grant.code.clone().map_or(Guard::Open, |(id, key)| Guard::Code(id, key));
        self.place_for(name, guard)
    }

    /// The name, or one with a number behind it where it is another's.
    fn free_name(&self, wished: StreamName) -> StreamName {
        let taken = |name: &StreamName| self.server.lists(name);
        // A number has room behind the longest name, too.
        let stem = tlv::shorten(wished.as_str(), MAX_NAME - 6).trim_end_matches(['-', '/', '.']);
        let numbered = (2..=u16::MAX).filter_map(|n| StreamName::parse(&format!("{stem}-{n}")).ok());
        std::iter::once(wished.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(wished)
    }

    /// One whose stream is long over, or a new one.
    fn place_for(&mut self, name: StreamName, guard: Guard) -> Result<usize, Refusal> {
        if let Some(at) = self.upstreams.iter().position(|upstream| upstream.is_vacant) {
            self.take_place(at, name, guard);
            return Ok(at);
        }
        if self.upstreams.len() >= super::MOST_STREAMS {
            return Err(Refusal::new(RefuseCode::FULL, "The server has as many streams as it takes.", AGAIN_MS));
        }
        let listed = unknown(&name);
        let key = self.server.open_guarded(name.clone(), listed, guard);
        self.upstreams.push(Upstream::new(key, name.clone(), self.config.tapped));
        self.events.push_back(Event::Opened(key, name));
        Ok(self.upstreams.len() - 1)
    }

    /// Looks after a published stream: one whose publisher was not heard for too long ends, and so does one that sends too much.
    pub(super) fn tend_publisher(&mut self, now: Time, at: usize) {
        let Self { upstreams, server, .. } = self;
        let upstream = &mut upstreams[at];
        if upstream.publisher_is_gone(now) {
            upstream.end(now, server, "The publisher was lost.");
        } else if upstream.sends_too_much(now, PATIENCE) {
            let owner = upstream.published.as_ref().map(|published| published.grant.owner.clone());
            upstream.end(now, server, TOO_MUCH);
            self.gate.iter_mut().for_each(|gate| gate.show_out(now, owner.clone()));
        }
    }

    /// The address of each publisher, of use to limits and figures.
    pub fn publishers(&self) -> impl Iterator<Item = (super::StreamKey, SocketAddr)> {
        self.upstreams.iter().filter_map(|upstream| Some((upstream.key, upstream.published.as_ref()?.peer.address)))
    }
}

fn not_allowed(asks: bool) -> Refusal {
    let why = if asks {
        // A wrong code cannot be told from none.
        "Publishing here needs the code of whoever runs the server, after --allow-publish; none came, or a wrong one."
    } else {
        "The server cannot read what the publisher wants: it asks for no code of those who publish, so leave out --allow-publish."
    };
    Refusal::new(RefuseCode::GUARDED, why, AGAIN_MS)
}

fn accept(
    now: Time,
    session: u64,
    join: &Join<'_>,
    id: u64,
    name: &str,
    prove: &dyn Fn(&str) -> crate::seal::Proof,
) -> Vec<u8> {
    let mut tlvs = Vec::new();
    tlv::put(&mut tlvs, kind::STREAM, name.as_bytes());
    put_via(&mut tlvs, &[id]);
    tlv::put(&mut tlvs, kind::PROOF, &prove(name));
    let mut bytes = Vec::new();
    Message::Accept(Accept {
        nonce: join.nonce,
        session,
        clock: now.micros(),
        report_interval_ms: REPORTS.as_millis() as u16,
        silence_limit_ms: KEPT.as_millis() as u16,
        sound_port: 0,
        token: 0,
        tlvs: Tlvs::trusted(&tlvs),
    })
    .emit(&mut bytes);
    bytes
}
