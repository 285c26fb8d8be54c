//! The Wireshark dissector in `assets/`, by `tshark`: what it sees in the exchange is what the library sent.
#![expect(clippy::disallowed_methods, reason = "tshark is a program")]

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use udpstream::wire::object::Type;
use udpstream::wire::{Hop, Kind, ObjectView};

use crate::exchange::{FIRST, Packet, SERVER, exchange};
use crate::page::Page;
use crate::samples::samples;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/udpstream.lua");
/// Packets begin with an IP header, in the file that tshark reads.
const LINKTYPE_RAW: u32 = 101;

/// A capture file of these datagrams.
fn capture(packets: &[Packet]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0002_0004, 0, 0, 0x0004_0000, LINKTYPE_RAW] {
        file.extend_from_slice(&u32::to_be_bytes(word));
    }
    for packet in packets {
        let micros = packet.at.micros();
        let length = packet.bytes.len() + 28;
        for word in [micros / 1_000_000, micros % 1_000_000, length as u64, length as u64] {
            file.extend_from_slice(&(word as u32).to_be_bytes());
        }
        file.extend_from_slice(&[0x45, 0]);
        file.extend_from_slice(&(length as u16).to_be_bytes());
        file.extend_from_slice(&[0, 0, 0x40, 0, 64, 17, 0, 0]);
        file.extend_from_slice(&host(packet.from));
        file.extend_from_slice(&host(packet.to));
        for word in [packet.from.port(), packet.to.port(), length as u16 - 20, 0] {
            file.extend_from_slice(&word.to_be_bytes());
        }
        file.extend_from_slice(&packet.bytes);
    }
    file
}

fn host(address: SocketAddr) -> [u8; 4] {
    match address.ip() {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(_) => panic!("the exchange is over IPv4"),
    }
}

/// What tshark prints of these datagrams.
fn tshark(packets: &[Packet], arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exchange.pcap");
    std::fs::write(&file, capture(packets)).unwrap();
    // Settings of whoever runs this test do not count.
    let mut command = Command::new("tshark");
    command.env("HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path());
    command.args(["-n", "-X", &format!("lua_script:{SCRIPT}"), "-r"]).arg(&file).args(arguments);
    let output = command.output().expect("tshark is there: scripts/test installs it");
    let (said, text) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success() && !said.contains("Lua"), "{said}");
    assert!(!text.contains("Lua Error") && !text.contains("Malformed"), "{text}");
    text.into_owned()
}

/// One line a datagram, these fields with a semicolon between them.
fn fields(packets: &[Packet], names: &[&str]) -> Vec<Vec<String>> {
    let names = names.iter().flat_map(|name| ["-e", name]);
    let arguments: Vec<&str> = ["-T", "fields", "-E", "separator=;"].into_iter().chain(names).collect();
    let text = tshark(packets, &arguments);
    text.lines().map(|line| line.split(';').map(str::to_owned).collect()).collect()
}

fn on_the_way(bytes: Vec<u8>) -> Packet {
    Packet { at: udpstream::units::Time::from_millis(1), from: SERVER, to: FIRST, bytes }
}

#[test]
fn the_dissector_sees_what_was_sent() {
    let log = exchange();
    let names =
        ["kind", "tag", "sequence", "sent_at", "unit", "part", "crc_ok"].map(|name| format!("udpstream.{name}"));
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.push("_ws.expert.message");
    let seen = fields(&log, &names);
    assert_eq!(seen.len(), log.len());
    let (mut pictures, mut chunks) = (0, 0);
    for (packet, seen) in log.iter().zip(&seen) {
        let (hop, body) = Hop::parse(&packet.bytes).unwrap();
        let number = |at: usize| u32::from_str_radix(seen[at].trim_start_matches("0x"), 16).unwrap();
        assert_eq!((number(0), number(1)), (u32::from(hop.kind.0), hop.tag));
        assert_eq!(seen[7], "", "a complaint about kind {}", seen[0]);
        assert_eq!((&seen[2], &seen[3]), (&hop.sequence.to_string(), &hop.sent_at.to_string()));
        if hop.kind == Kind::OBJECT {
            let header = ObjectView::parse(body).unwrap().header;
            assert_eq!(seen[4..6], [header.unit.0.to_string(), header.part.to_string()]);
            assert!(["1", "True"].contains(&seen[6].as_str()), "{seen:?}");
            pictures += u32::from(header.kind == Type::PICTURE);
            chunks += u32::from(header.kind == Type::SOUND);
        }
    }
    assert!(pictures > 20 && chunks > 100, "{pictures} picture objects, {chunks} chunks of sound");
}

#[test]
fn every_kind_is_dissected_without_a_complaint() {
    let page = Page::read();
    let all: Vec<Packet> = samples().into_iter().map(|sample| on_the_way(sample.bytes)).collect();
    let text = tshark(&all, &["-V"]);
    assert!(!text.contains("[Expert Info"), "{text}");
    for (number, name) in page.kinds() {
        assert!(text.contains(&format!("Kind: {name} (0x{number:02x})")), "{name} in {text}");
    }
    for part in [
        "PCM, chunk 1: 256 frames, 2 channels",
        "Samples: 16 bits, little-endian (0)",
        "Opus, unit 4: 960 frames, 2 channels",
        "Samples: Opus (1)",
        "Coarsest rendition: 2",
        "TLV 19: WITH_SESSION",
        "TLV 35: SOUND",
        "Place: on the sound port (2)",
        "Place: here (1)",
        "sound ended after",
        "TLV 1: TIMELINE",
        "TLV 5: CLOCK",
        "title",
        "JPEG, 1767 bytes",
        "SOF0, 19 bytes: 64 × 16",
        "lost",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

#[test]
fn damage_is_told() {
    let whole = samples();
    let bytes = |name: &str| whole.iter().find(|sample| sample.name == name).unwrap().bytes.clone();
    let mut damaged = bytes("Slice");
    damaged[100] ^= 1;
    let mut short = bytes("Accept");
    short.truncate(40);
    let mut probe = bytes("Probe");
    probe.pop();
    // One frame more than there is.
    let mut sound = bytes("Sound");
    sound[16 + 32] += 1;
    for (bytes, expected) in [
        (damaged, "CRC-32 does not match"),
        (short, "The datagram ends early"),
        (probe, "The size is not that of the datagram"),
        (sound, "Frames and channels do not fit the body"),
    ] {
        let text = tshark(&[on_the_way(bytes)], &["-V"]);
        assert!(text.contains("[Expert Info") && text.contains(expected), "{expected:?} in {text}");
    }
}

/// Of datagrams on another port, by their magic.
#[test]
fn another_port_is_recognised() {
    assert!(Path::new(SCRIPT).exists());
    let mut packet = on_the_way(samples().swap_remove(0).bytes);
    (packet.from, packet.to) = (FIRST, SocketAddr::new(SERVER.ip(), 9_700));
    assert_eq!(fields(&[packet], &["udpstream.kind"]), [["0x01"]]);
}

#[test]
fn what_is_sent_to_a_group_is_seen_as_well() {
    let ended = samples().into_iter().find(|sample| sample.name == "Ended").unwrap();
    let mut bytes = ended.bytes;
    // No session has it, and no port of a server is near.
    bytes[4..8].fill(0);
    let at = udpstream::units::Time::from_millis(1);
    let (from, to) = ("10.0.0.1:40000".parse().unwrap(), "239.255.1.2:4444".parse().unwrap());
    let seen = fields(&[Packet { at, from, to, bytes }], &["udpstream.tag", "udpstream.type", "udpstream.body_length"]);
    assert_eq!(seen, [["0x00000000", &Type::DESCRIPTION.0.to_string(), "66"]]);
}
