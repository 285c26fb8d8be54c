//! The lines of one stream at one server: taken in here and numbered, or repeated as they come from above.

use std::collections::VecDeque;
use std::time::Duration;

use super::limits::TalkLimits;
use super::{HeardLine, KEPT_LINES, KnownLines, Refused, Said};
use crate::media::coded::Object;
use crate::units::{MediaTime, Time, Unit};
use crate::wire::message::LineRange;
use crate::wire::talk::{Line, clean_line, clean_name, is_same_name};

/// What the operator allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TalkRules {
    /// Nobody says anything.
    pub off: bool,
    /// What these names say is not taken.
    pub muted: Vec<String>,
}

impl TalkRules {
    /// Everybody may say anything.
    pub const OPEN: Self = Self { off: false, muted: Vec::new() };
}

/// Where the lines of a stream come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoomState {
    /// They are taken in here.
    #[default]
    Here,
    /// From above, of which nothing is known yet.
    Awaited,
    /// From above.
    Above,
    /// There are none.
    Off,
}

/// The name of a line, which is never empty: without one it could be taken for somebody's.
fn name_of(name: &str) -> String {
    Some(clean_name(name)).filter(|name| !name.is_empty()).unwrap_or_else(|| NOBODY.to_owned())
}

/// Who gives no name is called so.
const NOBODY: &str = "guest";
/// So many refused lines are known again, for so long.
const REFUSED: usize = 64;
const REMEMBERED: Duration = Duration::from_secs(5);

/// See the head of this file.
pub struct Room {
    state: RoomState,
    rules: TalkRules,
    /// The first number of this room, which no other room of the same stream begins with: whoever makes a room anew makes no
    /// name anew.
    next: u32,
    lines: VecDeque<(Line, Object)>,
    known: KnownLines,
    /// Lines that were refused lately, and why: another copy of one may come while its author has not been told yet.
    refused: VecDeque<(u64, Refused, Time)>,
    limits: TalkLimits,
}

impl Room {
    /// `number` is random.
    pub fn new(rules: TalkRules, number: u64) -> Self {
        Self {
            state: if rules.off { RoomState::Off } else { RoomState::Here },
            rules,
            // There is room for as many lines again before the numbers end.
            next: (number as u32) >> 2,
            lines: VecDeque::new(),
            known: KnownLines::default(),
            refused: VecDeque::new(),
            limits: TalkLimits::default(),
        }
    }

    pub const fn state(&self) -> RoomState {
        self.state
    }

    /// Lines come from above from now on, or none do. Those that are there stay.
    pub fn set_state(&mut self, state: RoomState) {
        if !self.rules.off {
            self.state = state;
        }
    }

    fn first(&self) -> u32 {
        self.next - self.lines.len() as u32
    }

    /// Which lines there are.
    pub fn range(&self, stream: u64) -> LineRange {
        LineRange { stream, first: self.first(), next: self.next }
    }

    /// The line with this number.
    pub fn line(&self, number: u32) -> Option<Object> {
        let index = number.checked_sub(self.first())?;
        self.lines.get(index as usize).map(|(_, object)| object.clone())
    }

    /// Takes a line in. Returns it as it is from now on; `None`: it was taken before.
    pub fn take(&mut self, now: Time, stream: u64, media: MediaTime, said: &Said) -> Result<Option<Line>, Refused> {
        if self.state == RoomState::Off {
            return Err(Refused::OFF);
        }
        if self.known.has(said.id) {
            return Ok(None);
        }
        self.may_say(now, said)?;
        let (name, text) = (name_of(&said.name), clean_line(&said.text));
        let line = Line { unit: Unit(self.next), media, id: said.id, is_maker: said.is_maker, name, text };
        self.known.note(said.id);
        self.keep(line.clone(), line.object(stream).into());
        Ok(Some(line))
    }

    /// Whether a line may go on to the server above; `None`: that one is not known yet.
    pub fn may_pass(&mut self, now: Time, said: &Said) -> Option<Result<(), Refused>> {
        match self.state {
            RoomState::Awaited => return None,
            RoomState::Off => return Some(Err(Refused::OFF)),
            RoomState::Here | RoomState::Above => {}
        }
        Some(self.may_say(now, said))
    }

    /// Whether a line may be said now, which then counts; the same answer to each copy of it.
    fn may_say(&mut self, now: Time, said: &Said) -> Result<(), Refused> {
        self.refused.retain(|(_, _, at)| now.since(*at) < REMEMBERED);
        if let Some((_, refused, _)) = self.refused.iter().find(|(id, ..)| *id == said.id) {
            return Err(refused.clone());
        }
        let allowed = if clean_line(&said.text).is_empty() {
            Err(Refused::EMPTY)
        } else if !said.is_maker && self.is_muted(&name_of(&said.name)) {
            Err(Refused::MUTED)
        } else {
            self.limits.allow(now, said.author, said.is_maker)
        };
        if let Err(refused) = &allowed {
            if self.refused.len() == REFUSED {
                self.refused.pop_front();
            }
            self.refused.push_back((said.id, refused.clone(), now));
        }
        allowed
    }

    fn is_muted(&self, name: &str) -> bool {
        self.rules.muted.iter().any(|muted| is_same_name(muted, name))
    }

    /// The lines above begin with this one: what is here goes on, if it is of the same, or is forgotten.
    pub fn begin_at(&mut self, first: u32) {
        self.set_state(RoomState::Above);
        if first > self.next || first < self.first() {
            self.lines.clear();
            self.next = first;
        }
    }

    /// A line came from above. Returns whether it is here only now, and whether it is new: it may have come under another stream's id.
    pub fn pass(&mut self, heard: &HeardLine) -> (bool, bool) {
        let number = heard.line.unit.0;
        if number < self.next {
            return (false, false);
        }
        if number > self.next {
            self.lines.clear();
            self.next = number;
        }
        self.keep(heard.line.clone(), heard.object.clone().into());
        (true, self.known.note(heard.line.id))
    }

    /// The stream has another id from now on. What was taken in here goes on under that one, each line with its number, but its moment is
    /// none of that one's; what came from above comes again.
    pub fn move_to(&mut self, stream: u64) {
        if self.state == RoomState::Here {
            for (line, object) in &mut self.lines {
                line.media = MediaTime::ZERO;
                *object = line.object(stream).into();
            }
        } else {
            self.lines.clear();
        }
    }

    fn keep(&mut self, line: Line, object: Object) {
        if self.lines.len() == KEPT_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back((line, object));
        self.next += 1;
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.lines.len() <= KEPT_LINES && self.refused.len() <= REFUSED);
        self.known.assert_sound();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::talk::Author;

    fn said(id: u64, name: &str, text: &str) -> Said {
        let author = Author { session: id, behind: 0 };
        Said { id, author, is_maker: false, name: name.to_owned(), text: text.to_owned() }
    }

    fn take(room: &mut Room, said: &Said) -> Result<Option<u32>, Refused> {
        let taken = room.take(Time::ZERO, 7, MediaTime::ZERO, said);
        taken.map(|line| line.map(|line| line.unit.0))
    }

    #[test]
    fn each_line_is_taken_once_and_the_last_fifty_are_kept() {
        let mut room = Room::new(TalkRules::default(), 0x1234_5678_9abc_def0);
        let first = room.range(7).first;
        for id in 0..60 {
            assert_eq!(take(&mut room, &said(id, "a", "b")), Ok(Some(first + id as u32)));
            assert_eq!(take(&mut room, &said(id, "a", "b")), Ok(None));
        }
        assert_eq!(room.range(7), LineRange { stream: 7, first: first + 10, next: first + 60 });
        assert!(room.line(first + 9).is_none() && room.line(first + 10).is_some() && room.line(first + 60).is_none());
        assert_ne!(Room::new(TalkRules::default(), 99).range(7).first, first);
    }

    #[test]
    fn what_is_muted_empty_or_not_wanted_is_refused() {
        let mut room = Room::new(TalkRules { muted: vec!["Eve".to_owned()], off: false }, 0);
        assert_eq!(take(&mut room, &said(1, "eVé\u{200b}", "hi")), Err(Refused::MUTED));
        assert_eq!(take(&mut room, &said(2, "", "\u{301}\u{200b} ")), Err(Refused::EMPTY));
        assert_eq!(take(&mut room, &said(3, "Eva", "hi")), Ok(Some(0)));
        assert_eq!(take(&mut room, &Said { is_maker: true, ..said(4, "eve", "hi") }), Ok(Some(1)));
        let mut off = Room::new(TalkRules { off: true, muted: Vec::new() }, 0);
        off.set_state(RoomState::Here);
        assert_eq!(take(&mut off, &said(1, "", "hi")), Err(Refused::OFF));
    }

    #[test]
    fn copies_of_a_line_have_one_answer() {
        let mut room = Room::new(TalkRules::default(), 0);
        let by_one = |id| Said { author: Author::default(), ..said(id, "", "hi") };
        (1..=5).for_each(|id| assert!(take(&mut room, &by_one(id)).is_ok()));
        let at = |millis| Time::from_millis(millis);
        let again = |room: &mut Room, millis| room.take(at(millis), 7, MediaTime::ZERO, &by_one(6)).map(drop);
        assert_eq!(again(&mut room, 9_900), Err(Refused::TOO_MANY));
        assert_eq!(again(&mut room, 10_100), Err(Refused::TOO_MANY), "a copy that was on its way");
        assert_eq!(again(&mut room, 15_000), Ok(()), "long after that it is another attempt");
        let name = room.lines.back().map(|(line, _)| line.name.clone());
        assert_eq!(name.as_deref(), Some(NOBODY), "no line is without a name");
    }

    #[test]
    fn a_relays_room_repeats_the_one_above() {
        let (mut above, mut room) = (Room::new(TalkRules::default(), 400), Room::new(TalkRules::default(), 1 << 31));
        room.set_state(RoomState::Awaited);
        assert_eq!(room.may_pass(Time::ZERO, &said(1, "", "hi")), None);
        let mut heard = |id| {
            let line = above.take(Time::ZERO, 7, MediaTime::ZERO, &said(id, "a", "b")).expect("taken").expect("new");
            HeardLine { object: line.object(7), line }
        };
        let (one, two, _, four) = (heard(1), heard(2), heard(3), heard(4));
        room.begin_at(100);
        assert_eq!(room.may_pass(Time::ZERO, &said(1, "", "hi")), Some(Ok(())));
        assert_eq!(
            [&one, &two, &one].map(|line| room.pass(line)),
            [(true, true), (true, true), (false, false)],
            "each once"
        );
        assert_eq!(room.range(7), LineRange { stream: 7, first: 100, next: 102 });
        assert_eq!(room.line(101).map(|object| object.bytes().to_vec()), Some(two.object));
        room.begin_at(100);
        assert_eq!(room.range(7).first, 100, "the same again");
        assert_eq!(room.pass(&four), (true, true));
        assert_eq!(
            room.range(7),
            LineRange { stream: 7, first: 103, next: 104 },
            "with a gap nothing before it counts"
        );
        room.move_to(8);
        assert_eq!(room.range(8), LineRange { stream: 8, first: 104, next: 104 }, "it comes again from above");
        above.move_to(8);
        let moved = above.line(101).expect("it is kept");
        assert_eq!(crate::wire::ObjectView::parse(moved.bytes()).expect("an object").header.stream, 8);
        room.begin_at(9);
        assert_eq!(room.range(7), LineRange { stream: 7, first: 9, next: 9 });
    }
}
