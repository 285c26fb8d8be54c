//! What the crowd saw, added up, and whether anything of it was wrong.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use udpstream::units::Unit;

use super::ledger::Origin;
use super::watcher::Watcher;

/// All figures but the joined are of the whole run; pictures are of its window.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub watchers: usize,
    pub joined: usize,
    pub seconds: f64,
    /// Pictures of the window that the server sent to anybody, and those numbers that it sent to nobody.
    pub units: u64,
    pub skipped: u64,
    /// Watchers × units.
    pub expected: u64,
    pub complete: u64,
    pub missing: u64,
    /// Shown by the receiver with a part missing.
    pub damaged: u64,
    pub out_of_order: u64,
    pub crc_errors: u64,
    pub malformed: u64,
    pub unsound: u64,
    pub different: u64,
    pub duplicates: u64,
    /// Parts repaired in vain: no fault, but a cost.
    pub repeated: u64,
    /// Hop sequences that never came.
    pub datagrams_lost: u64,
    pub rejoined: u64,
    pub datagrams: u64,
    pub bytes: u64,
    /// Pictures of the window at the watcher that got the fewest, and the most.
    pub fewest: u64,
    pub most: u64,
    pub receive_buffer: usize,
    pub cpu_seconds: f64,
}

impl Figures {
    pub fn of(watchers: &[Watcher], origin: &Origin, (first, last): (Unit, Unit), took: Duration) -> Self {
        let window = |unit: &&Unit| (first..=last).contains(unit);
        let units = origin.units.iter().filter(window).count() as u64;
        let numbers = u64::from((last.0 + 1).saturating_sub(first.0));
        let sum = |of: fn(&Watcher) -> u64| watchers.iter().map(of).sum::<u64>();
        let each: Vec<u64> = watchers
            .iter()
            .map(|watcher| {
                let mut complete: Vec<Unit> = watcher.ledger.complete.iter().filter(window).copied().collect();
                complete.sort_unstable();
                complete.dedup();
                complete.len() as u64
            })
            .collect();
        let expected = units * watchers.len() as u64;
        let complete = each.iter().sum();
        Self {
            watchers: watchers.len(),
            joined: watchers.iter().filter(|watcher| watcher.playing).count(),
            seconds: took.as_secs_f64(),
            units,
            skipped: numbers.saturating_sub(units),
            expected,
            complete,
            missing: expected - complete,
            damaged: sum(|watcher| watcher.machine.counts().pictures.damaged),
            out_of_order: sum(|watcher| watcher.ledger.out_of_order),
            crc_errors: sum(|watcher| watcher.ledger.crc_errors),
            malformed: sum(|watcher| watcher.ledger.malformed),
            unsound: origin.unsound,
            different: origin.different,
            duplicates: sum(|watcher| watcher.ledger.duplicates),
            repeated: sum(|watcher| watcher.ledger.repeated),
            datagrams_lost: sum(|watcher| watcher.ledger.gaps()),
            rejoined: sum(|watcher| watcher.ledger.rejoined),
            datagrams: sum(|watcher| watcher.ledger.datagrams),
            bytes: sum(|watcher| watcher.ledger.bytes),
            fewest: each.iter().copied().min().unwrap_or_default(),
            most: each.iter().copied().max().unwrap_or_default(),
            receive_buffer: watchers.first().and_then(|watcher| watcher.way.room().ok()).unwrap_or_default(),
            cpu_seconds: cpu_seconds(),
        }
    }

    /// The first thing that is wrong, as a sentence.
    pub fn wrong(&self) -> Option<String> {
        let counted = [
            (self.crc_errors, "datagrams came with a wrong checksum"),
            (self.different, "objects came whose name had stood for other bytes"),
            (self.unsound, "objects held no JPEG that fits their header"),
            (self.malformed, "datagrams were malformed"),
            (self.missing, "pictures were not complete at everybody"),
            (self.damaged, "pictures were damaged"),
            (self.datagrams_lost, "datagrams were lost; a larger receive buffer may help (net.core.rmem_max)"),
            (self.out_of_order, "datagrams or pictures were out of order"),
            (self.duplicates, "datagrams came twice"),
            (self.rejoined, "watchers lost their session"),
        ];
        if self.units == 0 {
            return Some("No picture came in the time that was looked at: is the source still going?".to_owned());
        }
        counted.into_iter().find(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}."))
    }

    pub fn json(&self) -> Value {
        json!({
            "event": "crowd", "v": 1, "watchers": self.watchers, "joined": self.joined, "seconds": self.seconds,
            "units": self.units, "units_skipped": self.skipped, "pictures_expected": self.expected,
            "pictures_complete": self.complete, "pictures_missing": self.missing, "pictures_damaged": self.damaged,
            "out_of_order": self.out_of_order, "crc_errors": self.crc_errors, "malformed": self.malformed,
            "unsound": self.unsound, "different": self.different, "duplicates": self.duplicates,
            "parts_repeated": self.repeated, "datagrams_lost": self.datagrams_lost, "rejoined": self.rejoined,
            "datagrams": self.datagrams, "bytes": self.bytes, "per_watcher": { "min": self.fewest, "max": self.most },
            "receive_buffer": self.receive_buffer, "cpu_seconds": self.cpu_seconds,
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.units as f64 / self.seconds.max(1e-9);
        writeln!(f, "{} watchers, {:.1} s, {} units ({rate:.2} a second)", self.joined, self.seconds, self.units)?;
        writeln!(
            f,
            "pictures: {} complete of {} ({} to {} at each watcher), {} damaged",
            self.complete, self.expected, self.fewest, self.most, self.damaged
        )?;
        write!(
            f,
            "datagrams: {} ({:.1} MB), {} lost, {} parts repaired in vain, {} with a wrong checksum; {:.1} s of processor time",
            self.datagrams,
            self.bytes as f64 / 1e6,
            self.datagrams_lost,
            self.repeated,
            self.crc_errors,
            self.cpu_seconds
        )
    }
}

/// Of this process, user and system.
fn cpu_seconds() -> f64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}
