//! Fetching the list of a server's streams: Hello, Challenge, and then List after List until all pages are there.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::proto::client::Retry;
use crate::proto::{Peer, Port, Reason, Received, Servers, Soonest, Transmit, hop};
use crate::seal::Random;
use crate::units::Time;
use crate::wire::message::{COOKIE_LEN, Entry, List, Listing, Message, Refuse, RefuseCode};
use crate::wire::tlv::printable;
use crate::wire::{Hop, Kind, VERSION};

/// Streams listed, at most: no page beyond is asked for.
const MOST_ENTRIES: usize = 1_024;
/// So often the list is asked for from its beginning again because it changed meanwhile.
const MOST_RESTARTS: usize = 3;

/// Why there is no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListFailure {
    /// Nobody has answered, or not in full.
    Nobody,
    /// This machine has no way to the server: nothing can even be sent.
    Network,
    Refused {
        code: RefuseCode,
        sentence: String,
    },
    /// It changed each time while its pages were fetched.
    Changing,
}

type Answer = Result<(SocketAddr, Vec<Entry>), ListFailure>;

#[derive(Clone, Copy)]
enum Step {
    Hello,
    List { server: Peer, cookie: [u8; COOKIE_LEN] },
}

/// One list being fetched, over the port of the pictures.
pub struct Fetch {
    servers: Servers,
    begun: Time,
    /// Connections are tried beside sockets from the beginning.
    at_once: bool,
    random: Random,
    nonce: u64,
    step: Step,
    retry: Retry,
    until: Time,
    entries: Vec<Entry>,
    /// How many streams there are, as the first page told.
    total: Option<u16>,
    restarts: usize,
    /// Datagrams of this try that could not be sent.
    failures: usize,
    answer: Option<Answer>,
    out: VecDeque<Transmit>,
}

impl Fetch {
    /// Begins now, and gives up after `limit`; `at_once`: sockets have brought nothing lately.
    pub fn new(servers: Servers, at_once: bool, mut random: Random, now: Time, limit: Duration) -> Self {
        Self {
            nonce: random.id(),
            servers,
            begun: now,
            at_once,
            random,
            step: Step::Hello,
            retry: Retry::new(now),
            until: now + limit,
            entries: Vec::new(),
            total: None,
            restarts: 0,
            failures: 0,
            answer: None,
            out: VecDeque::new(),
        }
    }

    /// What came of it, once, when it is over.
    pub const fn answer(&mut self) -> Option<Answer> {
        self.answer.take()
    }

    pub const fn not_sent(&mut self) {
        self.failures += 1;
    }

    /// Takes a datagram in; false: it has nothing to do with this.
    pub fn datagram(&mut self, now: Time, datagram: Received<'_>) -> bool {
        if !datagram.port.is_for_pictures() || !self.servers.has(datagram.peer()) {
            return false;
        }
        let Ok((hop, body)) = Hop::parse(datagram.bytes) else { return false };
        if hop.tag != 0 || !matches!(hop.kind, Kind::CHALLENGE | Kind::REFUSE | Kind::LISTING) {
            return false;
        }
        match Message::parse(hop.kind, body) {
            Ok(Message::Challenge { nonce, cookie, .. }) if nonce == self.nonce => {
                self.challenge(now, datagram.peer(), cookie);
            }
            Ok(Message::Refuse(refuse)) if refuse.nonce == self.nonce => self.refused(&refuse),
            Ok(Message::Listing(listing)) if listing.nonce == self.nonce => self.page(now, datagram.peer(), &listing),
            _ => return false,
        }
        true
    }

    fn challenge(&mut self, now: Time, server: Peer, cookie: [u8; COOKIE_LEN]) {
        if matches!(self.step, Step::Hello) {
            (self.step, self.retry) = (Step::List { server, cookie }, Retry::new(now));
            // A cookie is good where it came from.
            self.servers = Servers::at(server);
        }
    }

    fn refused(&mut self, refuse: &Refuse<'_>) {
        let code = if refuse.other_versions().is_some() { RefuseCode::VERSION } else { refuse.code };
        self.answer.get_or_insert(Err(ListFailure::Refused { code, sentence: printable(refuse.sentence) }));
    }

    fn page(&mut self, now: Time, from: Peer, listing: &Listing<'_>) {
        let asked = matches!(self.step, Step::List { server, .. } if server == from);
        if !asked || usize::from(listing.first) != self.entries.len() {
            return;
        }
        let Ok(page) = listing.entries() else { return };
        let total = usize::from(*self.total.get_or_insert(listing.total));
        if usize::from(listing.total) != total || page.is_empty() && self.entries.len() < total {
            return self.start_over(now);
        }
        self.entries.extend(page);
        self.retry = Retry::new(now);
        if self.entries.len() >= total.min(MOST_ENTRIES) {
            self.entries.truncate(total.min(MOST_ENTRIES));
            self.answer.get_or_insert(Ok((from.address, std::mem::take(&mut self.entries))));
        }
    }

    /// The pages are of different lists: the first is asked for again.
    fn start_over(&mut self, now: Time) {
        if self.restarts == MOST_RESTARTS {
            self.answer.get_or_insert(Err(ListFailure::Changing));
            return;
        }
        self.restarts += 1;
        self.entries.clear();
        self.total = None;
        self.retry = Retry::new(now);
    }

    /// Asks what is to be asked now.
    pub fn tend(&mut self, now: Time) {
        if self.answer.is_some() {
            return;
        }
        if now >= self.until {
            let stuck = self.failures >= self.asked(now).len();
            self.answer = Some(Err(if stuck { ListFailure::Network } else { ListFailure::Nobody }));
        } else if self.retry.is_due(now) {
            self.ask(now);
        }
    }

    fn asked(&self, now: Time) -> Vec<Peer> {
        self.servers.asked(Port::PICTURES, now.since(self.begun), self.at_once)
    }

    fn ask(&mut self, now: Time) {
        if matches!(self.step, Step::List { .. }) && self.retry.is_stale() {
            (self.step, self.nonce, self.retry) = (Step::Hello, self.random.id(), Retry::new(now));
            self.retry.is_due(now);
        }
        self.failures = 0;
        match self.step {
            Step::Hello => {
                let hello = Message::Hello { highest: VERSION, lowest: VERSION, nonce: self.nonce };
                let to = self.asked(now).into_iter();
                self.out.extend(to.map(|to| Transmit::message(to, hop(Kind::HELLO, 0, now), &hello)));
            }
            Step::List { server, cookie } => {
                let list = Message::List(List { nonce: self.nonce, cookie, first: self.entries.len() as u16 });
                self.out.push_back(Transmit::message(server, hop(Kind::LIST, 0, now), &list));
            }
        }
    }

    /// What is to be sent next.
    pub fn transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// When to tend it next.
    pub fn soonest(&self) -> Soonest {
        Soonest::new().or(self.retry.deadline(), Reason::Retry).or(Some(self.until), Reason::Retry)
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.out.is_empty() && self.answer.is_none(), "all is said");
        assert!(self.entries.len() < MOST_ENTRIES, "{} streams listed", self.entries.len());
    }
}
