//! What a chunk of sound costs, 5.8 ms of it: onto the wire and off it, filled in for when it is lost, and on the
//! device's thread, where it is steered and resampled.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rtrb::{Producer, RingBuffer};
use udpstream::audio::inside::{Block, Player, Shared};
use udpstream::codec::{SoundDecoder, SoundEncoder};
use udpstream::media::conceal::Concealer;
use udpstream::media::sound::{self, Chunk, FRAMES, Frame, Rendition, SWITCH_CHUNKS, SWITCH_UNITS};
use udpstream::proto::servo::{Servo, Steer};
use udpstream::units::Time;
use udpstream::wire::ObjectView;

/// Two notes, so that a period is not found at once.
fn frames(first: usize) -> Vec<Frame> {
    let wave = |at: usize, pitch: f64| (at as f64 * std::f64::consts::TAU * pitch / 44_100.0).sin() * 9_000.0;
    (first..first + FRAMES).map(|at| [wave(at, 261.6) as i16, (wave(at, 261.6) + wave(at, 392.0)) as i16]).collect()
}

fn wire(c: &mut Criterion) {
    let chunk = Chunk { number: 7, frames: frames(0), captured: Time::ZERO };
    let mut group = c.benchmark_group("chunk");
    for rendition in [Rendition::Stereo, Rendition::Mono] {
        let object = chunk.object(1, rendition);
        let read = |bytes: &[u8]| {
            let view = ObjectView::parse(bytes).expect("our own");
            sound::read(view.body, view.header.size.width, view.header.size.height)
        };
        let frames = read(object.bytes()).expect("our own");
        assert_eq!((frames.len(), frames == chunk.frames), (FRAMES, rendition == Rendition::Stereo));
        group.throughput(Throughput::Bytes(object.len() as u64));
        group.bench_function(format!("emit {rendition:?}"), |b| b.iter(|| black_box(&chunk).object(1, rendition)));
        group.bench_function(format!("parse {rendition:?}"), |b| b.iter(|| read(black_box(object.bytes()))));
    }
}

/// The 87 ms between two places where chunks and coded units begin together.
fn coded(c: &mut Criterion) {
    let sound: Vec<Vec<Frame>> = (0..SWITCH_CHUNKS as usize).map(|n| frames(n * FRAMES)).collect();
    let mut number = 0;
    let mut encoder = SoundEncoder::new().expect("libopus");
    let mut encode = || {
        let mut units = Vec::new();
        for frames in &sound {
            let chunk = Chunk { number, frames: frames.clone(), captured: Time::ZERO };
            encoder.put(&chunk, &mut units).expect("a chunk");
            number += 1;
        }
        units
    };
    encode();
    let units = encode();
    assert_eq!(units.len(), SWITCH_UNITS as usize, "it is warm");
    let mut group = c.benchmark_group("87 ms by Opus");
    group.bench_function("encode", |b| b.iter(&mut encode));
    let mut decoder = SoundDecoder::new().expect("libopus");
    group.bench_function("decode", |b| {
        b.iter(|| {
            units.iter().map(|unit| decoder.decode(black_box(&unit.packet)).expect("a unit").len()).sum::<usize>()
        });
    });
}

fn conceal(c: &mut Criterion) {
    let (mut ready, mut out) = (Concealer::default(), Vec::new());
    (0..20).for_each(|n| ready.put(&frames(n * FRAMES), &mut out));
    out.clear();
    ready.clone().lose(FRAMES, &mut out);
    assert!(out.len() == FRAMES && out.iter().any(|frame| frame[0].abs() > 8_000), "it fills in");
    let chunk = frames(20 * FRAMES);
    let mut group = c.benchmark_group("conceal");
    group.bench_function("a chunk that came", |b| {
        let mut concealer = ready.clone();
        b.iter(|| {
            out.clear();
            concealer.put(black_box(&chunk), &mut out);
        });
    });
    group.bench_function("a chunk that was lost", |b| {
        let mut concealer = ready.clone();
        b.iter(|| {
            out.clear();
            // The first of a gap is the dear one: the period is looked for.
            concealer.lose(FRAMES, &mut out);
            concealer.put(black_box(&chunk), &mut out);
        });
    });
}

fn servo(c: &mut Criterion) {
    let (mut servo, zero, mut next) = (Servo::new(44_100), Time::from_millis(1_000), 0);
    c.bench_function("servo", |b| {
        b.iter(|| {
            // From the start each time: this goes on for days, and a rounded step would add up.
            let at = zero.offset((i128::from(next) * 1_000_000_000 / i128::from(sound::RATE)) as i64);
            let heard = servo.asked(at, FRAMES);
            let steer = servo.steer(heard, Some(next), zero);
            assert!(matches!(steer, Steer::Play { .. }), "it plays in time");
            next += FRAMES as i64;
        });
    });
}

/// A device that is fed and asked, in virtual time.
struct Rig {
    player: Player,
    ring: Producer<Block>,
    shared: Arc<Shared>,
    now: Time,
    put: i64,
    rate: u32,
    out: [f32; 2 * FRAMES],
}

impl Rig {
    fn new(rate: u32) -> Self {
        let shared = Arc::new(Shared::new(80, false));
        let (ring, blocks) = RingBuffer::new(64);
        let (skews, _) = RingBuffer::new(1);
        let player = Player::new(rate, blocks, skews, Arc::clone(&shared)).expect("a usual rate");
        let now = Time::from_millis(1_000);
        shared.set_zero(Some(now));
        Self { player, ring, shared, now, put: 0, rate, out: [0.0; 2 * FRAMES] }
    }

    fn turn(&mut self) {
        let elapsed = self.now.since(Time::from_millis(1_000)).as_nanos() as i64;
        while self.put < elapsed * i64::from(sound::RATE) / 1_000_000_000 + 4_000 {
            let block = Block { stream: 0, first: self.put, len: FRAMES as u16, frames: [[9_000; 2]; FRAMES] };
            self.put += FRAMES as i64;
            assert!(self.ring.push(block).is_ok(), "room");
        }
        // A clock that is 80 ppm off, so that frames are slipped.
        self.player.asked(self.now, Duration::from_millis(20), &mut self.out, 2);
        self.now += Duration::from_nanos(FRAMES as u64 * 1_000_080_000 / u64::from(self.rate));
    }
}

fn player(c: &mut Criterion) {
    let mut group = c.benchmark_group("player, 256 frames");
    for rate in [44_100, 48_000] {
        let mut rig = Rig::new(rate);
        (0..200).for_each(|_| rig.turn());
        assert!(rig.out.iter().all(|sample| (sample - 9_000.0 / 32_768.0 * 0.512).abs() < 0.001), "it plays");
        group.bench_function(format!("{rate} Hz"), |b| b.iter(|| rig.turn()));
        let underruns = rig.shared.underruns.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(underruns, 0, "all that was measured was sound");
    }
}

criterion_group!(benches, wire, coded, conceal, servo, player);
criterion_main!(benches);
