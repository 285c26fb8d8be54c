//! Words of every kind, in every room, with the bundled face alone. What letters look like is compared in `tests/text`.

mod rooms;

use std::sync::Arc;

use super::engine::{Engine, Keep};
use super::fonts::Folders;
use super::layout::TextLayout;
use super::paragraph::{Align, Paragraph};
use crate::units::Size;

fn engine() -> Engine {
    Engine::new(Folders::These(Vec::new()))
}

/// Ink on black: `width` × `height` pixels with the paragraph at (x, y).
fn ink(paragraph: &Paragraph, (width, height): (usize, usize), at: (i32, i32)) -> Vec<u32> {
    let mut pixels = vec![0; width * height];
    paragraph.draw(&mut pixels, width, at, &[0x00ff_ffff], 1.0);
    pixels
}

fn lit(pixels: &[u32]) -> usize {
    pixels.iter().filter(|pixel| **pixel > 0x0040_4040).count()
}

#[test]
fn digits_are_of_one_width() {
    let mut engine = engine();
    for size in [12.0, 15.0, 16.0, 20.0, 33.3] {
        let widths: Vec<u32> =
            (0..10).map(|digit| engine.set(&[&digit.to_string().repeat(8)], size, None).width()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{size}: {widths:?}");
    }
}

#[test]
fn the_bundled_faces_have_what_europe_writes() {
    let mut engine = engine();
    let all =
        "Grüße, Ærøskøbing, Łódź, Žižkov, İstanbul, Ὀδυσσεύς, Вій, їжак, ǅ ẞ ṩ → ↔ − ≤ ≈ € ₽ ₴ ½ № … “a” ─│█ e\u{301}";
    let set = engine.set(&[all], 16.0, None);
    assert!(set.is_complete() && !set.text.contains('\u{fffd}'), "{}", set.text);
    assert!(!engine.system().is_read(), "no other face was looked for");
}

#[test]
fn without_fonts_of_the_system_a_sign_stands_for_each_letter() {
    let mut engine = engine();
    assert!(engine.lacks_fonts("שלום"));
    engine.system().wait();
    assert!(!engine.lacks_fonts("שלום"));
    for text in ["שלום", "สวัสดี", "日本語", "👩‍👩‍👧‍👦", "\u{e000}\u{10ffff}", "नमस्ते"]
    {
        let set = engine.set(&[text], 16.0, None);
        assert!(set.is_complete() && lit(&ink(&set, (300, 30), (5, 5))) > 10, "{text}");
        assert!(set.text.chars().all(|letter| letter == '\u{fffd}'), "{text}: {}", set.text);
    }
    assert_eq!(engine.set(&["👩‍👩‍👧‍👦x"], 16.0, None).text.chars().count(), 2, "a family is one letter");
}

#[test]
fn what_waits_for_fonts_is_set_again_when_they_are_read() {
    let mut engine = engine();
    let (sender, woken) = std::sync::mpsc::channel();
    engine.system().on_read(Box::new(move || sender.send(()).expect("it is waited for")));
    assert!(!engine.set(&["日本"], 16.0, None).is_complete());
    woken.recv().expect("it is told");
    assert!(engine.set(&["日本"], 16.0, None).is_complete());
}

#[test]
fn hostile_words_are_set_and_stay_in_their_rows() {
    let mut engine = engine();
    engine.system().wait();
    let marks = format!("a{}b{}", "\u{301}".repeat(500), "\u{323}\u{489}\u{20dd}".repeat(200));
    let families = "👨‍👩‍👧‍👦🏳️‍🌈👍🏽🇩🇪".repeat(300);
    let (word, joiners) = ("W".repeat(1_000_000), "\u{200d}".repeat(9_000));
    let controls: String = (0..0xa0).filter_map(char::from_u32).collect();
    let unpaired =
        "\u{202e}\u{2066}\u{2067}abc\u{2069}\u{2069}\u{202c}\u{2068}אבג\u{202b}\u{2029}\u{2028}\n\r\u{85}\u{1c}\t\0";
    let tags = "\u{1f3f4}\u{e0067}\u{e0062}\u{e007f}\u{fe0f}\u{fe0f}\u{20e3}";
    for text in [&marks, &families, &word, &joiners, &controls, unpaired, tags, "", " ", "\u{300}", "\0", "\u{feff}"] {
        for size in [f32::NAN, -1.0, 0.0, 5.5, 16.0, 10_000.0, f32::INFINITY] {
            let widths: &[Option<u32>] =
                if text.len() > 9_999 { &[Some(90)] } else { &[None, Some(0), Some(7), Some(u32::MAX)] };
            for width in widths {
                let set = engine.set(&[text, text], size, *width);
                let (high, line) = (set.height() as usize, set.line_height() as usize);
                let pixels = ink(&set, (100, 300), (10, 20));
                assert!(pixels[..20 * 100].iter().all(|pixel| *pixel == 0), "above the first row");
                assert!(pixels.iter().skip((20 + high) * 100).all(|pixel| *pixel == 0), "below the last row");
                assert_eq!(high, line * set.rows.len());
            }
        }
    }
    let pixels = ink(&engine.set(&[&marks], 16.0, None), (100, 60), (10, 20));
    assert!(lit(&pixels) > 20, "the letter is there");
}

#[test]
fn nothing_is_drawn_outside_the_pixels() {
    let mut engine = engine();
    let set = engine.set(&["Äß→W"], 20.0, None);
    for at in [(-15, -9), (35, 25), (i32::MAX, i32::MIN), (i32::MIN, i32::MAX), (0, 0), (38, 0)] {
        ink(&set, (40, 30), at);
        ink(&set, (1, 1), at);
        set.draw(&mut [], 0, at, &[], 2.0);
    }
    assert!(lit(&ink(&set, (40, 30), (-15, -9))) > 0, "what is inside is drawn");
}

#[test]
fn opacity_fades_and_spans_have_their_colours() {
    let mut engine = engine();
    let set = engine.set(&["ada", "█"], 20.0, None);
    let drawn = |opacity| {
        let mut pixels = vec![0; 120 * 40];
        set.draw(&mut pixels, 120, (3, 3), &[0x0000_ff00, 0x00ff_0000], opacity);
        pixels
    };
    let most = |pixels: &[u32], shift: u32| pixels.iter().map(|pixel| pixel >> shift & 0xff).max().unwrap_or(0);
    let full = drawn(1.0);
    assert_eq!((most(&full, 16), most(&full, 8), most(&full, 0)), (255, 255, 0));
    let half = drawn(0.5);
    assert!((120..136).contains(&most(&half, 16)), "{}", most(&half, 16));
    assert!(drawn(0.0).iter().all(|pixel| *pixel == 0));
    let red = |row: &[u32]| row.iter().position(|pixel| *pixel == 0x00ff_0000);
    let green = |row: &[u32]| row.iter().rposition(|pixel| *pixel == 0x0000_ff00);
    let last = full.chunks(120).filter_map(green).max();
    assert!(full.chunks(120).filter_map(red).min() > last, "the second span follows the first");
}

#[test]
fn the_text_tells_the_direction() {
    let mut engine = engine();
    engine.system().wait();
    // Signs stand for letters that no face has, and have no direction: so this one is of a script by its marks alone.
    assert!(!engine.set(&["(abc)"], 16.0, None).is_right_to_left());
    assert!(engine.set(&["\u{200f}(abc)"], 16.0, None).is_right_to_left());
    assert!(engine.set(&["ada", "שלום"], 16.0, None).is_right_to_left(), "the last span's");
    assert!(!engine.set(&["שלום", "ada"], 16.0, None).is_right_to_left());
    let set = engine.set(&["\u{200f}abc"], 16.0, Some(200));
    assert_eq!(set.indent(0, Align::Left, 200), 0);
    assert_eq!(set.indent(0, Align::Start, 200), 200 - set.width() as i32);
}

#[test]
fn carets_follow_the_letters() {
    let mut engine = engine();
    let set = engine.set(&["> ", "añb\u{301}c"], 16.0, None);
    let at = |index| set.caret(index).x;
    let places: Vec<i32> = [0, 1, 3, 6, 7].into_iter().map(at).collect();
    assert!(places.is_sorted_by(|one, other| one < other) && places[0] > 0, "{places:?}");
    assert_eq!((at(2), at(5)), (at(1), at(3)), "within a letter is in front of it");
    assert_eq!((at(99), set.caret(0).height), (at(7), set.line_height()));
    let (short, long) = (engine.set(&["iii"], 16.0, None), engine.set(&["iiiW"], 16.0, None));
    assert_eq!(short.caret(3), long.caret(3));
    assert_eq!(engine.set(&[""], 16.0, None).caret(0).x, 0);
    // In the second row.
    let rows = engine.set(&["abc def"], 16.0, Some(40));
    assert_eq!((rows.rows.len(), rows.caret(4).x, rows.caret(4).y), (2, 0, rows.line_height() as i32));
    assert_eq!(rows.caret(3).y, 0);
}

#[test]
fn a_line_is_cut_at_either_end() {
    let mut engine = engine();
    let name = "server.example:9688/floor/kitchen/door";
    for width in 0..400 {
        for keep in [Keep::Start, Keep::End] {
            let cut = engine.fit(name, 16.0, width, keep);
            assert!(cut.width() <= width.max(engine.set(&["…"], 16.0, None).width()), "{width}");
        }
    }
    let (start, end) = (engine.fit(name, 16.0, 150, Keep::Start), engine.fit(name, 16.0, 150, Keep::End));
    assert!(start.text.starts_with("server.ex") && start.text.ends_with('…'), "{}", start.text);
    assert!(end.text.starts_with('…') && end.text.ends_with("en/door"), "{}", end.text);
    assert!(start.width() > 135 && end.width() > 135, "as much as fits");
    assert_eq!(engine.fit("door", 16.0, 150, Keep::End).text, "door");
    let long = "x".repeat(2_000_000) + "end";
    assert!(engine.fit(&long, 16.0, 150, Keep::End).text.ends_with("xend"));
}

#[test]
fn letters_of_a_size_stay_what_they_are() {
    let drawn = |engine: &mut Engine, text: &str| ink(&engine.set(&[text], 16.0, None), (200, 40), (3, 3));
    let mut used = engine();
    for size in 5..60 {
        used.set(&["what was set before"], size as f32, None);
    }
    assert!(drawn(&mut used, "Quick zephyrs") == drawn(&mut engine(), "Quick zephyrs"), "another size's are drawn");
}

#[test]
fn what_is_kept_is_bounded() {
    let mut engine = engine();
    let first = engine.set(&["first"], 16.0, None);
    for n in 0..3_000 {
        engine.set(&[&format!("line {n}")], 10.0 + (n % 50) as f32, None);
        assert!(Arc::ptr_eq(&first, &engine.set(&["first"], 16.0, None)), "what is used is kept");
    }
    let (paragraphs, images) = engine.kept_count();
    assert!(paragraphs <= 1_024 && images < 10_000, "{paragraphs} and {images}");
    for n in 0..300 {
        engine.set(&[&"WM@".repeat(900), &n.to_string()], 60.0, Some(1_000));
    }
    assert!(engine.kept_count().0 < 30, "large ones are fewer");
}

#[test]
fn words_are_broken_where_lines_are() {
    let mut engine = engine();
    let rows = |set: &Paragraph| set.rows().map(str::to_owned).collect::<Vec<_>>();
    let set = engine.set(&["the film could not be opened"], 16.0, Some(90));
    assert!(rows(&set).len() > 2 && set.width() <= 90 && !set.cuts_words(), "{:?}", rows(&set));
    let set = engine.set(&["a /very/long/path-without-a-single-space b"], 16.0, Some(60));
    assert!(set.width() <= 60, "{:?}", rows(&set));
    assert!(engine.set(&["incomprehensibilities"], 16.0, Some(60)).cuts_words());
}

#[test]
fn a_card_takes_the_largest_letters_that_fit() {
    let mut engine = engine();
    let mut heights = Vec::new();
    for (width, height) in [(320, 240), (640, 480), (1_280, 720), (3_840, 2_160)] {
        let layout = TextLayout::with(&mut engine, Size::new(width, height), "Gone", &["Check the cable."]);
        heights.push(layout.parts()[0].paragraph.line_height());
    }
    assert!(heights.is_sorted_by(|one, other| one < other), "{heights:?}");
    assert!((55..=60).contains(&heights[2]), "a twelfth of 720: {heights:?}");
}
