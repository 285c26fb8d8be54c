//! What is said of the streams, and by whoever makes them.

use super::serving::Serving;
use crate::app::talk::{self, Console};
use crate::proto::server::{Feed, Local, Server, StreamKey};
use crate::proto::{Input, Machine};
use crate::units::Time;
use crate::wire::StreamName;
use crate::wire::talk::Line;

/// Who only takes what others publish has nothing to speak of.
const NO_STREAM: &str =
    "Not said: this server has no stream of its own; those that others publish are spoken of by who watches them.";

impl Serving {
    /// Somebody has said something of one of the streams here, or of one that others publish.
    pub(super) fn said(&mut self, key: StreamKey, published: Option<&StreamName>, line: &Line) {
        let several = self.channels.len() > 1 || self.options.publishers.is_some();
        let own = self.channels.iter().find(|channel| channel.key == key).map(|channel| channel.stream.name.clone());
        let of = own.as_ref().or(published).filter(|_| several).map(StreamName::as_str);
        if self.channels.first().is_some_and(|channel| channel.key == key) {
            self.heard(line);
        }
        self.record_line(key, line);
        if self.console.as_ref().is_some_and(|console| console.said(line, of).is_err()) {
            self.interrupt();
        }
    }

    pub(super) fn unsaid(&mut self, text: &str, sentence: &str) {
        if self.console.as_ref().is_some_and(|console| console.unsaid(text, sentence).is_err()) {
            self.interrupt();
        }
    }

    /// What was said of the first stream, over the preview.
    pub fn heard(&self, line: &Line) {
        self.preview_line(line);
    }

    fn record_line(&mut self, key: StreamKey, line: &Line) {
        let own = self.channels.iter_mut().filter(|channel| channel.key == key);
        own.for_each(|channel| channel.taps.recordings.line(line.media, &line.signed_name(), &line.text));
    }

    /// Says the lines that were typed: of the first stream.
    pub(super) fn say_typed(&mut self, now: Time, server: &mut Server) {
        let typed = self.console.as_ref().map(Console::lines).unwrap_or_default();
        let Some(key) = self.channels.first().map(|channel| channel.key) else {
            return typed.iter().for_each(|_| self.output.warn(NO_STREAM));
        };
        let name = self.options.talk.name.clone().unwrap_or_else(|| talk::HOST.to_owned());
        for text in typed {
            let say = Feed::Say { name: name.clone(), text };
            server.handle(now, Input::Local(Local::Stream(key, say)));
        }
    }
}
