//! `NAME=INPUT[+mic:DEVICE][,option…]`: one stream of a command line, as text.
//!
//! An INPUT may hold commas, as `screen::0+10,20,640x480` and a film called `a,b.mp4` do: it ends at the first comma behind
//! which an option stands. A part is an option if it is the name of one, with or without `=VALUE`, if it is `word=…`, or
//! if it is one word that is nearly an option's name. Where a comma, a backslash or `+mic:` belongs to an INPUT or a VALUE
//! and would be taken for something else, a backslash stands before it.

use std::fmt;
use std::str::FromStr;

use super::choices::Choices;
use super::keys::{Key, Keyed};
use super::near::nearest;

/// One stream as it was written, not yet looked at more closely.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    pub name: String,
    pub input: String,
    /// `mic:` and a device.
    pub ear: Option<String>,
    /// Names, and values where there are any.
    pub options: Vec<(String, Option<String>)>,
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once('=').ok_or("write NAME=INPUT, as in desk=screen:")?;
        let parts = split_at(rest, ",");
        let options = parts.iter().skip(1).position(|part| is_option(part)).map_or(parts.len(), |at| at + 1);
        let whole = parts[..options].join(",");
        let (input, ear) = match split_at(&whole, EAR)[..] {
            [input] => (input, None),
            [input, ..] => (input, Some(&whole[input.len() + 1..])),
            [] => ("", None),
        };
        if input.is_empty() {
            return Err(format!("nothing is named behind {name}=: write {name}=INPUT, as in {name}=screen:"));
        }
        let options = parts[options..].iter().map(|part| option(part)).collect::<Result<_, _>>()?;
        Ok(Self { name: name.to_owned(), input: bare(input), ear: ear.map(bare), options })
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, escaped(&self.input))?;
        self.ear.iter().try_for_each(|ear| write!(f, "+{}", escaped(ear)))?;
        self.options.iter().try_for_each(|(name, value)| match value {
            Some(value) => write!(f, ",{name}={}", escaped(value)),
            None => write!(f, ",{name}"),
        })
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    Choices::KEYS.iter().map(|Key { name, .. }| *name)
}

/// Whether what stands behind a comma is an option, if perhaps a misspelt one.
fn is_option(part: &str) -> bool {
    let (name, value) = part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)));
    let name = name.trim();
    let is_word = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c == '_');
    let near = || name.len() > 2 && nearest(name, &names().collect::<Vec<_>>()).is_some();
    is_word && (value.is_some() || near())
}

fn option(part: &str) -> Result<(String, Option<String>), String> {
    let (name, value) = part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)));
    let name = name.trim();
    if Choices::key(name).is_some() {
        return Ok((name.to_owned(), value.map(bare)));
    }
    let list: Vec<&str> = names().collect();
    let meant = match nearest(name, &list) {
        Some(near) => format!("is {near} meant?"),
        None => format!("there are {}", list.join(", ")),
    };
    let name = bare(name);
    Err(format!("a stream has no option {name:?} ({meant}); a comma that belongs to the INPUT is written \\,"))
}

/// The text between places where `separator` stands without a backslash before it.
fn split_at<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        if rest.starts_with(separator) {
            parts.push(&text[start..at]);
            at += separator.len();
            start = at;
        } else if next == '\\' && rest[1..].starts_with(ESCAPED) {
            at += 2;
        } else {
            at += next.len_utf8();
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Without the backslashes that keep what follows them from being taken for something else.
fn bare(text: &str) -> String {
    let (mut bare, mut rest) = (String::new(), text);
    while let Some(next) = rest.chars().next() {
        let skipped = usize::from(next == '\\' && rest[1..].starts_with(ESCAPED));
        let kept = rest[skipped..].chars().next().map_or(0, char::len_utf8);
        bare.push_str(&rest[skipped..skipped + kept]);
        rest = &rest[skipped + kept..];
    }
    bare
}

fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace(',', "\\,");
    text.replace(EAR, &format!("\\{EAR}"))
}

/// What begins a microphone beside an INPUT.
const EAR: &str = "+mic:";
/// What a backslash can stand before; before anything else it is itself.
const ESCAPED: [char; 3] = ['\\', ',', '+'];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(text: &str) -> Spec {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn inputs_with_commas_and_plus_signs_stay_whole() {
        for (text, input, ear, options) in [
            ("a=film.mp4", "film.mp4", None, 0),
            ("a=a,b.mp4", "a,b.mp4", None, 0),
            ("a=a,b.mp4,loop", "a,b.mp4", None, 1),
            ("a=one, two.mp4,width=640,loop=no", "one, two.mp4", None, 2),
            ("a=screen::0+10,20,640x480", "screen::0+10,20,640x480", None, 0),
            ("a=screen::0+10,20,640x480+mic:hw:1,0,fps=30", "screen::0+10,20,640x480", Some("mic:hw:1,0"), 1),
            ("a=camera:+mic:", "camera:", Some("mic:"), 0),
            ("a=camera:x=y,quality=5", "camera:x=y", None, 1),
            (r"a=film\,loop", "film,loop", None, 0),
            (r"a=C:\films\a.mp4", r"C:\films\a.mp4", None, 0),
            (r"a=one\+mic:two.mp4", "one+mic:two.mp4", None, 0),
            ("a=http://h/?x=1&y=2,record=a.mkv", "http://h/?x=1&y=2", None, 1),
            ("a=-", "-", None, 0),
        ] {
            let found = spec(text);
            assert_eq!((&*found.input, found.ear.as_deref(), found.options.len()), (input, ear, options), "{text}");
            assert_eq!(spec(&found.to_string()), found, "{found}");
        }
        let titled = spec(r"a=test:,title=one\, two,loop");
        assert_eq!(titled.options[0].1.as_deref(), Some("one, two"));
    }

    #[test]
    fn slips_get_advice() {
        for (text, part) in [
            ("screen:", "NAME=INPUT"),
            ("a=", "write a=INPUT"),
            ("a=screen:,widht=640", "is width meant?"),
            ("a=film.mp4,lop", "is loop meant?"),
            ("a=film.mp4,colour=red", "there are width, "),
            ("a=film.mp4,loop,b.mp4", r"written \,"),
        ] {
            let said = text.parse::<Spec>().expect_err(text);
            assert!(said.contains(part), "{text}: {said}");
        }
    }

    fn options() -> impl Strategy<Value = Vec<(String, Option<String>)>> {
        let value = proptest::option::of("[a-z0-9,+=\\\\ .ü]{0,8}|.*");
        proptest::collection::vec((proptest::sample::select(names().collect::<Vec<_>>()), value), 0..4)
            .prop_map(|all| all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(
            name in "[a-z._/-]{1,8}",
            input in "[a-z,+=\\\\:. 0-9]{1,16}|(loop|width=3|[+]mic:|,|\\\\){1,5}|.+",
            ear in proptest::option::of("mic:([a-z,+=\\\\:0-9]{0,12}|(loop|width=3|[+]mic:|,|\\\\){0,5}|.*)"),
            options in options(),
        ) {
            let spec = Spec { name, input, ear, options };
            prop_assert_eq!(spec.to_string().parse::<Spec>(), Ok(spec));
        }

        #[test]
        fn no_text_is_too_odd(text in ".*", tail in "[a-z,+=\\\\:]{0,20}") {
            if let Ok(spec) = format!("{text}{tail}").parse::<Spec>() {
                prop_assert_eq!(spec.to_string().parse::<Spec>(), Ok(spec));
            }
        }

        #[test]
        fn a_screen_is_read_as_it_is_typed(
            x in any::<i16>(), y in any::<i16>(), width in 1_u16..16_384, height in 1_u16..16_384, heard in any::<bool>(),
        ) {
            let input = format!("screen::0+{x},{y},{width}x{height}");
            let tail = if heard { "+mic:" } else { "" };
            let found = spec(&format!("desk={input}{tail},fps=25,no-pointer"));
            prop_assert_eq!((found.input, found.ear.is_some(), found.options.len()), (input, heard, 2));
        }
    }
}
