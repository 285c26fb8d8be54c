//! Failure as a picture and a sentence, and the way back.
#![expect(clippy::disallowed_types, reason = "a server of another kind, and a port that nobody has")]

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use udpstream::text::layout::TextLayout;
use udpstream::text::{Engine, Folders};
use udpstream::units::Size;
use udpstream::wire::message::{Message, Refuse, RefuseCode};
use udpstream::wire::tlv::Tlvs;
use udpstream::wire::{Hop, Kind};

use crate::program::{SAMPLE, Server, program};
use crate::screen::{self, Viewer, until};

/// Whether these words, and no others, stand on the screen, pixel by pixel; behind them is what was there before, dark.
fn reads(shot: &RgbImage, title: &str, lines: &[&str]) -> bool {
    is_set_as(shot, &TextLayout::new(size_of(shot), title, lines))
}

fn size_of(shot: &RgbImage) -> Size {
    Size::new(shot.width() as u16, shot.height() as u16)
}

fn is_set_as(shot: &RgbImage, layout: &TextLayout) -> bool {
    let size = size_of(shot);
    let mut expected = vec![0; size.pixels()];
    layout.draw(&mut expected, size.width.into(), WHITE, GREY);
    let near = |(pixel, wanted): (&Rgb<u8>, &u32)| {
        let wanted = [wanted >> 16, wanted >> 8, *wanted].map(|part| part as u8);
        pixel.0.iter().zip(wanted).all(|(part, wanted)| part.abs_diff(wanted) <= DARK)
    };
    shot.pixels().zip(&expected).all(near)
}

const WHITE: u32 = 0x00FF_FFFF;
const GREY: u32 = 0x00BE_BEBE;
/// The brightest that a picture behind a card is.
const DARK: u8 = 16;

fn card(viewer: &Viewer, title: &str, lines: &[&str]) {
    until(title, || reads(&viewer.shot(), title, lines));
    let whole = format!("{title} – udpstream");
    until(&whole, || viewer.title() == whole);
}

/// Quits, and checks that the same words were said on stderr.
fn quit(viewer: Viewer, sentences: &[&str]) {
    let (code, _, said) = viewer.quit();
    assert_eq!(code, 0, "{said}");
    for sentence in sentences {
        assert!(said.contains(sentence), "{sentence:?} in {said}");
    }
}

const BACK: &str = "The picture comes back by itself when it is served again; q quits.";

#[test]
fn nobody_there_a_server_gone_and_its_return() {
    if !screen::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // A port that was free a moment ago.
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let address = format!("127.0.0.1:{port}");
    let mut viewer = Viewer::start(&address, &[], folder.path());
    let nobody = format!("Nobody answers at {address}");
    let advice = "Check that `udpstream serve` runs there, its port, and firewalls in between (UDP).";
    card(&viewer, &nobody, &[advice, "Still trying, four times a second."]);

    let serve = || Server::start(&["test:640x360@25", "--port", &port]);
    let server = serve();
    let start = Instant::now();
    viewer.event("playing");
    // A second is the promise, kept to the millisecond in virtual time; here the machine may be busy.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    until("its title", || viewer.title() == "test card – udpstream");

    // SIGKILL: no goodbye.
    drop(server);
    let silent = format!("{address} has fallen silent");
    let why = "Its program, its machine or the network has stopped.";
    card(&viewer, &silent, &[why, "Looking for it; the picture comes back by itself."]);
    let server = serve();
    let start = Instant::now();
    viewer.event("playing");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());

    // Stopped in good order.
    server.interrupt();
    card(&viewer, &format!("{address} has stopped"), &["The server was stopped.", BACK]);
    assert_eq!(server.end(crate::program::END).0, 0);
    let _server = serve();
    viewer.event("playing");
    until("a picture again", || viewer.title() == "test card – udpstream");
    quit(viewer, &[&nobody, &silent, "has stopped. The server was stopped.", "Back: test card"]);
}

#[test]
fn the_end_of_a_film_is_a_card() {
    if !screen::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&[SAMPLE, "--frames", "20"]);
    let viewer = Viewer::start(&server.address(), &[], folder.path());
    card(&viewer, "The stream is over", &["It came to its end.", BACK]);
    assert_eq!(server.end(crate::program::END).0, 0);
    quit(viewer, &["The stream is over. It came to its end."]);
}

/// A server that refuses everybody.
fn refuser(code: RefuseCode, versions: (u8, u8), sentence: &'static str) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut buffer = [0; 2_048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let Ok((hop, body)) = Hop::parse(&buffer[..length]) else { continue };
            let Ok(Message::Hello { nonce, .. }) = Message::parse(hop.kind, body) else { continue };
            let (highest, lowest) = versions;
            let tlvs = Tlvs::default();
            let refuse = Refuse { nonce, highest, lowest, code, retry_after_ms: 60_000, sentence, tlvs };
            let mut datagram = Hop::unsequenced(Kind::REFUSE, 0, 0).to_bytes().to_vec();
            // Bytes 0 to 3 tell the version.
            datagram[2] = highest;
            Message::Refuse(refuse).emit(&mut datagram);
            socket.send_to(&datagram, from).unwrap();
        }
    });
    port
}

#[test]
fn each_refusal_is_a_card() {
    if !screen::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let leave = "Somebody has to leave first; trying again by itself.";
    let again = "Trying again by itself.";
    for (code, versions, words, advice) in [
        (
            RefuseCode::VERSION,
            (2, 2),
            "Only version 2 here.",
            "Install the same release of udpstream on both machines.",
        ),
        (RefuseCode::FULL, (1, 1), "The server is full.", leave),
        (RefuseCode::TOO_MANY_FROM_ADDRESS, (1, 1), "Too many of you.", leave),
        (RefuseCode::BUSY, (1, 1), "Too many joined.", "Trying again in a moment."),
        (RefuseCode::NO_SUCH_STREAM, (1, 1), "No such stream.", "Check the name behind the address."),
        (RefuseCode::ROLE, (1, 1), "Watchers only.", again),
        (RefuseCode(999), (1, 1), "A later reason.", again),
    ] {
        let address = format!("127.0.0.1:{}", refuser(code, versions, words));
        let viewer = Viewer::start(&address, &[], folder.path());
        card(&viewer, &format!("{address} refused"), &[words, advice]);
        quit(viewer, &[&format!("{address} refused. {words} {advice}")]);
    }
}

#[test]
fn words_of_every_script_stand_on_the_screen_as_they_are_set_with_the_systems_fonts_and_without() {
    if !screen::is_there() {
        return;
    }
    const WORDS: &str = "Ελλάδα и Россия: مرحبا، שלום, नमस्ते, สวัสดี, 中文, 日本語 👍";
    let folder = tempfile::tempdir().unwrap();
    for folders in [Folders::from_environment(), Folders::These(Vec::new())] {
        let has_fonts = folders != Folders::These(Vec::new());
        let mut engine = Engine::new(folders);
        engine.wait();
        let address = format!("127.0.0.1:{}", refuser(RefuseCode(999), (1, 1), WORDS));
        let mut command = program();
        command.args(["watch", &address, "--stats", "json"]).current_dir(folder.path());
        if !has_fonts {
            command.env("UDPSTREAM_FONTS", "");
        }
        let viewer = Viewer::of(command);
        let (title, lines) = (format!("{address} refused"), [WORDS, "Trying again by itself."]);
        until("words of every script", || {
            let shot = viewer.shot();
            is_set_as(&shot, &TextLayout::with(&mut engine, size_of(&shot), &title, &lines))
        });
        quit(viewer, &[WORDS]);
    }
}

#[test]
fn a_machine_without_a_network_says_so() {
    let mut alone = Command::new("unshare");
    alone.args(["--net", "--map-root-user", env!("CARGO_BIN_EXE_udpstream"), "watch", "127.0.0.1:9688"]);
    alone.args(["--headless", "--timeout", "3"]);
    let output = alone.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("unshare") {
        eprintln!("not run: this system gives nobody a network of its own ({said})");
        return;
    }
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("No way to 127.0.0.1:9688"), "{said}");
}
