//! Names of streams: what an operator calls a stream, a watcher asks for, and a listing shows.

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Most bytes of UTF-8 in a name, so that a Join with a name fits the smallest datagram with room for all else.
pub const MAX_NAME: usize = 200;

/// A valid name: letters and digits of any script with their combining marks, and `. _ - /`; at most [`MAX_NAME`] bytes
/// in Unicode's normalisation form C, so that a name that looks the same is the same (UAX #15). As in a path, no part
/// between two `/` is empty, `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(String);

/// Why a text is no name of a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    #[error("a stream needs a name, such as lobby or room-2/desk")]
    Empty,
    #[error("the name {0:?} is longer than {MAX_NAME} bytes; choose a shorter one")]
    TooLong(String),
    #[error("the name {name:?} has {found:?} in it; names are made of letters, digits and . _ - /")]
    Character { name: String, found: char },
    #[error("the name {0:?} has an empty part, . or .. between its slashes; write it as room/desk")]
    Part(String),
}

impl NameError {
    /// Its beginning is enough to know it by.
    fn too_long(name: &str) -> Self {
        Self::TooLong(super::tlv::shorten(name, 64).to_owned() + "…")
    }
}

impl StreamName {
    /// Checks a text and brings it into normalisation form C.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        // What is this long is too long in any form; it is not worth normalising.
        if text.len() > 8 * MAX_NAME {
            return Err(NameError::too_long(text));
        }
        let name: String = text.nfc().collect();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        let mut before = None;
        for found in name.chars() {
            let combines = is_combining_mark(found) && before.is_some_and(is_letter);
            if !(is_letter(found) || combines || matches!(found, '.' | '_' | '-' | '/')) {
                return Err(NameError::Character { name, found });
            }
            // Marks may follow marks.
            before = if combines { before } else { Some(found) };
        }
        if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(NameError::Part(name));
        }
        if name.len() > MAX_NAME { Err(NameError::too_long(&name)) } else { Ok(Self(name)) }
    }

    /// The nearest valid name to any text, such as a file's name; `None` if nothing of it can stay.
    pub fn from_any(text: &str) -> Option<Self> {
        let kept = Self::letters_of(text);
        let name = super::tlv::shorten(&kept, MAX_NAME).trim_matches(['-', '.']);
        Self::parse(name).ok()
    }

    /// What of a text may stand in a name, however much it is: the rest becomes hyphens.
    pub fn letters_of(text: &str) -> String {
        let mut kept = String::new();
        for found in text.nfc() {
            let combines = is_combining_mark(found) && kept.chars().next_back().is_some_and(is_letter);
            let fits = is_letter(found) || combines || matches!(found, '.' | '_');
            // What cannot stay becomes one hyphen, but not the first.
            match found {
                _ if fits => kept.push(found),
                _ if kept.is_empty() || kept.ends_with('-') => {}
                _ => kept.push('-'),
            }
        }
        kept
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StreamName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric()
}

/// The names that somebody who typed `wanted` may have meant, best first, at most three: those that begin with it, and
/// those that a few letters make of it (Jaro-Winkler similarity of 0.8 and more). What is longer than any name is near
/// none: it may come from anybody, and comparing it would take long.
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a StreamName>) -> Vec<&'a StreamName> {
    if wanted.len() > MAX_NAME {
        return Vec::new();
    }
    let folded = wanted.to_lowercase();
    let likeness = |name: &str| {
        let name = name.to_lowercase();
        let last = name.rsplit('/').next().unwrap_or(&name);
        if name.starts_with(&folded) || last == folded { 1.0 } else { strsim::jaro_winkler(&folded, &name) }
    };
    let mut near: Vec<_> = names.map(|name| (likeness(name.as_str()), name)).filter(|(like, _)| *like >= 0.8).collect();
    near.sort_by(|(a, one), (b, other)| b.total_cmp(a).then_with(|| one.cmp(other)));
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_are_names() {
        for name in ["lobby", "room-2/desk", "a", "Küche", "会議室", "غرفة", "कमरा/मेज़", "v1.2_b", "ภาพยนตร์", "९"]
        {
            assert_eq!(StreamName::parse(name).map(|name| name.to_string()).as_deref(), Ok(name));
        }
        assert_eq!(StreamName::parse("Ku\u{308}che"), StreamName::parse("Küche"), "what looks the same is the same");
    }

    #[test]
    fn everything_else_is_refused_in_one_sentence() {
        let long = "a".repeat(MAX_NAME + 1);
        let bad = [
            "",
            "a b",
            "a\n",
            "a,b",
            "a=b",
            "*",
            "\u{301}a",
            "a\u{202e}b",
            "a\u{200b}",
            "🎥",
            "/a",
            "a/",
            "a//b",
            ".",
            "a/../b",
            &long,
        ];
        for name in bad {
            let sentence = StreamName::parse(name).expect_err(name).to_string();
            assert!(sentence.len() > 30 && !sentence.contains('\n'), "{sentence}");
        }
        assert!(StreamName::parse(&"a".repeat(MAX_NAME)).is_ok());
        assert!(StreamName::parse(&"é".repeat(1_000_000)).expect_err("long").to_string().len() < 200);
    }

    #[test]
    fn a_files_name_becomes_a_name() {
        let made = |text| StreamName::from_any(text).map(|name| name.to_string());
        assert_eq!(made("My film (2024).cut").as_deref(), Some("My-film-2024-.cut"));
        assert_eq!(made("..//--").as_deref(), None);
        assert_eq!(made("会議 室").as_deref(), Some("会議-室"));
        assert_eq!(made(&"ü".repeat(199)).map(|name| name.len()), Some(MAX_NAME));
    }

    #[test]
    fn who_mistypes_a_name_is_told_the_nearest() {
        let names: Vec<_> =
            ["lobby", "desk", "roof/north", "roof/south"].map(|n| StreamName::parse(n).expect("a name")).into();
        let near = |wanted| nearest(wanted, names.iter()).into_iter().map(StreamName::as_str).collect::<Vec<_>>();
        assert_eq!(near("lobyy"), ["lobby"]);
        assert_eq!(near("DESK"), ["desk"]);
        assert_eq!(near("roof"), ["roof/north", "roof/south"]);
        assert_eq!(near("north"), ["roof/north"]);
        assert_eq!(near("xyz"), [""; 0]);
        let long = StreamName::parse(&"y".repeat(MAX_NAME)).expect("as long as a name can be");
        let near = |wanted: &str| nearest(wanted, std::iter::once(&long)).len();
        assert_eq!([near(long.as_str()), near(&format!("{long}y"))], [1, 0]);
    }
}
