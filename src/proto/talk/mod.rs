//! Talk: the lines that watchers and makers of a stream write to each other.
//!
//! What somebody says goes up, hop by hop, to the stream's server, whose [`Room`] takes it in, numbers it, and makes an object of it.
//! Objects come down to everybody, the author too, who knows by that that his line was heard. A relay's room repeats the one above.
//! On each hop an [`Outgoing`] sees to it that all lines come, and an [`Incoming`] puts them in order; a [`Speaker`] says a line until
//! it has come back. An [`Ear`] is both ends of one who listens.

mod ear;
mod incoming;
mod known;
mod limits;
mod outgoing;
mod room;
mod speaker;

use std::borrow::Cow;

pub use ear::{Ear, Told};
pub use incoming::Incoming;
pub use known::{KnownLines, TalkNews};
pub use outgoing::{Next, Outgoing};
pub use room::{Room, RoomState, TalkRules};
pub use speaker::{Speaker, Unspoken};

use crate::wire::message::UnsaidCode;
use crate::wire::talk::Line;

/// So many lines are kept for those who come later.
pub const KEPT_LINES: usize = 50;

/// A line on its way to the stream's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Drawn by who says it.
    pub id: u64,
    pub author: Author,
    /// Said by whoever makes the stream.
    pub is_maker: bool,
    pub name: String,
    pub text: String,
}

/// Who says something, as far as that can be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Author {
    /// In which session.
    pub session: u64,
    /// Of a relay's session: which of those who watch there; 0: it has no watchers behind it.
    pub behind: u32,
}

/// A line as it came, and its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardLine {
    pub line: Line,
    pub object: Vec<u8>,
}

/// Why a line was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: UnsaidCode,
    pub sentence: Cow<'static, str>,
}

impl Refused {
    const fn new(code: UnsaidCode, sentence: &'static str) -> Self {
        Self { code, sentence: Cow::Borrowed(sentence) }
    }

    pub const OFF: Self = Self::new(UnsaidCode::OFF, "There is no talk at this stream.");
    pub const TOO_MANY: Self =
        Self::new(UnsaidCode::TOO_MANY, "Five lines in ten seconds are the most: wait a moment, then say it again.");
    pub const CROWDED: Self =
        Self::new(UnsaidCode::TOO_MANY, "Too much is said here at once: wait a moment, then say it again.");
    pub const MUTED: Self = Self::new(UnsaidCode::MUTED, "Nobody hears this name here: it is muted.");
    pub const EMPTY: Self = Self::new(UnsaidCode::EMPTY, "There is nothing to read in this line.");
}
