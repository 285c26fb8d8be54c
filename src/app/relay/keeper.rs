//! The thread "cache": does what the [shelf](super::shelf) says, so that no disk holds up what is sent. It is told what comes, and
//! answers by a queue; the event loop is woken.

use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};

use super::shelf::Shelf;
use crate::clock::{now, wall_ahead};
use crate::media::coded::{Object, PassedPicture};
use crate::media::sound::PassedSound;
use crate::proto::relay::Fetched;
use crate::proto::server::{Adoption, StreamKey};
use crate::queue::Waker;
use crate::store::Store;
use crate::units::{MediaTime, Unit};
use crate::wire::message::NameRange;
use crate::wire::{Description, StreamName};

/// What was fetched and waits for the thread at most: what has no room is asked for again.
const ROOM: usize = 4_096;
/// Things that are done before the event loop is woken.
const AT_ONCE: usize = 64;
/// Units that a relay below is given at once. The rest is asked for again.
const LENT: u32 = 16;

/// What the thread is to do.
pub enum Order {
    /// The stream above is of this film.
    Fill(StreamKey, StreamName, Box<Description>),
    /// Nothing can be asked for.
    Rest(StreamKey),
    /// Play the film of this name from a picture on.
    Play(StreamKey, StreamName, Unit),
    /// The next picture, and the next chunk, of what a stream plays.
    Picture(StreamKey),
    Sound(StreamKey),
    /// A stream plays nothing any more.
    Stop(StreamKey),
    /// A session of a relay below asks for this.
    Lend(u64, NameRange),
}

/// What it answers.
pub enum Answer {
    Get(StreamKey, NameRange),
    /// What a stream becomes that is to play a film; `None`: there is no film of that name.
    Plays(StreamKey, Option<Adoption>),
    Picture(StreamKey, Result<PassedPicture, MediaTime>),
    /// `None`: there is no more.
    Sound(StreamKey, Option<PassedSound>),
    /// What there is of what was asked for, from its beginning; nothing: it is not to be had.
    Lent(u64, NameRange, Vec<Object>),
    /// A film cannot be kept, for this reason.
    Trouble(StreamKey, String),
    /// How much is kept now.
    Kept(Kept),
}

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub films: usize,
    /// Those that are all there.
    pub complete: usize,
    pub bytes: u64,
}

/// The thread, as the event loop sees it. Dropping it ends the thread.
pub struct Keeper {
    /// No more than is answered: it has room for all.
    orders: Option<Sender<Order>>,
    fetched: Option<Sender<(StreamKey, Fetched)>>,
    answers: Receiver<Answer>,
    thread: Option<JoinHandle<()>>,
    complete: Vec<(StreamName, Description)>,
}

impl Keeper {
    pub fn start(store: Store, waker: Waker) -> anyhow::Result<Self> {
        let shelf = Shelf::new(store);
        let complete = shelf.complete();
        let (orders, inbox) = unbounded();
        let (fetched, basket) = bounded(ROOM);
        let (outbox, answers) = unbounded();
        let work = move || Work { shelf, outbox, waker, kept: Kept::default() }.run(&inbox, &basket);
        let thread = Builder::new().name("cache".into()).spawn(work).context("a thread could not be started")?;
        let (orders, fetched) = (Some(orders), Some(fetched));
        Ok(Self { orders, fetched, answers, thread: Some(thread), complete })
    }

    /// Streams that could be played to their end when this began.
    pub fn complete(&self) -> &[(StreamName, Description)] {
        &self.complete
    }

    pub fn tell(&self, order: Order) {
        // A thread that died is found by [`Self::is_dead`].
        if let Some(orders) = &self.orders {
            orders.send(order).ok();
        }
    }

    /// Something was fetched. Where there is no room it is left out.
    pub fn fetched(&self, key: StreamKey, fetched: Fetched) {
        if let Some(basket) = &self.fetched {
            basket.try_send((key, fetched)).ok();
        }
    }

    /// Whether the thread has died, which is a bug.
    pub fn is_dead(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    pub fn answer(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        (self.orders, self.fetched) = (None, None);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

struct Work {
    shelf: Shelf,
    /// No more than was ordered, and what the store needs.
    outbox: Sender<Answer>,
    waker: Waker,
    kept: Kept,
}

impl Work {
    fn run(&mut self, inbox: &Receiver<Order>, basket: &Receiver<(StreamKey, Fetched)>) {
        loop {
            let wait = self.shelf.deadline().since(now()).min(Duration::from_secs(3_600));
            select! {
                recv(inbox) -> order => match order {
                    Ok(order) => self.obey(order),
                    Err(_) => return,
                },
                recv(basket) -> fetched => match fetched {
                    Ok((key, fetched)) => self.take(key, &fetched),
                    Err(_) => return,
                },
                default(wait) => {}
            }
            // What waits is done before anybody is woken; what is played comes before what is kept.
            for _ in 0..AT_ONCE {
                if let Ok(order) = inbox.try_recv() {
                    self.obey(order);
                } else if let Ok((key, fetched)) = basket.try_recv() {
                    self.take(key, &fetched);
                } else {
                    break;
                }
            }
            for (key, range) in self.shelf.ask(now()) {
                self.say(Answer::Get(key, range));
            }
            self.tell_kept();
            (self.waker)();
        }
    }

    fn say(&self, answer: Answer) {
        // The event loop may have ended.
        self.outbox.send(answer).ok();
    }

    fn tell_kept(&mut self) {
        let store = self.shelf.store();
        let complete = store.films().filter(|stored| stored.film.complete).count();
        let kept = Kept { films: store.films().count(), complete, bytes: store.bytes() };
        if kept != self.kept {
            self.kept = kept;
            self.say(Answer::Kept(kept));
        }
    }

    fn take(&mut self, key: StreamKey, fetched: &Fetched) {
        match fetched {
            Fetched::Object(object) => {
                let kept = self.shelf.object(now(), key, object);
                self.trouble(key, kept.err());
            }
            Fetched::Gone(range) => self.shelf.gone(now(), key, range),
        }
    }

    fn obey(&mut self, order: Order) {
        let at = now();
        match order {
            Order::Fill(key, name, description) => {
                let filled = self.shelf.fill(at, unix(), key, &name, &description);
                self.trouble(key, filled.err());
            }
            Order::Rest(key) => self.shelf.rest(key),
            Order::Play(key, name, from) => {
                let adoption = self.shelf.play(unix(), key, &name, None, from);
                self.say(Answer::Plays(key, adoption));
            }
            Order::Picture(key) => {
                let picture = self.shelf.picture(at, key);
                picture.into_iter().for_each(|picture| self.say(Answer::Picture(key, picture)));
            }
            Order::Sound(key) => {
                let sound = self.shelf.sound(key);
                self.say(Answer::Sound(key, sound));
            }
            Order::Stop(key) => self.shelf.stop(key),
            Order::Lend(id, range) => {
                let units = self.shelf.supply(&range, LENT - 1);
                self.say(Answer::Lent(id, range, units.into_iter().flatten().collect()));
            }
        }
    }

    fn trouble(&self, key: StreamKey, error: Option<crate::store::StoreError>) {
        error.into_iter().for_each(|error| self.say(Answer::Trouble(key, error.to_string())));
    }
}

/// Seconds of Unix time.
fn unix() -> u64 {
    let nanos = now().nanos().saturating_add(wall_ahead());
    u64::try_from(nanos / 1_000_000_000).unwrap_or(0)
}
