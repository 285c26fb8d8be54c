#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| udpstream::media::parity::fuzz_parity(bytes));
