use super::*;

/// Written by ffmpeg 5.1 with `-f nut -syncpoints none -write_index 0 -strict experimental`, 4×2 pixels of yuyv422 at
/// 30 pictures a second, stamps from 1 000 s on.
const PICTURES: &[u8] = include_bytes!("../../../assets/tests/pictures.nut");
/// The same for 100 ms of a tone of 44.1 kHz, stereo.
const SOUND: &[u8] = include_bytes!("../../../assets/tests/sound.nut");

fn all(data: &[u8]) -> (Reader<&[u8]>, Vec<(i64, usize)>) {
    let mut reader = Reader::new(data).expect("a stream");
    let (mut packets, mut body) = (Vec::new(), Vec::new());
    while let Some(stamp) = reader.next(&mut body).expect("whole") {
        packets.push((stamp, body.len()));
    }
    (reader, packets)
}

#[test]
fn pictures_come_with_their_stamps() {
    let (reader, packets) = all(PICTURES);
    assert_eq!(*reader.stream(), Stream::Pictures { size: Size::new(4, 2), code: *b"YUY2" });
    assert_eq!(reader.rate(), Rate::new(30, 1));
    assert_eq!(packets.len(), 40);
    for (number, (stamp, size)) in packets.into_iter().enumerate() {
        let due = 1_000_000_000_000 + number as i64 * 1_000_000_000 / 30;
        assert!((stamp - due).abs() < 100_000 && size == 16, "{number}: {stamp} {size}");
    }
}

#[test]
fn sound_comes_with_its_stamps() {
    let (reader, packets) = all(SOUND);
    assert_eq!(*reader.stream(), Stream::Sound { rate: 44_100, channels: 2 });
    let mut frames = 0;
    for (stamp, size) in packets {
        assert!((stamp - frames * 1_000_000_000 / 44_100).abs() < 50_000, "{stamp} after {frames}");
        frames += size as i64 / 4;
    }
    assert_eq!(frames, 4_410);
}

#[test]
fn whatever_is_cut_or_bent_ends_with_a_word() {
    for data in [PICTURES, SOUND] {
        for length in 0..data.len() {
            fuzz_nut(&data[..length]);
        }
        for at in 0..data.len().min(2_000) {
            for bits in [1, 0x80, 0xFF] {
                let mut bent = data.to_vec();
                bent[at] ^= bits;
                fuzz_nut(&bent);
            }
        }
    }
    assert!(matches!(Reader::new(&b"YUV4MPEG2 W2 H2 and more of this"[..]), Err(NutError::Bad(_))));
}
