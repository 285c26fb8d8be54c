//! Sound from the film to the file and to the loudspeaker.

use std::path::Path;
use std::process::Command;

use udpstream::media::sound::{Frame, RATE};

use crate::program::{END, SAMPLE, Server, figures, made, program, summary, watch};
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
    let tone = "-f lavfi -i sine=f=300:r=22050:d=3";
    make(&long, &format!("{tone} -f lavfi -i testsrc2=s=160x96:r=25:d=2 -c:v mpeg4 -c:a pcm_s16le"));
    make(&song, &format!("{tone} -c:a flac"));
    for (film, pictures) in [(SAMPLE, 132), (long.to_str().unwrap(), 50), (song.to_str().unwrap(), 75)] {
        let wav = folder.path().join("kept.wav");
        let server = Server::start(&[film]);
        let shown = figures(&watch(&server.address(), &["--record", wav.to_str().unwrap(), "--force"]));
        let (expected, kept) = (decoded(film), samples(&wav));
        assert_eq!(kept.len(), expected.len(), "{film}: {shown}");
        assert!(kept == expected, "{film}: another sound");
        let (code, sent) = server.end(END);
        assert_eq!((code, &shown["audio"]["lost"]), (0, &0.into()), "{film}: {shown}");
        assert_eq!(shown["pictures_shown"], made(pictures, &sent), "{film}: {shown}");
    }
}

#[test]
fn the_test_card_is_heard_without_gaps_and_at_its_rate() {
    if !sound::is_there() {
        return;
    }
    let recorder = sound::Recorder::start();
    let server = Server::start(&["test:160x96@25"]);
    let heard = figures(&watch(&server.address(), &["--duration", "7"]));
    let (frames, _) = recorder.stop();
    let audio = &heard["audio"];
    println!("{audio}");
    assert!(audio["chunks"].as_u64().unwrap() > 1_000 && audio["open"] == true, "{audio}");
    if audio["underruns"] != 0 || audio["device_underruns"] != 0 {
        println!("this machine is too busy to play without gaps, so there is nothing to measure");
        return;
    }
    // Where the device itself stood still for a moment, the second that it was in says nothing of the program.
    let steady = audio["skew_ms"]["max"].as_f64().unwrap() < 5.0;
    let beeps = beeps(&frames);
    assert!(beeps.len() >= 4, "{} beeps", beeps.len());
    let seconds: Vec<_> = beeps.windows(2).skip(1).map(|pair| pair[0]..pair[1]).collect();
    // While the delay shrinks, a second is up to a millisecond shorter, and the servo has its own small say.
    let (whole, odd): (Vec<_>, Vec<_>) =
        seconds.into_iter().partition(|second| second.len().abs_diff(RATE as usize) < 200);
    assert!(!whole.is_empty() && (!steady || odd.is_empty()), "seconds that are not: {odd:?}");
    println!("{} whole seconds, others {odd:?}", whole.len());
    for second in whole {
        // Between the beep and the next, a tone of 440 Hz: its steps are small, and it is never away.
        let hum = &frames[second.start + 5_000..second.end - 500];
        let step = hum.windows(2).map(|two| two[0][0].abs_diff(two[1][0])).max().unwrap();
        assert!(step < 260, "a step of {step}, where the tone has 205");
        let least =
            hum.chunks_exact(256).map(|some| some.iter().map(|frame| frame[0].unsigned_abs()).max().unwrap()).min();
        assert!(least > Some(3_000), "a hole: {least:?}");
    }
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
    let server = Server::start(&["test:160x96@25", "--frames", "60"]);
    let output = program()
        .args(["watch", &server.address(), "--headless", "--stats", "json", "--record", wav.to_str().unwrap()])
        .env("ALSA_CONFIG_PATH", "/dev/null")
        .output()
        .unwrap();
    let shown = figures(&output);
    assert_eq!((&shown["pictures_shown"], &shown["audio"]["open"]), (&60.into(), &false.into()), "{shown}");
    assert!(samples(&wav).len() > 2 * 4 * RATE as usize);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("ALSA"), "the system's library does not talk over us: {errors}");
}

#[test]
fn sound_is_left_out_where_it_is_not_wanted() {
    let server = Server::start(&["test:160x96@25", "--no-audio", "--frames", "25"]);
    let shown = figures(&watch(&server.address(), &[]));
    assert_eq!((&shown["pictures_shown"], &shown["audio"]), (&25.into(), &serde_json::Value::Null));
    assert_eq!(server.end(END).0, 0);

    let server = Server::start(&["test:160x96@25", "--frames", "50"]);
    let output = watch(&server.address(), &["--no-audio"]);
    let shown = summary(&String::from_utf8_lossy(&output.stdout));
    // A chunk takes 1 088 bytes; 2 s of them would be 375 kB.
    let (_, sent) = server.end(END);
    assert_eq!((&shown["pictures_shown"], &shown["audio"]), (&50.into(), &serde_json::Value::Null));
    assert_eq!(sent["datagrams"].as_u64().unwrap() - shown["datagrams"].as_u64().unwrap(), 0, "{sent}");
}

#[test]
fn a_busy_sound_port_is_a_sentence_with_advice() {
    let other = Server::start(&["test:160x96"]);
    let port = other.port.to_string();
    let command = ["serve", "test:160x96", "--port", "0", "--bind", "127.0.0.1", "--audio-port", &port];
    let output = program().args(command).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains(&port) && errors.contains("--audio-port"), "{errors}");
}
