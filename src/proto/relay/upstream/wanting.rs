//! What those who watch here want of the server above: one rendition of sound with the pictures, the smallest cut that somebody
//! needs, and no more than the widest of their paths carries.

use std::time::Duration;

use super::Upstream;
use crate::media::sound::Rendition;
use crate::proto::client::Wishes;
use crate::units::{Bitrate, Time};
use crate::wire::SizeClass;
use crate::wire::message::{Place, RepairWish, SoundWish, WantedPictures};

/// A limit of the rate is told anew when it has changed by this part, and not more often than this.
const RATE_CHANGE: f64 = 0.1;
const RATE_AGAIN: Duration = Duration::from_millis(500);
/// Smaller datagrams are asked for at once, larger ones only after so long without need of the smaller.
const LARGER_AFTER: Duration = Duration::from_secs(5);

impl Upstream {
    /// The rendition of sound that comes with the pictures.
    pub(super) fn first_sound(&self) -> Option<Rendition> {
        let all = [Rendition::Stereo, Rendition::Mono, Rendition::Coded].into_iter();
        let needs = self.needs.as_ref()?;
        let mut wanted = all.zip(needs.sounds).filter_map(|(rendition, wanted)| wanted.then_some(rendition));
        if self.is_single() {
            let any = needs.sounds.iter().any(|wanted| *wanted);
            if self.is_held_short() {
                return any.then_some(needs.coarsest);
            }
            // It has one way for its sound: what the narrowest path here carries, if all can play it.
            return wanted.next_back().map(|coarsest| coarsest.min(needs.coarsest));
        }
        wanted.next()
    }

    /// What those who watch here want of the one above.
    pub(super) fn wishes(&mut self, now: Time) -> Wishes {
        let Some(needs) = self.needs.as_ref() else { return Wishes::NONE };
        let sound = self.first_sound().map_or(Wishes::NONE.sound, |rendition| SoundWish {
            place: Place::Here,
            rendition: rendition.id(),
            coarsest: needs.coarsest.id(),
        });
        let repair = RepairWish { asks: true, patience: RepairWish::INTERVAL, latency: Duration::ZERO };
        let (limits, paused, class, ready) = (needs.limits, !needs.pictures, needs.class, needs.ready);
        self.settle_rate(now, limits.max_rate);
        self.settle_class(now, class);
        let limits = WantedPictures { max_rate: self.capped(self.rate.0), ..limits };
        self.waits &= !ready;
        let (sound, paused) = if self.waits { (Wishes::NONE.sound, true) } else { (sound, paused) };
        Wishes { sound, paused, limits, repair, class: self.class.0, play: None }
    }

    fn settle_rate(&mut self, now: Time, rate: Option<Bitrate>) {
        let (before, told) = self.rate;
        let changed = match (before, rate) {
            (Some(before), Some(rate)) => {
                let (before, rate) = (before.as_bps() as f64, rate.as_bps() as f64);
                (rate - before).abs() > RATE_CHANGE * before
            }
            (before, rate) => before.is_some() != rate.is_some(),
        };
        if changed && now.since(told) >= RATE_AGAIN {
            self.rate = (rate, now);
        }
    }

    fn settle_class(&mut self, now: Time, class: SizeClass) {
        let (before, needed) = self.class;
        if class <= before || now.since(needed) >= LARGER_AFTER {
            self.class = (class, now);
        }
    }
}
