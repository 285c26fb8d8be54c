//! What words look like, compared with another renderer: Pango, with the same faces in the same size. A script is left out
//! where this machine has no font for it, or no Pango; the gate brings both.

mod ink;
mod pango;
mod scales;

use ink::Ink;
use udpstream::text::{Engine, Folders};

/// Pixels of a letter.
const SIZE: f32 = 48.0;
/// Right words are at 0.94 and more in all their parts.
const ALIKE: f64 = 0.9;
/// Wrong ones are below 0.7 in one.
const UNLIKE: f64 = 0.75;

fn engine() -> Engine {
    let engine = Engine::new(Folders::from_environment());
    engine.wait();
    engine
}

fn set(engine: &mut Engine, text: &str) -> Ink {
    let words = engine.set(&[text], SIZE, None);
    let (width, height) = (words.width() as usize + 80, words.height() as usize + 80);
    let mut pixels = vec![0; width * height];
    words.draw(&mut pixels, width, (40, 40), &[0x00ff_ffff], 1.0);
    Ink::new(pixels.iter().map(|pixel| ink::grey(*pixel)).collect(), width)
}

/// How alike our words and Pango's are, if there is a font for them. `ours` may be others than `theirs`.
fn likeness(engine: &mut Engine, ours: &str, theirs: &str, of_system: bool) -> Option<f64> {
    let files = engine.files(theirs);
    if of_system && files.is_empty() {
        assert!(std::env::var_os("CI").is_none(), "the gate brings a font for {theirs}");
        return None;
    }
    let reference = pango::draw(theirs, SIZE, &files)?;
    Some(set(engine, ours).likeness(&reference))
}

fn alike(text: &str, of_system: bool) {
    let mut engine = engine();
    match likeness(&mut engine, text, text, of_system) {
        Some(likeness) => assert!(likeness > ALIKE, "{text}: {likeness:.3}"),
        None => eprintln!("not run: no Pango, or no font for {text}"),
    }
}

/// The comparison tells these words from the right ones.
fn unlike(wrong: &str, text: &str, of_system: bool) {
    let mut engine = engine();
    if let Some(likeness) = likeness(&mut engine, wrong, text, of_system) {
        assert!(likeness < UNLIKE, "{wrong} passes for {text}: {likeness:.3}");
    }
}

#[test]
fn the_bundled_letters() {
    alike("Größe: 192.0.2.7 – fiAVATo", false);
    alike("Ελλάδα ὀδύσσεια", false);
    alike("Картинка вернётся ѝ", false);
    alike("Łódź Žižkov ẞṩ", false);
    unlike("Größe: 192.0.2.8 – fiAVATl", "Größe: 192.0.2.7 – fiAVATo", false);
    unlike("Картина вернулась ѝ", "Картинка вернётся ѝ", false);
}

#[test]
fn arabic_is_joined_and_stands_from_the_right() {
    let text = "مرحبا بالعالم";
    alike(text, true);
    alike("انقطع الاتصال", true);
    let isolated: String = text.chars().flat_map(|letter| [letter, '\u{200c}']).collect();
    unlike(&isolated, text, true);
    let reversed: String = text.chars().rev().collect();
    unlike(&reversed, text, true);
}

#[test]
fn hebrew_stands_from_the_right() {
    let text = "שלום עולם";
    alike(text, true);
    alike("השרת אינו עונה. (3)", true);
    let reversed: String = text.chars().rev().collect();
    unlike(&reversed, text, true);
    unlike("עולם שלום", text, true);
}

#[test]
fn devanagari_has_its_conjuncts() {
    let text = "क्षत्रिय हिन्दी";
    alike(text, true);
    let apart: String = text.chars().flat_map(|letter| [letter, '\u{200c}']).collect();
    unlike(&apart, text, true);
}

#[test]
fn thai_has_its_marks_above() {
    alike("สวัสดีครับ", true);
    alike("น้ำที่นี่", true);
    unlike("สวสดครบ", "สวัสดีครับ", true);
}

#[test]
fn chinese_and_japanese() {
    alike("没有回答服务器", true);
    alike("映像が止まりました", true);
    unlike("没有回应服务员", "没有回答服务器", true);
    unlike("映画が止められました", "映像が止まりました", true);
}

#[test]
fn emoji_are_one_picture_each() {
    alike("👍🏽🎉", true);
    alike("👩‍👩‍👧‍👦🇩🇪", true);
    unlike("👩👩👧👦", "👩‍👩‍👧‍👦🇩🇪", true);
    unlike("👍🎂", "🎉👍🏽", true);
}

#[test]
fn emoji_have_colours() {
    let mut engine = engine();
    if engine.files("❤️").is_empty() {
        assert!(std::env::var_os("CI").is_none(), "the gate brings a font");
        return eprintln!("not run: no font for emoji");
    }
    let words = engine.set(&["❤️"], SIZE, None);
    let mut pixels = vec![0; 100 * 100];
    words.draw(&mut pixels, 100, (10, 10), &[0x00ff_ffff], 1.0);
    let red = pixels.iter().filter(|pixel| **pixel >> 16 > 0xb0 && **pixel & 0xff < 0x60).count();
    assert!(red > 300, "{red} red pixels");
}

#[test]
fn any_words_are_set() {
    let mut engine = engine();
    let mut seed = 1_u64;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    // Letters of many scripts, what orders and joins them, and marks.
    let ranges: [(u64, u64); 12] = [
        (0x00, 0x80),
        (0x300, 0x40),
        (0x590, 0x120),
        (0x900, 0x500),
        (0xe00, 0x60),
        (0x1000, 0x100),
        (0x1780, 0x80),
        (0x2000, 0x70),
        (0x3000, 0x100),
        (0xfe00, 0x10),
        (0x1f300, 0x400),
        (0, 0x11_0000),
    ];
    for round in 0..400 {
        let length = next(40);
        let letter = |_| {
            let (first, count) = ranges[next(12) as usize];
            char::from_u32((first + next(count)) as u32)
        };
        let words: String = (0..length).filter_map(letter).collect();
        let (size, width) = (next(60) as f32, Some(next(300) as u32).filter(|_| round % 3 > 0));
        let set = engine.set(&[words.as_str(), &words][..1 + round % 2], size, width);
        let mut pixels = vec![0; 60 * 60];
        set.draw(&mut pixels, 60, (next(90) as i32 - 30, next(90) as i32 - 30), &[0x00ff_ffff], 1.0);
        assert!((0..=words.len()).all(|at| set.caret(at).height == set.line_height()), "{words:?}");
        engine.fit(&words, size, width.unwrap_or(50), udpstream::text::Keep::End);
    }
}
