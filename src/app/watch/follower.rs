//! A server that was found on the local network is followed: when it announces itself elsewhere, its watcher goes there.

use std::net::SocketAddr;

use crossbeam_channel::{Receiver, bounded};

use crate::discovery::{Browser, Seen};
use crate::queue::Waker;

/// Looks for the server by its name for as long as it is watched.
pub struct Follower {
    /// Where it is, each time that is told.
    pub found: Receiver<Vec<SocketAddr>>,
    _browser: Browser,
}

impl Follower {
    /// `None` where the network cannot be asked: then it is watched where it was found.
    pub fn start(instance: String, waker: Waker) -> Option<Self> {
        let (tell, found) = bounded(MOST);
        let seen = move |seen| {
            if let Seen::Server(server) = seen
                && server.instance == instance
            {
                // What has no room is told again when it changes.
                tell.try_send(server.places).ok();
                waker();
            }
            true
        };
        let browser = Browser::start(seen).inspect_err(|error| tracing::info!("the server is not followed: {error}"));
        browser.ok().map(|browser| Self { found, _browser: browser })
    }
}

const MOST: usize = 16;
