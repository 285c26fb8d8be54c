//! Questions to a name server, asked and answered on a socket of their own. It waits, so it is for threads that may.

use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::clock::now;

/// Without EDNS no answer has more than 512 bytes (RFC 1035, section 2.3.4).
const LARGEST: usize = 4_096;

/// Sends `questions` to `server` and hands what it answers to `take`, until that returns true or `limit` is over.
pub fn ask(
    server: SocketAddr,
    questions: &[Vec<u8>],
    limit: Duration,
    mut take: impl FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    let until = now() + limit;
    let mut socket = Socket::new(Domain::for_address(server), Type::DGRAM, None)?;
    // From now on the system hands over what comes from there, and nothing else.
    socket.connect(&server.into())?;
    for question in questions {
        socket.send(question)?;
    }
    let mut buffer = [0; LARGEST];
    loop {
        let left = until.since(now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        match socket.read(&mut buffer) {
            Ok(length) if take(&buffer[..length]) => return Ok(()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
}
