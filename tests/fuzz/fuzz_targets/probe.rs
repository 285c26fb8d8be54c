#![cfg_attr(fuzzing, no_main)]

udpstream_fuzz::target!(udpstream::source::fuzz_probe);
