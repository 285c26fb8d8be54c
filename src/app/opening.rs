//! Sources are opened on threads of their own, all at once, so that Ctrl-C is heard while an address does not answer or a
//! pipe stays empty, and so that one slow source does not add to another.

use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context, anyhow};

use super::terminal;
use crate::clock::now;
use crate::net::{App, Flow, Loop};
use crate::proto::{Input as MachineInput, Machine, Output, Reason};
use crate::queue::{Consumer, Pop, Waker, WhenFull, bounded};
use crate::source::{self, Input, Options, Source, SourceError, Stopper};
use crate::units::Time;

/// What is to be opened, and how.
#[derive(Clone, Debug)]
pub struct Request {
    pub input: Input,
    /// A microphone beside it.
    pub ear: Option<Input>,
    pub options: Options,
}

/// A loop that hears signals. Made before any other that does, it misses none.
pub fn listen() -> anyhow::Result<Loop> {
    let mut waiting = Loop::new(Vec::new()).context("the event loop could not be started")?;
    waiting.catch_signals().context("signals could not be caught")?;
    Ok(waiting)
}

/// A source that is being opened. Dropping it gives that up; nothing is left behind then.
pub struct Attempt {
    name: String,
    /// Until the source has been taken.
    stopper: Option<Stopper>,
    result: Consumer<Result<Source, SourceError>>,
    thread: Option<JoinHandle<()>>,
}

impl Attempt {
    /// Begins; `waker` is called when it has come to something.
    pub fn begin(request: &Request, waker: Waker) -> anyhow::Result<Self> {
        let stopper = Stopper::new()?;
        let (answer, result) = bounded(1, WhenFull::Block, Some(waker));
        let (request, opener) = (request.clone(), stopper.clone());
        let name = request.input.name();
        let open = move || {
            let Request { input, ear, options } = &request;
            // After a signal the answer is not read any more.
            answer.push(source::open(input, ear.as_ref(), options, &opener)).ok();
        };
        let thread = Builder::new().name("open".into()).spawn(open).context("a thread could not be started")?;
        Ok(Self { name, stopper: Some(stopper), result, thread: Some(thread) })
    }

    /// The source, with its first picture certain, or why there is none; `None` while that is not known.
    pub fn result(&mut self) -> Option<Result<Source, SourceError>> {
        match self.result.try_pop() {
            Pop::Item(opened) => {
                // A stopper would stop the source for good, and it goes on.
                self.stopper = None;
                Some(opened)
            }
            Pop::Empty => None,
            Pop::Closed => {
                Some(Err(SourceError::Start(std::io::Error::other("the thread that opens the source died"))))
            }
        }
    }

    /// Gives up soon; what is left ends when this is dropped.
    fn stop(&self) {
        self.stopper.iter().for_each(Stopper::stop);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Why one of several sources could not be opened.
pub struct NotOpened {
    /// Which of them, counted from 0.
    pub at: usize,
    pub error: SourceError,
}

/// All sources, each with its first picture certain; `None` if a signal came first. If one of them cannot be opened, all are
/// given up. Nothing is left behind in either case. Unless `quiet`, a terminal shows what is waited for once that takes long.
pub fn open_all(
    waiting: Loop,
    requests: &[Request],
    quiet: bool,
) -> anyhow::Result<Option<Result<Vec<Source>, NotOpened>>> {
    let begin = |request| Attempt::begin(request, waiting.waker());
    let attempts = requests.iter().map(begin).collect::<anyhow::Result<Vec<_>>>()?;
    let opened = requests.iter().map(|_| None).collect();
    let patience = if quiet { Time::NEVER } else { now() + PATIENCE };
    let mut app = Opening { attempts, opened, failed: None, interrupted: false, patience };
    waiting.run(&mut Nothing, &mut app).context("the event loop failed")?;
    let Opening { attempts, opened, failed, interrupted, .. } = app;
    if interrupted || failed.is_some() {
        // All are told before any is waited for.
        attempts.iter().for_each(Attempt::stop);
    }
    if interrupted {
        return Ok(None);
    }
    if let Some(failed) = failed {
        return Ok(Some(Err(failed)));
    }
    let count = opened.len();
    let sources: Vec<Source> = opened.into_iter().flatten().collect();
    if sources.len() == count { Ok(Some(Ok(sources))) } else { Err(anyhow!("a source was lost: this is a bug")) }
}

struct Opening {
    attempts: Vec<Attempt>,
    opened: Vec<Option<Source>>,
    failed: Option<NotOpened>,
    interrupted: bool,
    /// When a terminal shows what is waited for.
    patience: Time,
}

/// What opens at all is mostly open by then.
const PATIENCE: Duration = Duration::from_secs(2);

impl Opening {
    /// Takes what has come; whether there is something left to wait for.
    fn take(&mut self) -> Flow {
        for (at, (attempt, opened)) in self.attempts.iter_mut().zip(&mut self.opened).enumerate() {
            if opened.is_some() {
                continue;
            }
            match attempt.result() {
                Some(Ok(source)) => *opened = Some(source),
                Some(Err(error)) => {
                    self.failed = Some(NotOpened { at, error });
                    return Flow::Stop;
                }
                None => {}
            }
        }
        if self.opened.iter().all(Option::is_some) { Flow::Stop } else { Flow::Continue }
    }

    fn awaited(&self) -> String {
        let waiting = self.attempts.iter().zip(&self.opened).filter(|(_, opened)| opened.is_none());
        let names: Vec<&str> = waiting.map(|(attempt, _)| attempt.name.as_str()).collect();
        format!("Waiting for the first picture of {} …", names.join(", "))
    }
}

impl App<Nothing> for Opening {
    fn event(&mut self, _now: Time, _machine: &mut Nothing, (): ()) -> Flow {
        Flow::Continue
    }

    fn turn(&mut self, now: Time, _machine: &mut Nothing) -> Flow {
        let flow = self.take();
        if now >= self.patience && flow == Flow::Continue {
            self.patience = Time::NEVER;
            terminal::status(&[self.awaited()]);
        }
        flow
    }

    fn deadline(&self) -> Time {
        self.patience
    }

    fn signal(&mut self, _now: Time, _machine: &mut Nothing, _signal: i32) -> Flow {
        self.interrupted = true;
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
