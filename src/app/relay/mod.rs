//! `udpstream relay`.

pub mod shelf;
