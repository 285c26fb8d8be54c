//! Films from end to end: complete, at every datagram size, in their colours.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::program::{END, SAMPLE, Server, Watcher, figures, made, program, summary, wait, watch};

/// A film of another size, rate and length, with soft content in HD or SD colour.
fn film(folder: &Path) -> PathBuf {
    let path = folder.join("film.mkv");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "gradients=s=854x480:r=30000/1001:d=3:speed=0.02:seed=7"])
        .args(["-vf", "scale=out_color_matrix=bt601:out_range=tv,format=yuv420p", "-colorspace", "smpte170m"])
        .args(["-color_range", "tv", "-c:v", "libx264", "-crf", "12"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    path
}

fn whole_film(path: &str, pictures: u64, extra: &[&str], largest: u64) {
    whole_film_watched(path, pictures, extra, largest, &[]);
}

fn whole_film_watched(path: &str, pictures: u64, extra: &[&str], largest: u64, watching: &[&str]) {
    let server = Server::start(&[&[path], extra].concat());
    let output = watch(&server.address(), watching);
    let figures = figures(&output);
    let (code, sent) = server.end(END);
    assert_eq!((code, &sent["end"]), (0, &Value::from("end")));
    let made = made(pictures, &sent);
    assert_eq!(sent["pictures_sent"], made);
    for (name, expected) in [("pictures_shown", made), ("pictures_lost", 0), ("pictures_damaged", 0)] {
        assert_eq!(figures[name], expected, "{extra:?}: {name} in {figures}");
    }
    assert_eq!(figures["pictures_late"], 0, "{figures}");
    assert!(figures["pictures_thinned"].as_u64() <= Some(pictures - made), "{figures}");
    assert_eq!(figures["end"], "end");
    let sent_largest = sent["largest_datagram"].as_u64().unwrap();
    assert!(
        sent_largest <= largest && (largest > 9_000 || sent_largest > largest / 2),
        "{sent_largest} bytes at --datagram {largest}"
    );
}

#[test]
fn the_sample_film_arrives_whole_at_every_datagram_size() {
    whole_film(SAMPLE, 132, &[], 65_488);
    whole_film(SAMPLE, 132, &["--datagram", "1452"], 1_452);
    whole_film(SAMPLE, 132, &["--datagram", "1200"], 1_200);
}

/// The buffer that an ordinary system grants: small pictures leave it room for a machine that halts for a moment.
#[test]
fn an_ordinary_receive_buffer_is_enough() {
    let small = ["--width", "320", "--datagram", "1200"];
    whole_film_watched(SAMPLE, 132, &small, 1_200, &["--receive-buffer", "212992"]);
}

#[test]
fn a_film_of_another_size_rate_and_length_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path());
    let path = film.to_str().unwrap();
    whole_film(path, 90, &[], 65_488);
    whole_film(path, 90, &["--datagram", "1452"], 1_452);
    whole_film(path, 90, &["--datagram", "1200"], 1_200);
}

/// True RGB of picture `n`, by ffmpeg with the right matrix and no shortcuts.
pub fn true_rgb(film: &str, n: u64, matrix: &str) -> Vec<u8> {
    let filter = format!(
        "select=eq(n\\,{n}),scale=in_color_matrix={matrix}:in_range=tv:out_range=pc:\
         flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp,format=rgb24"
    );
    let raw = Command::new("ffmpeg")
        .args(["-v", "error", "-i", film, "-vf", &filter, "-frames:v", "1", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    assert!(raw.status.success());
    raw.stdout
}

pub fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    10.0 * (255.0 * 255.0 * a.len() as f64 / squares).log10()
}

fn shown_is_true(film: &str, n: u64, matrix: &str, folder: &Path) {
    let server = Server::start(&[film]);
    let shot = folder.join(format!("shot{n}.png"));
    let frames = (n + 1).to_string();
    let output = watch(&server.address(), &["--frames", &frames, "--snapshot", shot.to_str().unwrap()]);
    assert_eq!(figures(&output)["end"], "limit");
    let shown = image::open(&shot).unwrap().to_rgb8().into_raw();
    let psnr = psnr(&shown, &true_rgb(film, n, matrix));
    assert!(psnr >= 38.0, "picture {n} of {film}: {psnr:.1} dB");
}

#[test]
fn what_is_shown_has_the_colours_of_the_film() {
    let folder = tempfile::tempdir().unwrap();
    for n in [0, 40, 100] {
        shown_is_true(SAMPLE, n, "bt709", folder.path());
    }
    let film = film(folder.path());
    shown_is_true(film.to_str().unwrap(), 20, "bt601", folder.path());
}

#[test]
fn one_watcher_is_killed_and_another_does_not_notice() {
    let server = Server::start(&[SAMPLE, "--loop", "--duration", "8"]);
    let victim = Watcher::start(&server.address());
    let watching = Watcher::start(&server.address());
    // SIGKILL: it cannot say goodbye.
    drop(victim);
    let (code, figures) = watching.end();
    assert_eq!(code, 0);
    assert_eq!((&figures["pictures_lost"], &figures["pictures_damaged"]), (&0.into(), &0.into()), "{figures}");
    // Eight seconds of 25 pictures, less the one or two before joining; the film went round after five.
    assert!(figures["pictures_shown"].as_u64().unwrap() > 100, "{figures}");
    let (code, sent) = server.end(Duration::from_secs(10));
    assert_eq!((code, &sent["end"]), (0, &Value::from("limit")));
}

#[test]
fn the_test_card_and_a_pipe_need_no_film() {
    let server = Server::start(&["test:320x180@60", "--frames", "60"]);
    let shown = figures(&watch(&server.address(), &[]));
    let (code, sent) = server.end(END);
    assert_eq!((code, &sent["pictures_sent"]), (0, &60.into()), "{sent}");
    assert_eq!((&shown["pictures_shown"], &shown["pictures_lost"]), (&60.into(), &0.into()), "{shown}");

    let mut y4m = Command::new("ffmpeg")
        .args(["-v", "error", "-i", SAMPLE, "-frames:v", "50", "-vf", "scale=320:180", "-f", "yuv4mpegpipe", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pipe = y4m.stdout.take().unwrap();
    let mut serving = program()
        .args(["serve", "-", "--port", "0", "--bind", "127.0.0.1", "--stats", "json"])
        .stdin(pipe)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(serving.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let port = serde_json::from_str::<Value>(&line).unwrap()["port"].as_u64().unwrap();
    let shown = figures(&watch(&format!("127.0.0.1:{port}"), &[]));
    assert_eq!(wait(&mut serving, END), 0);
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    let whole = made(50, &summary(&text));
    assert_eq!((&shown["pictures_shown"], &shown["pictures_lost"]), (&whole.into(), &0.into()), "{shown}");
    y4m.wait().unwrap();
}
