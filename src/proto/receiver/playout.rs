//! When to show what has come: at once, or at the chosen latency; and when to stop waiting for the rest.

use std::time::Duration;

use super::assembly::Ready;
use super::assembly::Shown;
use super::lane::{Gap, Lane, Role, Stream, last_of, reorder_window};
use super::{Event, Over};
use crate::units::{MediaTime, Time, Unit};

/// A picture with gaps that no later one has followed is waited for this long: nothing newer is held up by it, and a
/// sender that was halted in the middle of a picture goes on.
const ALONE_PATIENCE: Duration = Duration::from_millis(500);
/// No picture is held for longer than this after its first part came, whatever the timeline says: two seconds more than
/// the longest latency.
const HELD_FOR: Duration = Duration::from_secs(12);
/// After the end was announced, stragglers of the last pictures and chunks are waited for at most this long.
pub const END_PATIENCE: Duration = Duration::from_millis(250);

impl Lane {
    /// Shows every picture whose time has come, up to the last that is wanted.
    pub(super) fn playout(&mut self, now: Time) {
        while self.show_at().is_some_and(|at| at <= now) {
            let Some(stream) = self.stream.as_mut() else { return };
            let Some(Shown { picture, held, overtaken }) = stream.units.show() else { return };
            let due = self.due(picture.media_time);
            self.lateness.extend(due.filter(|_| picture.missing == 0).map(|due| picture.last_at.signed_since(due)));
            self.account(&picture, &overtaken);
            self.events.push_back(Event::Show { picture, due });
            if self.config.frames.is_some_and(|frames| self.counts.shown >= frames) {
                return self.stop(now);
            }
            let decodable = held.into_iter().filter(|slice| !slice.jpeg.is_empty());
            self.events.extend(decodable.map(Event::Slice));
        }
        self.consider_end(now);
    }

    fn account(&mut self, picture: &Ready, overtaken: &[Unit]) {
        let before = self.stream.as_ref().and_then(|stream| stream.last_shown);
        let between = before.map(|before| (before, self.gap(&before, picture)));
        let counts = &mut self.counts;
        counts.shown += 1;
        counts.damaged += u64::from(picture.missing > 0);
        counts.slices_lost += u64::from(picture.missing);
        let Some(stream) = self.stream.as_mut() else { return };
        if let Some((before, Gap { pictures, missing })) = between {
            // Before the first picture shown nothing counts; behind the last, whatever came is in this gap.
            counts.late += overtaken.len() as u64;
            let between = u64::from(pictures).saturating_sub(overtaken.len() as u64);
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
            stream.units.gave_up(before.unit.0.saturating_add(1)..picture.unit.0, overtaken);
        }
        stream.last_shown = Some(*picture);
    }

    /// When a moment of the stream was due at the server, in our clock.
    pub(super) fn due(&self, media: MediaTime) -> Option<Time> {
        let timeline = self.session.as_ref()?.timeline?;
        let since = media.micros().saturating_sub(timeline.media.micros()).saturating_mul(1_000);
        self.clock.local(timeline.clock).map(|zero| zero.offset(since))
    }

    /// When the picture in front is shown, as things stand.
    fn show_at(&self) -> Option<Time> {
        let stream = self.stream.as_ref()?;
        let front = stream.units.front()?;
        if stream.units.is_full() {
            return Some(Time::ZERO);
        }
        let earliest = match self.latency {
            Duration::ZERO => Time::ZERO,
            // After a rejoin the timeline is told a moment later: nothing that is held goes to waste meanwhile.
            latency => self.due(front.media_time).unwrap_or(front.first_at) + latency,
        };
        let earliest = earliest.min(front.first_at + HELD_FOR);
        if stream.units.is_complete() {
            return Some(earliest);
        }
        let rate = stream.description.rate;
        let overtaken = stream.units.overtaken_at().map(|at| at + reorder_window(rate));
        let alone = front.last_at + ALONE_PATIENCE.max(rate.interval());
        let alone = stream.ended_at.map_or(alone, |at| alone.min(at + END_PATIENCE));
        Some(earliest.max(overtaken.map_or(alone, |at| at.min(alone))))
    }

    pub(super) fn playout_deadline(&self) -> Option<Time> {
        let end = self.stream.as_ref().and_then(|stream| stream.ended_at).map(|at| at + END_PATIENCE);
        let played = self.stream.as_ref().is_none_or(|stream| stream.units.is_empty());
        let bye = played && self.session.as_ref().is_some_and(|session| session.bye.is_some());
        let (end, hold) = (end.filter(|_| bye), self.hold.filter(|_| bye));
        // Whichever is later: before that there is nothing to look at.
        [self.show_at(), end.max(hold)].into_iter().flatten().min()
    }

    /// Once the server has said goodbye and the last picture has been shown: answer, and finish.
    fn consider_end(&mut self, now: Time) {
        let Some((code, sentence)) = self.session.as_ref().and_then(|session| session.bye.clone()) else { return };
        let heard = self.hold.is_none_or(|until| now >= until);
        let seen = self.role != Role::Main || self.stream.as_ref().is_none_or(|stream| stream.is_played_out(now));
        if self.finished || !(heard && seen) {
            return;
        }
        self.count_tail();
        self.events.push_back(Event::Over { why: Over::of(code), sentence });
        if self.config.stay { self.start_over(now) } else { self.stop(now) }
    }

    /// Pictures that should have come after the last one shown.
    fn count_tail(&mut self) {
        let Some(stream) = &self.stream else { return };
        let last = stream.description.ended.and_then(last_of);
        if let (Some(last), Some(shown)) = (last, stream.last_shown) {
            self.counts.lost += u64::from(last.0.saturating_sub(shown.unit.0));
        }
    }
}

impl Stream {
    fn is_played_out(&self, now: Time) -> bool {
        let Some(ended) = self.description.ended else { return self.units.is_empty() };
        let shown = self.last_shown.map(|picture| picture.unit);
        let last = last_of(ended);
        let patience_over = self.ended_at.is_some_and(|at| now >= at + END_PATIENCE);
        self.units.is_empty() && (last.is_none() || shown >= last || patience_over)
    }
}
