//! A short time slice for the thread of an event loop or of a sound device: under EEVDF, whoever asks for little is let run soon, also where
//! others keep all processors busy. No privilege is needed. Linux 6.12 and newer heed it; older ones change nothing
//! (sched_setattr(2); Documentation/scheduler/sched-eevdf.rst).
#![expect(unsafe_code, reason = "rustix does not know sched_setattr")]

/// The shortest slice there is. A wake-up of the loop takes less, but for a picture to hundreds of watchers.
const SLICE_NS: u64 = 100_000;
/// SCHED_OTHER, and that children begin with an ordinary slice.
const OTHER: u32 = 0;
const RESET_ON_FORK: u64 = 1;

/// `struct sched_attr` as of Linux 5.3, 56 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
    util_min: u32,
    util_max: u32,
}

const SIZE: u32 = size_of::<Attributes>() as u32;

/// Asks for a short slice for the calling thread. A real-time policy that somebody chose for it stays.
pub fn shorten() {
    ask(RESET_ON_FORK);
}

/// The same, also for all threads that it starts from here on: those of a sound library, which nobody else can reach.
pub fn shorten_with_children() {
    ask(0);
}

fn ask(flags: u64) {
    let Some(now) = attributes().filter(|now| now.policy == OTHER) else { return };
    let wanted = Attributes { size: SIZE, flags: now.flags | flags, runtime: SLICE_NS, ..now };
    // SAFETY: the structure is of the size that it states, and lives; 0 is this thread. A refusal leaves things as
    // they were, which is how the loop would run without it.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const wanted, 0) };
}

fn attributes() -> Option<Attributes> {
    let mut found = Attributes::default();
    // SAFETY: the kernel writes at most the size that it is told.
    let done = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut found, SIZE, 0) };
    (done == 0).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_slice_of_this_thread_changes() {
        std::thread::spawn(|| {
            let before = attributes().expect("every Linux since 3.14 tells");
            shorten();
            let after = attributes().expect("as before");
            // Older kernels say 0 here, before and after.
            assert!(after.runtime == SLICE_NS || after.runtime == before.runtime, "{after:?}");
            assert_eq!((after.policy, after.nice), (before.policy, before.nice));
            let child = std::thread::spawn(attributes).join().expect("no panic").expect("as before");
            assert_eq!(child.runtime, before.runtime, "children have what they would have had");
        })
        .join()
        .expect("no panic");
    }

    #[test]
    fn children_can_have_the_same() {
        std::thread::spawn(|| {
            shorten_with_children();
            let parent = attributes().expect("every Linux since 3.14 tells");
            let child = std::thread::spawn(attributes).join().expect("no panic").expect("as before");
            assert_eq!((child.runtime, child.policy), (parent.runtime, parent.policy));
        })
        .join()
        .expect("no panic");
    }
}
