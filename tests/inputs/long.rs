//! A film of four hours starts as quickly as a short one and takes no more room.

use super::program::{film, serve, watch};

#[test]
fn four_hours_fit_in_little_room() {
    let folder = tempfile::tempdir().unwrap();
    let short = "-f lavfi -i color=size=64x48:rate=25 -t 10 -c:v libx264 -preset ultrafast -pix_fmt yuv420p";
    let short = film(folder.path(), "short.mp4", short);
    let long = film(folder.path(), "long.mp4", &format!("-stream_loop 1439 -i {short} -c copy -movflags +faststart"));
    let server = serve(&long, &[]).start();
    let listening = server.event("listening");
    assert!(listening["t"].as_f64().unwrap() < 10.0, "{listening}");
    assert!(listening["details"].as_str().unwrap().contains("14400.0 s"), "{listening}");
    let watcher = watch(&format!("127.0.0.1:{}", listening["port"]), &["--frames", "100"]).start();
    watcher.event("playing");
    let room = |stats: serde_json::Value| stats["rss_bytes"].as_u64().unwrap();
    let early = room(server.event("stats"));
    watcher.end().says(0, &[]);
    server.event("stats");
    let late = room(server.event("stats"));
    assert!(late < early + (8 << 20) && late < 100 << 20, "{early} bytes grew to {late}");
    server.signal(rustix::process::Signal::TERM);
    let served = server.end();
    served.says(0, &[]);
    assert_eq!(served.summary()["end"], "interrupted");
}
