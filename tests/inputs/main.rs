//! Every bad input is answered: one sentence, the right exit code, no process and no file left behind. And every odd but
//! good film is shown. The program runs as a user runs it, on free ports, beside whatever else runs.

#![cfg(feature = "app")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a black-box test starts programs, plays a server that says nothing, and may panic"
)]

mod addresses;
mod arguments;
mod ends;
mod extract;
mod films;
mod lists;
mod long;
mod nofilms;
mod photos;
mod pipes;
mod program;
mod songs;
mod streams;
