//! The other way round: a session that the sender has asked for.

use super::session::Session;
use super::wishes::{Wanting, Wishes};
use super::{Client, Config};
use crate::proto::clocksync::ClockSync;
use crate::proto::reception::{Reception, Terms};
use crate::seal::Seed;
use crate::units::Time;
use crate::wire::StreamName;

impl Client {
    /// Our end of a session that the other has asked for: a publisher sends to us. It begins paused.
    pub fn accepted(config: Config, terms: Terms, name: StreamName, seed: &Seed, now: Time) -> Self {
        let wishes = Wishes { paused: true, ..Wishes::NONE };
        let mut client = Self::new(config, seed, now);
        client.joining.finish(now);
        client.accepted = true;
        let reception = Reception::new(terms, ClockSync::default(), now);
        client.session = Some(Session { name: Some(name), ..Session::new(reception, Wanting::new(wishes)) });
        client
    }
}
