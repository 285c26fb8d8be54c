//! The one clock of the program. Everything above the machines asks here; the machines are told.

use crate::units::Time;

/// CLOCK_MONOTONIC now. It does not run while the computer is suspended, so a suspend looks like no time at all.
pub fn now() -> Time {
    let spec = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Time::from_nanos(spec.tv_sec * 1_000_000_000 + spec.tv_nsec)
}

/// How many nanoseconds the wall clock is ahead of ours: what stamps of other programs are compared by. It may be set at any
/// moment, so ask each time.
pub fn wall_ahead() -> i64 {
    let before = now();
    let spec = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let wall = spec.tv_sec.saturating_mul(1_000_000_000).saturating_add(spec.tv_nsec);
    wall.saturating_sub(before.nanos())
}
