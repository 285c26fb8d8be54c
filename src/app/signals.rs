//! Ctrl-C, SIGTERM and the end of the terminal, heard on a thread of their own by a wall, from its start to its end, and by who only looks for streams.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use anyhow::Context;
use crossbeam_channel::{Receiver, bounded};

use crate::net::{App, Flow, Loop};
use crate::proto::{Input, Machine, Output, Reason};
use crate::queue::Waker;
use crate::units::Time;

/// The thread that waits for signals.
pub struct Signals {
    over: Arc<AtomicBool>,
    listeners: Arc<Mutex<Listeners>>,
    waker: Waker,
    thread: JoinHandle<()>,
}

/// Whom signals are told to.
#[derive(Default)]
struct Listeners {
    /// Signals so far.
    count: usize,
    all: Vec<Box<dyn Fn() + Send>>,
}

impl Listeners {
    /// A listener that comes late is told at once what came before.
    fn add(&mut self, listener: impl Fn() + Send + 'static) {
        (0..self.count).for_each(|_| listener());
        self.all.push(Box::new(listener));
    }

    fn signal(&mut self) {
        self.count += 1;
        self.all.iter().for_each(|listener| listener());
    }
}

impl Signals {
    pub fn catch() -> anyhow::Result<Self> {
        let mut event_loop = Loop::new(Vec::new()).context("the event loop could not be started")?;
        event_loop.catch_signals().context("signals could not be caught")?;
        let (over, waker) = (Arc::new(AtomicBool::new(false)), event_loop.waker());
        let listeners = Arc::<Mutex<Listeners>>::default();
        let mut hearing = Hearing { over: Arc::clone(&over), listeners: Arc::clone(&listeners) };
        let wait = move || {
            // It ends with the program in any case.
            event_loop.run(&mut Silent, &mut hearing).ok();
        };
        let thread = Builder::new().name("signals".into()).spawn(wait).context("a thread could not be started")?;
        Ok(Self { over, listeners, waker, thread })
    }

    /// Calls `listener` at each signal, those included that have come already.
    pub fn tell(&self, listener: impl Fn() + Send + 'static) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).add(listener);
    }

    /// Holds something from the first signal on.
    pub fn channel(&self) -> Receiver<()> {
        let (tell, told) = bounded(1);
        // One is enough to end, and a second may find no room.
        self.tell(move || {
            tell.try_send(()).ok();
        });
        told
    }

    pub fn end(self) {
        self.over.store(true, Ordering::Release);
        (self.waker)();
        self.thread.join().ok();
    }
}

struct Hearing {
    over: Arc<AtomicBool>,
    listeners: Arc<Mutex<Listeners>>,
}

impl App<Silent> for Hearing {
    fn event(&mut self, _now: Time, _machine: &mut Silent, (): ()) -> Flow {
        Flow::Continue
    }

    fn turn(&mut self, _now: Time, _machine: &mut Silent) -> Flow {
        if self.over.load(Ordering::Acquire) { Flow::Stop } else { Flow::Continue }
    }

    fn signal(&mut self, _now: Time, _machine: &mut Silent, _signal: i32) -> Flow {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).signal();
        Flow::Continue
    }
}

/// Does nothing, for ever.
struct Silent;

impl Machine for Silent {
    type Local = ();
    type Event = ();

    fn handle(&mut self, _now: Time, _input: Input<'_, ()>) {}

    fn poll(&mut self, _now: Time) -> Output<()> {
        Output::Wait(Time::NEVER, Reason::Idle)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn a_listener_that_comes_late_misses_no_signal() {
        let heard: [Arc<AtomicUsize>; 2] = Default::default();
        let listener = |at: usize| {
            let heard = Arc::clone(&heard[at]);
            move || {
                heard.fetch_add(1, Ordering::Relaxed);
            }
        };
        let mut listeners = Listeners::default();
        listeners.add(listener(0));
        listeners.signal();
        listeners.add(listener(1));
        listeners.signal();
        assert_eq!([0, 1].map(|at: usize| heard[at].load(Ordering::Relaxed)), [2, 2]);
    }
}
