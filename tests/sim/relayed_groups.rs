//! A relay of a group that nobody watches through it: what it lists.

use std::rc::Rc;

use udpstream::proto::relay::{Config, Relay};
use udpstream::proto::server::{self, Event, GroupConfig, Local, Server, StreamKey};
use udpstream::proto::{Input, Machine, Output, Port, Received, Servers};
use udpstream::units::{Rate, Size, Time};
use udpstream::wire::{Ecn, StreamName};

use crate::jpeg::Film;
use crate::net::{group, ms, secret, streaming};

/// A server that sends to a group, and a relay of that.
struct Pair {
    now: Time,
    server: Server,
    sent: StreamKey,
    relay: Relay,
    listed: StreamKey,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let (now, film) = (Time::from_millis(60_000), Rc::new(Film::new(Size::new(320, 176), Rate::TYPICAL, 12)));
        let mut stream = streaming("film", &film);
        (stream.description.title, stream.description.live) = ("The yard".to_owned(), true);
        let (mut server, sent) = Server::single(server::Config::new(secret(seed, 1)), stream);
        server.handle(now, Input::Local(Local::Group(sent, GroupConfig::new(Port::GROUP, group(1)))));
        let config = Config {
            seed: secret(seed, 2),
            server: server::Config::new(secret(seed, 3)),
            id: seed,
            origins: Servers::default(),
            name: None,
            publishing: None,
            tapped: false,
        };
        let mut relay = Relay::new(config, now);
        let listed = relay.tune(StreamName::parse("group").expect("a name")).expect("the first");
        Self { now, server, sent, relay, listed }
    }

    /// What is sent to the group reaches the relay, each datagram changed by `on_the_way`, for a second.
    fn run(&mut self, on_the_way: impl Fn(&mut Vec<u8>)) {
        for _ in 0..100 {
            self.now += ms(10);
            let now = self.now;
            while let Some(mut bytes) = next(&mut self.server, now) {
                on_the_way(&mut bytes);
                let from = "10.1.0.1:9688".parse().expect("an address");
                let datagram = Received { port: Port::TUNED, from, local: None, ecn: Ecn::Not, bytes: &bytes };
                self.relay.handle(now, Input::Datagram(datagram));
            }
            while !matches!(self.relay.poll(now), Output::Wait(..)) {}
        }
        self.relay.assert_sound();
    }

    /// Title, size and whether it is live, as listed.
    fn list(&self) -> (String, Size, bool) {
        let listed = self.relay.server().description(self.listed).expect("it is listed");
        (listed.title.clone(), listed.size, listed.live)
    }
}

/// The next datagram to the group.
fn next(server: &mut Server, now: Time) -> Option<Vec<u8>> {
    loop {
        match server.poll(now) {
            Output::Send(transmit) => return Some([&transmit.hop[..], transmit.body.bytes()].concat()),
            Output::Event(Event::Finished) | Output::Wait(..) => return None,
            Output::Event(_) => {}
        }
    }
}

#[test]
fn a_group_is_listed_as_it_describes_itself_though_nobody_watches() {
    let mut pair = Pair::new(1);
    let unknown = pair.list();
    assert_eq!(unknown.0, "group", "nothing was heard");
    pair.run(|bytes| {
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
    });
    assert_eq!(pair.list(), unknown, "what is damaged says nothing");
    pair.run(|_| {});
    assert_eq!(pair.list(), ("The yard".to_owned(), Size::new(320, 176), true));
    assert_eq!(pair.relay.server().watchers(), 0);
    let described = pair.server.description(pair.sent).cloned();
    assert_eq!(pair.relay.server().description(pair.listed).cloned(), described, "all of it");
}
