//! The dumps in the page are the datagrams that the library sends.

use std::collections::BTreeSet;

use udpstream::media::jpeg::tables;

use crate::fields::{Item, Walk, grouped};
use crate::page::Page;
use crate::samples::{Sample, samples};

/// Bytes in a line, and columns for what they are.
const WIDTH: usize = 16;
const NOTES: usize = 54;

/// A dump: offset, bytes, what they are.
struct Dump<'a> {
    bytes: &'a [u8],
    at: usize,
    out: String,
    /// The line in hand: its bytes, and their notes.
    line: (usize, String),
}

impl Dump<'_> {
    fn of(items: &[Item], bytes: &[u8]) -> String {
        let mut dump = Dump { bytes, at: 0, out: String::new(), line: (0, String::new()) };
        items.iter().for_each(|item| dump.item(item));
        dump.flush();
        dump.out
    }

    fn item(&mut self, item: &Item) {
        let (used, note) = &self.line;
        let long = item.length > WIDTH;
        if *used > 0 && (long || used + item.length > WIDTH || note.chars().count() + item.note.chars().count() > NOTES)
        {
            self.flush();
        }
        if long {
            return self.long(item);
        }
        let note = &mut self.line.1;
        note.push_str(if note.is_empty() { "" } else { " | " });
        note.push_str(&item.note);
        self.line.0 += item.length;
    }

    fn long(&mut self, item: &Item) {
        let mut left = item.shown;
        let mut note = item.note.clone();
        while left > 0 {
            self.line = (left.min(WIDTH), std::mem::take(&mut note));
            left -= self.line.0;
            self.flush();
        }
        if item.shown < item.length {
            let rest = item.length - item.shown;
            self.out.push_str(&format!("    …     {} bytes more\n", grouped(rest)));
            self.at += rest;
        }
    }

    fn flush(&mut self) {
        let (length, note) = std::mem::take(&mut self.line);
        if length > 0 {
            self.out.push_str(&line(self.at, &self.bytes[self.at..self.at + length], &note));
            self.at += length;
        }
    }
}

fn line(at: usize, bytes: &[u8], note: &str) -> String {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("    {at:04x}  {:47}   {note}", hex.join(" ")).trim_end().to_owned() + "\n"
}

fn block(page: &Page, sample: &Sample) -> String {
    let Sample { title, bytes, .. } = sample;
    let items = Walk::of(page, bytes);
    format!("{title}, {} bytes:\n\n{}\n", grouped(bytes.len()), Dump::of(&items, bytes))
}

/// The Annex K tables as the segments that a receiver puts in.
fn tables_block() -> String {
    let (bytes, mut out, mut at) = (tables::header(50, false), "\n".to_owned(), 0);
    while at < bytes.len() {
        let length = 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        let name = match (bytes[at + 1], bytes[at + 4]) {
            (0xdb, id) => format!("DQT, table {id}"),
            (0xc4, class) => format!("DHT, {} {}", ["DC", "AC"][usize::from(class >> 4)], class & 15),
            other => panic!("a segment {other:02x?}"),
        };
        for (n, row) in bytes[at..at + length].chunks(WIDTH).enumerate() {
            out.push_str(&line(at + n * WIDTH, row, if n == 0 { &name } else { "" }));
        }
        at += length;
    }
    out.push('\n');
    out
}

#[test]
fn the_page_shows_what_is_sent() {
    let mut page = Page::read();
    let mut wanted: Vec<(&str, String)> = samples().iter().map(|sample| (sample.name, block(&page, sample))).collect();
    wanted.push(("tables", tables_block()));
    if std::env::var_os("UDPSTREAM_BLESS").is_some_and(|value| value == "1") {
        wanted.iter().for_each(|(name, block)| page.set_block(name, block));
        page.write();
    }
    for (name, block) in &wanted {
        let differs = "docs/PROTOCOL.md differs; if the change is meant: UDPSTREAM_BLESS=1 cargo test --test protocol";
        assert!(
            page.block(name) == block,
            "{differs}\nblock {name} in the page:\n{}\nsent:\n{block}",
            page.block(name)
        );
    }
    let (there, made): (BTreeSet<&str>, BTreeSet<&str>) =
        (page.blocks().into_iter().collect(), wanted.iter().map(|(name, _)| *name).collect());
    assert_eq!(there, made, "blocks in the page, and those that are written");
}

#[test]
fn every_kind_has_a_dump() {
    let page = Page::read();
    let shown: BTreeSet<u8> = samples().iter().map(|sample| sample.bytes[3]).collect();
    let told: BTreeSet<u8> = page.kinds().into_iter().map(|(number, _)| number).collect();
    assert_eq!(shown, told);
}
