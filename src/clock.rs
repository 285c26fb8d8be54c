//! The one clock of the program. Everything above the machines asks here; the machines are told.

use crate::units::Time;

/// CLOCK_MONOTONIC now. It does not run while the computer is suspended, so a suspend looks like no time at all.
pub fn now() -> Time {
    let spec = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Time::from_nanos(spec.tv_sec as u64 * 1_000_000_000 + spec.tv_nsec as u64)
}
