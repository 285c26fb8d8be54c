//! Who serves streams: SRV records of names (RFC 2782).

pub mod srv;
