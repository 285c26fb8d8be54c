//! Which objects of sound that come from elsewhere go to a watcher. Each rendition comes by itself, and may come and go; what the
//! watcher is sent changes where both begin with one frame, and between stereo and mono at any chunk.

use super::Session;
use crate::media::sound::{Rendition, SWITCH_CHUNKS, SWITCH_UNITS};

/// What a watcher is sent of sound from elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct PassedSoundState {
    /// The chunks that it is sent.
    chunks: Option<Rendition>,
    /// The last of them.
    last: Option<u32>,
    /// It goes over to coded units at this chunk.
    until: Option<u32>,
}

impl Session {
    /// Whether an object of this rendition and number goes to it; `comes`: which renditions come at present.
    pub fn takes_sound(&mut self, rendition: Rendition, number: u32, comes: [bool; 3]) -> bool {
        let Some(wanted) = self.sound_rendition().and_then(|wanted| self.nearest(wanted, comes)) else {
            (self.coded, self.passed_sound) = (false, PassedSoundState::default());
            return false;
        };
        if rendition == Rendition::Coded {
            return self.takes_coded(wanted, number);
        }
        self.takes_chunk(wanted, rendition, number)
    }

    /// What it can be sent of that which comes: what it wants, else samples, else what is coded if it can play that.
    fn nearest(&self, wanted: Rendition, comes: [bool; 3]) -> Option<Rendition> {
        let plays = |rendition: &Rendition| *rendition != Rendition::Coded || self.sound_coarsest == Rendition::Coded;
        let order = [wanted, Rendition::Stereo, Rendition::Mono, Rendition::Coded];
        order.into_iter().filter(plays).find(|rendition| comes[usize::from(rendition.id())])
    }

    fn takes_coded(&mut self, wanted: Rendition, number: u32) -> bool {
        let state = &mut self.passed_sound;
        // Without chunks before it there is nothing to go over from.
        let begins = (number + 1).is_multiple_of(SWITCH_UNITS) || state.last.is_none();
        if !self.coded && wanted == Rendition::Coded && begins {
            self.coded = true;
            state.until = Some((number + 1) / SWITCH_UNITS * SWITCH_CHUNKS);
        }
        self.coded
    }

    fn takes_chunk(&mut self, wanted: Rendition, rendition: Rendition, number: u32) -> bool {
        let state = &mut self.passed_sound;
        if self.coded {
            let back = wanted == rendition && number.is_multiple_of(SWITCH_CHUNKS);
            if !back {
                // Until it has gone over it is sent both.
                return state.chunks == Some(rendition) && state.until.is_some_and(|until| number < until);
            }
            (self.coded, state.chunks, state.until) = (false, Some(rendition), None);
        }
        let caught_up = state.last.is_none_or(|last| number >= last);
        if state.chunks.is_none() || wanted == rendition && caught_up {
            let before = state.chunks.replace(rendition);
            if before != Some(rendition) && state.last == Some(number) {
                // Its place is filled by what was sent so far; it goes on from the next.
                return false;
            }
        }
        if state.chunks == Some(rendition) {
            state.last = Some(state.last.map_or(number, |last| last.max(number)));
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::super::Beginning;
    use super::*;
    use crate::proto::stream::StreamKey;
    use crate::proto::{Peer, Port, Route};
    use crate::units::Time;
    use crate::wire::SizeClass;
    use crate::wire::message::{COOKIE_LEN, Place, SoundWish};

    fn session() -> Session {
        let address = SocketAddr::from(([10, 0, 0, 1], 1));
        let route = Route { peer: Peer { port: Port::SOUND, address }, local: None };
        let beginning =
            Beginning { nonce: 1, cookie: [0; COOKIE_LEN], at: Time::ZERO, limit: SizeClass::ANY, given: false };
        let mut session = Session::new(1, StreamKey::new(0), route, beginning);
        session.set_sound(SoundWish { place: Place::Here, rendition: 0, coarsest: 2 });
        session
    }

    /// Chunks 0 to 59 in stereo and mono, and the units that end with them; returns what the watcher was sent.
    fn sent(mut allowed: impl FnMut(u32) -> Rendition, comes: [bool; 3]) -> Vec<(Rendition, u32)> {
        let (mut session, mut sent) = (session(), Vec::new());
        let mut take = |session: &mut Session, rendition: Rendition, number| {
            if comes[usize::from(rendition.id())] && session.takes_sound(rendition, number, comes) {
                sent.push((rendition, number));
            }
        };
        for number in 0..60 {
            session.sound_allowed = allowed(number);
            // A unit comes with the chunk that completes it.
            let complete = (number * 256 + 255) / 960;
            if number > 0 && (number * 256 - 1) / 960 < complete {
                take(&mut session, Rendition::Coded, complete - 1);
            }
            [Rendition::Stereo, Rendition::Mono].into_iter().for_each(|r| take(&mut session, r, number));
        }
        sent
    }

    #[test]
    fn each_frame_goes_out_once_whatever_changes() {
        let stereo = sent(|_| Rendition::Stereo, [true, true, false]);
        assert_eq!(stereo, (0..60).map(|n| (Rendition::Stereo, n)).collect::<Vec<_>>());
        let changing = |number: u32| if (10..20).contains(&number) { Rendition::Mono } else { Rendition::Stereo };
        let changed = sent(changing, [true, true, false]);
        let numbers: Vec<u32> = changed.iter().map(|(_, number)| *number).collect();
        assert_eq!(numbers, (0..60).collect::<Vec<_>>());
        assert!(changed.iter().filter(|(rendition, _)| *rendition == Rendition::Mono).count() >= 9, "{changed:?}");
        // Mono does not come: stereo goes on.
        assert!(sent(changing, [true, false, false]).iter().all(|(rendition, _)| *rendition == Rendition::Stereo));
    }

    #[test]
    fn coded_units_take_over_where_both_begin_and_give_back_there() {
        let changing = |number: u32| if (20..40).contains(&number) { Rendition::Coded } else { Rendition::Stereo };
        let sent = sent(changing, [true, false, true]);
        let chunks: Vec<u32> = sent.iter().filter(|(r, _)| *r == Rendition::Stereo).map(|(_, n)| *n).collect();
        let units: Vec<u32> = sent.iter().filter(|(r, _)| *r == Rendition::Coded).map(|(_, n)| *n).collect();
        assert_eq!(chunks, (0..30).chain(45..60).collect::<Vec<_>>());
        // Unit 7 makes the decoder warm; units 8 to 11 are the frames of chunks 30 to 44.
        assert_eq!(units, (7..12).collect::<Vec<_>>());
    }

    #[test]
    fn who_cannot_play_coded_units_is_sent_none() {
        let mut session = session();
        session.sound_coarsest = Rendition::Mono;
        assert!(!session.takes_sound(Rendition::Coded, 3, [false, false, true]));
        session.sound_coarsest = Rendition::Coded;
        assert!(session.takes_sound(Rendition::Coded, 4, [false, false, true]), "nothing else comes");
    }
}
