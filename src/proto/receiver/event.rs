//! What a receiver tells the program around it.

use std::net::SocketAddr;

use super::{ListFailure, Ready, Slice, Trouble};
use crate::media::sound::Piece;
use crate::proto::client::Played;
use crate::proto::player;
use crate::proto::talk::TalkNews;
use crate::units::{Size, Time, Timing};
use crate::wire::message::{Entry, RefuseCode, bye};
use crate::wire::{Description, StreamName};

/// What the receiver tells the program around it.
#[derive(Clone, Debug)]
pub enum Event {
    /// Accepted by a server, with the stream's description.
    Playing {
        description: Description,
        stream: u64,
        /// As the server calls the stream.
        name: Option<StreamName>,
        server: SocketAddr,
        /// After a loss of the session; not after a switch.
        rejoined: bool,
    },
    /// To be decoded into the canvas of its unit; slices of one unit come between two Shows.
    Slice(Slice),
    /// The picture's time has come. `due` is when it should have left the server (paced) or was captured (live), in
    /// our clock.
    Show {
        picture: Ready,
        due: Option<Time>,
    },
    /// Sound from frame `first` on: a chunk of 256 frames or a coded unit of 960 (the last of a stream may have fewer), or how
    /// much is lost; in order and without gaps unless `first` jumps.
    Sound {
        first: u64,
        piece: Piece,
    },
    /// The sound has ended with what came last.
    SoundOver,
    /// When each frame of the sound is to be heard, in our clock: frame n is that of media time n/44 100 s.
    SoundTiming(Timing),
    /// A film on demand is played so from now on.
    Played(Played),
    /// The stream's pictures are larger than any canvas ([`Canvas::fits`]). The server is left, and looked for again; after
    /// a switch it is asked for the stream that played before.
    ///
    /// [`Canvas::fits`]: crate::media::Canvas::fits
    TooLarge(Size),
    Refused {
        code: RefuseCode,
        sentence: String,
        /// A switch was refused: what plays goes on. Otherwise the server is asked again, after the time that it names.
        kept: bool,
    },
    /// The streams of the server, in its order.
    Listing(Vec<Entry>),
    ListFailed(ListFailure),
    /// What people say of the stream.
    Talk(TalkNews),
    /// Nothing has been heard for a while; looking for the server.
    Trouble(Trouble),
    /// Somebody else sends to the group that is listened to; said once of each.
    AnotherSender(SocketAddr),
    /// What the group has lost cannot be had from this server. Or, with true, can after all.
    Repairs {
        server: SocketAddr,
        are_had: bool,
    },
    /// The stream ended, or the server stopped, with its sentence. Unless [`Config::stay`], `Finished` follows.
    Over {
        why: Over,
        sentence: String,
    },
    /// All is said; the program can end.
    Finished,
}

/// Why a server said goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The stream came to its end.
    Ended,
    /// Somebody stopped the server.
    Stopped,
    /// The stream's source failed.
    Failed,
}

impl Over {
    pub(super) const fn of(code: u16) -> Self {
        match code {
            bye::ENDED => Self::Ended,
            bye::FAILED => Self::Failed,
            _ => Self::Stopped,
        }
    }
}

impl From<player::Event> for Event {
    fn from(event: player::Event) -> Self {
        match event {
            player::Event::Slice(slice) => Self::Slice(slice),
            player::Event::Show { picture, due } => Self::Show { picture, due },
            player::Event::Sound { first, piece } => Self::Sound { first, piece },
            player::Event::SoundOver => Self::SoundOver,
            player::Event::SoundTiming(timing) => Self::SoundTiming(timing),
        }
    }
}
