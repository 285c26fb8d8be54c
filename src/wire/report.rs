//! The receiver's report: which hop sequences arrived and when, in the manner of RFC 8888.

use std::time::Duration;

use super::WireError;
use super::bytes::{Put, Reader};

/// Most arrivals in one report: with its 43 bytes of fields and the hop header a report stays within 1 200.
pub const MAX_ARRIVALS: usize = 560;
/// The coarsest unit of ages, 256 µs: cells reach back 2.1 s, and reports are at most 2 s apart.
pub const MAX_SHIFT: u8 = 4;

/// The ECN field of an IP header (RFC 3168): what the sender said of itself, and what the path made of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ecn {
    /// Not ECN-capable, or the system does not tell.
    #[default]
    Not,
    /// ECT(1): of a sender that heeds marks early (L4S, RFC 9331).
    Ect1,
    /// ECT(0).
    Ect0,
    /// Congestion experienced: a router would have dropped it otherwise.
    Ce,
}

impl Ecn {
    /// Of the two low bits of a TOS or traffic class.
    pub const fn of_tos(tos: u8) -> Self {
        match tos & 3 {
            0 => Self::Not,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// The two bits.
    pub const fn bits(self) -> u8 {
        self as u8
    }
}

/// The fate of one hop sequence: received (1 bit), ECN (2 bits), age at the report's sending (13 bits, in units that the report
/// names).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival(pub u16);

impl Arrival {
    pub const LOST: Self = Self(0);
    const MAX_AGE: u128 = 0x1fff;

    /// An arrival so long before the report was sent, in units of 16 µs · 2^`shift`; a longer age than fits is capped.
    pub fn received(age: Duration, ecn: Ecn, shift: u8) -> Self {
        let units = (age.as_micros() / UNIT) >> shift.min(MAX_SHIFT);
        Self(0x8000 | u16::from(ecn.bits()) << 13 | units.min(Self::MAX_AGE) as u16)
    }

    /// The finest unit in which this age fits.
    pub fn shift_for(oldest: Duration) -> u8 {
        let units = oldest.as_micros() / UNIT;
        (0..MAX_SHIFT).find(|shift| units >> shift <= Self::MAX_AGE).unwrap_or(MAX_SHIFT)
    }

    pub const fn is_received(self) -> bool {
        self.0 & 0x8000 != 0
    }

    pub const fn ecn(self) -> Ecn {
        Ecn::of_tos((self.0 >> 13) as u8)
    }

    /// The age in a report of this shift.
    pub fn age(self, shift: u8) -> Duration {
        Duration::from_micros((u64::from(self.0 & 0x1fff) * UNIT as u64) << shift.min(MAX_SHIFT))
    }
}

/// Microseconds of the finest unit of ages.
const UNIT: u128 = 16;

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
    /// Ages are in units of 16 µs · 2^`shift`, at most [`MAX_SHIFT`].
    pub shift: u8,
    /// The highest Update number seen.
    pub update_ack: u32,
    /// Media held by the receiver, in µs.
    pub buffer: u32,
    /// The newest token heard. Only who hears the server knows it.
    pub token: u64,
    pub arrivals: Vec<Arrival>,
}

impl Report {
    /// How long before this report the arrival of cell `index` was; zero where there is none.
    pub fn age_of(&self, index: usize) -> Duration {
        self.arrivals.get(index).map_or(Duration::ZERO, |arrival| arrival.age(self.shift))
    }

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
        report.shift = reader.u8()?;
        if report.shift > MAX_SHIFT {
            return Err(WireError::Value { what: "a report's unit of ages" });
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
        out.u8(self.shift);
        out.u32(self.update_ack);
        out.u32(self.buffer);
        out.u64(self.token);
        for arrival in arrivals {
            out.u16(arrival.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn the_unit_of_ages_is_the_finest_that_holds_the_oldest() {
        for (oldest, shift) in [
            (0, 0),
            (131_071, 0),
            (131_072, 1),
            (262_143, 1),
            (262_144, 2),
            (1_048_576, 4),
            (2_097_151, 4),
            (90_000_000, 4),
        ] {
            assert_eq!(Arrival::shift_for(micros(oldest)), shift, "{oldest}");
        }
    }

    #[test]
    fn an_age_comes_back_to_within_its_unit() {
        for (age, shift, told) in
            [(36_800, 0, 36_800), (36_815, 0, 36_800), (2_000_000, 4, 1_999_872), (90_000_000, 4, 2_096_896)]
        {
            let arrivals = vec![Arrival::LOST, Arrival::received(micros(age), Ecn::Ce, shift)];
            let report = Report { shift, arrivals, ..Report::default() };
            assert_eq!((report.age_of(1), report.arrivals[1].ecn()), (micros(told), Ecn::Ce));
            assert_eq!((report.age_of(0), report.age_of(2)), (Duration::ZERO, Duration::ZERO));
        }
    }

    #[test]
    fn the_codepoints_are_those_of_rfc_3168() {
        assert_eq!([0, 1, 2, 3].map(Ecn::of_tos), [Ecn::Not, Ecn::Ect1, Ecn::Ect0, Ecn::Ce]);
        assert_eq!(Ecn::of_tos(0xb8 | Ecn::Ect0.bits()), Ecn::Ect0, "the DSCP does not count");
    }

    #[test]
    fn a_unit_beyond_the_coarsest_is_refused() {
        let mut bytes = Vec::new();
        Report::default().emit(&mut bytes);
        assert_eq!(Report::parse(&bytes), Ok(Report::default()));
        bytes[26] = MAX_SHIFT + 1;
        assert_eq!(Report::parse(&bytes), Err(WireError::Value { what: "a report's unit of ages" }));
    }
}
