//! A group that is passed on, and one that a stream is passed on to: so a stream crosses a router.

use std::net::SocketAddr;

use anyhow::{Context, anyhow, bail};

use super::Options;
use crate::app::address::{DEFAULT_PORT, Senders};
use crate::app::figures::Output;
use crate::app::group::{self, Announced, Sending};
use crate::app::ports::How;
use crate::clock::now;
use crate::net::{Loop, Socket};
use crate::proto::relay::{Local, Relay};
use crate::proto::server::Local as ServerLocal;
use crate::proto::{Input, Machine, Port};
use crate::wire::StreamName;

/// What the stream of a group is called: its sender tells a title, and no name.
const NAME: &str = "group";

/// How ports are opened beside the groups.
pub fn how(options: &Options) -> How {
    let sent = options.group.as_ref().map(|group| group.choice.port());
    let heard = options
        .origins
        .addresses
        .iter()
        .filter(|_| options.origins.group.is_some())
        .map(|group| group.port.unwrap_or(DEFAULT_PORT));
    let Options { marks, transports, .. } = *options;
    How { marks, transports, groups: sent.into_iter().chain(heard).collect() }
}

/// Listens to the group that is passed on, if it is one.
pub fn listen(event_loop: &mut Loop, relay: &mut Relay, options: &Options) -> anyhow::Result<()> {
    let Some(senders) = options.origins.group else { return Ok(()) };
    let source = match senders {
        Senders::Any => None,
        Senders::One(source) => Some(source),
    };
    let address = options.origins.addresses.first().context("a group is an address")?.look_up()?;
    let address = address.udp.first().copied().context("a group is an address")?;
    let group = group::found(address, source, options.listen_interface.as_deref())?;
    let socket = Socket::on_group(&group, None).map_err(|error| group::not_opened(&group, &error))?;
    event_loop.add_group(Port::TUNED, socket).context("the event loop could not be started")?;
    let name = StreamName::parse(NAME).map_err(|error| anyhow!("{error}"))?;
    relay.tune(name);
    Ok(())
}

/// Sends the stream that is passed on to a group, if that is wanted.
pub fn send(
    event_loop: &mut Loop,
    relay: &mut Relay,
    options: &Options,
    (local, output): (SocketAddr, &Output),
) -> anyhow::Result<Option<Announced>> {
    let Some(group) = &options.group else { return Ok(None) };
    let Some(key) = relay.server().keys().next() else {
        bail!("a group has one stream: name the one that is sent there, as in {}/NAME", options.origins);
    };
    let Options { marks, datagram, max_rate, transports, .. } = *options;
    let unicast = if transports.udp { local.port() } else { 0 };
    let sending = Sending { marks, datagram, max_rate, unicast };
    let (config, announced) = group.open(event_loop, 0, &sending, output)?;
    relay.handle(now(), Input::Local(Local::Server(ServerLocal::Group(key, config))));
    Ok(Some(announced))
}
