//! A film on demand: what is wished of it, what the server says, and where it ends.

use super::Watching;
use super::ending::End;
use crate::app::watch::controls::Done;
use crate::app::words::clock_text;
use crate::net::Flow;
use crate::proto::receiver::{Local, Played, Receiver};
use crate::proto::{Input, Machine};
use crate::units::{MediaTime, Rate, Time};
use crate::view::FilmWish;
use crate::wire::message::State;
use crate::wire::{Description, StreamName};

impl Watching {
    pub(super) fn film_wish(&mut self, now: Time, receiver: &mut Receiver, wish: FilmWish) {
        let done = self.wiring.controls.wish(now, wish);
        self.film_done(now, receiver, done);
    }

    fn film_done(&mut self, now: Time, receiver: &mut Receiver, done: Done) {
        if let Some(order) = done.order {
            receiver.handle(now, Input::Local(Local::Play(order)));
        }
        done.notice.into_iter().for_each(|text| self.screen.notice(&text));
        self.show_film(now);
    }

    /// Tells the window where the film is.
    pub(super) fn show_film(&self, now: Time) {
        if self.wiring.seat.is_none() {
            self.screen.film(self.wiring.controls.place(now));
        }
    }

    /// A stream begins, whichever it is.
    pub(super) fn stream_begins(
        &mut self,
        now: Time,
        receiver: &mut Receiver,
        stream: (Description, u64, Option<StreamName>),
        rejoined: bool,
    ) -> Flow {
        let (length, rate) = (stream.0.length, stream.0.rate);
        let flow = self.begins(now, stream, (rejoined, receiver.transport()));
        self.film_begins(now, receiver, (length, rate), rejoined);
        self.ask_for_streams(now, receiver);
        flow
    }

    /// A stream begins; `rejoined`: it is the one from before.
    fn film_begins(&mut self, now: Time, receiver: &mut Receiver, (length, rate): (Option<u64>, Rate), rejoined: bool) {
        self.wiring.controls.begin(length, rate);
        // What is written as parts of the length is known only now.
        if let Some(start) = self.options.start.filter(|start| !rejoined && start.of(None).is_none()) {
            let done = self.wiring.controls.begin_at(start);
            self.film_done(now, receiver, done);
        }
        self.show_film(now);
    }

    pub(super) fn film_played(&mut self, now: Time, receiver: &mut Receiver, played: Played) {
        if let Some(from) = self.wiring.remembering.resumed.take().filter(|_| self.options.start.is_none()) {
            let from = clock_text(from);
            self.output.say(&format!("From {from}; Home in the window, or --start 0, begins at the start."));
            self.screen.notice(&format!("From {from}, Home from the start."));
        }
        let over = self.wiring.controls.played(played);
        self.wiring.hearing.played(played.jump, played.state == State::Playing);
        self.show_film(now);
        if over {
            self.film_over(now, receiver);
        }
    }

    pub(super) fn film_shown(&mut self, now: Time, receiver: &mut Receiver, at: MediaTime) {
        if !self.wiring.controls.is_there() {
            return;
        }
        let length = self.wiring.controls.length();
        if let Some(text) = self.wiring.remembering.tell(now, at, length) {
            self.output.warn(&text);
        }
        let done = self.wiring.controls.shown(now, at);
        if done != Done::default() {
            self.film_done(now, receiver, done);
        }
        self.show_film(now);
        if self.wiring.controls.is_over() {
            self.film_over(now, receiver);
        }
    }

    /// The film has come to its end, or to where it was to end. In a window it stands there.
    fn film_over(&mut self, now: Time, receiver: &mut Receiver) {
        if self.limits.is_over() {
            return;
        }
        if self.options.headless || self.options.autoexit {
            self.stop(now, receiver, End::Over);
        } else {
            self.screen.notice("The end. Space begins again.");
        }
    }
}
