//! Bounded hand-over between threads: a queue that blocks (files) or drops its oldest (live sources), a watched
//! value, and a pool of buffers that come back by themselves. Every drop is counted.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel as channel;

/// Called after each push; it must not block. The event loop's waker is one.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// What a producer does when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Wait until half of it is empty: a file loses nothing, and its producer works in long spells instead of waking up
    /// for each item.
    Block,
    /// Throw the oldest away and count it: a live source stays live.
    DropOldest,
}

/// The other side is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other end of the queue is closed")]
pub struct Closed;

/// A bounded queue of `capacity` items (at least one).
pub fn bounded<T>(capacity: usize, when_full: WhenFull, waker: Option<Waker>) -> (Producer<T>, Consumer<T>) {
    let (sender, receiver) = channel::bounded(capacity.max(1));
    let (done, closed) = channel::bounded(0);
    let (low, room) = channel::bounded(1);
    let dropped = Arc::new(AtomicU64::new(0));
    let (oldest, closing, waking) = (receiver.clone(), channel::never(), Waking(waker));
    let producer = Producer { sender, oldest, room, closed, closing, when_full, dropped: Arc::clone(&dropped), waking };
    (producer, Consumer { receiver, low, half: capacity / 2, dropped, _open: done })
}

/// The writing end.
pub struct Producer<T> {
    sender: channel::Sender<T>,
    /// A second receiver, used only to drop the oldest.
    oldest: channel::Receiver<T>,
    /// Hears when the queue has become half empty.
    room: channel::Receiver<()>,
    /// Disconnects when the consumer is dropped; our own `oldest` would otherwise keep the queue open for ever.
    closed: channel::Receiver<()>,
    /// Hears of the [`Closer`], if there is one.
    closing: channel::Receiver<()>,
    when_full: WhenFull,
    dropped: Arc<AtomicU64>,
    /// The last field: by the time it wakes the reader, the queue is seen to be closed.
    waking: Waking,
}

/// Wakes the reader, at last when it is dropped.
struct Waking(Option<Waker>);

impl Waking {
    fn wake(&self) {
        if let Some(wake) = &self.0 {
            wake();
        }
    }
}

impl Drop for Waking {
    fn drop(&mut self) {
        self.wake();
    }
}

/// Ends a blocked [`Producer::push`] from the writing side; so does dropping it.
pub struct Closer(channel::Sender<()>);

impl Closer {
    pub fn close(&self) {
        // Full: it is closing already.
        self.0.try_send(()).ok();
    }
}

impl<T> Producer<T> {
    /// The one way to end a push that waits for room while the consumer lives on.
    pub fn closer(&mut self) -> Closer {
        let (closer, closing) = channel::bounded(1);
        self.closing = closing;
        Closer(closer)
    }

    /// Puts one item in; blocks or drops the oldest when full.
    pub fn push(&self, item: T) -> Result<(), Closed> {
        match self.when_full {
            WhenFull::Block => self.push_patiently(item)?,
            WhenFull::DropOldest => self.push_newest(item)?,
        }
        self.waking.wake();
        Ok(())
    }

    /// Items thrown away because the queue was full, since it was made.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn push_patiently(&self, mut item: T) -> Result<(), Closed> {
        loop {
            if self.closed.try_recv() == Err(channel::TryRecvError::Disconnected) {
                return Err(Closed);
            }
            match self.sender.try_send(item) {
                Ok(()) => return Ok(()),
                Err(channel::TrySendError::Disconnected(_)) => return Err(Closed),
                Err(channel::TrySendError::Full(back)) => item = back,
            }
            // The news may be old; then the queue is found full again.
            channel::select! {
                recv(self.room) -> _ => {}
                recv(self.closed) -> _ => return Err(Closed),
                recv(self.closing) -> _ => return Err(Closed),
            }
        }
    }

    fn push_newest(&self, mut item: T) -> Result<(), Closed> {
        loop {
            if self.closed.try_recv() == Err(channel::TryRecvError::Disconnected) {
                return Err(Closed);
            }
            match self.sender.try_send(item) {
                Ok(()) => return Ok(()),
                Err(channel::TrySendError::Disconnected(_)) => return Err(Closed),
                Err(channel::TrySendError::Full(back)) => {
                    item = back;
                    if self.oldest.try_recv().is_ok() {
                        self.dropped.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
    }
}

/// The reading end.
pub struct Consumer<T> {
    receiver: channel::Receiver<T>,
    low: channel::Sender<()>,
    half: usize,
    dropped: Arc<AtomicU64>,
    _open: channel::Sender<()>,
}

/// What a look into the queue found.
#[derive(Debug, PartialEq, Eq)]
pub enum Pop<T> {
    Item(T),
    Empty,
    /// Nothing left and nobody to bring more.
    Closed,
}

impl<T> Consumer<T> {
    pub fn try_pop(&self) -> Pop<T> {
        match self.receiver.try_recv() {
            Ok(item) => self.popped(item),
            Err(channel::TryRecvError::Empty) => Pop::Empty,
            Err(channel::TryRecvError::Disconnected) => Pop::Closed,
        }
    }

    /// Waits for an item at most `timeout`.
    pub fn pop_timeout(&self, timeout: Duration) -> Pop<T> {
        match self.receiver.recv_timeout(timeout) {
            Ok(item) => self.popped(item),
            Err(channel::RecvTimeoutError::Timeout) => Pop::Empty,
            Err(channel::RecvTimeoutError::Disconnected) => Pop::Closed,
        }
    }

    /// Waits for an item; `None` when the queue is empty and closed.
    pub fn pop(&self) -> Option<T> {
        let item = self.receiver.recv().ok()?;
        self.tell_of_room();
        Some(item)
    }

    fn popped(&self, item: T) -> Pop<T> {
        self.tell_of_room();
        Pop::Item(item)
    }

    fn tell_of_room(&self) {
        if self.receiver.len() <= self.half {
            // Full: it has been told already. Disconnected: nobody waits.
            self.low.try_send(()).ok();
        }
    }

    pub fn len(&self) -> usize {
        self.receiver.len()
    }

    pub fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    /// Items thrown away because the queue was full, since it was made.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// A small value that one thread sets and another waits on.
#[derive(Default)]
pub struct Watched<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T: Clone + PartialEq> Watched<T> {
    pub fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Condvar::new() }
    }

    pub fn load(&self) -> T {
        self.lock().clone()
    }

    /// Stores `value` and wakes the waiters if it differs.
    pub fn store(&self, value: T) {
        let mut held = self.lock();
        if *held != value {
            *held = value;
            self.changed.notify_all();
        }
    }

    /// Waits until the value differs from `seen` or `timeout` is over, and returns it either way.
    pub fn wait_change(&self, seen: &T, timeout: Duration) -> T {
        let held = self.lock();
        let (held, _) = self
            .changed
            .wait_timeout_while(held, timeout, |value| value == seen)
            .unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Buffers that are used again: [`Pool::take`] hands one out, dropping it brings it back.
pub struct Pool<T> {
    home: channel::Sender<T>,
    free: channel::Receiver<T>,
}

impl<T> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self { home: self.home.clone(), free: self.free.clone() }
    }
}

impl<T> Pool<T> {
    /// Keeps at most `keep` idle buffers; more are freed.
    pub fn new(keep: usize) -> Self {
        let (home, free) = channel::bounded(keep.max(1));
        Self { home, free }
    }

    /// An idle buffer with its old contents, or a new one.
    pub fn take(&self, make: impl FnOnce() -> T) -> Pooled<T> {
        let value = self.free.try_recv().unwrap_or_else(|_| make());
        Pooled { value: Some(value), home: self.home.clone() }
    }
}

/// A buffer on loan from a [`Pool`].
pub struct Pooled<T> {
    value: Option<T>,
    home: channel::Sender<T>,
}

impl<T> Pooled<T> {
    /// A buffer that belongs to no pool and is freed when dropped.
    pub fn unpooled(value: T) -> Self {
        Self { value: Some(value), home: channel::bounded(0).0 }
    }
}

impl<T> Deref for Pooled<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value.as_ref().unwrap_or_else(|| unreachable!("taken only in drop"))
    }
}

impl<T> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().unwrap_or_else(|| unreachable!("taken only in drop"))
    }
}

impl<T> Drop for Pooled<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            // A full pool frees the buffer: that is its bound.
            self.home.try_send(value).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_queue_keeps_the_newest_and_counts_the_rest() {
        let (producer, consumer) = bounded(3, WhenFull::DropOldest, None);
        for n in 0..10 {
            producer.push(n).expect("open");
        }
        assert_eq!(consumer.dropped(), 7);
        assert_eq!([consumer.pop(), consumer.pop(), consumer.pop()], [Some(7), Some(8), Some(9)]);
        assert_eq!(consumer.try_pop(), Pop::Empty);
        drop(producer);
        assert_eq!(consumer.try_pop(), Pop::<i32>::Closed);
    }

    #[test]
    fn a_file_queue_blocks_and_loses_nothing() {
        let (producer, consumer) = bounded(2, WhenFull::Block, None);
        let writer = std::thread::spawn(move || (0..1_000).try_for_each(|n| producer.push(n)));
        let got: Vec<i32> = std::iter::from_fn(|| consumer.pop()).collect();
        assert_eq!(got, (0..1_000).collect::<Vec<_>>());
        assert_eq!(consumer.dropped(), 0);
        assert_eq!(writer.join().expect("no panic"), Ok(()));
    }

    #[test]
    fn a_producer_hears_of_room_when_half_of_the_queue_is_empty() {
        let (producer, consumer) = bounded(4, WhenFull::Block, None);
        (0..4).for_each(|n| producer.push(n).expect("room"));
        assert_eq!(consumer.pop(), Some(0));
        assert!(producer.room.is_empty(), "one place is not worth waking up for");
        assert_eq!(consumer.pop(), Some(1));
        assert!(!producer.room.is_empty());
    }

    #[test]
    fn a_blocked_producer_learns_that_the_consumer_left() {
        for policy in [WhenFull::Block, WhenFull::DropOldest] {
            let (producer, consumer) = bounded(1, policy, None);
            producer.push(1).expect("room for one");
            let writer = std::thread::spawn(move || std::iter::repeat_with(|| producer.push(2)).find(Result::is_err));
            drop(consumer);
            assert_eq!(writer.join().expect("no panic"), Some(Err(Closed)));
        }
    }

    #[test]
    fn a_blocked_producer_can_be_closed_from_its_own_side() {
        let (mut producer, consumer) = bounded(1, WhenFull::Block, None);
        let closer = producer.closer();
        producer.push(1).expect("room for one");
        let writer = std::thread::spawn(move || producer.push(2));
        closer.close();
        assert_eq!(writer.join().expect("no panic"), Err(Closed));
        assert_eq!((consumer.pop(), consumer.pop()), (Some(1), None));
    }

    #[test]
    fn whoever_is_woken_by_the_end_sees_it() {
        let reader = Arc::new(Mutex::new(None::<Consumer<u8>>));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (looking, saw) = (Arc::clone(&reader), Arc::clone(&seen));
        let look = move || {
            let looked = looking.lock().expect("no panic").as_ref().map(Consumer::try_pop);
            saw.lock().expect("no panic").push(looked);
        };
        let (producer, consumer) = bounded(1, WhenFull::Block, Some(Arc::new(look)));
        *reader.lock().expect("no panic") = Some(consumer);
        drop(producer);
        assert_eq!(*seen.lock().expect("no panic"), [Some(Pop::Closed)]);
    }

    #[test]
    fn pooled_buffers_come_back() {
        let pool = Pool::new(1);
        let mut first = pool.take(Vec::<u8>::new);
        first.push(7);
        let second = pool.take(Vec::new);
        assert!(second.is_empty());
        drop(first);
        drop(second);
        assert_eq!(*pool.take(Vec::new), [7], "the first one came back, the second found the pool full");
    }

    #[test]
    fn a_watched_value_wakes_its_waiter() {
        let watched = Arc::new(Watched::new(0));
        let other = Arc::clone(&watched);
        let setter = std::thread::spawn(move || other.store(5));
        assert_eq!(watched.wait_change(&0, Duration::from_secs(20)), 5);
        setter.join().expect("no panic");
        assert_eq!(watched.wait_change(&5, Duration::from_millis(1)), 5, "unchanged: the timeout ends the wait");
    }
}
