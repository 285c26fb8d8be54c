//! The poll's own timeout: whole milliseconds, rounded up.
#![cfg_attr(
    all(target_os = "linux", not(test)),
    expect(dead_code, reason = "compiled everywhere so that it keeps compiling")
)]

use std::io;
use std::time::Duration;

use mio::{Registry, Token};

use crate::units::Time;

pub struct Timer;

impl Timer {
    pub fn new(_registry: &Registry, _token: Token) -> io::Result<Self> {
        Ok(Self)
    }

    /// Sets the deadline; returns the timeout that the poll must use itself, if any.
    pub fn arm(&mut self, deadline: Time, now: Time) -> Option<Duration> {
        (deadline < Time::NEVER).then(|| {
            let left = deadline.since(now);
            Duration::from_millis(u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
        })
    }

    /// Forgets that the timer fired.
    pub fn clear(&mut self) {}
}
