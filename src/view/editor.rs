//! One line of text that is typed: letters, the caret, what an input method has not decided yet, and lines that were said
//! before. No IO.

use unicode_segmentation::UnicodeSegmentation;

/// Lines that the arrows bring back.
const RECALLED: usize = 20;

/// What moves the caret, or changes the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    Backspace,
    Delete,
    WordBackspace,
    /// All before the caret.
    Clear,
    /// The line that was said before, …
    Earlier,
    /// … or after the one that is shown.
    Later,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Editor {
    text: String,
    /// A byte of the text, between two letters.
    caret: usize,
    /// What an input method shows at the caret until it has decided, and where its own caret stands.
    preedit: Option<(String, usize)>,
    most: usize,
    said: Vec<String>,
    /// Which of them is shown, counted from the newest; 0: none.
    recalled: usize,
}

impl Editor {
    /// A line of at most so many bytes.
    pub fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// The line as it is shown, and where its caret stands.
    pub fn shown(&self) -> (String, usize) {
        let (before, after) = self.text.split_at(self.caret);
        match &self.preedit {
            Some((preedit, caret)) => (format!("{before}{preedit}{after}"), self.caret + caret),
            None => (self.text.clone(), self.caret),
        }
    }

    /// Bytes that are left.
    pub const fn room(&self) -> usize {
        self.most.saturating_sub(self.text.len())
    }

    /// Puts letters in at the caret. Those for which there is no room are left out, and so are control characters.
    pub fn insert(&mut self, text: &str) {
        self.preedit = None;
        for letter in text.graphemes(true).filter(|letter| !letter.contains(char::is_control)) {
            if letter.len() > self.room() {
                return;
            }
            self.text.insert_str(self.caret, letter);
            self.caret += letter.len();
        }
        self.snap();
    }

    /// What an input method shows; an empty text: nothing.
    pub fn compose(&mut self, text: &str, caret: Option<usize>) {
        let caret = caret.filter(|caret| text.is_char_boundary(*caret)).unwrap_or(text.len());
        self.preedit = (!text.is_empty()).then(|| (text.to_owned(), caret));
    }

    /// Takes the line away to be said.
    pub fn take(&mut self) -> String {
        let line = std::mem::take(&mut self.text);
        (self.caret, self.preedit, self.recalled) = (0, None, 0);
        if !line.trim().is_empty() && self.said.last() != Some(&line) {
            if self.said.len() == RECALLED {
                self.said.remove(0);
            }
            self.said.push(line.clone());
        }
        line
    }

    pub fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Left => self.caret = self.before(),
            Edit::Right => self.caret = self.after(),
            Edit::WordLeft => self.caret = self.word_before(),
            Edit::WordRight => self.caret = self.word_after(),
            Edit::Home => self.caret = 0,
            Edit::End => self.caret = self.text.len(),
            Edit::Backspace => self.remove(self.before(), self.caret),
            Edit::Delete => self.remove(self.caret, self.after()),
            Edit::WordBackspace => self.remove(self.word_before(), self.caret),
            Edit::Clear => self.remove(0, self.caret),
            Edit::Earlier => self.recall((self.recalled + 1).min(self.said.len())),
            Edit::Later => self.recall(self.recalled.saturating_sub(1)),
        }
    }

    fn recall(&mut self, which: usize) {
        if which == self.recalled {
            return;
        }
        self.recalled = which;
        let line = which.checked_sub(1).and_then(|which| self.said.iter().rev().nth(which));
        self.text = line.cloned().unwrap_or_default();
        self.caret = self.text.len();
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.caret = from;
        self.snap();
    }

    /// Letters that came together may have become one.
    fn snap(&mut self) {
        let mut ends = self.text.grapheme_indices(true).map(|(at, letter)| at + letter.len());
        if self.caret > 0 {
            self.caret = ends.find(|end| *end >= self.caret).unwrap_or(self.text.len());
        }
    }

    fn before(&self) -> usize {
        self.text[..self.caret].grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        self.text[self.caret..].graphemes(true).next().map_or(self.caret, |letter| self.caret + letter.len())
    }

    fn word_before(&self) -> usize {
        let words = self.text[..self.caret].split_word_bound_indices().rev();
        words.into_iter().find(|(_, word)| !word.trim().is_empty()).map_or(0, |(at, _)| at)
    }

    fn word_after(&self) -> usize {
        let mut words = self.text[self.caret..].split_word_bound_indices();
        let end = |(at, word): (usize, &str)| self.caret + at + word.len();
        words.find(|(_, word)| !word.trim().is_empty()).map_or(self.text.len(), end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Editor {
        let mut editor = Editor::new(40);
        editor.insert(text);
        editor
    }

    fn after(editor: &mut Editor, edits: &[Edit]) -> (String, usize) {
        edits.iter().for_each(|edit| editor.edit(*edit));
        editor.shown()
    }

    #[test]
    fn the_caret_goes_by_letters_as_people_see_them() {
        let mut editor = typed("aé👩‍👧x");
        assert_eq!(after(&mut editor, &[Edit::Left, Edit::Left]).1, "aé".len());
        assert_eq!(after(&mut editor, &[Edit::Delete]).0, "aéx");
        assert_eq!(after(&mut editor, &[Edit::Backspace]), ("ax".to_owned(), 1));
        assert_eq!(after(&mut editor, &[Edit::Home, Edit::Backspace, Edit::Right, Edit::Right, Edit::Right]).1, 2);
        // A mark that is typed behind a letter belongs to it.
        editor.insert("\u{301}");
        assert_eq!(after(&mut editor, &[Edit::Left]).1, 1);
    }

    #[test]
    fn words_go_at_once() {
        let mut editor = typed("say it, now");
        assert_eq!(after(&mut editor, &[Edit::WordLeft]).1, 8);
        assert_eq!(after(&mut editor, &[Edit::WordBackspace, Edit::WordBackspace]).0, "say now");
        assert_eq!(after(&mut editor, &[Edit::Home, Edit::WordRight]).1, 3);
        assert_eq!(after(&mut editor, &[Edit::End, Edit::Clear]), (String::new(), 0));
    }

    #[test]
    fn no_more_goes_in_than_there_is_room_for_and_no_control_characters() {
        let mut editor = typed("\u{7}a\r\nb\t\u{1b}");
        assert_eq!(editor.shown().0, "ab");
        editor.insert(&"é".repeat(30));
        assert_eq!((editor.shown().0.len(), editor.room()), (40, 0));
        editor.insert("x");
        assert_eq!(editor.shown().0.len(), 40);
    }

    #[test]
    fn an_input_method_shows_what_it_has_not_decided() {
        let mut editor = typed("ab");
        editor.edit(Edit::Left);
        editor.compose("にほ", Some(3));
        assert_eq!(editor.shown(), ("aにほb".to_owned(), 4));
        editor.compose("にほ", Some(1));
        assert_eq!(editor.shown().1, 1 + "にほ".len(), "no place between two letters");
        editor.compose("", None);
        editor.insert("日本");
        assert_eq!(editor.shown(), ("a日本b".to_owned(), 7));
    }

    #[test]
    fn what_was_said_comes_back_with_the_arrows() {
        let mut editor = typed("one");
        assert_eq!(editor.take(), "one");
        editor.insert("two");
        editor.take();
        assert_eq!(editor.take(), "", "nothing is kept of an empty line");
        let shown = [Edit::Earlier, Edit::Earlier, Edit::Earlier, Edit::Later, Edit::Later, Edit::Later]
            .map(|edit| after(&mut editor, &[edit]).0);
        assert_eq!(shown, ["two", "one", "one", "two", "", ""]);
    }
}
