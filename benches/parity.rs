//! What parity costs a picture: symbols made of its objects, and objects made of symbols again.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use udpstream::media::coded::Object;
use udpstream::media::parity::{protect, rebuild};
use udpstream::units::{MediaTime, Size, Unit};
use udpstream::wire::message::{Message, Scheme};
use udpstream::wire::object::{ObjectHeader, Type, format};
use udpstream::wire::{Kind, SizeClass};

/// A picture of so many full datagrams of an Ethernet.
fn picture(parts: u16) -> Vec<Object> {
    let class = SizeClass::ALL[2];
    let of = |part: u16| {
        let header = ObjectHeader {
            kind: Type::PICTURE,
            flags: 0,
            stream: 7,
            rendition: 0,
            cut: class.cut(0, false),
            tables: 80,
            format: format::YUV420,
            unit: Unit(9),
            part,
            parts,
            media_time: MediaTime::ZERO,
            size: Size::new(1_280, 720),
            x8: 0,
            y8: 0,
        };
        let mut object = Vec::new();
        header.emit(&mut object, |body| body.extend((0..class.body_max()).map(|n| (n * 7 + usize::from(part)) as u8)));
        object.into()
    };
    (0..parts).map(of).collect()
}

fn parity(c: &mut Criterion) {
    for (scheme, parts, symbols) in [(Scheme::ReedSolomon, 38, 5), (Scheme::ReedSolomon, 100, 9), (Scheme::Xor, 38, 5)]
    {
        let objects = picture(parts);
        let bodies = protect(scheme, &objects, symbols);
        assert_eq!(bodies.len(), symbols, "as many as were asked for");
        let name = format!("{scheme:?} {parts}+{symbols}");
        let mut group = c.benchmark_group("parity of a picture");
        group.bench_function(BenchmarkId::new("make", &name), |b| {
            b.iter(|| protect(scheme, black_box(&objects), symbols).len());
        });
        let codes = match scheme {
            Scheme::ReedSolomon => 1,
            Scheme::Xor => symbols,
        };
        // All that is lost is of the first code, as much as it mends.
        let places: Vec<usize> = (0..objects.len()).step_by(codes).collect();
        let lost = symbols / codes;
        let members: Vec<Option<&[u8]>> =
            places.iter().enumerate().map(|(n, place)| (n >= lost).then(|| objects[*place].bytes())).collect();
        let parsed = bodies.iter().map(|body| Message::parse(Kind::PARITY, body.bytes()));
        let own: Vec<(u8, &[u8])> = parsed
            .filter_map(|message| match message {
                Ok(Message::Parity(parity)) if parity.first_part == 0 => Some((parity.index, parity.symbol)),
                _ => None,
            })
            .collect();
        let rebuilt = rebuild(scheme, lost, &members, &own).expect("enough is there");
        assert_eq!(rebuilt.len(), lost, "all that was lost");
        for (place, bytes) in &rebuilt {
            assert_eq!(bytes, objects[places[*place]].bytes(), "to the byte");
        }
        group.bench_function(BenchmarkId::new("rebuild", &name), |b| {
            b.iter(|| rebuild(scheme, lost, black_box(&members), &own).is_some());
        });
    }
}

criterion_group!(benches, parity);
criterion_main!(benches);
