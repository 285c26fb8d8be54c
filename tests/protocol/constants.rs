//! The figures, codes, flags and numbers in the page are the constants of the sources.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::fields::grouped;
use crate::page::Page;

type Constants = BTreeMap<String, String>;

fn source(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path)).unwrap()
}

/// Names and values of a source's constants, as the sources write them; those that begin with so much white space.
fn written(text: &str, indent: &str) -> Vec<(String, String, String)> {
    let constant = |line: &str| {
        let line = line.strip_prefix(indent)?;
        let line = line.strip_prefix("pub const ").or_else(|| line.strip_prefix("const "))?;
        let (name, rest) = line.split_once(": ")?;
        let (kind, value) = rest.strip_suffix(';')?.split_once(" = ")?;
        Some((name.to_owned(), kind.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(constant).collect()
}

fn number(text: &str) -> Option<u64> {
    match text.split_once(" << ") {
        Some((value, shift)) => Some(number(value)? << number(shift)?),
        None => text.replace('_', "").parse().ok(),
    }
}

/// `Duration::from_millis(50)` is "50 ms", `4_096` is "4 096"; `None` is no figure.
fn figure(kind: &str, value: &str) -> Option<String> {
    let inside = |prefix| value.strip_prefix(prefix).and_then(|rest: &str| rest.strip_suffix(')')).and_then(number);
    let with = |unit: &'static str| move |number: u64| format!("{} {unit}", grouped(number as usize));
    match kind {
        "Duration" => inside("Duration::from_secs(")
            .map(with("s"))
            .or_else(|| inside("Duration::from_millis(").map(with("ms")))
            .or_else(|| inside("Duration::from_micros(").map(with("µs"))),
        "[u64; 4]" => {
            let times = value.trim_matches(['[', ']']).split(", ").map(|time| number(time).map(with("ms")));
            times.collect::<Option<Vec<_>>>().map(|times| times.join(", "))
        }
        "u8" | "u16" | "u32" | "u64" | "usize" => number(value).map(|number| grouped(number as usize)),
        _ => None,
    }
}

/// All figures of the protocol machines: "server/upkeep BYES" → "5". Those that only try them out are none of them.
fn machine_figures(folder: &Path, module: &str, found: &mut Constants) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let inner = match (module, stem) {
            (_, "mod") => module.to_owned(),
            ("", stem) => stem.to_owned(),
            (module, stem) => format!("{module}/{stem}"),
        };
        if stem == "fuzz" {
            continue;
        }
        if path.is_dir() {
            machine_figures(&path, &inner, found);
            continue;
        }
        for (name, kind, value) in written(&fs::read_to_string(&path).unwrap(), "") {
            if let Some(figure) = figure(&kind, &value) {
                found.insert(format!("{inner} {name}"), figure);
            }
        }
    }
}

#[test]
fn the_figures_of_the_page_are_those_of_the_machines() {
    let mut constants = Constants::new();
    machine_figures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/proto"), "", &mut constants);
    assert!(constants.len() > 25, "the sources are read: {constants:?}");
    let rows = Page::read().table("## 10. Timers");
    // What no other implementation needs to know is not among them, and ours to change.
    assert!(rows.len() > 20, "the page is read: {} figures", rows.len());
    for row in &rows {
        let figure = constants.remove(&row[2]).unwrap_or_else(|| panic!("no constant {:?} below src/proto", row[2]));
        let rest = row[1].strip_prefix(&figure);
        let whole = rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()));
        assert!(whole, "{}: the page says {:?}, the source {figure:?}", row[0], row[1]);
    }
}

/// A module's constants by number: `pub mod flags { pub const LAST: u16 = 1 << 1; }` gives 2 → LAST.
fn numbers(file: &str, begins: &str) -> BTreeMap<u64, String> {
    let text = source(file);
    let body = text.split_once(begins).unwrap_or_else(|| panic!("{begins:?} in {file}")).1;
    let body = body.split_once("\n}").unwrap().0;
    let value = |kind: &str, value: &str| match kind {
        "Self" => number(value.strip_prefix("Self(")?.strip_suffix(')')?),
        _ => number(value),
    };
    let pairs = written(body, "    ").into_iter().filter_map(|(name, kind, text)| Some((value(&kind, &text)?, name)));
    pairs.collect()
}

#[test]
fn the_tlvs_of_the_page_are_those_of_the_library() {
    let pair = |row: &Vec<String>| row[0].split_once(' ').map(|(number, name)| (number.to_owned(), name.to_owned()));
    let rows = Page::read().table("## 6. TLVs");
    let told = rows.iter().filter_map(pair).map(|(number, name)| (number.parse().unwrap(), name));
    let told: BTreeMap<u64, String> = told.collect();
    assert_eq!(told, numbers("wire/tlv.rs", "pub mod kind {"));
}

#[test]
fn the_flags_of_the_page_are_those_of_the_library() {
    let rows = Page::read().table("**Flags.**");
    let flag = |row: &Vec<String>| (u64::from_str_radix(&row[0][2..], 16).unwrap(), row[1].clone());
    assert_eq!(rows.iter().map(flag).collect::<BTreeMap<_, _>>(), numbers("wire/object.rs", "pub mod flags {"));
}

#[test]
fn codes_and_kinds_of_the_page_are_those_of_the_library() {
    let page = Page::read();
    let codes: Vec<u64> = page.table("| then | TLVs | section 6").iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(codes, numbers("wire/message/join.rs", "impl RefuseCode {").into_keys().collect::<Vec<_>>());

    let hop = source("wire/hop.rs");
    let hex = |value: &str| u8::from_str_radix(value.strip_prefix("Self(0x")?.strip_suffix(')')?, 16).ok();
    let known =
        written(&hop, "    ").into_iter().filter_map(|(name, _, value)| Some((hex(&value)?, name.replace('_', ""))));
    let told = page.kinds().into_iter().map(|(number, name)| (number, name.to_uppercase()));
    assert_eq!(told.collect::<BTreeMap<_, _>>(), known.collect::<BTreeMap<_, _>>());
}
