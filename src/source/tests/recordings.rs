//! Films behind HTTP servers that say little about them, or stall.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};

use super::*;

/// How a server hands its film over.
#[derive(Clone, Copy)]
struct Manner {
    /// It says how long the film is.
    length: bool,
    /// Bytes a second; `None`: as fast as it can.
    speed: Option<usize>,
    /// Half of it, then nothing for so long.
    stall: Option<Duration>,
}

const PLAIN: Manner = Manner { length: false, speed: None, stall: None };

/// The address of a server without ranges, which lives as long as the tests.
fn served(film: &Path, manner: Manner) -> Input {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let bytes = std::fs::read(film).expect("made");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let bytes = bytes.clone();
            // Who has seen enough hangs up.
            std::thread::spawn(move || answer(stream, &bytes, manner).ok());
        }
    });
    Input::Url(format!("http://127.0.0.1:{port}/film"))
}

fn answer(mut stream: TcpStream, film: &[u8], manner: Manner) -> std::io::Result<()> {
    let asked = BufReader::new(stream.try_clone()?).lines();
    asked.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
    let length = if manner.length { format!("Content-Length: {}\r\n", film.len()) } else { String::new() };
    write!(stream, "HTTP/1.1 200 OK\r\n{length}Connection: close\r\n\r\n")?;
    let (first, second) = film.split_at(if manner.stall.is_some() { film.len() / 2 } else { 0 });
    stream.write_all(first)?;
    manner.stall.into_iter().for_each(std::thread::sleep);
    let Some(speed) = manner.speed else { return stream.write_all(second) };
    for part in second.chunks(speed / 20) {
        stream.write_all(part)?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn a_recording_is_told_from_what_happens_now() {
    let folder = TempDir::new().expect("a folder");
    let arguments = "-f lavfi -i testsrc2=size=64x48:rate=25:duration=20 -c:v mpeg2video -g 5 -b:v 400k -f mpegts";
    let film = make(&folder, "film.ts", arguments, b"");
    let bytes = std::fs::metadata(&film).expect("made").len() as usize;
    for (manner, pace) in [
        (Manner { length: true, ..PLAIN }, Pace::File),
        (PLAIN, Pace::File),
        (Manner { speed: Some(bytes / 20), ..PLAIN }, Pace::Live),
    ] {
        let source = open_with(&served(&film, manner), Options::default());
        assert_eq!(source.info().pace, pace, "with a length: {}, at {:?}", manner.length, manner.speed);
    }
    // Its end comes before it is far enough ahead, and long before it would be shown.
    let short = make(&folder, "short.ts", &arguments.replace("duration=20", "duration=6"), b"");
    let source = open_with(&served(&short, PLAIN), Options::default());
    assert_eq!(source.info().pace, Pace::File);
    assert_eq!(pictures(source, usize::MAX).len(), 150);
}

#[test]
fn a_film_that_stalls_is_told_and_goes_on() {
    let folder = TempDir::new().expect("a folder");
    // Half of it is more than ffmpeg looks at before it begins.
    let noise = "-f lavfi -i nullsrc=size=160x120:rate=25:duration=16,geq=random(1)*255:128:128 -c:v mpeg2video -q:v 4";
    let film = make(&folder, "film.ts", noise, b"");
    let manner = Manner { length: true, stall: Some(Duration::from_secs(8)), ..PLAIN };
    let source = open_with(&served(&film, manner), Options::default());
    let (out, pictures) = queue::bounded(10, WhenFull::Block, None);
    let running = source.start(out, None);
    let count = std::iter::from_fn(|| pictures.pop()).count();
    let news: Vec<_> = std::iter::from_fn(|| running.news()).collect();
    let [News::Stalled { name, seconds: 5 }, News::Resumed(back)] = &news[..] else { panic!("{news:?}") };
    assert!(name.starts_with("http://") && name == back, "{news:?}");
    assert_eq!(count, 400);
    running.join().expect("a clean end");
}
