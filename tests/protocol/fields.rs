//! Takes a datagram apart by the page's own tables of fields, not by the library's parsers.

use crate::page::Page;

/// Some bytes of a datagram and what they are.
pub struct Item {
    pub length: usize,
    pub note: String,
    /// Only so many of its bytes are worth printing.
    pub shown: usize,
}

/// One row of a table `| offset | type | field |`.
struct Field {
    offset: String,
    kind: String,
    name: String,
}

/// Where we are in a datagram.
pub struct Walk<'a> {
    page: &'a Page,
    bytes: &'a [u8],
    at: usize,
    pub items: Vec<Item>,
    /// Numbers that later fields need, by name.
    numbers: Vec<(String, u64)>,
}

impl<'a> Walk<'a> {
    /// Every byte of a datagram, named. Panics when table and bytes do not agree.
    pub fn of(page: &'a Page, datagram: &'a [u8]) -> Vec<Item> {
        let mut walk = Self { page, bytes: datagram, at: 0, items: Vec::new(), numbers: Vec::new() };
        walk.fields(&fields(&page.table("## 2. Hop header")));
        match datagram[3] {
            0x10 => walk.object(),
            kind => walk.fields(&fields(&page.kind(kind, &page.kind_name(kind)))),
        }
        assert_eq!(walk.at, datagram.len(), "bytes that the page does not tell of");
        walk.items
    }

    fn object(&mut self) {
        let mut table = fields(&self.page.table("### 3.1 Header"));
        if self.bytes[self.at + 1] == 2 {
            // Sound has fields of its own in the places of a picture's.
            for own in fields(&self.page.table("<!-- Fields of sound. -->")) {
                let there = table.iter_mut().find(|field| field.offset == own.offset);
                let there = there.unwrap_or_else(|| panic!("no field at {}", own.offset));
                assert_eq!(there.kind, own.kind, "the type of {:?}", own.name);
                *there = own;
            }
        }
        let (behind, header): (Vec<Field>, Vec<Field>) =
            table.into_iter().partition(|field| field.offset.parse::<usize>().is_err());
        let start = self.at;
        self.fields(&header);
        assert_eq!(self.at - start, 4 * self.number("words") as usize);
        let heading = match self.number("type") {
            4 => Some("### 3.3 Description"),
            5 => Some("<!-- TLVs of texts. -->"),
            _ => None,
        };
        if let Some(heading) = heading {
            let end = self.at + self.number("body length") as usize;
            self.tlvs(heading, end);
            self.fields(&behind[1..]);
        } else {
            self.fields(&behind);
        }
    }

    fn fields(&mut self, fields: &[Field]) {
        let start = self.at;
        for field in fields {
            if let Ok(offset) = field.offset.parse::<usize>() {
                assert_eq!(self.at - start, offset, "the offset of {:?}", field.name);
            }
            self.field(field);
        }
    }

    fn field(&mut self, field: &Field) {
        let name = field.name.as_str();
        let rest = self.bytes.len() - self.at;
        match field.kind.as_str() {
            "u8" => self.unsigned(name, 1),
            "u16" => self.unsigned(name, 2),
            "u32" => self.unsigned(name, 4),
            "u64" | "i64" => self.unsigned(name, 8),
            "text" => {
                self.unsigned("length", 2);
                let length = self.number("length") as usize;
                let text = std::str::from_utf8(&self.bytes[self.at..self.at + length]).unwrap();
                if length > 0 {
                    self.push(length, format!("{text:?}"));
                }
            }
            "zeros" => {
                assert!(self.bytes[self.at..].iter().all(|byte| *byte == 0));
                self.push(rest, format!("{} zeros", grouped(rest)));
            }
            "body" => self.push(self.number("body length") as usize, "body".to_owned()),
            "symbol" => self.push(self.number("symbol length") as usize, "symbol".to_owned()),
            "cells" => self.cells(),
            "names" => {
                let table = fields(&self.page.table("| 9 | names"));
                (0..self.number("count")).for_each(|_| self.fields(&table));
            }
            "TLVs" => self.tlvs("## 6. TLVs", self.bytes.len()),
            "description" => self.tlvs("### 3.3 Description", self.bytes.len()),
            other => {
                let length = other.strip_suffix(" bytes").and_then(|length| length.parse().ok());
                self.push(length.unwrap_or_else(|| panic!("the type {other:?} of {name:?}")), name.to_owned());
            }
        }
    }

    fn unsigned(&mut self, name: &str, length: usize) {
        let value = self.bytes[self.at..self.at + length].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let wide = 2 * length;
        let hex = ["magic", "tag", "nonce", "id", "flags", "cut", "bitmap", "token", "CRC-32"];
        let note = match name {
            "reserved" => name.to_owned(),
            "kind" => format!("kind {value:#04x} {}", self.page.kind_name(value as u8)),
            _ if name.split(' ').any(|word| hex.contains(&word)) => format!("{name} 0x{value:0wide$x}"),
            _ => format!("{name} {value}"),
        };
        self.numbers.push((name.to_owned(), value));
        self.push(length, note);
    }

    /// The last number of this name.
    fn number(&self, name: &str) -> u64 {
        let found = self.numbers.iter().rev().find(|(other, _)| other == name);
        found.unwrap_or_else(|| panic!("no field {name:?} before")).1
    }

    fn push(&mut self, length: usize, note: String) {
        assert!(self.at + length <= self.bytes.len(), "{note:?} reaches behind the end");
        let shown = match note.as_str() {
            "body" | "symbol" => length.min(48),
            note if note.ends_with(" zeros") => length.min(16),
            _ => length,
        };
        self.items.push(Item { length, note, shown });
        self.at += length;
    }

    fn cells(&mut self) {
        for _ in 0..self.number("n") {
            let cell = u16::from_be_bytes([self.bytes[self.at], self.bytes[self.at + 1]]);
            let age = (u32::from(cell & 0x1fff) * 16) << self.number("shift");
            let mark = ["", ", ECT(1)", ", ECT(0)", ", CE"][usize::from(cell >> 13 & 3)];
            self.push(2, if cell & 0x8000 == 0 { "lost".to_owned() } else { format!("{age} µs ago{mark}") });
        }
    }

    /// TLVs up to `end`, by the first table behind `heading`.
    fn tlvs(&mut self, heading: &str, end: usize) {
        let table = self.page.table(heading);
        while self.at < end {
            let word = |at: usize| u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]);
            let (kind, length) = (word(self.at), usize::from(word(self.at + 2)));
            let row = table.iter().find(|row| row[0].split(' ').next() == Some(kind.to_string().as_str()));
            let row = row.unwrap_or_else(|| panic!("the page has no TLV {kind}"));
            // `| 2 REPORT_INTERVAL | Update | u16 ms |` in messages, `| 1 | UTF-8 | title |` in descriptions.
            let (name, value) = match row[0].split_once(' ') {
                Some((_, name)) => (name, &row[2]),
                None => (row[2].split([';', ',', '.']).next().unwrap(), &row[1]),
            };
            self.push(4, format!("TLV {kind}, {length}: {name}"));
            let until = self.at + length;
            self.value(name, value, length);
            assert_eq!(self.at, until, "the length of TLV {kind}");
        }
    }

    fn value(&mut self, name: &str, value: &str, length: usize) {
        if value == "below" {
            return self.fields(&fields(&self.page.table(&format!("**{name}**"))));
        }
        if value.starts_with("TLVs") {
            return self.tlvs("## 6. TLVs", self.at + length);
        }
        let parts = value.split(';').next().unwrap().split([',', ':']);
        let numbers: Vec<(&str, &str)> = parts.filter_map(|part| part.trim().split_once(' ')).collect();
        let is_number = |(kind, _): &(&str, &str)| ["u8", "u16", "u32", "u64", "i64"].contains(kind);
        if value == "u32" || value == "u64" {
            self.unsigned(name, length);
        } else if !numbers.is_empty() && numbers.iter().all(is_number) {
            for (kind, name) in numbers {
                self.field(&Field { offset: String::new(), kind: kind.to_owned(), name: name.to_owned() });
            }
        } else if length > 0 {
            let text = std::str::from_utf8(&self.bytes[self.at..self.at + length]).unwrap();
            self.push(length, format!("{text:?}"));
        }
    }
}

fn fields(table: &[Vec<String>]) -> Vec<Field> {
    let name = |text: &str| text.split([':', ';', ',', '*', '(']).next().unwrap().trim().to_owned();
    let field = |row: &Vec<String>| Field { offset: row[0].clone(), kind: row[1].clone(), name: name(&row[2]) };
    table.iter().map(field).collect()
}

/// 1172 → 1 172.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}
