use super::*;

const PHONE: &str = r#"{"streams":[{"index":0,"codec_type":"audio","codec_name":"aac",
    "sample_rate":"48000","channels":6,"channel_layout":"5.1(side)","start_time":"-0.021","tags":{"language":"eng"},
    "disposition":{"default":1}},{"index":1,"codec_type":"video",
    "codec_name":"hevc","width":1920,"height":1080,"sample_aspect_ratio":"4:3","pix_fmt":"yuv420p10le",
    "color_space":"bt2020nc","color_range":"tv","field_order":"progressive","r_frame_rate":"30/1",
    "avg_frame_rate":"2997/100","start_time":"0.5","duration":"4.5","nb_frames":"135","disposition":{"attached_pic":0},
    "tags":{"rotate":"90"},"side_data_list":[{"side_data_type":"Display Matrix","rotation":-90}]}],
    "format":{"duration":"4.6","start_time":"-0.021"}}"#;

#[test]
fn a_film_turned_by_a_quarter() {
    let found = parse(PHONE.as_bytes()).expect("a film");
    let film = found.film.expect("pictures");
    assert_eq!((film.stream, film.width, film.height, film.aspect), (1, 1080, 1920, (3, 4)));
    assert_eq!((film.rate.fps(), film.pictures), (30.0, Some(135)));
    assert_eq!((film.matrix, film.full_range, film.start), (Matrix::Bt2020, false, Some(0.5)));
    assert_eq!(film.length, Some(Duration::from_millis(4_500)));
    assert_eq!((found.start, found.cut, found.length), (-0.021, false, Some(Duration::from_millis(4_600))));
}

#[test]
fn hdr_is_known_by_its_transfer() {
    let transfers = [("smpte2084", Some(Transfer::Pq)), ("arib-std-b67", Some(Transfer::Hlg)), ("bt709", None)];
    for (name, transfer) in transfers {
        let tagged = PHONE.replace(r#""color_range""#, &format!(r#""color_transfer":"{name}","color_range""#));
        let film = parse(tagged.as_bytes()).and_then(|found| found.film).expect("a film");
        assert_eq!(film.transfer, transfer, "{name}");
    }
    assert_eq!(parse(PHONE.as_bytes()).and_then(|found| found.film).and_then(|film| film.transfer), None);
}

#[test]
fn a_track_says_what_it_is_or_is_none() {
    let found = parse(PHONE.as_bytes()).expect("a film");
    let track = Track {
        stream: 0,
        codec: "aac".to_owned(),
        rate: 48_000,
        channels: 6,
        layout: "5.1(side)".to_owned(),
        language: Some("eng".to_owned()),
        start: Some(-0.021),
        preferred: true,
    };
    assert_eq!(found.tracks, [track]);
    for (text, other) in [("\"48000\"", "\"0\""), (":6,", ":0,"), ("\"aac\"", "\"\""), ("\"48000\"", "\"x\"")] {
        let found = parse(PHONE.replace(text, other).as_bytes()).expect("a film still");
        assert_eq!(found.tracks, [], "{other} in place of {text}");
    }
}

#[test]
fn a_cover_is_a_film_only_alone() {
    let cover = r#"{"index":0,"codec_type":"video","width":9,"height":9,"disposition":{"attached_pic":1}}"#;
    let alone = format!(r#"{{"streams":[{cover}]}}"#);
    let film = parse(alone.as_bytes()).and_then(|found| found.film).expect("a picture");
    assert_eq!((film.width, film.matrix), (9, Matrix::Other));
    let sound = r#"{"codec_type":"audio","codec_name":"mp3","sample_rate":"44100","channels":2}"#;
    let song = parse(format!(r#"{{"streams":[{cover},{sound}]}}"#).as_bytes()).expect("a song");
    assert_eq!((song.film, song.tracks.len()), (None, 1));
    assert_eq!((parse(b"{}"), parse(b"noise")), (None, None));
}

#[test]
fn large_films_without_a_tag_are_of_high_definition() {
    let matrix = |width: u32, height: u32, more: &str| {
        let size = format!(r#""width":{width},"height":{height},"pix_fmt":"yuv420p"{more}"#);
        let json = format!(r#"{{"streams":[{{"codec_type":"video",{size}}}]}}"#);
        parse(json.as_bytes()).and_then(|found| found.film).expect("a film").matrix
    };
    assert_eq!([(1_280, 536), (480, 640)].map(|(width, height)| matrix(width, height, "")), [Matrix::Bt709; 2]);
    assert_eq!([(1_024, 576), (720, 480)].map(|(width, height)| matrix(width, height, "")), [Matrix::Bt601; 2]);
    assert_eq!(matrix(1_920, 1_080, r#","color_range":"pc""#), Matrix::Bt601);
    let turned = r#","tags":{"rotate":"90"}"#;
    assert_eq!(
        [(1_280, 500), (576, 576)].map(|(width, height)| matrix(width, height, turned)),
        [Matrix::Bt709, Matrix::Bt601]
    );
}

#[test]
fn text_is_no_film() {
    let noise = r#"{"streams":[{"codec_type":"video","codec_name":"bintext","width":1280,"height":2000}]}"#;
    assert_eq!(parse(noise.as_bytes()), None);
}

#[test]
fn twenty_thousand_damaged_reports_never_panic() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for _ in 0..20_000 {
        let mut data = PHONE.as_bytes().to_vec();
        for _ in 0..=random() % 3 {
            let at = random() % data.len();
            data[at] = if random() % 2 == 0 { b'0' + (random() % 10) as u8 } else { random() as u8 };
        }
        fuzz_probe(&data);
    }
}
