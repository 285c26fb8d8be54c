//! When to show what has come: at once, or at the chosen latency; and when to stop waiting for the rest.

use std::time::Duration;

use super::assembly::{Ready, Shown};
use super::{Clock, Event, Pictures, Player, reorder_window};
use crate::units::{MediaTime, Time, Unit};

/// A picture with gaps that no later one has followed is waited for this long: nothing newer is held up by it, and a
/// sender that was halted in the middle of a picture goes on.
const ALONE_PATIENCE: Duration = Duration::from_millis(500);
/// No picture is held for longer than this after its first part came, whatever the timeline says: two seconds more than
/// the longest latency.
const HELD_FOR: Duration = Duration::from_secs(12);
/// After the end was announced, stragglers of the last pictures and chunks are waited for at most this long.
pub const END_PATIENCE: Duration = Duration::from_millis(250);

/// What lies between two units that were shown one after the other.
struct BetweenShown {
    pictures: u32,
    /// Datagrams that did not come; `None` between two sessions, of which no sequence tells.
    missing: Option<usize>,
}

impl Player {
    /// Shows every picture whose time has come, up to the last that is wanted.
    pub(super) fn show_all(&mut self, now: Time, clock: &Clock<'_>) {
        loop {
            self.awaited = self.front().and_then(|unit| (clock.awaited)(unit));
            if self.is_done() || self.show_at().is_none_or(|at| at > now) {
                return;
            }
            let Some(pictures) = self.pictures.as_mut() else { return };
            let Some(Shown { picture, held, overtaken }) = pictures.units.show() else { return };
            let due = self.due(picture.media_time);
            if picture.missing == 0 {
                due.into_iter().for_each(|due| self.hearing.picture(picture.last_at.signed_since(due)));
                self.repair.picture(now, picture.last_at.since(picture.in_turn_at));
            }
            self.account(&picture, &overtaken, clock);
            self.events.push_back(Event::Show { picture, due });
            if self.is_done() {
                return;
            }
            let decodable = held.into_iter().filter(|slice| !slice.jpeg.is_empty());
            self.events.extend(decodable.map(Event::Slice));
        }
    }

    fn account(&mut self, picture: &Ready, overtaken: &[Unit], clock: &Clock<'_>) {
        let before = self.pictures.as_ref().and_then(|pictures| pictures.last_shown);
        let between = before.map(|before| (before, self.gap(&before, picture, clock)));
        self.paused_since = self.paused;
        let counts = &mut self.counts;
        counts.shown += 1;
        // Several renditions may have one size.
        let halvings =
            (0..).zip(&mut counts.shown_of).find(|(halvings, _)| picture.full.rendition(*halvings) == picture.size);
        halvings.into_iter().for_each(|(_, shown)| *shown += 1);
        counts.damaged += u64::from(picture.missing > 0);
        counts.slices_lost += u64::from(picture.missing);
        let Some(pictures) = self.pictures.as_mut() else { return };
        if let Some((before, BetweenShown { pictures: between, missing })) = between {
            // Before the first picture shown nothing counts; behind the last, whatever came is in this gap.
            counts.late += overtaken.len() as u64;
            let between = u64::from(between).saturating_sub(overtaken.len() as u64);
            match missing {
                Some(0) => counts.thinned += between,
                Some(missing) => {
                    counts.lost += between;
                    counts.slices_lost += if between > 0 { missing as u64 } else { 0 };
                }
                None => {
                    counts.lost += between;
                    counts.away += between;
                }
            }
            pictures.units.gave_up(before.unit.0.saturating_add(1)..picture.unit.0, overtaken);
        }
        pictures.last_shown = Some(*picture);
    }

    /// What lies between two units, by the hop sequence of the session in which they came.
    fn gap(&self, before: &Ready, after: &Ready, clock: &Clock<'_>) -> BetweenShown {
        let pictures = after.unit.0.saturating_sub(before.unit.0).saturating_sub(1);
        if self.paused_since {
            return BetweenShown { pictures, missing: Some(0) };
        }
        let one = before.session == after.session;
        let missing = one.then(|| (clock.missing_between)(before.session, before.last_hop, after.first_hop));
        BetweenShown { pictures, missing: missing.flatten() }
    }

    /// When the picture in front is shown, as things stand.
    fn show_at(&self) -> Option<Time> {
        let pictures = self.pictures.as_ref()?;
        let front = pictures.units.front()?;
        if pictures.units.is_full() || self.stands && pictures.units.is_complete() {
            return Some(Time::ZERO);
        }
        let earliest = self.due_after_latency(front.media_time).unwrap_or(front.first_at + self.latency);
        // Where repair takes its time, whole pictures wait as long: so they follow each other evenly.
        let earliest = earliest.max(front.in_turn_at + self.repair.now()).min(front.first_at + HELD_FOR);
        if pictures.units.is_complete() {
            return Some(earliest);
        }
        if let Some(awaited) = self.awaited {
            return Some(earliest.max(awaited).min(front.first_at + HELD_FOR));
        }
        let rate = pictures.description.rate;
        let overtaken = pictures.units.overtaken_at().map(|at| at + reorder_window(rate));
        let alone = front.last_at + ALONE_PATIENCE.max(rate.interval());
        let alone = pictures.ended_at.map_or(alone, |at| alone.min(at + END_PATIENCE));
        Some(earliest.max(overtaken.map_or(alone, |at| at.min(alone))))
    }

    fn front(&self) -> Option<Unit> {
        self.pictures.as_ref()?.units.front().map(|front| front.unit)
    }

    /// When what is due then is shown, as was chosen or as sound asks for it; `None` as long as the timeline is not known.
    fn due_after_latency(&self, media: MediaTime) -> Option<Time> {
        if self.latency == Duration::ZERO { Some(Time::ZERO) } else { self.due(media).map(|due| due + self.latency) }
    }

    /// Before this moment the unit is not shown, whether it is whole or not.
    pub(super) fn shown_from(&self, unit: Unit) -> Time {
        let media = self.pictures.as_ref().and_then(|pictures| pictures.units.media_time(unit));
        media.and_then(|media| self.due_after_latency(media)).unwrap_or(Time::ZERO)
    }

    /// When a picture is to be shown; or, if the server has said goodbye, when the end is to be looked at.
    pub(super) fn playout_deadline(&self, ends: bool) -> Option<Time> {
        let end = self.pictures.as_ref().and_then(|pictures| pictures.ended_at).map(|at| at + END_PATIENCE);
        let played = self.pictures.as_ref().is_none_or(|pictures| pictures.units.is_empty());
        let over = played && ends;
        let (end, hold) = (end.filter(|_| over), self.hold.filter(|_| over));
        // Whichever is later: before that there is nothing to look at.
        [self.show_at(), end.max(hold)].into_iter().flatten().min()
    }

    /// Whether the last picture has been shown and the last sound heard, if the stream ends now.
    pub fn is_played_out(&self, now: Time) -> bool {
        let heard = self.hold.is_none_or(|until| now >= until);
        heard && self.pictures.as_ref().is_none_or(|pictures| pictures.are_played_out(now))
    }

    /// Counts pictures that should have come after the last one shown.
    pub fn count_tail(&mut self) {
        let Some(pictures) = self.pictures.as_ref().filter(|_| !self.paused) else { return };
        let last = pictures.description.ended.and_then(last_of);
        if let (Some(last), Some(shown)) = (last, pictures.last_shown) {
            self.counts.lost += u64::from(last.0.saturating_sub(shown.unit.0));
        }
    }
}

impl Pictures {
    fn are_played_out(&self, now: Time) -> bool {
        let Some(ended) = self.description.ended else { return self.units.is_empty() };
        let shown = self.last_shown.map(|picture| picture.unit);
        let last = last_of(ended);
        let patience_over = self.ended_at.is_some_and(|at| now >= at + END_PATIENCE);
        self.units.is_empty() && (last.is_none() || shown >= last || patience_over)
    }
}

/// The last unit of a stream of so many.
const fn last_of(ended: Unit) -> Option<Unit> {
    match ended.0.checked_sub(1) {
        Some(last) => Some(Unit(last)),
        None => None,
    }
}
