//! A code as people see it: in large letters on a terminal, as a QR code for those who hold a telephone to it, and how to watch
//! by it.

use std::env;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::Path;

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use super::figures::Output;
use super::terminal;
use crate::net::probe;
use crate::seal::Code;

/// What a code is for.
pub struct Told<'a> {
    /// What is watched by it, as in `lobby is watched by its code`.
    pub name: &'a str,
    /// `HOST[:PORT]` as others would write it.
    pub place: &'a str,
    pub code: &'a Code,
    /// Whoever runs this does not have it yet.
    pub is_new: bool,
    /// Where it is kept.
    pub file: Option<&'a Path>,
}

/// Tells people: where they can see it, large; elsewhere in a line.
pub fn tell(output: &Output, told: &Told<'_>) {
    let Told { name, place, code, is_new, file } = told;
    if !is_new && !io::stderr().is_terminal() {
        // What is not for eyes is kept somewhere, and the code is known.
        let lookup = code.lookup();
        let kept = file.map(|file| format!(" (in {})", file.display())).unwrap_or_default();
        return output.say(&format!(
            "{name} is watched by its code, {lookup}-…{kept}, and is in no list: udpstream watch {place}/CODE"
        ));
    }
    output.say(&format!("{name} is watched by its code, and is in no list:"));
    if draws() {
        output.say("");
        letters(&code.to_string(), terminal::columns()).iter().for_each(|row| output.say(row));
        output.say("");
        let address = format!("udpstream://{place}/{code}");
        // Black on white, whatever the terminal's colours: not every reader takes it the other way round.
        let shown = |row: String| output.say(&format!("\x1b[38;5;16;48;5;231m{row}\x1b[0m"));
        qr(&address).filter(|rows| fits(rows)).into_iter().flatten().for_each(shown);
    }
    output.say(&format!("Watch with: udpstream watch {place}/{code}"));
}

/// Whether standard error is a terminal that shows blocks.
fn draws() -> bool {
    let said =
        ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env::var(name).ok().filter(|said| !said.is_empty()));
    let wide = said.is_some_and(|said| said.to_ascii_uppercase().replace('-', "").contains("UTF8"));
    io::stderr().is_terminal() && wide && terminal::knows_escapes()
}

fn fits(rows: &[String]) -> bool {
    let width = rows.iter().map(|row| row.chars().count()).max().unwrap_or(0);
    width < terminal::columns() && rows.len() + 2 < terminal::height()
}

/// The code in large letters: in two rows of square dots where there is room for them, else in one of narrow dots; nothing
/// where not even those fit.
fn letters(code: &str, columns: usize) -> Vec<String> {
    let (first, second) = code.split_at(code.len() * 15 / 24);
    if CELL * first.len() < columns {
        return [banner(first, &HALVES), vec![String::new()], banner(second, &HALVES)].concat();
    }
    let narrow = banner(code, &QUADRANTS);
    if narrow.iter().all(|row| row.chars().count() < columns) { narrow } else { Vec::new() }
}

/// How dots become characters, each of two rows of dots: by the dots of the upper row, from the left, and then those of the lower.
struct Blocks {
    columns: usize,
    characters: &'static [char],
}

const HALVES: Blocks = Blocks { columns: 1, characters: &[' ', '▀', '▄', '█'] };
const QUADRANTS: Blocks = Blocks {
    columns: 2,
    characters: &[' ', '▘', '▝', '▀', '▖', '▌', '▞', '▛', '▗', '▚', '▐', '▜', '▄', '▙', '▟', '█'],
};

/// Dots of a letter, with the column between two of them.
const CELL: usize = 6;
/// Rows of dots of a letter.
const ROWS: usize = 7;

/// The letters of a code, row by row, the leftmost dot in the highest of five bits. A terminal shows so few dots that letters of a
/// usual face cannot be told apart: these are made of dots.
const DOTS: [(char, [u8; ROWS]); 33] = [
    ('0', [0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e]),
    ('1', [0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e]),
    ('2', [0x0e, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1f]),
    ('3', [0x1f, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0e]),
    ('4', [0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02]),
    ('5', [0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e]),
    ('6', [0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e]),
    ('7', [0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08]),
    ('8', [0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e]),
    ('9', [0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c]),
    ('A', [0x04, 0x0a, 0x11, 0x11, 0x1f, 0x11, 0x11]),
    ('B', [0x1e, 0x11, 0x11, 0x1e, 0x11, 0x11, 0x1e]),
    ('C', [0x0e, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0e]),
    ('D', [0x1e, 0x09, 0x09, 0x09, 0x09, 0x09, 0x1e]),
    ('E', [0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f]),
    ('F', [0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x10]),
    ('G', [0x0e, 0x11, 0x10, 0x17, 0x11, 0x11, 0x0f]),
    ('H', [0x11, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11]),
    ('J', [0x07, 0x02, 0x02, 0x02, 0x02, 0x12, 0x0c]),
    ('K', [0x11, 0x12, 0x14, 0x18, 0x14, 0x12, 0x11]),
    ('M', [0x11, 0x1b, 0x15, 0x15, 0x11, 0x11, 0x11]),
    ('N', [0x11, 0x19, 0x19, 0x15, 0x13, 0x13, 0x11]),
    ('P', [0x1e, 0x11, 0x11, 0x1e, 0x10, 0x10, 0x10]),
    ('Q', [0x0e, 0x11, 0x11, 0x11, 0x15, 0x12, 0x0d]),
    ('R', [0x1e, 0x11, 0x11, 0x1e, 0x14, 0x12, 0x11]),
    ('S', [0x0f, 0x10, 0x10, 0x0e, 0x01, 0x01, 0x1e]),
    ('T', [0x1f, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04]),
    ('V', [0x11, 0x11, 0x11, 0x11, 0x0a, 0x0a, 0x04]),
    ('W', [0x11, 0x11, 0x11, 0x15, 0x15, 0x1b, 0x11]),
    ('X', [0x11, 0x11, 0x0a, 0x04, 0x0a, 0x11, 0x11]),
    ('Y', [0x11, 0x11, 0x0a, 0x04, 0x04, 0x04, 0x04]),
    ('Z', [0x1f, 0x01, 0x02, 0x04, 0x08, 0x10, 0x1f]),
    ('-', [0x00, 0x00, 0x00, 0x0e, 0x00, 0x00, 0x00]),
];

/// One row of large letters.
fn banner(text: &str, blocks: &Blocks) -> Vec<String> {
    let width = (CELL * text.chars().count()).next_multiple_of(blocks.columns);
    let mut dots = vec![vec![false; width]; ROWS.next_multiple_of(2)];
    for (letter, at) in text.chars().zip((0..).step_by(CELL)) {
        let Some((_, rows)) = DOTS.iter().find(|(known, _)| *known == letter) else { continue };
        for (row, bits) in dots.iter_mut().zip(rows) {
            (0..CELL - 1).for_each(|x| row[at + x] = bits >> (CELL - 2 - x) & 1 == 1);
        }
    }
    let rows = dots.chunks(2).map(|two| {
        let bits = |x: usize| two.iter().flat_map(move |row| &row[x..x + blocks.columns]);
        let index = |x: usize| bits(x).enumerate().map(|(bit, dot)| usize::from(*dot) << bit).sum::<usize>();
        let row: String = (0..two[0].len()).step_by(blocks.columns).map(|x| blocks.characters[index(x)]).collect();
        row.trim_end().to_owned()
    });
    let rows: Vec<String> = rows.collect();
    let first = rows.iter().position(|row| !row.is_empty()).unwrap_or(0);
    let last = rows.iter().rposition(|row| !row.is_empty()).unwrap_or(0);
    rows[first..=last].to_vec()
}

/// Two modules in each character, with a quiet edge.
fn qr(text: &str) -> Option<Vec<String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let drawn = code.render::<Dense1x2>().dark_color(Dense1x2::Dark).light_color(Dense1x2::Light).build();
    Some(drawn.lines().map(str::to_owned).collect())
}

/// `HOST[:PORT]` of a server that listens there, as a neighbour would write it: where it listens everywhere, the address that this
/// machine speaks to others from.
pub fn place(local: SocketAddr) -> String {
    let own = || probe::own_address().ok().filter(|ip| !ip.is_unspecified());
    let ip = if local.ip().is_unspecified() { own().unwrap_or(local.ip()) } else { local.ip() };
    if ip.is_unspecified() { format!("HOST:{}", local.port()) } else { SocketAddr::new(ip, local.port()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_fits_eighty_columns_in_large_letters_and_each_letter_is_its_own() {
        for (columns, high) in [(80, 3..=5), (91, 7..=11)] {
            let rows = letters("K7QM-01AB-CDEF-GHJK-MNPQ", columns);
            let fits = rows.iter().all(|row| row.chars().count() < columns);
            assert!(high.contains(&rows.len()) && fits, "{rows:#?}");
        }
        let letters: Vec<Vec<String>> =
            "0123456789ABCDEFGHJKMNPQRSTVWXYZ-".chars().map(|letter| banner(&letter.to_string(), &HALVES)).collect();
        for (n, letter) in letters.iter().enumerate() {
            assert!(!letter.is_empty() && letters[..n].iter().all(|other| other != letter), "{letter:#?}");
        }
    }

    #[test]
    fn a_qr_code_of_an_address_fits_a_terminal() {
        let rows = qr("udpstream://192.168.100.200:9688/K7QM-01AB-CDEF-GHJK-MNPQ").expect("a code");
        assert!(rows.len() <= 24 && rows.iter().all(|row| row.chars().count() <= 48), "{}", rows.len());
    }
}
