//! The list of streams above: asked for again and again, and what follows from it.

use std::time::Duration;

use super::upstream::Upstream;
use super::{Event, LISTS, LOOK, Relay};
use crate::proto::Transmit;
use crate::proto::lister::Fetch;
use crate::proto::server::StreamKey;
use crate::seal::Random;
use crate::units::{Rate, Size, Time};
use crate::wire::description::Smaller;
use crate::wire::message::{Entry, State};
use crate::wire::{Description, StreamName};

/// The list of streams above is asked for so often, and waited for so long.
const LIST_EVERY: Duration = Duration::from_secs(2);
const LIST_LIMIT: Duration = Duration::from_secs(1);

impl Relay {
    pub(super) fn tend_list(&mut self, now: Time) {
        if self.fetch.is_none() && now >= self.next_list {
            let seed = self.random.seed();
            let (origins, random) = (self.config.origins.clone(), Random::new(&seed));
            self.fetch = Some(Fetch::new(origins, self.unlisted, random, now, LIST_LIMIT));
            self.next_list = now + LIST_EVERY;
        }
        let Some(fetch) = &mut self.fetch else { return };
        fetch.tend(now);
        let sent = std::iter::from_fn(|| fetch.transmit()).map(|transmit| {
            let port = if transmit.port.is_connections() { LISTS.connections() } else { LISTS };
            Transmit { port, ..transmit }
        });
        self.out.extend(sent);
        let Some(answer) = fetch.answer() else { return };
        self.fetch = None;
        let failure = match answer {
            Ok((_, entries)) => {
                self.listed(&entries);
                None
            }
            Err(failure) => Some(failure),
        };
        if failure.is_some() {
            // Who has just come may ask for streams that are not known.
            self.next_list = now + LOOK;
        }
        if failure.is_some() != std::mem::replace(&mut self.unlisted, failure.is_some()) {
            self.events.push_back(Event::Unlisted(failure));
        }
    }

    /// Streams come and go with the list.
    fn listed(&mut self, entries: &[Entry]) {
        let wanted = |entry: &&Entry| self.config.name.as_ref().is_none_or(|name| *name == entry.name);
        let entries: Vec<Entry> = entries.iter().filter(wanted).cloned().collect();
        for entry in entries.iter().filter(|entry| entry.state != State::Ended) {
            self.open(entry.name.clone(), entry.description.clone(), entry.guarded);
        }
        let runs = |name: &StreamName| entries.iter().any(|entry| entry.name == *name && entry.state != State::Ended);
        for Upstream { tap, name, .. } in &mut self.upstreams {
            tap.iter_mut().for_each(|tap| tap.is_listed = runs(name));
        }
        if self.config.name.is_some() {
            return;
        }
        let gone = |upstream: &&Upstream| {
            !upstream.is_subscribed()
                && !upstream.is_hidden()
                && entries.iter().all(|entry| entry.name != upstream.name)
        };
        let gone: Vec<StreamKey> = self.upstreams.iter().filter(gone).map(|upstream| upstream.key).collect();
        gone.into_iter().for_each(|key| self.server.withdraw(key, true));
    }
}

/// What a stream is listed as of which nothing is known but its name.
pub fn unknown(name: &StreamName) -> Description {
    Description {
        title: name.as_str().to_owned(),
        size: Size::new(640, 360),
        smaller: Smaller::NONE,
        rate: Rate::TYPICAL,
        length: None,
        live: false,
        sound: false,
        ended: None,
        sound_ended: None,
        film: None,
    }
}
