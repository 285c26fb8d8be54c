#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| udpstream::source::fuzz_offers(bytes));
