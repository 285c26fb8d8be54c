//! Ports of subscriptions: each has one to itself, as long as it lasts.

use super::{LISTS, Relay};
use crate::proto::{Port, Transmit};

/// The last that there may be.
const LAST: Port = Port(Port::GROUP.0 - 1);

impl Relay {
    /// A port for one more subscription; `None`: all are in use.
    pub(super) fn free_port(&mut self) -> Option<Port> {
        let slot = self.ports.iter().position(|used| !used).unwrap_or(self.ports.len());
        let port = u16::try_from(usize::from(LISTS.0) + 1 + slot).ok().filter(|port| *port <= LAST.0)?;
        if slot == self.ports.len() {
            self.ports.push(false);
        }
        self.ports[slot] = true;
        Some(Port(port))
    }

    /// A subscription is over, and says this at last.
    pub(super) fn is_free(&mut self, port: Port, said: Vec<Transmit>) {
        self.out.extend(said);
        // A publisher comes to the server's own.
        let slot = usize::from(port.0).checked_sub(usize::from(LISTS.0) + 1);
        if let Some(used) = slot.and_then(|slot| self.ports.get_mut(slot)) {
            *used = false;
        }
    }
}
