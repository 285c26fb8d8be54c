//! A window is closed by its thread, which waits for its display; where that stands still the program ends all the same.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::{Exit, terminal};

/// A display that works closes a window in a moment.
const PATIENCE: Duration = Duration::from_secs(3);

/// Waits until the window's thread has dropped the other end of `left`, or ends the program as it was to end: all else is
/// done by now.
pub fn wait_for_window(left: &Receiver<()>, outcome: &anyhow::Result<Exit>) {
    if left.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    let exit = outcome.as_ref().map_or_else(
        |error| {
            terminal::conclude(&format!("error: {error:#}"));
            Exit::Failed
        },
        |exit| *exit,
    );
    std::process::exit(exit as i32);
}
