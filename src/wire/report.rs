//! The receiver's report: which hop sequences arrived and when, in the manner of RFC 8888.

use super::WireError;
use super::bytes::{Put, Reader};

/// Most arrivals in one report: with its 42 bytes of fields and the hop header a report stays within 1 200.
pub const MAX_ARRIVALS: usize = 560;

/// The fate of one hop sequence: received (1 bit), ECN (2 bits), age at the report's sending (13 bits of 16 µs).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival(pub u16);

impl Arrival {
    pub const LOST: Self = Self(0);
    const MAX_AGE: u64 = 0x1fff;

    /// An arrival `age_micros` before the report was sent; ages over 131 ms are capped.
    pub fn received(age_micros: u64) -> Self {
        Self(0x8000 | (age_micros / 16).min(Self::MAX_AGE) as u16)
    }

    pub const fn is_received(self) -> bool {
        self.0 & 0x8000 != 0
    }

    pub const fn ecn(self) -> u8 {
        (self.0 >> 13 & 3) as u8
    }

    pub const fn age_micros(self) -> u64 {
        (self.0 & 0x1fff) as u64 * 16
    }
}

/// Kind 0x20, watcher to server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub session: u64,
    /// Only rises; an older one is ignored.
    pub number: u32,
    /// `sent_at` of the newest datagram heard, and how long ago in µs.
    pub echo: u32,
    pub held: u32,
    /// Hop sequence of the first entry of `arrivals`.
    pub first: u32,
    /// The highest Update number seen.
    pub update_ack: u32,
    /// Media held by the receiver, in µs.
    pub buffer: u32,
    /// The newest token heard. Only who hears the server knows it.
    pub token: u64,
    pub arrivals: Vec<Arrival>,
}

impl Report {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes, "a report");
        let mut report = Self {
            session: reader.u64()?,
            number: reader.u32()?,
            echo: reader.u32()?,
            held: reader.u32()?,
            first: reader.u32()?,
            ..Self::default()
        };
        let n = usize::from(reader.u16()?);
        if n > MAX_ARRIVALS {
            return Err(WireError::Value { what: "a report's length" });
        }
        report.update_ack = reader.u32()?;
        report.buffer = reader.u32()?;
        report.token = reader.u64()?;
        let cells = reader.take(n * 2)?.chunks_exact(2);
        report.arrivals = cells.map(|cell| Arrival(u16::from_be_bytes([cell[0], cell[1]]))).collect();
        Ok(report)
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        out.u64(self.session);
        out.u32(self.number);
        out.u32(self.echo);
        out.u32(self.held);
        out.u32(self.first);
        let arrivals = &self.arrivals[..self.arrivals.len().min(MAX_ARRIVALS)];
        out.u16(arrivals.len() as u16);
        out.u32(self.update_ack);
        out.u32(self.buffer);
        out.u64(self.token);
        for arrival in arrivals {
            out.u16(arrival.0);
        }
    }
}
