//! A watcher of the world, and what its program was told.

use std::collections::VecDeque;
use std::hash::Hash;
use std::net::SocketAddr;
use std::time::Duration;

use udpstream::media::sound::{CODED_FRAMES, FRAMES, Frame, Piece, Rendition};
use udpstream::proto::receiver::{self, Ready, TalkNews, WatchCounts};
use udpstream::proto::{Input, Machine, Output, Port, Received, Receiver};
use udpstream::units::{Time, Unit};
use udpstream::wire::message::{Entry, WantedPictures};
use udpstream::wire::talk::Line;
use udpstream::wire::{Ecn, Hop, Kind};

use super::{SERVER, SOCKET_BUFFER, State, World, address, chunk, packet, secret};
use crate::jpeg::Film;
use crate::link::{Link, Path};
use crate::random::Random;

pub struct Watcher {
    pub machine: Receiver,
    pub address: SocketAddr,
    pub state: State,
    pub seen: Seen,
    /// How much faster its clock goes than the world's, in millionths, since the world began.
    pub ppm: i64,
    /// How far its clock was ahead of the world's when it started, ns.
    pub ahead: i64,
    pub wake: Time,
    pub inbox: VecDeque<(Port, SocketAddr, Vec<u8>)>,
    pub down: Link,
    pub up: Link,
}

/// What a watcher's program was told.
#[derive(Default)]
pub struct Seen {
    pub playing: Vec<(Time, u64, bool)>,
    pub shown: Vec<(Time, Ready, Option<Time>)>,
    pub slices: u64,
    pub refused: u64,
    pub listings: Vec<Vec<Entry>>,
    pub lost: u64,
    pub troubles: Vec<(Time, receiver::Trouble)>,
    /// Other senders to a group that it was told of.
    pub others: Vec<SocketAddr>,
    /// Whether a group's losses were to be had from its server, each time that was told.
    pub repairs: Vec<bool>,
    pub over: Vec<(Time, receiver::Over)>,
    pub finished: Option<Time>,
    /// First frame of each chunk, and whether it came.
    pub sound: Vec<(Time, u64, bool)>,
    /// Of each chunk, unit and gap the first frame and how many there are.
    pub frames: Vec<(u64, u64)>,
    /// The units among them, and whether the one before came with them.
    pub coded: Vec<(u32, bool)>,
    pub sound_over: u64,
    /// When frame 0 is to be heard, as was said at these times.
    pub zero: Vec<(Time, Time)>,
    pub last_report: Time,
    /// How a film on demand was played.
    pub played: Vec<(Time, receiver::Played)>,
    /// When it went elsewhere last.
    jumped: Time,
    /// How many pictures were shown before that.
    pub shown_before: usize,
    /// What was said of the stream.
    pub lines: Vec<Line>,
    /// What this one said that was not taken, and why.
    pub unsaid: Vec<(String, String)>,
    /// Whether there is talk, each time that it was told.
    pub talk_open: Vec<bool>,
    /// Slices since the last picture shown.
    open: Vec<(Unit, u16, u16)>,
}

impl World {
    /// A watcher starts now; returns its number.
    pub fn watch(&mut self, path: Path) -> usize {
        self.watch_with(path, |_| {})
    }

    pub fn watch_with(&mut self, path: Path, configure: impl FnOnce(&mut receiver::Config)) -> usize {
        self.watch_booted(self.now.since(Time::ZERO), path, configure)
    }

    /// A watcher on a machine that was started so long ago.
    pub fn watch_booted(&mut self, ago: Duration, path: Path, configure: impl FnOnce(&mut receiver::Config)) -> usize {
        let n = self.watchers.len();
        let purpose = 1_000 + 10 * n as u64;
        let mut config = receiver::Config {
            seed: secret(self.seed, purpose),
            servers: vec![SERVER].into(),
            stream: None,
            secret: None,
            max_datagram: 0,
            latency: Duration::ZERO,
            patience: None,
            stay: false,
            sound: Some(Rendition::Stereo),
            limits: WantedPictures::ANY,
            frames: None,
            talk: None,
            play: None,
            together: None,
        };
        configure(&mut config);
        self.watchers.push(Watcher {
            machine: Receiver::new(config, Time::ZERO + ago),
            address: address(n as u8 + 10, 40_000),
            state: State::Running,
            seen: Seen::default(),
            ppm: 0,
            ahead: (Time::ZERO + ago).signed_since(self.now),
            wake: self.now,
            inbox: VecDeque::new(),
            down: Link::new(path, Random::fork(self.seed, purpose + 1)),
            up: Link::new(path, Random::fork(self.seed, purpose + 2)),
        });
        n
    }

    /// Both directions of a watcher's path from now on.
    pub fn path(&mut self, watcher: usize, path: Path) {
        self.watchers[watcher].down.path = path;
        self.watchers[watcher].up.path = path;
    }

    /// Only what comes down to the watcher.
    pub fn path_down(&mut self, watcher: usize, path: Path) {
        self.watchers[watcher].down.path = path;
    }

    pub fn watcher_state(&mut self, watcher: usize, state: State) {
        let now = self.now;
        let node = &mut self.watchers[watcher];
        node.state = state;
        if state == State::Running {
            for (port, from, bytes) in std::mem::take(&mut node.inbox) {
                node.machine.handle(
                    node.local(now),
                    Input::Datagram(Received { port, from, local: None, ecn: Ecn::Not, bytes: &bytes }),
                );
            }
            node.wake = now;
        }
    }

    pub fn tell_watcher(&mut self, watcher: usize, local: receiver::Local) {
        let node = &mut self.watchers[watcher];
        node.machine.handle(node.local(self.now), Input::Local(local));
        node.wake = self.now;
    }

    /// A datagram in the name of the server's picture port.
    pub fn forge(&mut self, watcher: usize, bytes: Vec<u8>) {
        self.reach_watcher(watcher, Port::PICTURES, SERVER, bytes);
    }

    /// Whose address it is, and which of his ports.
    pub(super) fn watcher_at(&self, address: SocketAddr) -> Option<(usize, Port)> {
        let of = |port: Port| {
            let own = |watcher: &Watcher| watcher.on(port) == address;
            self.watchers.iter().position(own).map(|n| (n, port))
        };
        of(Port::PICTURES).or_else(|| of(Port::SOUND))
    }

    pub(super) fn reach_watcher(&mut self, n: usize, port: Port, from: SocketAddr, bytes: Vec<u8>) {
        let watcher = &mut self.watchers[n];
        match watcher.state {
            State::Running => {
                let now = watcher.local(self.now);
                watcher
                    .machine
                    .handle(now, Input::Datagram(Received { port, from, local: None, ecn: Ecn::Not, bytes: &bytes }));
                watcher.wake = self.now;
            }
            State::Stopped if watcher.inbox.len() < SOCKET_BUFFER => watcher.inbox.push_back((port, from, bytes)),
            State::Stopped | State::Dead => {}
        }
    }

    pub(super) fn turn_watcher(&mut self, n: usize) {
        while self.watchers[n].state == State::Running && self.watchers[n].wake <= self.now {
            let now = self.watchers[n].local(self.now);
            match self.watchers[n].machine.poll(now) {
                Output::Send(transmit) => {
                    let from = self.watchers[n].on(transmit.port);
                    if Hop::parse(&transmit.hop).is_ok_and(|(hop, _)| hop.kind == Kind::REPORT) {
                        self.watchers[n].seen.last_report = self.now;
                    }
                    self.send(from, &transmit);
                }
                Output::Event(event) => {
                    self.log_event(n, &event);
                    self.watchers[n].seen.take(self.now, &event, &self.film);
                }
                Output::Wait(at, reason) => {
                    assert!(at > now, "watcher {n} would spin for {reason:?} at {now:?}");
                    self.watchers[n].wake = self.watchers[n].global(at);
                }
            }
        }
    }

    fn log_event(&mut self, n: usize, event: &receiver::Event) {
        (self.now, n).hash(&mut self.log);
        match event {
            receiver::Event::Slice(slice) => {
                (slice.unit, slice.x8, slice.y8, slice.jpeg.bytes()).hash(&mut self.log);
            }
            event => format!("{event:?}").hash(&mut self.log),
        }
    }

    pub fn counts(&self, watcher: usize) -> WatchCounts {
        self.watchers[watcher].machine.counts()
    }

    /// Everything that must hold of a watcher at any time, on any path.
    pub fn check(&self, watcher: usize) {
        let Watcher { machine, seen, .. } = &self.watchers[watcher];
        let counts = machine.counts();
        assert_eq!(counts.pictures.shown, seen.shown.len() as u64, "{counts:?}");
        let damaged = seen.shown.iter().filter(|(_, ready, _)| ready.missing > 0).count();
        assert_eq!(counts.pictures.damaged, damaged as u64, "{counts:?}");
        // What is held back for the next picture has been counted but not handed out.
        assert!(seen.slices <= counts.pictures.slices, "{counts:?}");
        if let (Some((_, first, _)), Some((_, last, _)), 0, None) =
            (seen.shown.first(), seen.shown.last(), counts.reconnects, seen.finished)
        {
            let sum = counts.pictures.shown + counts.pictures.lost + counts.pictures.late + counts.pictures.thinned;
            assert_eq!(sum, u64::from(last.unit.0 - first.unit.0 + 1), "{counts:?}");
        }
    }
}

impl Seen {
    pub fn take(&mut self, now: Time, event: &receiver::Event, film: &Film) {
        assert!(self.finished.is_none(), "nothing after Finished");
        match event {
            receiver::Event::Playing { stream, rejoined, .. } => {
                // What was in the making of another stream is of no use.
                self.open.retain(|_| self.playing.last().is_some_and(|(_, before, _)| before == stream));
                self.playing.push((now, *stream, *rejoined));
            }
            receiver::Event::Slice(slice) => {
                self.slices += 1;
                let name = (slice.unit, slice.x8, slice.y8);
                assert!(film.has(slice.x8, slice.y8, slice.jpeg.bytes()), "not the sender's bytes: {name:?}");
                assert!(!self.open.contains(&name), "handed out twice: {name:?}");
                self.open.push(name);
            }
            receiver::Event::Played(played) => {
                if self.played.last().is_none_or(|(_, before)| before.jump != played.jump) {
                    (self.jumped, self.shown_before) = (now, self.shown.len());
                    self.open.clear();
                }
                self.played.push((now, *played));
            }
            receiver::Event::Show { picture, due } => self.show(now, picture, *due),
            receiver::Event::Refused { .. } | receiver::Event::TooLarge(_) => self.refused += 1,
            receiver::Event::Talk(TalkNews::Line(line)) => self.lines.push(line.clone()),
            receiver::Event::Talk(TalkNews::Unsaid(line)) => {
                self.unsaid.push((line.text.clone(), line.sentence.clone()))
            }
            receiver::Event::Talk(TalkNews::Open(open)) => self.talk_open.push(*open),
            receiver::Event::Listing(entries) => self.listings.push(entries.clone()),
            receiver::Event::ListFailed(_) => {}
            receiver::Event::Trouble(trouble) => {
                self.lost += u64::from(*trouble == receiver::Trouble::Silent);
                self.troubles.push((now, *trouble));
            }
            receiver::Event::AnotherSender(address) => self.others.push(*address),
            receiver::Event::Repairs { are_had, .. } => self.repairs.push(*are_had),
            receiver::Event::Sound { first, piece } => self.hear(now, *first, piece),
            receiver::Event::SoundOver => self.sound_over += 1,
            receiver::Event::SoundTiming(timing) => self.zero.push((now, timing.zero)),
            receiver::Event::Over { why, .. } => self.over.push((now, *why)),
            receiver::Event::Finished => self.finished = Some(now),
        }
    }

    fn hear(&mut self, now: Time, first: u64, piece: &Piece) {
        let frames = match piece {
            Piece::Frames(frames) => {
                let made = chunk((first / FRAMES as u64) as u32);
                assert!(*frames == made || is_mono_of(frames, &made), "not the sender's: {first}");
                FRAMES as u64
            }
            Piece::Coded { packet: coded, frames, before } => {
                let number = (first / CODED_FRAMES as u64) as u32;
                assert_eq!((first % CODED_FRAMES as u64, coded), (0, &packet(number)), "not the sender's: {first}");
                assert!(
                    before.as_ref().is_none_or(|before| *before == packet(number - 1)),
                    "not the one before: {first}"
                );
                self.coded.push((number, before.is_some()));
                u64::from(*frames)
            }
            Piece::Lost { frames, .. } => u64::from(*frames),
        };
        self.frames.push((first, frames));
        let since = self.playing.last().map_or(Time::ZERO, |(at, ..)| *at).max(self.jumped);
        let before = self.sound.last().filter(|(at, ..)| *at >= since);
        assert!(before.is_none_or(|(_, before, _)| *before < first), "{first} after {before:?}");
        self.sound.push((now, first, !piece.is_lost()));
    }

    fn show(&mut self, now: Time, picture: &Ready, due: Option<Time>) {
        let open = std::mem::take(&mut self.open);
        assert!(open.iter().all(|(unit, ..)| *unit == picture.unit), "slices of another picture: {open:?} {picture:?}");
        let slices = if picture.same { 0 } else { usize::from(picture.received) };
        assert_eq!(open.len(), slices, "{picture:?}");
        let since = self.playing.last().map_or(Time::ZERO, |(at, ..)| *at).max(self.jumped);
        let before = self.shown.last().filter(|(at, ..)| *at >= since);
        assert!(before.is_none_or(|(_, before, _)| before.unit < picture.unit), "{picture:?} after {before:?}");
        self.shown.push((now, *picture, due));
    }

    /// Pictures shown from `from` until `until`.
    pub fn shown_between(&self, from: Time, until: Time) -> usize {
        self.shown.iter().filter(|(at, ..)| (from..until).contains(at)).count()
    }
}

impl Watcher {
    /// What its clock shows at a moment of the world.
    pub const fn local(&self, at: Time) -> Time {
        at.offset((at.nanos() as i128 * self.ppm as i128 / 1_000_000) as i64 + self.ahead)
    }

    /// The first moment of the world at which its clock shows this.
    pub fn global(&self, local: Time) -> Time {
        if local == Time::NEVER {
            return local;
        }
        let nanos = i128::from(local.offset(-self.ahead).nanos()) * 1_000_000 / (1_000_000 + i128::from(self.ppm));
        let mut at = Time::from_nanos(nanos as i64);
        while self.local(at) < local {
            at += Duration::from_nanos(1);
        }
        at
    }

    /// Its address on one of its ports.
    pub fn on(&self, port: Port) -> SocketAddr {
        SocketAddr::new(self.address.ip(), self.address.port() + port.0)
    }
}

fn is_mono_of(frames: &[Frame], made: &[Frame]) -> bool {
    let mean = |[left, right]: Frame| ((i32::from(left) + i32::from(right)) / 2) as i16;
    frames.iter().zip(made).all(|(mono, both)| *mono == [mean(*both); 2])
}
