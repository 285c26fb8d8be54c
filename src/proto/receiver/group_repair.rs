//! A receiver of a group that also reaches its server: it joins there, is sent nothing, and asks for what the group has lost. So
//! what few have lost costs the many nothing.
//!
//! Nothing in a group is proven: whoever forges its sender's address names any port of that host. So a session that lives is kept
//! whatever is named, and others are tried seldom, and ever more seldom if nobody answers.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Event, Receiver};
use crate::proto::client::{self, Client, Wishes};
use crate::proto::{Port, Reason, Received, Soonest};
use crate::units::Time;
use crate::wire::message::{RepairWish, Role};
use crate::wire::{HOP_LEN, ObjectView, SizeClass};

/// Where what a group has lost is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairPlace {
    /// Where the sender says.
    Told,
    At(SocketAddr),
}

/// Another session is begun so long after the one before; twice as long after each that nobody has let in, up to the longest.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_LONGEST: Duration = Duration::from_secs(60);
/// Who has not let us in by then is asked no more.
const PATIENCE: Duration = Duration::from_secs(2);
/// A session that was heard so lately is kept, whatever else is named.
const LIVES: Duration = Duration::from_secs(2);

/// Asking beside a group.
pub struct GroupRepair {
    place: Option<RepairPlace>,
    asked: Option<Asked>,
    /// When another session may be begun, and how long after that the next one.
    next: Time,
    wait: Duration,
    /// One is to be begun then.
    waits: bool,
    /// Nobody has let us in, as was told.
    refused: bool,
}

/// A session in which is asked.
struct Asked {
    client: Box<Client>,
    server: SocketAddr,
    began: Time,
}

impl Default for GroupRepair {
    fn default() -> Self {
        Self { place: None, asked: None, next: Time::ZERO, wait: AGAIN, waits: false, refused: false }
    }
}

impl GroupRepair {
    pub fn client(&self) -> Option<&Client> {
        self.asked.as_ref().map(|asked| &*asked.client)
    }

    pub fn client_mut(&mut self) -> Option<&mut Client> {
        self.asked.as_mut().map(|asked| &mut *asked.client)
    }

    pub fn soonest(&self) -> Soonest {
        self.client().map_or_else(Soonest::new, Client::soonest).or(self.waits.then_some(self.next), Reason::Retry)
    }

    /// Whether a session is to be begun now; it counts as one that nobody lets in until it is known better.
    fn begins(&mut self, now: Time) -> bool {
        self.waits = now < self.next;
        if !self.waits {
            (self.next, self.wait) = (now + self.wait, (self.wait * 2).min(AGAIN_LONGEST));
        }
        !self.waits
    }

    /// Whether the session is over: nobody has let us in, or another server is to be asked. `meant`: the one that is named.
    fn is_over(&mut self, now: Time, meant: Option<SocketAddr>) -> bool {
        let Some(Asked { client, server, began }) = &self.asked else { return false };
        if client.goodbye().is_some() {
            return true;
        }
        if !client.is_joined() {
            return now.since(*began) >= PATIENCE || meant.is_some_and(|meant| meant != *server);
        }
        (self.next, self.wait) = (*began + AGAIN, AGAIN);
        let lives = client.heard().is_some_and(|heard| now.since(heard) < LIVES);
        // Of another host all that comes is of another stream.
        meant.is_some_and(|meant| meant != *server && (meant.ip() != server.ip() || !lives))
    }
}

impl Receiver {
    /// What the group loses is asked for there, over the port of sound, which a group leaves free.
    pub fn repair_from(&mut self, place: RepairPlace) {
        self.group_repair.place = Some(place).filter(|_| self.client.is_tuned());
    }

    /// Joins where the group's sender can be asked, and asks for what is missing.
    pub(super) fn tend_group_repair(&mut self, now: Time) {
        let Some(place) = self.group_repair.place else { return };
        let meant = self.client.unicast().map(|(told, name)| match place {
            RepairPlace::Told => (told, name),
            RepairPlace::At(address) => (address, name),
        });
        if self.group_repair.is_over(now, meant.as_ref().map(|(server, _)| *server)) {
            self.tell_of_repairs(false);
            self.leave_group_repair(now);
        }
        self.group_repair.waits = false;
        if let Some((server, name)) = meant
            && self.group_repair.asked.is_none()
            && self.group_repair.begins(now)
        {
            let repair = RepairWish { asks: true, ..self.wanted.repair };
            let config = client::Config {
                servers: vec![server].into(),
                port: Port::SOUND,
                max_datagram: SizeClass::ETHERNET.datagram() as u16,
                stream: Some(name),
                wishes: Wishes { paused: true, repair, ..Wishes::NONE },
                role: Role::Watch,
                ..self.client.config().clone()
            };
            let client = Box::new(Client::new(config, &self.random.seed(), now));
            self.group_repair.asked = Some(Asked { client, server, began: now });
        }
        let Some(client) = self.group_repair.client_mut() else { return };
        client.tend(now, Duration::ZERO, &|_, _, _| None);
        // What it has to say is of no stream that plays.
        while client.event().is_some() {}
        let round_trip = client.rtt().filter(|_| client.is_joined());
        self.client.asks_elsewhere(round_trip);
        if round_trip.is_some() {
            self.tell_of_repairs(true);
            self.ask_beside(now);
        }
    }

    /// That nobody repairs is told once, and then that somebody does.
    fn tell_of_repairs(&mut self, joined: bool) {
        let Some(Asked { client, server, .. }) = &self.group_repair.asked else { return };
        if joined == self.group_repair.refused && joined == client.is_joined() {
            self.group_repair.refused = !joined;
            self.events.push_back(Event::Repairs { server: *server, are_had: joined });
        }
    }

    fn ask_beside(&mut self, now: Time) {
        let player = &self.player;
        let in_time = |kind, rendition, unit| player.in_time(kind, rendition, unit);
        loop {
            let names = self.client.missing(now, &in_time);
            if names.is_empty() {
                return;
            }
            self.group_repair.client_mut().into_iter().for_each(|client| client.ask_for(now, names.clone()));
        }
    }

    /// An answer, or what else comes from there.
    pub(super) fn group_repair_datagram(&mut self, now: Time, datagram: Received<'_>) {
        let Some(client) = self.group_repair.client_mut() else { return };
        let Some((_, object)) = client.datagram(now, datagram) else { return };
        let exact = datagram.bytes.get(HOP_LEN..).and_then(ObjectView::exact).unwrap_or_default();
        if let Some(came) = self.client.repaired(now, &object, exact)
            && !self.player.object(came, &object)
        {
            self.client.reject();
        }
        self.take_played();
    }

    /// Says goodbye there.
    pub(super) fn leave_group_repair(&mut self, now: Time) {
        if let Some(Asked { mut client, .. }) = self.group_repair.asked.take() {
            client.close(now);
            self.out.extend(std::iter::from_fn(|| client.transmit()));
            self.gone.add(client.traffic());
        }
        self.client.asks_elsewhere(None);
    }
}
