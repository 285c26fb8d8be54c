//! A receiver of a group that also reaches its server: it joins there, is sent nothing, and asks for what the group has lost. So
//! what few have lost costs the many nothing.

use std::net::SocketAddr;
use std::time::Duration;

use super::Receiver;
use crate::proto::client::{self, Client, Wishes};
use crate::proto::{Port, Received, Soonest};
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

/// Asking beside a group.
#[derive(Default)]
pub struct GroupRepair {
    place: Option<RepairPlace>,
    /// In which session, and whom that was made with.
    asked: Option<(Box<Client>, SocketAddr)>,
}

impl GroupRepair {
    pub fn client(&self) -> Option<&Client> {
        self.asked.as_ref().map(|(client, _)| &**client)
    }

    pub fn client_mut(&mut self) -> Option<&mut Client> {
        self.asked.as_mut().map(|(client, _)| &mut **client)
    }

    pub fn soonest(&self) -> Soonest {
        self.client().map_or_else(Soonest::new, Client::soonest)
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
        if let Some((told, name)) = self.client.unicast().filter(|_| self.group_repair.asked.is_none()) {
            let server = if let RepairPlace::At(address) = place { address } else { told };
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
            let client = Client::new(config, &self.random.seed(), now);
            self.group_repair.asked = Some((Box::new(client), told));
        }
        // Another sender is asked elsewhere.
        let gone = self
            .client
            .unicast()
            .zip(self.group_repair.asked.as_ref())
            .is_some_and(|((told, _), (_, was))| told != *was);
        let Some(client) = self.group_repair.client_mut() else { return };
        client.tend(now, Duration::ZERO, &|_, _, _| None);
        // What it has to say is of no stream that plays.
        while client.event().is_some() {}
        let round_trip = client.rtt().filter(|_| client.is_joined());
        if gone || client.goodbye().is_some() {
            self.leave_group_repair(now);
            return;
        }
        self.client.asks_elsewhere(round_trip);
        if round_trip.is_some() {
            self.ask_beside(now);
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
        if let Some((mut client, _)) = self.group_repair.asked.take() {
            client.close(now);
            self.out.extend(std::iter::from_fn(|| client.transmit()));
            self.gone.add(client.traffic());
        }
        self.client.asks_elsewhere(None);
    }
}
