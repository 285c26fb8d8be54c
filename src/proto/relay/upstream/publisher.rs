//! A stream whose sender has come by itself.

use std::net::IpAddr;
use std::time::Duration;

use super::{Above, Upstream};
use crate::proto::client::{self, Client, Wishes};
use crate::proto::reception::Terms;
use crate::proto::relay::publishing::{KEPT, REPORTS};
use crate::proto::server::{Feed, Local};
use crate::proto::{Input, Machine, Peer, Port, Server, Servers, Transmit};
use crate::seal::{Grant, Seed};
use crate::units::{Bitrate, Time};
use crate::wire::message::{COOKIE_LEN, Join, Role, bye};
use crate::wire::tlv::kind;

/// A publisher's rate is looked at so often.
const METER: Duration = Duration::from_secs(1);
/// Probes and repair may take so much more than is allowed.
const TOLERANCE: f64 = 1.25;

/// Sound takes 1.4 Mb/s as it is, and 0.12 Mb/s coded: of less than this it would take more than a quarter.
const ROOM_FOR_SOUND: Bitrate = Bitrate::bps(6_000_000);

/// Who sends a stream.
pub struct Published {
    pub grant: Grant,
    pub peer: Peer,
    /// Which of our addresses answers leave from.
    pub local: Option<IpAddr>,
    pub session: u64,
    /// Of the Join that the session was made with.
    pub nonce: u64,
    pub cookie: [u8; COOKIE_LEN],
    /// Its answer.
    pub accept: Vec<u8>,
    /// Most that it may send.
    pub most: Option<Bitrate>,
}

/// Whether somebody sends too much.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    /// When the second began, and the bytes before it.
    began: (Time, u64),
    /// Seconds in a row that were above.
    above: u32,
}

impl Meter {
    /// So many bytes have come before.
    pub const fn new(now: Time, bytes: u64) -> Self {
        Self { began: (now, bytes), above: 0 }
    }

    /// So many bytes have come in all; true once `patience` seconds in a row brought more than `most`.
    fn is_above(&mut self, now: Time, bytes: u64, most: Bitrate, patience: u32) -> bool {
        let (began, before) = self.began;
        let took = now.since(began);
        if took >= METER {
            let rate = Bitrate::of(bytes.saturating_sub(before), took).unwrap_or_default();
            let above = rate.as_bps() as f64 > most.as_bps() as f64 * TOLERANCE;
            (self.began, self.above) = ((now, bytes), if above { self.above + 1 } else { 0 });
        }
        self.above >= patience
    }
}

impl Upstream {
    /// It is sent by this publisher from now on.
    pub fn take_publisher(&mut self, now: Time, published: Published, seed: &Seed) {
        self.count_client();
        self.listener = None;
        let peer = published.peer;
        let config = client::Config {
            servers: Servers::at(peer),
            several: false,
            port: Port::PICTURES,
            max_datagram: 0,
            stream: None,
            secret: None,
            wishes: Wishes::NONE,
            together: None,
            with_session: None,
            memory: Duration::from_secs(1),
            role: Role::Relay,
            via: Vec::new(),
            film: None,
        };
        let terms =
            Terms { id: published.session, peer, report_interval: REPORTS, token: 0, memory: Duration::from_secs(1) };
        self.client = Some(Client::accepted(config, terms, self.name.clone(), seed, now));
        (self.port, self.above, self.idle, self.waits) = (Port::PICTURES, Above::Asked, None, false);
        (self.published, self.is_place, self.is_vacant) = (Some(published), true, false);
        self.tap.iter_mut().for_each(|tap| tap.is_listed = true);
        self.look_soon();
        self.stirred = true;
    }

    fn count_client(&mut self) {
        if let Some(client) = self.client.take() {
            self.came = (self.came.0 + client.traffic().datagrams, self.came.1 + client.traffic().bytes);
        }
    }

    /// Whether its publisher has not been heard for too long.
    pub fn publisher_is_gone(&self, now: Time) -> bool {
        self.published.is_some() && self.client.as_ref().and_then(Client::heard).is_none_or(|at| now.since(at) >= KEPT)
    }

    /// Whether a publisher at another address is there, and was heard within this time.
    pub fn is_sent_from_elsewhere(&self, now: Time, from: Peer, within: Duration) -> bool {
        let elsewhere = self.published.as_ref().is_some_and(|published| published.peer != from);
        elsewhere && self.client.as_ref().and_then(Client::heard).is_some_and(|at| now.since(at) < within)
    }

    /// Whether whoever joins holds the session that there is.
    pub fn is_session(&self, join: &Join<'_>) -> bool {
        let named = join.tlvs.find(kind::WITH_SESSION);
        self.published.as_ref().is_some_and(|published| named == Some(&published.session.to_be_bytes()[..]))
    }

    /// When that is.
    pub(super) fn publisher_deadline(&self) -> Option<Time> {
        self.published.as_ref()?;
        self.client.as_ref().and_then(Client::heard).map(|at| at + KEPT)
    }

    /// Whether its publisher has sent more than it may, for so many seconds.
    pub fn sends_too_much(&mut self, now: Time, patience: u32) -> bool {
        let bytes = self.traffic().1;
        let Some(most) = self.published.as_ref().and_then(|published| published.most) else { return false };
        self.meter.get_or_insert_with(|| Meter::new(now, bytes)).is_above(now, bytes, most, patience)
    }

    /// The stream ends: those who watch are told why, and so is the publisher, if it is there.
    pub fn end(&mut self, now: Time, server: &mut Server, sentence: &str) {
        self.client.iter_mut().for_each(|client| client.close_with(now, bye::FAILED, sentence));
        self.end_here(now, server, sentence);
    }

    /// The stream ends, as its publisher has said.
    pub(super) fn end_here(&mut self, now: Time, server: &mut Server, sentence: &str) {
        self.flush(now, server);
        let feed = Feed::Goodbye(bye::ENDED, sentence.to_owned());
        server.handle(now, Input::Local(Local::Stream(self.key, feed)));
        self.leave_ended(now);
        server.withdraw(self.key, true);
        self.published = None;
    }

    /// A publisher that pauses is away by its own will, and comes back when it goes on.
    pub(super) fn look_at_pause(&mut self, now: Time, server: &mut Server) {
        let paused = self.published.is_some() && self.client.as_ref().is_some_and(Client::is_paused);
        match (paused, &self.above) {
            (true, Above::Flows | Above::Asked) => self.above = Above::Paused,
            (false, Above::Paused) => self.described(now, server),
            _ => {}
        }
    }

    /// Where answers to a publisher leave from.
    pub(super) fn answered(&self, transmit: Transmit) -> Transmit {
        Transmit { from: self.published.as_ref().and_then(|published| published.local).or(transmit.from), ..transmit }
    }

    /// Whether what the publisher may send has no room for sound as it is beside the pictures.
    pub(super) fn is_held_short(&self) -> bool {
        self.published.as_ref().and_then(|published| published.most).is_some_and(|most| most < ROOM_FOR_SOUND)
    }

    /// What a publisher may send at most, of what is wanted.
    pub(super) fn capped(&self, wanted: Option<Bitrate>) -> Option<Bitrate> {
        let most = self.published.as_ref().and_then(|published| published.most);
        [wanted, most].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_is_too_much_only_after_some_seconds_in_a_row() {
        let (mut meter, most) = (Meter::new(Time::ZERO, 0), Bitrate::bps(8_000_000));
        let mut bytes = 0;
        let mut second = |n: u64, megabytes: f64| {
            bytes += (megabytes * 1e6) as u64;
            meter.is_above(Time::from_millis(n * 1_000), bytes, most, 3)
        };
        let above = [(1, 2.0), (2, 2.0), (3, 1.2), (4, 2.0), (5, 2.0), (6, 2.0)].map(|(n, sent)| second(n, sent));
        assert_eq!(above, [false, false, false, false, false, true]);
    }
}
