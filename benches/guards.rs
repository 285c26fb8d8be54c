//! What guards cost: a proof made and checked, which each Join of a guarded stream takes; a grant, which each publisher takes once; and
//! the key of a password, which is slow on purpose. That each is right is asserted before it is timed.

use criterion::{Criterion, criterion_group, criterion_main};
use udpstream::seal::{Code, Exchange, Grant, GrantExchange, GrantKey, Key, Random, Side, Subject};

fn guards(criterion: &mut Criterion) {
    let mut random = Random::new(&[1; 32]);
    let code = Code::random(&mut random);
    let (key, cookie) = (code.key(), [3; 24]);
    let subject = Subject::Code(code.lookup());
    let exchange = Exchange { role: 0, subject, client_nonce: 1, server_nonce: 2, cookie: &cookie };
    let proof = key.prove(Side::Joining, &exchange);
    assert!(key.is_proven_by(Side::Joining, &exchange, &proof));
    let mut group = criterion.benchmark_group("guards");
    group.bench_function("key of a code", |bench| bench.iter(|| code.key()));
    group.bench_function("proof made", |bench| bench.iter(|| key.prove(Side::Joining, &exchange)));
    group.bench_function("proof checked", |bench| {
        bench.iter(|| key.is_proven_by(Side::Joining, &exchange, &proof));
    });
    let server = GrantKey::new(&[2; 32]);
    let grant = Grant { code: Some((code.lookup(), code.key())), owner: Key::new([4; 32]) };
    let join = GrantExchange { client_nonce: 5, cookie: &cookie, allowed: Some(&key) };
    let sealed = grant.seal(&server.public(), &join, &mut random).expect("a half that is one");
    assert_eq!(server.open(&join, &sealed), Some(grant.clone()));
    group.bench_function("grant sealed", |bench| {
        bench.iter(|| grant.seal(&server.public(), &join, &mut random));
    });
    group.bench_function("grant opened", |bench| bench.iter(|| server.open(&join, &sealed)));
    group.sample_size(10);
    assert!(Key::of_password("correct horse", "lobby").is_ok());
    group.bench_function("key of a password", |bench| bench.iter(|| Key::of_password("correct horse", "lobby")));
    group.finish();
}

criterion_group!(benches, guards);
criterion_main!(benches);
