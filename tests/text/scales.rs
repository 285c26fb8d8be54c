//! Screens of every density: letters are drawn in the size that the screen wants, and stay inside the window.

use udpstream::text::layout::TextLayout;
use udpstream::units::Size;
use udpstream::view::Card;
use udpstream::view::inside::Hud;

use super::ink::{Ink, grey};
use super::{ALIKE, UNLIKE, pango};

const SCALES: [f32; 5] = [1.0, 1.25, 1.5, 2.0, 3.0];
const WORDS: &str = "Картинка 0:12.3 fiAVA";

/// What is drawn over black.
fn drawn(hud: &Hud, size: Size, scale: f32) -> Ink {
    let mut pixels = vec![0; size.pixels()];
    assert!(hud.draw(&mut pixels, size, scale), "no other font is needed");
    let width = usize::from(size.width);
    let edge = |ink: &[u32]| ink.iter().all(|pixel| *pixel == 0);
    assert!(edge(&pixels[..width]) && edge(&pixels[pixels.len() - width..]), "{size}: inside the window");
    assert!(pixels.chunks(width).all(|row| row[0] == 0 && row[width - 1] == 0), "{size}: inside the window");
    Ink::new(pixels.into_iter().map(grey).collect(), width)
}

fn compare(what: &str, ours: &Ink, size: f32, scale: f32) {
    let Some(reference) = pango::draw(WORDS, size, &[]) else { return eprintln!("not run: no Pango") };
    let likeness = ours.likeness(&reference);
    assert!(likeness > ALIKE, "{what} at {scale}: {likeness:.3}");
    let wrong = pango::draw("Картина 0:12.4 fiAVO", size, &[]).map_or(0.0, |wrong| ours.likeness(&wrong));
    assert!(wrong < UNLIKE, "other words pass for it: {wrong:.3}");
}

#[test]
fn the_overlay_is_sharp_at_every_scale() {
    for scale in SCALES {
        let mut hud = Hud::default();
        WORDS.clone_into(&mut hud.label);
        let size = Size::new((640.0 * scale) as u16, (360.0 * scale) as u16);
        compare("the overlay", &drawn(&hud, size, scale), 16.0 * scale, scale);
    }
}

#[test]
fn a_card_is_sharp_at_every_scale() {
    for scale in SCALES {
        let mut hud = Hud::default();
        hud.card = Some(Card { title: WORDS.to_owned(), lines: Vec::new() });
        let size = Size::new((640.0 * scale) as u16, (360.0 * scale) as u16);
        let pixels = TextLayout::new(size, WORDS, &[]).parts()[0].paragraph.size();
        compare("a card", &drawn(&hud, size, scale), pixels, scale);
    }
}
