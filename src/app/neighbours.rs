//! Which streams there are on the local network: servers announce themselves, and are asked for what they list. What has a code is in
//! no list; what has a password is named by its server alone, and not to the network.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread::Builder;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::address::{Address, Target};
use super::asking;
use crate::clock::now;
use crate::discovery::{Browser, DiscoveryError, Seen, Server};
use crate::net::Loop;
use crate::proto::{Servers, Transport};
use crate::units::Time;
use crate::wire::message::{Entry, State};

/// So long is looked before anything is said: announced servers answer within some tenths of a second.
pub const LOOK: Duration = Duration::from_millis(1_500);
/// A server that has announced itself answers at once, or is of no use.
const PATIENCE: Duration = Duration::from_millis(1_200);
/// One that did not is waited for longer, so that TCP has its turn too.
const MORE: Duration = Duration::from_secs(3);
/// What is listed is asked for again so often, for as long as somebody looks.
const AGAIN: Duration = Duration::from_secs(3);
/// Who does not answer is asked less often each time, and so many times less at last (a power of 2): anybody may announce anything.
const RARER: u32 = 4;
/// Servers that are looked at; more are left out.
const MOST: usize = 64;
/// News that wait.
const NEWS: usize = 256;

/// A server on the network.
struct Neighbour {
    server: Server,
    /// What it lists; `None` while it has not answered.
    entries: Option<Vec<Entry>>,
    /// When to ask again.
    next: Time,
    asked: bool,
    /// So many times it has not answered, one after another.
    silences: u32,
}

/// A stream that can be watched, or a server of which no more is known than that it has some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its server, as that is called on the network.
    pub instance: String,
    pub places: Vec<SocketAddr>,
    /// How it is asked, unless somebody wants it another way.
    pub transport: Transport,
    /// `None`: all that the server has is watched by codes.
    pub entry: Option<Entry>,
}

impl Stream {
    /// Whether it asks for a password.
    pub fn is_guarded(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.guarded)
    }

    /// Its server, as one would type it.
    pub fn server(&self) -> String {
        self.address().typed()
    }

    fn address(&self) -> Address {
        let transport = Some(self.transport).filter(|transport| *transport == Transport::Tcp);
        // Nothing is found without a place.
        let none = || Address { host: String::new(), port: None, transport };
        self.places.first().map_or_else(none, |place| Address { transport, ..Address::of(*place) })
    }

    /// What is watched if this is chosen.
    pub fn target(&self) -> Target {
        let stream = self.entry.as_ref().map(|entry| entry.name.clone());
        Target { address: self.address(), stream, code: None, all: false, group: None }
    }
}

/// What came in; see [`Neighbours::take`].
pub enum News {
    Seen(Seen),
    Listed(String, Option<Vec<Entry>>),
}

/// Looks until it is dropped.
pub struct Neighbours {
    servers: BTreeMap<String, Neighbour>,
    tell: Sender<News>,
    told: Receiver<News>,
    _browser: Browser,
}

impl Neighbours {
    pub fn look() -> Result<Self, DiscoveryError> {
        let (tell, told) = bounded(NEWS);
        let seen = tell.clone();
        let browser = Browser::start(move |news| {
            // What has no room is announced again.
            !matches!(seen.try_send(News::Seen(news)), Err(crossbeam_channel::TrySendError::Disconnected(_)))
        })?;
        Ok(Self { servers: BTreeMap::new(), tell, told, _browser: browser })
    }

    /// Looks until then; false if a signal ended it before.
    pub fn look_until(&mut self, until: Time, interrupted: &Receiver<()>) -> bool {
        while now() < until {
            self.ask_again();
            select! {
                recv(interrupted) -> _ => return false,
                recv(self.told) -> news => {
                    news.ok().map(|news| self.take(news));
                }
                default(until.min(self.next()).since(now())) => {}
            }
        }
        true
    }

    /// What has come in and is to be taken.
    pub const fn news(&self) -> &Receiver<News> {
        &self.told
    }

    /// When to ask again.
    pub fn next(&self) -> Time {
        let waiting = self.servers.values().filter(|neighbour| !neighbour.asked);
        waiting.map(|neighbour| neighbour.next).min().unwrap_or(Time::NEVER)
    }

    /// Takes news in; returns whether something has changed.
    pub fn take(&mut self, news: News) -> bool {
        match news {
            News::Seen(Seen::Gone(instance)) => self.servers.remove(&instance).is_some(),
            News::Seen(Seen::Server(server)) => self.server(server),
            News::Listed(instance, entries) => {
                let Some(neighbour) = self.servers.get_mut(&instance) else { return false };
                neighbour.silences = if entries.is_some() { 0 } else { neighbour.silences.saturating_add(1) };
                (neighbour.asked, neighbour.next) = (false, now() + pause(neighbour.silences));
                let changed = neighbour.entries != entries;
                neighbour.entries = entries;
                changed
            }
        }
    }

    fn server(&mut self, server: Server) -> bool {
        let is_full = self.servers.len() >= MOST;
        match self.servers.get_mut(&server.instance) {
            None if is_full => return false,
            Some(known) if known.server == server => return false,
            // The answer that is on its way may be of the old address.
            Some(known) => (known.server, known.next) = (server, now()),
            None => {
                let instance = server.instance.clone();
                let new = Neighbour { server, entries: None, next: now(), asked: false, silences: 0 };
                self.servers.insert(instance, new);
            }
        }
        self.ask_again();
        true
    }

    /// Asks those whose turn it is, each on a thread of its own.
    pub fn ask_again(&mut self) {
        let at = now();
        for neighbour in self.servers.values_mut().filter(|neighbour| !neighbour.asked && neighbour.next <= at) {
            let (tell, server) = (self.tell.clone(), neighbour.server.clone());
            let patience = if neighbour.silences == 0 { PATIENCE } else { MORE };
            let ask = move || {
                let entries = listed(Servers::new(server.summary.transport(), server.places), patience);
                // Nobody may look any more.
                tell.send(News::Listed(server.instance, entries)).ok();
            };
            neighbour.asked = Builder::new().name("ask".into()).spawn(ask).is_ok();
            neighbour.next = at + AGAIN;
        }
    }

    /// All that goes on, by server and name.
    pub fn streams(&self) -> Vec<Stream> {
        let of = |neighbour: &Neighbour| {
            let Neighbour { server, entries, .. } = neighbour;
            let stream = |entry: Option<Entry>| Stream {
                instance: server.instance.clone(),
                places: server.places.clone(),
                transport: server.summary.transport(),
                entry,
            };
            let going_on = entries.iter().flatten().filter(|entry| entry.state != State::Ended);
            let mut all: Vec<Stream> = going_on.map(|entry| stream(Some(entry.clone()))).collect();
            if all.is_empty() && server.summary.guarded && entries.is_some() {
                all.push(stream(None));
            }
            all
        };
        self.servers.values().flat_map(of).collect()
    }

    /// Servers that have announced themselves, and do not answer.
    pub fn silent(&self) -> impl Iterator<Item = &Server> {
        self.servers.values().filter(|neighbour| neighbour.entries.is_none()).map(|neighbour| &neighbour.server)
    }
}

/// What a server lists; `None` if it does not tell.
fn listed(servers: Servers, patience: Duration) -> Option<Vec<Entry>> {
    let event_loop = Loop::on_any_port().ok()?;
    asking::ask(event_loop, servers, patience).ok()??.ok()
}

/// Until a server is asked again that has been silent so many times.
fn pause(silences: u32) -> Duration {
    AGAIN * (1 << silences.min(RARER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_asked_less_and_less() {
        assert_eq!([0, 1, 2, 4, 5, u32::MAX].map(|silences| pause(silences).as_secs()), [3, 6, 12, 48, 48, 48]);
    }
}
