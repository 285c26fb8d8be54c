//! What a watcher hears and says.

use super::{Event, Receiver};
use crate::proto::talk::Told;

impl Receiver {
    pub(super) fn take_told(&mut self, told: Told) {
        match told {
            Told::Line(heard) if !heard.line.text.is_empty() && self.lines.note(heard.line.id) => {
                self.events.push_back(Event::Line(heard.line));
            }
            Told::Unsaid(unspoken) => {
                self.events.push_back(Event::Unsaid { text: unspoken.text, sentence: unspoken.sentence });
            }
            Told::Off => self.events.push_back(Event::NoTalk),
            Told::Line(_) | Told::Begins(_) | Told::Unpassed { .. } => {}
        }
    }
}
