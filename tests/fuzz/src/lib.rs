//! Makes programs of functions that must take any bytes without a panic: for cargo-fuzz (`scripts/fuzz`) libFuzzer's, and
//! otherwise one that is built without a C++ library and goes through files, or through bytes that it makes up.

/// The program of one or several such functions. Its file begins with `#![cfg_attr(fuzzing, no_main)]`.
#[macro_export]
macro_rules! target {
    ($($run:path),+) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
            $($run(bytes);)+
        });

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            udpstream_fuzz::replay(|bytes| {
                $($run(bytes);)+
            })
        }
    };
}

/// Made up where no files are named, and how long the longest of them is.
const MADE_UP: u64 = 50;
const LONGEST: u64 = 2_000;

/// Calls `run` with the contents of each file that the command line names; of none, with bytes that are the same each time.
///
/// # Errors
/// A file that cannot be read.
pub fn replay(run: impl Fn(&[u8])) -> std::io::Result<()> {
    let mut files = std::env::args_os().skip(1).peekable();
    if files.peek().is_some() {
        return files.try_for_each(|file| std::fs::read(file).map(|bytes| run(&bytes)));
    }
    run(&[]);
    (1..=MADE_UP).for_each(|seed| run(&made_up(seed)));
    Ok(())
}

/// Bytes by xorshift64 (Marsaglia 2003); every second run of them has many zeros, as lengths and numbers do.
fn made_up(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 32
    };
    let length = next() % LONGEST;
    let sparse = seed.is_multiple_of(2);
    (0..length).map(|_| if sparse && !next().is_multiple_of(4) { 0 } else { next() as u8 }).collect()
}
