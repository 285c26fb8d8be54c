//! `udpstream ls`: what is typed → which server is asked, or who is looked for.

use std::time::Duration;

use clap::{Args, ValueHint};
use udpstream::app::address::Address;
use udpstream::app::ls;

use super::network::TransportArgs;
use super::values::seconds;

#[derive(Args, Debug)]
pub struct LsArgs {
    /// The server: [udp://|tcp://]HOST[:PORT] or udpstream://HOST[:PORT], an IPv6 address as [ADDR]:PORT; the port is 9688 unless given
    /// [default: all that announce themselves on the local network].
    #[arg(value_name = "SERVER", value_hint = ValueHint::Hostname)]
    pub server: Option<Address>,
    #[command(flatten)]
    pub transport: TransportArgs,
    /// One JSON object a line on standard output [default: text].
    #[arg(long)]
    pub json: bool,
    /// Give up when nothing was heard for so many seconds; without SERVER look for so long [default: 5; 1.5 without SERVER].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
}

impl LsArgs {
    /// Checks that all fits; the error is one sentence with advice.
    pub fn settle(&self) -> Result<(), String> {
        self.server.as_ref().map_or(Ok(()), |server| self.transport.check(server))
    }

    pub fn options(self, quiet: bool) -> ls::Options {
        let server = self.server.map(|server| self.transport.of(server));
        ls::Options { server, json: self.json, timeout: self.timeout, quiet }
    }
}
