#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| udpstream::store::fuzz_store(bytes));
