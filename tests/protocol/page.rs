//! The page as data: its tables, and the blocks between `<!-- block NAME -->` and `<!-- end -->` that tests write.

use std::fs;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PROTOCOL.md");

pub struct Page {
    text: String,
}

impl Page {
    pub fn read() -> Self {
        Self { text: fs::read_to_string(PATH).unwrap() }
    }

    /// What follows the first line for which this holds.
    fn after(&self, what: &str, is_it: impl Fn(&str) -> bool) -> &str {
        let mut at = 0;
        for line in self.text.split_inclusive('\n') {
            at += line.len();
            if is_it(line) {
                return &self.text[at..];
            }
        }
        panic!("the page has no line {what:?}")
    }

    /// The cells of the first table behind a line that begins like this; the heading is left out.
    pub fn table(&self, line: &str) -> Vec<Vec<String>> {
        rows(self.after(line, |other| other.starts_with(line)))
    }

    /// The table of a kind, from its `### 0x01 Hello`.
    pub fn kind(&self, number: u8, name: &str) -> Vec<Vec<String>> {
        let title = format!("{number:#04x} {name}");
        let words = |line: &str| line.split([',', '(']).any(|part| part.trim().trim_start_matches("### ") == title);
        rows(self.after(&title, |line| line.starts_with("### 0x") && words(line)))
    }

    /// Numbers and names of the table of kinds.
    pub fn kinds(&self) -> Vec<(u8, String)> {
        let rows = self.table("## 5. Kinds");
        let pairs = rows.iter().flat_map(|row| row[0].split(", ").zip(row[1].split(", ")));
        pairs.map(|(number, name)| (u8::from_str_radix(&number[2..], 16).unwrap(), name.to_owned())).collect()
    }

    pub fn kind_name(&self, number: u8) -> String {
        let known = self.kinds().into_iter().find(|(kind, _)| *kind == number);
        known.unwrap_or_else(|| panic!("the page has no kind {number:#04x}")).1
    }

    /// Names of all blocks.
    pub fn blocks(&self) -> Vec<&str> {
        let name = |line| str::strip_prefix(line, "<!-- block ").and_then(|rest| rest.strip_suffix(" -->"));
        self.text.lines().filter_map(name).collect()
    }

    pub fn block(&self, name: &str) -> &str {
        let start = format!("<!-- block {name} -->\n");
        let behind = self.text.split_once(&start).unwrap_or_else(|| panic!("the page has no block {name}")).1;
        behind.split_once("<!-- end -->").unwrap().0
    }

    pub fn set_block(&mut self, name: &str, content: &str) {
        let start = format!("<!-- block {name} -->\n");
        let old = format!("{start}{}", self.block(name));
        self.text = self.text.replacen(&old, &format!("{start}{content}"), 1);
    }

    pub fn write(&self) {
        fs::write(PATH, &self.text).unwrap();
    }
}

/// The rows of the first table in this text.
fn rows(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    lines.skip(2).map(cells).collect()
}
