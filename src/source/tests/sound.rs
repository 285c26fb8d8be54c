//! Sound out of sources, held against ffmpeg's own decoding of the same files, sample by sample.

use super::*;
use crate::media::sound::{FRAMES, Frame, RATE, frame_at, frame_of};
use crate::media::tone::BEEP;
use crate::text::test_card::Card;
use crate::units::MediaTime;

pub(super) fn with_sound() -> Options {
    Options { sound: Some(SoundOptions::default()), ..Options::default() }
}

/// What ffmpeg makes of a file's first track; `more` are further options, split at spaces.
pub(super) fn decoded(path: &Path, more: &str) -> Vec<Frame> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-i"]).arg(path).args(["-map", "0:a:0"]);
    command.args(more.split_whitespace()).args(["-ac", "2", "-ar", "44100", "-f", "s16le", "-"]);
    let output = command.output().expect("ffmpeg is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    frames_of(&output.stdout)
}

pub(super) fn frames_of(bytes: &[u8]) -> Vec<Frame> {
    let sample = |bytes: &[u8]| i16::from_le_bytes([bytes[0], bytes[1]]);
    bytes.chunks_exact(4).map(|frame| [sample(frame), sample(&frame[2..])]).collect()
}

/// Pictures and sound of a source, both taken until `most` pictures came or the end; chunks are checked for their numbers.
pub(super) fn both(source: Source, most: usize) -> (Vec<Picture>, Vec<Chunk>) {
    let (producer, consumer) = queue::bounded(10, WhenFull::Block, None);
    let (sounding, heard) = queue::bounded(32, WhenFull::Block, None);
    let running = source.start(producer, Some(sounding));
    let listener = std::thread::spawn(move || std::iter::from_fn(|| heard.pop()).collect::<Vec<_>>());
    let pictures: Vec<_> = std::iter::from_fn(|| consumer.pop()).take(most).collect();
    drop(consumer);
    running.join().expect("a clean end");
    let chunks = listener.join().expect("no panic");
    assert!(chunks.iter().zip(0..).all(|(chunk, number)| chunk.number == number), "numbers count up from 0");
    let whole = chunks.iter().take(chunks.len().saturating_sub(1)).all(|chunk| chunk.frames.len() == FRAMES);
    assert!(whole, "only the last chunk may be shorter");
    assert!(chunks.windows(2).all(|pair| pair[0].captured <= pair[1].captured), "stamps do not go back");
    (pictures, chunks)
}

pub(super) fn frames(chunks: &[Chunk]) -> Vec<Frame> {
    chunks.iter().flat_map(|chunk| chunk.frames.iter().copied()).collect()
}

fn heard(path: &Path) -> Vec<Frame> {
    frames(&both(open_with(&file(path), with_sound()), usize::MAX).1)
}

/// Says where two sounds part, instead of printing them.
pub(super) fn assert_same(got: &[Frame], meant: &[Frame], what: &str) {
    let apart = got.iter().zip(meant).position(|(got, meant)| got != meant);
    assert_eq!(apart, None, "{what}: the first frame that differs");
    assert_eq!(got.len(), meant.len(), "{what}: frames");
}

/// A film of pictures for `seconds`, and beside them a sound that never repeats: `voices`, a channel each, at `rate`.
pub(super) fn film(
    folder: &TempDir,
    name: &str,
    (seconds, offset): (f64, f64),
    rate: u32,
    voices: u32,
    more: &str,
) -> PathBuf {
    let voice = |n: u32| format!("0.4*sin(2*PI*({}+90*t)*t)", 200 + 130 * n);
    let voices: Vec<_> = (0..voices).map(voice).collect();
    make(
        folder,
        name,
        &format!(
            "-f lavfi -i testsrc2=size=64x48:rate=25:duration={seconds} -itsoffset {offset} -f lavfi -i \
             aevalsrc={}:s={rate}:d=2 -c:v mpeg4 {more}",
            voices.join("|")
        ),
        &[],
    )
}

#[test]
fn a_film_is_seen_and_heard_whole() {
    for (path, told) in two_films(&TempDir::new().expect("a folder")) {
        let source = open_with(&file(&path), with_sound());
        assert!(source.info().sound);
        let details = &source.info().details;
        assert!(details.starts_with(&format!("{} {}", told.codec, told.size)), "{details}");
        assert!(details.ends_with(" → stereo") && details.contains(" kHz "), "{details}");
        let (pictures, chunks) = both(source, usize::MAX);
        assert_eq!(pictures.len(), told.pictures);
        assert_same(&frames(&chunks), &decoded(&path, ""), &path.display().to_string());
    }
}

#[test]
fn films_of_every_kind_sound_as_ffmpeg_decodes_them() {
    let folder = TempDir::new().expect("a folder");
    for (name, rate, voices, more) in [
        ("mono.mp4", 48_000, 1, "-c:a aac"),
        ("stereo.mp4", 44_100, 2, "-c:a aac"),
        ("six.mkv", 48_000, 6, "-c:a pcm_s16le"),
        ("low.avi", 22_050, 2, "-c:a pcm_s16le"),
        ("high.mkv", 96_000, 2, "-c:a flac"),
        ("eight.wav.mov", 8_000, 1, "-c:a pcm_u8"),
        ("mp3.avi", 44_100, 2, "-c:a libmp3lame"),
        ("long.mkv", 44_100, 2, "-c:a pcm_f32le"),
    ] {
        let seconds = if name == "long.mkv" { 0.5 } else { 2.0 };
        let path = film(&folder, name, (seconds, 0.0), rate, voices, more);
        assert_same(&heard(&path), &decoded(&path, ""), name);
    }
}

#[test]
fn sound_that_begins_with_or_without_the_pictures_is_heard_at_its_time() {
    let folder = TempDir::new().expect("a folder");
    for (offset, shift) in [(0.3, 13_230), (1.25, 55_125), (3.5, 154_350), (-0.5, -22_050), (-1.2, -52_920)] {
        let path = film(&folder, "shifted.mkv", (2.5, offset), 44_100, 2, "-c:a pcm_s16le");
        let plain = decoded(&path, "");
        let silence = vec![[0, 0]; usize::try_from(shift).unwrap_or(0)];
        let (pictures, chunks) = both(open_with(&file(&path), with_sound()), usize::MAX);
        assert_same(&frames(&chunks), &[&silence[..], &plain[..]].concat(), &format!("{offset} s later"));
        // Where the sound is first, the pictures wait.
        let first = pictures[0].span.expect("a film").at;
        assert_eq!(frame_of(first), u64::try_from(-shift).unwrap_or(0), "{offset} s later");
    }
    // Stamps of a millisecond or less mean nothing: nothing is moved.
    let path = film(&folder, "close.mkv", (2.0, 0.001), 44_100, 2, "-c:a pcm_s16le");
    assert_same(&heard(&path), &decoded(&path, ""), "a millisecond");
}

#[test]
fn a_broadcast_cut_anywhere_keeps_sound_and_pictures_together() {
    let folder = TempDir::new().expect("a folder");
    // A codec without noise of its own, as AAC has, so that samples can be found again, give or take one.
    let whole = "-f lavfi -i testsrc2=size=160x120:rate=25:duration=8 -f lavfi -i aevalsrc=0.4*sin(2*PI*(300+90*t)*t) -t 8 \
                 -c:v libx264 -preset ultrafast -g 50 -qp 0 -pix_fmt yuv420p -c:a mp2 -ar 44100";
    let whole = make(&folder, "whole.ts", whole, &[]);
    let bytes = std::fs::read(&whole).expect("made");
    let cut = folder.path().join("cut.ts");
    std::fs::write(&cut, &bytes[bytes.len() / 4 / 188 * 188..]).expect("writable");
    let [(all, sound), (rest, cut)] = [&whole, &cut].map(|path| {
        let (pictures, chunks) = both(open_with(&file(path), with_sound()), usize::MAX);
        (pictures, frames(&chunks))
    });
    let number = all.iter().position(|picture| picture.planes() == rest[0].planes()).expect("one of the whole's");
    assert!(number > 25 && number + rest.len() == all.len(), "it begins with a later picture: {number}");
    let piece = &cut[20_000..20_400];
    let near = |(one, other): (&Frame, &Frame)| one[0].abs_diff(other[0]) <= 2;
    let at =
        sound.windows(piece.len()).position(|window| window.iter().zip(piece).all(near)).expect("the whole's sound");
    let [here, there] = [&all[number], &rest[0]].map(|picture| frame_of(picture.span.expect("a film").at) as usize);
    let skew = (at + there).abs_diff(20_000 + here);
    assert!(skew <= 2, "{skew} frames apart");
    // Sound that begins later than the pictures, in a format of which ffmpeg moves the zero.
    let late = film(&folder, "late.ts", (2.5, 0.5), 44_100, 2, "-c:a mp2");
    let stamp = |kind: &str| {
        let mut command = Command::new("ffprobe");
        command.args(["-v", "error", "-select_streams", kind, "-show_entries", "stream=start_time", "-of", "csv=p=0"]);
        let output = command.arg(&late).output().expect("ffprobe").stdout;
        String::from_utf8_lossy(&output)
            .split([',', '\n'])
            .find_map(|text| text.trim().parse::<f64>().ok())
            .expect("a stamp")
    };
    let meant = ((stamp("a:0") - stamp("v:0")) * 44_100.0).round() as usize;
    let (got, plain) = (heard(&late), decoded(&late, ""));
    let shift = got.len() - plain.len();
    // ffprobe rounds to a microsecond.
    assert!(meant > 15_000 && shift.abs_diff(meant) <= 1, "{shift} frames later, not {meant}");
    assert_same(&got[shift..], &plain, "half a second later");
    assert!(got[..shift].iter().all(|&frame| frame == [0, 0]));
}

#[test]
fn sound_of_a_camera_begins_with_its_pictures() {
    let control = crate::ffmpeg::Control::new().expect("an eventfd");
    let (reader, writer) = own_pipe();
    let heard = heard::Heard::of(crate::ffmpeg::Tap::new(reader, &control), None, backlog::Surplus::Wait, false)
        .expect("a thread");
    let (producer, consumer) = queue::bounded(1_000, WhenFull::Block, None);
    let voice = voice::Voice::start(Some(producer), voice::Manner { looped: false, by_arrival: true, silence: 0 });
    let voice = voice.expect("a thread");
    let gauge = voice.pass(Some(heard), MediaTime::ZERO);
    let writer = std::fs::File::from(writer);
    let write = |value: i16| {
        (&writer).write_all(&value.to_le_bytes().repeat(2 * 2_048)).expect("room");
        while rustix::io::ioctl_fionread(&writer).expect("a pipe") > 0 {
            std::thread::yield_now();
        }
        // The reader has it; it stamps it right away.
        std::thread::sleep(Duration::from_millis(100));
    };
    write(1);
    gauge.picture(MediaTime::ZERO, clock::now());
    std::thread::sleep(Duration::from_millis(100));
    write(2);
    write(3);
    drop((writer, gauge));
    voice.finish();
    let got = frames(&std::iter::from_fn(|| consumer.pop()).collect::<Vec<_>>());
    assert!(got.iter().all(|&frame| frame != [1, 1]), "what came before the first picture is left out");
    // 2 048 frames are 46 ms, and they came 100 ms after the picture: silence fills what is between.
    let silence = got.iter().take_while(|&&frame| frame == [0, 0]).count();
    assert!(silence >= 2_300, "{silence} frames of silence");
    assert_eq!(got.len(), silence + 2 * 2_048);
}

#[test]
fn a_minute_late_is_no_deadlock() {
    let folder = TempDir::new().expect("a folder");
    let path = film(&folder, "late.mkv", (100.0, 95.0), 8_000, 1, "-c:a pcm_s16le");
    let source = open_with(&file(&path), with_sound());
    let (producer, consumer) = queue::bounded(4, WhenFull::Block, None);
    let (sounding, listening) = queue::bounded(4, WhenFull::Block, None);
    let running = source.start(producer, Some(sounding));
    // All pictures first, not one chunk before: a server need not know that the sound is late.
    assert_eq!(std::iter::from_fn(|| consumer.pop()).count(), 2_500);
    let frames = std::iter::from_fn(|| listening.pop()).map(|chunk| chunk.frames.len()).sum::<usize>();
    assert_eq!(frames, (95 + 2) * RATE as usize);
    running.join().expect("a clean end");
}

#[test]
fn a_gap_in_the_sound_stays_a_gap() {
    let folder = TempDir::new().expect("a folder");
    let path = make(
        &folder,
        "gap.mkv",
        "-f lavfi -i testsrc2=size=64x48:rate=25:duration=4 -f lavfi -i aevalsrc=0.3*sin(2*PI*500*t):s=44100:d=4 -af \
         aselect=lt(t\\,1)+gte(t\\,3) -c:v mpeg4 -c:a pcm_s16le",
        &[],
    );
    let frames = heard(&path);
    assert!((frames.len() as i64 - 4 * 44_100).abs() < 2_048, "{} frames", frames.len());
    let loud = |second: f64| frames[(second * 44_100.0) as usize..][..2_000].iter().any(|frame| frame[0].abs() > 3_000);
    assert_eq!([0.5, 1.5, 2.5, 3.5].map(loud), [true, false, false, true]);
}

#[test]
fn each_pass_of_a_loop_is_as_long_as_its_pictures() {
    let folder = TempDir::new().expect("a folder");
    for (name, seconds, rate) in [("longer", 1.0, "25"), ("shorter", 3.0, "30000/1001"), ("much-longer", 0.12, "25")] {
        let arguments = format!(
            "-f lavfi -i testsrc2=size=64x48:rate={rate}:duration={seconds} -f lavfi -i \
             aevalsrc=0.4*sin(2*PI*(300+90*t)*t):s=44100:d=2 -c:v mpeg4 -c:a pcm_s16le"
        );
        let path = make(&folder, &format!("{name}.mov"), &arguments, &[]);
        let count = pictures(open_with(&file(&path), Options::default()), usize::MAX).len();
        let plain = decoded(&path, "");
        let source = open_with(&file(&path), Options { looped: true, ..with_sound() });
        let rate = source.info().rate;
        // A fourth pass begins: the third is whole then.
        let (_, chunks) = both(source, 3 * count + 1);
        let got = frames(&chunks);
        let mut meant = Vec::new();
        for pass in 1..=3 {
            let (start, end) = (meant.len(), frame_of(rate.media_time(pass * count as u64)) as usize);
            meant.extend_from_slice(&plain[..plain.len().min(end - start)]);
            meant.resize(end, [0, 0]);
        }
        // The last chunk of the third pass may wait for the fourth.
        let whole = meant.len() / FRAMES * FRAMES;
        assert!(got.len() >= whole, "{name}: {} of {} frames", got.len(), meant.len());
        assert_same(&got[..whole], &meant[..whole], name);
    }
}

#[test]
fn forty_passes_leave_no_pipe_and_no_thread() {
    let folder = TempDir::new().expect("a folder");
    let path = film(&folder, "short.mov", (0.12, 0.0), 8_000, 1, "-c:a pcm_s16le");
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).expect("Linux").count();
    let before = (count("fd"), count("task"));
    let source = open_with(&file(&path), Options { looped: true, ..with_sound() });
    let (producer, consumer) = queue::bounded(2, WhenFull::Block, None);
    let (sounding, listening) = queue::bounded(1_000, WhenFull::Block, None);
    let running = source.start(producer, Some(sounding));
    for _ in 0..3 * 40 {
        assert!(consumer.pop().is_some());
    }
    let after = (count("fd"), count("task"));
    running.stop();
    drop(listening);
    // Other tests run beside this one, but a pipe or a thread for each pass would be forty.
    assert!(after.0 < before.0 + 35 && after.1 < before.1 + 35, "{before:?} before, {after:?} after");
}

#[test]
fn gain_mono_and_noise_filters_do_what_they_say() {
    let folder = TempDir::new().expect("a folder");
    let path = film(&folder, "two.mkv", (2.0, 0.0), 44_100, 2, "-c:a pcm_s16le");
    let heard = |sound: SoundOptions| {
        let options = Options { sound: Some(sound), denoise: sound.denoise, ..Options::default() };
        frames(&both(open_with(&file(&path), options), usize::MAX).1)
    };
    let louder = heard(SoundOptions { gain_db: 3.0, ..SoundOptions::default() });
    assert_same(&louder, &decoded(&path, "-af volume=3dB"), "3 dB louder");
    let plain = decoded(&path, "");
    let mono: Vec<_> = plain.iter().map(|&frame| crate::media::sound::mono(frame)).collect();
    assert_same(&heard(SoundOptions { mono: true, ..SoundOptions::default() }), &mono, "mono");
    let clean = heard(SoundOptions { denoise: true, ..SoundOptions::default() });
    assert_eq!(clean.len(), plain.len(), "a filter takes no time away");
    assert!(clean != plain);
}

#[test]
fn a_track_is_chosen_or_the_tracks_are_listed() {
    let folder = TempDir::new().expect("a folder");
    let arguments = "-f lavfi -i testsrc2=size=64x48:rate=25:duration=1 -f lavfi -i sine=frequency=300:duration=1 -f \
                     lavfi -i sine=frequency=900:duration=1 -map 0 -map 1 -map 2 -c:v mpeg4 -c:a pcm_s16le \
                     -metadata:s:a:1 language=ger";
    let path = make(&folder, "two-tracks.mkv", arguments, &[]);
    let chosen = |track| {
        let sound = SoundOptions { track, ..SoundOptions::default() };
        try_open(&file(&path), Options { sound: Some(sound), ..Options::default() })
    };
    let rising = |source: Source| {
        let frames = frames(&both(source, usize::MAX).1);
        frames.windows(2).filter(|pair| pair[0][0] < 0 && pair[1][0] >= 0).count()
    };
    let [first, second, preferred] = [Some(0), Some(1), None].map(|track| rising(chosen(track).expect("a track")));
    assert!((299..=300).contains(&first) && (899..=900).contains(&second) && preferred == first);
    let error = chosen(Some(2)).err().expect("no third").to_string();
    assert!(error.contains("0 (pcm_s16le 44.1 kHz mono)") && error.contains("mono ger"), "{error}");
}

#[test]
fn a_film_without_sound_has_none_to_come() {
    let folder = TempDir::new().expect("a folder");
    let path = make(&folder, "mute.mp4", "-f lavfi -i testsrc2=size=64x48:rate=25:duration=1 -c:v mpeg4", &[]);
    let source = open_with(&file(&path), with_sound());
    assert!(!source.info().sound && source.info().details.ends_with(", no sound"));
    let (pictures, chunks) = both(source, usize::MAX);
    assert_eq!((pictures.len(), chunks.len()), (25, 0));
}

#[test]
fn a_film_on_stdin_brings_its_sound() {
    let folder = TempDir::new().expect("a folder");
    let path = film(&folder, "piped.mkv", (2.0, 0.0), 48_000, 2, "-c:a pcm_s16le");
    let source = open_pipe(std::fs::File::open(&path).expect("made").into(), with_sound()).expect("a film");
    let (pictures, chunks) = both(source, usize::MAX);
    assert_eq!(pictures.len(), 50);
    assert_same(&frames(&chunks), &decoded(&path, ""), "stdin");
    let song = make(&folder, "song.wav", "-f lavfi -i sine=frequency=300:duration=1", &[]);
    let source = open_pipe(std::fs::File::open(&song).expect("made").into(), with_sound()).expect("a song");
    let (pictures, chunks) = both(source, usize::MAX);
    assert_eq!(pictures.len(), 25);
    assert_same(&frames(&chunks), &decoded(&song, ""), "a song on stdin");
}

#[test]
fn the_test_card_flashes_when_it_beeps() {
    for (text, pace) in [("test:64x48@30", PaceChoice::File), ("test:64x48@25", PaceChoice::Live)] {
        let input: Input = text.parse().expect("a test card");
        let source = open_with(&input, Options { pace, ..with_sound() });
        let (size, rate) = (source.info().size, source.info().rate);
        let (mut pictures, chunks) = both(source, 33);
        let got = frames(&chunks);
        assert!(got.len() as u64 + 2 * FRAMES as u64 > frame_at(rate, 32), "{} frames", got.len());
        let (card, peak) = (Card::new(size, rate), |frames: &[Frame]| frames.iter().map(|frame| frame[0]).max());
        for picture in &mut pictures {
            picture.draw();
            let start = frame_at(rate, picture.number.into()) as usize;
            let Some(frames) = got.get(start..start + 200) else { continue };
            let ((_, y), (width, _)) = card.flash_area();
            let white = picture.planes()[0][(y * width) as usize] == 255;
            assert_eq!(white, start % (RATE as usize) < BEEP as usize, "picture {}", picture.number);
            assert_eq!(white, peak(frames) > Some(10_000), "picture {}: what is seen is heard", picture.number);
        }
    }
}
