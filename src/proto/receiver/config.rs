//! What a receiver is told: what its viewer chose, and what the program around it says later.

use std::time::Duration;

use crate::media::sound::Rendition;
use crate::proto::Servers;
use crate::proto::client::Secret;
use crate::seal::Seed;
use crate::wire::StreamName;
use crate::wire::message::{Play, WantedPictures};

/// What the viewer chose.
#[derive(Clone, Debug)]
pub struct Config {
    pub seed: Seed,
    /// Where the server may be: all are asked, the first to answer is taken.
    pub servers: Servers,
    /// Which of its streams; `None`: its first.
    pub stream: Option<StreamName>,
    /// What is known of it, if it is guarded.
    pub secret: Option<Secret>,
    /// Largest datagram wanted; 0: no limit.
    pub max_datagram: u16,
    /// Show pictures this long after they are due, at most [`MAX_LATENCY`](super::MAX_LATENCY); zero: as soon as they are there.
    pub latency: Duration,
    /// So long after it could be complete a picture is waited for at most, and never longer than the interval between two;
    /// `None`: that interval alone is the limit; zero: nothing is waited for.
    pub patience: Option<Duration>,
    /// After a goodbye look for the server again, instead of finishing.
    pub stay: bool,
    /// Which sound is wanted, if the stream has any; `None`: no sound, and nothing waits for it.
    pub sound: Option<Rendition>,
    /// How much of the pictures is wanted at most.
    pub limits: WantedPictures,
    /// After so many pictures say goodbye and finish; `None`: show all that come.
    pub frames: Option<u64>,
    /// Hear what others say of the stream, and say things under this name; `None`: neither.
    pub talk: Option<String>,
    /// How a film on demand is played at first, if the stream is one; without it from its beginning.
    pub play: Option<Play>,
    /// Watch a film on demand with those who name the same.
    pub together: Option<String>,
}

impl Config {
    /// The first stream, datagrams of any size, no sound, every picture as soon as it is there, and the end of the stream is
    /// the end.
    pub fn new(seed: Seed, servers: impl Into<Servers>) -> Self {
        let servers = servers.into();
        let (stream, max_datagram, latency, stay) = (None, 0, Duration::ZERO, false);
        let limits = WantedPictures::ANY;
        let (secret, patience, sound, frames, talk) = (None, None, None, None, None);
        let (play, together) = (None, None);
        Self {
            seed,
            servers,
            stream,
            secret,
            max_datagram,
            latency,
            patience,
            stay,
            sound,
            limits,
            frames,
            talk,
            play,
            together,
        }
    }
}

/// What the program around the receiver tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// Say goodbye and finish.
    Stop,
    /// A loudspeaker plays, and needs chunks so long before they are heard; or, with `None`, none does.
    Loudspeaker(Option<Duration>),
    /// Another stream of the server; `None`: its first. What plays goes on until the other is there.
    Switch(Option<StreamName>),
    /// Another film on demand of the server, played so at first. What plays goes on until the other is there.
    Film(StreamName, Play),
    /// No pictures for the time being, or pictures again. Sound is not concerned.
    Pause(bool),
    /// Which sound is wanted from now on; `None`: none.
    Sound(Option<Rendition>),
    /// How much of the pictures is wanted at most from now on, of whichever stream.
    Limits(WantedPictures),
    /// How a film on demand is to be played from now on; its number is above those before.
    Play(Play),
    /// Say this to all who watch the stream; it comes back as a line, or is refused ([`Event::Talk`](super::Event)).
    Say(String),
    /// The server is at one of these addresses from now on; what plays goes on.
    Servers(Servers),
    /// Ask which streams the server has; [`Event::Listing`](super::Event) or [`Event::ListFailed`](super::Event) follows.
    List,
}
