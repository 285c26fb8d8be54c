//! The store of a relay: pictures put unit by unit, and read again while the system has them in memory. All that is offered is
//! asserted to be there.

use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use udpstream::store::{Film, Store};
use udpstream::units::{MediaTime, Size, Unit};
use udpstream::wire::SizeClass;
use udpstream::wire::object::{ObjectHeader, Type, format};

/// A picture of 14 kB in the smallest datagrams.
const PARTS: u16 = 12;
/// Units put before the store is made anew: some 60 MB.
const UNITS: u32 = 4_000;

fn unit(stream: u64, unit: u32) -> Vec<Vec<u8>> {
    let class = SizeClass::ANY;
    let of = |part: u16| {
        let header = ObjectHeader {
            kind: Type::PICTURE,
            flags: 0,
            stream,
            rendition: 0,
            cut: class.cut(0, false),
            tables: 80,
            format: format::YUV420,
            unit: Unit(unit),
            part,
            parts: PARTS,
            media_time: MediaTime::ZERO,
            size: Size::new(500, 282),
            x8: 0,
            y8: 0,
        };
        let mut object = Vec::new();
        header.emit(&mut object, |body| body.extend((0..class.body_max()).map(|n| (n * 7 + usize::from(part)) as u8)));
        object
    };
    (0..PARTS).map(of).collect()
}

fn begin(folder: &std::path::Path) -> Store {
    let mut store = Store::open(folder, u64::MAX).expect("a folder of its own");
    let film =
        Film { stream: 1, name: "film".into(), identity: Vec::new(), description: [None, None], complete: false };
    store.begin(film, 1).expect("room");
    store
}

#[expect(clippy::disallowed_methods, reason = "criterion's own clock for a run that is timed by hand")]
fn store(c: &mut Criterion) {
    let units: Vec<Vec<Vec<u8>>> = (0..UNITS).map(|number| unit(1, number)).collect();
    let bytes: usize = units[0].iter().map(Vec::len).sum();
    let mut group = c.benchmark_group("store");
    group.throughput(Throughput::Bytes(bytes as u64)).sample_size(20);
    group.bench_function("put a picture", |b| {
        b.iter_custom(|count| {
            let mut took = std::time::Duration::ZERO;
            for round in 0..count.div_ceil(u64::from(UNITS)) {
                let folder = tempfile::tempdir().expect("a folder");
                let mut store = begin(folder.path());
                let left = (count - round * u64::from(UNITS)).min(u64::from(UNITS)) as usize;
                let started = Instant::now();
                for objects in &units[..left] {
                    let slices: Vec<&[u8]> = objects.iter().map(Vec::as_slice).collect();
                    assert_eq!(store.put(&slices).expect("room"), usize::from(PARTS));
                }
                took += started.elapsed();
                assert_eq!(store.missing(1, Type::PICTURE, 0, 0..left as u32), None, "all that was put is there");
            }
            took
        });
    });
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = begin(folder.path());
    for objects in &units {
        store.put(&objects.iter().map(Vec::as_slice).collect::<Vec<_>>()).expect("room");
    }
    let mut next = 0;
    group.bench_function("read a picture", |b| {
        b.iter(|| {
            next = (next + 1) % UNITS;
            let read = store.unit(1, Type::PICTURE, 0, Unit(next)).expect("it is there");
            assert!(read.whole && read.bytes.len() == bytes, "all of it");
            read.bytes.len()
        });
    });
    group.finish();
}

criterion_group!(benches, store);
criterion_main!(benches);
