//! Cards in rooms of every size.

use super::*;

const TITLE: &str = "server.example:9688 has fallen silent";
const LINES: [&str; 3] = [
    "Its program, its machine or the network has stopped; Überprüfe die Donaudampfschifffahrtsgesellschaft.",
    "Οι εικόνες επιστρέφουν. Картинка вернётся сама.",
    "Looking for it; the picture comes back by itself.",
];

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

/// All of `texts` stand in the layout's rows, whole and in order, and no row is wider than the window.
fn whole(layout: &TextLayout, texts: &[&str], size: Size) {
    for (part, text) in layout.parts().iter().zip(texts) {
        let read: String = part.paragraph.rows().map(squeezed).collect();
        assert_eq!(read, squeezed(text), "{size}");
        let rows = 0..part.paragraph.rows.len();
        // A letter that is wider than the window cannot be helped.
        let widest =
            part.paragraph.rows.iter().flat_map(|row| &row.letters).map(|letter| letter.width as u32 + 1).max();
        for row in rows.filter(|_| widest.unwrap_or(0) <= part.room) {
            let x = part.at.0 + part.paragraph.indent(row, Align::Centre, part.room);
            let end = x + part.paragraph.rows[row].width as i32;
            assert!(x >= 0 && end <= i32::from(size.width), "{size}: {x}..{end}");
        }
    }
}

#[test]
fn no_word_is_lost_at_any_width() {
    let mut engine = engine();
    let texts: Vec<&str> = [TITLE].into_iter().chain(LINES).collect();
    for width in 1..=2_000 {
        let heights: &[u16] = if width % 90 == 1 { &[1, 9, 90, 240, 720, 2_000] } else { &[480] };
        for height in heights {
            let size = Size::new(width, *height);
            let layout = TextLayout::with(&mut engine, size, TITLE, &LINES);
            whole(&layout, &texts, size);
            let last = layout.parts().last().expect("four of them");
            let end = last.at.1 + last.paragraph.height() as i32;
            let fits = width >= 150 && *height >= 240;
            assert!(!fits || end <= i32::from(*height), "{size}: the last row ends at {end}");
            assert!(layout.parts()[0].at.1 >= 0, "{size}: the title is seen");
            assert!(layout.is_complete());
        }
    }
}

#[test]
fn a_card_without_words_or_room_is_drawn() {
    let mut engine = engine();
    for size in [Size::new(0, 0), Size::new(0, 50), Size::new(50, 0), Size::new(1, 1), Size::new(u16::MAX, u16::MAX)] {
        for (title, lines) in [("", &[][..]), ("", &["", ""]), ("Gone", &[]), ("Gone", &["now"; 500])] {
            let layout = TextLayout::with(&mut engine, size, title, lines);
            let width = usize::from(size.width).min(100);
            layout.draw(&mut vec![0; width * 10], width, 1, 2);
        }
    }
}
