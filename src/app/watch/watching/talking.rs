//! What is said of the stream, and what is typed here to be said.

use super::Watching;
use crate::app::talk;
use crate::net::Flow;
use crate::proto::receiver::{Local, Receiver};
use crate::proto::{Input, Machine};
use crate::units::Time;
use crate::wire::talk::Line;

impl Watching {
    /// Somebody has said something.
    pub(super) fn heard(&mut self, line: &Line) -> Flow {
        self.wiring.recordings.line(line.media, &line.name, &line.text);
        self.screen.line(line);
        self.wiring.console.said(line, None).map_or(Flow::Stop, |()| Flow::Continue)
    }

    /// What was said here was not taken.
    pub(super) fn unsaid(&self, text: &str, sentence: &str) -> Flow {
        self.screen.unsaid(text, sentence);
        self.wiring.console.unsaid(text, sentence).map_or(Flow::Stop, |()| Flow::Continue)
    }

    /// There is no talk at this stream, which is worth a word to those who came for it.
    pub(super) fn no_talk(&self) -> Flow {
        self.screen.talk(false);
        if self.options.talk.typed {
            self.output.warn("warning: there is no talk at this stream: its server was started with --no-talk.");
        }
        Flow::Continue
    }

    /// Says the lines that were typed.
    pub(super) fn say_typed(&self, now: Time, receiver: &mut Receiver) {
        self.wiring.console.typed().iter().for_each(|text| self.say(now, receiver, text));
    }

    /// Says a line.
    pub(super) fn say(&self, now: Time, receiver: &mut Receiver, text: &str) {
        match talk::line(text) {
            Ok(Some(line)) => receiver.handle(now, Input::Local(Local::Say(line))),
            Ok(None) => {}
            Err(why) => {
                self.screen.unsaid(text, &why);
                self.output.warn(&why);
            }
        }
    }
}
