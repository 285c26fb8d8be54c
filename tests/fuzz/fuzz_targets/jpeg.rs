#![cfg_attr(fuzzing, no_main)]

udpstream_fuzz::target!(udpstream::media::jpeg::fuzz_jpeg);
