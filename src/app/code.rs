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
use crate::text;

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
        let address = format!("udp://{place}/{code}");
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
    let fits = |rows: &[String]| rows.iter().all(|row| row.chars().count() < columns);
    let large = [banner(first, &HALVES), vec![String::new()], banner(second, &HALVES)].concat();
    if fits(&large) {
        return large;
    }
    let narrow = banner(code, &QUADRANTS);
    if fits(&narrow) { narrow } else { Vec::new() }
}

/// How dots become characters, each of two rows of dots: by the dots of the upper row, from the left, and then those of the lower.
struct Blocks {
    /// Dots of a letter's size.
    size: f32,
    columns: usize,
    characters: &'static [char],
}

const HALVES: Blocks = Blocks { size: 9.0, columns: 1, characters: &[' ', '▀', '▄', '█'] };
const QUADRANTS: Blocks = Blocks {
    size: 11.0,
    columns: 2,
    characters: &[' ', '▘', '▝', '▀', '▖', '▌', '▞', '▛', '▗', '▚', '▐', '▜', '▄', '▙', '▟', '█'],
};

const INK: u32 = 255;
/// A dot that is covered more than this is one.
const THRESHOLD: u32 = 110;

/// One row of large letters.
fn banner(text: &str, blocks: &Blocks) -> Vec<String> {
    let words = text::set(&[text], blocks.size, None);
    let (width, height) = ((words.width() as usize).next_multiple_of(blocks.columns), words.height() as usize);
    let mut pixels = vec![0; width * height.next_multiple_of(2)];
    words.draw(&mut pixels, width, (0, 0), &[INK], 1.0);
    let dots: Vec<Vec<bool>> = pixels.chunks(width.max(1)).map(|row| row.iter().map(|&ink| ink > THRESHOLD).collect()).collect();
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
    fn show() {
        for size in [9.0_f32, 10.0, 11.0, 12.0, 13.0] {
            for (mut b) in [HALVES, QUADRANTS] { b.size = size; println!("{size}");
            for row in banner("K7QM-01AB-CDEF-GHJK-MNPQ", &b) { println!("{row}"); } }
        }
    }
    #[test]
    fn a_qr_code_of_an_address_fits_a_terminal() {
        let rows = qr("udp://192.168.100.200:9688/K7QM-01AB-CDEF-GHJK-MNPQ").expect("a code");
        assert!(rows.len() <= 24 && rows.iter().all(|row| row.chars().count() <= 48), "{}", rows.len());
    }
}
