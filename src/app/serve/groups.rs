//! The groups that streams are sent to, beside those who watch.

use std::net::SocketAddr;

use super::Options;
use super::channel::Channel;
use crate::app::figures::Output;
use crate::app::group::Sending;
use crate::clock::now;
use crate::net::Loop;
use crate::proto::server::{Local, Server};
use crate::proto::{Input, Machine};

/// Opens a socket for each stream that is to be sent to a group, and begins to send.
pub fn open(
    event_loop: &mut Loop,
    channels: &mut [Channel],
    server: &mut Server,
    options: &Options,
    (local, output): (SocketAddr, &Output),
) -> anyhow::Result<()> {
    let grouped = channels.iter_mut().filter_map(|channel| Some((channel.stream.group.clone()?, channel)));
    for (n, (group, channel)) in grouped.enumerate() {
        let sending = Sending {
            marks: options.marks,
            datagram: options.datagram,
            max_rate: channel.stream.max_rate,
            unicast: if options.transports.udp { local.port() } else { 0 },
        };
        let (config, announced) = group.open(event_loop, n, &sending, output)?;
        channel.group = Some(announced);
        server.handle(now(), Input::Local(Local::Group(channel.key, config)));
    }
    Ok(())
}
