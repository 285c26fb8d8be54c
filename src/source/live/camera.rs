//! Cameras.

use super::Device;
use crate::source::Options;

pub(in crate::source) fn device(device: &str, options: &Options) -> Box<dyn Device> {
    todo!("{device:?} {options:?}")
}
