//! docs/PROTOCOL.md against the library: its tables name the fields of real datagrams, its dumps are those datagrams,
//! its figures are the constants; and the Wireshark dissector sees in them what the page says.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod constants;
mod dissector;
mod dumps;
mod exchange;
mod fields;
mod page;
mod samples;

// What the simulator's film and random numbers can do beside what is needed here.
#[allow(dead_code, reason = "shared with tests/sim")]
#[path = "../sim/jpeg.rs"]
mod jpeg;
#[allow(dead_code, reason = "shared with tests/sim")]
#[path = "../sim/random.rs"]
mod random;
