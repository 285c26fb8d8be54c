//! What a client makes of a Description.

use super::joining::Step;
use super::{Client, Event, Found, Stream};
use crate::units::Time;
use crate::wire::Description;
use crate::wire::object::ObjectView;

impl Client {
    /// A Description of the session: the first one ends joining.
    pub(super) fn description(&mut self, now: Time, object: &ObjectView<'_>, exact: &[u8]) {
        let Ok(description) = Description::parse(object.body) else {
            self.traffic.rejected += 1;
            return;
        };
        let Some(session) = self.session.as_mut() else { return };
        let id = object.header.stream;
        let first = !std::mem::replace(&mut session.described, true);
        let known = self.stream.as_ref().map(|stream| stream.id);
        let found = (first || known != Some(id)).then_some(match known {
            None => Found::First,
            Some(_) if first && session.switched => Found::Switched,
            Some(_) if first => Found::Again,
            Some(_) => Found::Renamed,
        });
        if found.is_some() {
            session.reception.report_soon(now);
            if matches!(self.joining.step, Step::Describe(_)) {
                self.joining.finish(now);
            }
        }
        match self.stream.as_mut().filter(|stream| stream.id == id) {
            Some(stream) => {
                stream.description = stream.described_again(description);
                stream.object = exact.to_vec();
            }
            None => self.stream = Some(Stream { id, description, object: exact.to_vec() }),
        }
        self.events.push_back(Event::Described(found));
        if found == Some(Found::Switched) {
            self.take_back_lines();
        }
    }
}
