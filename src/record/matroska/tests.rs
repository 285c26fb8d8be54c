//! What is written, read back byte by byte by a reader of its own, also when it was cut off anywhere.

use std::io::Cursor;
use std::ops::Range;

use super::*;

/// A block: its track, its time in ticks, and its data.
type Block = (u8, i64, Vec<u8>);

/// What a strict reader finds in a file, whole or not.
#[derive(Debug, Default, PartialEq)]
struct Found {
    blocks: Vec<Block>,
    /// Time and place in the segment.
    clusters: Vec<(u64, u64)>,
    cues: Vec<(u64, u64)>,
    /// What the seek head says.
    seeks: Vec<(u32, u64)>,
    length: Option<f64>,
    tracks: usize,
    /// How long each line is shown, in ticks.
    lasts: Vec<u64>,
    segment: u64,
    /// The segment's size, once it has one.
    size: Option<u64>,
}

/// An element's identifier and where its body lies; an unknown size reaches to `end`, and so do segments and clusters that
/// were cut off. `None` if another is not whole.
fn next(bytes: &[u8], at: usize, end: usize) -> Option<(u32, Range<usize>, bool)> {
    let width = bytes.get(at)?.leading_zeros() as usize + 1;
    let id = bytes.get(at..at + width)?.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    let at = at + width;
    let width = bytes.get(at)?.leading_zeros() as usize + 1;
    let size = bytes.get(at..at + width)?.iter().fold(0, |size, byte| size << 8 | u64::from(*byte));
    let size = size & !(1 << (7 * width));
    let unknown = size == (1 << (7 * width)) - 1;
    let start = at + width;
    let stop = if unknown { end } else { start + size as usize };
    let stop = if [id::SEGMENT, id::CLUSTER].contains(&id) { stop.min(end) } else { stop };
    (stop <= end).then_some((id, start..stop, unknown))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

impl Found {
    fn of(bytes: &[u8]) -> Self {
        let mut found = Self::default();
        found.read(bytes, 0..bytes.len(), &mut Vec::new());
        found
    }

    fn read(&mut self, bytes: &[u8], range: Range<usize>, path: &mut Vec<u32>) {
        let mut at = range.start;
        // A cluster of unknown size ends where something begins that is none of its own.
        while let Some((id, body, unknown)) = next(bytes, at, range.end)
            && at < range.end
        {
            let mut stop = body.end;
            if id == id::CLUSTER {
                self.clusters.push((0, at as u64 - self.segment));
                stop = if unknown { cluster_end(bytes, body.clone()) } else { stop };
            }
            if id == id::SEGMENT {
                (self.segment, self.size) = (body.start as u64, (!unknown).then_some(body.len() as u64));
            }
            if MASTERS.contains(&id) {
                path.push(id);
                self.read(bytes, body.start..stop, path);
                path.pop();
            } else {
                self.leaf(id, &bytes[body]);
            }
            at = stop;
        }
    }

    fn leaf(&mut self, id: u32, body: &[u8]) {
        match id {
            id::TIMESTAMP => self.clusters.last_mut().expect("in a cluster").0 = number(body),
            id::SIMPLE_BLOCK => {
                let base = self.clusters.last().expect("in a cluster").0.cast_signed();
                let time = base + i64::from(i16::from_be_bytes([body[1], body[2]]));
                assert_eq!(body[3], KEYFRAME);
                self.blocks.push((body[0] & 0x7F, time, body[4..].to_vec()));
            }
            id::BLOCK => {
                let base = self.clusters.last().expect("in a cluster").0.cast_signed();
                let time = base + i64::from(i16::from_be_bytes([body[1], body[2]]));
                assert_eq!(body[3], 0, "neither laced nor hidden");
                self.blocks.push((body[0] & 0x7F, time, body[4..].to_vec()));
            }
            id::BLOCK_DURATION => self.lasts.push(number(body)),
            id::DURATION => self.length = Some(f64::from_be_bytes(body.try_into().expect("eight bytes"))),
            id::TRACK_NUMBER => self.tracks += 1,
            id::CUE_TIME => self.cues.push((number(body), 0)),
            id::CUE_CLUSTER => self.cues.last_mut().expect("a time").1 = number(body),
            id::SEEK_ID => self.seeks.push((number(body) as u32, 0)),
            id::SEEK_POSITION => self.seeks.last_mut().expect("an identifier").1 = number(body),
            _ => {}
        }
    }
}

fn cluster_end(bytes: &[u8], body: Range<usize>) -> usize {
    let mut at = body.start;
    while let Some((id, inner, _)) = next(bytes, at, body.end)
        && [id::TIMESTAMP, id::SIMPLE_BLOCK, id::BLOCK_GROUP].contains(&id)
    {
        at = inner.end;
    }
    // What was cut off belongs to it.
    if next(bytes, at, body.end).is_none() { body.end } else { at }
}

/// When the first picture of a film is shown, in milliseconds.
pub(in crate::record) fn first_picture(film: &[u8]) -> Option<u64> {
    blocks(film).into_iter().find(|&(track, ..)| track == PICTURES).map(|(_, at, _)| at)
}

/// The blocks of a film as they stand in it: track, milliseconds, and data.
pub(in crate::record) fn blocks(film: &[u8]) -> Vec<(u8, u64, Vec<u8>)> {
    let millis = |ticks: i64| ticks.unsigned_abs() * TICK.as_micros() as u64 / 1_000;
    Found::of(film).blocks.into_iter().map(|(track, ticks, data)| (track, millis(ticks), data)).collect()
}

const MASTERS: [u32; 13] = [
    id::EBML,
    id::SEGMENT,
    id::SEEK_HEAD,
    id::SEEK,
    id::INFO,
    id::TRACKS,
    id::TRACK_ENTRY,
    id::VIDEO,
    id::CLUSTER,
    id::BLOCK_GROUP,
    id::CUES,
    id::CUE_POINT,
    id::CUE_POSITIONS,
];

fn rate(num: u32, den: u32) -> Rate {
    Rate::new(num, den).expect("a usual rate")
}

fn picture(n: u64) -> Vec<u8> {
    vec![n as u8; 200 + 37 * (n as usize % 11)]
}

/// Five seconds at 29.97 with sound, and what is expected to be found in it.
fn film(patching: bool) -> (Vec<u8>, Vec<Block>) {
    let rate = rate(30_000, 1_001);
    let mut film = Matroska::begin(
        Cursor::new(Vec::new()),
        Tracks { size: Size::new(500, 282), rate, sound: true, talk: false },
        patching,
    )
    .expect("begun");
    let mut blocks = Vec::new();
    let mut heard = 0_u64;
    for n in 0..150 {
        let at = rate.at(n);
        let until = at.as_nanos() as u64 * u64::from(RATE) / 1_000_000_000;
        if until > heard {
            let frames: Vec<Frame> = (heard..until).map(|frame| [frame as i16, 7]).collect();
            let nanos = heard * 1_000_000_000 / u64::from(RATE);
            film.sound(Duration::from_nanos(nanos), &frames).expect("written");
            let bytes = frames.iter().flatten().flat_map(|sample| sample.to_le_bytes()).collect();
            blocks.push((SOUND, ((nanos + 5_000) / 10_000).cast_signed(), bytes));
            heard = until;
        }
        film.picture(at, &picture(n)).expect("written");
        blocks.push((PICTURES, ((at.as_nanos() + 5_000) / 10_000) as i64, picture(n)));
    }
    let length = film.finish().expect("finished");
    let bytes = film.into_inner().into_inner();
    assert_eq!(length, bytes.len() as u64);
    (bytes, blocks)
}

#[test]
fn everything_is_found_again_at_its_time() {
    let (bytes, blocks) = film(true);
    let found = Found::of(&bytes);
    assert_eq!((found.blocks, found.tracks), (blocks, 2));
    assert_eq!(found.size, Some(bytes.len() as u64 - found.segment));
    // 150 pictures of 1001/30000 s, in ticks of 10 µs.
    let length = found.length.expect("a length");
    assert!((length - 500_500.0).abs() < 1.0, "{length}");
    let ticks: Vec<u64> = found.clusters.iter().map(|cluster| cluster.0).collect();
    assert!(ticks.windows(2).all(|pair| pair[1] > pair[0] && pair[1] - pair[0] < 32_768), "{ticks:?}");
    assert_eq!(found.cues.len(), 5);
    assert!(found.cues.iter().all(|cue| found.clusters.contains(cue)), "{:?}", found.cues);
    for (what, place) in found.seeks {
        let (id, ..) = next(&bytes, (found.segment + place) as usize, bytes.len()).expect("an element");
        assert_eq!(id, what);
    }
}

#[test]
fn a_pipe_gets_the_same_blocks_and_nothing_is_sought_in_it() {
    struct Pipe(Vec<u8>);
    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Seek for Pipe {
        fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
            Err(io::ErrorKind::NotSeekable.into())
        }
    }
    let tracks = Tracks { size: Size::new(16, 16), rate: rate(25, 1), sound: false, talk: false };
    let mut film = Matroska::begin(Pipe(Vec::new()), tracks, false).expect("begun");
    (0..50).for_each(|n| film.picture(tracks.rate.at(n), &picture(n)).expect("written"));
    film.finish().expect("finished");
    let found = Found::of(&film.into_inner().0);
    assert_eq!((found.blocks.len(), found.tracks, found.length, found.size), (50, 1, None, None));
    assert_eq!(Found::of(&self::film(false).0).blocks, self::film(true).1);
}

#[test]
fn cut_off_anywhere_it_holds_all_that_was_whole() {
    let tracks = Tracks { size: Size::new(16, 16), rate: rate(25, 1), sound: false, talk: false };
    let mut film = Matroska::begin(Cursor::new(Vec::new()), tracks, true).expect("begun");
    for n in 0..30 {
        film.picture(tracks.rate.at(n), &picture(n)).expect("written");
        let bytes = film.out.get_ref();
        let found = Found::of(bytes);
        assert_eq!(found.blocks.len() as u64, n + 1);
        // The length is never older than a cluster.
        let behind = 4_000.0 * (n + 1) as f64 - found.length.unwrap_or(0.0);
        assert!(behind <= (CLUSTER + 4_000) as f64, "{behind} after {n}");
        for cut in 1..=bytes.len().min(300) {
            let left = Found::of(&bytes[..bytes.len() - cut]);
            assert!(found.blocks.starts_with(&left.blocks));
            assert!(found.blocks.len() - left.blocks.len() <= 2, "{cut} bytes cost {} pictures", left.blocks.len());
        }
    }
}

/// Takes so many bytes and then says that the disk is full.
struct SmallDisk(Cursor<Vec<u8>>, usize);

impl Write for SmallDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.1.saturating_sub(self.0.position() as usize);
        match &bytes[..room.min(bytes.len())] {
            [] => Err(io::ErrorKind::StorageFull.into()),
            some => self.0.write(some),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for SmallDisk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_full_disk_leaves_a_film_that_can_be_finished() {
    let tracks = Tracks { size: Size::new(16, 16), rate: rate(25, 1), sound: false, talk: false };
    let mut finished = 0;
    for room in (600..12_000).step_by(97) {
        let mut film = Matroska::begin(SmallDisk(Cursor::new(Vec::new()), room), tracks, true).expect("begun");
        let written = (0..).take_while(|n| film.picture(tracks.rate.at(*n), &picture(*n)).is_ok()).count();
        let whole = film.bytes();
        let outcome = film.finish();
        let end = film.bytes();
        let mut bytes = film.into_inner().0.into_inner();
        bytes.truncate(end as usize);
        let found = Found::of(&bytes);
        assert_eq!(found.blocks.len(), written, "room for {room}");
        assert!(end >= whole);
        finished += usize::from(outcome.is_ok() && found.size.is_some() && !found.cues.is_empty());
    }
    // There is room for cues wherever a picture had none.
    assert!(finished > 60, "{finished}");
}

const TALKING: Tracks = Tracks { size: Size::new(16, 16), rate: Rate::TYPICAL, sound: false, talk: true };

#[test]
fn a_line_is_a_block_with_a_duration_and_its_track_is_announced() {
    let mut film = Matroska::begin(Cursor::new(Vec::new()), TALKING, false).expect("begun");
    let header = film.bytes() as usize;
    film.picture(Duration::ZERO, b"jpeg").expect("written");
    let from = film.bytes() as usize;
    film.line(Duration::from_millis(20), Duration::from_millis(4_060), "Ada: hé").expect("written");
    let bytes = film.into_inner().into_inner();
    // Track 3 at 2 000 ticks of 10 µs, no flags; 406 000 ticks.
    let block = [&[0xA1, 0x80 | 12, 0x83, 0x07, 0xD0, 0][..], "Ada: hé".as_bytes()].concat();
    assert_eq!(bytes[from..], [&[0xA0, 0x80 | 19][..], &block, &[0x9B, 0x83, 0x06, 0x31, 0xF0]].concat());
    // Number, UID, subtitles, no lacing, language, codec, shown by default, name.
    let entry = [
        &[0xAE, 0x80 | 43, 0xD7, 0x81, 3, 0x73, 0xC5, 0x81, 3, 0x83, 0x81, 0x11, 0x9C, 0x81, 0][..],
        b"\x22\xB5\x9C\x83und\x86\x8BS_TEXT/UTF8\x88\x81\x01\x53\x6E\x84Talk",
    ];
    assert!(bytes[..header].ends_with(&entry.concat()), "{:x?}", &bytes[header - 60..header]);
    assert_eq!(Found::of(&bytes).tracks, 2);
    let silent = Matroska::begin(Cursor::new(Vec::new()), Tracks { talk: false, ..TALKING }, false).expect("begun");
    assert_eq!(silent.bytes() as usize + entry.concat().len(), header, "and without talk nothing is");
}

#[test]
fn a_film_without_lines_has_no_track_of_them_and_the_first_line_announces_it() {
    let mut film = Matroska::begin(Cursor::new(Vec::new()), TALKING, true).expect("begun");
    film.picture(Duration::ZERO, &picture(0)).expect("written");
    let silent = film.out.get_ref().clone();
    assert_eq!(Found::of(&silent).tracks, 1);
    film.line(Duration::ZERO, Duration::from_secs(1), "now").expect("written");
    let (found, spoken) = (Found::of(film.out.get_ref()), film.out.get_ref());
    assert_eq!((found.tracks, found.blocks.len()), (2, 2));
    // Where it is announced was void, and nothing else has moved.
    let changed: Vec<usize> = (0..silent.len()).filter(|at| silent[*at] != spoken[*at]).collect();
    let track = talk_track().len();
    assert!(changed.last().expect("announced") - changed[0] < track, "{changed:?}");
    assert_eq!(Found::of(&silent).blocks, found.blocks[..1]);
}

#[test]
fn lines_stand_among_pictures_make_no_film_longer_and_survive_where_it_is_cut_off() {
    let mut film = Matroska::begin(Cursor::new(Vec::new()), TALKING, true).expect("begun");
    let mut wanted = Vec::new();
    // The first begins a cluster itself.
    for n in 0..60 {
        let at = TALKING.rate.at(n) + Duration::from_secs(1);
        let ticks = |at: Duration| (at.as_micros() / 10) as i64;
        if n % 7 == 0 {
            let (at, text) = (at.saturating_sub(Duration::from_millis(10)), format!("line {n}"));
            film.line(at, Duration::from_secs(n), &text).expect("written");
            wanted.push((TALK, ticks(at), text.into_bytes()));
        }
        film.picture(at, &picture(n)).expect("written");
        wanted.push((PICTURES, ticks(at), picture(n)));
        let bytes = film.out.get_ref();
        for cut in 1..=300 {
            let left = Found::of(&bytes[..bytes.len() - cut]);
            assert!(wanted.starts_with(&left.blocks) && wanted.len() - left.blocks.len() <= 3, "{cut} of {n}");
        }
    }
    let length = film.length();
    film.line(length, Duration::from_secs(9), "bye").expect("written");
    assert_eq!(film.length(), length);
    film.finish().expect("finished");
    let found = Found::of(&film.into_inner().into_inner());
    wanted.push((TALK, (length.as_nanos() as i64 + 5_000) / 10_000, b"bye".to_vec()));
    assert_eq!(found.blocks, wanted);
    let lasts: Vec<u64> = (0..60).step_by(7).chain([9]).map(|seconds| seconds * 100_000).collect();
    assert_eq!(found.lasts, lasts);
    assert!(found.cues.iter().all(|cue| found.clusters.contains(cue)) && found.cues.len() > 1, "{:?}", found.cues);
}
