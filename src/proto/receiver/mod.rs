//! The watcher: a [`client`](super::client) of a server and a [`player`](super::player) of what comes from there, and what
//! is between them: which pictures and sounds are wanted, what is told to the program, when it is over.
//!
//! Pictures and sound come in two sessions, on two ports of the server ([`sound_path`]). As long as a loudspeaker plays,
//! both are played so long after they are due that nearly everything has come by then; otherwise pictures are shown when
//! they are there.

mod config;
mod counts;
mod event;
mod fuzz;
mod group_repair;
mod listing;
mod sound_path;
mod wanted;

use std::collections::VecDeque;
use std::time::Duration;

pub use super::client::{Played, Secret, Trouble};
pub use super::lister::ListFailure;
pub use super::player::{Came, Ready, Repaired, Slice, SoundCounts};
pub use config::{Config, Local};
pub use counts::WatchCounts;
pub use event::{Event, Over};
pub use group_repair::RepairPlace;

use super::client::{self, Client, Found};
use super::lister::Fetch;
use super::player::{self, Clock, Player};
pub use super::reception::RepairTraffic;
use super::reception::Traffic;
use super::talk::KnownLines;
pub use super::talk::{TalkNews, Unspoken};
use super::{Input, Machine, Output, Port, Received, Soonest, Transmit, Transport};
use crate::media::Canvas;
use crate::seal::{Random, Seed};
use crate::units::Time;
use crate::wire::ObjectView;
use crate::wire::message::{InForce, Place, RelayHop, Role, State};
use group_repair::GroupRepair;
use sound_path::SoundPath;

/// Pictures are held for no longer than this after they are due: the longest [`Config::latency`].
pub const MAX_LATENCY: Duration = Duration::from_secs(10);
/// A stream whose pictures are too large is looked at again after this.
const TOO_LARGE_AGAIN: Duration = Duration::from_secs(5);
/// What may wait to be taken by the program around. More is dropped as it comes.
const MOST_WAITING: usize = 4_096;

/// Whether the receiver goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// Nothing but goodbyes is left to send.
    Leaving,
    Finished,
}

pub struct Receiver {
    client: Client,
    player: Player,
    sound_path: SoundPath,
    group_repair: GroupRepair,
    wanted: wanted::Wanted,
    /// See [`Config::patience`].
    patience: Option<Duration>,
    fetch: Option<Fetch>,
    stay: bool,
    /// Seeds for the others that speak; the client draws its numbers from the same seed.
    random: Random,
    reconnects: u64,
    /// What came in sound sessions that are no more, or to nobody.
    gone: Traffic,
    phase: Phase,
    lines: KnownLines,
    /// How a film on demand is played, as it was told last.
    played: Option<Played>,
    out: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Receiver {
    pub fn new(config: Config, now: Time) -> Self {
        Self::made(config, now, Client::new)
    }

    /// A receiver of what is sent to a group, which comes on the port of pictures. No server is asked for anything.
    pub fn tuned(config: Config, now: Time) -> Self {
        Self::made(config, now, Client::tuned)
    }

    /// Whether it listens to a group.
    pub const fn is_tuned(&self) -> bool {
        self.client.is_tuned()
    }

    fn made(config: Config, now: Time, client_of: impl Fn(client::Config, &Seed, Time) -> Client) -> Self {
        let latency = config.latency.min(MAX_LATENCY);
        let repair = wanted::repair(config.patience, latency);
        let (sound, limits, play) = (config.sound, config.limits, config.play);
        let wanted = wanted::Wanted { sound, paused: false, limits, repair, play, place: None, goes: false };
        let client = client::Config {
            servers: config.servers,
            several: false,
            port: Port::PICTURES,
            max_datagram: config.max_datagram,
            stream: config.stream,
            secret: config.secret,
            wishes: wanted.wishes(Place::SoundPort),
            together: config.together,
            with_session: None,
            memory: latency,
            role: Role::Watch,
            via: Vec::new(),
            film: None,
        };
        let mut client = client_of(client, &config.seed, now);
        let talk = config.talk.filter(|_| !client.is_tuned());
        talk.into_iter().for_each(|name| client.listen(name));
        Self {
            client,
            player: Player::new(player::Config { latency, sound: config.sound.is_some(), frames: config.frames }),
            sound_path: SoundPath::default(),
            group_repair: GroupRepair::default(),
            wanted,
            patience: config.patience,
            fetch: None,
            stay: config.stay,
            random: Random::new(&config.seed),
            reconnects: 0,
            gone: Traffic::default(),
            phase: Phase::Running,
            lines: KnownLines::default(),
            played: None,
            out: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// What became of all datagrams and pictures.
    pub fn counts(&self) -> WatchCounts {
        let mut traffic = *self.client.traffic();
        traffic.add(&self.gone);
        let others = [self.sound_path.client(), self.group_repair.client()];
        others.into_iter().flatten().for_each(|client| traffic.add(client.traffic()));
        WatchCounts { pictures: *self.player.counts(), traffic, reconnects: self.reconnects }
    }

    pub const fn sound_counts(&self) -> &SoundCounts {
        self.player.sound_counts()
    }

    /// A goodbye is not the end.
    pub const fn is_staying(&self) -> bool {
        self.stay
    }

    pub fn rtt(&self) -> Option<Duration> {
        self.client.rtt()
    }

    /// What the session uses: UDP, a connection, or both.
    pub fn transport(&self) -> Transport {
        self.client.transport()
    }

    /// What the server sends at present, and why it is not more, as it told last in this session.
    pub fn in_force(&self) -> Option<InForce> {
        self.client.in_force()
    }

    /// Relays on the way, the nearest to the origin first, and how old pictures are when they leave each.
    pub fn hops(&self) -> &[RelayHop] {
        self.client.hops()
    }

    /// How much later pictures are shown than they came, so that what repair brings is in time.
    pub const fn repair_delay(&self) -> Duration {
        self.player.repair_delay()
    }

    /// How long after it was due everything is played.
    pub fn played_after(&self) -> Duration {
        self.player.played_after()
    }

    fn datagram(&mut self, now: Time, datagram: Received<'_>) {
        if self.listing(now, datagram) {
            return;
        }
        let object = self.client.datagram(now, datagram);
        // What the datagram told of the session comes before what it brought.
        self.take_news(now);
        self.player.set_timing(self.client.timing());
        // What comes before the session has told of a jump is of the place before.
        if self.client.jump() != self.player.jump() {
            while self.client.rebuilt(now).is_some() {}
            return self.take_played();
        }
        if let Some((came, object)) = object
            && (self.events.len() >= MOST_WAITING || !self.player.object(came, &object))
        {
            self.client.reject();
        }
        while let Some((came, object)) = self.client.rebuilt(now) {
            let taken = ObjectView::parse(object.bytes()).map(|object| self.player.object(came, &object));
            if taken != Ok(true) {
                self.client.reject();
            }
        }
        self.take_played();
    }

    /// Heeds what the client has to tell.
    fn take_news(&mut self, now: Time) {
        while let Some(event) = self.client.event() {
            match event {
                client::Event::Described(found) => self.described(now, found),
                client::Event::HeardAgain => self.playing(true),
                client::Event::Jumped => self.player.jump_to(self.client.jump()),
                client::Event::Refused { code, sentence, kept } => {
                    self.wanted.goes &= !kept;
                    self.events.push_back(Event::Refused { code, sentence, kept });
                }
                client::Event::Talk(told) => self.events.extend(self.lines.news(told).map(Event::Talk)),
                // Nothing is asked for so, and a server only answers.
                client::Event::Gone(_) | client::Event::Said(_) | client::Event::Listens { .. } => {}
                client::Event::AnotherSender(address) => self.events.push_back(Event::AnotherSender(address)),
                client::Event::Trouble(trouble) => self.events.push_back(Event::Trouble(trouble)),
            }
        }
    }

    fn described(&mut self, now: Time, found: Option<Found>) {
        let Some(stream) = self.client.stream() else { return };
        let size = stream.description.size;
        if !Canvas::fits(size) {
            self.player.forget();
            self.client.set_aside(now, TOO_LARGE_AGAIN);
            return self.events.push_back(Event::TooLarge(size));
        }
        self.player.describe(now, stream.id, &stream.description);
        if found.is_some() {
            self.wanted.goes = false;
            self.player.jump_to(self.client.jump());
        }
        self.reconnects += u64::from(found == Some(Found::Again));
        if let Some(found) = found {
            self.playing(matches!(found, Found::Again | Found::Renamed));
        }
    }

    fn playing(&mut self, rejoined: bool) {
        let (Some(stream), Some((_, server, _))) = (self.client.stream(), self.client.session()) else { return };
        self.events.push_back(Event::Playing {
            description: stream.description.clone(),
            stream: stream.id,
            name: self.client.name().cloned(),
            server,
            rejoined,
        });
    }

    /// Tells how a film on demand is played, if that has changed.
    fn tell_played(&mut self) {
        let played = self.client.played();
        let told = |played: Played| (played.generation, played.jump, played.obeyed, played.at.is_some());
        if played.map(told) != self.played.map(told) {
            self.player.set_standing(played.is_some_and(|played| played.state != State::Playing));
            self.played = played;
            self.events.extend(played.map(Event::Played));
        }
    }

    fn take_played(&mut self) {
        while let Some(event) = self.player.event() {
            if let player::Event::Show { picture, .. } = &event
                && self.played.is_some()
                && !self.wanted.goes
            {
                self.wanted.place = Some(picture.media_time);
                self.client.open_with(self.wanted.opening());
            }
            self.events.push_back(event.into());
        }
    }

    /// Does what is due.
    fn tend(&mut self, now: Time) {
        if self.phase != Phase::Running {
            return;
        }
        self.client.set_patience(self.patience());
        let sound = self.sound_path.client().unwrap_or(&self.client).sound_takes(now);
        self.player.set_sound_repair(sound);
        self.player.set_patience(self.client.waits());
        let player = &self.player;
        let in_time = |kind, rendition, unit| player.in_time(kind, rendition, unit);
        self.client.tend(now, player.held(), &in_time);
        self.take_news(now);
        self.tend_group_repair(now);
        self.tend_sound_path(now);
        self.play(now);
        self.consider_end(now);
        self.tend_listing(now);
    }

    fn play(&mut self, now: Time) {
        self.tell_played();
        let client = &self.client;
        let missing_between = |session, after, before| client.missing_between(session, after, before);
        let awaited = |unit| client.awaited(now, unit);
        self.player.tend(now, &Clock { timing: client.timing(), missing_between: &missing_between, awaited: &awaited });
        self.take_played();
    }

    /// Once all pictures that were wanted have been shown; or once the server has said goodbye, and the last picture has been
    /// shown and the last sound heard: answers, and finishes.
    fn consider_end(&mut self, now: Time) {
        if self.player.is_done() {
            return self.leave(now);
        }
        let Some((code, sentence)) = self.client.goodbye().filter(|_| self.player.is_played_out(now)) else { return };
        let (why, sentence) = (Over::of(*code), sentence.clone());
        self.player.count_tail();
        self.events.push_back(Event::Over { why, sentence });
        if self.stay { self.client.look_again(now, client::steady()) } else { self.leave(now) }
    }

    /// Says goodbye on both ports; what sound is held is handed out, and then nothing is left.
    fn leave(&mut self, now: Time) {
        self.phase = Phase::Leaving;
        self.client.close(now);
        self.player.end();
        self.take_played();
        self.leave_sound_session(now);
        self.leave_group_repair(now);
        self.fetch = None;
    }

    /// So long a picture is waited for after it could have been complete.
    fn patience(&self) -> Duration {
        let interval = self.client.stream().map_or(Duration::ZERO, |stream| stream.description.rate.interval());
        self.patience.map_or(interval, |patience| patience.min(interval))
    }

    fn transmit(&mut self) -> Option<Transmit> {
        let own = self.out.pop_front().or_else(|| self.client.transmit());
        let own = own.or_else(|| self.sound_path.client_mut()?.transmit());
        own.or_else(|| self.group_repair.client_mut()?.transmit())
    }

    fn soonest(&self) -> Soonest {
        let ends = self.client.goodbye().is_some();
        let fetch = self.fetch.as_ref().map_or_else(Soonest::new, Fetch::soonest);
        let parts = [self.player.soonest(ends), self.sound_path_soonest(), self.group_repair.soonest(), fetch];
        parts.into_iter().fold(self.client.soonest(), |soonest, Soonest(at, why)| soonest.or(Some(at), why))
    }
}

impl Machine for Receiver {
    type Local = Local;
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_, Local>) {
        if self.phase != Phase::Running {
            return;
        }
        match input {
            Input::Datagram(datagram) if datagram.port == Port::SOUND && self.client.is_tuned() => {
                self.group_repair_datagram(now, datagram);
            }
            Input::Datagram(datagram) if datagram.port == Port::SOUND => self.sound_datagram(now, datagram),
            Input::Datagram(datagram) => self.datagram(now, datagram),
            Input::NotSent(port, ..) if port.is_for_pictures() => {
                self.client.not_sent();
                self.fetch.iter_mut().for_each(Fetch::not_sent);
            }
            Input::NotSent(..) => match self.sound_path.client_mut() {
                Some(client) => client.not_sent(),
                None => self.gone.send_errors += 1,
            },
            Input::Connection(peer, state) => self.client.connection(now, peer, state),
            Input::Local(local) => self.obey(now, local),
        }
    }

    fn poll(&mut self, now: Time) -> Output<Event> {
        self.tend(now);
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        if let Some(transmit) = self.transmit() {
            return Output::Send(transmit);
        }
        match self.phase {
            Phase::Running => {}
            Phase::Leaving => {
                self.phase = Phase::Finished;
                return Output::Event(Event::Finished);
            }
            Phase::Finished => return Output::Wait(Time::NEVER, super::Reason::Idle),
        }
        let Soonest(at, reason) = self.soonest();
        Output::Wait(at, reason)
    }
}
