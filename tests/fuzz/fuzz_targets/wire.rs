#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| udpstream::wire::fuzz_wire(bytes));
