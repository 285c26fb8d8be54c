//! The bodies of the machines' fuzz targets, compiled with the crate so that they cannot rot. The fuzzer's bytes are a
//! script: what is delivered, lost, damaged, repeated, made up, and how time goes by. Whatever it says, memory is
//! bounded, nobody spins or panics, nothing is amplified, every slice handed out has the origin's bytes, and the
//! counters add up.

mod balance;
mod broadcast;
mod connections;
mod film;
mod forge;
mod group;
mod relay;
mod script;
mod seen;
mod sources;
mod world;

use std::time::Duration;

pub use broadcast::fuzz_publish;
pub use connections::fuzz_connections;
pub use group::fuzz_group;
pub use relay::fuzz_relay;

use super::{Port, SendFailure, receiver, server};
use crate::media::sound::Rendition;
use crate::units::{Bitrate, MediaTime, Size};
use crate::wire::Kind;
use crate::wire::message::WantedPictures;
use script::Script;
use world::{World, datagram, outside};

/// Steps of one script, so that a long one is no slow one.
const STEPS: usize = 120;

/// A server among honest watchers and strangers.
#[doc(hidden)]
pub fn fuzz_server(data: &[u8]) {
    play(data, |world, script| match script.choice(8) {
        0 => world.send_server(outside(script.u8() % 8, script.u16() % 3), forge::hello(script)),
        1 => world
            .send_server(outside(script.u8() % 8, 40_000), datagram(Kind(script.u8()), script.u32(), script.bytes())),
        2 => world.send_server(outside(script.u8() % 3, 40_000), forge::report(world.session, script)),
        3 => world.send_server(outside(script.u8() % 8, script.u16() % 3), forge::join(script)),
        4 => {
            let from = outside(script.u8() % 8, script.u16() % 3);
            world.replay(script.choice(64), |_| {}, Some(from));
        }
        5 => world.send_server(outside(script.u8() % 8, 40_000), script.bytes().to_vec()),
        6 => world.fail_next(if script.u8().is_multiple_of(2) {
            SendFailure::TooLarge
        } else {
            SendFailure::Unreachable
        }),
        _ => ask(world, script),
    });
}

/// What is asked of the server on both ports, and what it is told.
fn ask(world: &mut World, script: &mut Script<'_>) {
    match script.choice(14) {
        0 => {
            let end = MediaTime::from_micros(i64::from(script.u16()) * 10_000);
            world.feed_server(0, server::Feed::Ended((end > MediaTime::ZERO).then_some(end)));
        }
        1 => world.tell_server(server::Local::Stop("Stopped.".to_owned())),
        2 => world.feed_server(0, server::Feed::Failed("Failed.".to_owned())),
        3 => world.feed_server(0, server::Feed::SoundEnded),
        4 => {
            let (host, port, session) =
                (script.u8() % 3, port(script), if script.u8() < 128 { world.session } else { world.second.0 });
            world.send_to(port, outside(host, 40_000 + port.0), forge::want(session, script));
        }
        5 => world.knock(outside(script.u8() % 8, script.u16() % 3), port(script), script),
        8 => world.list(outside(script.u8() % 8, script.u16() % 3), port(script), script),
        6 => {
            let (host, port) = (script.u8() % 3, port(script));
            let session = if script.u8() < 128 { world.session } else { world.second.0 };
            world.send_to(port, outside(host, 40_000 + port.0), forge::nack(session, script));
        }
        12 => {
            let host = script.u8() % 3;
            world.send_server(outside(host, 40_000), forge::talk(world.session, script));
        }
        13 => wish(world, script),
        9 => world.describe(),
        10 => world.open(),
        11 => {
            let feed = match script.choice(4) {
                0 => server::Feed::Failed("Failed.".to_owned()),
                1 => server::Feed::Stop("Stopped.".to_owned()),
                2 => server::Feed::Ended(None),
                _ => server::Feed::SoundEnded,
            };
            world.feed_server(script.choice(8), feed);
        }
        _ => world.stop_watcher(script.choice(2)),
    }
}

fn port(script: &mut Script<'_>) -> Port {
    if script.u8().is_multiple_of(2) { Port::SOUND } else { Port::PICTURES }
}

/// Watchers of a server that is honest, until the script lets it lie.
#[doc(hidden)]
pub fn fuzz_receiver(data: &[u8]) {
    play(data, |world, script| match script.choice(7) {
        0 => world.send_watcher(script.choice(2), datagram(Kind(script.u8()), world.session as u32, script.bytes())),
        1 => world.send_watcher(script.choice(2), script.bytes().to_vec()),
        2 => {
            world.betray();
            let forged = if script.u8() < 192 { forge::object } else { forge::parity };
            let bytes = forged(world.session as u32, world.hop, script);
            world.send_watcher(0, bytes);
        }
        3 => world.restart_server(),
        4 => match script.choice(4) {
            0 => world.feed_server(0, server::Feed::Ended(None)),
            1 => world.tell_server(server::Local::Stop("Stopped.".to_owned())),
            _ => world.stop_watcher(script.choice(2)),
        },
        _ => match script.u8() {
            n @ 0..128 => world.skip(n % 8),
            n => mislead(world, n % 9, script),
        },
    });
}

/// What a server, and the loudspeaker, may do to the sound.
fn mislead(world: &mut World, how: u8, script: &mut Script<'_>) {
    let (second, hop) = world.second;
    match how {
        0 => {
            world.betray();
            let bytes = forge::chunk(second as u32, hop, script);
            world.send_ears(bytes);
        }
        1 => {
            world.betray();
            let bytes = forge::chunk(world.session as u32, world.hop, script);
            world.send_watcher(script.choice(2), bytes);
        }
        2 => world.send_ears(datagram(Kind(script.u8()), second as u32, script.bytes())),
        3 => world.feed_server(0, server::Feed::SoundEnded),
        4 => world.restart_mute(),
        5 => {
            world.betray();
            let bytes = forge::object(second as u32, hop, script);
            world.send_ears(bytes);
        }
        6 => wish(world, script),
        8 => {
            world.betray();
            let bytes = forge::talk(world.session, script);
            world.send_watcher(script.choice(2), bytes);
        }
        _ => {
            let needs = Some(Duration::from_millis(u64::from(script.u8()))).filter(|needs| !needs.is_zero());
            world.tell_watcher(script.choice(2), receiver::Local::Loudspeaker(needs));
        }
    }
}

/// What a viewer may wish at any time.
fn wish(world: &mut World, script: &mut Script<'_>) {
    let n = script.choice(2);
    let local = match script.choice(8) {
        0 => receiver::Local::Switch(None),
        7 => receiver::Local::Say(String::from_utf8_lossy(script.bytes()).into_owned()),
        1 => receiver::Local::Switch(world::name(script.u8())),
        2 => receiver::Local::Pause(script.u8().is_multiple_of(2)),
        3 => receiver::Local::List,
        4 => receiver::Local::Sound(None),
        5 => receiver::Local::Limits(limits(script)),
        _ => receiver::Local::Sound(Rendition::of(script.u8() / 64).or(Some(Rendition::Coded))),
    };
    world.tell_watcher(n, local);
}

fn limits(script: &mut Script<'_>) -> WantedPictures {
    WantedPictures {
        max_rate: Some(Bitrate::bps(u64::from(script.u32()))).filter(|rate| rate.as_bps() > 0),
        quality: Some(script.u8()).filter(|quality| *quality > 0),
        max_size: Some(Size::new(script.u16(), script.u16())).filter(|size| size.pixels() > 0),
    }
}

/// What both have in common: a path that does its worst.
fn play(data: &[u8], mut attack: impl FnMut(&mut World, &mut Script<'_>)) {
    let mut script = Script::new(data);
    let Some(mut world) = World::new(&mut script) else { return };
    for _ in 0..STEPS {
        if script.is_over() {
            break;
        }
        match script.choice(9) {
            0 | 1 => world.run(script.u8() / 2),
            2 => world.halt(Duration::from_millis(u64::from(script.u8()))),
            3 => world.halt(Duration::from_millis(u64::from(script.u8()) * 300)),
            4 => world.deliver(script.choice(256)),
            5 => world.lose(script.choice(256)),
            6 => world.replay(script.choice(64), |_| {}, None),
            7 => {
                let (n, at, bits) = (script.choice(64), usize::from(script.u16()), script.u8());
                world.replay(n, |bytes| damage(bytes, at, bits), None);
            }
            _ => attack(&mut world, &mut script),
        }
    }
    world.run(5);
}

fn damage(bytes: &mut Vec<u8>, at: usize, bits: u8) {
    if bits == 0 {
        return bytes.truncate(at);
    }
    let at = at % bytes.len().max(1);
    bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bits);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts in which both watchers join and see pictures, on every kind of path, and then something happens.
    const SEEDS: [&[u8]; 22] = [
        &[0, 0, 0, 200, 0, 200],
        &[1, 0, 0, 200, 8, 1, 0x20, 5, 1, 2, 3, 4, 5, 0, 200],
        &[2, 0x05, 0, 200, 5, 1, 0, 200, 7, 3, 0, 40, 9, 0, 200],
        &[6, 0x0a, 0, 200, 2, 90, 4, 7, 4, 3, 6, 9, 0, 250],
        &[8, 0x0f, 0, 200, 8, 3, 0, 250, 0, 250, 0, 250],
        &[16, 0x03, 0, 250, 0, 250, 0, 250, 0, 250, 8, 7, 0, 0, 250],
        &[32, 0x02, 0, 200, 8, 4, 0, 3, 0, 1, 3, 0, 200, 3, 12, 0, 255, 0, 255],
        &[0, 0, 0, 250, 8, 2, 1, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0, 2, 1, 64, 0, 0, 0, 0, 9, 9, 0, 100],
        // With sound, a loudspeaker (32), a sound port that nobody reaches (16).
        &[128, 0x20, 0, 200, 0, 200, 0, 200],
        &[136, 0x10, 0, 200, 0, 250, 0, 250, 0, 250, 0, 250, 0, 250, 0, 250, 8, 4, 1, 0, 250, 0, 250],
        &[136, 0x30, 0, 250, 0, 250, 0, 250, 0, 250, 0, 250, 0, 250, 8, 5, 132, 0, 250, 0, 250, 0, 250],
        &[128, 0x20, 0, 250, 8, 5, 128, 9, 1, 0, 0, 3, 0, 0, 250, 8, 5, 130, 6, 12, 1, 2, 3, 0, 250, 8, 5, 131, 0, 99],
        &[128, 0, 0, 250, 8, 7, 5, 9, 0, 1, 0, 0, 0, 1, 9, 0, 250, 8, 7, 5, 9, 0, 1, 0, 1, 0, 0, 0, 0, 250, 0, 250],
        &[128, 0, 0, 250, 8, 7, 4, 1, 1, 1, 1, 1, 9, 0, 250, 8, 7, 4, 1, 0, 200, 0, 0, 9, 0, 250, 8, 7, 3, 0, 250],
        // A viewer who switches, pauses, turns sound off and on, and lists.
        &[136, 0x20, 0, 250, 8, 5, 134, 0, 1, 1, 0, 250, 8, 5, 134, 0, 2, 0, 0, 250, 8, 5, 134, 0, 2, 1, 0, 250],
        &[128, 0x20, 0, 250, 8, 5, 134, 0, 4, 0, 250, 8, 5, 134, 0, 5, 1, 0, 250, 0, 250, 8, 5, 134, 0, 5, 200, 0, 250],
        &[
            8, 0, 0, 250, 8, 5, 134, 1, 3, 0, 250, 8, 3, 8, 5, 134, 1, 3, 8, 5, 134, 1, 1, 2, 0, 250, 8, 5, 134, 1, 0,
            0, 250,
        ],
        // Three streams; the second watcher watches another (128). One fails, one ends; lists and wishes.
        &[128, 0xc0, 0, 250, 0, 250, 8, 7, 11, 0, 1, 0, 250, 0, 250, 8, 7, 11, 2, 0, 0, 250, 0, 250],
        &[1, 0xa0, 0, 250, 8, 7, 8, 1, 0, 1, 1, 0x11, 7, 8, 7, 8, 1, 0, 1, 1, 0, 0, 250, 8, 7, 8, 1, 0, 1, 1, 0, 1, 9],
        &[
            128, 0x40, 0, 250, 8, 7, 4, 1, 1, 1, 1, 0, 0, 1, 0, 200, 8, 7, 4, 1, 1, 1, 2, 0, 0, 2, 0, 200, 8, 7, 10, 0,
            250,
        ],
        &[0, 0x80, 8, 7, 9, 0, 250, 8, 7, 1, 0, 250, 0, 250],
        &[64, 0, 0, 250, 8, 0, 9, 9, 12, 0, 0, 0, 2, 0, 0, 0, 0, 9, 0, 250, 8, 4, 0, 0, 250],
    ];

    fn mutated(seed: u64, body: fn(&[u8])) {
        let mut state = seed;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize
        };
        SEEDS.iter().for_each(|seed| body(seed));
        for round in 0..1_000 {
            let mut data = SEEDS[round % SEEDS.len()].to_vec();
            for _ in 0..random() % 12 {
                let at = random() % data.len();
                match random() % 3 {
                    0 => data[at] = random() as u8,
                    1 => data.insert(at, random() as u8),
                    _ => data.extend([random() as u8, random() as u8, random() as u8]),
                }
            }
            let before = data.clone();
            let outcome = std::panic::catch_unwind(|| body(&data));
            assert!(outcome.is_ok(), "round {round}: {before:?}");
        }
    }

    #[test]
    fn mutated_scripts_do_not_upset_the_server() {
        mutated(0x2545_f491_4f6c_dd1d, fuzz_server);
    }

    #[test]
    fn mutated_scripts_do_not_upset_the_relay() {
        mutated(0x1357_9bdf_0246_8ace, fuzz_relay);
    }

    #[test]
    fn mutated_scripts_do_not_upset_a_broadcast() {
        mutated(0x0bad_cafe_1234_5678, fuzz_publish);
    }

    #[test]
    fn mutated_scripts_do_not_upset_the_receivers_of_a_group() {
        mutated(0x7f4a_7c15_9e37_79b9, fuzz_group);
    }

    #[test]
    fn mutated_scripts_do_not_upset_the_receiver() {
        mutated(0x9e37_79b9_7f4a_7c15, fuzz_receiver);
    }

    /// What fuzzing has found, and what is mended since.
    #[test]
    fn what_was_found_once() {
        // An object with SAME and several parts began a picture that nothing completed or showed.
        fuzz_receiver(&[
            0, 0, 0, 250, 8, 2, 1, 0, 1, 0, 91, 0, 0, 152, 24, 95, 0, 36, 0, 2, 1, 64, 0, 0, 0, 0, 9, 9, 0, 100, 77,
            23, 201, 129, 0, 122, 12, 148, 57, 255, 122,
        ]);
        // After eight Joins in vain the next Hello was due at once, and yet it was to be waited for.
        fuzz_receiver(&[1, 0, 0, 5, 200, 208, 255, 255, 255, 9, 2, 0, 200, 0, 210, 210, 210, 210, 210, 210, 9, 210]);
        // A session whose Description was late was taken up again without one, and pictures came before their stream.
        fuzz_receiver(&[
            8, 15, 0, 0, 1, 7, 139, 255, 15, 255, 3, 3, 3, 3, 3, 26, 3, 3, 255, 255, 255, 255, 255, 165, 255, 255, 255,
            255, 255, 255, 255, 255,
        ]);
        fuzz_receiver(&[0, 0, 0, 7, 255, 66, 66, 66, 66, 66, 66, 66, 66, 255, 255, 208, 218, 252, 29, 250, 0, 126, 0]);
        // Sound that nobody hears leaves after the upkeep, and had set a live stream's timeline.
        fuzz_receiver(&[
            83, 0, 4, 208, 8, 232, 83, 220, 220, 220, 220, 220, 220, 220, 220, 220, 220, 220, 220, 0, 4, 208, 8, 232,
            8, 4,
        ]);
    }

    /// Otherwise the scripts would prove little.
    #[test]
    fn a_script_gets_far() {
        let Some(mut world) = World::new(&mut Script::new(&[0, 0])) else { panic!("no world") };
        (0..20).for_each(|_| world.run(50));
        assert!(world.shown() >= 2 * 28, "{} pictures shown in a second", world.shown());
    }
}
