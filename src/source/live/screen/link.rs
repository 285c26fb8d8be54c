//! A connection to an X server on which no wait is for ever: it ends when the source is stopped, and when the server
//! says nothing for some seconds.
#![expect(clippy::disallowed_types, reason = "x11rb speaks over a TcpStream where the display is on another machine")]

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt};
use x11rb::connection::Connection;
use x11rb::errors::ConnectError;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{self, Setup};
use x11rb::reexports::x11rb_protocol::parse_display::{ConnectAddress, parse_display};
use x11rb::reexports::x11rb_protocol::xauth::{Family, get_auth};
use x11rb::rust_connection::{DefaultStream, PollMode, RustConnection, Stream};
use x11rb::utils::RawFdContainer;

use super::wayland;
use crate::clock;
use crate::ffmpeg::Control;
use crate::source::SourceError;
use crate::units::Time;

/// One X server, one of its screens.
pub(super) struct Link {
    pub connection: RustConnection<XStream>,
    /// As one writes it, such as `:0`.
    pub name: String,
    screen: usize,
}

impl Link {
    /// Connects to the display of this name, or the one that `DISPLAY` names.
    pub fn open(display: Option<&str>, control: &Control) -> Result<Self, SourceError> {
        let name = match display {
            Some(name) => name.to_owned(),
            None => std::env::var("DISPLAY")
                .ok()
                .filter(|name| !name.is_empty())
                .ok_or_else(|| SourceError::NoDisplay(wayland()))?,
        };
        // Beyond these numbers there are no ports, and x11rb would count past the last one.
        let parsed = parse_display(Some(&name)).ok().filter(|parsed| parsed.display <= LAST_DISPLAY);
        let parsed = parsed.ok_or_else(|| SourceError::BadScreen(format!("screen:{name}")))?;
        let screen = usize::from(parsed.screen);
        let mut why = io::Error::from(io::ErrorKind::NotFound);
        for address in parsed.connect_instruction() {
            match dial(&address, control) {
                Ok((line, (family, peer))) => {
                    // Without a key the server may still let us in.
                    let key = get_auth(family, &peer, parsed.display).ok().flatten().unwrap_or_default();
                    return match RustConnection::connect_to_stream_with_auth_info(line, screen, key.0, key.1) {
                        Ok(connection) => Ok(Self { connection, name, screen }),
                        Err(error) => Err(refusal(name, error, control)),
                    };
                }
                // What a local display says comes first, and is what counts.
                Err(error) if why.kind() == io::ErrorKind::NotFound => why = error,
                Err(_) => {}
            }
        }
        Err(refusal(name, ConnectError::IoError(why), control))
    }

    pub fn setup(&self) -> &Setup {
        self.connection.setup()
    }

    pub fn root(&self) -> &xproto::Screen {
        &self.setup().roots[self.screen]
    }

    /// Whether the server runs on this machine and can be handed memory.
    pub fn is_local(&self) -> bool {
        self.connection.stream().local
    }

    /// Until the server says something, or this moment has come.
    pub fn wait(&self, until: Time) -> Result<(), SourceError> {
        let line = self.connection.stream();
        let said = line.control.wait_readable(line.stream.as_fd(), until);
        if !said && line.control.stopped() { Err(SourceError::Stopped) } else { Ok(()) }
    }

    /// What has been said and not been read yet.
    pub fn event(&self) -> Result<Option<Event>, SourceError> {
        self.connection.poll_for_event().map_err(|error| self.lost(error))
    }

    /// The sentence for a failure in the midst of it.
    pub fn lost(&self, error: impl ToString) -> SourceError {
        if self.connection.stream().control.stopped() {
            return SourceError::Stopped;
        }
        SourceError::ScreenLost { name: self.name.clone(), why: error.to_string(), session: wayland() }
    }
}

/// Why no server let us in.
fn refusal(name: String, error: ConnectError, control: &Control) -> SourceError {
    let said = |reason: &[u8]| String::from_utf8_lossy(reason).trim_matches(['\0', '\n', ' ']).to_owned();
    match error {
        _ if control.stopped() => SourceError::Stopped,
        ConnectError::InvalidScreen => SourceError::NoSuchScreen { name },
        ConnectError::SetupFailed(setup) => SourceError::ScreenRefused { name, why: said(&setup.reason) },
        ConnectError::SetupAuthenticate(setup) => SourceError::ScreenRefused { name, why: said(&setup.reason) },
        other => SourceError::NoScreen { name, why: other.to_string() },
    }
}

/// The bytes to and from the server.
pub(super) struct XStream {
    stream: DefaultStream,
    control: Control,
    local: bool,
}

impl Stream for XStream {
    fn poll(&self, mode: PollMode) -> io::Result<()> {
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::IN, mode.readable());
        wanted.set(PollFlags::OUT, mode.writable());
        await_ready(self.stream.as_fd(), wanted, &self.control)
    }

    fn read(&self, buffer: &mut [u8], files: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.stream.read(buffer, files)
    }

    fn write(&self, buffer: &[u8], files: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.stream.write(buffer, files)
    }

    fn write_vectored(&self, buffers: &[io::IoSlice<'_>], files: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.stream.write_vectored(buffers, files)
    }
}

fn await_ready(file: BorrowedFd<'_>, wanted: PollFlags, control: &Control) -> io::Result<()> {
    if control.wait_ready(file, wanted, clock::now() + PATIENCE) {
        return Ok(());
    }
    let seconds = PATIENCE.as_secs();
    Err(if control.stopped() {
        io::Error::other("stopped")
    } else {
        io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {seconds} s"))
    })
}

/// A line, and under which address its key is kept.
type Dialled = (XStream, (Family, Vec<u8>));

fn dial(address: &ConnectAddress<'_>, control: &Control) -> io::Result<Dialled> {
    let (local, (stream, peer)) = match address {
        ConnectAddress::Socket(path) => {
            // A server that was killed leaves its file behind, but not its abstract name.
            let (hidden, file) =
                (SocketAddrUnix::new_abstract_name(path.as_bytes())?, SocketAddrUnix::new(path.as_str())?);
            let socket = dial_unix(&hidden, control).or_else(|_| dial_unix(&file, control))?;
            (true, DefaultStream::from_unix_stream(UnixStream::from(socket))?)
        }
        ConnectAddress::Hostname(host, port) => (false, dial_tcp(host, *port, control)?),
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    Ok((XStream { stream, control: control.clone(), local }, peer))
}

fn dial_unix(name: &SocketAddrUnix, control: &Control) -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
    connected(connect(&socket, name), socket, control)
}

fn dial_tcp(host: &str, port: u16, control: &Control) -> io::Result<(DefaultStream, (Family, Vec<u8>))> {
    let mut why = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in (host, port).to_socket_addrs()? {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket_with(family, SocketType::STREAM, FLAGS, None)?;
        match connected(connect(&socket, &address), socket, control) {
            Ok(socket) => {
                sockopt::set_tcp_nodelay(&socket, true)?;
                return DefaultStream::from_tcp_stream(TcpStream::from(socket));
            }
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// The socket, once it is connected.
fn connected(begun: rustix::io::Result<()>, socket: OwnedFd, control: &Control) -> io::Result<OwnedFd> {
    match begun {
        Ok(()) => {}
        Err(Errno::INPROGRESS) => {
            await_ready(socket.as_fd(), PollFlags::OUT, control)?;
            sockopt::socket_error(&socket)??;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(socket)
}

/// How long a server may say nothing when it was asked something; some hold everybody up while a window is moved.
const PATIENCE: Duration = Duration::from_secs(5);
/// Display n listens on port 6000 + n.
const LAST_DISPLAY: u16 = u16::MAX - 6_000;
const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);
