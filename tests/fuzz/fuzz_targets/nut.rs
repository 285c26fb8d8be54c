#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| udpstream::media::nut::fuzz_nut(bytes));
