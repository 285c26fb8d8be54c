//! Asking which streams the server has, beside the session and over the same socket.

use std::time::Duration;

use super::{Event, ListFailure, Receiver};
use crate::proto::Received;
use crate::proto::lister::Fetch;
use crate::seal::Random;
use crate::units::Time;

/// A list that has not come in full by then has failed.
const LIST_LIMIT: Duration = Duration::from_secs(5);

impl Receiver {
    /// Begins to ask, unless that is under way.
    pub(super) fn list(&mut self, now: Time) {
        if self.fetch.is_some() {
            return;
        }
        if self.client.is_tuned() {
            // There is nobody to ask.
            return self.events.push_back(Event::ListFailed(ListFailure::Nobody));
        }
        let random = Random::new(&self.random.seed());
        self.fetch = Some(Fetch::new(self.client.servers(), false, random, now, LIST_LIMIT));
    }

    /// Whether the datagram answers what is asked beside the session.
    pub(super) fn listing(&mut self, now: Time, datagram: Received<'_>) -> bool {
        self.fetch.as_mut().is_some_and(|fetch| fetch.datagram(now, datagram))
    }

    pub(super) fn tend_listing(&mut self, now: Time) {
        let Some(fetch) = &mut self.fetch else { return };
        fetch.tend(now);
        self.out.extend(std::iter::from_fn(|| fetch.transmit()));
        let Some(answer) = fetch.answer() else { return };
        self.fetch = None;
        self.events.push_back(match answer {
            Ok((_, entries)) => Event::Listing(entries),
            Err(failure) => Event::ListFailed(failure),
        });
    }
}
