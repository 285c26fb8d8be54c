//! Lines that people write to each other, on their way into a recording: what is shown of them and for how long, in the order
//! of their times. Players read subtitles as SubRip, with tags in `<>` and `{}` and escapes behind `\`; here all of it is text.

use std::collections::VecDeque;
use std::time::Duration;

use crate::units::MediaTime;

/// A line as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caption {
    pub text: String,
    pub lasts: Duration,
}

impl Caption {
    /// `Name: text`, or the text alone without a name; `None` if there is nothing to be seen.
    pub fn of(name: &str, text: &str) -> Option<Self> {
        let (name, text) = (plain(name), plain(text));
        let (name, text) = (name.trim(), text.trim());
        if text.is_empty() {
            return None;
        }
        let whole = if name.is_empty() { text.to_owned() } else { format!("{name}: {text}") };
        let letters = u32::try_from(whole.chars().count()).unwrap_or(u32::MAX);
        let lasts = (SEEN + READ.saturating_mul(letters)).min(LONGEST);
        Some(Self { text: harmless(&whole), lasts })
    }
}

/// One line of text: whatever controls or breaks lines is a space.
fn plain(text: &str) -> String {
    let breaks = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
    text.chars().map(|letter| if breaks(letter) { ' ' } else { letter }).collect()
}

/// Looks the same, and no player finds markup in it. Behind what would begin a tag, an escape, an entity or an arrow between
/// two times stands a word joiner, which has no width. For braces that is not enough: libass hides all between two of them,
/// and others show what would escape them there, so a pair of braces becomes ornamental ones.
fn harmless(text: &str) -> String {
    let is_pair = text.find('{').zip(text.rfind('}')).is_some_and(|(open, close)| open < close);
    let mut out = String::with_capacity(text.len());
    for (at, letter) in text.char_indices() {
        match letter {
            '{' if is_pair => out.push('❴'),
            '}' if is_pair => out.push('❵'),
            '>' if out.ends_with("--") => out.extend([JOINER, '>']),
            '<' | '\\' => out.extend([letter, JOINER]),
            '&' if is_entity(&text[at + 1..]) => out.extend([letter, JOINER]),
            _ => out.push(letter),
        }
    }
    out
}

/// Whether this, behind an ampersand, names a letter.
fn is_entity(rest: &str) -> bool {
    let name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'#');
    rest.split_once(';').is_some_and(|(before, _)| name(before))
}

/// Lines that wait for what was seen at their time, in its order.
#[derive(Debug, Default)]
pub(super) struct PendingLines(VecDeque<(MediaTime, Caption)>);

impl PendingLines {
    /// Takes a line in, behind all of the same time. False if too many wait: then it is left out.
    pub fn put(&mut self, at: MediaTime, caption: Caption) -> bool {
        let Self(lines) = self;
        let has_room = lines.len() < MOST;
        if has_room {
            let place = lines.partition_point(|(other, _)| *other <= at);
            lines.insert(place, (at, caption));
        }
        has_room
    }

    /// The time of the next line.
    pub fn first(&self) -> Option<MediaTime> {
        self.0.front().map(|(at, _)| *at)
    }

    /// The next line.
    pub fn take(&mut self) -> Option<(MediaTime, Caption)> {
        self.0.pop_front()
    }

    /// Lets go of all that was written before this time.
    pub fn forget(&mut self, before: MediaTime) {
        self.0.retain(|(at, _)| *at >= before);
    }
}

/// Has no width, and keeps what stands on both sides of it in one line.
const JOINER: char = '\u{2060}';
/// How long a line is shown: so that it is noticed, then for each letter at 1 000 a minute, which most people read with
/// ease; in all no longer than a line of talk stays of interest.
const SEEN: Duration = Duration::from_secs(4);
const READ: Duration = Duration::from_millis(60);
const LONGEST: Duration = Duration::from_secs(10);
/// Lines that may wait: more than are written while pictures are behind by what a watcher may be (10 s).
const MOST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, text: &str) -> String {
        Caption::of(name, text).expect("something").text
    }

    #[test]
    fn a_line_is_its_name_and_its_text_or_the_text_alone() {
        assert_eq!(shown("Ada", "hello"), "Ada: hello");
        assert_eq!(shown("", "hello"), "hello");
        assert_eq!(shown(" \n", "two\r\nlines\u{2028}of\u{0}it"), "two  lines of it");
        assert_eq!([Caption::of("Ada", ""), Caption::of("", " \n\t")], [None, None]);
    }

    #[test]
    fn markup_is_text() {
        for (text, wanted) in [
            ("</font>", "<\u{2060}/font>"),
            ("I <3 {", "I <\u{2060}3 {"),
            (r"{\an8}up", "❴\\\u{2060}an8❵up"),
            ("} else {", "} else {"),
            (r"C:\New", "C:\\\u{2060}New"),
            ("00:00:01,000 --> 00:00:02,000", "00:00:01,000 --\u{2060}> 00:00:02,000"),
            ("&lt; Q&A; &#60; a & b; R&D", "&\u{2060}lt; Q&\u{2060}A; &\u{2060}#60; a & b; R&D"),
        ] {
            assert_eq!(shown("", text), wanted);
        }
        assert_eq!(shown("<i>{", "}"), "<\u{2060}i>❴: ❵", "a name is no better");
        let marks = "\u{301}".repeat(250);
        assert_eq!(shown("", &marks), marks);
    }

    #[test]
    fn longer_lines_are_shown_for_longer() {
        let lasts = |name: &str, text: &str| Caption::of(name, text).expect("something").lasts.as_millis();
        assert_eq!(lasts("", "ok"), 4_120);
        assert_eq!(lasts("Ada", "ok"), 4_420, "a name is read too");
        assert_eq!([lasts("", &"x".repeat(100)), lasts("", &"x".repeat(500))], [10_000; 2]);
    }

    #[test]
    fn lines_are_in_the_order_of_their_times_and_no_more_than_there_is_room_for() {
        let mut lines = PendingLines::default();
        let at = |second: i64| MediaTime::from_micros(second * 1_000_000);
        for (second, text) in [(5, "c"), (1, "a"), (5, "d"), (3, "b")] {
            assert!(lines.put(at(second), Caption::of("", text).expect("something")));
        }
        lines.forget(at(3));
        let mut next = || lines.take().map(|(_, caption)| caption.text);
        assert_eq!(
            [next(), next(), next(), next()],
            ["b", "c", "d", ""].map(|text| Some(text.to_owned()).filter(|text| !text.is_empty()))
        );
        let taken = (0..1_000).filter(|n| lines.put(at(*n), Caption::of("", "x").expect("something"))).count();
        assert_eq!((taken, lines.first()), (MOST, Some(at(0))));
    }
}
