//! Films of a library for those who watch them: what the server asks for is found by the library, made by the stock, and handed to
//! the server.

mod figures;
mod films;
mod opening;
mod rung;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;

use self::films::Shelf;
use self::rung::RungChoice;
use super::serve::Options;
use super::stock::{self, Answer, Opened, Order, Stock, Wanted};
use crate::library::Library;
use crate::media::sound::Rendition;
use crate::proto::server::{self, Adoption, Event, Feed, Guard, Local, Server, StreamConfig, StreamKey};
use crate::proto::{Input, Machine};
use crate::units::Time;
use crate::wire::StreamName;
pub use figures::LibraryFigures;
pub use opening::open;

/// See the head of this file.
pub struct Screening {
    library: Arc<Library>,
    stock: Stock,
    viewings: BTreeMap<StreamKey, Viewing>,
    /// Number of the viewing that began last, and of the question that was asked last.
    viewers: u64,
    questions: u64,
}

/// A film that is watched, by one or by several together.
struct Viewing {
    viewer: u64,
    /// `None` until the film is open.
    choice: Option<RungChoice>,
    /// The question that is open, and which rung was asked for.
    picture: Option<(u64, u8)>,
    /// The same for each rendition of sound.
    sounds: [Option<u64>; 3],
}

impl Viewing {
    /// What is on its way is of another place.
    fn forget_questions(&mut self) {
        (self.picture, self.sounds) = (None, [None; 3]);
    }
}

impl Screening {
    pub fn new(library: Arc<Library>, stock: Stock) -> Self {
        Self { library, stock, viewings: BTreeMap::new(), viewers: 0, questions: 0 }
    }

    /// What becomes of it all.
    pub fn figures(&self, server: &Server) -> LibraryFigures {
        let watchers = self.viewings.keys().map(|key| server.watchers_of(*key)).sum();
        LibraryFigures::new(&self.library.progress(), &self.stock.figures(), watchers)
    }

    /// Lets the server's watchers have the films.
    pub fn serve(&self, server: &mut Server, options: &Options) -> anyhow::Result<()> {
        let shared = options.library.as_ref().is_some_and(|library| library.shared);
        server.set_library(self.for_server(shared)?);
        Ok(())
    }

    /// The films, for the server; `shared`: all who watch one see the same of it.
    fn for_server(&self, shared: bool) -> anyhow::Result<server::Library> {
        let films = Box::new(Shelf(Arc::clone(&self.library)));
        // What each is, is the film's.
        let name = StreamName::from_any("film").context("a film has a name")?;
        let terms = StreamConfig { quality: stock::QUALITY, ..StreamConfig::new(name, films::unknown()?) };
        Ok(server::Library { films, guard: Guard::Open, shared, terms })
    }

    /// What is known of its files, and how far it has got.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// The server says something of a film.
    pub fn event(&mut self, now: Time, server: &mut Server, event: &Event) {
        match event {
            Event::Viewed { stream, name } => self.view(now, server, *stream, name),
            Event::Sought { stream, seek } => {
                let Some(viewing) = self.viewings.get_mut(stream) else { return };
                viewing.forget_questions();
                self.stock.order(viewing.viewer, Order::Seek { to: seek.to, exact: seek.exact });
            }
            Event::Vacated(stream) => {
                if let Some(viewing) = self.viewings.remove(stream) {
                    self.stock.order(viewing.viewer, Order::Close);
                }
            }
            _ => {}
        }
    }

    fn view(&mut self, now: Time, server: &mut Server, key: StreamKey, name: &StreamName) {
        let (name, track) = films::split(name);
        match self.library.open_inside(&name) {
            Ok(film) => {
                self.viewers += 1;
                let viewing = Viewing { viewer: self.viewers, choice: None, picture: None, sounds: [None; 3] };
                let wanted = Wanted {
                    file: film.file,
                    path: film.path,
                    name: name.to_string(),
                    title: film.entry.title.clone(),
                    track,
                };
                self.stock.order(viewing.viewer, Order::Open(Box::new(wanted)));
                self.viewings.insert(key, viewing);
            }
            Err(refused) => tell(now, server, key, Feed::Failed(refused.to_string())),
        }
    }

    /// Hands over what has come, and asks for what is wanted.
    pub fn turn(&mut self, now: Time, server: &mut Server) {
        while let Some((viewer, answer)) = self.stock.answer() {
            let found = self.viewings.iter_mut().find(|(_, viewing)| viewing.viewer == viewer);
            // Of one that is not watched any more nothing is wanted.
            if let Some((key, viewing)) = found {
                take(now, server, (*key, viewing), answer);
            }
        }
        for (key, viewing) in &mut self.viewings {
            let Some(choice) = &mut viewing.choice else { continue };
            let mut ask = |order: &dyn Fn(u64) -> Order| {
                self.questions += 1;
                self.stock.order(viewing.viewer, order(self.questions));
                self.questions
            };
            if viewing.picture.is_none() && server.wants_picture(*key) {
                let rung = choice.choose(&server.demand(*key, 0).wish);
                let question = ask(&|question| Order::Picture { question, rung });
                viewing.picture = Some((question, rung));
            }
            if !server.wants_sound(*key) {
                continue;
            }
            let Some(needs) = server.needs(now, *key) else { continue };
            let none = !needs.sounds.contains(&true);
            for (at, wanted) in needs.sounds.into_iter().enumerate() {
                // Where nobody hears, the sound goes by all the same: it may be wanted at any moment.
                let wanted = wanted || none && at == usize::from(Rendition::Stereo.id());
                if let Some(rendition) = Rendition::of(at as u8).filter(|_| wanted && viewing.sounds[at].is_none()) {
                    viewing.sounds[at] = Some(ask(&|question| Order::Sound { question, rendition }));
                }
            }
        }
    }
}

/// Something has come for a viewing.
fn take(now: Time, server: &mut Server, (key, viewing): (StreamKey, &mut Viewing), answer: Answer) {
    match answer {
        Answer::Opened(opened) => {
            let Opened { id, description, object, rungs, .. } = *opened;
            viewing.choice = Some(RungChoice::new(description.size, rungs));
            let adoption = Adoption { id, description, object: Some(object), ended: None, prompt: false };
            server.adopt(key, adoption);
        }
        Answer::Picture { question, picture } => {
            let Some(_) = viewing.picture.take_if(|(asked, _)| *asked == question) else { return };
            viewing.choice.iter_mut().for_each(|choice| choice.learn(picture.rendition, picture.cut.total()));
            tell(now, server, key, Feed::Passed(picture));
        }
        Answer::End { question, at } => {
            if viewing.picture.take_if(|(asked, _)| *asked == question).is_some() {
                tell(now, server, key, Feed::Ended(Some(at)));
            }
        }
        Answer::Sound { question, sound } => {
            let open = viewing.sounds.iter_mut().find(|open| **open == Some(question));
            if open.map(Option::take).is_some() {
                tell(now, server, key, Feed::PassedSound(sound));
            }
        }
        Answer::SoundEnd { question } => {
            if viewing.sounds.contains(&Some(question)) {
                viewing.sounds = [None; 3];
                tell(now, server, key, Feed::SoundEnded);
            }
        }
        Answer::Trouble(sentence) => tell(now, server, key, Feed::Failed(sentence)),
    }
}

fn tell(now: Time, server: &mut Server, key: StreamKey, feed: Feed) {
    server.handle(now, Input::Local(Local::Stream(key, feed)));
}
