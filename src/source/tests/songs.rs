//! Sound without pictures: songs shown as a card, and sound taken out alone.

use super::sound::{assert_same, both, decoded, film, frames, with_sound};
use super::*;
use crate::text::meter;

#[test]
fn a_song_is_shown_as_a_card_that_follows_it() {
    let folder = TempDir::new().expect("a folder");
    let cover = make(&folder, "cover.png", "-f lavfi -i testsrc2=size=64x64 -frames:v 1", &[]);
    // Half a second of quiet, half a second of loud, and a bit.
    let loudness = "-f lavfi -i aevalsrc=(0.01+0.5*gte(t\\,0.5))*sin(2*PI*400*t)|0:s=44100:d=1.03";
    let covered = format!("{loudness} -i {} -map 0 -map 1 -disposition:v attached_pic", cover.display());
    for (name, arguments) in [
        ("song.wav", loudness.to_owned()),
        ("song.flac", loudness.to_owned()),
        ("song.mp3", covered.clone()),
        ("song.m4a", format!("{loudness} -c:a aac")),
    ] {
        let path = make(&folder, name, &arguments, &[]);
        let source = open_with(&file(&path), with_sound());
        let info = source.info().clone();
        assert_eq!((info.size, info.rate.fps(), info.title.as_str()), (Size::new(640, 360), 25.0, name));
        assert!(info.sound && info.details.ends_with("no pictures"), "{}", info.details);
        let (pictures, chunks) = both(source, usize::MAX);
        let (got, meant) = (frames(&chunks), decoded(&path, ""));
        assert_same(&got, &meant, name);
        assert_eq!(pictures.len(), meant.len().div_ceil(1_764), "{name}");
        let lit = |picture: &Picture, side: u32| {
            let ((x, y), (width, height)) = meter::bar(picture.size, side);
            let row = (y as usize + height as usize / 2) * 640 + x as usize;
            picture.planes()[0][row..row + width as usize].iter().filter(|&&luma| luma > 50).count()
        };
        assert!(lit(&pictures[5], 0) * 3 / 2 < lit(&pictures[20], 0), "{name}: louder is longer");
        assert!(lit(&pictures[20], 1) < 10, "{name}: the right side is silent");
    }
    let path = folder.path().join("song.wav");
    let wide = Options { width: Some(320), looped: true, ..with_sound() };
    let (shown, chunks) = both(open_with(&file(&path), wide), 3 * 26);
    assert_eq!((shown.len(), shown[0].size), (78, Size::new(320, 180)));
    let (got, plain) = (frames(&chunks), decoded(&path, ""));
    let mut pass = plain.clone();
    pass.resize(26 * 1_764, [0, 0]);
    assert_same(&got[..2 * pass.len()], &pass.repeat(2), "two passes");
    assert_eq!(pictures(open_with(&file(&path), Options::default()), usize::MAX).len(), 26, "without sound as well");
}

#[test]
fn listening_gives_what_ffmpeg_decodes() {
    let folder = TempDir::new().expect("a folder");
    let late = film(&folder, "late.mkv", (2.0, 1.0), 48_000, 2, "-c:a pcm_s16le");
    let stopper = || Stopper::new().expect("an eventfd");
    for path in [Path::new(SAMPLE), &late] {
        let mut listening = listen(&file(path), SoundOptions::default(), &stopper()).expect("sound");
        let mut got = Vec::new();
        while let Some(frames) = listening.next_frames().expect("no failure") {
            got.extend(frames);
        }
        // Its own time is all that counts: nothing is put before it.
        assert_same(&got, &decoded(path, ""), &path.display().to_string());
    }
    let mute = make(&folder, "mute.mp4", "-f lavfi -i testsrc2=size=64x48:rate=25:duration=1 -c:v mpeg4", &[]);
    for (input, words) in [
        (file(&mute), "has no sound in it"),
        (file(folder.path().join("none.mp4")), "was not found"),
        (Input::Stdin, "has no sound to take out"),
    ] {
        let error = listen(&input, SoundOptions::default(), &stopper()).err().expect("nothing").to_string();
        assert!(error.contains(words), "{error}");
    }
}
