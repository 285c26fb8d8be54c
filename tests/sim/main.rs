//! The protocol machines in virtual time: a server, its encoder, watchers and bad networks in one thread, from a seed.

mod bottleneck;
mod client;
mod cubic;
mod elastic;
mod encoder;
mod jpeg;
mod link;
mod net;
mod overload;
mod random;
mod rejoin;
mod scene;
mod sources;
mod told;

mod admission;
mod attacks;
mod claims;
mod drift;
mod fair;
mod held;
mod listing;
mod paths;
mod plots;
mod rates;
mod renditions;
mod reports;
mod rungs;
mod schedule;
mod sessions;
mod sound;
mod still;
mod streams;
mod switching;
mod viewer;
mod wants;
