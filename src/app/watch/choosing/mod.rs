//! `udpstream watch` without a server: the streams of the local network, one of which is chosen; the only one by itself.

mod menu;
mod terminal;
mod window;

use std::io::{self, IsTerminal};

use anyhow::Context;

use super::screen::Screen;
use super::subject::Subject;
use super::viewing::Viewing;
use super::{Options, secret};
use crate::app::Exit;
use crate::app::figures::Output;
use crate::app::neighbours::Stream;
use crate::app::secrets::Given;
use crate::proto::Servers;

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

/// Whether its password is to be typed on the terminal.
fn asks_for_password(options: &Options, stream: &Stream) -> bool {
    stream.is_guarded() && options.password.is_none() && io::stdin().is_terminal()
}

/// Whether it asks for a password that nobody can be asked for.
fn lacks_password(options: &Options, stream: &Stream) -> bool {
    stream.is_guarded() && options.password.is_none() && !io::stdin().is_terminal()
}

/// The stream as it is watched: with a password if it asks for one, and followed wherever its server goes.
fn viewing(mut options: Options, output: Output, stream: Stream) -> anyhow::Result<Viewing> {
    let guarded = stream.is_guarded();
    if asks_for_password(&options, &stream) {
        options.password = Some(Given::Stdin);
    }
    let mut target = stream.target();
    target.address.transport = options.transport.or(target.address.transport);
    let secret = secret(&target, options.password.as_ref().filter(|_| guarded))?;
    let servers = Servers::new(options.transport.unwrap_or(stream.transport), stream.places);
    let subject = Subject::new(target, None, servers).with(secret).of_instance(stream.instance);
    Viewing::prepare(options, subject, output, None)
}
