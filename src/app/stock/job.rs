//! An encoder job: a thread that reads a film from some place on and codes its pictures to one rung, as far as it may.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::Builder;

use crossbeam_channel::Sender;

use super::coder::Coder;
use super::work::Message;
use crate::app::encode::EncodeError;
use crate::clock;
use crate::media::Picture;
use crate::media::coded::CodedPicture;
use crate::proto::ladder::Rung;
use crate::queue::Pool;
use crate::source::SourceError;
use crate::source::Stopper;
use crate::source::excerpt::Reel;
use crate::text::card::text_card;
use crate::text::wait_for_fonts;
use crate::units::{Time, Unit};

/// How far it may go.
#[derive(Default)]
struct Reins {
    limit: Mutex<(u32, bool)>,
    moved: Condvar,
}

/// A job as the thread of the stock knows it. Dropping it ends it soon.
pub struct Job {
    pub number: u64,
    /// The film's id, and which of its rungs.
    pub film: u64,
    pub rung: u8,
    /// The picture that it was to begin with, and the one that it makes next.
    pub from: u32,
    pub next: u32,
    /// It began with a picture that is not known yet, at this one or before it.
    pub begins: bool,
    pub limit: u32,
    /// When somebody needed what it makes.
    pub used: Time,
    reins: Arc<Reins>,
    stopper: Stopper,
}

/// What a job is to do.
pub struct Task {
    pub number: u64,
    pub film: u64,
    pub reel: Arc<Reel>,
    /// Its number, and what it is.
    pub rung: (u8, Rung),
    pub from: u32,
    pub exact: bool,
    /// On the card of a song.
    pub title: String,
}

#[derive(Debug, thiserror::Error)]
enum JobError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("a picture could not be coded: {0}")]
    Codec(#[from] crate::codec::CodecError),
    #[error("a picture could not be cut: this is a bug")]
    Uncut,
}

impl Job {
    /// Starts a thread; it may go up to `limit`.
    pub fn start(task: Task, limit: u32, out: Sender<Message>) -> io::Result<Self> {
        let stopper = Stopper::new().map_err(io::Error::other)?;
        let reins = Arc::new(Reins { limit: Mutex::new((limit, false)), ..Reins::default() });
        let job = Self {
            number: task.number,
            film: task.film,
            rung: task.rung.0,
            from: task.from,
            next: task.from,
            begins: !task.exact,
            limit,
            used: clock::now(),
            reins: Arc::clone(&reins),
            stopper: stopper.clone(),
        };
        let work = move || {
            let number = task.number;
            let mut made = Made { next: task.from, count: 0 };
            let result = run(&task, &reins, &stopper, &out, &mut made).map_err(|error| error.to_string());
            // Nobody hears it once the stock is gone.
            out.send(Message::JobOver { number, next: made.next, count: made.count, result }).ok();
        };
        Builder::new().name("film".into()).spawn(work)?;
        Ok(job)
    }

    /// It may go on up to this picture.
    pub fn go_to(&mut self, limit: u32) {
        if limit != self.limit {
            self.limit = limit;
            self.reins.set(limit, false);
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.reins.set(0, true);
        self.stopper.stop();
    }
}

impl Reins {
    fn set(&self, limit: u32, stop: bool) {
        *self.limit.lock().unwrap_or_else(PoisonError::into_inner) = (limit, stop);
        self.moved.notify_all();
    }

    /// Waits until this picture may be made; false: it is over.
    fn wait(&self, next: u32) -> bool {
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        while !limit.1 && next >= limit.0 {
            limit = self.moved.wait(limit).unwrap_or_else(PoisonError::into_inner);
        }
        !limit.1
    }
}

/// How far a job has come.
struct Made {
    next: u32,
    count: u32,
}

fn run(task: &Task, reins: &Reins, stopper: &Stopper, out: &Sender<Message>, made: &mut Made) -> Result<(), JobError> {
    let mut coder = Coder::new(task.film, task.reel.rate, task.rung)?;
    let pool = Pool::new(2);
    if !task.reel.has_pictures() {
        return card(task, &mut coder, reins, out, made);
    }
    let mut pictures = task.reel.pictures(task.from, task.exact, stopper)?;
    made.next = pictures.next();
    while reins.wait(pictures.next()) {
        let Some(picture) = pictures.read(&pool)? else { return Ok(()) };
        made.next = pictures.next();
        made.count += 1;
        let coded = coder.code(&picture)?;
        hand_over(task.number, &coder, &coded, out)?;
    }
    Err(SourceError::Stopped.into())
}

/// A song shows its name.
fn card(task: &Task, coder: &mut Coder, reins: &Reins, out: &Sender<Message>, made: &mut Made) -> Result<(), JobError> {
    wait_for_fonts(&[&task.title]);
    let picture: Picture = text_card(task.reel.size, &task.title, &[]);
    let mut coded: CodedPicture = coder.code(&picture)?;
    let end = task.reel.expected().unwrap_or(u32::MAX);
    while made.next < end {
        if !reins.wait(made.next) {
            return Err(SourceError::Stopped.into());
        }
        let at = crate::source::excerpt::moment(task.reel.rate, made.next);
        (coded.unit, coded.media_time) = (Unit(made.next), at);
        hand_over(task.number, coder, &coded, out)?;
        (made.next, made.count) = (made.next + 1, made.count + 1);
    }
    Ok(())
}

fn hand_over(number: u64, coder: &Coder, coded: &CodedPicture, out: &Sender<Message>) -> Result<(), JobError> {
    let picture = coder.cut(coded).ok_or(JobError::Uncut)?;
    out.send(Message::Made { number, picture }).map_err(|_| SourceError::Stopped.into())
}
