//! The streams of the server: which one follows, and the list to choose from. It is told what keys were pressed and what the
//! server has, and says what is to be asked of the receiver. No IO.

use std::time::Duration;

use crate::app::words::clock_text;
use crate::proto::receiver::Local;
use crate::units::Time;
use crate::view::{List, Turn};
use crate::wire::StreamName;
use crate::wire::message::{Entry, State};

/// A listing older than this is asked for again when it is used.
const FRESH: Duration = Duration::from_secs(5);

/// What is known of the server's streams.
#[derive(Default)]
pub struct Streams {
    /// The one that plays, as the server calls it.
    current: Option<StreamName>,
    /// The one that was wished for last, until it plays or is refused.
    heading: Option<StreamName>,
    entries: Vec<Entry>,
    /// When they were told.
    told: Option<Time>,
    /// A key that waits for them.
    waiting: Option<Turn>,
    /// The marked line of the list, while it is shown.
    marked: Option<usize>,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Doing {
    /// In this order.
    pub ask: Vec<Local>,
    /// For people.
    pub notice: Option<String>,
    /// The list has changed, or is no longer shown.
    pub redraw: bool,
}

impl Doing {
    fn ask(local: Local) -> Self {
        Self { ask: vec![local], ..Self::default() }
    }
}

impl Streams {
    /// A stream plays. Returns whether it is another one than before.
    pub fn playing(&mut self, name: Option<StreamName>) -> bool {
        let other = self.current.is_some() && self.current != name;
        self.current = name;
        if self.heading.is_some() && self.heading == self.current {
            self.heading = None;
        }
        other
    }

    /// The server does not take us there; what plays goes on.
    pub fn kept(&mut self) {
        self.heading = None;
    }

    fn is_fresh(&self, now: Time) -> bool {
        self.told.is_some_and(|told| now < told + FRESH)
    }

    /// Asks which there are, unless that is known.
    pub fn refresh(&self, now: Time) -> Doing {
        if self.is_fresh(now) { Doing::default() } else { Doing::ask(Local::List) }
    }

    /// The server's streams; a key that waited for them is obeyed.
    pub fn listed(&mut self, now: Time, entries: Vec<Entry>) -> Doing {
        (self.entries, self.told) = (entries, Some(now));
        let last = self.entries.len().saturating_sub(1);
        self.marked = self.marked.map(|marked| marked.min(last));
        let mut doing = self.waiting.take().map_or_else(Doing::default, |turn| self.turn(now, turn));
        doing.redraw |= self.marked.is_some();
        doing
    }

    /// The server has not told them. Somebody may have waited for them.
    pub fn failed(&mut self) -> Doing {
        let waited = self.waiting.take().is_some() | (self.marked.is_some() && self.entries.is_empty());
        self.marked = self.marked.filter(|_| !self.entries.is_empty());
        let notice = waited.then(|| "The server does not tell which streams it has.".to_owned());
        Doing { redraw: waited, notice, ..Doing::default() }
    }

    /// A key was pressed.
    pub fn turn(&mut self, now: Time, turn: Turn) -> Doing {
        match turn {
            Turn::Next | Turn::Previous => self.step(now, turn),
            Turn::List if self.marked.is_none() => {
                self.marked = Some(self.at().unwrap_or(0));
                Doing { redraw: true, ..self.refresh(now) }
            }
            Turn::List | Turn::Leave => {
                self.marked = None;
                Doing { redraw: true, ..Doing::default() }
            }
            Turn::Up | Turn::Down => {
                let last = self.entries.len().saturating_sub(1);
                let moved = |at: usize| if turn == Turn::Up { at.saturating_sub(1) } else { (at + 1).min(last) };
                self.marked = self.marked.map(moved);
                Doing { redraw: true, ..Doing::default() }
            }
            Turn::Take => {
                let name = self.marked.take().and_then(|at| self.entries.get(at)).map(|entry| entry.name.clone());
                let mut doing = name.map_or_else(Doing::default, |name| self.switch(name));
                doing.redraw = true;
                doing
            }
        }
    }

    /// Where the stream stands that plays, or will.
    fn at(&self) -> Option<usize> {
        let name = self.heading.as_ref().or(self.current.as_ref())?;
        self.entries.iter().position(|entry| entry.name == *name)
    }

    fn step(&mut self, now: Time, turn: Turn) -> Doing {
        if self.told.is_none() {
            self.waiting = Some(turn);
            return Doing::ask(Local::List);
        }
        let count = self.entries.len();
        let at = self.at().unwrap_or(0);
        let places = (1..count).map(|step| (at + if turn == Turn::Next { step } else { count - step }) % count);
        let next = places.map(|at| &self.entries[at]).find(|entry| entry.state != State::Ended);
        let mut doing = match next.map(|entry| entry.name.clone()) {
            Some(name) => self.switch(name),
            None => Doing { notice: Some("The server has no other stream.".to_owned()), ..Doing::default() },
        };
        doing.ask.extend(self.refresh(now).ask);
        doing
    }

    fn switch(&mut self, name: StreamName) -> Doing {
        let stays = self.heading.is_none() && self.current.as_ref() == Some(&name);
        if stays {
            return Doing::default();
        }
        self.heading = Some(name.clone());
        Doing::ask(Local::Switch(Some(name)))
    }

    /// The list as it is shown, if it is.
    pub fn list(&self) -> Option<List> {
        let marked = self.marked?;
        let title = if self.entries.is_empty() { "Asking the server ..." } else { "Streams of this server" };
        let wide = self.entries.iter().map(|entry| entry.name.as_str().chars().count()).max().unwrap_or(0);
        let line = |entry: &Entry| {
            let plays = if self.current.as_ref() == Some(&entry.name) { '*' } else { ' ' };
            format!("{plays} {}", line(entry, wide))
        };
        Some(List { title: title.to_owned(), lines: self.entries.iter().map(line).collect(), marked })
    }
}

/// Name, size, length and watchers.
fn line(entry: &Entry, wide: usize) -> String {
    let Entry { name, state, watchers, guarded, description } = entry;
    let length = match (description.length, state) {
        (_, State::Ended) => "ended".to_owned(),
        (Some(micros), _) => clock_text(Duration::from_micros(micros)),
        (None, _) if description.live => "live".to_owned(),
        (None, _) => "endless".to_owned(),
    };
    let watched = if *watchers == 1 { "1 watcher".to_owned() } else { format!("{watchers} watchers") };
    let password = if *guarded { "  password" } else { "" };
    format!("{:<wide$}  {:<9}  {length:<7}  {watched}{password}", name.as_str(), description.size.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Rate, Size};
    use crate::wire::Description;
    use crate::wire::description::Smaller;

    fn name(text: &str) -> StreamName {
        StreamName::parse(text).expect("a name")
    }

    fn entry(text: &str, state: State, length: Option<u64>) -> Entry {
        let description = Description {
            title: text.to_owned(),
            size: Size::new(640, 360),
            smaller: Smaller::NONE,
            rate: Rate::new(25, 1).expect("a rate"),
            length,
            live: length.is_none(),
            sound: false,
            ended: None,
            sound_ended: None,
            film: None,
        };
        Entry { name: name(text), state, watchers: 2, guarded: false, description }
    }

    fn three() -> Vec<Entry> {
        let [a, b, c] = ["desk", "lobby", "yard"];
        vec![entry(a, State::Playing, None), entry(b, State::Ended, None), entry(c, State::Waiting, Some(83_000_000))]
    }

    fn switch(text: &str) -> Doing {
        Doing::ask(Local::Switch(Some(name(text))))
    }

    #[test]
    fn tab_goes_round_and_leaves_out_what_has_ended() {
        let (mut streams, now) = (Streams::default(), Time::from_millis(1_000));
        assert!(!streams.playing(Some(name("desk"))));
        assert_eq!(streams.refresh(now), Doing::ask(Local::List));
        assert_eq!(streams.turn(now, Turn::Next), Doing::ask(Local::List), "not known yet");
        assert_eq!(streams.listed(now, three()), switch("yard"), "what waited is obeyed");
        assert_eq!(streams.turn(now, Turn::Next), switch("desk"), "from where it is heading");
        assert!(streams.playing(Some(name("yard"))));
        assert!(streams.playing(Some(name("desk"))));
        assert_eq!(streams.turn(now, Turn::Previous), switch("yard"));
        streams.kept();
        let later = now + FRESH;
        let doing = streams.turn(later, Turn::Previous);
        assert_eq!(doing.ask, [Local::Switch(Some(name("yard"))), Local::List], "at once, and asked again");
        streams.listed(later, vec![entry("desk", State::Playing, None)]);
        streams.kept();
        assert!(streams.turn(later, Turn::Next).notice.is_some(), "there is no other");
    }

    #[test]
    fn the_list_marks_what_plays_and_switches_to_what_is_chosen() {
        let (mut streams, now) = (Streams::default(), Time::from_millis(1_000));
        streams.playing(Some(name("yard")));
        assert_eq!(streams.list(), None);
        assert!(streams.turn(now, Turn::List).redraw);
        assert_eq!(streams.list().map(|list| list.lines.len()), Some(0));
        streams.turn(now, Turn::List);
        streams.listed(now, three());
        assert_eq!(streams.turn(now, Turn::List), Doing { redraw: true, ..Doing::default() }, "fresh enough");
        let list = streams.list().expect("it is shown");
        assert_eq!(list.lines[2], "* yard   640×360    1:23     2 watchers");
        assert_eq!((list.lines[0].as_str(), list.marked), ("  desk   640×360    live     2 watchers", 2));
        streams.turn(now, Turn::Up);
        streams.turn(now, Turn::Up);
        streams.turn(now, Turn::Up);
        assert_eq!(streams.turn(now, Turn::Take), Doing { redraw: true, ..switch("desk") });
        assert_eq!(streams.list(), None);
    }

    #[test]
    fn a_server_that_does_not_answer_is_a_notice_to_whoever_asked() {
        let mut streams = Streams::default();
        assert_eq!(streams.failed(), Doing::default());
        streams.turn(Time::ZERO, Turn::Next);
        assert!(streams.failed().notice.is_some());
        assert_eq!(streams.failed(), Doing::default(), "once");
    }
}
