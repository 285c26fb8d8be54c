//! Addresses without an end, from an ffmpeg that sends to one.

use std::net::UdpSocket;
use std::process::Child;

use super::*;
use crate::queue::Consumer;

/// An ffmpeg that sends pictures and a tone, killed with the test.
struct Sender(Child);

impl Sender {
    fn start(port: u16) -> Self {
        let pictures =
            "-v error -re -f lavfi -i testsrc2=size=160x120:rate=25 -re -f lavfi -i sine=440:sample_rate=48000";
        let coded = "-c:v mpeg2video -g 10 -c:a mp2 -f mpegts";
        let mut command = Command::new("ffmpeg");
        command.args(pictures.split(' ')).args(coded.split(' ')).arg(format!("udp://127.0.0.1:{port}?pkt_size=1316"));
        Self(command.stdin(Stdio::null()).spawn().expect("ffmpeg is installed"))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn until_loud(chunks: &Consumer<Chunk>) {
    let loud = |chunk: &Chunk| chunk.frames.iter().any(|[left, _]| left.unsigned_abs() > 1_000);
    assert!((0..8_000).any(|_| chunks.pop().is_some_and(|chunk| loud(&chunk))), "never heard");
}

/// Takes pictures until there is news.
fn until_news(running: &Running, pictures: &Consumer<Picture>) -> News {
    (0..8_000).find_map(|_| pictures.pop().and_then(|_| running.news())).expect("news")
}

#[test]
fn an_address_that_falls_silent_is_a_card_until_it_sends_again() {
    let port = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let sender = Sender::start(port);
    let options = Options { sound: Some(SoundOptions::default()), ..Options::default() };
    let source = open_with(&Input::Url(format!("udp://127.0.0.1:{port}")), options);
    let Info { size, pace, sound, details, .. } = source.info().clone();
    assert_eq!((size, pace, sound), (Size::new(160, 120), Pace::Live, true));
    assert!(details.starts_with("mpeg2video 160×120, 25 fps, mp2"), "{details}");
    let (out, pictures) = queue::bounded(10, WhenFull::DropOldest, None);
    let (sound, chunks) = queue::bounded(100, WhenFull::DropOldest, None);
    let running = source.start(out, Some(sound));
    until_loud(&chunks);
    let picture = pictures.pop().expect("a picture");
    assert!(picture.captured <= clock::now() && picture.size == size);
    drop(sender);
    let News::Lost(why) = until_news(&running, &pictures) else { panic!("back before it was lost") };
    assert!(why.starts_with("nothing has come from udp://127.0.0.1"), "{why}");
    let sender = Sender::start(port);
    assert!(matches!(until_news(&running, &pictures), News::Back(_)));
    while matches!(chunks.try_pop(), Pop::Item(_)) {}
    until_loud(&chunks);
    running.stop();
    drop(sender);
    running.join().expect("stopped, not failed");
}

#[test]
fn a_microphone_is_heard_beside_what_happens_now_only() {
    let mic: Input = "mic:".parse().expect("a microphone");
    let options = Options { sound: Some(SoundOptions::default()), ..Options::default() };
    for input in [file(SAMPLE), "test:".parse().expect("a card")] {
        let error = open(&input, Some(&mic), &options, &Stopper::new().expect("an eventfd")).err().expect("refused");
        assert!(error.to_string().starts_with("the microphone cannot be heard beside "), "{error}");
    }
    let error = open(&mic, None, &Options::default(), &Stopper::new().expect("an eventfd")).err().expect("refused");
    assert!(error.to_string().contains("sound alone"), "{error}");
}
