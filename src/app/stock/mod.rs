//! The objects of a library's films: made by encoder jobs a few seconds ahead of whoever needs them, kept in a store on disk, and
//! handed to each viewer in its turn. What was made once is not made again.
//!
//! A thread of its own owns the store and knows the jobs. It is told orders of viewers, each of which is at one place of one film,
//! and gives answers; neither waits for the other.

mod coder;
mod film;
mod job;
mod section;
mod shelf;
#[cfg(test)]
mod tests;
mod viewer;
mod work;

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, unbounded};

use self::work::{Message, Work};
use crate::media::coded::PassedPicture;
use crate::media::sound::{PassedSound, Rendition};
use crate::proto::ladder::Rung;
use crate::queue::Waker;
use crate::units::MediaTime;
use crate::wire::Description;

/// The quality of the finest rung.
pub const QUALITY: u8 = 80;

/// What the operator chose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the store.
    pub store: PathBuf,
    pub most_bytes: u64,
    /// Encoders at once.
    pub jobs: usize,
}

/// A film that is to be watched.
pub struct Wanted {
    /// The file, open: what it holds is watched to its end, whatever becomes of its name.
    pub file: File,
    /// Where it was found.
    pub path: PathBuf,
    /// What it is called in sentences, and on the screen.
    pub name: String,
    pub title: String,
    /// Which sound track is heard, counted from 0; `None`: the one that players choose.
    pub track: Option<u8>,
}

/// What a viewer is told to do. The first is always to open a film, and places and questions are of that one.
pub enum Order {
    Open(Box<Wanted>),
    /// Go to the picture that is to be seen at this moment; or to one near it that is there sooner.
    Seek {
        to: MediaTime,
        exact: bool,
    },
    /// The next picture, in this rung if it is there.
    Picture {
        question: u64,
        rung: u8,
    },
    /// The next chunk or coded unit.
    Sound {
        question: u64,
        rendition: Rendition,
    },
    Close,
}

/// A film that is open.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The stream id of its objects.
    pub id: u64,
    pub description: Description,
    /// The Description object.
    pub object: Vec<u8>,
    /// What its renditions are, finest first.
    pub rungs: Vec<Rung>,
}

/// What a viewer is answered.
pub enum Answer {
    Opened(Box<Opened>),
    Picture {
        question: u64,
        picture: PassedPicture,
    },
    /// There is no picture any more; the last one has had its time then.
    End {
        question: u64,
        at: MediaTime,
    },
    Sound {
        question: u64,
        sound: PassedSound,
    },
    SoundEnd {
        question: u64,
    },
    /// It cannot go on, for this reason: a sentence.
    Trouble(String),
}

/// What was done so far, and is being done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Encoders that run.
    pub jobs: usize,
    pub viewers: usize,
    /// Jobs that were begun.
    pub begun: u64,
    /// Pictures that were encoded, and pictures that were there when somebody needed them again.
    pub encoded: u64,
    pub reused: u64,
    /// What the store holds, bytes.
    pub stored: u64,
    /// The store takes nothing more, or cannot be used.
    pub without_store: bool,
}

/// See the head of this file. Dropping it ends all jobs.
pub struct Stock {
    orders: Sender<Message>,
    answers: Receiver<(u64, Answer)>,
    figures: Arc<Mutex<Figures>>,
    thread: Option<JoinHandle<()>>,
}

impl Stock {
    /// Opens the store and starts the thread. `waker`: called when there are answers.
    pub fn start(settings: Settings, waker: Waker) -> anyhow::Result<Self> {
        let (orders, inbox) = unbounded();
        let (outbox, answers) = unbounded();
        let figures = Arc::<Mutex<Figures>>::default();
        let mut work = Work::new(settings, orders.clone(), outbox, waker, Arc::clone(&figures));
        let thread = Builder::new().name("stock".into()).spawn(move || work.run(&inbox));
        let thread = Some(thread.context("the thread that keeps films could not be started")?);
        Ok(Self { orders, answers, figures, thread })
    }

    /// Tells the viewer of this number.
    pub fn order(&self, viewer: u64, order: Order) {
        // The thread ends with this alone.
        self.orders.send(Message::Order(viewer, order)).ok();
    }

    /// The next answer, and whose it is, if there is one.
    pub fn answer(&self) -> Option<(u64, Answer)> {
        self.answers.try_recv().ok()
    }

    pub fn figures(&self) -> Figures {
        *lock(&self.figures)
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        self.orders.send(Message::Stop).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn lock(figures: &Mutex<Figures>) -> MutexGuard<'_, Figures> {
    figures.lock().unwrap_or_else(PoisonError::into_inner)
}
