//! What a watcher wants in its session: sound and where, pictures or none for now, and how much of them at most.

use super::Session;
use crate::media::sound::Rendition;
use crate::wire::SizeClass;
use crate::wire::message::{Place, Play, RepairWish, SoundWish, WantedPictures};
use crate::wire::tlv::{Tlvs, kind};

/// What a Want, or the WANT of a Join, says. What it leaves out stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    pub sound: Option<SoundWish>,
    pub pictures: Option<bool>,
    /// Those that are said anew, see [`WantedPictures::read`].
    pub limits: WantedPictures,
    pub repair: Option<RepairWish>,
    /// No larger datagrams are wanted for pictures.
    pub class: Option<SizeClass>,
    /// How a film on demand is to be played.
    pub play: Option<Play>,
}

impl Wishes {
    pub fn read(tlvs: Tlvs<'_>) -> Self {
        let pause = tlvs.iter().find_map(|(kind, _)| match kind {
            kind::PAUSE => Some(false),
            kind::RESUME => Some(true),
            _ => None,
        });
        let sound = tlvs.find(kind::SOUND).and_then(SoundWish::parse);
        let repair = tlvs.find(kind::REPAIR).and_then(RepairWish::parse);
        let class = tlvs.find(kind::RENDITION).and_then(|value| SizeClass::of_cut(*value.get(1)?));
        let play = tlvs.find(kind::PLAY).and_then(|value| Play::parse(value).ok());
        Self { sound, pictures: pause, limits: WantedPictures::read(tlvs), repair, class, play }
    }

    /// Those that a Join carries; none if they cannot be read.
    pub fn of_join(tlvs: Tlvs<'_>) -> Self {
        let inner = tlvs.find(kind::WANT).and_then(|value| Tlvs::parse(value).ok());
        inner.map(Self::read).unwrap_or_default()
    }
}

impl Session {
    /// What it is sent if its Join does not say anything else.
    pub fn set_default_sound(&mut self) {
        let place = if self.is_for_pictures() { Place::Off } else { Place::Here };
        let (rendition, coarsest) = (Rendition::Stereo.id(), Rendition::Mono.id());
        self.set_sound(SoundWish { place, rendition, coarsest });
    }

    pub fn set_sound(&mut self, wish: SoundWish) {
        // On the sound port both words mean: here.
        let pictures = self.is_for_pictures();
        let here = wish.place == Place::Here || (wish.place == Place::SoundPort && !pictures);
        self.expects_sound = wish.place == Place::SoundPort && pictures;
        self.sound = here.then(|| Rendition::of(wish.rendition).unwrap_or_default());
        // A watcher of the future may know coarser ones than there are here.
        self.sound_coarsest = Rendition::of(wish.coarsest).unwrap_or(Rendition::Coded);
    }

    /// Whether sound that leaves now is for it: of what a full connection would keep nothing would be heard in time.
    pub fn takes_sound_now(&self) -> bool {
        self.ready && self.sound.is_some() && !self.media.is_held() && self.spot.untold.is_none()
    }

    /// What it wishes of repair. Connections lose nothing.
    pub fn set_repair(&mut self, wish: Option<RepairWish>) {
        if let Some(wish) = wish.filter(|_| !self.peer().port.is_connections()) {
            self.media.protection.wish = wish;
        }
    }

    /// Which sound is to be sent to it, if any: the coarser of what it wants and what its path allows.
    pub fn sound_rendition(&self) -> Option<Rendition> {
        self.sound.map(|wanted| wanted.max(self.sound_allowed.min(self.sound_coarsest)))
    }

    /// Whether a Want with this number is to be obeyed. One that is not older than the last is acknowledged.
    pub fn heeds(&mut self, number: u32) -> bool {
        let ahead = self.want.map_or(1, |last| number.wrapping_sub(last).cast_signed());
        if ahead > 0 {
            self.want = Some(number);
        }
        self.owes_wanted |= ahead >= 0;
        ahead > 0
    }

    /// Number of the last Want obeyed.
    pub const fn wanted(&self) -> Option<u32> {
        self.want
    }
}
