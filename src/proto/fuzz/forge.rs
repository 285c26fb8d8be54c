//! Datagrams that strangers, watchers and lying servers may send: well formed, with whatever the script says in them.

use super::script::Script;
use super::world::datagram;
use crate::media::sound::{FRAMES, media_time};
use crate::units::{MediaTime, Size, Unit};
use crate::wire::message::{
    ANY_CUT, COOKIE_LEN, Join, LineRange, List, Message, NackName, Parity, Place, Role, Say, Scheme, SoundWish, Unsaid,
    UnsaidCode,
};
use crate::wire::object::{ObjectHeader, Type, flags};
use crate::wire::report::{Arrival, MAX_SHIFT, Report};
use crate::wire::talk::MAX_LINE;
use crate::wire::tlv::{self, Tlvs, kind};
use crate::wire::{Hop, Kind, SizeClass};

pub fn hello(script: &mut Script<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    let versions = script.u8();
    Message::Hello { highest: versions >> 4, lowest: versions & 15, nonce: u64::from(script.u8()) }.emit(&mut body);
    datagram(Kind::HELLO, 0, &body)
}

pub fn join(script: &mut Script<'_>) -> Vec<u8> {
    let mut cookie = [0; COOKIE_LEN];
    cookie.iter_mut().zip(script.bytes()).for_each(|(cookie, byte)| *cookie = *byte);
    let role = if script.u8().is_multiple_of(4) { Role::Relay } else { Role::Watch };
    let (nonce, max_datagram) = (u64::from(script.u8()), script.u16());
    let mut body = Vec::new();
    Message::Join(Join { nonce, cookie, role, fec: 0, max_datagram, tlvs: Tlvs::default() }).emit(&mut body);
    datagram(Kind::JOIN, 0, &body)
}

/// A report in the name of a session.
pub fn report(session: u64, script: &mut Script<'_>) -> Vec<u8> {
    let report = Report {
        session,
        number: script.u32(),
        echo: 60_000_000_u32.wrapping_add(script.u32()),
        held: u32::from(script.u16()),
        first: u32::from(script.u8()),
        shift: script.u8() % (MAX_SHIFT + 1),
        update_ack: u32::from(script.u8()),
        buffer: 0,
        token: script.u64(),
        arrivals: script.bytes().iter().map(|byte| Arrival(u16::from(*byte) << 8)).collect(),
    };
    let mut body = Vec::new();
    Message::Report(report).emit(&mut body);
    datagram(Kind::REPORT, session as u32, &body)
}

/// An object with a right checksum and any header, a little ahead of what the server has sent.
pub fn object(tag: u32, hop: u32, script: &mut Script<'_>) -> Vec<u8> {
    let (ahead, near) = (script.u8(), script.u8());
    let header = ObjectHeader {
        kind: Type(script.u8() % 6),
        flags: script.u16(),
        stream: if near & 1 == 0 { stream_of(script) } else { script.u64() },
        rendition: 0,
        cut: script.u8(),
        tables: script.u8(),
        format: script.u8() % 4,
        unit: Unit(if near & 2 == 0 { u32::from(script.u8()) } else { script.u32() }),
        part: if near & 4 == 0 { u16::from(script.u8()) } else { script.u16() },
        parts: if near & 4 == 0 { u16::from(script.u8()) } else { script.u16() },
        media_time: MediaTime::from_micros(if near & 8 == 0 { 0 } else { script.u64().cast_signed() }),
        size: Size::new(320, script.u16()),
        x8: script.u16(),
        y8: script.u16(),
    };
    let sequence = hop.wrapping_add(u32::from(ahead));
    let mut bytes = Hop { kind: Kind::OBJECT, tag, sequence, sent_at: 0 }.to_bytes().to_vec();
    header.emit(&mut bytes, |out| out.extend_from_slice(script.bytes()));
    bytes
}

/// The stream of one of the first servers.
fn stream_of(script: &mut Script<'_>) -> u64 {
    crate::seal::Random::new(&[1 + script.u8() % 3; 32]).id()
}

/// The Join that follows a Challenge: it says that it belongs to this session, and wants sound somewhere.
pub fn true_join((nonce, cookie): (u64, [u8; COOKIE_LEN]), with: u64, script: &mut Script<'_>) -> Vec<u8> {
    let (mut wish, mut tlvs) = (Vec::new(), Vec::new());
    sound_wish(script).put(&mut wish);
    pause_wish(script, &mut wish);
    tlv::put(&mut tlvs, kind::WITH_SESSION, &with.to_be_bytes());
    tlv::put(&mut tlvs, kind::WANT, &wish);
    let names: [&[u8]; 6] = [b"film", b"desk", b"room/2", b"more-3", b"dekz", b"\xff/"];
    if let Some(name) = names.get(script.choice(8)) {
        tlv::put(&mut tlvs, kind::STREAM, name);
    }
    let (role, max_datagram, tlvs) = (Role::Watch, script.u16(), Tlvs::trusted(&tlvs));
    let mut body = Vec::new();
    Message::Join(Join { nonce, cookie, role, fec: 0, max_datagram, tlvs }).emit(&mut body);
    datagram(Kind::JOIN, 0, &body)
}

fn sound_wish(script: &mut Script<'_>) -> SoundWish {
    let place = [Place::Off, Place::Here, Place::SoundPort][script.choice(3)];
    SoundWish { place, rendition: script.u8() % 4, coarsest: script.u8() % 4 }
}

fn pause_wish(script: &mut Script<'_>, out: &mut Vec<u8>) {
    if let Some(wish) = [kind::PAUSE, kind::RESUME].get(script.choice(3)) {
        tlv::put(out, *wish, &[]);
    }
}

/// The question which streams there are.
pub fn list((nonce, cookie): (u64, [u8; COOKIE_LEN]), script: &mut Script<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    Message::List(List { nonce, cookie, first: u16::from(script.u8() % 8) }).emit(&mut body);
    datagram(Kind::LIST, 0, &body)
}

/// A wish in the name of a session.
pub fn want(session: u64, script: &mut Script<'_>) -> Vec<u8> {
    let (number, mut tlvs, mut body) = (u32::from(script.u8()), Vec::new(), Vec::new());
    sound_wish(script).put(&mut tlvs);
    pause_wish(script, &mut tlvs);
    Message::Want { session, number, tlvs: Tlvs::trusted(&tlvs) }.emit(&mut body);
    datagram(Kind::WANT, session as u32, &body)
}

/// A chunk of sound that nearly can be.
pub fn chunk(tag: u32, hop: u32, script: &mut Script<'_>) -> Vec<u8> {
    let (frames, channels) = (1 + u16::from(script.u8()), 1 + u16::from(script.u8() % 3));
    let far = script.u8();
    let (stream, rendition) = (stream_of(script), if far & 1 == 0 { channels as u8 % 2 } else { script.u8() });
    let format = if far & 2 == 0 { 0 } else { script.u8() };
    let number = if far & 4 == 0 { u32::from(script.u8()) } else { script.u32() };
    let true_time = media_time(u64::from(number) * FRAMES as u64);
    let header = ObjectHeader {
        kind: Type::SOUND,
        flags: flags::LAST,
        stream,
        rendition,
        cut: SizeClass::ANY.cut(0, false),
        tables: 0,
        format,
        unit: Unit(number),
        part: 0,
        parts: 1,
        media_time: if far & 8 == 0 { true_time } else { MediaTime::from_micros(script.u64().cast_signed()) },
        size: Size::new(frames.min(FRAMES as u16), channels),
        x8: 0,
        y8: 0,
    };
    let sequence = hop.wrapping_add(u32::from(script.u8()));
    let mut bytes = Hop { kind: Kind::OBJECT, tag, sequence, sent_at: 0 }.to_bytes().to_vec();
    header.emit(&mut bytes, |out| out.resize(out.len() + 2 * usize::from(header.size.width * channels), 7));
    bytes
}

/// What a session lacks, as somebody says in its name: perhaps something that it was sent.
pub fn nack(session: u64, script: &mut Script<'_>) -> Vec<u8> {
    let name = |script: &mut Script<'_>| {
        let (stream, cut) = (stream_of(script), script.u8());
        let kind = if script.u8() < 160 { Type::PICTURE } else { Type::SOUND };
        let cut = [ANY_CUT, SizeClass::ANY.cut(0, false), cut][script.choice(3)];
        let (unit, first_part) = (Unit(script.u8().into()), u16::from(script.u8() % 16));
        NackName { stream, kind, rendition: script.u8() % 4, cut, unit, first_part, bitmap: script.u64() }
    };
    let names = (0..script.choice(8)).map(|_| name(script)).collect();
    let mut body = Vec::new();
    Message::Nack { session, names }.emit(&mut body);
    datagram(Kind::NACK, session as u32, &body)
}

/// What may be said of talk in a session, by either end.
pub fn talk(session: u64, script: &mut Script<'_>) -> Vec<u8> {
    let (id, few) = (u64::from(script.u8()), u32::from(script.u8()));
    let (stream, number) = if id % 2 == 0 { (stream_of(script), few) } else { (script.u64() % 2, script.u32()) };
    let text = String::from_utf8_lossy(script.bytes()).into_owned();
    let text = tlv::shorten(&text, MAX_LINE);
    let message = match script.choice(4) {
        0 => Message::Say(Say { session, id, author: few, name: tlv::shorten(text, 9), text }),
        1 => Message::Talk { session, range: LineRange { stream, first: number / 4, next: number / 4 + few } },
        2 => Message::Heard { session, stream, next: number },
        _ => Message::Unsaid(Unsaid { session, id, code: UnsaidCode(few as u8), sentence: text }),
    };
    let mut body = Vec::new();
    message.emit(&mut body);
    datagram(message.kind(), session as u32, &body)
}

/// A repair symbol that is sound as such, and protects nothing that was sent.
pub fn parity(tag: u32, hop: u32, script: &mut Script<'_>) -> Vec<u8> {
    let scheme = if script.u8() < 128 { Scheme::ReedSolomon } else { Scheme::Xor };
    let kind = if script.u8() < 160 { Type::PICTURE } else { Type::SOUND };
    let (k, m) = (script.u8().max(1), if scheme == Scheme::Xor { 1 } else { script.u8().max(1) });
    let symbol = vec![script.u8(); 2 + usize::from(script.u16() % 1_400) / 2 * 2];
    let parity = Parity {
        scheme,
        kind,
        rendition: script.u8() % 4,
        cut: SizeClass::ANY.cut(0, script.u8() < 128),
        stream: stream_of(script),
        unit: Unit(script.u8().into()),
        first_part: u16::from(script.u8() % 16),
        k,
        m,
        index: script.u8() % m,
        stride: script.u8().max(1),
        symbol: &symbol,
    };
    let mut bytes = Hop { kind: Kind::PARITY, tag, sequence: hop, sent_at: 0 }.to_bytes().to_vec();
    Message::Parity(parity).emit(&mut bytes);
    bytes
}
