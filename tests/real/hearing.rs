//! Sound from the film to the file and to the loudspeaker.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use udpstream::media::sound::{Frame, RATE};

use crate::machine::measured;
use crate::program::{END, Film, Server, all_shown, figures, program, watch};
use crate::sound;

/// What ffmpeg itself makes of a film's sound.
fn decoded(film: &str) -> Vec<u8> {
    let arguments = ["-v", "error", "-i", film, "-vn", "-ac", "2", "-ar", "44100", "-f", "s16le", "-"];
    let output = Command::new("ffmpeg").args(arguments).output().unwrap();
    assert!(output.status.success() && !output.stdout.is_empty());
    output.stdout
}

/// The samples of a WAV file.
fn samples(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    let data = bytes.windows(4).position(|word| word == b"data").expect("a WAV file");
    bytes[data + 8..].to_vec()
}

/// Makes a film with ffmpeg; `arguments` are split at spaces.
fn make(path: &Path, arguments: &str) {
    let status = Command::new("ffmpeg").args(["-v", "error"]).args(arguments.split(' ')).arg(path).status().unwrap();
    assert!(status.success(), "{arguments}");
}

#[test]
fn who_is_there_from_the_start_keeps_the_films_own_sound_to_the_last_sample() {
    let folder = tempfile::tempdir().unwrap();
    let [long, song] = ["long.mkv", "song.flac"].map(|name| folder.path().join(name));
    // Mono, another rate, and a second longer than the pictures.
    let tone = "-f lavfi -i sine=f=300:r=22050:d=2";
    make(&long, &format!("{tone} -f lavfi -i testsrc2=s=160x96:r=25:d=1 -c:v mpeg4 -c:a pcm_s16le"));
    make(&song, &format!("{tone} -c:a flac"));
    let clip = Film::clip();
    // A song's card has 25 pictures a second.
    for (film, pictures) in [(&clip.path, clip.pictures), (&text(&long), 25), (&text(&song), 50)] {
        let wav = folder.path().join("kept.wav");
        measured(|| {
            let server = Server::start(&[film]);
            let shown = figures(&watch(&server.address(), &["--record", &text(&wav), "--force"]));
            let (code, sent) = server.end(END);
            assert_eq!(code, 0);
            ensure!(shown["audio"]["lost"] == 0, "{film}: {shown}");
            let (expected, kept) = (decoded(film), samples(&wav));
            assert_eq!(kept.len(), expected.len(), "{film}: {shown}");
            assert!(kept == expected, "{film}: another sound");
            all_shown(pictures, &sent, &shown)
        });
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_test_card_is_heard_without_gaps_and_at_its_rate() {
    if !sound::is_there() {
        return;
    }
    measured(|| {
        let recorder = sound::Recorder::start();
        let server = Server::start(&["test:160x96@25"]);
        let heard = figures(&watch(&server.address(), &["--duration", "6"]));
        let (frames, _) = recorder.stop();
        let audio = &heard["audio"];
        println!("{audio}");
        ensure!(audio["chunks"].as_u64() > Some(800) && audio["open"] == true, "{audio}");
        ensure!(audio["underruns"] == 0 && audio["device_underruns"] == 0, "{audio}");
        let beeps = beeps(&frames);
        ensure!(beeps.len() >= 4, "{} beeps; {audio}", beeps.len());
        beeps.windows(2).skip(1).try_for_each(|pair| is_whole_second(&frames[pair[0]..pair[1]]))
    });
}

/// From a beep to the next.
fn is_whole_second(frames: &[Frame]) -> anyhow::Result<()> {
    // While the delay shrinks, a second is up to a millisecond shorter, and the servo has its own small say.
    ensure!(frames.len().abs_diff(RATE as usize) < 200, "a second has {} frames", frames.len());
    // Between the beeps there is a tone of 440 Hz: its steps are small, and it is never away.
    let hum = &frames[5_000..frames.len() - 500];
    let step = hum.windows(2).map(|two| two[0][0].abs_diff(two[1][0])).max().unwrap();
    ensure!(step < 260, "a step of {step}, where the tone has 205");
    let least = hum.chunks_exact(256).map(|some| some.iter().map(|frame| frame[0].unsigned_abs()).max().unwrap()).min();
    ensure!(least > Some(3_000), "a hole: {least:?}");
    Ok(())
}

/// Where each beep begins.
fn beeps(frames: &[Frame]) -> Vec<usize> {
    let (mut found, mut last) = (Vec::new(), None);
    for (n, _) in frames.iter().enumerate().filter(|(_, frame)| frame[0].unsigned_abs() > 8_000) {
        if last.is_none_or(|last| n - last > RATE as usize / 5) {
            found.push(n);
        }
        last = Some(n);
    }
    found
}

#[test]
fn without_a_loudspeaker_pictures_go_on_and_sound_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let wav = folder.path().join("kept.wav");
    measured(|| {
        let server = Server::start(&["test:160x96@25", "--frames", "60"]);
        let output = program()
            .args(["watch", &server.address(), "--headless", "--stats", "json", "--record", &text(&wav), "--force"])
            .env("ALSA_CONFIG_PATH", "/dev/null")
            .output()
            .unwrap();
        let shown = figures(&output);
        assert_eq!(shown["audio"]["open"], false, "{shown}");
        assert!(samples(&wav).len() > 2 * 4 * RATE as usize);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("ALSA"), "the system's library does not talk over us: {errors}");
        all_shown(60, &server.end(END).1, &shown)
    });
}

#[test]
fn sound_is_left_out_where_it_is_not_wanted() {
    for (serving, watching) in [(&["--no-audio"][..], &[][..]), (&[], &["--no-audio"])] {
        measured(|| {
            let server = Server::start(&[&["test:160x96@25", "--frames", "25"], serving].concat());
            let shown = figures(&watch(&server.address(), watching));
            let (code, sent) = server.end(END);
            assert_eq!((code, &shown["audio"]), (0, &serde_json::Value::Null), "{shown}");
            all_shown(25, &sent, &shown)?;
            // A chunk of sound would be one more.
            ensure!(sent["datagrams"] == shown["datagrams"], "{sent} {shown}");
            Ok(())
        });
    }
}

#[test]
fn a_busy_sound_port_is_a_sentence_with_advice() {
    let other = Server::start(&["test:160x96"]);
    let port = other.port.to_string();
    let command =
        ["serve", "test:160x96", "--no-announce", "--port", "0", "--bind", "127.0.0.1", "--audio-port", &port];
    let output = program().args(command).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains(&port) && errors.contains("--audio-port"), "{errors}");
}
