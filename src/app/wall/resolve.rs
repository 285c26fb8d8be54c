//! `HOST/*`: all streams of a server, asked before anything is opened.

use std::time::Duration;

use anyhow::{Context, anyhow};

use crate::app::Exit;
use crate::app::address::Target;
use crate::app::figures::Output;
use crate::app::watch::Options;
use crate::clock::now;
use crate::net::{App, Flow, Loop};
use crate::proto::lister::{Config, Event, ListFailure, Lister, Local};
use crate::proto::{Input, Machine};
use crate::seal;
use crate::units::Time;
use crate::wire::message::{Entry, State};

/// How long a server is looked for, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// The targets, each of one stream; or how the program ends because a server could not be asked, which has been said.
pub fn all(options: &Options, output: &Output) -> anyhow::Result<Result<Vec<Target>, Exit>> {
    let mut targets = Vec::new();
    for target in &options.servers {
        if !target.all {
            targets.push(target.clone());
            continue;
        }
        match ask(target, options.timeout.unwrap_or(PATIENCE), output)? {
            Ok(entries) => targets.extend(of(target, entries)),
            Err(exit) => return Ok(Err(exit)),
        }
    }
    if targets.is_empty() {
        output.warn("error: there is no stream to watch: all have ended");
        return Ok(Err(Exit::Unreachable));
    }
    Ok(Ok(targets))
}

fn of(target: &Target, entries: Vec<Entry>) -> impl Iterator<Item = Target> {
    let going_on = entries.into_iter().filter(|entry| entry.state != State::Ended);
    going_on.map(|entry| Target { address: target.address.clone(), stream: Some(entry.name), all: false })
}

/// What the server answers, or how it ends without.
fn ask(target: &Target, limit: Duration, output: &Output) -> anyhow::Result<Result<Vec<Entry>, Exit>> {
    let seed = seal::system_seed().ok_or_else(|| anyhow!("the system has no random numbers to give"))?;
    let servers = target.address.look_up()?;
    let mut event_loop = Loop::on_any_port().context("the event loop could not be started")?;
    event_loop.catch_signals().context("signals could not be caught")?;
    output.status(&[format!("asking {} for its streams", target.address)]);
    let mut lister = Lister::new(Config { seed, servers, limit }, now());
    let mut asking = Asking::default();
    event_loop.run(&mut lister, &mut asking).context("the event loop failed")?;
    if let Some(failure) = asking.failed {
        output.warn(&format!("error: {}", sentence(&failure, &target.address.to_string())));
        return Ok(Err(Exit::Unreachable));
    }
    // Without an answer somebody has stopped it.
    Ok(asking.entries.ok_or(Exit::Done))
}

/// Why there is no list, and what to do about it.
fn sentence(failure: &ListFailure, server: &str) -> String {
    match failure {
        ListFailure::Nobody => format!(
            "nobody answers at {server}: check that `udpstream serve` runs there, its port, and firewalls in between"
        ),
        ListFailure::Network => format!(
            "no way to {server}: this machine's network is down or knows no route there; check cable, Wi-Fi and address"
        ),
        ListFailure::Refused { sentence, .. } => format!("{server} refused: {sentence}"),
        ListFailure::Changing => format!("the streams of {server} change too quickly to be listed: try again"),
    }
}

#[derive(Default)]
struct Asking {
    entries: Option<Vec<Entry>>,
    failed: Option<ListFailure>,
}

impl App<Lister> for Asking {
    fn event(&mut self, _now: Time, _lister: &mut Lister, event: Event) -> Flow {
        match event {
            Event::Listing(_, entries) => self.entries = Some(entries),
            Event::Failed(failure) => self.failed = Some(failure),
            Event::Finished => return Flow::Stop,
        }
        Flow::Continue
    }

    fn signal(&mut self, now: Time, lister: &mut Lister, _signal: i32) -> Flow {
        lister.handle(now, Input::Local(Local::Stop));
        Flow::Continue
    }
}
