//! A screen of the X Window System.

use super::Device;
use crate::source::{Options, Screen};

pub(in crate::source) fn device(screen: &Screen, options: &Options) -> Box<dyn Device> {
    todo!("{screen:?} {options:?}")
}
