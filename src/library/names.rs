//! Names of films: the names of their folders and their own, each as a part of a stream's name may be.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::seal;
use crate::wire::StreamName;
use crate::wire::name::MAX_NAME;
use crate::wire::tlv::shorten;

/// Room for what tells two names apart.
const MARK: usize = 12;

/// The names of files by their roots and paths below those, in their order; `None`: nothing of a path can be in a name. Which
/// other files there are changes a name only to one that no file ever had.
pub fn names_of(paths: &[(usize, &Path)]) -> Vec<Option<StreamName>> {
    let plain: Vec<Option<String>> = paths.iter().map(|(_, path)| plain_name(path)).collect();
    let mut alike: BTreeMap<&str, u32> = BTreeMap::new();
    plain.iter().flatten().for_each(|name| *alike.entry(name).or_default() += 1);
    let mut taken = BTreeSet::new();
    let name = |((root, path), plain): (&(usize, &Path), &Option<String>)| {
        let plain = plain.as_deref()?;
        // Of several the one stays that is called so to the letter.
        let own = alike.get(plain) == Some(&1) || path.to_str() == Some(plain) && !taken.contains(plain);
        let name = if own { plain.to_owned() } else { marked(plain, *root, path) };
        let name = StreamName::parse(&name).ok()?;
        taken.insert(name.as_str().to_owned()).then_some(name)
    };
    paths.iter().zip(&plain).map(name).collect()
}

/// What a path is called if nothing else is called so.
fn plain_name(path: &Path) -> Option<String> {
    let parts: Vec<String> = path.iter().filter_map(|part| part_of(&part.to_string_lossy())).collect();
    let whole = parts.join("/");
    match whole.len() {
        0 => None,
        length if length <= MAX_NAME => Some(whole),
        _ => Some(marked(&whole, 0, path)),
    }
}

/// A part of a path as a part of a name.
fn part_of(part: &str) -> Option<String> {
    let letters = StreamName::letters_of(part);
    let letters = letters.trim_matches(['-', '.']);
    (!letters.is_empty()).then(|| letters.to_owned())
}

/// A name, or its beginning, with what tells it from others that look alike.
fn marked(name: &str, root: usize, path: &Path) -> String {
    let digest = seal::digest([&root.to_be_bytes()[..], path.as_os_str().as_encoded_bytes()]);
    let mark: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let (stem, ending) = name
        .rsplit_once('.')
        .filter(|(stem, ending)| !stem.is_empty() && ending.len() < MARK && !ending.contains('/'))
        .unwrap_or((name, ""));
    let stem = shorten(stem, MAX_NAME - MARK - ending.len() - 1).trim_end_matches(['-', '.', '/']);
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

    fn names(paths: &[&str]) -> Vec<Option<String>> {
        let paths: Vec<(usize, &Path)> = paths.iter().map(|path| (0, Path::new(path))).collect();
        names_of(&paths).into_iter().map(|name| name.map(|name| name.to_string())).collect()
    }

    fn name(path: &str) -> Option<String> {
        names(&[path]).remove(0)
    }

    #[test]
    fn names_are_paths_with_what_names_may_have() {
        assert_eq!(name("Films/My film (1999).mkv").as_deref(), Some("Films/My-film-1999-.mkv"));
        assert_eq!(name("фильмы/кино.mp4").as_deref(), Some("фильмы/кино.mp4"));
        assert_eq!(name("🎥/🎥"), None);
        let long = format!("{}.mkv", "very long ".repeat(40));
        let both = names(&[&format!("a{long}"), &format!("a{long}x.mkv")]);
        let (one, other) = (both[0].as_ref().expect("one"), both[1].as_ref().expect("one"));
        assert!(one.len() <= MAX_NAME && one != other && one.ends_with(".mkv"), "{one}");
    }

    #[test]
    fn a_file_that_comes_never_takes_the_name_of_another() {
        let before = names(&["a b.mkv"]);
        assert_eq!(before[0].as_deref(), Some("a-b.mkv"));
        for others in [&["a b.mkv", "a!b.mkv"][..], &["a!b.mkv", "a b.mkv"], &["a b.mkv", "a-b.mkv"]] {
            let all = names(others);
            for (path, name) in others.iter().zip(&all) {
                let name = name.as_deref().expect("a name");
                assert!(*path == "a-b.mkv" || name != "a-b.mkv" && name.starts_with("a-b-"), "{path}: {name}");
            }
            assert_ne!(all[0], all[1]);
        }
        let (root, path) = (0, Path::new("a.mkv"));
        let two = names_of(&[(root, path), (1, path)]);
        assert!(two[0].as_ref().is_some_and(|name| name.as_str() == "a.mkv") && two[1].is_some() && two[0] != two[1]);
    }

    #[test]
    fn numbers_come_by_their_values() {
        let mut names = ["Part 10", "part 2", "Part 1", "part 02b", "Z", "a"];
        names.sort_by(|one, other| natural(one, other));
        assert_eq!(names, ["a", "Part 1", "part 2", "part 02b", "Part 10", "Z"]);
    }
}
