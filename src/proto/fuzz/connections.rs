//! A server and watchers behind connections, over UDP, or both: bytes come in pieces, are damaged, stop and end; connections are full
//! when the script says so.

use std::net::SocketAddr;
use std::time::Duration;

use super::film::Film;
use super::script::Script;
use super::seen::Seen;
use super::sources::{Source, serving};
use super::world::{SERVER, outside};
use super::{STEPS, damage, forge};
use crate::media::sound::Rendition;
use crate::proto::framing::{Deframer, length};
use crate::proto::receiver::{Config, Local};
use crate::proto::{
    ConnectionState, Input, Machine, Output, Peer, Port, Received, Receiver, Server, Servers, Transmit, Transport,
};
use crate::units::{Rate, Time};
use crate::wire::Ecn;

const PATIENCE: usize = 4_000;
/// Bytes that wait in one direction at most: more are lost, as the connection would be.
const ROOM: usize = 1 << 20;

/// One direction of a connection.
#[derive(Default)]
struct Pipe {
    bytes: Vec<u8>,
    deframer: Deframer,
}

struct Watcher {
    machine: Receiver,
    address: SocketAddr,
    seen: Seen,
    down: Pipe,
    up: Pipe,
}

struct Tunnel {
    now: Time,
    server: Server,
    sources: Vec<Source>,
    film: Film,
    watchers: Vec<Watcher>,
    /// What travels over UDP arrives.
    open: bool,
}

/// A server, connections, and watchers behind them.
#[doc(hidden)]
pub fn fuzz_connections(data: &[u8]) {
    let mut script = Script::new(data);
    let Some(mut tunnel) = Tunnel::new(&mut script) else { return };
    for _ in 0..STEPS {
        if script.is_over() {
            break;
        }
        let n = script.choice(2);
        match script.choice(9) {
            0..=3 => tunnel.run(script.u8() / 2),
            4 => tunnel
                .tell(n, [ConnectionState::Full, ConnectionState::Ready, ConnectionState::Closed][script.choice(3)]),
            5 => tunnel.open = !tunnel.open,
            6 => tunnel.wish(n, &mut script),
            7 => tunnel.lie(n, &mut script),
            _ => {
                tunnel.now += Duration::from_millis(u64::from(script.u8()) * 40);
                tunnel.turn();
            }
        }
    }
    tunnel.run(5);
}

impl Tunnel {
    fn new(script: &mut Script<'_>) -> Option<Self> {
        let (bits, now) = (script.u8(), Time::from_millis(60_000));
        let plan = (bits & 1 != 0, Rate::new(30, 1)?, bits & 2 != 0, bits & 4 != 0);
        let (server, sources) = serving(1, SERVER.port() - 1, plan, 1)?;
        let watcher = |n: u8| {
            let transport = [Transport::Auto, Transport::Tcp, Transport::Both][usize::from(bits / 8 + n) % 3];
            let sound = (bits & 4 != 0).then_some(Rendition::Stereo);
            let config = Config { stay: true, sound, ..Config::new([n; 32], Servers::new(transport, vec![SERVER])) };
            let mut seen = Seen::of(bits & 4 != 0);
            seen.hostile = true;
            let machine = Receiver::new(config, now);
            Watcher { machine, address: outside(n, 40_000), seen, down: Pipe::default(), up: Pipe::default() }
        };
        let watchers = vec![watcher(1), watcher(2)];
        Some(Self { now, server, sources, film: Film::default(), watchers, open: bits & 128 == 0 })
    }

    fn run(&mut self, millis: u8) {
        for _ in 0..millis {
            self.now += Duration::from_millis(1);
            for source in &mut self.sources {
                source.feed(self.now, &mut self.server, &mut self.film);
            }
            self.turn();
        }
    }

    /// All that is to be said is said, and what has come is read.
    fn turn(&mut self) {
        self.turn_server();
        for n in 0..self.watchers.len() {
            let down = std::mem::take(&mut self.watchers[n].down.bytes);
            self.reach_watcher(n, &down);
            self.turn_watcher(n);
            let up = std::mem::take(&mut self.watchers[n].up.bytes);
            self.reach_server(n, &up);
        }
        self.turn_server();
    }

    fn turn_server(&mut self) {
        for _ in 0..PATIENCE {
            match self.server.poll(self.now) {
                Output::Send(transmit) => self.send_down(&transmit),
                Output::Event(_) => {}
                Output::Wait(at, reason) => {
                    assert!(at > self.now, "the server would spin for {reason:?}");
                    return self.server.assert_sound();
                }
            }
        }
        panic!("the server never waits");
    }

    fn send_down(&mut self, transmit: &Transmit) {
        let (now, open) = (self.now, self.open);
        let Some(watcher) = self.watchers.iter_mut().find(|watcher| watcher.address.ip() == transmit.to.ip()) else {
            return;
        };
        if transmit.port.is_connections() {
            return watcher.down.put(transmit);
        }
        if open {
            let bytes = [&transmit.hop[..], transmit.body.bytes()].concat();
            let from = SocketAddr::new(SERVER.ip(), SERVER.port() - transmit.port.0);
            let port = Port(transmit.to.port() - watcher.address.port());
            let received = Received { port, from, local: None, ecn: Ecn::Not, bytes: &bytes };
            watcher.machine.handle(now, Input::Datagram(received));
        }
    }

    fn turn_watcher(&mut self, n: usize) {
        for _ in 0..PATIENCE {
            let watcher = &mut self.watchers[n];
            match watcher.machine.poll(self.now) {
                Output::Send(transmit) if transmit.port.is_connections() => watcher.up.put(&transmit),
                Output::Send(transmit) if self.open => {
                    let bytes = [&transmit.hop[..], transmit.body.bytes()].concat();
                    let port = if transmit.to == SERVER { Port::PICTURES } else { Port::SOUND };
                    let from = SocketAddr::new(watcher.address.ip(), watcher.address.port() + transmit.port.0);
                    let received = Received { port, from, local: None, ecn: Ecn::Not, bytes: &bytes };
                    self.server.handle(self.now, Input::Datagram(received));
                }
                Output::Send(_) => {}
                Output::Event(event) => watcher.seen.event(&event, &self.film),
                Output::Wait(at, reason) => {
                    assert!(at > self.now, "the watcher would spin for {reason:?}");
                    watcher.machine.assert_sound();
                    return;
                }
            }
        }
        panic!("the watcher never waits");
    }

    fn reach_watcher(&mut self, n: usize, bytes: &[u8]) {
        let (now, port) = (self.now, Port::PICTURES.connections());
        let Watcher { machine, down, .. } = &mut self.watchers[n];
        let read = down.deframer.take(bytes, |bytes| {
            machine.handle(now, Input::Datagram(Received { port, from: SERVER, local: None, ecn: Ecn::Not, bytes }));
        });
        if read.is_err() {
            self.tell(n, ConnectionState::Closed);
        }
    }

    fn reach_server(&mut self, n: usize, bytes: &[u8]) {
        let (now, port) = (self.now, Port::PICTURES.connections());
        let (server, Watcher { address, up, .. }) = (&mut self.server, &mut self.watchers[n]);
        let from = *address;
        let read = up.deframer.take(bytes, |bytes| {
            server.handle(now, Input::Datagram(Received { port, from, local: None, ecn: Ecn::Not, bytes }));
        });
        if read.is_err() {
            self.tell(n, ConnectionState::Closed);
        }
    }

    /// A connection is full, has room, or is gone, as both its ends hear.
    fn tell(&mut self, n: usize, state: ConnectionState) {
        let watcher = &mut self.watchers[n];
        let port = Port::PICTURES.connections();
        if state == ConnectionState::Closed {
            (watcher.down, watcher.up) = Default::default();
            watcher.machine.handle(self.now, Input::Connection(Peer { port, address: SERVER }, state));
        }
        self.server.handle(self.now, Input::Connection(Peer { port, address: watcher.address }, state));
    }

    fn wish(&mut self, n: usize, script: &mut Script<'_>) {
        let local = match script.choice(4) {
            0 => Local::Pause(script.u8() & 1 == 0),
            1 => Local::Sound((script.u8() & 1 == 0).then_some(Rendition::Mono)),
            2 => Local::List,
            _ => Local::Switch(super::world::name(script.u8())),
        };
        self.watchers[n].machine.handle(self.now, Input::Local(local));
    }

    /// What one end writes is damaged, or made up.
    fn lie(&mut self, n: usize, script: &mut Script<'_>) {
        let (at, bits) = (usize::from(script.u16()), script.u8());
        let mut bytes = match script.choice(4) {
            0 => forge::hello(script),
            1 => forge::join(script),
            2 => script.bytes().to_vec(),
            _ => forge::report(u64::from(bits), script),
        };
        if bits & 1 == 0 {
            damage(&mut bytes, at, bits);
        }
        let framed = [&length(bytes.len() + usize::from(bits & 2 != 0))[..], &bytes].concat();
        if bits & 4 == 0 {
            self.reach_server(n, &framed)
        } else {
            self.reach_watcher(n, &framed)
        }
        self.turn();
    }
}

impl Pipe {
    fn put(&mut self, transmit: &Transmit) {
        if self.bytes.len() < ROOM {
            self.bytes.extend(length(transmit.len()));
            self.bytes.extend_from_slice(&transmit.hop);
            self.bytes.extend_from_slice(transmit.body.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_script_shows_pictures_over_each_way() {
        for bits in [0, 8, 16] {
            let mut tunnel = Tunnel::new(&mut Script::new(&[bits])).expect("a plan");
            (0..12).for_each(|_| tunnel.run(250));
            let shown = tunnel.watchers.iter().map(|watcher| watcher.machine.counts().pictures.shown).min();
            assert!(shown > Some(30), "{shown:?} pictures, bits {bits}");
        }
    }
}
