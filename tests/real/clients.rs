//! Clients that others may begin from, against a real server: the one in Python, and the one on the library. And the one
//! in Python against what no server does yet.
#![expect(clippy::disallowed_types, reason = "a server of another kind")]

use std::net::UdpSocket;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::ensure;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use udpstream::units::{MediaTime, Rate, Size, Unit};
use udpstream::wire::description::Smaller;
use udpstream::wire::message::{Accept, Message, bye};
use udpstream::wire::object::{ObjectHeader, Type, flags};
use udpstream::wire::tlv::Tlvs;
use udpstream::wire::{Description, Hop, Kind};

use crate::films::psnr;
use crate::machine::measured;
use crate::program::{END, SAMPLE, Server, figures, watch};

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

fn in_python(arguments: &[&str]) -> Command {
    let mut command = Command::new(python());
    command.arg("-B").arg(WATCH).args(arguments);
    command
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
    let in_theirs = measured(|| {
        let server = Server::start(serve);
        let arguments = [&server.address(), "--headless", "--frames", &frames, "--save", &theirs];
        let output = in_python(&arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!((number(&output, "shown"), number(&output, "rejected")), (n as i64 + 1, 0));
        let (last, damaged) = (number(&output, "last"), number(&output, "damaged"));
        ensure!((last, damaged) == (n as i64, 0), "{last} instead of {n} was shown last, and {damaged} were damaged");
        assert!(slices(number(&output, "slices")), "{serve:?}: {} slices", number(&output, "slices"));
        Ok(())
    });
    let in_ours = measured(|| {
        let server = Server::start(serve);
        let shown = figures(&watch(&server.address(), &["--frames", &frames, "--snapshot", &ours]));
        let others = ["lost", "late", "thinned", "damaged"].map(|name| shown[format!("pictures_{name}")].as_u64());
        ensure!(others == [Some(0); 4], "another picture than {n} was shown last: {shown}");
        Ok(())
    });
    let (Some(()), Some(())) = (in_theirs, in_ours) else { return };
    let [ours, theirs] = [ours, theirs].map(|path| image::open(path).unwrap().to_rgb8());
    assert_eq!(ours.dimensions(), theirs.dimensions());
    // OpenCV smooths the chroma across MCUs, the program does not: 34.5 dB at the edges of the colour bars.
    let psnr = psnr(ours.as_raw(), theirs.as_raw());
    assert!(psnr >= 32.0, "picture {n} of {serve:?}: {psnr:.1} dB");
}

#[test]
fn the_python_client_shows_whole_pictures() {
    shows_the_same(&["test:640x360@25"], 19, |slices| slices >= 20);
}

#[test]
fn the_python_client_puts_slices_together() {
    shows_the_same(&["test:640x360@25", "--datagram", "1200"], 19, |slices| slices > 10 * 20);
}

#[test]
fn the_python_client_shows_a_film() {
    shows_the_same(&[SAMPLE, "--width", "320", "--datagram", "1452"], 9, |slices| slices > 10 * 10);
}

#[test]
fn the_python_client_stays_to_the_end_and_says_goodbye() {
    measured(|| {
        let server = Server::start(&["test:320x180@25", "--frames", "25", "--datagram", "1200"]);
        let output = in_python(&[&server.address(), "--headless"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (code, sent) = server.end(END);
        assert_eq!(code, 0);
        ensure!(sent["pictures_skipped"] == 0, "pictures were left out: {sent}");
        assert_eq!(sent["pictures_sent"], 25);
        let (shown, last) = (number(&output, "shown"), number(&output, "last"));
        ensure!((shown, last) == (25, 24), "{shown} were shown, {last} last; {sent}");
        Ok(())
    });
}

#[test]
fn the_python_client_says_in_one_sentence_what_is_wrong() {
    let nobody = ["127.0.0.1:9", "--headless", "--timeout", "0.5"];
    for (arguments, code, said) in [
        (&nobody[..], 3, "error: nobody answers at 127.0.0.1:9: check that"),
        (&["not a host:0", "--headless"], 2, "is no server: write HOST"),
        (&["127.0.0.1:9"], 1, "error: there is no display: use --headless"),
        (&["127.0.0.1:9", "--no-such-flag"], 2, "unrecognized arguments"),
    ] {
        let mut command = in_python(arguments);
        let output = command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(said) && !text.contains("Traceback"), "{said:?} in {text}");
    }
}

#[test]
fn the_client_on_the_library_counts_pictures_and_leaves() {
    let server = Server::start(&["test:320x180@25", "--frames", "150", "--datagram", "1200"]);
    let address = server.address().parse().unwrap();
    let (shown, ended) = client::client(&address, Some(10)).unwrap();
    assert!(shown == 10 && ended.is_none(), "{shown} pictures, {ended:?}");
    let (shown, ended) = client::client(&address, None).unwrap();
    assert!((1..=150).contains(&shown) && ended.is_none(), "{shown} pictures, {ended:?}");
    assert_eq!(server.end(END).0, 0);
}

/// A server for one watcher that sends what is prepared, asks for its path, and says goodbye.
struct Prepared {
    socket: UdpSocket,
    sequence: u32,
}

const SIZE: Size = Size::new(64, 48);
const SESSION: u64 = 0x0123_4567_89ab_cdef;

impl Prepared {
    fn send(&mut self, to: std::net::SocketAddr, kind: Kind, body: &[u8]) {
        let sequence = if kind.is_sequenced() { self.sequence } else { 0 };
        self.sequence += u32::from(kind.is_sequenced());
        let tag = if kind == Kind::CHALLENGE { 0 } else { SESSION as u32 };
        let hop = Hop { kind, tag, sequence, sent_at: 1_000_000 + sequence };
        self.socket.send_to(&[&hop.to_bytes(), body].concat(), to).unwrap();
    }

    fn say(&mut self, to: std::net::SocketAddr, message: &Message<'_>) {
        let mut body = Vec::new();
        message.emit(&mut body);
        self.send(to, message.kind(), &body);
    }

    fn welcome(&mut self, to: std::net::SocketAddr, nonce: u64, whole: &[u8]) {
        let tlvs = Tlvs::default();
        let (session, clock, report_interval_ms, silence_limit_ms, sound_port) = (SESSION, 1, 50, 3_000, 0);
        let accept = Accept { nonce, session, clock, report_interval_ms, silence_limit_ms, sound_port, token: 0, tlvs };
        self.say(to, &Message::Accept(accept));
        let (title, rate) = ("prepared".to_owned(), Rate::new(25, 1).unwrap());
        let ended = Some(Unit(3));
        let description = Description {
            title,
            size: SIZE,
            smaller: Smaller::NONE,
            rate,
            length: None,
            live: false,
            sound: false,
            ended,
            sound_ended: None,
            film: None,
        };
        let mut body = Vec::new();
        description.emit(&mut body);
        let pictures = [
            object(Type::DESCRIPTION, 1, flags::LAST, (0, 1), &body),
            object(Type::PICTURE, 0, flags::LAST | flags::WHOLE, (0, 1), whole),
            object(Type::PICTURE, 1, flags::LAST | flags::SAME, (0, 1), &[]),
            // The other half of the last picture never comes.
            object(Type::PICTURE, 2, 0, (0, 2), whole),
        ];
        let mut damaged = pictures[2].clone();
        damaged[16] ^= 1;
        self.send(to, Kind::OBJECT, &damaged);
        pictures.iter().for_each(|object| self.send(to, Kind::OBJECT, object));
        self.say(to, &Message::PathCheck { token: *b"whereto?" });
        self.say(to, &Message::Bye { session: SESSION, code: bye::ENDED, sentence: "All is said." });
    }

    /// Serves one watcher; returns what it said of its path, and whether it said goodbye.
    fn serve(mut self, whole: &[u8]) -> (Option<[u8; 8]>, bool) {
        let (mut path, mut buffer, mut welcomed) = (None, [0; 2_048], false);
        while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            let (hop, body) = Hop::parse(&buffer[..length]).unwrap();
            match Message::parse(hop.kind, body).unwrap() {
                Message::Hello { nonce, .. } => {
                    self.say(from, &Message::Challenge { nonce, cookie: [7; 24], server_nonce: 9, publish_key: None });
                }
                Message::Join(join) if !welcomed => {
                    assert_eq!(join.cookie, [7; 24]);
                    welcomed = true;
                    self.welcome(from, join.nonce, whole);
                }
                Message::PathReply { session: SESSION, token } => path = Some(token),
                Message::Bye { session: SESSION, code: bye::LEAVING, .. } => return (path, true),
                _ => {}
            }
        }
        (path, false)
    }
}

fn object(kind: Type, unit: u32, flags: u16, (part, parts): (u16, u16), body: &[u8]) -> Vec<u8> {
    let media_time = MediaTime::ZERO;
    let (stream, unit, rendition, cut, tables, format, x8, y8) = (1, Unit(unit), 0, 0, 0, 0, 0, 0);
    let mut out = Vec::new();
    let header = ObjectHeader {
        kind,
        flags,
        stream,
        rendition,
        cut,
        tables,
        format,
        unit,
        part,
        parts,
        media_time,
        size: SIZE,
        x8,
        y8,
    };
    header.emit(&mut out, |out| out.extend_from_slice(body));
    out
}

#[test]
fn the_python_client_obeys_what_no_server_sends_yet() {
    let picture = RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8 * 4, y as u8 * 5, 128]));
    let mut whole = Vec::new();
    JpegEncoder::new_with_quality(&mut whole, 95).encode_image(&picture).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || Prepared { socket, sequence: 0 }.serve(&whole));
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("last.png");
    let output = in_python(&[&address, "--headless", "--save", saved.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let figures = ["shown", "damaged", "rejected", "last"].map(|name| number(&output, name));
    assert_eq!(figures, [3, 1, 1, 2], "the whole picture, the same again, half of one; one object damaged");
    assert_eq!(server.join().unwrap(), (Some(*b"whereto?"), true), "the path's answer, and a goodbye");
    let psnr = psnr(image::open(saved).unwrap().to_rgb8().as_raw(), picture.as_raw());
    assert!(psnr >= 34.0, "{psnr:.1} dB");
}
