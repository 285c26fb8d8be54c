//! The loudspeaker.
