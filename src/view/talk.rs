//! Talk in a window: the lines that fade over the picture, their history, and the line that is typed.

use std::collections::VecDeque;
use std::time::Duration;

use super::editor::Editor;
use crate::units::Time;
use crate::wire::talk::MAX_LINE;

/// A line is shown for so long, …
const SHOWN: Duration = Duration::from_secs(7);
/// … and then fades for so long, …
const FADES: Duration = Duration::from_secs(1);
/// … in steps of this.
const STEP: Duration = Duration::from_millis(60);
/// Why nothing can be said where nobody listens.
pub const NO_TALK: &str = "There is no talk at this stream.";

/// Lines of the history.
const KEPT: usize = 500;
/// So many are over the picture at most, …
const RECENT: usize = 12;
/// … and so many while something is typed.
const TYPING: usize = 6;

/// What somebody has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TalkLine {
    /// May be empty.
    pub name: String,
    pub text: String,
    /// Said by whoever makes the stream.
    pub is_maker: bool,
}

/// See the head of this file.
pub struct Talk {
    /// Why nothing can be said, if that is so.
    pub closed: Option<&'static str>,
    /// Oldest first, and when each came.
    lines: VecDeque<(TalkLine, Time)>,
    /// All of them are shown, those that lie so many lines back.
    pub history: Option<usize>,
    /// The line that is typed, while it is shown.
    typed: Option<Editor>,
    /// What was typed before; it keeps what was said.
    rested: Option<Editor>,
    /// How late it is.
    now: Time,
}

impl Default for Talk {
    fn default() -> Self {
        let (lines, history, typed, rested, now) = (VecDeque::new(), None, None, None, Time::ZERO);
        Self { closed: Some(NO_TALK), lines, history, typed, rested, now }
    }
}

impl Talk {
    /// Somebody has said something.
    pub fn push(&mut self, line: TalkLine, now: Time) {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back((line, now));
        // Who reads further back goes on reading the same.
        self.history = self.history.map(|back| if back > 0 { (back + 1).min(self.last_back()) } else { 0 });
        self.now = now;
    }

    fn last_back(&self) -> usize {
        self.lines.len().saturating_sub(1)
    }

    /// Opens the line that is typed; what was typed there before is still there.
    pub fn open(&mut self) {
        let rested = self.rested.take();
        self.typed.get_or_insert_with(|| rested.unwrap_or_else(|| Editor::new(MAX_LINE)));
    }

    /// Puts it away.
    pub fn close(&mut self) {
        self.rested = self.typed.take().or(self.rested.take());
        self.rested.iter_mut().for_each(|line| line.compose("", None));
    }

    pub const fn typed(&self) -> Option<&Editor> {
        self.typed.as_ref()
    }

    pub const fn typed_mut(&mut self) -> Option<&mut Editor> {
        self.typed.as_mut()
    }

    /// Shows the history, or puts it away.
    pub fn toggle_history(&mut self) {
        self.history = if self.history.is_none() { Some(0) } else { None };
    }

    /// Moves the history by so many lines, back with `true`; false if it is not shown.
    pub fn scroll(&mut self, lines: usize, back: bool) -> bool {
        let last = self.last_back();
        let moved = |at: usize| if back { (at + lines).min(last) } else { at.saturating_sub(lines) };
        self.history = self.history.map(moved);
        self.history.is_some()
    }

    /// All lines up to the one that the history begins with, newest first.
    pub fn older(&self) -> impl Iterator<Item = &TalkLine> {
        self.lines.iter().rev().map(|(line, _)| line).skip(self.history.unwrap_or(0))
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Lines over the picture, newest first, and how much of each is to be seen: 0 to 1. While something is typed the
    /// newest few are seen as well.
    pub fn recent(&self) -> impl Iterator<Item = (&TalkLine, f32)> {
        let typing = self.typed.is_some();
        let opacity = move |at: usize, came: Time| {
            let gone = self.now.since(came).saturating_sub(SHOWN);
            let faded = 1.0 - gone.as_secs_f32() / FADES.as_secs_f32();
            if typing && at < TYPING { 1.0 } else { faded.max(0.0) }
        };
        self.lines.iter().rev().take(RECENT).enumerate().map(move |(at, (line, came))| (line, opacity(at, *came)))
    }

    /// It is so late now. True if lines are to be drawn again for that.
    pub fn tick(&mut self, now: Time) -> bool {
        let due = self.change().is_some_and(|at| at <= now);
        self.now = self.now.max(now);
        due
    }

    /// When the next line fades a step more.
    pub fn change(&self) -> Option<Time> {
        let now = self.now;
        let next = |came: Time| {
            let (fades, gone) = (came + SHOWN, came + SHOWN + FADES);
            if now < fades { Some(fades) } else { (now < gone).then(|| (now + STEP).min(gone)) }
        };
        self.lines.iter().rev().take(RECENT).filter_map(|(_, came)| next(*came)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> TalkLine {
        TalkLine { name: "Ann".to_owned(), text: text.to_owned(), is_maker: false }
    }

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn opacities(talk: &Talk) -> Vec<f32> {
        talk.recent().map(|(_, opacity)| (opacity * 100.0).round() / 100.0).collect()
    }

    #[test]
    fn lines_fade_and_are_drawn_again_only_for_that() {
        let mut talk = Talk::default();
        assert_eq!(talk.change(), None);
        talk.push(line("one"), at(1_000));
        talk.push(line("two"), at(3_000));
        assert_eq!((opacities(&talk), talk.change()), (vec![1.0, 1.0], Some(at(8_000))));
        assert!(!talk.tick(at(7_999)) && talk.tick(at(8_000)));
        assert_eq!(talk.change(), Some(at(8_060)));
        talk.tick(at(8_500));
        assert_eq!(opacities(&talk), [1.0, 0.5]);
        assert!(talk.tick(at(20_000)));
        assert_eq!((opacities(&talk), talk.change()), (vec![0.0, 0.0], None));
        talk.open();
        assert_eq!(opacities(&talk), [1.0, 1.0], "who types sees what is answered");
    }

    #[test]
    fn the_history_stays_where_it_is_read() {
        let mut talk = Talk::default();
        assert!(!talk.scroll(1, true));
        (0..9).for_each(|n| talk.push(line(&n.to_string()), at(n)));
        let first = |talk: &Talk| talk.older().next().map(|line| line.text.clone()).unwrap_or_default();
        talk.toggle_history();
        assert_eq!(first(&talk), "8");
        talk.scroll(3, true);
        talk.push(line("9"), at(10));
        assert_eq!(first(&talk), "5");
        talk.scroll(99, true);
        assert_eq!(first(&talk), "0");
        talk.scroll(99, false);
        talk.push(line("10"), at(11));
        assert_eq!(first(&talk), "10");
        (0..2 * KEPT as u64).for_each(|n| talk.push(line(""), at(20 + n)));
        assert_eq!(talk.older().count(), KEPT);
    }

    #[test]
    fn what_is_typed_stays_when_it_is_put_away() {
        let mut talk = Talk::default();
        talk.open();
        talk.typed_mut().expect("open").insert("half a");
        talk.close();
        assert!(talk.typed().is_none());
        talk.open();
        assert_eq!(talk.typed().expect("open").shown().0, "half a");
    }
}
