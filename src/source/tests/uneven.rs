//! Films whose pictures lie unevenly, in every container: each picture and each beep comes at its stamp.

use super::sound::{both, frames, with_sound};
use super::*;
use crate::media::sound::RATE as FRAMES_A_SECOND;

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
        0 => n % 2 == 0,
        2 => true,
        _ => n % 10 == 0 || n == SECONDS * 50 - 1,
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
        if last == usize::MAX || at - last > FRAMES_A_SECOND as usize / 4 {
            beeps.push(at as f64 / f64::from(FRAMES_A_SECOND));
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
    ("uneven.gif", "-final_delay 2"),
];

#[test]
fn each_picture_and_beep_of_an_uneven_film_comes_at_its_stamp() {
    let folder = TempDir::new().expect("a folder");
    for (name, coded) in CONTAINERS {
        let path = film(&folder, name, coded);
        let (pictures, chunks) = both(open_with(&file(&path), with_sound()), usize::MAX);
        let begun = pictures[0].span.expect("a film").at.seconds();
        assert_at_their_stamps(&seen(&pictures), begun, name);
        let end = pictures[pictures.len() - 1].span.expect("a film").end().seconds() - begun;
        assert!(name.ends_with("ogg") || (end - SECONDS as f64).abs() <= NEAR, "{name}: over after {end:.3} s");
        let beeps = beeps(&frames(&chunks));
        assert_eq!(beeps.len(), if coded.contains("-c:a") { SECONDS } else { 0 }, "{name}: {beeps:?}");
        for (second, beep) in beeps.iter().enumerate() {
            assert!((beep - begun - second as f64).abs() <= NEAR, "{name}: the beep of {second} s at {beep:.3}");
        }
    }
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
            assert!((spans.len() as f64 - SECONDS as f64 * fps).abs() <= 1.0, "{name} at {fps}: {}", spans.len());
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
