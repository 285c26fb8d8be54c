//! At which size pictures are seen, as far as the server is to know of it: where they are seen at half their size or less, smaller
//! ones will do. Less is asked for once it has been so for a while, and more at once.

use std::time::Duration;

use crate::proto::ladder::RENDITIONS;
use crate::units::{Size, Time};
use crate::view::letterbox;
use crate::wire::message::WantedPictures;

/// So long pictures are seen smaller before smaller ones are asked for: whoever drags a window's edge is not done yet.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Sizing {
    /// What was asked for last; `None`: the whole size.
    told: Option<Size>,
    /// Since when less would do.
    smaller_since: Option<Time>,
}

impl Sizing {
    /// The size to ask for: pictures of size `full` are seen in a window or tile of size `seen`.
    pub fn wanted(&mut self, now: Time, seen: Option<Size>, full: Option<Size>) -> Option<Size> {
        let Some((seen, full)) = seen.zip(full) else {
            *self = Self::default();
            return None;
        };
        let size = letterbox(full, seen).size;
        let halvings = |size| WantedPictures { max_size: size, ..WantedPictures::ANY }.halvings(full, MOST_HALVINGS);
        let (less, told) = (halvings(Some(size)), halvings(self.told));
        if less <= told {
            self.smaller_since = None;
        }
        if less > told {
            let since = *self.smaller_since.get_or_insert(now);
            if now.since(since) < PATIENCE {
                return self.told;
            }
        }
        if less != told {
            *self = Self { told: Some(size).filter(|_| less > 0), smaller_since: None };
        }
        self.told
    }

    /// When less is to be asked for, if nothing changes.
    pub fn deadline(&self) -> Option<Time> {
        self.smaller_since.map(|since| since + PATIENCE)
    }
}

/// The smaller of two limits of each side; 0 is none.
pub fn tighter(one: Option<Size>, other: Option<Size>) -> Option<Size> {
    let side = |one: u16, other: u16| if one == 0 || other == 0 { one.max(other) } else { one.min(other) };
    match (one, other) {
        (Some(one), Some(other)) => Some(Size::new(side(one.width, other.width), side(one.height, other.height))),
        (one, other) => one.or(other),
    }
}

const MOST_HALVINGS: u8 = RENDITIONS as u8 - 1;

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Option<Size> = Some(Size::new(1_280, 720));

    #[test]
    fn less_is_asked_for_after_a_second_and_more_at_once() {
        let mut sizing = Sizing::default();
        let at = Time::from_millis;
        let small = Some(Size::new(640, 360));
        assert_eq!((sizing.wanted(at(0), FULL, FULL), sizing.deadline()), (None, None));
        assert_eq!((sizing.wanted(at(100), small, FULL), sizing.deadline()), (None, Some(at(1_100))));
        assert_eq!(sizing.wanted(at(1_099), small, FULL), None);
        assert_eq!((sizing.wanted(at(1_100), small, FULL), sizing.deadline()), (small, None));
        let larger = Some(Size::new(700, 700));
        assert_eq!(sizing.wanted(at(1_200), larger, FULL), None, "its pictures are more than half as wide");
        assert_eq!(sizing.wanted(at(1_300), small, FULL), None);
        assert_eq!(sizing.wanted(at(1_400), FULL, FULL), None);
        assert_eq!(sizing.wanted(at(2_350), small, FULL), None, "it begins anew");
        assert_eq!(sizing.wanted(at(3_350), small, FULL), small);
    }

    #[test]
    fn a_want_is_said_only_where_it_changes_what_would_be_sent() {
        let mut sizing = Sizing::default();
        let small = Some(Size::new(600, 360));
        for millis in [0, 1_000] {
            sizing.wanted(Time::from_millis(millis), small, FULL);
        }
        let told = sizing.wanted(Time::from_millis(1_100), small, FULL);
        assert_eq!(told, Some(Size::new(600, 338)), "as much of the window as pictures fill");
        assert_eq!(sizing.wanted(Time::from_millis(1_200), Some(Size::new(500, 300)), FULL), told);
        assert_eq!(sizing.wanted(Time::from_millis(1_300), None, FULL), None, "nothing is known of a window");
    }

    #[test]
    fn the_tighter_of_two_limits() {
        let size = |width, height| Some(Size::new(width, height));
        assert_eq!(tighter(size(640, 0), size(900, 500)), size(640, 500));
        assert_eq!(tighter(None, size(900, 500)), size(900, 500));
        assert_eq!(tighter(size(640, 0), None), size(640, 0));
    }
}
