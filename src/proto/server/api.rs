//! What a server and the program around it tell each other.

use std::net::SocketAddr;
use std::time::Duration;

use crate::media::coded::{CodedPicture, Object, PassedPicture, Stamps};
use crate::media::sound::{Chunk, CodedSound, PassedSound, Rendition};
use crate::proto::door::Limits;
use crate::proto::sender::SessionStats;
use crate::proto::server::Server;
use crate::proto::session::{Gone, GroupConfig};
use crate::proto::stream::StreamKey;
use crate::proto::talk::TalkRules;
use crate::proto::{Transmit, Transport};
use crate::seal::{PUBLIC_LEN, Seed};
use crate::units::{Bitrate, MediaTime, Span, Time, Unit};
use crate::wire::message::{InForce, NameRange, Seek, WantedPictures};
use crate::wire::talk::Line;
use crate::wire::{SizeClass, StreamName};

/// What the operator chose for the server as a whole.
#[derive(Clone, Debug)]
pub struct Config {
    pub seed: Seed,
    /// `None`: probe for the largest that passes.
    pub datagram: Option<SizeClass>,
    pub max_sessions: usize,
    pub max_sessions_per_address: usize,
    /// New sessions a second from one /24 or /48 network; loopback is exempt.
    pub max_joins_per_second: u32,
    /// Told to watchers of streams that have sound; 0: none.
    pub sound_port: u16,
    /// The id of the relay that this is the server of. It goes on when all its streams are over.
    pub relay: Option<u64>,
    /// Until then streams may still come back that were here before the server was started anew.
    pub settles: Time,
    /// Told to whoever might want to publish here.
    pub publish_key: Option<[u8; PUBLIC_LEN]>,
    /// Of all its streams.
    pub talk: TalkRules,
}

impl Config {
    pub const fn new(seed: Seed) -> Self {
        Self {
            seed,
            datagram: None,
            max_sessions: 4_096,
            max_sessions_per_address: 1_024,
            max_joins_per_second: 200,
            sound_port: 0,
            relay: None,
            settles: Time::ZERO,
            publish_key: None,
            talk: TalkRules::OPEN,
        }
    }

    pub(super) const fn limits(&self) -> Limits {
        Limits {
            sessions: self.max_sessions,
            sessions_per_address: self.max_sessions_per_address,
            joins_per_second: self.max_joins_per_second,
        }
    }
}

/// What the program around the server tells it.
pub enum Local {
    Stream(StreamKey, Feed),
    /// The stream is sent to this group from now on, unless it is guarded.
    Group(StreamKey, GroupConfig),
    /// Objects that a session asked for with Get.
    Supply(u64, Vec<Object>),
    /// What a session asked for is not to be had.
    Gone(u64, NameRange),
    /// All streams say goodbye with this sentence, and the server finishes.
    Stop(String),
}

/// What the source of a stream brings.
pub enum Feed {
    Picture(CodedPicture),
    /// No more pictures will come. With a media time, that is when the film's last one has had its time on the screen.
    Ended(Option<MediaTime>),
    Sound(Chunk),
    /// A coded unit that the next chunk completes or one that waits, or that follows the last one: see
    /// [`wants_coded_sound`](super::Server::wants_coded_sound).
    CodedSound(CodedSound),
    /// No more sound will come.
    SoundEnded,
    /// The stream says goodbye with this sentence.
    Stop(String),
    /// Nothing is to be shown for a while, or again.
    Pause(bool),
    /// The source failed: the stream says so.
    Failed(String),
    /// A picture from elsewhere, of a stream that was [adopted](super::Server::adopt).
    Passed(PassedPicture),
    /// Sound from elsewhere.
    PassedSound(PassedSound),
    /// The stream says goodbye as the one above did: with its code and sentence.
    Goodbye(u16, String),
    /// Whoever makes the stream says this to those who watch it.
    Say {
        name: String,
        text: String,
    },
}

/// What the server tells the program around it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A watcher came; its sound session goes with it and is not told of.
    Joined {
        stream: StreamKey,
        id: u64,
        address: SocketAddr,
        /// How many the stream has now.
        watchers: usize,
    },
    Left {
        stream: StreamKey,
        id: u64,
        address: SocketAddr,
        why: Gone,
        /// How many the stream has still.
        watchers: usize,
        stats: SessionStats,
    },
    Moved {
        stream: StreamKey,
        id: u64,
        from: SocketAddr,
        to: SocketAddr,
    },
    /// The clock of a film runs.
    Started {
        stream: StreamKey,
        at: Time,
    },
    /// A film on demand is to be sent from this place on: what was brought for it before is of no use any more.
    Sought {
        stream: StreamKey,
        seek: Seek,
    },
    /// Somebody watches this film of the library, in a stream of its own: it is to be [adopted](super::Server::adopt), and fed.
    Viewed {
        stream: StreamKey,
        name: StreamName,
    },
    /// Nobody watches a film on demand any more: its stream is nobody's.
    Vacated(StreamKey),
    /// The timeline moved because everything stood still for this long.
    Stalled {
        stream: StreamKey,
        by: Duration,
    },
    Departed {
        stream: StreamKey,
        rendition: u8,
        unit: Unit,
        span: Span,
        due: Time,
        at: Time,
        stamps: Stamps,
    },
    /// More is to be sent than can be: newcomers are refused, and watchers miss pictures. Or, with false, no longer.
    Overload(bool),
    /// What is for a group does not leave this machine. Or, with true, does again.
    GroupReached {
        address: SocketAddr,
        reached: bool,
    },
    /// Never left: too late for its moment, or not cuttable.
    Skipped {
        stream: StreamKey,
        unit: Unit,
    },
    Refused {
        address: SocketAddr,
        why: String,
    },
    /// A relay wants objects of the film that a stream is of, see [`Description::film`]. [`Local::Supply`] or [`Local::Gone`]
    /// follow.
    ///
    /// [`Description::film`]: crate::wire::Description::film
    Asked {
        stream: StreamKey,
        id: u64,
        range: NameRange,
    },
    /// Somebody has said something, and those who listen are told.
    Said {
        stream: StreamKey,
        line: Line,
    },
    /// What whoever makes the stream said was not taken, for this reason.
    Unsaid {
        stream: StreamKey,
        text: String,
        sentence: String,
    },
    /// A stream has said its goodbyes.
    StreamOver(StreamKey),
    /// All streams have; the program can end.
    Finished,
}

/// A watcher, as it is now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SessionView {
    pub id: u64,
    pub address: SocketAddr,
    /// What it comes by.
    pub transport: Transport,
    pub stream: StreamKey,
    pub class: SizeClass,
    pub stats: SessionStats,
    /// The sound that it wants, if any.
    pub sound: Option<Rendition>,
    /// Its own limits.
    pub wanted: WantedPictures,
    pub adaptation: Adaptation,
}

/// What a watcher is sent at present, and how its path looks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Adaptation {
    /// What it is told of it.
    pub in_force: InForce,
    /// What it was sent in the last second, both its sessions together.
    pub rate: Bitrate,
    /// The queue that stands in its path.
    pub queue: Duration,
}

impl Server {
    /// Sessions of a stream, ready or not, that are for its pictures and have not paused them, or are sent its sound.
    pub fn audience_of(&self, key: StreamKey) -> usize {
        let members = self.streams.get(key.index()).map_or(&[][..], |stream| stream.members());
        let sessions = members.iter().filter_map(|slot| self.sessions.get(*slot));
        sessions.filter(|session| session.pictures || session.sound.is_some()).count()
    }
}

/// Totals since the start, of a stream or of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub pictures: u64,
    /// Chunks of sound whose moment came.
    pub chunks: u64,
    /// Chunks that were held when the stream was stopped, or came too late to be heard: nobody was sent them.
    pub chunks_unsent: u64,
    pub datagrams: u64,
    pub bytes: u64,
    /// UDP payload of the largest media datagram.
    pub largest: usize,
    /// This and what follows is of the server only.
    pub refused: u64,
    pub rejected: u64,
    pub send_errors: u64,
}

impl Totals {
    /// A datagram leaves.
    pub(in crate::proto) fn count(&mut self, transmit: &Transmit) {
        self.datagrams += 1;
        self.bytes += transmit.len() as u64;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.pictures += other.pictures;
        self.chunks += other.chunks;
        self.chunks_unsent += other.chunks_unsent;
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
        self.largest = self.largest.max(other.largest);
        self.refused += other.refused;
        self.rejected += other.rejected;
        self.send_errors += other.send_errors;
    }
}
