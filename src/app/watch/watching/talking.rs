//! What is said of the stream, and what is typed here to be said.

use super::Watching;
use crate::net::Flow;
use crate::proto::receiver::{Local, Receiver, TalkNews, Unspoken};
use crate::proto::{Input, Machine};
use crate::units::Time;
use crate::view::NO_TALK;
use crate::wire::talk::Line;

impl Watching {
    pub(super) fn talk(&mut self, news: TalkNews) -> Flow {
        match news {
            TalkNews::Open(open) => self.open_talk(open),
            TalkNews::Line(line) => self.heard(&line),
            TalkNews::Unsaid(Unspoken { text, sentence }) => self.unsaid(&text, &sentence),
        }
    }

    /// Somebody has said something.
    fn heard(&mut self, line: &Line) -> Flow {
        self.wiring.recordings.line(line.media, &line.signed_name(), &line.text);
        self.screen.line(line);
        self.wiring.console.said(line, None).map_or(Flow::Stop, |()| Flow::Continue)
    }

    /// What was said here was not taken.
    fn unsaid(&self, text: &str, sentence: &str) -> Flow {
        self.screen.notice(sentence);
        self.wiring.console.unsaid(text, sentence).map_or(Flow::Stop, |()| Flow::Continue)
    }

    /// Whether there is talk at this stream; that there is none is worth a word to those who came for it.
    fn open_talk(&self, open: bool) -> Flow {
        self.screen.talk(open.then_some(()).ok_or(NO_TALK));
        if !open && self.options.talk.typed {
            self.output.warn("warning: there is no talk at this stream: its server was started with --no-talk.");
        }
        Flow::Continue
    }

    /// Says the lines that were typed.
    pub(super) fn say_typed(&self, now: Time, receiver: &mut Receiver) {
        for line in self.wiring.console.lines() {
            receiver.handle(now, Input::Local(Local::Say(line)));
        }
    }

    /// Says a line of the window, which has no room for one that is too long.
    pub(super) fn say(&self, now: Time, receiver: &mut Receiver, text: &str) {
        let line = self.wiring.console.checked(text);
        line.into_iter().for_each(|line| receiver.handle(now, Input::Local(Local::Say(line))));
    }
}
