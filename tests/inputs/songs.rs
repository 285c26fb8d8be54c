//! Files of sound only, and films whose sound is odd.

use super::program::{film, serve, shown};

#[test]
fn a_song_is_shown_as_a_card() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let cover = film(at, "cover.png", "-f lavfi -i testsrc2=size=64x64 -frames:v 1");
    let tone = "-f lavfi -i sine=duration=0.2:sample_rate=44100";
    for (name, arguments) in [
        ("song.wav", tone.to_owned()),
        ("song.mp4", format!("{tone} -c:a aac")),
        ("song.flac", tone.to_owned()),
        ("covered.mp3", format!("{tone} -i {cover} -map 0 -map 1 -disposition:v attached_pic")),
    ] {
        let (listening, summary) = shown(&film(at, name, &arguments), &[], &[]);
        assert_eq!((listening["width"].as_u64(), listening["height"].as_u64()), (Some(640), Some(360)), "{name}");
        assert_eq!(listening["fps_num"], 25, "{name}");
        // Encoders add a few hundredths of a second of silence.
        let pictures = summary["pictures_shown"].as_u64().unwrap();
        assert!((5..=8).contains(&pictures), "{name}: {summary}");
    }
    let wide = shown(&film(at, "song.wav", tone), &["--width", "320", "--fps", "50"], &[]);
    assert_eq!((wide.0["height"].as_u64(), wide.1["pictures_shown"].as_u64()), (Some(180), Some(10)));
}

#[test]
fn flags_about_sound_are_taken_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = film(
        folder.path(),
        "two.mkv",
        "-f lavfi -i testsrc2=size=160x120:rate=25:duration=0.4 -f lavfi -i sine=duration=0.4 -c:v libx264 -preset \
         ultrafast -c:a pcm_s16le",
    );
    for flags in [&["--no-audio"][..], &["--denoise"], &["--mono", "--audio-gain", "-6", "--audio-track", "0"]] {
        let (_, summary) = shown(&path, flags, &[]);
        assert_eq!(summary["pictures_shown"], 10, "{flags:?}");
    }
    for (flags, words) in [
        (&["--audio-track", "1000"][..], "0 to 999"),
        (&["--audio-gain", "90"], "-60 to 60"),
        (&["--audio-gain", "NaN"], "-60 to 60"),
    ] {
        serve(&path, flags).end().says(2, &[words]);
    }
}
