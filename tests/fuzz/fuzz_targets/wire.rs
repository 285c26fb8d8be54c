#![cfg_attr(fuzzing, no_main)]

udpstream_fuzz::target!(udpstream::wire::fuzz_wire, udpstream::media::sound::fuzz_sound);
