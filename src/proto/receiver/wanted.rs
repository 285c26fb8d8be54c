//! What the program wants of the stream, and what the server is told of it.

use std::time::Duration;

use super::{Local, Receiver};
use crate::media::sound::Rendition;
use crate::proto::client::Wishes;
use crate::units::{MediaTime, Time};
use crate::wire::message::{Place, Play, RepairWish, Seek, SoundWish, WantedPictures};

/// What is wanted of whichever stream plays.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub sound: Option<Rendition>,
    pub paused: bool,
    pub limits: WantedPictures,
    pub repair: RepairWish,
    /// How a film on demand is to be played.
    pub play: Option<Play>,
    /// Where it is, once it plays: whatever takes its session away, it goes on there.
    pub place: Option<MediaTime>,
    /// Another film was asked for, so that the place of the one that plays is not the place of the next.
    pub goes: bool,
}

impl Wanted {
    /// What a session of pictures is told whose sound is to come in this place. A Join says the sound port: a session there
    /// will follow.
    pub const fn wishes(self, place: Place) -> Wishes {
        let sound = match self.sound {
            Some(rendition) => SoundWish { place, rendition: rendition.id(), coarsest: Rendition::Coded.id() },
            None => Wishes::NONE.sound,
        };
        Wishes { sound, paused: self.paused, limits: self.limits, repair: self.repair, play: self.play, ..Wishes::NONE }
    }

    /// The same for sessions to come.
    pub const fn opening(self) -> Wishes {
        let wishes = self.wishes(Place::SoundPort);
        let (Some(to), Some(play)) = (self.place, self.play) else { return wishes };
        Wishes { play: Some(Play { seek: Some(Seek { to, exact: true }), ..play }), ..wishes }
    }
}

impl Receiver {
    pub(super) fn obey(&mut self, now: Time, local: Local) {
        match local {
            Local::Stop => self.leave(now),
            Local::Loudspeaker(needs) => self.player.set_loudspeaker(needs),
            Local::Switch(stream) => self.client.switch(now, stream),
            Local::Film(name, play) => {
                (self.wanted.play, self.wanted.place, self.wanted.goes) = (Some(play), None, true);
                self.client.open_with(self.wanted.opening());
                self.client.switch(now, Some(name));
            }
            Local::Pause(paused) => {
                self.wanted.paused = paused;
                self.player.set_paused(paused);
                self.tell_wishes(now);
            }
            Local::Sound(sound) => self.want_sound(now, sound),
            Local::Limits(limits) => {
                self.wanted.limits = limits;
                self.tell_wishes(now);
            }
            Local::Play(play) => {
                self.wanted.play = Some(play);
                self.wanted.place = None;
                self.tell_wishes(now);
            }
            Local::Say(text) => self.client.speak(now, text),
            Local::Servers(servers) => self.client.move_to(servers),
            Local::List => self.list(now),
        }
    }

    fn want_sound(&mut self, now: Time, sound: Option<Rendition>) {
        let before = std::mem::replace(&mut self.wanted.sound, sound);
        self.player.set_sound(sound.is_some());
        if before.is_some() != sound.is_some() {
            // Off, or from the beginning.
            self.leave_sound_session(now);
            self.sound_path.choose_again();
        }
        self.tell_wishes(now);
    }

    /// Tells both sessions what is wanted of them, if that has changed.
    pub(super) fn tell_wishes(&mut self, now: Time) {
        let opening = self.wanted.opening();
        let place = if self.sound_path.is_here() { Place::Here } else { Place::SoundPort };
        let here = self.wanted.wishes(place);
        self.client.wish(now, opening, here);
        let sound = opening.of_sound();
        self.sound_path.client_mut().into_iter().for_each(|client| client.wish(now, sound, sound));
    }
}

/// How a watcher lets losses be repaired that waits for a picture so long at most, and shows all so long after they are due.
pub fn repair(patience: Option<Duration>, latency: Duration) -> RepairWish {
    RepairWish { asks: true, patience: patience.unwrap_or(RepairWish::INTERVAL), latency }
}
