//! `run` drives any protocol machine: one mio loop over its sockets, a precise timer, signals, and a waker for other
//! threads. It knows nothing of what the machine does.

mod connections;
pub mod group;
pub mod interface;
mod local;
pub mod networks;
pub mod probe;
pub mod question;
#[cfg(target_os = "linux")]
pub mod slice;
mod socket;
mod source;
pub mod timer;
mod turn;

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token, Waker};
use signal_hook_mio::v1_0::Signals;

pub use connections::Listener;
use connections::{Connections, Sent};
use local::Came;
use socket::Buffer;
pub use socket::{Marks, Options, Socket, plain};
use turn::{Sending, Turned};

use crate::clock::now;
use crate::proto::{Input, Machine, Port, Received, Transmit};
use crate::queue;
use crate::units::Time;

const TIMER: Token = Token(1_000);
const WAKER: Token = Token(1_001);
const SIGNALS: Token = Token(1_002);
/// Datagrams taken from one socket before the clock is looked at.
const BATCH: usize = 64;
/// While there is always something to send, datagrams are taken in for so long, a batch at least, before that goes on.
const READING: Duration = Duration::from_millis(2);

/// An interface may come and go; that is noticed so soon.
const LOOK: Duration = Duration::from_secs(1);

const HANGUP: i32 = 1;
const INTERRUPT: i32 = 2;
const TERMINATE: i32 = 15;

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Continue,
    Stop,
}

/// The program around a machine.
pub trait App<M: Machine> {
    /// Takes what the machine says.
    fn event(&mut self, now: Time, machine: &mut M, event: M::Event) -> Flow;
    /// Hands the machine what other threads have brought; called whenever the loop turns.
    fn turn(&mut self, _now: Time, _machine: &mut M) -> Flow {
        Flow::Continue
    }
    /// How many sockets the machine needs now, the loop's first ones among them. More are opened, on any port.
    fn ports(&self, _machine: &M) -> usize {
        0
    }
    /// When to call `turn` even if nothing happens.
    fn deadline(&self) -> Time {
        Time::NEVER
    }
    /// Ctrl-C (2), SIGTERM (15), or, once, SIGHUP (1): the terminal is gone. Comes only after [`Loop::catch_signals`].
    fn signal(&mut self, _now: Time, _machine: &mut M, _signal: i32) -> Flow {
        Flow::Stop
    }
}

/// A closure is an app that only takes what the machine says.
impl<M: Machine, F: FnMut(Time, &mut M, M::Event) -> Flow> App<M> for F {
    fn event(&mut self, now: Time, machine: &mut M, event: M::Event) -> Flow {
        self(now, machine, event)
    }
}

/// The loop before it runs.
pub struct Loop {
    poll: Poll,
    waker: Arc<Waker>,
    timer: timer::Timer,
    signals: Option<Signals>,
    hung_up: bool,
    /// By their ports; `None`: the machine has this one only for connections.
    sockets: Vec<Option<Line>>,
    /// Those that send to groups, and that on which a relay hears one.
    groups: Vec<Line>,
    /// When groups are looked after next.
    next_look: Time,
    connections: Connections,
    sending: Sending,
}

struct Line {
    port: Port,
    socket: Socket,
    readable: bool,
}

impl Loop {
    /// A loop with one socket, on any port of both address families: all that a watcher needs.
    pub fn on_any_port() -> io::Result<Self> {
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        Self::new(vec![Socket::bind(Options::on(address))?])
    }

    /// Sockets in the order of the machine's ports.
    pub fn new(sockets: Vec<Socket>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let timer = timer::Timer::new(poll.registry(), TIMER)?;
        let connections = Connections::new(poll.registry().try_clone()?);
        let mut this = Self {
            poll,
            connections,
            waker,
            timer,
            signals: None,
            hung_up: false,
            sockets: Vec::new(),
            groups: Vec::new(),
            next_look: Time::NEVER,
            sending: Sending::default(),
        };
        sockets.into_iter().try_for_each(|socket| this.add(socket))?;
        Ok(this)
    }

    /// One more socket: the machine's next port.
    pub fn add(&mut self, socket: Socket) -> io::Result<()> {
        let line = self.register(Port(self.sockets.len() as u16), socket)?;
        self.sockets.push(Some(line));
        Ok(())
    }

    /// No socket for the machine's next port.
    pub fn leave_out(&mut self) {
        self.sockets.push(None);
    }

    /// What stands in the headers of connections that are opened here.
    pub const fn mark_connections(&mut self, marks: Marks) {
        self.connections.mark(marks);
    }

    /// Accepts connections, as the other half of this port of the machine's.
    pub fn listen(&mut self, port: Port, listener: Listener) -> io::Result<()> {
        self.connections.listen(port, listener)
    }

    /// A group's socket: the machine's port [`Port::GROUP`] and its like, or [`Port::TUNED`].
    pub fn add_group(&mut self, port: Port, socket: Socket) -> io::Result<()> {
        let line = self.register(port, socket)?;
        self.groups.push(line);
        Ok(())
    }

    fn register(&mut self, port: Port, mut socket: Socket) -> io::Result<Line> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut socket.udp, Token(port.0.into()), interest)?;
        if socket.keeper.is_some() {
            self.next_look = Time::ZERO;
        }
        Ok(Line { port, socket, readable: true })
    }

    /// Sees to it that sockets are in their groups, now and then.
    fn look_after_groups(&mut self, now: Time) {
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOK;
        for Line { socket, .. } in self.sockets.iter_mut().flatten().chain(&mut self.groups) {
            let Socket { udp, keeper, .. } = socket;
            keeper.iter_mut().for_each(|keeper| keeper.look(udp));
        }
    }

    /// Handles Ctrl-C, SIGTERM and the end of the terminal in this loop from now on.
    pub fn catch_signals(&mut self) -> io::Result<()> {
        let mut signals = Signals::new([INTERRUPT, TERMINATE])?;
        if !hangup_is_ignored() {
            signals.add_signal(HANGUP)?;
        }
        self.poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        self.signals = Some(signals);
        Ok(())
    }

    /// Wakes the loop from another thread.
    pub fn waker(&self) -> queue::Waker {
        let waker = Arc::clone(&self.waker);
        // A wake-up that cannot be delivered means that the loop is gone, and nobody is left to tell.
        Arc::new(move || drop(waker.wake()))
    }

    /// Runs until the app or an error of the system stops it.
    pub fn run<M: Machine>(mut self, machine: &mut M, app: &mut impl App<M>) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        slice::shorten();
        let mut events = Events::with_capacity(64);
        let mut buffer = Buffer::default();
        loop {
            if app.turn(now(), machine) == Flow::Stop {
                return Ok(());
            }
            while self.sockets.len() < app.ports(machine) {
                self.add(Socket::bind(Options::on(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))))?)?;
            }
            self.look_after_groups(now());
            let (sockets, groups, connections) = (&self.sockets, &self.groups, &mut self.connections);
            let send = |transmit: &Transmit| {
                if transmit.port.is_connections() {
                    return connections.send(now(), transmit);
                }
                let line = sockets.get(usize::from(transmit.port.0)).and_then(Option::as_ref);
                let line = line.or_else(|| groups.iter().find(|line| line.port == transmit.port));
                line.map_or(Ok(Sent::Taken), |line| line.socket.send(transmit).map(|_| Sent::Taken))
            };
            let turned = self.sending.turn(machine, app, now, send);
            let until = match turned {
                Turned::Idle(until) => until.min(app.deadline()).min(self.connections.deadline()),
                Turned::Busy => Time::ZERO,
                Turned::Blocked => app.deadline(),
                Turned::Stop => return Ok(()),
            };
            let until = until.min(self.next_look);
            let timeout = self.timeout(until);
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                if self.happened(event, machine, app) == Flow::Stop {
                    return Ok(());
                }
            }
            let reading = if turned == Turned::Busy { READING } else { Duration::ZERO };
            self.receive(machine, &mut buffer, reading);
            self.connections.receive(&mut buffer, machine);
        }
    }

    fn timeout(&mut self, until: Time) -> Option<Duration> {
        let mut lines = self.sockets.iter().flatten().chain(&self.groups);
        if lines.any(|line| line.readable) || self.connections.is_readable(now()) {
            return Some(Duration::ZERO);
        }
        self.timer.arm(until, now())
    }

    fn happened<M: Machine>(&mut self, event: &mio::event::Event, machine: &mut M, app: &mut impl App<M>) -> Flow {
        match event.token() {
            TIMER => self.timer.clear(),
            WAKER => {}
            SIGNALS => {
                let signals: Vec<i32> = self.signals.as_mut().map_or_else(Vec::new, |s| s.pending().collect());
                return self.caught(&signals, machine, app);
            }
            token if Connections::owns(token) => self.connections.happened(now(), event, machine),
            Token(port) => {
                let mut lines = self.sockets.iter_mut().flatten().chain(&mut self.groups);
                if let Some(line) = lines.find(|line| usize::from(line.port.0) == port) {
                    line.readable |= event.is_readable() || event.is_error();
                }
            }
        }
        Flow::Continue
    }

    fn caught<M: Machine>(&mut self, signals: &[i32], machine: &mut M, app: &mut impl App<M>) -> Flow {
        for &signal in signals {
            // The system and the shell may both say that the terminal is gone; that is no second request.
            if signal == HANGUP && std::mem::replace(&mut self.hung_up, true) {
                continue;
            }
            if app.signal(now(), machine, signal) == Flow::Stop {
                return Flow::Stop;
            }
        }
        Flow::Continue
    }

    /// Takes datagrams in, but not for long, so that sending is never held up.
    fn receive<M: Machine>(&mut self, machine: &mut M, buffer: &mut Buffer, reading: Duration) {
        let until = now() + reading;
        for line in self.sockets.iter_mut().flatten().chain(&mut self.groups).filter(|line| line.readable) {
            for count in 1.. {
                if count % BATCH == 0 && now() >= until {
                    break;
                }
                match line.socket.receive(buffer) {
                    Ok(Came { length, from, local, ecn }) => {
                        let bytes = &buffer.bytes[..length];
                        let received = Received { port: line.port, from, local, ecn, bytes };
                        machine.handle(now(), Input::Datagram(received));
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        line.readable = false;
                        break;
                    }
                    // An ICMP error of an earlier send: the next call reads on.
                    Err(_) => {}
                }
            }
        }
    }
}

/// Whether we were started by `nohup`, to outlive the terminal. Where the system does not tell we were not.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & (1 << (HANGUP - 1)) != 0)
}
