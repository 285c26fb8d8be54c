//! The program as a user runs it: real sockets, real time, real films, real windows. Alone on the machine, one test
//! after the other.

#![cfg(feature = "app")]
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a black-box test starts programs and may panic")]

mod cameras;
mod machine;
mod program;
mod screen;

mod addresses;
mod cards;
mod clients;
mod crowd;
mod devices;
mod discovery;
mod ends;
mod films;
mod groups;
mod hearing;
mod in_step;
mod library;
mod names;
mod namespaces;
mod preview;
mod published;
mod records;
mod relays;
mod screens;
mod sound;
mod stalled;
mod talk;
mod tcp;
mod urls;
mod wall;
mod window;
