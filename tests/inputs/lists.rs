//! Lists and descriptions that name other films: a local one must not make us fetch things from the network.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;

use super::program::{file, film, serve, small};

#[test]
fn a_local_list_fetches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let far = format!("http://127.0.0.1:{port}/film.ts");
    let near = film(at, "near.ts", &small(20));
    let hls = |films: &[&str]| {
        let films: String = films.iter().map(|film| format!("#EXTINF:1,\n{film}\n")).collect();
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n{films}#EXT-X-ENDLIST\n").into_bytes()
    };
    let concat = |film: &str| format!("ffconcat version 1.0\nfile '{film}'\n").into_bytes();
    let session = format!("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 26\n");
    for path in [
        file(at, "far.m3u8", &hls(&[&far])),
        file(at, "far.ffconcat", &concat(&far)),
        file(at, "hidden.mp4", &concat(&far)),
        file(at, "elsewhere.ffconcat", &concat(&near)),
        file(at, "camera.sdp", session.as_bytes()),
    ] {
        serve(&path, &[]).end().one_sentence(1, &["points where"]);
    }
    // The first film is here, the second far away: what is here is shown.
    let both = file(at, "both.m3u8", &hls(&[&near, &far]));
    let served = serve(&both, &["--no-wait"]).end();
    served.says(0, &[]);
    assert_eq!(served.summary()["end"], "end");
    let called = listener.accept().map_err(|error| error.kind());
    assert_eq!(called.err(), Some(ErrorKind::WouldBlock), "somebody was called");
    fs::remove_file(near).unwrap();
}
