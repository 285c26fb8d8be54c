//! Microphones.

use super::Ear;
use crate::source::SoundOptions;

pub(in crate::source) fn ear(device: &str, options: SoundOptions) -> Box<dyn Ear> {
    todo!("{device:?} {options:?}")
}
