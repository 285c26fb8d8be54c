//! The two ports of a server, and what is said when one cannot be had.

use std::io::ErrorKind;
use std::net::SocketAddr;

use anyhow::{Context, anyhow};

use crate::net::{Loop, Marks, Options, Socket};

/// Binds; `flag` is the one that chooses another port.
pub fn bind(address: SocketAddr, marks: Marks, flag: &str) -> anyhow::Result<Socket> {
    Socket::bind(Options { marks, ..Options::on(address) }).map_err(|error| {
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
    })
}

/// Sound has a port of its own, unless another is named the one below that of the pictures. Returns its number.
pub fn add_sound(event_loop: &mut Loop, pictures: SocketAddr, named: Option<u16>, marks: Marks) -> anyhow::Result<u16> {
    let mut address = pictures;
    address.set_port(named.unwrap_or_else(|| pictures.port().saturating_sub(1)));
    let socket = bind(address, marks, "--audio-port")?;
    let port = socket.local_addr().context("the socket has no address")?.port();
    event_loop.add(socket).context("the event loop could not be started")?;
    Ok(port)
}
