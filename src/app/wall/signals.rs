//! Ctrl-C, SIGTERM and the end of the terminal, heard once for all viewings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use anyhow::Context;

use crate::app::watch::viewing::Remote;
use crate::app::watch::watching::Act;
use crate::net::{App, Flow, Loop};
use crate::proto::{Input, Machine, Output, Reason};
use crate::queue::Waker;
use crate::units::Time;

/// The thread that waits for signals.
pub struct Signals {
    over: Arc<AtomicBool>,
    waker: Waker,
    thread: JoinHandle<()>,
}

impl Signals {
    pub fn catch(remotes: Vec<Remote>) -> anyhow::Result<Self> {
        let mut event_loop = Loop::new(Vec::new()).context("the event loop could not be started")?;
        event_loop.catch_signals().context("signals could not be caught")?;
        let (over, waker) = (Arc::new(AtomicBool::new(false)), event_loop.waker());
        let mut ears = Ears { remotes, over: Arc::clone(&over) };
        let wait = move || {
            // It ends with the program in any case.
            event_loop.run(&mut Silent, &mut ears).ok();
        };
        let thread = Builder::new().name("signals".into()).spawn(wait).context("a thread could not be started")?;
        Ok(Self { over, waker, thread })
    }

    pub fn end(self) {
        self.over.store(true, Ordering::Release);
        (self.waker)();
        self.thread.join().ok();
    }
}

struct Ears {
    remotes: Vec<Remote>,
    over: Arc<AtomicBool>,
}

impl App<Silent> for Ears {
    fn event(&mut self, _now: Time, _machine: &mut Silent, (): ()) -> Flow {
        Flow::Continue
    }

    fn turn(&mut self, _now: Time, _machine: &mut Silent) -> Flow {
        if self.over.load(Ordering::Acquire) { Flow::Stop } else { Flow::Continue }
    }

    fn signal(&mut self, _now: Time, _machine: &mut Silent, _signal: i32) -> Flow {
        self.remotes.iter().for_each(|remote| remote.act(Act::Interrupt));
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
