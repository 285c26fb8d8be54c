#![cfg_attr(fuzzing, no_main)]

udpstream_fuzz::target!(udpstream::proto::fuzz_connections);
