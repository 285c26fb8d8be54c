//! Many watchers at once, by the code of `examples/crowd`: everybody gets every picture, bit for bit; and that code
//! notices whatever is wrong.

use std::time::Duration;

use anyhow::{anyhow, ensure};
use udpstream::units::{MediaTime, Size, Unit};
use udpstream::wire::message::{Accept, Message};
use udpstream::wire::object::{ObjectHeader, Type, flags};
use udpstream::wire::tlv::Tlvs;
use udpstream::wire::{Hop, Kind};

use crate::machine::measured;
use crate::program::Server;
use ledger::{Ledger, Origin};

#[path = "../../examples/crowd/ledger.rs"]
mod ledger;
#[path = "../../examples/crowd/run.rs"]
mod run;
#[path = "../../examples/crowd/verdict.rs"]
mod verdict;
#[path = "../../examples/crowd/watcher.rs"]
mod watcher;
#[path = "../../examples/crowd/way.rs"]
mod way;

fn options(server: String, watchers: usize, (datagram, tcp): (u16, bool)) -> run::Options {
    run::Options { server, watchers, duration: Duration::from_secs(2), joins: 200, datagram, tcp }
}

/// A picture rate that a slow machine keeps up with too: how many watchers a server bears is for scripts/bench.
#[test]
fn fifty_watchers_get_every_picture() {
    let server = Server::start(&["test:160x96@15"]);
    for (datagram, tcp) in [(0, false), (1_200, false), (0, true)] {
        measured(|| {
            let ran = run::run(&options(server.address(), 50, (datagram, tcp)));
            let figures = ran.map_err(|why| anyhow!("{why}"))?;
            // Whatever the machine does, no byte is wrong.
            let damage = [figures.crc_errors, figures.different, figures.unsound, figures.malformed];
            assert_eq!(damage, [0; 4], "{}", figures.json());
            ensure!(figures.wrong().is_none() && figures.skipped == 0, "{:?} {}", figures.wrong(), figures.json());
            // A watcher that is behind asks again for what waits in its socket: that comes twice.
            ensure!(figures.repeated * 20 <= figures.datagrams, "{}", figures.json());
            assert_eq!((figures.joined, figures.complete), (50, figures.expected), "{}", figures.json());
            // Two seconds of 15; those that begin before and end after may count or not.
            ensure!((28..=32).contains(&figures.units), "{}", figures.json());
            Ok(())
        });
    }
}

#[test]
fn nobody_there_is_said_in_a_sentence() {
    let nowhere = run::run(&run::Options { watchers: 1, ..options("nowhere".to_owned(), 1, (0, false)) });
    assert!(nowhere.unwrap_err().to_string().contains("HOST:PORT"));
}

const TAG: u64 = 0x1_0000_0007;

fn accept() -> Vec<u8> {
    let (nonce, clock, tlvs) = (1, 0, Tlvs::default());
    let (report_interval_ms, silence_limit_ms, sound_port) = (50, 3_000, 0);
    let accept =
        Accept { nonce, session: TAG, clock, report_interval_ms, silence_limit_ms, sound_port, token: 0, tlvs };
    let mut bytes = Hop::unsequenced(Kind::ACCEPT, TAG as u32, 0).to_bytes().to_vec();
    Message::Accept(accept).emit(&mut bytes);
    bytes
}

/// A part of a picture of two parts, each a grey slice of 16 × 16.
fn part(sequence: u32, unit: u32, part: u16, last_byte: u8) -> Vec<u8> {
    let header = ObjectHeader {
        kind: Type::PICTURE,
        flags: if part == 1 { flags::LAST } else { 0 },
        stream: 5,
        rendition: 0,
        cut: 3,
        tables: 80,
        format: 0,
        unit: Unit(unit),
        part,
        parts: 2,
        media_time: MediaTime::ZERO,
        size: Size::new(32, 16),
        x8: 2 * part,
        y8: 0,
    };
    let mut bytes = Hop { kind: Kind::OBJECT, tag: TAG as u32, sequence, sent_at: 0 }.to_bytes().to_vec();
    header.emit(&mut bytes, |out| {
        out.extend_from_slice(&[0xff, 0xd8]);
        out.extend_from_slice(&[0xff, 0xc0, 0, 17, 8, 0, 16, 0, 16, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]);
        out.extend_from_slice(&[0xff, 0xda, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]);
        out.extend_from_slice(&[0x28, 0xa2, 0x8a, last_byte, 0xff, 0xd9]);
    });
    bytes
}

/// What a ledger makes of these datagrams, after the Accept.
fn ledger_of(datagrams: &[Vec<u8>]) -> (Ledger, Origin) {
    let (mut ledger, mut origin) = (Ledger::default(), Origin::default());
    ledger.datagram(&accept(), &mut origin);
    datagrams.iter().for_each(|bytes| ledger.datagram(bytes, &mut origin));
    (ledger, origin)
}

/// Complete pictures, then: lost, out of order, duplicates, repeated parts, checksum errors, other bytes, unsound.
fn verdict(datagrams: &[Vec<u8>]) -> (usize, [u64; 7]) {
    let (ledger, origin) = ledger_of(datagrams);
    let Ledger { out_of_order, duplicates, repeated, crc_errors, .. } = ledger;
    let wrong = [ledger.gaps(), out_of_order, duplicates, repeated, crc_errors, origin.different, origin.unsound];
    (ledger.complete.len(), wrong)
}

#[test]
fn the_ledger_notices_whatever_is_wrong() {
    let sound = [part(0, 7, 0, 0), part(1, 7, 1, 0), part(2, 8, 0, 0), part(3, 8, 1, 0)];
    assert_eq!(verdict(&sound), (2, [0; 7]));
    let [a, b, c, d] = sound.clone();
    assert_eq!(verdict(&[a.clone(), c.clone(), d.clone()]), (1, [1, 0, 0, 0, 0, 0, 0]), "one is missing");
    assert_eq!(verdict(&[b.clone(), a.clone()]), (1, [0, 1, 0, 0, 0, 0, 0]), "one overtook the other");
    assert_eq!(verdict(&[a.clone(), a.clone(), b.clone()]).1, [0, 0, 1, 0, 0, 0, 0], "one came twice");
    let again = [a.clone(), part(1, 7, 0, 0), part(2, 7, 1, 0)];
    assert_eq!(verdict(&again), (1, [0, 0, 0, 1, 0, 0, 0]), "a part was repaired in vain");
    let mut damaged = b.clone();
    damaged[70] ^= 4;
    assert_eq!(verdict(&[a.clone(), damaged, c, d]), (1, [1, 0, 0, 0, 1, 0, 0]), "a bit fell over");
    let renamed = [a.clone(), b, part(2, 7, 0, 8)];
    assert_eq!(verdict(&renamed).1[5], 1, "one name, two byte strings");
    let mut other = part(0, 7, 0, 0);
    other.truncate(60);
    assert_eq!(ledger_of(&[other]).0.malformed, 1, "cut off");
}
