#![cfg_attr(fuzzing, no_main)]

udpstream_fuzz::target!(udpstream::store::fuzz_store);
