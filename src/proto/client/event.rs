//! What a client tells the machine around it.

use std::net::SocketAddr;

use crate::proto::talk::{Said, Told};
use crate::wire::Description;
use crate::wire::message::{NameRange, RefuseCode};

/// What a client tells the machine around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The stream's description has come, and stands in [`Client::stream`]; with `Some`, something begins with it.
    Described(Option<Found>),
    /// A film on demand goes on somewhere else: what came before is of another place.
    Jumped,
    /// A session that was silent for so long that [`Event::Trouble`] was told goes on.
    HeardAgain,
    /// `kept`: a switch was refused, and the stream that plays goes on. Otherwise the client tries again later.
    Refused {
        code: RefuseCode,
        sentence: String,
        kept: bool,
    },
    Trouble(Trouble),
    /// Somebody else sends to the group that is listened to; said once of each.
    AnotherSender(SocketAddr),
    /// Something that was asked for is not to be had.
    Gone(NameRange),
    /// What is heard, or not taken, of what people say.
    Talk(Told),
    /// Whoever sends the stream says this.
    Said(Said),
    /// Whoever sends the stream listens, and has all lines before `next`.
    Listens {
        stream: u64,
        next: u32,
    },
}

/// What begins with a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The first session of all.
    First,
    /// A session after another one.
    Again,
    /// A session with another stream, as was wished.
    Switched,
    /// Another stream in the same session.
    Renamed,
}

/// Why nothing comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody has answered since the start.
    Nobody,
    /// The server was there and has fallen silent.
    Silent,
    /// This machine has no way to the server: nothing can even be sent.
    Network,
}

/// What the server told of a stream.
pub struct Stream {
    pub id: u64,
    pub description: Description,
    /// The Description object as it came last.
    pub object: Vec<u8>,
}

impl Stream {
    /// What is known with a further description: an end that was told stays told.
    pub fn described_again(&self, description: Description) -> Description {
        let ended = description.ended.or(self.description.ended);
        let sound_ended = description.sound_ended.or(self.description.sound_ended);
        Description { ended, sound_ended, ..description }
    }
}
