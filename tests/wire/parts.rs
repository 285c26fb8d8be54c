//! Messages and objects of every kind, made of arbitrary values.

use proptest::collection::vec;
use proptest::prelude::*;

use udpstream::units::{MediaTime, Rate, Size, Unit};
use udpstream::wire::message::{
    Accept, Join, LineRange, List, Listing, Message, NackName, NameRange, Parity, Refuse, RefuseCode, Role, Say,
    Scheme, Unsaid, UnsaidCode,
};
use udpstream::wire::object::{ObjectHeader, Type};
use udpstream::wire::report::Arrival;
use udpstream::wire::tlv::{self, Tlvs, shorten};
use udpstream::wire::{Hop, Kind, Report};

pub fn tlvs() -> impl Strategy<Value = Vec<u8>> {
    vec((any::<u16>(), vec(any::<u8>(), 0..40)), 0..6).prop_map(|pairs| {
        let mut out = Vec::new();
        pairs.iter().for_each(|(kind, value)| tlv::put(&mut out, *kind, value));
        out
    })
}

pub fn rate() -> impl Strategy<Value = Rate> {
    (1..=120_000_u32, 1..=2_000_u32).prop_filter_map("a usual rate", |(num, den)| Rate::new(num, den))
}

/// Whatever a message may be made of.
#[derive(Clone, Debug)]
pub struct Parts {
    pub ids: (u64, u64, u64),
    pub numbers: (u32, u32, u32, u32),
    pub words: (u16, u16, u16),
    pub bytes: (u8, u8, u8, u8),
    pub cookie: [u8; 24],
    pub token: [u8; 8],
    pub text: String,
    pub tlvs: Vec<u8>,
    pub symbol: Vec<u8>,
    pub cells: Vec<u16>,
}

pub fn parts() -> impl Strategy<Value = Parts> {
    let fixed = (any::<(u64, u64, u64)>(), any::<(u32, u32, u32, u32)>(), any::<(u16, u16, u16)>());
    let arrays = (any::<(u8, u8, u8, u8)>(), any::<[u8; 24]>(), any::<[u8; 8]>());
    let tails = ("\\PC{0,200}", tlvs(), vec(any::<u8>(), 0..1_100), vec(any::<u16>(), 0..=560));
    (fixed, arrays, tails).prop_map(|((ids, numbers, words), (bytes, cookie, token), (text, tlvs, symbol, cells))| {
        Parts { ids, numbers, words, bytes, cookie, token, text, tlvs, symbol, cells }
    })
}

impl Parts {
    /// One message of every kind.
    pub fn messages(&self) -> Vec<Message<'_>> {
        let (a, b, c) = self.ids;
        let (n, m, o, p) = self.numbers;
        let (x, y, _) = self.words;
        let (i, j, k, l) = self.bytes;
        let cookie = self.cookie;
        let tlvs = Tlvs::parse(&self.tlvs).expect("sound extensions");
        let range = NameRange { stream: b, kind: Type(i), rendition: j, cut: k, first: Unit(n), last: Unit(m) };
        let missing =
            NackName { stream: b, kind: Type(i), rendition: j, cut: k, unit: Unit(n), first_part: x, bitmap: c };
        let parity = Parity {
            scheme: if x % 2 == 0 { Scheme::ReedSolomon } else { Scheme::Xor },
            kind: Type(j),
            rendition: k,
            cut: l,
            stream: a,
            unit: Unit(n),
            first_part: x,
            k: i.max(1),
            m: if x % 2 == 0 { j.max(1) } else { 1 },
            index: if x % 2 == 0 { k % j.max(1) } else { 0 },
            stride: l.max(1),
            // An even number of bytes, and some.
            symbol: self.symbol.get(..self.symbol.len() / 2 * 2).filter(|symbol| !symbol.is_empty()).unwrap_or(&[7; 2]),
        };
        let arrivals = self.cells.iter().copied().map(Arrival).collect();
        let report = Report {
            session: a,
            number: n,
            echo: m,
            held: o,
            first: p,
            shift: i % 5,
            update_ack: n ^ m,
            buffer: o ^ p,
            token: c,
            arrivals,
        };
        let mut all = self.joining();
        all.extend(self.talking());
        all.extend([
            Message::Hello { highest: i, lowest: j, nonce: a },
            Message::Challenge { nonce: a, cookie, server_nonce: b, publish_key: None },
            Message::Bye { session: a, code: x, sentence: &self.text },
            Message::PathCheck { token: self.token },
            Message::PathReply { session: a, token: self.token },
            Message::Update { number: n, tlvs },
            Message::Parity(parity),
            Message::Probe { size: x.clamp(18, 65_488) },
            Message::Report(report),
            Message::Nack { session: a, names: vec![missing; usize::from(l) % 65] },
            Message::Want { session: a, number: n, tlvs },
            Message::List(List { nonce: a, cookie, first: x }),
            Message::Listing(Listing { nonce: a, total: x, first: y, tlvs }),
            Message::Get { session: a, range },
            Message::Gone { session: a, range },
        ]);
        all
    }

    /// What is said of talk.
    fn talking(&self) -> [Message<'_>; 4] {
        let ((a, b, _), (n, ..), (i, ..)) = (self.ids, self.numbers, self.bytes);
        [
            Message::Say(Say {
                session: a,
                id: b,
                author: n,
                name: shorten(&self.text, 64),
                text: shorten(&self.text, 500),
            }),
            Message::Talk { session: a, range: LineRange { stream: b, first: n / 4, next: n / 2 } },
            Message::Heard { session: a, stream: b, next: n },
            Message::Unsaid(Unsaid { session: a, id: b, code: UnsaidCode(i), sentence: &self.text }),
        ]
    }

    /// Join and its answers.
    fn joining(&self) -> Vec<Message<'_>> {
        let (a, b, c) = self.ids;
        let (n, ..) = self.numbers;
        let (x, y, z) = self.words;
        let (i, j, ..) = self.bytes;
        let cookie = self.cookie;
        let tlvs = Tlvs::parse(&self.tlvs).expect("sound extensions");
        let role = [Role::Watch, Role::Relay, Role::Publish][usize::from(i % 3)];
        let join = Join { nonce: a, cookie, role, fec: j, max_datagram: x, tlvs };
        let accept = Accept {
            nonce: a,
            session: b,
            clock: c,
            report_interval_ms: x,
            silence_limit_ms: y,
            sound_port: z,
            token: c ^ b,
            tlvs,
        };
        let refuse = Refuse {
            nonce: a,
            highest: i,
            lowest: j,
            code: RefuseCode(x),
            retry_after_ms: n,
            sentence: &self.text,
            tlvs,
        };
        vec![Message::Join(join), Message::Accept(accept), Message::Refuse(refuse)]
    }

    pub fn header(&self) -> ObjectHeader {
        let (x, y, z) = self.words;
        let (i, j, k, l) = self.bytes;
        ObjectHeader {
            kind: Type(i),
            flags: x,
            stream: self.ids.0,
            rendition: j,
            cut: k,
            tables: l,
            format: i,
            unit: Unit(self.numbers.0),
            part: y.min(z.saturating_sub(1)),
            parts: z,
            media_time: MediaTime::from_micros(self.ids.1.cast_signed()),
            size: Size::new(x, y),
            x8: y,
            y8: z,
        }
    }
}

/// Hop header and message.
pub fn datagram(message: &Message<'_>) -> Vec<u8> {
    let hop = Hop { kind: message.kind(), tag: 0x0102_0304, sequence: 7, sent_at: 99 };
    let mut out = hop.to_bytes().to_vec();
    message.emit(&mut out);
    out
}

pub fn object(header: &ObjectHeader, body: &[u8]) -> Vec<u8> {
    let mut out = Hop { kind: Kind::OBJECT, tag: 1, sequence: 2, sent_at: 3 }.to_bytes().to_vec();
    header.emit(&mut out, |out| out.extend_from_slice(body));
    out
}
