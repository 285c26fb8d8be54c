//! A source is opened on a thread of its own, so that Ctrl-C is heard while an address does not answer or a pipe stays
//! empty.

use std::thread::Builder;
use std::time::Duration;

use anyhow::{Context, anyhow};

use super::terminal;
use crate::clock::now;
use crate::net::{App, Flow, Loop};
use crate::proto::{Input as MachineInput, Machine, Output, Reason};
use crate::queue::{Consumer, Pop, WhenFull, bounded};
use crate::source::{self, Input, Options, Source, SourceError, Stopper};
use crate::units::Time;

/// A loop that hears signals. Made before any other that does, it misses none.
pub fn listen() -> anyhow::Result<Loop> {
    let mut waiting = Loop::new(Vec::new()).context("the event loop could not be started")?;
    waiting.catch_signals().context("signals could not be caught")?;
    Ok(waiting)
}

/// The source, with its first picture certain; `None` if a signal came first. Nothing is left behind then. Unless `quiet`,
/// a terminal shows what is waited for once that takes long.
pub fn open(
    waiting: Loop,
    input: &Input,
    ear: Option<&Input>,
    options: Options,
    quiet: bool,
) -> anyhow::Result<Option<Source>> {
    let stopper = Stopper::new()?;
    let awaited = format!("Waiting for the first picture of {} …", input.name());
    let (answer, result) = bounded(1, WhenFull::Block, Some(waiting.waker()));
    let (input, ear, opener) = (input.clone(), ear.cloned(), stopper.clone());
    let open = move || {
        // After a signal nobody wants to know any more.
        answer.push(source::open(&input, ear.as_ref(), &options, &opener)).ok();
    };
    let thread = Builder::new().name("open".into()).spawn(open).context("a thread could not be started")?;
    let patience = if quiet { Time::NEVER } else { now() + PATIENCE };
    let mut app = Opening { result, stopper, opened: None, interrupted: false, patience, awaited };
    waiting.run(&mut Nothing, &mut app).context("the event loop failed")?;
    thread.join().map_err(|_| anyhow!("the thread that opens the source died: this is a bug"))?;
    // Its text is the whole sentence: the causes are in it.
    let opened = app.opened.transpose().map_err(|error| anyhow!("{error}"))?;
    Ok(opened.filter(|_| !app.interrupted))
}

struct Opening {
    result: Consumer<Result<Source, SourceError>>,
    stopper: Stopper,
    opened: Option<Result<Source, SourceError>>,
    interrupted: bool,
    /// When a terminal shows …
    patience: Time,
    /// … this.
    awaited: String,
}

/// What opens at all is mostly open by then.
const PATIENCE: Duration = Duration::from_secs(2);

impl App<Nothing> for Opening {
    fn event(&mut self, _now: Time, _machine: &mut Nothing, (): ()) -> Flow {
        Flow::Continue
    }

    fn turn(&mut self, now: Time, _machine: &mut Nothing) -> Flow {
        if now >= self.patience {
            self.patience = Time::NEVER;
            terminal::status(std::slice::from_ref(&self.awaited));
        }
        match self.result.try_pop() {
            Pop::Item(opened) => {
                self.opened = Some(opened);
                Flow::Stop
            }
            Pop::Closed => Flow::Stop,
            Pop::Empty => Flow::Continue,
        }
    }

    fn deadline(&self) -> Time {
        self.patience
    }

    fn signal(&mut self, _now: Time, _machine: &mut Nothing, _signal: i32) -> Flow {
        self.interrupted = true;
        self.stopper.stop();
        Flow::Stop
    }
}

/// No protocol is run here.
pub struct Nothing;

impl Machine for Nothing {
    type Local = ();
    type Event = ();

    fn handle(&mut self, _now: Time, _input: MachineInput<'_, ()>) {}

    fn poll(&mut self, _now: Time) -> Output<()> {
        Output::Wait(Time::NEVER, Reason::Idle)
    }
}
