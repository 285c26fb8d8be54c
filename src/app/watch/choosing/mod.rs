//! `udpstream watch` without a server: the streams of the local network, one of which is chosen; the only one by itself.

mod menu;
mod terminal;
mod window;

use anyhow::Context;

use super::screen::Screen;
use super::subject::Subject;
use super::viewing::Viewing;
use super::{Options, secret};
use crate::app::Exit;
use crate::app::figures::Output;
use crate::app::neighbours::Stream;
use crate::app::secrets::Given;

/// Looks, lets one choose, and watches.
pub fn watch(options: Options) -> anyhow::Result<Exit> {
    let output = Output::new(options.stats, options.quiet).context("standard output could not be written to")?;
    let output = output.with_typing(options.talk.typed);
    if !options.headless {
        return window::watch(options, output);
    }
    let stream = match terminal::choose(&options, &output)? {
        Ok(stream) => stream,
        Err(exit) => return Ok(exit),
    };
    let mut viewing = viewing(options, output, stream)?;
    viewing.catch_signals()?;
    viewing.run(Screen(None))
}

/// The stream as it is watched: with a password if it asks for one, and followed wherever its server goes.
fn viewing(mut options: Options, output: Output, stream: Stream) -> anyhow::Result<Viewing> {
    let guarded = stream.entry.as_ref().is_some_and(|entry| entry.guarded);
    if guarded && options.password.is_none() && std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        options.password = Some(Given::Stdin);
    }
    let target = stream.target();
    let secret = secret(&target, options.password.as_ref().filter(|_| guarded))?;
    let subject = Subject::new(target, None, stream.places).with(secret).of_instance(stream.instance);
    Viewing::prepare(options, subject, output, None)
}
