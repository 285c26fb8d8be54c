//! Names of films: the names of their folders and their own, each as a part of a stream's name may be.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::Path;

use crate::seal;
use crate::wire::StreamName;
use crate::wire::name::MAX_NAME;
use crate::wire::tlv::shorten;

/// Room for what tells two names apart.
const MARK: usize = 12;

/// The name of the file at this path below its folder, unlike all those in `taken`.
pub fn name_of(path: &Path, taken: &BTreeSet<String>) -> Option<StreamName> {
    let parts: Vec<String> = path.iter().filter_map(|part| part_of(&part.to_string_lossy())).collect();
    if parts.is_empty() {
        return None;
    }
    let whole = parts.join("/");
    let plain = if whole.len() <= MAX_NAME { whole } else { short(&whole, path) };
    if let Some(name) = free(&plain, taken) {
        return Some(name);
    }
    // Names that look the same: the later ones are numbered, before the ending.
    let (stem, ending) = plain.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).unwrap_or((&plain, ""));
    (2..10_000).find_map(|number| {
        let stem = shorten(stem, MAX_NAME - MARK - ending.len().min(MARK)).trim_end_matches(['-', '.', '/']);
        let dot = if ending.is_empty() { "" } else { "." };
        free(&format!("{stem}-{number}{dot}{ending}"), taken)
    })
}

fn free(name: &str, taken: &BTreeSet<String>) -> Option<StreamName> {
    StreamName::parse(name).ok().filter(|name| !taken.contains(name.as_str()))
}

/// A part of a path as a part of a name.
fn part_of(part: &str) -> Option<String> {
    let letters = StreamName::letters_of(part);
    let letters = letters.trim_matches(['-', '.']);
    (!letters.is_empty()).then(|| letters.to_owned())
}

/// The beginning of a name that is too long, and what tells it from others that begin alike.
fn short(whole: &str, path: &Path) -> String {
    let digest = seal::digest([path.as_os_str().as_encoded_bytes()]);
    let mark: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let (_, ending) =
        whole.rsplit_once('.').filter(|(_, ending)| ending.len() < MARK && !ending.contains('/')).unwrap_or(("", ""));
    let stem = shorten(whole, MAX_NAME - MARK - ending.len() - 1).trim_end_matches(['-', '.', '/']);
    if ending.is_empty() { format!("{stem}-{mark}") } else { format!("{stem}-{mark}.{ending}") }
}

/// The order in which people expect names: numbers by their values, and letters whether large or small.
pub fn natural(one: &str, other: &str) -> Ordering {
    let (mut one_left, mut other_left) = (one, other);
    loop {
        let (number, other_number) = (digits(one_left), digits(other_left));
        let order = if number.is_empty() || other_number.is_empty() {
            match (one_left.chars().next(), other_left.chars().next()) {
                (None, None) => return one.cmp(other),
                (None, _) => return Ordering::Less,
                (_, None) => return Ordering::Greater,
                (Some(letter), Some(other)) => {
                    one_left = &one_left[letter.len_utf8()..];
                    other_left = &other_left[other.len_utf8()..];
                    letter.to_lowercase().cmp(other.to_lowercase())
                }
            }
        } else {
            one_left = &one_left[number.len()..];
            other_left = &other_left[other_number.len()..];
            let (number, other) = (number.trim_start_matches('0'), other_number.trim_start_matches('0'));
            number.len().cmp(&other.len()).then_with(|| number.cmp(other))
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn digits(text: &str) -> &str {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str, taken: &[&str]) -> Option<String> {
        let taken = taken.iter().map(|name| (*name).to_owned()).collect();
        name_of(Path::new(path), &taken).map(|name| name.to_string())
    }

    #[test]
    fn names_are_paths_with_what_names_may_have() {
        assert_eq!(name("Films/My film (1999).mkv", &[]).as_deref(), Some("Films/My-film-1999-.mkv"));
        assert_eq!(name("фильмы/кино.mp4", &[]).as_deref(), Some("фильмы/кино.mp4"));
        assert_eq!(name("a/b.mkv", &["a/b.mkv", "a/b-2.mkv"]).as_deref(), Some("a/b-3.mkv"));
        assert_eq!(name("🎥/🎥", &[]), None);
        let long = format!("{}.mkv", "very long ".repeat(40));
        let (one, other) =
            (name(&format!("a{long}"), &[]).expect("one"), name(&format!("a{long}x"), &[]).expect("one"));
        assert!(one.len() <= MAX_NAME && one != other && one.ends_with(".mkv"), "{one}");
    }

    #[test]
    fn numbers_come_by_their_values() {
        let mut names = ["Part 10", "part 2", "Part 1", "part 02b", "Z", "a"];
        names.sort_by(|one, other| natural(one, other));
        assert_eq!(names, ["a", "Part 1", "part 2", "part 02b", "Part 10", "Z"]);
    }
}
