#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| udpstream::proto::fuzz_relay(bytes));
