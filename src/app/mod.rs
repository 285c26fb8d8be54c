//! Wiring: one file per verb and one per thread.

pub mod address;
pub mod announcing;
mod asking;
pub mod cache;
mod code;
mod decode;
pub mod devices;
pub mod doctor;
mod encode;
pub mod extract;
mod figures;
mod folders;
pub mod group;
pub mod history;
pub mod info;
mod leaving;
mod lines;
pub mod ls;
mod neighbours;
mod opening;
pub mod ports;
mod preview;
pub mod publish;
mod recording;
pub mod relay;
mod screening;
pub mod secrets;
pub mod serve;
mod signals;
mod stock;
pub mod storing;
pub mod talk;
pub mod terminal;
mod wall;
pub mod watch;
mod words;

use self::address::AddressError;
use self::group::GroupError;
use crate::net::interface::NoInterface;

/// How a command ended; the number is the program's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Unreachable = 3,
    /// Stopped by a second Ctrl-C, or by one at the question for a secret.
    Killed = 130,
}

impl Exit {
    /// That of a program that ends for this.
    pub fn of(error: &anyhow::Error) -> Self {
        if error.is::<GroupError>() || error.is::<NoInterface>() {
            return Self::Usage;
        }
        error.downcast_ref().map_or(Self::Failed, AddressError::exit)
    }
}

/// Where figures go: a line for people on stderr, or JSON on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatsFormat {
    #[default]
    Text,
    Json,
}
