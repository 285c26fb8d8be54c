//! Refusals: the code for programs, the sentence for people, when to try again.

use std::borrow::Cow;

use crate::wire::StreamName;
use crate::wire::message::RefuseCode;
use crate::wire::name::nearest;
use crate::wire::tlv::{printable, shorten};

/// Names listed to somebody who asked for one that is not there, nor near any.
const LISTED: usize = 8;

/// Why somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: RefuseCode,
    pub sentence: Cow<'static, str>,
    pub retry_after_ms: u32,
}

impl Refusal {
    pub fn new(code: RefuseCode, sentence: impl Into<Cow<'static, str>>, retry_after_ms: u32) -> Self {
        Self { code, sentence: sentence.into(), retry_after_ms }
    }

    pub fn busy() -> Self {
        Self::new(RefuseCode::BUSY, "Too many joined from your network this second.", 1_000)
    }

    /// There is no stream of this name, but there are these.
    pub fn no_such_stream<'a>(wanted: &str, names: impl Iterator<Item = &'a StreamName> + Clone) -> Self {
        let near = nearest(wanted, names.clone());
        let instead = match near.len() {
            0 => all_of(names),
            1 => format!("the nearest is {}", near[0]),
            _ => format!("the nearest are {}", enumerate(&near, 0)),
        };
        let shown = printable(shorten(wanted, 64));
        let sentence = format!("There is no stream \"{shown}\" here; {instead}.");
        Self::new(RefuseCode::NO_SUCH_STREAM, sentence, 10_000)
    }
}

fn all_of<'a>(names: impl Iterator<Item = &'a StreamName> + Clone) -> String {
    let count = names.clone().count();
    let first: Vec<_> = names.take(LISTED).collect();
    match first.len() {
        0 => "there is none at all".to_owned(),
        1 => format!("there is only {}", first[0]),
        _ => format!("there are {}", enumerate(&first, count.saturating_sub(LISTED))),
    }
}

/// "a, b and c", or "a, b, c and 12 more".
fn enumerate(names: &[&StreamName], more: usize) -> String {
    let mut words: Vec<String> = names.iter().map(ToString::to_string).collect();
    if more > 0 {
        words.push(format!("{more} more"));
    }
    let last = words.pop().unwrap_or_default();
    if words.is_empty() { last } else { format!("{} and {last}", words.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(wanted: &str, names: &[&str]) -> String {
        let names: Vec<_> = names.iter().map(|name| StreamName::parse(name).expect("a name")).collect();
        Refusal::no_such_stream(wanted, names.iter()).sentence.into_owned()
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_nearest_or_with_what_there_is() {
        let some = ["lobby", "lobby2", "desk"];
        assert_eq!(said("lobyy", &some), "There is no stream \"lobyy\" here; the nearest are lobby and lobby2.");
        assert_eq!(said("desc", &some), "There is no stream \"desc\" here; the nearest is desk.");
        assert_eq!(said("xyz", &some), "There is no stream \"xyz\" here; there are lobby, lobby2 and desk.");
        assert_eq!(said("xyz", &["roof"]), "There is no stream \"xyz\" here; there is only roof.");
        assert_eq!(said("xyz", &[]), "There is no stream \"xyz\" here; there is none at all.");
        let many: Vec<String> = (0..20).map(|n| format!("room-{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(said("xyz", &many).ends_with("room-6, room-7 and 12 more."), "{}", said("xyz", &many));
    }

    #[test]
    fn what_was_asked_for_is_quoted_without_control_characters_and_shortened() {
        let wild = format!("a\u{1b}[31m{}", "é".repeat(1_000));
        let sentence = said(&wild, &["roof"]);
        assert!(sentence.len() < 200 && sentence.chars().all(|c| !c.is_control()), "{sentence}");
    }
}
