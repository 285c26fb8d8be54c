//! `udpstream watch` without a server: the streams of the local network, one of which is chosen; the only one by itself.

mod menu;
mod terminal;
mod window;

use std::io::{self, IsTerminal};
use std::sync::atomic::Ordering;

use anyhow::Context;
use crossbeam_channel::Receiver;

use super::screen::Screen;
use super::subject::Subject;
use super::typing::end_at_signals;
use super::viewing::Viewing;
use super::{Options, secret};
use crate::app::Exit;
use crate::app::figures::Output;
use crate::app::neighbours::Stream;
use crate::app::secrets::Given;
use crate::app::signals::Signals;
use crate::proto::Servers;

/// Looks, lets one choose, and watches.
pub fn watch(options: Options) -> anyhow::Result<Exit> {
    let output = Output::new(options.stats, options.quiet).context("standard output could not be written to")?;
    let output = output.with_typing(options.talk.typed);
    if !options.headless {
        return window::watch(options, output);
    }
    let signals = Signals::catch()?;
    let interrupted = signals.channel();
    let stream = match terminal::choose(&options, &output, &interrupted)? {
        Ok(stream) => stream,
        Err(exit) => return Ok(exit),
    };
    match viewing(options, output, stream, (signals, &interrupted))? {
        Some(viewing) => viewing.run(Screen(None)),
        None => Ok(Exit::Done),
    }
}

/// Whether its password is to be typed on the terminal.
fn asks_for_password(options: &Options, stream: &Stream) -> bool {
    stream.is_guarded() && options.password.is_none() && io::stdin().is_terminal()
}

/// Whether it asks for a password that nobody can be asked for.
fn lacks_password(options: &Options, stream: &Stream) -> bool {
    stream.is_guarded() && options.password.is_none() && !io::stdin().is_terminal()
}

/// The stream as it is watched: with a password if it asks for one, and followed wherever its server goes. From here on it
/// hears signals itself; `None` if one came before.
fn viewing(
    mut options: Options,
    output: Output,
    stream: Stream,
    (signals, interrupted): (Signals, &Receiver<()>),
) -> anyhow::Result<Option<Viewing>> {
    let guarded = stream.is_guarded();
    let asks = asks_for_password(&options, &stream);
    if asks {
        options.password = Some(Given::Stdin);
    }
    let mut target = stream.target();
    target.address.transport = options.transport.or(target.address.transport);
    let waits = asks.then(|| end_at_signals(&signals));
    let secret = secret(&target, options.password.as_ref().filter(|_| guarded))?;
    waits.iter().for_each(|waits| waits.store(false, Ordering::Release));
    let servers = Servers::new(options.transport.unwrap_or(stream.transport), stream.places);
    let subject = Subject::new(target, None, servers).with(secret).of_instance(stream.instance);
    let mut viewing = Viewing::prepare(options, subject, output, None)?;
    viewing.catch_signals()?;
    signals.end();
    Ok(interrupted.try_recv().is_err().then_some(viewing))
}
