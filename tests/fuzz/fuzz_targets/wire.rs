#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    udpstream::wire::fuzz_wire(bytes);
    udpstream::media::sound::fuzz_sound(bytes);
});
