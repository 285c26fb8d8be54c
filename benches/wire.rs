//! What the bytes themselves cost: a hop header, a picture object of each class, a report of 400 arrivals.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use udpstream::units::{MediaTime, Size, Unit};
use udpstream::wire::message::Message;
use udpstream::wire::object::{ObjectHeader, Type, flags, format};
use udpstream::wire::report::Arrival;
use udpstream::wire::{HOP_LEN, Hop, Kind, ObjectView, Report, SizeClass};

fn header() -> ObjectHeader {
    ObjectHeader {
        kind: Type::PICTURE,
        flags: flags::LAST,
        stream: 7,
        rendition: 0,
        cut: 0,
        tables: 80,
        format: format::YUV420,
        unit: Unit(9),
        part: 3,
        parts: 4,
        media_time: MediaTime::from_micros(300_000),
        size: Size::new(1_280, 720),
        x8: 0,
        y8: 30,
    }
}

fn hop(c: &mut Criterion) {
    let hop = Hop { kind: Kind::OBJECT, tag: 1, sequence: 2, sent_at: 3 };
    let bytes = hop.to_bytes();
    assert_eq!((bytes.len(), Hop::parse(&bytes).expect("sound").0), (HOP_LEN, hop));
    let mut group = c.benchmark_group("hop header");
    group.bench_function("emit", |b| b.iter(|| black_box(hop).to_bytes()));
    group.bench_function("parse", |b| b.iter(|| Hop::parse(black_box(&bytes)).is_ok()));
}

/// Nearly all of it is the checksum; the throughput says how fast that is.
fn object(c: &mut Criterion) {
    for class in [SizeClass::ANY, SizeClass::LOOPBACK] {
        let (header, body) = (header(), vec![0x5a; class.body_max()]);
        let mut bytes = Vec::new();
        header.emit(&mut bytes, |out| out.extend_from_slice(&body));
        assert!(bytes.len() > body.len() && bytes.len() + HOP_LEN <= class.datagram());
        assert_eq!(ObjectView::parse(&bytes).expect("sound").body, body);
        let mut group = c.benchmark_group("object");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::new("emit", bytes.len()), |b| {
            let mut out = Vec::with_capacity(bytes.len());
            b.iter(|| {
                out.clear();
                black_box(header).emit(&mut out, |out| out.extend_from_slice(&body))
            });
        });
        group.bench_function(BenchmarkId::new("parse and check", bytes.len()), |b| {
            b.iter(|| ObjectView::parse(black_box(&bytes)).is_ok());
        });
    }
}

fn report(c: &mut Criterion) {
    let arrivals = (0..400).map(Arrival).collect();
    let report = Report {
        session: 1,
        number: 2,
        echo: 3,
        held: 4,
        first: 5,
        shift: 0,
        update_ack: 6,
        buffer: 7,
        token: 8,
        arrivals,
    };
    let message = Message::Report(report);
    let mut bytes = Vec::new();
    message.emit(&mut bytes);
    assert_eq!(Message::parse(Kind::REPORT, &bytes).expect("sound"), message);
    let mut group = c.benchmark_group("report of 400");
    group.throughput(Throughput::Elements(400));
    group.bench_function("emit", |b| {
        let mut out = Vec::with_capacity(bytes.len());
        b.iter(|| {
            out.clear();
            black_box(&message).emit(&mut out);
        });
    });
    group.bench_function("parse", |b| b.iter(|| Message::parse(Kind::REPORT, black_box(&bytes)).is_ok()));
}

criterion_group!(benches, hop, object, report);
criterion_main!(benches);
