//! A deadline that wakes the event loop: to the microsecond where the system can, to the millisecond elsewhere. Both
//! kinds are compiled and tested wherever the first one exists.

mod fallback;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
pub use fallback::Timer;
#[cfg(target_os = "linux")]
pub use linux::Timer;

#[cfg(test)]
mod tests {
    use crate::clock::now;
    use crate::units::Time;
    use mio::{Events, Poll, Token};
    use std::time::Duration;

    macro_rules! wakes_in_time {
        ($name:ident, $timer:ty) => {
            #[test]
            fn $name() {
                let mut poll = Poll::new().expect("poll");
                let mut timer = <$timer>::new(poll.registry(), Token(7)).expect("timer");
                let mut events = Events::with_capacity(4);
                for deadline in [now() + Duration::from_millis(15), Time::ZERO] {
                    let wait = timer.arm(deadline, now());
                    poll.poll(&mut events, wait.or(Some(Duration::from_secs(20)))).expect("wait");
                    timer.clear();
                    assert!(now() >= deadline, "woke too early");
                }
                assert_eq!(timer.arm(Time::NEVER, now()), None, "never: no timeout of its own");
            }
        };
    }

    wakes_in_time!(the_fallback_wakes_in_time, super::fallback::Timer);
    #[cfg(target_os = "linux")]
    wakes_in_time!(timerfd_wakes_in_time, super::linux::Timer);
}
