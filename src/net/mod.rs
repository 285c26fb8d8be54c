//! Wiring: one file per verb.
