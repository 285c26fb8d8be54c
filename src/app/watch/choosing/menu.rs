//! The streams that can be chosen, in lines, and which of them is marked. No IO.

use crate::app::neighbours::Stream;
use crate::view::{List, Turn};

/// What is on the network, and the mark.
#[derive(Default)]
pub struct Menu {
    streams: Vec<Stream>,
    marked: usize,
    /// Whether a key has moved the mark; it stands on the first until then.
    moved: bool,
}

/// What a key comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice {
    /// The list is to be drawn again.
    Open,
    Taken(Box<Stream>),
    Left,
}

impl Menu {
    /// What there is now, by server and stream. The mark stays with its stream once a key was pressed. Without a code those that are watched by one cannot be chosen.
    pub fn update(&mut self, streams: Vec<Stream>) {
        let same = |old: &Stream, new: &Stream| {
            let name = |stream: &Stream| stream.entry.as_ref().map(|entry| entry.name.clone());
            old.instance == new.instance && name(old) == name(new)
        };
        let mut streams: Vec<Stream> = streams.into_iter().filter(|stream| stream.entry.is_some()).collect();
        let name = |stream: &Stream| stream.entry.as_ref().map(|entry| entry.name.to_string());
        streams.sort_by_cached_key(|stream| (stream.instance.clone(), name(stream)));
        let at = self.streams.get(self.marked).and_then(|old| streams.iter().position(|new| same(old, new)));
        let at = if self.moved { at.unwrap_or(self.marked) } else { 0 };
        self.marked = at.min(streams.len().saturating_sub(1));
        self.streams = streams;
    }

    /// The only one there is.
    pub fn only(&self) -> Option<&Stream> {
        if let [only] = &self.streams[..] { Some(only) } else { None }
    }

    pub fn get(&self, number: usize) -> Option<&Stream> {
        self.streams.get(number.checked_sub(1)?)
    }

    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    pub fn len(&self) -> usize {
        self.streams.len()
    }

    pub fn turn(&mut self, turn: Turn) -> Choice {
        let last = self.streams.len().saturating_sub(1);
        self.moved |= matches!(turn, Turn::Up | Turn::Previous | Turn::Down | Turn::Next) && !self.streams.is_empty();
        match turn {
            Turn::Up | Turn::Previous => self.marked = self.marked.saturating_sub(1),
            Turn::Down | Turn::Next => self.marked = (self.marked + 1).min(last),
            Turn::Take => {
                let taken = self.streams.get(self.marked).cloned();
                return taken.map_or(Choice::Open, |stream| Choice::Taken(Box::new(stream)));
            }
            Turn::Leave => return Choice::Left,
            Turn::List => {}
        }
        Choice::Open
    }

    /// Name, title, where, what its server is called, and whether it asks for a password.
    pub fn lines(&self) -> Vec<String> {
        let cells = |stream: &Stream| {
            let entry = stream.entry.as_ref()?;
            let password = if entry.guarded { "password" } else { "" };
            let (title, server) = (entry.description.title.clone(), stream.instance.clone());
            Some([entry.name.to_string(), title, stream.server(), server, password.to_owned()])
        };
        let rows: Vec<[String; 5]> = self.streams.iter().filter_map(cells).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..5).map(width).collect();
        let line = |row: &[String; 5]| {
            let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        rows.iter().map(line).collect()
    }

    /// As the window shows it; `None` while there is nothing.
    pub fn list(&self) -> Option<List> {
        let lines: Vec<String> = self.lines().into_iter().map(|line| format!("  {line}")).collect();
        let title = "Streams on this network".to_owned();
        (!lines.is_empty()).then_some(List { title, lines, marked: self.marked })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Transport;
    use crate::units::{Rate, Size};
    use crate::wire::description::Smaller;
    use crate::wire::message::{Entry, State};
    use crate::wire::{Description, StreamName};

    fn stream(instance: &str, name: &str) -> Stream {
        let description = Description {
            title: format!("The {name}"),
            size: Size::new(640, 360),
            smaller: Smaller::NONE,
            rate: Rate::new(25, 1).expect("usual"),
            length: None,
            live: true,
            sound: false,
            ended: None,
            sound_ended: None,
            film: None,
        };
        let name = StreamName::parse(name).expect("a name");
        let entry = Entry { name, state: State::Playing, watchers: 0, guarded: instance == "safe", description };
        let places = vec!["192.0.2.7:7".parse().expect("an address")];
        Stream { instance: instance.to_owned(), places, transport: Transport::Auto, entry: Some(entry) }
    }

    #[test]
    fn the_mark_is_on_the_first_until_a_key_is_pressed() {
        let mut menu = Menu::default();
        menu.update(vec![stream("c", "hall")]);
        menu.update(vec![stream("c", "yard"), stream("c", "hall"), stream("b", "desk")]);
        let list = menu.list().expect("three");
        assert_eq!(list.marked, 0);
        assert_eq!(list.lines[0], "  desk  The desk  192.0.2.7:7  b");
        assert!(list.lines[1].starts_with("  hall") && list.lines[2].starts_with("  yard"), "{:?}", list.lines);
        menu.turn(Turn::Up);
        menu.update(vec![stream("c", "hall"), stream("b", "desk"), stream("a", "x")]);
        assert_eq!(menu.turn(Turn::Take), Choice::Taken(Box::new(stream("b", "desk"))), "it was chosen by then");
    }

    #[test]
    fn the_mark_stays_with_its_stream() {
        let mut menu = Menu::default();
        assert_eq!((menu.list(), menu.turn(Turn::Take)), (None, Choice::Open));
        menu.update(vec![stream("b", "hall"), stream("safe", "yard")]);
        assert_eq!(menu.turn(Turn::Down), Choice::Open);
        menu.update(vec![stream("a", "desk"), stream("b", "hall"), stream("safe", "yard")]);
        let list = menu.list().expect("three");
        assert_eq!((list.marked, list.lines.len()), (2, 3));
        assert_eq!(list.lines[2], "  yard  The yard  192.0.2.7:7  safe  password");
        assert_eq!(menu.turn(Turn::Take), Choice::Taken(Box::new(stream("safe", "yard"))));
        menu.update(vec![stream("a", "desk")]);
        assert_eq!(menu.only(), Some(&stream("a", "desk")));
        assert_eq!(menu.turn(Turn::Take), Choice::Taken(Box::new(stream("a", "desk"))));
        assert_eq!((menu.get(1).is_some(), menu.get(0), menu.get(2)), (true, None, None));
        let coded = Stream { entry: None, ..stream("c", "x") };
        menu.update(vec![coded]);
        assert!(menu.is_empty(), "it is watched by its code alone");
        assert_eq!(menu.turn(Turn::Leave), Choice::Left);
    }
}
