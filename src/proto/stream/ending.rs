//! How a stream comes to its end, and how its watchers are told.

use std::time::Duration;

use super::load::Load;
use super::{Events, Stream};
use crate::proto::server::Event;
use crate::proto::session::{Leaving, Sessions};
use crate::units::Time;
use crate::wire::message::bye;

/// When it is stopped, a picture that has departed may take so long to be sent.
const STOP_LIMIT: Duration = Duration::from_millis(250);
/// Goodbyes are said for half a second; answers are waited for so long.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);

/// Why a stream is over, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goodbye {
    pub code: u16,
    pub sentence: String,
}

/// Where the stream is in its life.
#[derive(Debug, PartialEq, Eq)]
pub enum Phase {
    Running,
    /// The last picture is on its way; goodbyes follow when it has left, at the latest then.
    Ending {
        goodbye: Goodbye,
        until: Time,
    },
    Leaving {
        goodbye: Goodbye,
        until: Time,
    },
    Over(Goodbye),
}

impl Stream {
    pub const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_))
    }

    /// Whether its end is being told, or has been.
    pub(super) const fn has_said_goodbye(&self) -> bool {
        matches!(self.phase, Phase::Leaving { .. } | Phase::Over(_))
    }

    /// Why it ends or has ended; `None` while it runs.
    pub const fn goodbye(&self) -> Option<&Goodbye> {
        match &self.phase {
            Phase::Running => None,
            Phase::Ending { goodbye, .. } | Phase::Leaving { goodbye, .. } | Phase::Over(goodbye) => Some(goodbye),
        }
    }

    /// Nothing departs any more. What has departed is sent to its end, if that does not take long.
    pub fn stop(&mut self, now: Time, goodbye: Goodbye) {
        if self.has_said_goodbye() {
            return;
        }
        self.next = None;
        self.totals.chunks_unsent += self.sound.cut();
        self.phase = Phase::Ending { goodbye, until: now + STOP_LIMIT };
    }

    /// It is over before it has begun.
    pub fn cancel(&mut self, sentence: &str, events: &mut Events) {
        self.phase = Phase::Over(Goodbye { code: bye::STOPPED, sentence: sentence.to_owned() });
        events.push_back(Event::StreamOver(self.key));
    }

    /// When the pictures have come to their end, their last one's time on the screen included; `None` while more may come.
    fn over_at(&self) -> Option<Time> {
        let end = self.ended?;
        Some(end.zip(self.schedule).map_or(Time::ZERO, |(end, schedule)| schedule.due(end)))
    }

    /// When it is to be looked whether it ends.
    pub(super) fn ends_at(&self) -> Option<Time> {
        match &self.phase {
            Phase::Running if self.is_at_its_end() => None,
            Phase::Running => self.over_at().filter(|_| self.next.is_none() && self.sound.is_over()),
            Phase::Ending { until, .. } => Some(*until),
            Phase::Leaving { .. } | Phase::Over(_) => None,
        }
    }

    /// After the last picture has had its time on the screen: goodbye.
    pub(super) fn end(&mut self, now: Time, sessions: &mut Sessions) {
        let over = self.over_at().is_some_and(|at| at <= now);
        let all = self.phase == Phase::Running && over && self.next.is_none() && self.sound.is_over();
        if all && self.rests_at_its_end(sessions) {
            return;
        }
        if all {
            let goodbye = Goodbye { code: bye::ENDED, sentence: "The stream is over.".to_owned() };
            self.phase = Phase::Ending { goodbye, until: Time::NEVER };
        }
        let busy = self.turns.is_busy() || self.sound.is_leaving();
        if let Phase::Ending { goodbye, until } = &self.phase
            && (!busy || now >= *until)
        {
            let goodbye = goodbye.clone();
            self.begin_leaving(now, goodbye, sessions);
        }
    }

    /// No picture and no sound comes after a goodbye.
    fn begin_leaving(&mut self, now: Time, goodbye: Goodbye, sessions: &mut Sessions) {
        (self.next, self.departing) = (None, None);
        self.turns.stop();
        self.sound.stop();
        // It takes nothing from the others any more.
        (self.load, self.overloaded) = (Load::new(self.config.description.rate.interval()), false);
        self.phase = Phase::Leaving { goodbye, until: now + LEAVE_LIMIT };
        for slot in &self.members {
            let Some(session) = sessions.get_mut(*slot) else { continue };
            session.media.abandon();
            session.leaving = Some(Leaving { byes: 0, next: now });
        }
        sessions.next_upkeep = now;
    }

    /// Whether all have answered its goodbye, or have had the time for it.
    pub fn has_left(&self, now: Time) -> bool {
        matches!(self.phase, Phase::Leaving { until, .. } if self.members.is_empty() || now >= until)
    }

    /// Whether sessions, or its end, are to be looked after although nobody may be there.
    pub const fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending { .. } | Phase::Leaving { .. })
    }

    /// Its last session is gone.
    pub fn finish(&mut self, events: &mut Events) {
        if let Phase::Leaving { goodbye, .. } = &self.phase {
            self.phase = Phase::Over(goodbye.clone());
            events.push_back(Event::StreamOver(self.key));
        }
    }
}
