//! Listening to a group: nobody is asked and nothing is said. The first sender that says what it sends is taken, and kept until
//! it has said goodbye or has been silent for a while; others are counted, and each is told of once.

use std::net::SocketAddr;
use std::time::Duration;

use super::joining::Joining;
use super::session::Session;
use super::wishes::Wanting;
use super::{Client, Config, Event};
use crate::proto::clocksync::ClockSync;
use crate::proto::reception::{InTime, Receipt, Reception, Terms};
use crate::proto::{Peer, Received};
use crate::seal::Seed;
use crate::units::Time;
use crate::wire::message::{Message, NackName};
use crate::wire::object::{ObjectView, Type};
use crate::wire::{Hop, Kind, StreamName};

/// A sender that has been silent for so long gives way to another: it speaks four times a second at least.
const GIVES_WAY: Duration = Duration::from_millis(1_200);
/// The same where the other is on the same host: a sender that was started anew.
const GIVES_WAY_ON_HOST: Duration = Duration::from_millis(300);
/// Other senders that are told of.
const MOST_OTHERS: usize = 8;
/// Never asked for.
const NO_REPORTS: Duration = Duration::from_secs(2);

/// What is known of a group.
#[derive(Default)]
pub struct Tuned {
    /// Senders that were taken so far.
    count: u32,
    /// The last that said goodbye, and its stream: it may go on saying so.
    over: Option<(SocketAddr, u64)>,
    /// Other senders that were told of.
    others: Vec<SocketAddr>,
    /// What is missing is asked for elsewhere, where a question and its answer take so long.
    asks: Option<Duration>,
}

impl Client {
    /// A client that listens to a group.
    pub fn tuned(config: Config, seed: &Seed, now: Time) -> Self {
        let client = Self::new(config, seed, now);
        Self { joining: Joining::listening(now), tuned: Some(Tuned::default()), ..client }
    }

    /// The same after another one: this sender said goodbye to that.
    pub fn after(mut self, over: Option<(SocketAddr, u64)>) -> Self {
        self.tuned.iter_mut().for_each(|tuned| tuned.over = over);
        self
    }

    /// The sender to the group that said goodbye last, and its stream.
    pub fn sender_over(&self) -> Option<(SocketAddr, u64)> {
        self.tuned.as_ref()?.over
    }

    /// Whether it listens to a group.
    pub const fn is_tuned(&self) -> bool {
        self.tuned.is_some()
    }

    pub(super) fn hear_group<'a>(&mut self, now: Time, datagram: Received<'a>) -> Option<(Receipt, ObjectView<'a>)> {
        let heard = Hop::parse(datagram.bytes).ok().filter(|(hop, _)| hop.tag == 0 && is_of_group(hop.kind));
        let Some((hop, body)) = heard else {
            self.traffic.rejected += 1;
            return None;
        };
        self.traffic.came(datagram.bytes.len());
        let described = described(hop.kind, body);
        let ours = self.session.as_ref().filter(|session| session.reception.peer().address == datagram.from);
        let again = ours.is_some_and(|session| self.begins_anew(session, hop, described));
        if ours.is_none() || again {
            self.is_to_be_taken(now, datagram.from, described)?;
            self.take_sender(now, datagram.from);
        }
        self.in_session(now, datagram, hop, body)
    }

    /// Whether the sender was started anew at the same address: another stream comes with an earlier number.
    fn begins_anew(&self, session: &Session, hop: Hop, described: Option<u64>) -> bool {
        let known = self.stream.as_ref().map(|stream| stream.id);
        let newest = session.reception.hops().newest().unwrap_or_default();
        described.is_some_and(|id| known != Some(id)) && u64::from(hop.sequence) < newest
    }

    /// The stream of a sender that is not heard yet, if it is the one to hear from now on. Only a description says what there is.
    fn is_to_be_taken(&mut self, now: Time, from: SocketAddr, described: Option<u64>) -> Option<u64> {
        let tuned = self.tuned.as_mut()?;
        let heard = self.session.as_ref().map(|session| &session.reception);
        let patience = |other: SocketAddr| if other.ip() == from.ip() { GIVES_WAY_ON_HOST } else { GIVES_WAY };
        let free = heard.is_none_or(|heard| {
            let address = heard.peer().address;
            address == from || now.since(heard.heard()) >= patience(address)
        });
        if !free {
            self.traffic.others += 1;
        }
        let stream = described?;
        let over = tuned.over == Some((from, stream));
        if free {
            return Some(stream).filter(|_| !over);
        }
        if !over && tuned.others.len() < MOST_OTHERS && !tuned.others.contains(&from) {
            tuned.others.push(from);
            self.events.push_back(Event::AnotherSender(from));
        }
        None
    }

    fn take_sender(&mut self, now: Time, from: SocketAddr) {
        let peer = Peer { port: self.config.port, address: from };
        let Some(tuned) = self.tuned.as_mut() else { return };
        tuned.count = tuned.count.wrapping_add(1).max(1);
        tuned.others.retain(|other| *other != from);
        // Its low half is the tag of what is sent to groups.
        let id = u64::from(tuned.count) << 32;
        let terms = Terms { id, peer, report_interval: NO_REPORTS, token: 0, memory: self.config.memory };
        let mut reception = Reception::new(terms, ClockSync::default(), now);
        reception.only_listens();
        self.past = self.session.take().map(|session| session.reception.into_hops());
        self.session = Some(Session::new(reception, Wanting::new(self.config.wishes)));
        self.trouble = None;
    }

    /// Where the sender that is heard can be asked for what is missing, and for which stream; `None`: that is not known, or nowhere.
    pub fn unicast(&self) -> Option<(SocketAddr, StreamName)> {
        let session = self.session.as_ref().filter(|session| session.described && self.tuned.is_some())?;
        let mut address = session.reception.peer().address;
        address.set_port(session.unicast?);
        Some((address, session.name.clone()?))
    }

    /// What is missing is asked for elsewhere from now on, where that takes so long; or, with `None`, nowhere.
    pub const fn asks_elsewhere(&mut self, round_trip: Option<Duration>) {
        if let Some(tuned) = &mut self.tuned {
            tuned.asks = round_trip;
        }
    }

    /// What of the group is to be asked for now.
    pub fn missing(&mut self, now: Time, in_time: InTime<'_>) -> Vec<NackName> {
        let session = self.session.as_mut().filter(|session| session.described);
        session.map_or_else(Vec::new, |session| session.reception.missing(now, in_time, &mut self.traffic))
    }

    /// An object that the group lacked has come from elsewhere.
    pub fn repaired(&mut self, now: Time, object: &ObjectView<'_>, exact: &[u8]) -> Option<Receipt> {
        let ours = self.stream.as_ref().is_some_and(|stream| stream.id == object.header.stream);
        let session = self.session.as_mut().filter(|_| ours)?;
        self.traffic.repair.resent += 1;
        self.traffic.repair.bytes += exact.len() as u64;
        Some(session.reception.repaired(now, object, exact))
    }

    /// Asks in this session for what another one lacks.
    pub fn ask_for(&mut self, now: Time, names: Vec<NackName>) {
        if let Some(session) = self.session.as_mut().filter(|session| session.described && !names.is_empty()) {
            let nack = Message::Nack { session: session.reception.id(), names };
            self.out.push_back(session.reception.say(now, &nack));
        }
    }

    /// Does what is due of a group.
    pub(super) fn tend_tuned(&mut self, now: Time) {
        let Some(session) = self.session.as_mut() else { return };
        match self.tuned.as_ref().and_then(|tuned| tuned.asks) {
            Some(round_trip) => session.reception.asks_elsewhere(round_trip),
            None => session.reception.listen(now),
        }
        let over = session.bye.is_some().then(|| session.reception.peer().address);
        let stream = self.stream.as_ref().map(|stream| stream.id);
        if let (Some(tuned), Some(over)) = (self.tuned.as_mut(), over.zip(stream)) {
            tuned.over = Some(over);
        }
    }
}

/// What is sent to groups; all else is of a session.
const fn is_of_group(kind: Kind) -> bool {
    matches!(kind, Kind::OBJECT | Kind::PARITY | Kind::UPDATE | Kind::BYE)
}

/// The stream of a description that is not damaged.
fn described(kind: Kind, body: &[u8]) -> Option<u64> {
    let likely = kind == Kind::OBJECT && body.get(1) == Some(&Type::DESCRIPTION.0);
    let object = likely.then(|| ObjectView::parse(body).ok()).flatten()?;
    (object.header.kind == Type::DESCRIPTION).then_some(object.header.stream)
}
