//! Where restart markers lie, so that a picture can be cut to every size class, and which quality that takes.

use super::EncodeError;
use crate::media::jpeg::{Index, plan, restart_interval};
use crate::wire::SizeClass;

/// The restart layout to begin with: pictures that follow each other are alike, and each attempt is a whole encoding.
#[derive(Clone, Copy, Default)]
pub struct RestartLayout {
    pub fitted: u8,
    /// Pictures since a larger one was tried.
    since: u32,
}

impl RestartLayout {
    /// This one is tried first.
    pub const fn beginning_with(fitted: u8) -> Self {
        Self { fitted, since: 0 }
    }

    /// The one that fitted the last picture, now and then the next larger one.
    pub fn next(&mut self) -> u8 {
        self.since += 1;
        let again = self.since >= TRY_LARGER;
        if again {
            self.since = 0;
        }
        self.fitted.saturating_sub(u8::from(again))
    }

    /// One JPEG that can be cut to every class: if an interval is too long for the smallest, with shorter intervals,
    /// at last with less quality. `code` makes it of a quality and an interval; with it come quality and layout.
    pub fn cuttable(
        &mut self,
        smallest: SizeClass,
        mcus: u16,
        wanted: u8,
        mut code: impl FnMut(u8, u16) -> Result<(Vec<u8>, Index), EncodeError>,
    ) -> Result<Made, EncodeError> {
        let (mut layout, mut quality) = (self.next(), wanted);
        // What fitted may have been of a picture with other MCUs.
        while layout > 0 && restart_interval(mcus, layout).is_none() {
            layout -= 1;
        }
        loop {
            let Some(interval) = restart_interval(mcus, layout) else {
                if quality <= 5 {
                    return Err(EncodeError::TooComplex);
                }
                // One MCU an interval was not enough.
                (layout, quality) = (layout - 1, quality.saturating_sub(15).max(5));
                continue;
            };
            let (jpeg, index) = code(quality, interval)?;
            if plan(&index, jpeg.len(), smallest.body_max()).is_ok() {
                self.fitted = layout;
                return Ok(Made { jpeg, index, quality, layout });
            }
            layout += 1;
        }
    }
}

/// A JPEG that can be cut, and with which quality and layout it was made.
pub struct Made {
    pub jpeg: Vec<u8>,
    pub index: Index,
    pub quality: u8,
    pub layout: u8,
}

/// Restart markers closer than need be cost up to a tenth in bytes, an attempt in vain as much as a picture.
pub(super) const TRY_LARGER: u32 = 32;
