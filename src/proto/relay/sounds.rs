//! Further renditions of a stream's sound: each is subscribed above by itself, while somebody here is to be sent it.

use std::time::Duration;

use super::heard::Heard;
use super::{LINGER, Port};
use crate::media::sound::Rendition;
use crate::proto::client::Client;
use crate::proto::{ConnectionState, Peer, Received, Soonest, Transmit};
use crate::units::Time;
use crate::wire::HOP_LEN;
use crate::wire::object::{ObjectHeader, ObjectView, Type};

/// What is missing of sound may come so late.
const IN_TIME: Duration = Duration::from_millis(200);
/// A rendition that could not be had is asked for again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// See the head of this file.
#[derive(Default)]
pub struct Sounds {
    lines: Vec<SoundLine>,
    /// Nothing is subscribed before then.
    not_before: Time,
}

struct SoundLine {
    rendition: Rendition,
    client: Client,
    port: Port,
    /// Nobody has needed it since then.
    unneeded: Option<Time>,
}

/// A subscription that is over: its port, and what it says at last.
pub struct Farewell {
    pub port: Port,
    pub said: Vec<Transmit>,
    /// Datagrams and bytes that came.
    pub came: (u64, u64),
}

impl Sounds {
    /// A rendition that is needed, beside `first`, and not subscribed.
    pub fn wanted(&self, now: Time, needed: [bool; 3], first: Rendition) -> Option<Rendition> {
        let all = [Rendition::Stereo, Rendition::Mono, Rendition::Coded];
        let lacks = |rendition: &Rendition| {
            needed[usize::from(rendition.id())]
                && *rendition != first
                && self.lines.iter().all(|line| line.rendition != *rendition)
        };
        all.into_iter().find(lacks).filter(|_| now >= self.not_before)
    }

    pub fn add(&mut self, rendition: Rendition, client: Client, port: Port) {
        self.lines.push(SoundLine { rendition, client, port, unneeded: None });
    }

    /// Does what is due; those that are over are taken out.
    pub fn tend(&mut self, now: Time, needed: [bool; 3], first: Rendition, heard: &[Heard; 3]) -> Vec<Farewell> {
        let mut over = Vec::new();
        for mut line in std::mem::take(&mut self.lines) {
            let rendition = usize::from(line.rendition.id());
            let in_time = |kind: Type, rendition: u8, unit: crate::units::Unit| {
                let wanted = heard.get(usize::from(rendition)).is_some_and(|heard| heard.wants(unit.0));
                (kind == Type::SOUND && wanted).then_some(now + IN_TIME)
            };
            line.client.set_patience(Duration::ZERO);
            line.client.tend(now, Duration::ZERO, &in_time);
            let needless = !needed[rendition] || line.rendition == first;
            let since = if needless { *line.unneeded.get_or_insert(now) } else { now };
            line.unneeded = line.unneeded.filter(|_| needless);
            let failed = std::iter::from_fn(|| line.client.event()).any(|event| {
                !matches!(event, crate::proto::client::Event::Described(_) | crate::proto::client::Event::HeardAgain)
            });
            if failed || line.client.goodbye().is_some() || now.since(since) >= LINGER {
                self.not_before = if failed { now + AGAIN } else { self.not_before };
                over.push(line.farewell(now));
            } else {
                self.lines.push(line);
            }
        }
        over
    }

    /// All are over.
    pub fn end(&mut self, now: Time) -> Vec<Farewell> {
        std::mem::take(&mut self.lines).into_iter().map(|line| line.farewell(now)).collect()
    }

    /// Takes a datagram in, if it came to one of these; with an object that it brought.
    pub fn datagram<'a>(&mut self, now: Time, datagram: Received<'a>) -> Option<(ObjectHeader, &'a [u8])> {
        let line = self.lines.iter_mut().find(|line| line.port == datagram.port.socket())?;
        let (_, object) = line.client.datagram(now, datagram)?;
        let raw = ObjectView::exact(datagram.bytes.get(HOP_LEN..)?)?;
        Some((object.header, raw))
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn has(&self, port: Port) -> bool {
        self.lines.iter().any(|line| line.port == port)
    }

    pub fn connection(&mut self, now: Time, peer: Peer, state: ConnectionState) {
        self.lines.iter_mut().for_each(|line| line.client.connection(now, peer, state));
    }

    pub fn not_sent(&mut self, port: Port) {
        self.lines.iter_mut().filter(|line| line.port == port).for_each(|line| line.client.not_sent());
    }

    pub fn transmit(&mut self) -> Option<Transmit> {
        self.lines.iter_mut().find_map(|line| line.client.transmit())
    }

    pub fn soonest(&self) -> Soonest {
        let all = self.lines.iter().map(|line| line.client.soonest());
        all.fold(Soonest::new(), |soonest, Soonest(at, why)| soonest.or(Some(at), why))
    }

    /// Datagrams and bytes of those that there are.
    pub fn came(&self) -> (u64, u64) {
        let came = self.lines.iter().map(|line| (line.client.traffic().datagrams, line.client.traffic().bytes));
        came.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }
}

impl SoundLine {
    fn farewell(mut self, now: Time) -> Farewell {
        self.client.close(now);
        let came = (self.client.traffic().datagrams, self.client.traffic().bytes);
        Farewell { port: self.port, said: std::iter::from_fn(|| self.client.transmit()).collect(), came }
    }
}
