//! Films from end to end: complete, at every datagram size, in their colours.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::ensure;
use serde_json::Value;

use crate::machine::measured;
use crate::program::{END, Film, Server, Watcher, all_shown, figures, handed, program, summary, wait, watch};

/// A film of another size, rate and length, with soft content in SD colour.
fn film(folder: &Path) -> Film {
    let path = folder.join("film.mkv");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "gradients=s=854x480:r=30000/1001:d=1.5:speed=0.02:seed=7"])
        .args(["-vf", "scale=out_color_matrix=bt601:out_range=tv,format=yuv420p", "-colorspace", "smpte170m"])
        .args(["-color_range", "tv", "-c:v", "libx264", "-crf", "12"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    Film::new(&path)
}

fn arrives_whole(film: &Film, serving: &[&str], largest: u64, watching: &[&str]) {
    measured(|| {
        let server = Server::start(&[&[film.path.as_str()], serving].concat());
        let shown = figures(&watch(&server.address(), watching));
        let (code, sent) = server.end(END);
        assert_eq!((code, &sent["end"], &shown["end"]), (0, &"end".into(), &"end".into()));
        let sent_largest = sent["largest_datagram"].as_u64().unwrap();
        assert!(
            sent_largest <= largest && (largest > 9_000 || sent_largest > largest / 2),
            "{sent_largest} bytes at --datagram {largest}"
        );
        all_shown(film.pictures, &sent, &shown)
    });
}

fn arrives_whole_at_every_datagram_size(film: &Film) {
    arrives_whole(film, &[], 65_488, &[]);
    arrives_whole(film, &["--datagram", "1452"], 1_452, &[]);
    arrives_whole(film, &["--datagram", "1200"], 1_200, &[]);
}

#[test]
fn the_sample_film_arrives_whole_at_every_datagram_size() {
    arrives_whole_at_every_datagram_size(Film::clip());
}

/// The buffer that an ordinary system grants: small pictures leave it room for a machine that halts for a moment.
#[test]
fn an_ordinary_receive_buffer_is_enough() {
    let small = ["--width", "320", "--datagram", "1200"];
    arrives_whole(Film::clip(), &small, 1_200, &["--receive-buffer", "212992"]);
}

#[test]
fn a_film_of_another_size_rate_and_length_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    arrives_whole_at_every_datagram_size(&film(folder.path()));
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
    let shot = folder.join(format!("shot{n}.png"));
    let taken = measured(|| {
        let server = Server::start(&[film, "--no-adapt"]);
        let frames = (n + 1).to_string();
        let shown = figures(&watch(&server.address(), &["--frames", &frames, "--snapshot", shot.to_str().unwrap()]));
        assert_eq!((&shown["end"], handed(&shown)), (&"limit".into(), n + 1), "{shown}");
        let others = ["pictures_lost", "pictures_late", "pictures_thinned"].map(|name| shown[name].as_u64().unwrap());
        ensure!(others == [0; 3], "another picture than {n} was shown last: {shown}");
        Ok(())
    });
    if taken.is_none() {
        return;
    }
    let shown = image::open(&shot).unwrap().to_rgb8().into_raw();
    let psnr = psnr(&shown, &true_rgb(film, n, matrix));
    assert!(psnr >= 38.0, "picture {n} of {film}: {psnr:.1} dB");
}

#[test]
fn what_is_shown_has_the_colours_of_the_film() {
    let folder = tempfile::tempdir().unwrap();
    for n in [0, 20, 40] {
        shown_is_true(&Film::clip().path, n, "bt709", folder.path());
    }
    shown_is_true(&film(folder.path()).path, 20, "bt601", folder.path());
}

#[test]
fn one_watcher_is_killed_and_another_does_not_notice() {
    measured(|| {
        let server = Server::start(&[&Film::clip().path, "--loop", "--duration", "5"]);
        let victim = Watcher::start(&server.address());
        let watching = Watcher::start(&server.address());
        // SIGKILL: it cannot say goodbye.
        drop(victim);
        let (code, shown) = watching.end();
        let (ended, sent) = server.end(END);
        assert_eq!((code, ended, &sent["end"]), (0, 0, &Value::from("limit")));
        let count = |name: &str| shown[name].as_u64().unwrap();
        let bad = ["lost", "late", "damaged", "thinned"].map(|name| count(&format!("pictures_{name}")));
        ensure!(bad == [0; 4], "{shown}");
        // Five seconds of 25 pictures, less what the victim needed for its first second of figures.
        ensure!(count("pictures_shown") > 75, "{shown}");
        Ok(())
    });
}

#[test]
fn the_test_card_and_a_pipe_need_no_film() {
    measured(|| {
        let server = Server::start(&["test:320x180@60", "--frames", "60"]);
        let shown = figures(&watch(&server.address(), &[]));
        let (code, sent) = server.end(END);
        assert_eq!(code, 0);
        all_shown(60, &sent, &shown)
    });
    measured(|| {
        let (sent, shown) = piped(50);
        all_shown(50, &sent, &shown)
    });
}

/// Summaries of a server that reads so many pictures from a pipe, and of its watcher.
fn piped(pictures: u32) -> (Value, Value) {
    let mut y4m = Command::new("ffmpeg")
        .args(["-v", "error", "-i", &Film::clip().path, "-frames:v", &pictures.to_string()])
        .args(["-vf", "scale=320:180", "-f", "yuv4mpegpipe", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pipe = y4m.stdout.take().unwrap();
    let mut serving = program()
        .args(["serve", "-", "--no-announce", "--port", "0", "--bind", "127.0.0.1", "--stats", "json"])
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
    y4m.wait().unwrap();
    (summary(&text), shown)
}
