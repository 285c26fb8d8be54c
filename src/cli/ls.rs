//! `udpstream ls`: what is typed → which server is asked.

use std::time::Duration;

use clap::{Args, ValueHint};
use udpstream::app::address::Address;
use udpstream::app::ls;

use super::network::TransportArgs;
use super::values::seconds;

#[derive(Args, Debug)]
pub struct LsArgs {
    /// The server: [udp://|tcp://]HOST[:PORT] or udpstream://HOST[:PORT], an IPv6 address as [ADDR]:PORT; the port is 9688 unless given.
    #[arg(value_name = "SERVER", value_hint = ValueHint::Hostname)]
    pub server: Address,
    #[command(flatten)]
    pub transport: TransportArgs,
    /// One JSON object a line on standard output [default: text].
    #[arg(long)]
    pub json: bool,
    /// Give up when nothing was heard for so many seconds [default: 5].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
}

impl LsArgs {
    pub fn options(self, quiet: bool) -> ls::Options {
        ls::Options {
            server: self.transport.of(self.server),
            json: self.json,
            timeout: self.timeout.unwrap_or(PATIENCE),
            quiet,
        }
    }
}

/// A server that is there answers within a round trip or two.
const PATIENCE: Duration = Duration::from_secs(5);
