//! A display that goes away is bad luck, not a bug: winit and its friends panic then, and here that becomes a value.

use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs the window system's loop; `None` if it panicked because the display has gone. Panics of our own go on.
///
/// What `work` has touched is only dropped after a panic.
pub fn run<T>(work: impl FnOnce() -> T) -> Option<T> {
    let gone = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&gone);
    let before = Arc::new(panic::take_hook());
    let usual = Arc::clone(&before);
    panic::set_hook(Box::new(move |info| {
        if is_theirs(info) {
            seen.store(true, Ordering::Relaxed);
        } else {
            usual(info);
        }
    }));
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(Box::new(move |info| before(info)));
    match done {
        Ok(done) => Some(done),
        Err(_) if gone.load(Ordering::Relaxed) => None,
        Err(ours) => panic::resume_unwind(ours),
    }
}

/// Raised in a crate that talks to the display.
fn is_theirs(info: &PanicHookInfo<'_>) -> bool {
    let file = info.location().map_or("", |location| location.file());
    ["/winit-", "/softbuffer-", "/x11rb", "/x11-dl", "/wayland-"].iter().any(|name| file.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_our_own_is_not_hidden() {
        assert_eq!(run(|| 7), Some(7));
        let ours = panic::catch_unwind(|| run(|| panic!("a bug")));
        assert!(ours.is_err());
    }
}
