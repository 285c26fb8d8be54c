//! Senders on this machine that can be killed and started again, as cameras in a network: over HTTP, over RTSP, and
//! whatever ffmpeg sends by itself. HTTP and RTSP want a name and a password.
#![expect(clippy::disallowed_types, reason = "cameras are servers, and these are made of the system's own sockets")]

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

/// `me:secret`, as HTTP and RTSP send it.
const KEY: &str = "Authorization: Basic bWU6c2VjcmV0";
pub const USER: &str = "me:secret";

/// A port that nobody has, for programs that must be given one.
pub fn free_port() -> u16 {
    // One that neither kind of socket has.
    let free = |_| {
        let datagrams = UdpSocket::bind("127.0.0.1:0").ok()?;
        let port = datagrams.local_addr().ok()?.port();
        TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
    };
    (0..100).find_map(free).unwrap()
}

/// Waits until somebody has `port`.
pub fn until_taken(port: u16) {
    let local = format!(":{port:04X} 00000000:0000");
    let has = |kind: &&str| std::fs::read_to_string(format!("/proc/net/{kind}")).unwrap().contains(&local);
    let taken = |_| {
        sleep(Duration::from_millis(10));
        ["tcp", "udp"].iter().any(has)
    };
    assert!((0..2_500).any(taken), "nobody takes {port}");
}

/// An ffmpeg that makes pictures and a tone at their own pace; killed when dropped.
pub struct Feeder(Child);

impl Feeder {
    /// `output` is split at spaces.
    pub fn start(output: &str) -> Self {
        Self(Self::command(output).spawn().unwrap())
    }

    /// The same of one that waits for a caller, from the moment at which it does.
    pub fn listening(output: &str, port: u16) -> Self {
        let feeder = Self::start(output);
        until_taken(port);
        feeder
    }

    fn command(output: &str) -> Command {
        let pictures =
            "-v quiet -re -f lavfi -i testsrc2=size=320x240:rate=25 -re -f lavfi -i sine=440:sample_rate=48000";
        let coded = "-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 12";
        let mut command = Command::new("ffmpeg");
        command.args(pictures.split(' ')).args(coded.split(' ')).args(output.split(' '));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// What all connections of a camera share.
#[derive(Default)]
struct Shared {
    over: AtomicBool,
    feeders: Mutex<Vec<Feeder>>,
    streams: Mutex<Vec<TcpStream>>,
}

/// A camera that serves as many as call; dropped, it is gone as if its plug was pulled.
pub struct Camera {
    pub port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Camera {
    /// `/live.ts`, a broadcast, and `/list.m3u8`, a list of what is not there. Port 0 takes a free one.
    pub fn http(port: u16) -> Self {
        Self::start(port, answer_http)
    }

    /// H.264 and G.711 between the lines of the connection, and no other way.
    pub fn rtsp(port: u16) -> Self {
        Self::start(port, |stream, shared| rtsp(stream, shared, false))
    }

    /// The same, in datagrams only.
    pub fn rtsp_in_datagrams() -> Self {
        Self::start(0, |stream, shared| rtsp(stream, shared, true))
    }

    fn start(port: u16, serve: fn(TcpStream, &Shared)) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        let thread = spawn(move || {
            let mut callers = Vec::new();
            while !accepting.over.load(Ordering::Relaxed) {
                let Ok((stream, _)) = listener.accept() else {
                    sleep(Duration::from_millis(5));
                    continue;
                };
                stream.set_nonblocking(false).unwrap();
                accepting.streams.lock().unwrap().push(stream.try_clone().unwrap());
                let shared = Arc::clone(&accepting);
                callers.push(spawn(move || serve(stream, &shared)));
            }
            drop(listener);
            accepting.feeders.lock().unwrap().clear();
            for stream in accepting.streams.lock().unwrap().drain(..) {
                stream.shutdown(Shutdown::Both).ok();
            }
            for caller in callers {
                caller.join().unwrap();
            }
        });
        Self { port, shared, thread: Some(thread) }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // A caller that failed has said so already.
        self.thread.take().map(JoinHandle::join);
        self.shared.feeders.lock().unwrap().clear();
    }
}

/// The first line of a request and the others; `None` when the caller has gone.
fn request(caller: &mut impl BufRead) -> Option<(String, Vec<String>)> {
    let mut lines = Vec::new();
    loop {
        if caller.fill_buf().ok()?.first() == Some(&b'$') {
            // A report on what was received, between two requests.
            let mut head = [0; 4];
            caller.read_exact(&mut head).ok()?;
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            caller.read_exact(&mut vec![0; length]).ok()?;
            continue;
        }
        let mut line = String::new();
        if caller.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    (!lines.is_empty()).then(|| (lines.remove(0), lines))
}

fn answer_http(mut stream: TcpStream, shared: &Shared) {
    let Some((first, others)) = request(&mut BufReader::new(&stream)) else { return };
    let path = first.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
    let mut say = |head: &str| stream.write_all(format!("HTTP/1.0 {head}\r\n\r\n").as_bytes()).ok();
    match path {
        _ if !others.iter().any(|line| line == KEY) => {
            say("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"camera\"");
        }
        "/live.ts" => {
            say("200 OK\r\nContent-Type: video/mp2t");
            let mut command = Feeder::command("-c:a aac -f mpegts -flush_packets 1 pipe:1");
            let feeder = command.stdout(OwnedFd::from(stream)).spawn().unwrap();
            shared.feeders.lock().unwrap().push(Feeder(feeder));
        }
        "/list.m3u8" => {
            let named = "#EXTINF:2,\none.ts?key=secret\n#EXTINF:2,\ntwo.ts?key=secret\n";
            let list = format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n{named}#EXT-X-ENDLIST\n");
            let kind = "Content-Type: application/vnd.apple.mpegurl";
            say(&format!("200 OK\r\n{kind}\r\nContent-Length: {}\r\n\r\n{list}", list.len()));
        }
        _ => {
            say("404 Not Found");
        }
    }
}

/// Ports of RTP and RTCP of the pictures, and of the sound.
fn four_sockets() -> Vec<UdpSocket> {
    let sockets: Vec<_> = (0..4).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    sockets.iter().for_each(|socket| socket.set_nonblocking(true).unwrap());
    sockets
}

const SDP: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track0\r\n\
    m=audio 0 RTP/AVP 0\r\na=control:track1\r\n";

/// RFC 2326, as much of it as ffmpeg asks for.
fn rtsp(stream: TcpStream, shared: &Shared, datagrams: bool) {
    let (sockets, mut to) = (four_sockets(), [None; 4]);
    let over = AtomicBool::new(false);
    let (mut caller, writing) = (BufReader::new(stream.try_clone().unwrap()), Mutex::new(stream));
    std::thread::scope(|scope| {
        while let Some((first, others)) = request(&mut caller) {
            let header = |name: &str| others.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            let wanted = header("Transport: ");
            let (method, uri) = first.split_once(' ').unwrap();
            let track = usize::from(uri.contains("track1"));
            let answer = match method {
                "OPTIONS" => "200 OK\r\nPublic: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n".to_owned(),
                _ if !others.iter().any(|line| line == KEY) => {
                    "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"camera\"\r\n\r\n".to_owned()
                }
                "DESCRIBE" => {
                    format!("200 OK\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len())
                }
                "SETUP" if wanted.contains("TCP") != datagrams => {
                    for (port, to) in client_ports(wanted).zip(&mut to[2 * track..]) {
                        *to = Some(SocketAddr::from(([127, 0, 0, 1], port)));
                    }
                    format!("200 OK\r\nSession: 1\r\nTransport: {}\r\n\r\n", granted(wanted, &sockets[2 * track..]))
                }
                "SETUP" => "461 Unsupported Transport\r\n\r\n".to_owned(),
                _ => "200 OK\r\nSession: 1\r\n\r\n".to_owned(),
            };
            let number = header("CSeq: ");
            let answer = answer.replacen("\r\n", &format!("\r\nCSeq: {number}\r\n"), 1);
            writing.lock().unwrap().write_all(format!("RTSP/1.0 {answer}").as_bytes()).ok();
            if method.starts_with("PLAY") {
                let ports: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
                let [pictures, of_pictures, sound, of_sound] = ports[..] else { unreachable!() };
                shared.feeders.lock().unwrap().push(Feeder::start(&format!(
                    "-map 0 -f rtp rtp://127.0.0.1:{pictures}?rtcpport={of_pictures} -map 1 -c:a pcm_mulaw -ar 8000 -ac 1 \
                     -f rtp rtp://127.0.0.1:{sound}?rtcpport={of_sound}"
                )));
                let (sockets, writing, over) = (&sockets, &writing, &over);
                scope.spawn(move || forward(sockets, to, writing, || over.load(Ordering::Relaxed)));
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

/// `…;client_port=5000-5001`
fn client_ports(transport: &str) -> impl Iterator<Item = u16> {
    let ports = transport.split_once("client_port=").map_or("", |(_, ports)| ports);
    ports.split(';').next().unwrap_or_default().split('-').filter_map(|port| port.parse().ok())
}

fn granted(wanted: &str, sockets: &[UdpSocket]) -> String {
    let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
    if wanted.contains("TCP") {
        wanted.to_owned()
    } else {
        format!("{wanted};server_port={}-{}", port(&sockets[0]), port(&sockets[1]))
    }
}

/// Hands on what ffmpeg sends, as datagrams or between the lines of the connection, until it is over.
fn forward(sockets: &[UdpSocket], to: [Option<SocketAddr>; 4], stream: &Mutex<TcpStream>, over: impl Fn() -> bool) {
    let mut packet = [0; 2_048];
    while !over() {
        let mut idle = true;
        for (channel, socket) in sockets.iter().enumerate() {
            let length = match socket.recv(&mut packet) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => panic!("{error}"),
            };
            idle = false;
            match to[channel] {
                Some(to) => drop(socket.send_to(&packet[..length], to)),
                None => {
                    let head = [b'$', channel as u8, (length >> 8) as u8, length as u8];
                    let framed = [&head, &packet[..length]].concat();
                    stream.lock().unwrap().write_all(&framed).ok();
                }
            }
        }
        if idle {
            sleep(Duration::from_millis(1));
        }
    }
}
