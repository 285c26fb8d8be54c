//! A library of films and songs: what is found below its folders, and what is known of each.

pub mod about;
