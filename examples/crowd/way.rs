//! How a watcher of the crowd is reached: a UDP socket, or a TCP connection.

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;

use mio::net::{TcpStream, UdpSocket};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket as Raw, Type};
use udpstream::proto::Port;
use udpstream::proto::framing::{Deframer, length};

/// Half a second of a 30 Mb/s stream, in the kernel's accounting of some twice its bytes.
const ROOM: usize = 4 << 20;

pub enum Way {
    Socket(UdpSocket),
    Connection { stream: TcpStream, server: SocketAddr, deframer: Deframer, kept: Vec<u8> },
}

impl Way {
    /// On loopback the server sees `home`.
    pub fn new(home: SocketAddr, server: SocketAddr, tcp: bool) -> io::Result<Self> {
        let (kind, protocol) = if tcp { (Type::STREAM, Protocol::TCP) } else { (Type::DGRAM, Protocol::UDP) };
        let raw = Raw::new(Domain::for_address(home), kind, Some(protocol))?;
        raw.set_nonblocking(true)?;
        raw.bind(&home.into())?;
        if tcp {
            raw.set_tcp_nodelay(true)?;
            // It is under way, which is an error to socket2.
            raw.connect(&server.into()).ok();
            let stream = TcpStream::from_std(raw.into());
            return Ok(Self::Connection { stream, server, deframer: Deframer::default(), kept: Vec::new() });
        }
        // As root past the system's cap, otherwise as much as it grants.
        if rustix::net::sockopt::set_socket_recv_buffer_size_force(&raw, ROOM).is_err() {
            raw.set_recv_buffer_size(ROOM)?;
        }
        Ok(Self::Socket(UdpSocket::from_std(raw.into())))
    }

    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Self::Socket(socket) => registry.register(socket, token, Interest::READABLE),
            Self::Connection { stream, .. } => {
                registry.register(stream, token, Interest::READABLE | Interest::WRITABLE)
            }
        }
    }

    /// The kernel's bytes that may wait to be read.
    pub fn room(&self) -> io::Result<usize> {
        match self {
            Self::Socket(socket) => SockRef::from(socket).recv_buffer_size(),
            Self::Connection { stream, .. } => SockRef::from(stream).recv_buffer_size(),
        }
    }

    /// Takes what has come; an error also says that nothing more has.
    pub fn read(&mut self, buffer: &mut [u8], mut whole: impl FnMut(Port, SocketAddr, &[u8])) -> io::Result<()> {
        match self {
            Self::Socket(socket) => {
                let (length, from) = socket.recv_from(buffer)?;
                whole(Port::PICTURES, from, &buffer[..length]);
                Ok(())
            }
            Self::Connection { stream, server, deframer, kept } => {
                flush(stream, kept)?;
                let count = stream.read(buffer)?;
                if count == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let (port, from) = (Port::PICTURES.connections(), *server);
                deframer.take(&buffer[..count], |bytes| whole(port, from, bytes)).map_err(io::Error::other)
            }
        }
    }

    pub fn send(&mut self, to: SocketAddr, parts: [&[u8]; 2]) -> io::Result<()> {
        match self {
            Self::Socket(socket) => {
                let to = SockAddr::from(to);
                SockRef::from(&*socket).send_to_vectored(&parts.map(IoSlice::new), &to).map(drop)
            }
            Self::Connection { stream, kept, .. } => {
                kept.extend(length(parts[0].len() + parts[1].len()));
                parts.iter().for_each(|part| kept.extend_from_slice(part));
                match flush(stream, kept) {
                    // It is not there yet, or takes no more: what is kept goes with the next.
                    Err(error) if matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::WouldBlock) => {
                        Ok(())
                    }
                    other => other,
                }
            }
        }
    }
}

fn flush(stream: &mut TcpStream, kept: &mut Vec<u8>) -> io::Result<()> {
    while !kept.is_empty() {
        let took = stream.write(kept)?;
        kept.drain(..took);
    }
    Ok(())
}
