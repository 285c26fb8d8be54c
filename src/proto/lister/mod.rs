//! Which streams a server has, asked without joining: a machine by itself for `ls` and for all streams of a host.

mod fetch;

use std::net::SocketAddr;
use std::time::Duration;

pub(super) use fetch::Fetch;
pub use fetch::ListFailure;

use super::{Input, Machine, Output, Reason, Servers, Soonest};
use crate::seal::{Random, Seed};
use crate::units::Time;
use crate::wire::message::Entry;

/// What is asked, and how long.
#[derive(Clone, Debug)]
pub struct Config {
    pub seed: Seed,
    /// Where the server may be: all are asked, the first to answer is taken.
    pub servers: Servers,
    /// Nobody has answered in full for so long: then it ends.
    pub limit: Duration,
}

/// What the program around the lister tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// Finish.
    Stop,
}

/// What the lister tells the program around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The streams of the server, in its order, and which of the addresses answered.
    Listing(SocketAddr, Vec<Entry>),
    Failed(ListFailure),
    /// All is said; the program can end.
    Finished,
}

/// Asks once, and ends.
pub struct Lister {
    fetch: Option<Fetch>,
    said: bool,
    answer: Option<Event>,
}

impl Lister {
    pub fn new(config: Config, now: Time) -> Self {
        let fetch = Fetch::new(config.servers, false, Random::new(&config.seed), now, config.limit);
        Self { fetch: Some(fetch), said: false, answer: None }
    }

    fn look(&mut self) {
        let answer = self.fetch.as_mut().and_then(Fetch::answer);
        if let Some(answer) = answer {
            self.fetch = None;
            self.answer = Some(match answer {
                Ok((server, entries)) => Event::Listing(server, entries),
                Err(failure) => Event::Failed(failure),
            });
        }
    }
}

impl Machine for Lister {
    type Local = Local;
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_, Local>) {
        let Some(fetch) = &mut self.fetch else { return };
        match input {
            Input::Datagram(datagram) => drop(fetch.datagram(now, datagram)),
            Input::NotSent(port, ..) if port.is_for_pictures() => fetch.not_sent(),
            Input::NotSent(..) | Input::Connection(..) => {}
            Input::Local(Local::Stop) => self.fetch = None,
        }
    }

    fn poll(&mut self, now: Time) -> Output<Event> {
        if let Some(fetch) = &mut self.fetch {
            fetch.tend(now);
            if let Some(transmit) = fetch.transmit() {
                return Output::Send(transmit);
            }
        }
        self.look();
        if let Some(event) = self.answer.take() {
            return Output::Event(event);
        }
        match &self.fetch {
            Some(fetch) => {
                let Soonest(at, reason) = fetch.soonest();
                Output::Wait(at, reason)
            }
            None if std::mem::replace(&mut self.said, true) => Output::Wait(Time::NEVER, Reason::Idle),
            None => Output::Event(Event::Finished),
        }
    }
}
