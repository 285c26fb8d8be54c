//! One datagram for each thing that the page shows: from the exchange where somebody sends it, else made by the
//! library's own writers.

use std::time::Duration;

use udpstream::media::sound::CodedSound;
use udpstream::units::{Bitrate, MediaTime, Rate, Size, Unit};
use udpstream::wire::description::Smaller;
use udpstream::wire::message::{
    AdaptationReason, ClockEcho, Entry, InForce, LineRange, List, Listing, Message, NackName, NameRange, Parity,
    RelayHop, Say, Scheme, State, Unsaid, UnsaidCode, WantedPictures, put_hops,
};
use udpstream::wire::object::{ObjectHeader, Type, flags};
use udpstream::wire::report::{Arrival, Ecn};
use udpstream::wire::talk::Line;
use udpstream::wire::tlv::{self, Tlvs, kind};
use udpstream::wire::{Description, Hop, Kind, ObjectView, Report, StreamName};

use crate::exchange::{FIRST, MOVED, Packet, SECOND, SERVER, SOUND, exchange};

/// What one block of the page shows.
pub struct Sample {
    pub name: &'static str,
    pub title: &'static str,
    pub bytes: Vec<u8>,
}

const STREAM: u64 = 0x5ca1_ab1e_0dba_115d;
const SESSION: u64 = 0x0123_4567_89ab_cdef;
const LINE: u64 = 0x1111_2222_3333_4444;

pub fn samples() -> Vec<Sample> {
    let log = exchange();
    let mut samples = sent(&log);
    samples.extend(adapted());
    samples.extend(reserved());
    samples
}

fn kind_of(packet: &Packet) -> Kind {
    Hop::parse(&packet.bytes).unwrap().0.kind
}

fn object(packet: &Packet) -> Option<ObjectView<'_>> {
    (kind_of(packet) == Kind::OBJECT).then(|| ObjectView::parse(&packet.bytes[16..]).unwrap())
}

fn report(packet: &Packet) -> Option<Report> {
    match Message::parse(kind_of(packet), &packet.bytes[16..]) {
        Ok(Message::Report(report)) => Some(report),
        _ => None,
    }
}

/// Whether this is an Update that carries such a TLV.
fn updates(packet: &Packet, tlv: u16) -> bool {
    match Message::parse(kind_of(packet), &packet.bytes[16..]) {
        Ok(Message::Update { tlvs, .. }) => tlvs.find(tlv).is_some(),
        _ => false,
    }
}

fn tells_of_a_loss(report: &Report) -> bool {
    let lost = report.arrivals.iter().position(|cell| !cell.is_received());
    lost.is_some_and(|lost| lost + 1 < report.arrivals.len())
}

/// The first datagram for which each condition holds.
fn sent(log: &[Packet]) -> Vec<Sample> {
    let first = |name: &'static str, title: &'static str, is_it: &dyn Fn(&Packet) -> bool| {
        let packet = log.iter().find(|packet| is_it(packet)).unwrap_or_else(|| panic!("nobody sent {name}"));
        Sample { name, title, bytes: packet.bytes.clone() }
    };
    let of = |name, title, wanted| first(name, title, &|packet| kind_of(packet) == wanted);
    let picture = |packet: &Packet, part| {
        object(packet).is_some_and(|object| object.header.kind == Type::PICTURE && object.header.part == part)
    };
    vec![
        of("Hello", "**Hello**", Kind::HELLO),
        of("Challenge", "**Challenge**", Kind::CHALLENGE),
        of("Join", "**Join** on the picture port, which says that one on the sound port will follow", Kind::JOIN),
        first("SoundJoin", "**Join** on the sound port", &|packet| kind_of(packet) == Kind::JOIN && packet.to == SOUND),
        of("Accept", "**Accept**", Kind::ACCEPT),
        first("Description", "**Object: the Description**", &|packet| {
            object(packet).is_some_and(|object| object.header.kind == Type::DESCRIPTION)
        }),
        of("Refuse", "**Refuse**, of a Hello that spoke versions 2 to 3", Kind::REFUSE),
        first("Probe", "**Probe** for Ethernet", &|packet| {
            kind_of(packet) == Kind::PROBE && packet.bytes.len() == 1_452
        }),
        first("Report", "**Report** with a loss", &|packet| {
            report(packet).is_some_and(|report| tells_of_a_loss(&report))
        }),
        first("Update", "**Update** with the timeline", &|packet| updates(packet, kind::TIMELINE)),
        first("Clock", "**Update** with clock and report interval", &|packet| updates(packet, kind::CLOCK)),
        first("Whole", "**Object: a whole picture**", &|packet| packet.to == FIRST && picture(packet, 0)),
        first("Slice", "**Object: a slice**, the second of its picture", &|packet| {
            packet.to == SECOND && picture(packet, 1)
        }),
        first("Sound", "**Object: a chunk of sound**, the second", &|packet| {
            object(packet).is_some_and(|object| object.header.kind == Type::SOUND && object.header.unit == Unit(1))
        }),
        of("PathCheck", "**PathCheck**", Kind::PATH_CHECK),
        of("Want", "**Want** of mono on the picture port", Kind::WANT),
        first("Ended", "**Object: the Description** of the ended stream", &|packet| {
            object(packet)
                .is_some_and(|object| object.header.kind == Type::DESCRIPTION && object.header.unit == Unit(1))
        }),
        first("PathReply", "**PathReply**", &|packet| packet.from == MOVED && kind_of(packet) == Kind::PATH_REPLY),
        first("Bye", "**Bye** at the end of the stream", &|packet| {
            packet.from == SERVER && kind_of(packet) == Kind::BYE
        }),
        first("Answer", "**Bye**, the answer", &|packet| packet.to == SERVER && kind_of(packet) == Kind::BYE),
    ]
}

fn made(name: &'static str, title: &'static str, message: &Message<'_>) -> Sample {
    // The names of the library and of the page are the same.
    assert!(format!("{message:?}").starts_with(name), "{message:?} is no {name}");
    Sample { name, title, bytes: bytes(message) }
}

fn bytes(message: &Message<'_>) -> Vec<u8> {
    let kind = message.kind();
    // What is said of talk is said in a session, and in no sequence.
    let in_session = kind.is_sequenced() || (Kind::SAY..=Kind::UNSAID).contains(&kind);
    let tag = if in_session { SESSION as u32 } else { 0 };
    let sequence = if kind.is_sequenced() { 7 } else { 0 };
    let hop = Hop { kind, tag, sequence, sent_at: 60_000_000 };
    let mut bytes = hop.to_bytes().to_vec();
    message.emit(&mut bytes);
    bytes
}

/// What a watcher wants at most, what it is told of what it gets, and a report of marks.
fn adapted() -> Vec<Sample> {
    let (mut limits, mut in_force) = (Vec::new(), Vec::new());
    let (max_rate, max_size) = (Some(Bitrate::bps(20_000_000)), Some(Size::new(640, 360)));
    WantedPictures { max_rate, quality: Some(60), max_size }.put(&mut limits);
    let want = Message::Want { session: SESSION, number: 2, tlvs: Tlvs::trusted(&limits) };
    let (reason, estimate) = (AdaptationReason::Path, Some(Bitrate::bps(2_400_000)));
    InForce { rendition: 1, quality: 44, every: 1, reason, estimate, queue: 83 }.put(&mut in_force);
    let update = Message::Update { number: 0, tlvs: Tlvs::trusted(&in_force) };
    let mut hops = Vec::new();
    put_hops(&mut hops, &[RelayHop { id: STREAM, age: Some(Duration::from_micros(1_730)) }]);
    let relayed = Message::Update { number: 0, tlvs: Tlvs::trusted(&hops) };
    let mut announced = Vec::new();
    ClockEcho { echo: 0, held: 0, clock: 60_000_000 }.put(&mut announced);
    tlv::put(&mut announced, kind::UNICAST, &9_688_u16.to_be_bytes());
    let announced = Message::Update { number: 0, tlvs: Tlvs::trusted(&announced) };
    let mark = |(micros, ecn)| Arrival::received(Duration::from_micros(micros), ecn, 1);
    let report = Message::Report(Report {
        session: SESSION,
        number: 9,
        echo: 59_990_000,
        held: 480,
        first: 70,
        shift: 1,
        update_ack: 3,
        buffer: 0,
        token: 0x20e5_2edd_85d6_e507,
        arrivals: [(140_000, Ecn::Ect0), (480, Ecn::Ce)].map(mark).to_vec(),
    });
    vec![
        Sample { name: "Limits", title: "**Want** of limits", bytes: bytes(&want) },
        Sample { name: "Thinning", title: "**Update** with what is in force", bytes: bytes(&update) },
        Sample { name: "Hops", title: "**Update** from a relay", bytes: bytes(&relayed) },
        Sample { name: "Announced", title: "**Update** to a group", bytes: bytes(&announced) },
        Sample { name: "Marks", title: "**Report** of a mark and of an old arrival", bytes: bytes(&report) },
    ]
}

fn same() -> Sample {
    let header = ObjectHeader {
        kind: Type::PICTURE,
        flags: flags::SAME | flags::LAST,
        stream: STREAM,
        rendition: 0,
        cut: 0,
        tables: 0,
        format: 0,
        unit: Unit(7),
        part: 0,
        parts: 1,
        media_time: MediaTime::from_micros(280_000),
        size: Size::new(64, 48),
        x8: 0,
        y8: 0,
    };
    let hop = Hop { kind: Kind::OBJECT, tag: SESSION as u32, sequence: 12, sent_at: 60_000_000 };
    let mut bytes = hop.to_bytes().to_vec();
    header.emit(&mut bytes, |_| {});
    Sample { name: "Same", title: "**Object: SAME**", bytes }
}

/// libopus makes other bytes on other processors: here they only count.
fn coded() -> Sample {
    let unit = CodedSound { number: 4, frames: 960, packet: (0..240).collect() };
    let hop = Hop { kind: Kind::OBJECT, tag: SESSION as u32, sequence: 12, sent_at: 60_000_000 };
    let bytes = [&hop.to_bytes()[..], unit.object(STREAM).bytes()].concat();
    Sample {
        name: "Coded",
        title: "**Object: a unit of coded sound**, in which bytes that count stand for a packet",
        bytes,
    }
}

/// What somebody has said of the stream.
fn line() -> Sample {
    let (name, text) = ("Ann".to_owned(), "Hello, all.".to_owned());
    let line = Line { unit: Unit(736), media: MediaTime::from_micros(9_000_000), id: LINE, is_maker: true, name, text };
    let hop = Hop { kind: Kind::OBJECT, tag: SESSION as u32, sequence: 7, sent_at: 60_000_000 };
    Sample { name: "Line", title: "**Object: a text**", bytes: [&hop.to_bytes()[..], &line.object(STREAM)].concat() }
}

/// What nobody sends in the exchange, most of it because no server or watcher does yet.
fn reserved() -> Vec<Sample> {
    let (session, kind_, nonce, cookie) = (SESSION, Type::PICTURE, 0xfeed_beef_0bad_cafe, [0x5a; 24]);
    let range = NameRange { stream: STREAM, kind: kind_, rendition: 0, cut: 3, first: Unit(250), last: Unit(275) };
    let missing =
        NackName { stream: STREAM, kind: kind_, rendition: 0, cut: 3, unit: Unit(250), first_part: 4, bitmap: 0b101 };
    let parity = Parity {
        scheme: Scheme::ReedSolomon,
        kind: kind_,
        rendition: 0,
        cut: 3,
        stream: STREAM,
        unit: Unit(250),
        first_part: 0,
        k: 8,
        m: 2,
        index: 0,
        stride: 1,
        symbol: &[0xaa; 20],
    };
    let mut listed = Vec::new();
    let description = Description {
        title: "A film".to_owned(),
        size: Size::new(64, 48),
        smaller: Smaller::halved(1),
        rate: Rate::new(25, 1).unwrap(),
        length: Some(800_000),
        live: false,
        sound: true,
        ended: None,
        sound_ended: None,
        film: None,
    };
    let name = StreamName::parse("lobby").unwrap();
    Entry { name, state: State::Playing, watchers: 2, guarded: true, description }.put(&mut listed);
    let say = Say { session, id: LINE, author: 0, name: "Ann", text: "Hello, all." };
    let unsaid = Unsaid { session, id: LINE, code: UnsaidCode::MUTED, sentence: "Muted." };
    let listing = Listing { nonce, total: 1, first: 0, tlvs: Tlvs::trusted(&listed) };
    vec![
        coded(),
        same(),
        made("Parity", "**Parity**", &Message::Parity(parity)),
        made("Nack", "**Nack**: parts 4 and 6", &Message::Nack { session, names: vec![missing] }),
        made("Say", "**Say**", &Message::Say(say)),
        made(
            "Talk",
            "**Talk**",
            &Message::Talk { session, range: LineRange { stream: STREAM, first: 731, next: 737 } },
        ),
        made("Heard", "**Heard**", &Message::Heard { session, stream: STREAM, next: 736 }),
        made("Unsaid", "**Unsaid**", &Message::Unsaid(unsaid)),
        line(),
        made("List", "**List** of the first page", &Message::List(List { nonce, cookie, first: 0 })),
        made("Listing", "**Listing** of one stream", &Message::Listing(listing)),
        made("Get", "**Get**", &Message::Get { session, range }),
        made("Gone", "**Gone**", &Message::Gone { session, range }),
    ]
}
