#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| udpstream::media::y4m::fuzz_y4m(bytes));
