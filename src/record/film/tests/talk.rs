//! Lines of talk in recordings, as they stand in the file and as ffmpeg and mpv read them.
#![expect(clippy::disallowed_methods, reason = "players are asked what they read, and ffmpeg is waited for")]

use std::process::{Command, Stdio};
use std::thread::sleep;

use super::*;
use crate::record::matroska::blocks;

/// Longer than ffmpeg takes to write what it has, on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(20);

fn talking(path: &Path, sound: bool) -> Film {
    Film::new(RecordingPath::take(path, false).expect("free"), Tracks { talk: true, ..tracks(sound) })
}

fn at(millis: i64) -> MediaTime {
    MediaTime::from_micros(millis * 1_000)
}

fn show(film: &mut Film, millis: std::ops::Range<i64>, jpeg: &[u8]) {
    millis.step_by(40).for_each(|millis| assert!(film.picture(at(millis), jpeg).expect("written"), "{millis}"));
}

fn say(film: &mut Film, millis: i64, text: &str) -> bool {
    film.line(at(millis), "", text).expect("written")
}

fn end(film: Film) -> Totals {
    let (totals, outcome) = film.finish();
    outcome.expect("finished");
    totals.expect("recorded")
}

/// Milliseconds and text of each line of an .mkv, and of the picture or the sound before it.
fn lines(path: &Path) -> Vec<(u64, String, u64)> {
    let (mut lines, mut before) = (Vec::new(), 0);
    for (track, millis, data) in blocks(&fs::read(path).expect("there")) {
        match track {
            3 => lines.push((millis, String::from_utf8(data).expect("text"), before)),
            _ => before = millis,
        }
    }
    lines
}

fn found(lines: &[(u64, String, u64)]) -> Vec<(u64, &str, u64)> {
    lines.iter().map(|(millis, text, before)| (*millis, text.as_str(), *before)).collect()
}

#[test]
fn lines_stand_among_the_pictures_of_their_time_and_late_ones_where_the_file_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("film.mkv");
    let mut film = talking(&path, false);
    assert!(say(&mut film, 7_500, "just before"));
    assert!(say(&mut film, 3_000, "long before, which is known later"));
    assert!(say(&mut film, 10_090, "early"));
    show(&mut film, 10_000..10_200, b"jpeg");
    assert!(!say(&mut film, 6_000, "long before"));
    assert!(say(&mut film, 10_050, "late"));
    assert!(say(&mut film, 9_000, "late and from before"));
    assert!(say(&mut film, 10_300, "second"));
    assert!(say(&mut film, 10_280, "first"));
    assert!(say(&mut film, 10_160, "at a picture"));
    show(&mut film, 10_200..10_400, b"jpeg");
    assert!(film.line(at(10_390), "Ada", "at the end").expect("kept"));
    assert!(film.line(at(11_390), "Ada", "after the end").expect("kept"));
    let totals = end(film);
    assert_eq!((totals.pictures, totals.length), (10, Duration::from_millis(400)));
    assert_eq!(
        found(&lines(&path)),
        [
            (90, "early", 80),
            (160, "late", 160),
            (160, "late and from before", 160),
            (160, "at a picture", 160),
            (280, "first", 240),
            (300, "second", 280),
            (390, "Ada: at the end", 360),
            (400, "Ada: after the end", 360)
        ]
    );
}

#[test]
fn what_was_said_just_before_the_beginning_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("film.mkv");
    let mut film = talking(&path, false);
    assert!(say(&mut film, 8_000, "two seconds") && say(&mut film, 7_999, "longer"));
    show(&mut film, 10_000..10_080, b"jpeg");
    end(film);
    assert_eq!(found(&lines(&path)), [(0, "two seconds", 0)]);
}

#[test]
fn lines_go_on_where_there_is_sound_but_no_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("film.mkv");
    let mut film = talking(&path, true);
    show(&mut film, 0..40, b"jpeg");
    for tenth in 0..50 {
        film.sound(tenth * 4_410, &[[1, 1]; 4_410]).expect("kept");
        assert!(say(&mut film, tenth as i64 * 100 + 50, &tenth.to_string()));
    }
    let written = lines(&path).len();
    assert!(written >= 25, "the regime: {written} are written while sound comes");
    end(film);
    let lines = lines(&path);
    let wanted = (0..50).map(|tenth| (tenth * 100 + 50, tenth.to_string()));
    assert!(lines.iter().map(|(millis, text, _)| (*millis, text.clone())).eq(wanted), "{lines:?}");
    assert!(lines.iter().all(|(millis, _, before)| millis - before <= 100), "{lines:?}");
}

#[test]
fn without_talk_and_in_files_without_text_lines_are_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let jpeg = jpeg("160x120");
    let [silent, mute, avi] = ["silent.mkv", "mute.mkv", "film.avi"].map(|name| folder.path().join(name));
    let mut films = [film(&silent, false), film(&mute, false), talking(&avi, false)];
    for (number, film) in films.iter_mut().enumerate() {
        show(film, 0..2_000, &jpeg);
        assert!(number == 1 || !say(film, 500, "hello"));
        show(film, 2_000..4_000, &jpeg);
    }
    films.into_iter().for_each(|film| assert_eq!(end(film).pictures, 100));
    assert!(fs::read(silent).expect("there") == fs::read(mute).expect("there"), "byte for byte");
    assert_eq!((streams(&avi).len(), packets(&avi, "v").len()), (1, 100));
    let mut wav = talking(&folder.path().join("sound.wav"), true);
    wav.sound(0, &[[1, 1]; 4_410]).expect("written");
    assert!(!say(&mut wav, 50, "hello"));
    end(wav);
}

#[test]
fn no_line_makes_a_file_and_no_number_of_them_fills_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("film.mkv");
    let mut film = talking(&path, false);
    assert!(!say(&mut film, 0, " \u{7}\n"), "nothing to be read");
    let taken = (0..10_000).filter(|n| film.line(at(*n), "Ada", "hello").expect("kept")).count();
    assert!(taken < 1_000, "{taken}");
    assert_eq!(film.finish().0, None);
    assert!(!path.exists());
}

/// A picture that a player decodes.
fn jpeg(size: &str) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "lavfi", "-i", &format!("testsrc2=s={size}:d=1"), "-frames:v", "1"]);
    command.args(["-c:v", "mjpeg", "-f", "image2pipe", "-"]);
    command.output().expect("ffmpeg is installed").stdout
}

/// What ffprobe tells of each stream or packet, in rows of the words that were asked for.
fn probe(path: &Path, asked: &str) -> Vec<Vec<String>> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-of", "csv=p=0"]).args(asked.split(' ')).arg(path);
    let told = String::from_utf8(command.output().expect("ffprobe is installed").stdout).expect("text");
    told.lines().map(|line| line.trim_end_matches(',').split(',').map(str::to_owned).collect()).collect()
}

/// The codec of each track, and whether it is shown without being asked for.
fn streams(path: &Path) -> Vec<Vec<String>> {
    probe(path, "-show_entries stream=codec_name:stream_disposition=default")
}

/// The time and the duration of each packet of a track, in seconds.
fn packets(path: &Path, track: &str) -> Vec<(f64, f64)> {
    let number = |words: &[String], at: usize| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(0.0);
    let rows = probe(path, &format!("-show_entries packet=pts_time,duration_time -select_streams {track}"));
    rows.iter().map(|words| (number(words, 0), number(words, 1))).collect()
}

/// The lines as ffmpeg writes them into a file of subtitles.
fn extracted(path: &Path) -> String {
    let mut command = Command::new("ffmpeg");
    let output = command.args(["-v", "error", "-i"]).arg(path).args(["-map", "0:s", "-f", "srt", "-"]).output();
    let output = output.expect("ffmpeg is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// What strangers may write, and how long it is shown, in seconds.
fn hostile() -> Vec<(String, f64)> {
    let marks = format!("e{}", "\u{301}".repeat(249));
    let texts = [
        "</font> <b>bold</b>",
        r"{\an8}{y:i}{up}",
        "00:00:01,000 --> 00:00:09,000",
        "two\r\nlines",
        r"C:\New\hello",
        &marks,
        "fine",
    ];
    texts.map(|text| (text.to_owned(), (4.0 + 0.06 * text.chars().count() as f64).min(10.0))).into()
}

/// As it is seen: without what has no width, and with braces as they look.
fn seen(text: &str) -> String {
    let text = text.replace('\u{2060}', "").replace('❴', "{").replace('❵', "}");
    text.replace("\r\n", "  ")
}

/// Ten seconds apart each, so that none overlaps another.
fn record_hostile(path: &Path, jpeg: &[u8]) -> Totals {
    let mut film = talking(path, false);
    let mut from = 0;
    for (number, (text, _)) in (0..).zip(hostile()) {
        show(&mut film, from..number * 10_400 + 1_000, jpeg);
        assert!(say(&mut film, number * 10_400 + 970, &text));
        from = number * 10_400 + 1_000;
    }
    show(&mut film, from..from + 12_000, jpeg);
    end(film)
}

#[test]
fn ffmpeg_reads_the_lines_of_every_kind_of_file_as_they_were_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let jpeg = jpeg("160x120");
    for (name, codec) in [("film.mkv", "subrip"), ("film.mp4", "mov_text")] {
        let path = folder.path().join(name);
        let totals = record_hostile(&path, &jpeg);
        assert_eq!(streams(&path), [["mjpeg", "1"], [codec, "1"]], "{name}: shown without being asked for");
        assert_eq!(packets(&path, "v").len() as u64, totals.pictures, "{name}: no picture is lost");
        // What ffmpeg knows of an .mp4 in fragments is when its lines begin; how long they last stands there nevertheless.
        let shown = if name == "film.mp4" { samples(&path) } else { packets(&path, "s") };
        let said = packets(&path, "s");
        for (number, (_, lasts)) in hostile().iter().enumerate() {
            let due = 0.97 + 10.4 * number as f64;
            let near = |(at, shown): &&(f64, f64)| (at - due).abs() < 0.002 && (shown - lasts).abs() < 0.002;
            assert!(shown.iter().any(|line| near(&line)), "{name}: none at {due} for {lasts}: {shown:?}");
            assert!(said.iter().any(|(at, _)| (at - due).abs() < 0.002), "{name}: none at {due}: {said:?}");
        }
        let text = extracted(&path);
        let blocks: Vec<&str> = text.trim_end().split("\n\n").collect();
        assert_eq!(blocks.len(), hostile().len(), "{name}: {text}");
        for (block, (wanted, _)) in blocks.iter().zip(hostile()) {
            let (_, line) = block.split_once("\n00:").expect("times").1.split_once('\n').expect("a line");
            assert_eq!(seen(line), seen(&wanted), "{name}");
        }
    }
}

/// The boxes of an .mp4 (ISO/IEC 14496-12) in these bytes: their types and bodies.
fn boxes(mut bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut boxes = Vec::new();
    while let Some((size, _)) = bytes.split_first_chunk::<4>() {
        let (this, rest) = bytes.split_at(u32::from_be_bytes(*size) as usize);
        boxes.push((&this[4..8], &this[8..]));
        bytes = rest;
    }
    boxes
}

/// When each sample of the second track of an .mp4 in fragments begins, and how long it lasts, in seconds.
fn samples(path: &Path) -> Vec<(f64, f64)> {
    let number = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four"));
    let file = fs::read(path).expect("there");
    let mut samples = Vec::new();
    let of = |body, name: &[u8]| boxes(body).into_iter().find(|(found, _)| *found == name).expect("a box").1;
    let fragments = boxes(&file).into_iter().filter(|(name, _)| *name == b"moof").flat_map(|(_, body)| boxes(body));
    for (_, traf) in fragments.filter(|(name, body)| *name == b"traf" && number(of(body, b"tfhd"), 4) == 2) {
        let (head, decoded, run) = (of(traf, b"tfhd"), of(traf, b"tfdt"), of(traf, b"trun"));
        assert_eq!((number(head, 0) & 0xFFFF, decoded[0]), (0x38, 1), "what ffmpeg writes");
        let mut at = u64::from_be_bytes(decoded[4..12].try_into().expect("eight"));
        // Flags say which words there are before the samples, and of each.
        let flags = number(run, 0);
        let first = 8 + 4 * (flags & 0xFF).count_ones() as usize;
        for sample in 0..number(run, 4) as usize {
            let place = first + sample * 4 * (flags & 0xF00).count_ones() as usize;
            let lasts = if flags & 0x100 == 0 { number(head, 8) } else { number(run, place) };
            samples.push((at as f64 / 1e6, f64::from(lasts) / 1e6));
            at += u64::from(lasts);
        }
    }
    samples
}

/// The bytes of the pictures that are whole in an .mp4 in fragments while it is written.
fn pictures_in(path: &Path, jpeg: &[u8]) -> usize {
    let file = fs::read(path).unwrap_or_default();
    file.windows(jpeg.len()).filter(|bytes| *bytes == jpeg).count()
}

#[test]
fn pictures_are_written_steadily_while_nobody_talks() {
    let folder = tempfile::tempdir().expect("a folder");
    let jpeg = jpeg("160x120");
    for sound in [false, true] {
        let path = folder.path().join(format!("film-{sound}.mp4"));
        let mut film = talking(&path, sound);
        for second in 0..20 {
            film.sound(second * 44_100, &vec![[1, 1]; 44_100]).expect("kept");
            show(&mut film, second as i64 * 1_000..second as i64 * 1_000 + 1_000, &jpeg);
        }
        // ffmpeg has been given all of them, and keeps a fragment, what tracks may be apart, and what its buffers hold.
        let began = crate::clock::now();
        while pictures_in(&path, &jpeg) < 17 * 25 && crate::clock::now().since(began) < PATIENCE {
            sleep(Duration::from_millis(20));
        }
        println!("{sound}: {} of 500", pictures_in(&path, &jpeg));
        assert!(pictures_in(&path, &jpeg) >= 17 * 25, "{} of 500 are written", pictures_in(&path, &jpeg));
        assert_eq!((end(film).pictures, packets(&path, "v").len()), (500, 500), "{sound}");
    }
}

/// The texts that mpv shows one after the other as it plays a film; `None` where there is no mpv.
fn shown_by_mpv(path: &Path) -> Option<Vec<String>> {
    let script = path.with_extension("lua");
    let told = "mp.observe_property('sub-text', 'string', function(_, text) print('<' .. (text or '') .. '>') end)";
    fs::write(&script, told).expect("written");
    let mut command = Command::new("mpv");
    command.args(["--no-config", "--vo=null", "--ao=null", "--untimed", "--term-status-msg="]);
    command.arg(format!("--script={}", script.display())).arg(path).stdin(Stdio::null());
    let output = match command.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        output => String::from_utf8(output.expect("started").stdout).expect("text"),
    };
    let text = |line: &str| Some(line.trim().split_once('<')?.1.strip_suffix('>')?.to_owned());
    Some(output.lines().filter_map(text).filter(|text| !text.is_empty()).collect())
}

#[test]
fn mpv_shows_the_lines_as_they_were_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("film.mkv");
    record_hostile(&path, &jpeg("160x120"));
    let Some(shown) = shown_by_mpv(&path) else {
        println!("mpv is not installed: skipped");
        return;
    };
    let wanted: Vec<String> = hostile().iter().map(|(text, _)| seen(text)).collect();
    assert_eq!(shown.iter().map(|text| seen(text)).collect::<Vec<_>>(), wanted);
}
