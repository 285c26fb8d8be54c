#![cfg_attr(fuzzing, no_main)]

udpstream_fuzz::target!(udpstream::media::y4m::fuzz_y4m);
