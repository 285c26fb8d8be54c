//! A dark picture with words, for whatever went wrong.

use super::layout::TextLayout;
use super::paragraph::Align;
use crate::media::Picture;
use crate::media::paint::{DARK, GREY, WHITE, paint};
use crate::queue::Pool;
use crate::units::{Size, Time};

/// A dark card of the stream's size: `title`, and below it each of `lines`, broken and centred. It is drawn with the fonts
/// that there are; whoever can wait calls [`wait_for_fonts`](super::wait_for_fonts) before.
pub fn text_card(size: Size, title: &str, lines: &[&str]) -> Picture {
    let mut picture = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO);
    paint(&mut picture, (0, 0), (u32::from(size.width), u32::from(size.height)), DARK);
    for part in TextLayout::new(size, title, lines).parts() {
        let luma = if part.is_title { WHITE[0] } else { GREY };
        part.paragraph.draw_luma(&mut picture, part.at, (Align::Centre, part.room), luma);
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_card_shows_its_words_at_any_size() {
        for (width, height) in [(1, 1), (16, 16), (176, 144), (641, 361), (3840, 2160)] {
            let card =
                text_card(Size::new(width, height), "The film was not found", &["Check its name.", "Then try again."]);
            let [luma, ..] = card.planes();
            assert!(width < 100 || luma.iter().any(|&luma| luma > 190), "{width}×{height} has a title");
        }
    }
}
