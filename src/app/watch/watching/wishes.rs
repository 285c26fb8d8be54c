//! What is asked of the receiver: which stream, whether pictures and sound are wanted.

use super::{Options, Watching, Wiring};
use crate::app::watch::rendition;
use crate::app::watch::sizing::{Sizing, tighter};
use crate::app::watch::streams::Doing;
use crate::media::sound::Rendition;
use crate::proto::receiver::{Local, Receiver};
use crate::proto::{Input, Machine};
use crate::units::Time;
use crate::wire::StreamName;
use crate::wire::message::WantedPictures;

/// What the receiver was told last, and what it depends on.
pub struct Wishes {
    sound: Option<Rendition>,
    paused: bool,
    limits: WantedPictures,
    sizing: Sizing,
}

impl Wishes {
    pub fn new(options: &Options, wiring: &Wiring) -> Self {
        let sound = rendition(options, wiring.hearing.is_heard(), &wiring.recordings);
        Self { sound, paused: false, limits: options.limits, sizing: Sizing::default() }
    }

    /// When something is to be told, if nothing changes.
    pub fn deadline(&self) -> Option<Time> {
        self.sizing.deadline()
    }

    pub const fn is_paused(&self) -> bool {
        self.paused
    }
}

impl Watching {
    /// Tells the receiver whether sound and pictures are wanted, if that has changed. What is recorded is wanted even if
    /// nobody sees or hears it.
    pub(super) fn wish(&mut self, now: Time, receiver: &mut Receiver) {
        let heard = self.wiring.attention.is_heard();
        if let Some(text) = self.wiring.hearing.hear(heard) {
            self.output.warn(&text);
        }
        let recordings = &self.wiring.recordings;
        let sound = rendition(&self.options, self.wiring.hearing.is_heard(), recordings);
        let paused = !self.wiring.attention.is_seen() && !recordings.is_running();
        if std::mem::replace(&mut self.wishes.sound, sound) != sound {
            receiver.handle(now, Input::Local(Local::Sound(sound)));
        }
        if std::mem::replace(&mut self.wishes.paused, paused) != paused {
            receiver.handle(now, Input::Local(Local::Pause(paused)));
            let waits = self.playing.as_ref().is_some_and(|playing| !playing.shown);
            if !paused && waits && self.limits.is_attached() {
                self.await_picture(now);
            }
        }
        self.limit(now, receiver);
    }

    /// Tells the receiver how much of the pictures is wanted: no more than is seen, unless it is recorded.
    fn limit(&mut self, now: Time, receiver: &mut Receiver) {
        let full = self.playing.as_ref().map(|playing| playing.description.size);
        let seen = self.wiring.attention.size().filter(|_| !self.wiring.recordings.is_running());
        let size = self.wishes.sizing.wanted(now, seen, full);
        let limits = self.options.limits;
        let limits = WantedPictures { max_size: tighter(limits.max_size, size), ..limits };
        if std::mem::replace(&mut self.wishes.limits, limits) != limits {
            receiver.handle(now, Input::Local(Local::Limits(limits)));
        }
    }

    /// Does what a key about the server's streams asks for.
    pub(super) fn obey(&mut self, now: Time, receiver: &mut Receiver, doing: Doing) {
        for local in doing.ask {
            receiver.handle(now, Input::Local(local));
        }
        doing.notice.into_iter().for_each(|text| self.screen.notice(&text));
        if doing.redraw {
            self.screen.list(self.streams.list());
        }
    }

    /// A stream plays; another one than before is named.
    pub(super) fn switched(&mut self, name: Option<StreamName>) {
        let title = self.description().map(|description| description.title.clone()).unwrap_or_default();
        let said = name.as_ref().map_or_else(|| title.clone(), |name| format!("{name}: {title}"));
        let shown = name.as_ref().map_or_else(|| title.clone(), |name| name.to_string());
        if self.streams.playing(name) {
            self.screen.talk_of(&shown);
            self.screen.notice(&said);
        }
    }

    /// In a window of its own a stream can be changed: which others there are is asked before anybody wants to know.
    pub(super) fn ask_for_streams(&mut self, now: Time, receiver: &mut Receiver) {
        if self.screen.is_there() && self.subject.name.is_none() {
            let doing = self.streams.refresh(now);
            self.obey(now, receiver, doing);
        }
    }
}
