//! When a report is due, and what it says beside the arrivals.

use std::time::Duration;

use super::report_interval;
use crate::proto::hops::{Fates, Hops};
use crate::units::Time;
use crate::wire::Report;

/// A report goes out after so many datagrams even if its time has not come.
const REPORT_DATAGRAMS: usize = 400;
/// The Description and Probes are answered together, this soon after the first.
const FIRST_REPORT: Duration = Duration::from_micros(500);

pub struct Reporting {
    interval: Duration,
    next: Time,
    reports: u32,
    /// The newest stamp of the other end, and when it came.
    echo: Option<(u32, Time)>,
    update_ack: u32,
    /// The newest that the other end told.
    token: u64,
}

impl Reporting {
    pub fn new(interval: Duration, token: u64, now: Time) -> Self {
        Self { interval, next: now + interval, reports: 0, echo: None, update_ack: 0, token }
    }

    pub const fn interval(&self) -> Duration {
        self.interval
    }

    pub const fn set_token(&mut self, token: u64) {
        self.token = token;
    }

    pub fn set_interval(&mut self, millis: u16) {
        self.interval = report_interval(millis);
    }

    /// An Update with this number came.
    pub fn update(&mut self, number: u32) {
        self.update_ack = self.update_ack.max(number);
    }

    /// A datagram came that left the other end at this moment of its clock.
    pub fn heard(&mut self, sent_at: u32, now: Time) {
        if self.echo.is_none_or(|(echo, _)| sent_at.wrapping_sub(echo).cast_signed() >= 0) {
            self.echo = Some((sent_at, now));
        }
    }

    pub fn soon(&mut self, now: Time) {
        self.next = self.next.min(now + FIRST_REPORT);
    }

    pub fn deadline(&self) -> Option<Time> {
        self.echo.map(|_| self.next)
    }

    pub fn report(&mut self, now: Time, held: Duration, session: u64, hops: &mut Hops) -> Option<Report> {
        if now < self.next && hops.unreported() < REPORT_DATAGRAMS {
            return None;
        }
        self.next = now + self.interval;
        let (echo, at) = self.echo?;
        let Fates { first, shift, arrivals } = hops.report(now);
        if hops.unreported() > 0 {
            // What one report cannot hold the next one tells at once.
            self.next = now;
        }
        self.reports += 1;
        Some(Report {
            session,
            number: self.reports,
            echo,
            held: micros(now.since(at)),
            first,
            shift,
            update_ack: self.update_ack,
            buffer: micros(held),
            token: self.token,
            arrivals,
        })
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
