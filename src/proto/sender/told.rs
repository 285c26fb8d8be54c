//! What reports tell a sender of single datagrams, and what follows from that.

use std::time::Duration;

use super::history::{Cargo, Fate};
use super::{MediaSender, ToldCell, wire_bits};
use crate::units::Time;
use crate::wire::{Ecn, Report, SizeClass};

impl MediaSender {
    /// Takes a report in. Returns what it tells of single datagrams, of use to a control; `None` if it does not prove that the
    /// receiver is alive: an old one, or one that echoes what was not sent, changes nothing.
    pub fn report(&mut self, now: Time, report: &Report) -> Option<Vec<ToldCell>> {
        let newer = self.report.is_none_or(|last| report.number.wrapping_sub(last).cast_signed() > 0);
        let held = Duration::from_micros(u64::from(report.held));
        let age = self.history.age_of(now, report.echo).filter(|age| newer && held <= *age);
        let age = age?;
        self.report = Some(report.number);
        let rtt = age - held;
        // A longer one is believed by and by.
        let longer = self.shortest + (self.shortest / 64).max(Duration::from_micros(20));
        self.shortest = if self.shortest == Duration::ZERO { rtt } else { rtt.min(longer) };
        self.stats.rtt = Some(self.stats.rtt.map_or(rtt, |old| (old * 7 + rtt) / 8));
        let waits = Duration::from_micros(u64::from(report.buffer));
        self.ahead.told(report.first.wrapping_add(report.arrivals.len() as u32), self.shortest + waits);
        Some(self.arrivals(now, report))
    }

    /// Bits that were sent since the newest datagram of which this report tells, and may still be on their way.
    pub fn unreported(&self, now: Time, report: &Report) -> f64 {
        let newest = report.first.wrapping_add(report.arrivals.len() as u32).wrapping_sub(1);
        let young = |at: u32| at_of(now, at) + ON_THE_WAY > now;
        let media = self.history.after(newest).filter(|sent| sent.cargo != Cargo::Probe && young(sent.at));
        media.map(|sent| wire_bits(sent.bytes.into())).sum()
    }

    fn arrivals(&mut self, now: Time, report: &Report) -> Vec<ToldCell> {
        let (mut told, mut fates) = (Vec::new(), Vec::new());
        for (i, arrival) in report.arrivals.iter().enumerate() {
            let sequence = report.first.wrapping_add(i as u32);
            let Some(sent) = self.history.get_mut(sequence) else { continue };
            let received = arrival.is_received();
            let straggler = sent.fate == Fate::Lost && received;
            if sent.fate != Fate::Unknown && !straggler {
                continue;
            }
            sent.fate = if received { Fate::Received } else { Fate::Lost };
            let (bytes, at, cargo, picture) = (usize::from(sent.bytes), sent.at, sent.cargo, sent.picture);
            let here = self.path_from.is_none_or(|from| sequence.wrapping_sub(from).cast_signed() >= 0);
            match cargo {
                Cargo::Probe if received && here => {
                    self.path.probe_arrived(now, bytes);
                    if self.path.class() == SizeClass::LOOPBACK {
                        // The path is this machine.
                        (self.control, self.is_governed) = (None, false);
                    }
                }
                Cargo::Probe => {}
                Cargo::Body | Cargo::Sound | Cargo::Repair | Cargo::Parity | Cargo::Supply | Cargo::Other => {
                    self.count(received, straggler);
                    if straggler {
                        self.protection.losses.came_after_all();
                    } else {
                        fates.push(!received);
                    }
                    if here {
                        self.path.told(now, bytes, at, received);
                    }
                }
            }
            if self.is_governed && here && !straggler && cargo != Cargo::Probe {
                told.push(ToldCell {
                    sent: at_of(now, at),
                    age: received.then(|| report.age_of(i)),
                    bytes: bytes as u16,
                    picture: (cargo == Cargo::Body).then_some(picture),
                    marked: arrival.ecn() == Ecn::Ce,
                });
            }
            self.on_screen.told(cargo, picture, sequence, received, straggler);
        }
        self.learn(now, fates);
        told
    }

    /// Of what a report tells of losses something follows only with the next one, when it is known whether they met a full
    /// queue: then less is to be sent, and not more.
    fn learn(&mut self, now: Time, fates: Vec<bool>) {
        let before = std::mem::replace(&mut self.fates, fates);
        if self.is_congested(now) {
            self.fates.clear();
        } else {
            self.protection.losses.told(now, before.into_iter());
        }
    }

    /// What was lost and came after all is no longer among the lost.
    const fn count(&mut self, received: bool, straggler: bool) {
        if straggler {
            self.stats.lost -= 1;
        } else {
            self.stats.reported += 1;
            self.stats.lost += !received as u64;
        }
    }
}

/// What has not been told of for so long is lost: nothing came after it that would show the gap.
const ON_THE_WAY: Duration = Duration::from_secs(1);

/// The moment in the past of which a datagram's stamp has the low bits.
fn at_of(now: Time, stamp: u32) -> Time {
    now - Duration::from_micros(now.wire_micros().wrapping_sub(stamp).into())
}
