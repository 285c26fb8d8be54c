//! The body of a fuzz target, compiled with the crate so that it cannot rot.

use super::{
    JpegError, Recoder, halve, header_of_slice, index, join, join_over, plan, quality_for, restart_interval, tables,
    whole,
};

/// Any bytes: index → plan → write → header → join. Panics only when a promise of this folder is broken.
pub fn fuzz_jpeg(data: &[u8]) {
    let _ = header_of_slice(data);
    let _ = whole(80, data, &mut Vec::new());
    let _ = tables::with_huffman(data);
    for tables in [0, 80] {
        let (mut upper, mut lower) = (Vec::new(), Vec::new());
        if let Some(halves) = halve(tables, data, &mut upper, &mut lower) {
            let rows = [&upper, &lower].map(|half| header_of_slice(half).map_or(0, |header| header.height));
            assert_eq!(rows, [halves.upper_rows, halves.size.height - halves.upper_rows]);
        }
    }
    let Ok(index) = index(data) else { return };
    recoded(&index, data);
    for body_max in [0, 200, 1_080, 8_832] {
        let Ok(slices) = plan(&index, data.len(), body_max) else { continue };
        let mut bodies = Vec::with_capacity(slices.len());
        for slice in &slices {
            let mut body = Vec::new();
            slice.write(&index, data, &mut body);
            assert!(body.len() <= body_max && body.len() == slice.encoded_len(&index));
            let header = header_of_slice(&body);
            assert!(header.is_ok_and(|h| (h.width, h.height) == (slice.width, slice.height)));
            bodies.push((slice.x8, slice.y8, body));
        }
        let borrowed: Vec<_> = bodies.iter().map(|(x8, y8, body)| (*x8, *y8, body.as_slice())).collect();
        // Half of them came, and the picture before is the same one: it is whole again.
        let half: Vec<_> = borrowed.iter().step_by(2).copied().collect();
        if let (Ok(joined), Some(80)) = (join_over(index.size, 80, &half, Some(data)), index.quality) {
            assert!(joined.black == 0 && same_intervals(&index, data, &joined.jpeg));
        }
        match join(index.size, 80, &borrowed) {
            Ok(joined) => assert!(same_intervals(&index, data, &joined)),
            Err(error) => assert!(borrowed.is_empty() && error == JpegError::Slices("there are none"), "{error}"),
        }
    }
}

/// Coded anew it is sound, has the index that was said, and can be coded anew again without a change.
fn recoded(old: &super::Index, data: &[u8]) {
    let (columns, _) = old.mcus();
    let restart = restart_interval(columns as u16, 0).unwrap_or(1);
    let Ok(quality) = quality_for(data, 80) else { return };
    let recoder = Recoder::default();
    let Ok((jpeg, said)) = recoder.recode(data, old, quality, restart) else { return };
    assert_eq!(index(&jpeg).as_ref(), Ok(&said));
    assert_eq!(quality_for(&jpeg, 100), Ok(quality));
    let again = recoder.recode(&jpeg, &said, quality, restart);
    assert!(again.is_ok_and(|(again, _)| again == jpeg));
}

/// Whether both pictures have the same entropy-coded bytes.
fn same_intervals(old: &super::Index, old_bytes: &[u8], new_bytes: &[u8]) -> bool {
    index(new_bytes).is_ok_and(|new| {
        let pairs = old.intervals.iter().zip(&new.intervals);
        old.intervals.len() == new.intervals.len()
            && pairs.into_iter().all(|(a, b)| old_bytes.get(a.clone()) == new_bytes.get(b.clone()))
    })
}
