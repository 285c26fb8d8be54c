//! Clients that others may begin from, against a real server: the one in Python, and the one on the library.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::films::psnr;
use crate::program::{SAMPLE, Server, figures, watch};

// The example as it stands, but for its `main`.
#[allow(dead_code, reason = "an example's main is not called here")]
#[path = "../../examples/client.rs"]
mod client;

const WATCH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/python/watch.py");

/// The Python that has OpenCV: the system's, or the one on the PATH.
fn python() -> &'static str {
    let system = Command::new("/usr/bin/python3").args(["-c", "import cv2"]).output();
    if system.is_ok_and(|output| output.status.success()) { "/usr/bin/python3" } else { "python3" }
}

fn in_python(arguments: &[&str]) -> Output {
    Command::new(python()).arg(WATCH).args(arguments).output().unwrap()
}

/// The words `name=number` of the client's last line.
fn number(output: &Output, name: &str) -> i64 {
    let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let words = text.lines().last().unwrap_or_default().split(' ').filter_map(|word| word.split_once('='));
    let found = words.filter(|(other, _)| *other == name).find_map(|(_, value)| value.parse().ok());
    found.unwrap_or_else(|| panic!("no {name} in {text:?}; {said}"))
}

/// The client and the program show the same picture `n` of this source.
fn shows_the_same(serve: &[&str], n: u64, slices: impl Fn(i64) -> bool) {
    let folder = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["ours.png", "theirs.png"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let frames = (n + 1).to_string();
    let server = Server::start(serve);
    let output = in_python(&[&server.address(), "--headless", "--frames", &frames, "--save", &theirs]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((number(&output, "shown"), number(&output, "last")), (n as i64 + 1, n as i64), "every picture is shown");
    assert_eq!((number(&output, "damaged"), number(&output, "rejected")), (0, 0));
    assert!(slices(number(&output, "slices")), "{serve:?}: {} slices", number(&output, "slices"));
    drop(server);
    let server = Server::start(serve);
    figures(&watch(&server.address(), &["--frames", &frames, "--snapshot", &ours]));
    let [ours, theirs] = [ours, theirs].map(|path| image::open(path).unwrap().to_rgb8());
    assert_eq!(ours.dimensions(), theirs.dimensions());
    // OpenCV smooths the chroma across MCUs, the program does not.
    let psnr = psnr(ours.as_raw(), theirs.as_raw());
    assert!(psnr >= 34.0, "picture {n} of {serve:?}: {psnr:.1} dB");
}

#[test]
fn the_python_client_shows_what_the_program_shows() {
    let card = "test:640x360@25";
    shows_the_same(&[card], 19, |slices| slices >= 20);
    shows_the_same(&[card, "--datagram", "1200"], 19, |slices| slices > 10 * 20);
    shows_the_same(&[SAMPLE, "--width", "320", "--datagram", "1452"], 9, |slices| slices > 10 * 10);
}

#[test]
fn the_python_client_stays_to_the_end_and_says_goodbye() {
    let server = Server::start(&["test:320x180@25", "--frames", "25", "--datagram", "1200"]);
    let output = in_python(&[&server.address(), "--headless"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((number(&output, "shown"), number(&output, "last")), (25, 24));
    // A server whose watchers have all answered does not wait out its second.
    let (code, sent) = server.end(Duration::from_secs(2));
    assert_eq!((code, &sent["pictures_sent"]), (0, &Value::from(25)));
}

#[test]
fn the_python_client_says_in_one_sentence_what_is_wrong() {
    let nobody = ["127.0.0.1:9", "--headless", "--timeout", "0.5"];
    for (arguments, code, said) in [
        (&nobody[..], 3, "error: nobody answers at 127.0.0.1:9: check that"),
        (&["not a host:0", "--headless"], 2, "is no server: write HOST"),
        (&["127.0.0.1:9", "--no-such-flag"], 2, "unrecognized arguments"),
    ] {
        let output = in_python(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(said) && !text.contains("Traceback"), "{said:?} in {text}");
    }
}

#[test]
fn the_client_on_the_library_counts_pictures_and_leaves() {
    let server = Server::start(&["test:320x180@25", "--frames", "25", "--datagram", "1200"]);
    let address = server.address().parse().unwrap();
    let (shown, ended) = client::client(&address, Some(10)).unwrap();
    assert!(shown == 10 && ended.failed.is_none(), "{shown} pictures, {:?}", ended.failed);
    let (shown, ended) = client::client(&address, None).unwrap();
    assert!((1..=25).contains(&shown) && ended.failed.is_none(), "{shown} pictures, {:?}", ended.failed);
    assert_eq!(server.end(Duration::from_secs(2)).0, 0);
}
