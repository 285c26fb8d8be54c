//! A film for those who ask for it as a whole: made once more, in full and from its beginning, by an ffmpeg and an encoder of their
//! own, as fast as it is sent. Several who ask at about the same place are sent the same.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::StreamOptions;
use super::film;
use super::pipeline::{Ended, Pipeline};
use crate::app::encode::{EncoderCounts, Origin};
use crate::app::opening::Attempt;
use crate::media::coded::Object;
use crate::media::sound::Rendition;
use crate::proto::schedule::Demand;
use crate::proto::server::{Local, Server};
use crate::proto::{Input as MachineInput, Machine};
use crate::queue::{Pop, Waker};
use crate::source::Info;
use crate::units::{Time, Unit};
use crate::wire::description::{FilmHash, Smaller, film_id};
use crate::wire::message::NameRange;
use crate::wire::object::Type;
use crate::wire::{Description, SizeClass};

/// Pictures and chunks that are kept for those who ask again, and made before anybody asks.
const KEPT: u32 = 256;
const KEPT_CHUNKS: u32 = 16_384;
const AHEAD: u32 = 32;
const AHEAD_CHUNKS: u32 = 8_192;
/// Questions that wait at once, of all who ask.
const MOST_ASKED: usize = 4_096;
/// While there is no room for more, it is looked again after this.
const LOOK: Duration = Duration::from_millis(2);
/// Where nobody has asked for so long, the work is given up.
const IDLE: Duration = Duration::from_secs(30);

/// See the head of this file.
pub struct Lending {
    stream: StreamOptions,
    info: Info,
    hash: FilmHash,
    description: Description,
    waker: Waker,
    job: Job,
    asked: VecDeque<(u64, NameRange)>,
    pictures: Lane,
    sounds: Lane,
    ended: bool,
    /// The file is another one by now.
    changed: bool,
    idle: Option<Time>,
    next: Time,
}

enum Job {
    Idle,
    Opening(Attempt),
    Running(Box<Pipeline>),
    Over,
    Failed,
}

/// Objects by their units: the last that were made.
#[derive(Default)]
struct Lane {
    made: BTreeMap<u32, Vec<Object>>,
    /// The one that is made next.
    next: u32,
    /// There are no more.
    over: bool,
    /// The highest that was asked for.
    wanted: u32,
}

impl Lane {
    fn put(&mut self, unit: u32, objects: Vec<Object>, kept: u32) {
        self.made.insert(unit, objects);
        self.next = unit.saturating_add(1);
        while self.made.len() > kept as usize {
            self.made.pop_first();
        }
    }

    /// Whether this was made, and is not kept any more.
    fn is_past(&self, unit: u32) -> bool {
        unit < self.next && self.made.first_key_value().is_none_or(|(first, _)| unit < *first)
    }
}

impl Lending {
    /// Of a film that is served so.
    pub fn new(stream: &StreamOptions, info: &Info, hash: FilmHash, description: &Description, waker: Waker) -> Self {
        let mut stream = stream.clone();
        stream.source = film::once(&stream.source);
        let length = info.length.map(|length| length.as_micros() as u64);
        Self {
            stream,
            info: info.clone(),
            hash,
            description: Description { smaller: Smaller::NONE, film: None, length, ..description.clone() },
            waker,
            job: Job::Idle,
            asked: VecDeque::new(),
            pictures: Lane::default(),
            sounds: Lane::default(),
            ended: false,
            changed: false,
            idle: None,
            next: Time::NEVER,
        }
    }

    /// A session asks for these.
    pub fn ask(&mut self, now: Time, session: u64, range: NameRange) {
        if self.asked.len() < MOST_ASKED {
            self.asked.push_back((session, range));
        }
        self.next = now;
    }

    pub const fn deadline(&self) -> Time {
        self.next
    }

    /// Sends what there is, and goes on making what is wanted.
    pub fn turn(&mut self, now: Time, server: &mut Server) {
        if self.asked.is_empty() {
            return self.rest(now);
        }
        self.idle = None;
        self.go_on();
        self.answer(now, server);
        self.next = if self.asked.is_empty() { now + IDLE } else { now + LOOK };
    }

    fn rest(&mut self, now: Time) {
        if matches!(self.job, Job::Idle) {
            self.next = Time::NEVER;
            return;
        }
        let since = *self.idle.get_or_insert(now);
        self.next = since + IDLE;
        if now >= self.next {
            self.begin_anew();
            self.next = Time::NEVER;
        }
    }

    fn begin_anew(&mut self) {
        (self.job, self.pictures, self.sounds, self.ended) = (Job::Idle, Lane::default(), Lane::default(), false);
    }

    /// Whether the file is still the one that the hash was made of.
    fn is_the_same(&mut self) -> bool {
        self.changed |= film::hash(&self.stream, &self.info) != Some(self.hash);
        !self.changed
    }

    fn go_on(&mut self) {
        match &mut self.job {
            Job::Idle => {
                let same = self.is_the_same();
                let attempt = same.then(|| Attempt::begin(&self.stream.request(), Arc::clone(&self.waker)).ok());
                self.job = attempt.flatten().map_or(Job::Failed, Job::Opening);
            }
            Job::Opening(attempt) => match attempt.result() {
                None => {}
                Some(Ok(source)) => {
                    let counts = Arc::<EncoderCounts>::default();
                    let waker = Arc::clone(&self.waker);
                    let started =
                        Pipeline::start(&self.stream, &self.info, source, Origin::default(), counts, waker).ok();
                    if let Some(pipeline) = &started {
                        // As a recording has it: in full, and whether or not anybody watches.
                        pipeline.order(Demand::idle(self.stream.quality, false), true);
                    }
                    self.sounds.over = !self.info.sound;
                    self.job = started.map_or(Job::Failed, |pipeline| Job::Running(Box::new(pipeline)));
                }
                Some(Err(_)) => self.job = Job::Failed,
            },
            Job::Running(_) => self.make(),
            Job::Over | Job::Failed => {}
        }
    }

    /// Takes what the encoder and the sound have ready, as far as it is wanted soon.
    fn make(&mut self) {
        let Job::Running(pipeline) = &mut self.job else { return };
        let film = film_id(&self.hash);
        while !self.sounds.over && self.sounds.next < self.sounds.wanted.saturating_add(AHEAD_CHUNKS) {
            match pipeline.chunk() {
                Pop::Item(chunk) => {
                    self.sounds.put(chunk.number, vec![chunk.object(film, Rendition::Stereo)], KEPT_CHUNKS);
                }
                Pop::Empty => break,
                Pop::Closed => self.sounds.over = true,
            }
        }
        while !self.pictures.over && self.pictures.next < self.pictures.wanted.saturating_add(AHEAD) {
            match pipeline.picture() {
                Pop::Item(coded) => {
                    let picture = coded.for_taps().map(|picture| (picture.unit, picture.cut(film, SizeClass::ANY)));
                    let Some((unit, Ok(cut))) = picture else { return self.job = Job::Failed };
                    self.pictures.put(unit.0, cut.objects().to_vec(), KEPT);
                }
                Pop::Empty => break,
                Pop::Closed => self.pictures.over = true,
            }
        }
        if self.pictures.over && self.sounds.over {
            self.end();
        }
    }

    /// All was made: if the file changed meanwhile, it was for nothing.
    fn end(&mut self) {
        let Job::Running(pipeline) = &mut self.job else { return };
        match pipeline.end() {
            None => {}
            Some(Ended::Over(_)) if self.is_the_same() => (self.job, self.ended) = (Job::Over, true),
            Some(_) => self.job = Job::Failed,
        }
    }

    fn answer(&mut self, now: Time, server: &mut Server) {
        let mut waiting = VecDeque::new();
        while let Some((session, range)) = self.asked.pop_front() {
            let rest = self.answer_one(now, session, range, server);
            waiting.extend(rest.map(|rest| (session, rest)));
        }
        self.asked = waiting;
        let restarts = self.asked.iter().any(|(_, range)| match range.kind {
            Type::PICTURE => self.pictures.is_past(range.first.0),
            Type::SOUND => self.sounds.is_past(range.first.0),
            _ => false,
        });
        if restarts {
            // What was made is the same whenever it is made.
            self.begin_anew();
            self.next = now;
        }
    }

    /// Sends what there is of one question; returns what is left of it.
    fn answer_one(&mut self, now: Time, id: u64, mut range: NameRange, server: &mut Server) -> Option<NameRange> {
        let tell = |server: &mut Server, local| server.handle(now, MachineInput::Local(local));
        if !server.has_session(id) {
            return None;
        }
        if matches!(self.job, Job::Failed) {
            tell(server, Local::Gone(id, range));
            return None;
        }
        if range.kind == Type::DESCRIPTION {
            let object = self.describe(range.first)?;
            match object {
                Some(object) => tell(server, Local::Supply(id, vec![object.into()])),
                None => return Some(range),
            }
            return None;
        }
        let lane = match range.kind {
            Type::PICTURE => &mut self.pictures,
            Type::SOUND => &mut self.sounds,
            _ => {
                tell(server, Local::Gone(id, range));
                return None;
            }
        };
        lane.wanted = lane.wanted.max(range.first.0);
        while server.supply_room(id) > 0 {
            let Some(objects) = lane.made.get(&range.first.0) else { break };
            tell(server, Local::Supply(id, objects.clone()));
            if range.first >= range.last {
                return None;
            }
            range.first = range.first.next();
        }
        if lane.over && range.first.0 >= lane.next {
            tell(server, Local::Gone(id, range));
            return None;
        }
        Some(range)
    }

    /// The Description of the running film or of its end; the inner `None`: that is not known yet.
    #[expect(clippy::option_option, reason = "no such description, one that is not known yet, and one")]
    fn describe(&mut self, unit: Unit) -> Option<Option<Vec<u8>>> {
        let film = film_id(&self.hash);
        match unit.0 {
            0 => Some(Some(self.description.object(film))),
            1 if self.ended => {
                let sound_ended = self.info.sound.then_some(Unit(self.sounds.next));
                let ended = Some(Unit(self.pictures.next));
                Some(Some(Description { ended, sound_ended, ..self.description.clone() }.object(film)))
            }
            1 => {
                self.pictures.wanted = self.pictures.wanted.max(self.pictures.next);
                self.sounds.wanted = self.sounds.wanted.max(self.sounds.next);
                Some(None)
            }
            _ => None,
        }
    }
}
