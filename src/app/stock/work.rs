//! The stock's thread: which viewer needs what, what is there, and which jobs make what is not.

mod answering;
mod planning;

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::Builder;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::film::{FilmState, identity};
use super::job::Job;
use super::section::{Key, Section};
use super::shelf::Shelf;
use super::viewer::{Looked, Viewer};
use super::{Answer, Figures, Order, Settings, Wanted, lock};
use crate::clock::now;
use crate::media::coded::PassedPicture;
use crate::media::sound::{Chunk, CodedSound};
use crate::queue::Waker;
use crate::source::Stopper;
use crate::source::excerpt::Reel;
use crate::units::{MediaTime, Time};

/// Pictures are made so long before they are needed.
const AHEAD: Duration = Duration::from_secs(3);
/// A job that nobody needs for so long ends.
const IDLE: Duration = Duration::from_secs(5);
/// A film that nobody watches for so long is closed.
const CLOSED: Duration = Duration::from_secs(60);
/// Sections of sound in memory, of 3 MB each.
const SECTIONS: usize = 12;
/// How often it is looked what is not needed any more.
const TIDY: Duration = Duration::from_millis(500);

/// What comes to the thread.
pub enum Message {
    Order(u64, Order),
    Looked(Box<Looked>),
    Made {
        number: u64,
        picture: PassedPicture,
    },
    /// A job has come to its film's end, or broken off. `next`: the picture that it would have made next; `count`: how many it made.
    JobOver {
        number: u64,
        next: u32,
        count: u32,
        result: Result<(), String>,
    },
    Heard(Key, Vec<Chunk>, Vec<CodedSound>),
    SectionOver(Key, Result<(), String>),
    Stop,
}

pub struct Work {
    settings: Settings,
    /// Its own inbox, for those who work for it.
    sender: Sender<Message>,
    answers: Sender<(u64, Answer)>,
    waker: Waker,
    shared: Arc<Mutex<Figures>>,
    figures: Figures,
    shelf: Shelf,
    films: BTreeMap<u64, FilmState>,
    viewers: BTreeMap<u64, Viewer>,
    jobs: Vec<Job>,
    sections: BTreeMap<Key, Section>,
    /// Of the job that was begun last.
    number: u64,
    /// Something was answered since the waker was called.
    answered: bool,
    next_tidy: Time,
}

impl Work {
    pub fn new(
        settings: Settings,
        sender: Sender<Message>,
        answers: Sender<(u64, Answer)>,
        waker: Waker,
        shared: Arc<Mutex<Figures>>,
    ) -> Self {
        let shelf = Shelf::open(&settings.store, settings.most_bytes);
        Self {
            settings,
            sender,
            answers,
            waker,
            shared,
            figures: Figures::default(),
            shelf,
            films: BTreeMap::new(),
            viewers: BTreeMap::new(),
            jobs: Vec::new(),
            sections: BTreeMap::new(),
            number: 0,
            answered: false,
            next_tidy: Time::ZERO,
        }
    }

    /// Until it is told to stop.
    pub fn run(&mut self, inbox: &Receiver<Message>) {
        loop {
            let message = match inbox.recv_timeout(TIDY) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            for message in message.into_iter().chain(inbox.try_iter()) {
                if matches!(message, Message::Stop) {
                    return;
                }
                self.take(message);
            }
            let at = now();
            self.answer_all(at);
            self.plan(at);
            if at >= self.next_tidy {
                self.next_tidy = at + TIDY;
                self.tidy(at);
            }
            self.show_figures();
            if std::mem::take(&mut self.answered) {
                (self.waker)();
            }
        }
    }

    fn show_figures(&mut self) {
        (self.figures.jobs, self.figures.viewers) = (self.jobs.len(), self.viewers.len());
        (self.figures.stored, self.figures.without_store) = (self.shelf.bytes(), !self.shelf.keeps());
        *lock(&self.shared) = self.figures;
        if let Some(trouble) = self.shelf.trouble() {
            tracing::warn!("Films are not kept for now, and are encoded each time they are watched: {trouble}.");
        }
    }

    fn answer(&mut self, viewer: u64, answer: Answer) {
        self.answered = true;
        // Nobody asks any more.
        self.answers.send((viewer, answer)).ok();
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Order(viewer, order) => self.order(viewer, order),
            Message::Looked(looked) => self.looked(*looked),
            Message::Made { number, picture } => self.made(number, picture),
            Message::JobOver { number, next, count, result } => self.job_over(number, (next, count), result),
            Message::Heard(key, chunks, coded) => {
                self.sections.get_mut(&key).into_iter().for_each(|section| section.take(chunks.clone(), coded.clone()));
            }
            Message::SectionOver(key, result) => {
                if let Some(section) = self.sections.get_mut(&key) {
                    section.over = true;
                    if let Err(error) = result {
                        tracing::warn!("The sound of a film ends early: {error}.");
                    }
                }
            }
            Message::Stop => {}
        }
    }

    fn order(&mut self, number: u64, order: Order) {
        if let Order::Open(wanted) = order {
            self.viewers.insert(number, Viewer::default());
            return self.open(number, *wanted);
        }
        let Some(viewer) = self.viewers.get_mut(&number) else { return };
        match order {
            Order::Seek { to, exact } => match viewer.film.and_then(|film| self.films.get(&film)) {
                Some(film) => viewer.go(film.unit_at(to), exact),
                None => viewer.place = Some((to, exact)),
            },
            Order::Picture { question, rung } => {
                (viewer.picture, viewer.wish, viewer.asked) = (Some((question, rung)), Some(rung), now());
            }
            Order::Sound { question, rendition } => viewer.sounds[usize::from(rendition.id())] = Some(question),
            Order::Close => drop(self.viewers.remove(&number)),
            Order::Open(_) => {}
        }
    }

    fn open(&mut self, viewer: u64, wanted: Wanted) {
        let Wanted { file, path, name, title, track } = wanted;
        let id = match identity(&file, track) {
            Ok(id) => id,
            Err(why) => return self.answer(viewer, Answer::Trouble(format!("{name} cannot be read ({why})."))),
        };
        if self.films.contains_key(&id) {
            return self.opened(viewer, id);
        }
        let file = Arc::new(file);
        let out = self.sender.clone();
        let look = move || {
            let held = readable(&file, path);
            let result = Stopper::new().and_then(|stopper| Reel::look(&held, &name, track.map(u32::from), &stopper));
            // Where the file lies is nobody's business but the operator's.
            let result = result.map_err(|error| error.to_string().replace(&*held.to_string_lossy(), &name));
            out.send(Message::Looked(Box::new(Looked { viewer, id, name, title, file, result }))).ok();
        };
        if let Err(why) = Builder::new().name("film look".into()).spawn(look) {
            self.answer(viewer, Answer::Trouble(format!("The film could not be opened ({why}).")));
        }
    }

    fn looked(&mut self, looked: Looked) {
        let Looked { viewer, id, name, title, file, result } = looked;
        match result {
            Ok(reel) => {
                let film = || FilmState::new(id, (name, title), Arc::new(reel), file, now());
                self.films.entry(id).or_insert_with(film);
                self.opened(viewer, id);
            }
            Err(error) => self.answer(viewer, Answer::Trouble(sentence(&error))),
        }
    }

    fn opened(&mut self, number: u64, id: u64) {
        let (Some(viewer), Some(film)) = (self.viewers.get_mut(&number), self.films.get_mut(&id)) else { return };
        film.used = now();
        viewer.film = Some(id);
        let (to, exact) = viewer.place.take().unwrap_or((MediaTime::ZERO, true));
        let (picture, sounds, wish) = (viewer.picture, viewer.sounds, viewer.wish);
        viewer.go(film.unit_at(to), exact);
        (viewer.picture, viewer.sounds, viewer.wish) = (picture, sounds, wish);
        let opened = Box::new(film.opened.clone());
        self.answer(number, Answer::Opened(opened));
    }

    fn made(&mut self, number: u64, picture: PassedPicture) {
        self.figures.encoded += 1;
        let unit = picture.cut.unit.0;
        let rung = picture.rendition;
        let mut of = None;
        if let Some(job) = self.jobs.iter_mut().find(|job| job.number == number) {
            of = Some(job.film);
            job.next = unit + 1;
            if std::mem::take(&mut job.begins) {
                // Those who wait for a picture near their place have it.
                let waiting = self.viewers.values_mut().filter(|viewer| viewer.rough && viewer.job == Some(number));
                waiting.for_each(|viewer| (viewer.unit, viewer.rough) = (unit, false));
            }
        }
        // What comes from a job that was ended meanwhile is not needed.
        let Some(film) = of.and_then(|film| self.films.get_mut(&film)) else { return };
        let (stretch, name) = (film.stretch(rung, unit), film.name.clone());
        film.put(rung, picture.clone());
        self.shelf.put(stretch, &name, &picture);
    }

    fn job_over(&mut self, number: u64, (next, count): (u32, u32), result: Result<(), String>) {
        let Some(at) = self.jobs.iter().position(|job| job.number == number) else { return };
        let job = self.jobs.swap_remove(at);
        let Some(film) = self.films.get_mut(&job.film) else { return };
        match result {
            Ok(()) if count > 0 => film.end = Some(next),
            Ok(()) if job.from > 0 => film.bound = film.bound.min(job.from),
            Ok(()) => self.fail(job.film, "there is no picture in it that can be shown"),
            Err(why) => self.fail(job.film, &why),
        }
    }

    /// Those who wait for a film hear why it does not come.
    fn fail(&mut self, film: u64, why: &str) {
        let waiting = self.viewers.iter().filter(|(_, viewer)| viewer.film == Some(film) && viewer.picture.is_some());
        let waiting: Vec<u64> = waiting.map(|(number, _)| *number).collect();
        for number in waiting {
            self.answer(number, Answer::Trouble(sentence(why)));
            self.viewers.remove(&number);
        }
    }
}

/// By which a program that is started reads an open file.
fn readable(file: &std::fs::File, path: PathBuf) -> PathBuf {
    let held = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
    if held.exists() { held } else { path }
}

/// With a full stop.
fn sentence(text: &str) -> String {
    if text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}
