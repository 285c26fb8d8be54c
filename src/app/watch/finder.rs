//! A host whose name is not known yet is looked up until it is: in a wall, where others go on without it.

use std::thread::Builder;
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Receiver as Inbox, RecvTimeoutError, Sender, bounded, unbounded};

use super::subject::Subject;
use crate::app::address::AddressError;
use crate::proto::Servers;
use crate::proto::receiver::Config;
use crate::queue::Waker;

/// Between two look-ups.
const AGAIN: Duration = Duration::from_secs(5);

/// The thread that looks it up. It ends with the first addresses, or soon after this is dropped.
pub struct Finder {
    pub found: Inbox<Result<Servers, AddressError>>,
    /// Of the receiver that begins with these addresses.
    pub config: Config,
    _wanted: Sender<()>,
}

impl Finder {
    pub fn start(subject: &Subject, config: Config, waker: Waker) -> anyhow::Result<Self> {
        let (tell, found) = unbounded();
        let (_wanted, wanted) = bounded(0);
        let address = subject.target.address.clone();
        let look = move || {
            loop {
                let answer = address.look_up();
                let known = answer.is_ok();
                if tell.send(answer).is_err() {
                    return;
                }
                waker();
                if known || wanted.recv_timeout(AGAIN) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        Builder::new().name("look-up".into()).spawn(look).context("a thread could not be started")?;
        Ok(Self { found, config, _wanted })
    }
}
