//! The library of a server in the simulator, and what brings its films: pictures and sound from any place, after a while.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use udpstream::media::coded::PassedPicture;
use udpstream::media::sound::{Chunk, FRAMES, PassedSound, Rendition};
use udpstream::proto::server::{Adoption, Event, Feed, Films, Guard, Library, Local, StreamConfig, StreamKey};
use udpstream::proto::{Input, Machine, Server};
use udpstream::units::{MediaTime, Time, Unit};
use udpstream::wire::message::Seek;
use udpstream::wire::{Description, ObjectView, SizeClass, StreamName};

use crate::jpeg::Film;
use crate::net::{World, chunk, description, ms};

/// Films of this name are there, and no others.
struct Named(Description);

impl Films for Named {
    fn film(&self, name: &StreamName) -> Option<Description> {
        name.as_str().starts_with("films/").then(|| self.0.clone())
    }

    fn like(&self, _: &str) -> Vec<StreamName> {
        Vec::new()
    }
}

/// What a film on demand is read from.
struct Reel {
    unit: u32,
    chunk: u32,
    /// Nothing is there before.
    at: Time,
}

pub struct Projector {
    film: Rc<Film>,
    description: Description,
    /// Of each film.
    pub pictures: u32,
    /// A place is there so long after it was sought.
    pub takes: Duration,
    reels: BTreeMap<StreamKey, Reel>,
    pub viewed: Vec<StreamKey>,
    pub vacated: Vec<StreamKey>,
    pub sought: Vec<(Time, StreamKey, Seek)>,
}

impl Projector {
    pub fn reels(&self) -> usize {
        self.reels.len()
    }

    fn chunks(&self) -> u32 {
        let frames =
            u64::from(self.pictures) * 44_100 * u64::from(self.film.rate.den()) / u64::from(self.film.rate.num());
        (frames / FRAMES as u64) as u32
    }

    pub fn wake(&self, now: Time) -> Time {
        self.reels.values().map(|reel| reel.at).filter(|at| *at > now).min().unwrap_or(Time::NEVER)
    }

    pub fn told(&mut self, now: Time, event: &Event) {
        match event {
            Event::Viewed { stream, .. } => {
                self.viewed.push(*stream);
                self.reels.insert(*stream, Reel { unit: 0, chunk: 0, at: now });
            }
            Event::Sought { stream, seek } => {
                self.sought.push((now, *stream, *seek));
                let rate = self.film.rate;
                let micros = seek.to.micros().unsigned_abs();
                let unit = rate.index_at(Duration::from_micros(micros)).min(u64::from(self.pictures) - 1) as u32;
                let first = rate.media_time(unit.into()).micros().max(seek.to.micros()).unsigned_abs();
                let chunk = (first * 44_100 / 1_000_000 / FRAMES as u64) as u32;
                self.reels.insert(*stream, Reel { unit, chunk, at: now + self.takes });
            }
            Event::Vacated(stream) => {
                self.vacated.push(*stream);
                self.reels.remove(stream);
            }
            _ => {}
        }
    }

    pub fn feed(&mut self, now: Time, server: &mut Server) -> bool {
        let (mut gave, chunks) = (false, self.chunks());
        for (key, reel) in &mut self.reels {
            if reel.at > now {
                continue;
            }
            if server.id(*key) != FILM {
                let (description, object) = (self.description.clone(), Some(self.description.object(FILM)));
                server.adopt(*key, Adoption { id: FILM, description, object, ended: None, prompt: false });
                gave = true;
            }
            while server.wants_picture(*key) {
                let feed = match reel.unit < self.pictures {
                    true => Feed::Passed(passed(&self.film, Unit(reel.unit), now)),
                    false => Feed::Ended(Some(self.film.rate.media_time(self.pictures.into()))),
                };
                reel.unit += 1;
                server.handle(now, Input::Local(Local::Stream(*key, feed)));
                gave = true;
            }
            while server.wants_sound(*key) {
                let number = reel.chunk;
                let frames = Chunk { number, frames: chunk(number), captured: now };
                let feed = match number < chunks {
                    true => Feed::PassedSound(PassedSound {
                        object: frames.object(FILM, Rendition::Stereo),
                        rendition: Rendition::Stereo,
                        number,
                    }),
                    false => Feed::SoundEnded,
                };
                reel.chunk += 1;
                server.handle(now, Input::Local(Local::Stream(*key, feed)));
                gave = true;
            }
        }
        gave
    }
}

/// The stream id of all objects of the library's films.
pub const FILM: u64 = 0x1234_5678_9abc_def0;

fn passed(film: &Film, unit: Unit, now: Time) -> PassedPicture {
    let picture = film.picture(unit, now, now);
    let cut = picture.cut(FILM, SizeClass::ANY).expect("it can be cut");
    let objects = cut.objects().to_vec();
    let header = ObjectView::parse_unchecked(objects[0].bytes()).expect("own object").header;
    PassedPicture::of(&header, objects, header.parts_told(), picture.lasts, now).expect("a picture")
}

impl World {
    /// The server has a library from now on, in which films are found that have so many pictures.
    pub fn open_library(&mut self, pictures: u32, sound: bool, configure: impl FnOnce(&mut Library)) {
        let description = Description { sound, ..description(&self.film) };
        let name = StreamName::parse("films").expect("a name");
        let terms = StreamConfig { adapt: false, ..StreamConfig::new(name, description.clone()) };
        let films = Box::new(Named(description.clone()));
        let mut library = Library { films, guard: Guard::Open, shared: false, terms };
        configure(&mut library);
        self.server.machine.set_library(library);
        self.projector = Some(Projector {
            film: Rc::clone(&self.film),
            description,
            pictures,
            takes: ms(80),
            reels: BTreeMap::new(),
            viewed: Vec::new(),
            vacated: Vec::new(),
            sought: Vec::new(),
        });
    }

    pub fn projector(&self) -> &Projector {
        self.projector.as_ref().expect("a library was opened")
    }
}

/// A moment of a film, in milliseconds.
pub const fn at(millis: i64) -> MediaTime {
    MediaTime::from_micros(millis * 1_000)
}
