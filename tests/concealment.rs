//! Slices lost on the way cost their rectangle for one picture time, and nothing else: no pixel differs from the
//! sender's own decode of what arrived, and the rest is the picture before.

#![cfg(feature = "app")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use udpstream::codec::{Decoder, Encoder};
use udpstream::media::coded::{CodedPicture, Stamps};
use udpstream::media::jpeg::{header_of_slice, index, join_over, plan, restart_interval};
use udpstream::media::{Canvas, Picture};
use udpstream::queue::Pool;
use udpstream::text::test_card::Card;
use udpstream::units::{MediaTime, Rate, Size, Time, Unit};
use udpstream::wire::{ObjectView, SizeClass};

fn coded(encoder: &mut Encoder, card: &Card, size: Size, number: u32) -> CodedPicture {
    let mut picture = Picture::from_pool(&Pool::new(1), size, number, Time::ZERO);
    card.draw(&mut picture, number);
    let (layout, jpeg, index) = (0..8)
        .find_map(|layout| {
            let interval = restart_interval(size.width.div_ceil(16), layout)?;
            let jpeg = encoder.encode(&picture, 80, interval).unwrap();
            let index = index(&jpeg).unwrap();
            plan(&index, jpeg.len(), SizeClass::ANY.body_max()).is_ok().then_some((layout, jpeg, index))
        })
        .unwrap();
    let (unit, media_time, stamps) = (Unit(number), MediaTime::ZERO, Stamps::default());
    let lasts = Duration::ZERO;
    CodedPicture { unit, media_time, lasts, size, rendition: 0, quality: 80, layout, jpeg, index, stamps }
}

#[test]
fn no_pixel_differs_from_the_senders_own_decode_of_what_arrived() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut lost = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).is_multiple_of(100)
    };
    let (mut encoder, mut decoder) = (Encoder::new().unwrap(), Decoder::new().unwrap());
    let (mut losses, mut compared) = (0, 0);
    for size in [Size::new(640, 360), Size::new(333, 201)] {
        let card = Card::new(size, Rate::new(25, 1).unwrap());
        let mut before = Canvas::new(size);
        let mut recorded = coded(&mut encoder, &card, size, 0).jpeg;
        decoder.decode(0, &recorded, &mut before, 0, 0).unwrap();
        for number in 1..60 {
            let coded = coded(&mut encoder, &card, size, number);
            let mut whole = Canvas::new(size);
            decoder.decode(0, &coded.jpeg, &mut whole, 0, 0).unwrap();
            let cut = coded.cut(1, SizeClass::ANY).unwrap();
            assert!(cut.parts() > 1, "the regime: more than one slice");
            let (mut shown, mut expected) = (Canvas::new(size), before.pixels().to_vec());
            let mut came = Vec::new();
            for part in 0..cut.parts() {
                let object = cut.object(part).unwrap();
                assert!(object.len() <= SizeClass::ANY.object_max());
                let view = ObjectView::parse(object.bytes()).unwrap();
                if lost() {
                    losses += 1;
                    continue;
                }
                let (x8, y8) = (view.header.x8, view.header.y8);
                decoder.decode(view.header.tables, view.body, &mut shown, x8, y8).unwrap();
                came.push((x8, y8, view.body.to_vec()));
                let slice = header_of_slice(view.body).unwrap();
                for y in usize::from(y8) * 8..usize::from(y8) * 8 + usize::from(slice.height) {
                    let from = y * usize::from(size.width) + usize::from(x8) * 8;
                    let row = from..from + usize::from(slice.width);
                    expected[row.clone()].copy_from_slice(&whole.pixels()[row]);
                }
            }
            shown.fill_missing(Some(&before));
            assert!(shown.pixels() == expected, "picture {number} of {size}");
            // What is recorded of it, without decoding, looks the same.
            let came: Vec<_> = came.iter().map(|(x8, y8, body)| (*x8, *y8, body.as_slice())).collect();
            let joined = join_over(size, 80, &came, Some(&recorded)).unwrap();
            if joined.black == 0 {
                let mut played = Canvas::new(size);
                decoder.decode(0, &joined.jpeg, &mut played, 0, 0).unwrap();
                assert!(played.pixels() == expected, "picture {number} of {size} as it is recorded");
                compared += 1;
            }
            recorded = joined.jpeg;
            before = shown;
        }
    }
    assert!(compared > 100, "the regime: {compared} compared, the layout hardly ever changes");
    assert!(losses > 5, "the regime: something was lost");
}

#[test]
fn without_a_picture_before_gaps_are_black_on_the_screen_and_in_the_recording() {
    let (mut encoder, mut decoder) = (Encoder::new().unwrap(), Decoder::new().unwrap());
    let size = Size::new(333, 201);
    let coded = coded(&mut encoder, &Card::new(size, Rate::new(25, 1).unwrap()), size, 7);
    let cut = coded.cut(1, SizeClass::ANY).unwrap();
    let objects: Vec<_> = (0..cut.parts()).map(|part| cut.object(part).unwrap()).collect();
    let views: Vec<_> = objects.iter().map(|object| ObjectView::parse(object.bytes()).unwrap()).collect();
    for lost in 0..views.len() {
        let came = || views.iter().enumerate().filter(|(part, _)| *part != lost).map(|(_, view)| view);
        let slices: Vec<_> = came().map(|view| (view.header.x8, view.header.y8, view.body)).collect();
        let joined = join_over(size, 80, &slices, None).unwrap();
        assert!(joined.black > 0);
        let (mut played, mut shown) = (Canvas::new(size), Canvas::new(size));
        decoder.decode(0, &joined.jpeg, &mut played, 0, 0).unwrap();
        came().for_each(|view| {
            decoder.decode(view.header.tables, view.body, &mut shown, view.header.x8, view.header.y8).unwrap();
        });
        shown.fill_missing(None);
        let colours = |canvas: &Canvas| canvas.pixels().iter().map(|pixel| pixel & 0x00FF_FFFF).collect::<Vec<_>>();
        assert!(colours(&played) == colours(&shown), "slice {lost}");
    }
}
