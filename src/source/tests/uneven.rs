//! Films whose pictures lie unevenly, in every container: each picture and each beep comes at its stamp.

use super::sound::{both, frames, with_sound};
use super::*;
use crate::media::sound;

/// What a film's pictures are counted in: a fiftieth of a second.
const GRID: f64 = 50.0;
const SECONDS: usize = 4;
/// As close to its stamp as each must come.
const NEAR: f64 = 0.020;

/// Numbers of the pictures that are there: every second one, then a burst, then few, and the last.
fn numbers() -> Vec<usize> {
    (0..SECONDS * 50).filter(|&n| is_there(n)).collect()
}

fn is_there(n: usize) -> bool {
    match n / 50 {
        0 => n.is_multiple_of(2),
        2 => true,
        _ => n.is_multiple_of(10) || n == SECONDS * 50 - 1,
    }
}

/// Greys that tell the number of a picture, but for a multiple of 25; each second begins with a beep of a tenth.
fn film(folder: &TempDir, name: &str, coded: &str) -> PathBuf {
    let pictures = format!(
        "color=black:size=64x48:rate=50:duration={SECONDS},geq=lum='40+7*mod(N\\,25)':cb=128:cr=128,\
         select='if(lt(t\\,1)\\,not(mod(n\\,2))\\,if(between(n\\,100\\,149)\\,1\\,not(mod(n\\,10))+eq(n\\,{})))'",
        SECONDS * 50 - 1
    );
    let beeps = format!("aevalsrc=0.5*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.1):s=44100:d={SECONDS}");
    let inputs = format!("-f lavfi -i {pictures} -f lavfi -i {beeps}");
    let sound = if coded.contains("-c:a") { "-map 0 -map 1" } else { "-map 0" };
    make(folder, name, &format!("{inputs} {sound} -fps_mode vfr {coded}"), &[])
}

/// Each picture's number, but for a multiple of 25, and when it is due; the same one again is left out.
fn seen(pictures: &[Picture]) -> Vec<(usize, f64)> {
    let of = |picture: &Picture| {
        let mean = picture.planes()[0].iter().map(|&grey| f64::from(grey)).sum::<f64>() / (64.0 * 48.0);
        (((mean * 219.0 / 255.0 + 16.0 - 40.0) / 7.0).round() as usize, picture.span.expect("a film").at.seconds())
    };
    let mut seen: Vec<_> = pictures.iter().map(of).collect();
    seen.dedup_by_key(|(number, _)| *number);
    seen
}

/// When each beep begins.
fn beeps(frames: &[[i16; 2]]) -> Vec<f64> {
    let (mut beeps, mut last) = (Vec::new(), usize::MAX);
    for (at, _) in frames.iter().enumerate().filter(|(_, frame)| frame[0].unsigned_abs() > 4_000) {
        if last == usize::MAX || at - last > sound::RATE as usize / 4 {
            beeps.push(at as f64 / f64::from(sound::RATE));
        }
        last = at;
    }
    beeps
}

fn assert_at_their_stamps(seen: &[(usize, f64)], begun: f64, name: &str) {
    let meant = numbers();
    let greys = |numbers: &[usize]| numbers.iter().map(|n| n % 25).collect::<Vec<_>>();
    assert_eq!(seen.iter().map(|(grey, _)| *grey).collect::<Vec<_>>(), greys(&meant), "{name}: each picture once");
    // Where the last picture of Theora stands, only the picture behind it could tell; its sound lasts longer anyway.
    let told = if name.ends_with("ogg") { meant.len() - 1 } else { meant.len() };
    for ((_, at), number) in seen.iter().zip(&meant).take(told) {
        let stamp = *number as f64 / GRID;
        assert!((at - begun - stamp).abs() <= NEAR, "{name}: picture {number} of {stamp} s at {:.3}", at - begun);
    }
}

/// In a program stream only pictures of more than 2 kB have stamps of their own: the noise makes them so large.
const CONTAINERS: [(&str, &str); 9] = [
    ("uneven.avi", "-c:v mpeg4 -qscale:v 2 -c:a pcm_s16le"),
    ("uneven.flv", "-c:v flv1 -qscale:v 2 -c:a libmp3lame"),
    ("uneven.asf", "-c:v msmpeg4 -qscale:v 2 -c:a libmp3lame"),
    ("uneven.ts", "-c:v libx264 -preset ultrafast -c:a mp2 -b:a 192k"),
    ("uneven.mpg", "-vf noise=alls=30:allf=t -c:v mpeg2video -qscale:v 2 -maxrate 9M -bufsize 2M -c:a mp2 -b:a 192k"),
    ("uneven.ogg", "-c:v libtheora -qscale:v 9 -c:a libvorbis"),
    ("uneven.mp4", "-c:v libx264 -c:a aac"),
    ("uneven.mkv", "-c:v libx264 -preset ultrafast -c:a pcm_s16le"),
    ("uneven.gif", "-final_delay 300"),
];

#[test]
fn each_picture_and_beep_of_an_uneven_film_comes_at_its_stamp() {
    let folder = TempDir::new().expect("a folder");
    for (name, coded) in CONTAINERS {
        let path = film(&folder, name, coded);
        let (pictures, chunks) = both(open_with(&file(&path), with_sound()), usize::MAX);
        let begun = pictures[0].span.expect("a film").at.seconds();
        assert_at_their_stamps(&seen(&pictures), begun, name);
        let mut end = pictures[pictures.len() - 1].span.expect("a film").end().seconds() - begun;
        if name.ends_with("gif") {
            // Its last picture stands for three seconds.
            end -= 2.98;
        }
        assert!(name.ends_with("ogg") || (end - SECONDS as f64).abs() <= NEAR, "{name}: over after {end:.3} s");
        let beeps = beeps(&frames(&chunks));
        assert_eq!(beeps.len(), if coded.contains("-c:a") { SECONDS } else { 0 }, "{name}: {beeps:?}");
        for (second, beep) in beeps.iter().enumerate() {
            assert!((beep - begun - second as f64).abs() <= NEAR, "{name}: the beep of {second} s at {beep:.3}");
        }
    }
}

/// Stamps of pictures, and beginnings of beeps, from the first picture on.
fn times(path: &Path) -> (Vec<f64>, Vec<f64>) {
    let (pictures, chunks) = both(open_with(&file(path), with_sound()), usize::MAX);
    let stamps: Vec<_> = pictures.iter().map(|picture| picture.span.expect("a film").at.seconds()).collect();
    let begun = stamps[0];
    (stamps.iter().map(|at| at - begun).collect(), beeps(&frames(&chunks)).iter().map(|at| at - begun).collect())
}

fn assert_near(got: &[f64], meant: &[f64], near: f64, what: &str) {
    let off = got.iter().zip(meant).map(|(got, meant)| (got - meant).abs()).fold(0.0, f64::max);
    assert!(got.len() == meant.len() && off <= near, "{what}: {got:.3?}, not {meant:.3?}");
}

#[test]
fn pictures_that_lie_far_apart_in_a_broadcast_are_no_jumps() {
    let folder = TempDir::new().expect("a folder");
    // With B-frames the orders of decoding and of showing differ by whole gaps.
    let films = [("sparse", 0, 10, 4, "libx264 -bf 3"), ("slides", 50, 750, 45, "mpeg2video")];
    for (name, dense, every, seconds, codec) in films {
        let arguments = format!(
            "-f lavfi -i testsrc2=size=64x48:rate=50:duration={seconds},select='lt(n\\,{dense})+not(mod(n\\,{every}))' -f lavfi -i \
             aevalsrc=0.5*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.1):s=44100:d={seconds} -fps_mode vfr -c:v {codec} \
             -c:a mp2 -b:a 192k"
        )
        .replace("\\\\", "\\");
        let path = make(&folder, &format!("{name}.ts"), &arguments, &[]);
        let (pictures, beeps) = times(&path);
        let meant = (0..seconds * 50).filter(|n| *n < dense || n % every == 0).map(|n| n as f64 / GRID);
        let meant: Vec<_> = meant.collect();
        assert_near(&pictures, &meant, NEAR, name);
        assert_near(&beeps, &(0..seconds).map(|second| second as f64).collect::<Vec<_>>(), NEAR, name);
    }
}

#[test]
fn films_that_were_joined_go_on_with_sound_and_pictures_together() {
    let folder = TempDir::new().expect("a folder");
    let piece = "-f lavfi -i testsrc2=size=64x48:rate=25:duration=3 -f lavfi -i \
                 aevalsrc=0.5*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.1):s=44100:d=3";
    let first = make(&folder, "first.ts", &format!("{piece} -c:v mpeg2video -c:a mp2"), &[]);
    let later = format!("-i {} -c copy -output_ts_offset 500", first.display());
    let later = make(&folder, "later.ts", &later, &[]);
    let flash = make(&folder, "piece.flv", &format!("{piece} -c:v flv1 -c:a libmp3lame"), &[]);
    // The header and the size before it: 13 bytes.
    for (name, one, other, header) in
        [("back.ts", &first, &first, 0), ("ahead.ts", &first, &later, 0), ("joined.flv", &flash, &flash, 13)]
    {
        let (mut bytes, other) = (std::fs::read(one).expect("made"), std::fs::read(other).expect("made"));
        bytes.extend_from_slice(&other[header..]);
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("writable");
        let (pictures, beeps) = times(&path);
        assert_near(&pictures, &(0..150).map(|n| f64::from(n) / 25.0).collect::<Vec<_>>(), 0.1, name);
        assert_near(&beeps, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 0.1, name);
    }
}

#[test]
fn a_film_that_is_decoded_while_it_is_looked_at_is_an_ordinary_one() {
    let folder = TempDir::new().expect("a folder");
    let control = crate::ffmpeg::Control::new().expect("an eventfd");
    let pictures = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1";
    let ordinary = make(&folder, "a.mp4", &format!("{pictures} -f lavfi -i sine=d=1 -c:v libx264 -c:a aac"), &[]);
    let mute = make(&folder, "b.mp4", &format!("{pictures} -c:v libx264"), &[]);
    let heard_first = format!("-i {} -map 0:a -map 0:v -c copy", ordinary.display());
    let heard_first = make(&folder, "c.mov", &heard_first, &[]);
    let turned = make(&folder, "d.mp4", &format!("-i {} -c copy -metadata:s:v:0 rotate=90", ordinary.display()), &[]);
    let films = [
        (&ordinary, None, true),
        (&ordinary, Some(100), true),
        (&mute, None, true),
        (&heard_first, None, true),
        (&turned, Some(100), false),
    ];
    for (path, width, fits) in films {
        let options = Options { width, ..with_sound() };
        let child = guess::start(&file(path), &options, &control, backlog::Surplus::Wait).expect("its name is usual");
        let (reading, found) = file::look(&file(path), &control).expect("a film");
        let plan = file::plan(reading, &found, &options).expect("pictures");
        assert_eq!(child.adapted_to(&plan).is_some(), fits, "{} at {width:?}", path.display());
    }
    let noise = folder.path().join("noise.mp4");
    for bytes in [&b""[..], b"\0\0\0\x01moov\xff", b"\0\0\0\x04ftyp", b"\0\0\0\0moovhdlr", &[0xff; 64]] {
        std::fs::write(&noise, bytes).expect("writable");
        assert!(guess::start(&file(&noise), &with_sound(), &control, backlog::Surplus::Wait).is_none());
    }
    control.stop();
}

#[test]
fn so_it_is_in_each_pass_of_a_loop() {
    let folder = TempDir::new().expect("a folder");
    for (name, coded) in [CONTAINERS[0], CONTAINERS[3], CONTAINERS[6]] {
        let path = film(&folder, name, coded);
        let pass = pictures(open_with(&file(&path), with_sound()), usize::MAX).len();
        let (pictures, chunks) = both(open_with(&file(&path), Options { looped: true, ..with_sound() }), 2 * pass + 1);
        let (first, second) = pictures[..2 * pass].split_at(pass);
        let begun = |pass: &[Picture]| pass[0].span.expect("a film").at.seconds();
        assert_at_their_stamps(&seen(first), begun(first), name);
        assert_at_their_stamps(&seen(second), begun(second), name);
        assert!((begun(second) - begun(first) - SECONDS as f64).abs() <= NEAR, "{name}: {:.3}", begun(second));
        let beeps = beeps(&frames(&chunks));
        assert!(beeps.len() >= 2 * SECONDS, "{name}: {beeps:?}");
        for (number, beep) in beeps.iter().take(2 * SECONDS).enumerate() {
            let zero = begun(if number < SECONDS { first } else { second });
            let off = beep - zero - (number % SECONDS) as f64;
            assert!(off.abs() <= NEAR, "{name}: beep {number} at {beep:.3}");
        }
    }
}

#[test]
fn a_rate_that_was_asked_for_is_exact_and_moves_no_picture() {
    let folder = TempDir::new().expect("a folder");
    // Of Theora ffmpeg sees gaps one picture too late, and so does its filter for the rate.
    for (name, coded) in CONTAINERS.into_iter().filter(|(name, _)| !name.ends_with("ogg")) {
        let path = film(&folder, name, coded);
        for fps in [25.0, 60.0] {
            let options = Options { rate: Rate::from_fps(fps), ..with_sound() };
            let pictures = pictures(open_with(&file(&path), options), usize::MAX);
            let spans: Vec<_> = pictures.iter().map(|picture| picture.span.expect("a film")).collect();
            let begun = spans[0].at.seconds();
            // The last picture of the GIF stands for three seconds.
            let seconds = SECONDS as f64 + if name.ends_with("gif") { 2.98 } else { 0.0 };
            assert!((spans.len() as f64 - seconds * fps).abs() <= 1.0, "{name} at {fps}: {}", spans.len());
            for (number, span) in spans.iter().enumerate() {
                let off = span.at.seconds() - begun - number as f64 / fps;
                assert!(off.abs() < 1e-5, "{name} at {fps}: picture {number} off by {off}");
            }
            for (grey, at) in seen(&pictures) {
                let stamp = |number: usize| number as f64 / GRID;
                let off = |number: &usize| (at - begun - stamp(*number)).abs();
                let same = numbers().into_iter().filter(|number| number % 25 == grey);
                let near = same.map(|number| off(&number)).fold(f64::MAX, f64::min);
                assert!(near <= NEAR + 0.001, "{name} at {fps}: grey {grey} at {at:.3} is {near:.3} s off");
            }
        }
    }
}
