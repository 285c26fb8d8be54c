//! The two ports of a server, and what is said when one cannot be had.

use std::io::ErrorKind;
use std::net::SocketAddr;

use anyhow::{Context, anyhow};

use crate::net::{Listener, Loop, Marks, Options, Socket};
use crate::proto::Port;

/// How the ports are opened.
#[derive(Clone, Debug, Default)]
pub struct How {
    pub marks: Marks,
    pub transports: Transports,
    /// Ports of the groups that are sent to or listened to: others on this machine can listen to one beside a server.
    pub groups: Vec<u16>,
}

/// Binds; `flag` is the one that chooses another port.
pub fn bind(address: SocketAddr, how: &How, flag: &str) -> anyhow::Result<Socket> {
    let shares = how.groups.contains(&address.port());
    Socket::bind(Options { marks: how.marks, shares, ..Options::on(address) })
        .map_err(|error| explain(&error, address, flag))
}

fn explain(error: &std::io::Error, address: SocketAddr, flag: &str) -> anyhow::Error {
    let port = address.port();
    match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!("port {port} is in use: stop the other program, or choose another with {flag}")
        }
        ErrorKind::PermissionDenied => {
            anyhow!("port {port} is reserved for the system: choose one above 1023 with {flag}")
        }
        ErrorKind::AddrNotAvailable => {
            anyhow!("{} is not an address of this machine: choose one that is with --bind", address.ip())
        }
        ErrorKind::Unsupported => anyhow!("this system cannot mark datagrams: leave out --ecn and --dscp"),
        _ => anyhow!("{address} cannot be listened on ({error}): choose another address with --bind"),
    }
}

/// What watchers may come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transports {
    pub udp: bool,
    pub tcp: bool,
}

impl Transports {
    /// What those who come have to write before the address.
    pub const fn scheme(self) -> &'static str {
        if self.udp { "" } else { "tcp://" }
    }
}

impl Default for Transports {
    fn default() -> Self {
        Self { udp: true, tcp: true }
    }
}

/// A loop that listens.
pub struct Opened {
    pub event_loop: Loop,
    pub local: SocketAddr,
    /// One sentence if TCP could not be had.
    pub warning: Option<String>,
}

/// Free ports are drawn so often until one is free for UDP and TCP.
const DRAWS: usize = 16;

/// Opens the picture port for UDP, TCP, or both.
pub fn open(address: SocketAddr, how: &How) -> anyhow::Result<Opened> {
    let marks = how.marks;
    if !how.transports.udp {
        let listener = Listener::bind(address, marks).map_err(|error| explain(&error, address, "--port"))?;
        let local = listener.local_addr().context("the socket has no address")?;
        let mut event_loop = Loop::new(Vec::new()).context("the event loop could not be started")?;
        event_loop.mark_connections(marks);
        event_loop.leave_out();
        event_loop.listen(Port::PICTURES, listener).context("the event loop could not be started")?;
        return Ok(Opened { event_loop, local, warning: None });
    }
    let (mut socket, mut listener) = (bind(address, how, "--port")?, None);
    for _ in 0..if how.transports.tcp { DRAWS } else { 0 } {
        let place = socket.local_addr().context("the socket has no address")?;
        listener = Some(Listener::bind(place, marks));
        if address.port() != 0 || !matches!(listener, Some(Err(_))) {
            break;
        }
        socket = bind(address, how, "--port")?;
    }
    let local = socket.local_addr().context("the socket has no address")?;
    let mut event_loop = Loop::new(vec![socket]).context("the event loop could not be started")?;
    event_loop.mark_connections(marks);
    let warning = match listener {
        Some(Ok(listener)) => {
            event_loop.listen(Port::PICTURES, listener).context("the event loop could not be started")?;
            None
        }
        Some(Err(error)) => Some(format!(
            "TCP port {} cannot be listened on ({error}): nobody can come by TCP; choose another --port, or say --no-tcp",
            local.port()
        )),
        None => None,
    };
    Ok(Opened { event_loop, local, warning })
}

/// Sound has a port of its own, unless another is named the one below that of the pictures. Returns its number; 0 where there is no
/// UDP: through connections it comes with the pictures.
pub fn add_sound(event_loop: &mut Loop, pictures: SocketAddr, named: Option<u16>, how: &How) -> anyhow::Result<u16> {
    if !how.transports.udp {
        event_loop.leave_out();
        return Ok(0);
    }
    let mut address = pictures;
    address.set_port(named.unwrap_or_else(|| pictures.port().saturating_sub(1)));
    let socket = bind(address, how, "--audio-port")?;
    let port = socket.local_addr().context("the socket has no address")?.port();
    event_loop.add(socket).context("the event loop could not be started")?;
    Ok(port)
}
