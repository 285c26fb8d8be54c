//! Which part of a screen is shown.
#![forbid(unsafe_code)]

use crate::source::SourceError;
use crate::units::Size;

/// A rectangle that lies on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub x: i16,
    pub y: i16,
    pub size: Size,
}

impl Area {
    /// What is wanted (without a wish the whole), cut to what there is.
    pub fn on(screen: Size, wanted: Option<((i16, i16), Size)>) -> Result<Self, SourceError> {
        let Some(((x, y), size)) = wanted else { return Ok(Self { x: 0, y: 0, size: screen }) };
        let cut = |start: i16, length: u16, all: u16| {
            let end = (i32::from(start) + i32::from(length)).clamp(0, i32::from(all));
            let start = i32::from(start).clamp(0, i32::from(all));
            // Both fit: they lie between 0 and the screen's side, which is counted in 15 bits.
            (start as i16, (end - start).max(0) as u16)
        };
        let ((left, width), (top, height)) = (cut(x, size.width, screen.width), cut(y, size.height, screen.height));
        if width == 0 || height == 0 {
            return Err(SourceError::OutsideScreen { area: text((x, y), size), screen });
        }
        Ok(Self { x: left, y: top, size: Size::new(width, height) })
    }
}

/// `+X,Y,WxH`, as one types it.
pub(super) fn text((x, y): (i16, i16), size: Size) -> String {
    format!("+{x},{y},{}x{}", size.width, size.height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_cut_to_the_screen_or_refused() {
        let screen = Size::new(640, 481);
        let on = |x, y, width, height| {
            let area = Area::on(screen, Some(((x, y), Size::new(width, height)))).ok()?;
            Some((area.x, area.y, area.size.width, area.size.height))
        };
        assert_eq!(Area::on(screen, None).expect("the whole"), Area { x: 0, y: 0, size: screen });
        assert_eq!(on(10, 20, 30, 41), Some((10, 20, 30, 41)));
        assert_eq!(on(0, 0, 640, 481), Some((0, 0, 640, 481)));
        assert_eq!(on(-10, -20, 30, 41), Some((0, 0, 20, 21)));
        assert_eq!(on(600, 480, 16_384, 16_384), Some((600, 480, 40, 1)));
        assert_eq!(on(i16::MIN, 0, 16_384, 5), None);
        for (x, y) in [(640, 0), (0, 481), (-30, 0), (0, -41), (i16::MAX, i16::MAX)] {
            assert_eq!(on(x, y, 30, 41), None, "{x},{y}");
        }
        let error = Area::on(screen, Some(((700, 0), Size::new(8, 9)))).expect_err("outside").to_string();
        assert!(error.contains("+700,0,8x9") && error.contains("640×481"), "{error}");
    }
}
