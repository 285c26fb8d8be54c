//! The run: all join, the window of units that everybody must get is opened, closed, and looked at. One thread, one
//! epoll.

use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use mio::{Events, Poll, Token};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use udpstream::clock::now;
use udpstream::units::{Time, Unit};

use super::ledger::Origin;
use super::verdict::Figures;
use super::watcher::Watcher;

pub type Failure = Box<dyn std::error::Error>;

/// After the last has started, all must have had a picture within this time.
const JOIN_LIMIT: Duration = Duration::from_secs(10);
/// After the window is closed, the last of its pictures may take this long.
const LINGER: Duration = Duration::from_secs(1);
/// Descriptors beside the watchers' sockets.
const OTHER_FILES: u64 = 64;

pub struct Options {
    pub server: String,
    pub watchers: usize,
    pub duration: Duration,
    pub joins: u32,
    pub datagram: u16,
    pub tcp: bool,
}

pub fn run(options: &Options) -> Result<Figures, Failure> {
    let unknown = || format!("no address is known for {}: give the server as HOST:PORT", options.server);
    let server = options.server.to_socket_addrs().map_err(|_| unknown())?.next().ok_or_else(unknown)?;
    allow_files(options.watchers as u64 + OTHER_FILES)?;
    let mut crowd = Crowd::new()?;
    crowd.join(options, server)?;
    let (first, begun) = (crowd.next_unit(), now());
    crowd.turn_until(begun + options.duration, |crowd| crowd.is_over())?;
    let last = crowd.last_unit();
    let took = now().since(begun);
    crowd.turn_until(now() + LINGER, |crowd| crowd.have(last))?;
    crowd.watchers.iter_mut().for_each(Watcher::stop);
    Ok(Figures::of(&crowd.watchers, &crowd.origin, (first, last), took))
}

/// A socket for each watcher.
fn allow_files(wanted: u64) -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let maximum = limit.maximum.map(|maximum| maximum.max(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    raised.map_err(|_| format!("{wanted} open files are not allowed here: try `ulimit -n {wanted}` first").into())
}

struct Crowd {
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    watchers: Vec<Watcher>,
    origin: Origin,
    wakes: BTreeSet<(Time, usize)>,
}

impl Crowd {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1_024),
            buffer: vec![0; 65_536],
            watchers: Vec::new(),
            origin: Origin::default(),
            wakes: BTreeSet::new(),
        })
    }

    /// Starts all watchers, one after the other, and waits until each has had a picture.
    fn join(&mut self, options: &Options, server: SocketAddr) -> Result<(), Failure> {
        let begun = now();
        let pause = Duration::from_secs(1) / options.joins;
        for n in 0..options.watchers {
            self.turn_until(begun + pause * n as u32, |_| false)?;
            self.start(Watcher::new(n, server, (options.datagram, options.tcp), now())?)?;
        }
        self.turn_until(now() + JOIN_LIMIT, Self::is_watching)?;
        if self.is_watching() {
            return Ok(());
        }
        let watching = self.watchers.iter().filter(|watcher| !watcher.ledger.complete.is_empty()).count();
        let refused = self.watchers.iter().find_map(|watcher| watcher.refused.as_deref());
        let why = refused.unwrap_or("Is it running, and does it have pictures to send?");
        Err(format!("{watching} of {} watchers got a picture from {server}. {why}", options.watchers).into())
    }

    fn start(&mut self, mut watcher: Watcher) -> Result<(), Failure> {
        let n = self.watchers.len();
        watcher.way.register(self.poll.registry(), Token(n))?;
        self.wakes.insert((watcher.wake, n));
        self.watchers.push(watcher);
        Ok(())
    }

    /// Whether everybody has had a picture.
    fn is_watching(&self) -> bool {
        self.watchers.iter().all(|watcher| !watcher.ledger.complete.is_empty())
    }

    fn is_over(&self) -> bool {
        self.origin.ended.is_some()
    }

    /// The first unit that nobody has seen anything of.
    fn next_unit(&self) -> Unit {
        self.origin.newest.map_or(Unit(0), Unit::next)
    }

    /// The last unit that anybody was sent, or that there is.
    fn last_unit(&self) -> Unit {
        let ended = self.origin.ended.and_then(|ended| ended.0.checked_sub(1)).map(Unit);
        ended.or(self.origin.newest).unwrap_or_default()
    }

    fn have(&self, last: Unit) -> bool {
        self.watchers.iter().all(|watcher| watcher.ledger.complete.last() >= Some(&last))
    }

    fn turn_until(&mut self, until: Time, enough: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        while now() < until && !enough(self) {
            self.turn(until)?;
        }
        Ok(())
    }

    /// Waits until something comes or is due, and does it.
    fn turn(&mut self, until: Time) -> Result<(), Failure> {
        let due = self.wakes.first().map_or(until, |(at, _)| until.min(*at));
        match self.poll.poll(&mut self.events, Some(due.since(now()))) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => other?,
        }
        for event in &self.events {
            let Token(n) = event.token();
            let watcher = &mut self.watchers[n];
            let before = watcher.wake;
            watcher.read(&mut self.buffer, &mut self.origin);
            note(&mut self.wakes, n, before, watcher.wake);
        }
        while let Some(&(at, n)) = self.wakes.first().filter(|(at, _)| *at <= now()) {
            self.watchers[n].turn();
            note(&mut self.wakes, n, at, self.watchers[n].wake);
        }
        Ok(())
    }
}

fn note(wakes: &mut BTreeSet<(Time, usize)>, n: usize, before: Time, after: Time) {
    wakes.remove(&(before, n));
    wakes.insert((after, n));
}
