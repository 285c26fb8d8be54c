//! Asks a server which streams it has, for `ls` and for `HOST/*`.

use std::time::Duration;

use anyhow::{Context, anyhow};

use crate::clock::now;
use crate::net::{App, Flow, Loop};
use crate::proto::lister::{Config, Event, ListFailure, Lister, Local};
use crate::proto::{Input, Machine, Servers};
use crate::seal;
use crate::units::Time;
use crate::wire::message::Entry;

/// The streams of the server at one of these addresses, or why there is no list after `limit`; `None` if a signal that
/// `event_loop` catches came first.
pub fn ask(
    event_loop: Loop,
    servers: Servers,
    limit: Duration,
) -> anyhow::Result<Option<Result<Vec<Entry>, ListFailure>>> {
    let seed = seal::system_seed().ok_or_else(|| anyhow!("the system has no random numbers to give"))?;
    let mut lister = Lister::new(Config { seed, servers, limit }, now());
    let mut asking = Asking::default();
    event_loop.run(&mut lister, &mut asking).context("the event loop failed")?;
    Ok(asking.answer)
}

#[derive(Default)]
struct Asking {
    answer: Option<Result<Vec<Entry>, ListFailure>>,
}

impl App<Lister> for Asking {
    fn event(&mut self, _now: Time, _lister: &mut Lister, event: Event) -> Flow {
        match event {
            Event::Listing(_, entries) => self.answer = Some(Ok(entries)),
            Event::Failed(failure) => self.answer = Some(Err(failure)),
            Event::Finished => return Flow::Stop,
        }
        Flow::Continue
    }

    fn signal(&mut self, now: Time, lister: &mut Lister, _signal: i32) -> Flow {
        lister.handle(now, Input::Local(Local::Stop));
        Flow::Stop
    }
}
