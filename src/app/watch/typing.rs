//! A secret that is typed on the terminal: what waits for one is ended by a signal at once, and leaves the terminal as it was.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use super::Options;
use crate::app::secrets::{Given, GivenCode, leave_question};
use crate::app::signals::Signals;

/// From before a secret is asked for until somebody else hears signals.
pub struct Typing {
    signals: Signals,
    waits: Arc<AtomicBool>,
}

impl Typing {
    /// `None` where nothing is typed.
    pub fn begin(options: &Options) -> anyhow::Result<Option<Self>> {
        let asks = options.password == Some(Given::Stdin) || options.code == Some(GivenCode::Stdin);
        if !asks || !io::stdin().is_terminal() {
            return Ok(None);
        }
        let signals = Signals::catch()?;
        let waits = end_at_signals(&signals);
        Ok(Some(Self { signals, waits }))
    }

    /// Somebody else hears signals.
    pub fn end(self) {
        self.waits.store(false, Ordering::Release);
        self.signals.end();
    }
}

/// Ends the program at a signal, for as long as what this returns is true: what waits for a secret can be ended no other way.
pub fn end_at_signals(signals: &Signals) -> Arc<AtomicBool> {
    let waits = Arc::new(AtomicBool::new(true));
    let (still, modes) = (Arc::clone(&waits), tcgetattr(io::stdin()).ok());
    signals.tell(move || {
        if still.load(Ordering::Acquire) {
            // A terminal on which nothing is shown that is typed would be left behind.
            modes.iter().for_each(|modes| {
                tcsetattr(io::stdin(), OptionalActions::Now, modes).ok();
            });
            leave_question();
        }
    });
    waits
}
