//! `udpstream ls`: the streams of a server.

use std::time::Duration;

use super::Exit;
use super::address::Address;

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    pub server: Address,
    pub json: bool,
    pub timeout: Duration,
    pub quiet: bool,
}

/// Asks, waits for the answer, and prints it.
pub fn ls(options: Options) -> anyhow::Result<Exit> {
    anyhow::bail!("{} cannot be asked yet", options.server)
}
