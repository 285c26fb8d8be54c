#![cfg_attr(fuzzing, no_main)]

udpstream_fuzz::target!(udpstream::media::parity::fuzz_parity);
