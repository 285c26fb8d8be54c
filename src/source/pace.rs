//! Whether a pipe brings a file or something live: it shows in how the first pictures come.

use super::{Pace, SourceError};
use crate::clock;
use crate::media::Picture;
use crate::units::{Rate, Time};

/// What ten pictures said about how fast they come; see [`decide`].
pub(super) struct Decision {
    pub pace: Pace,
    pub held: Vec<Picture>,
    /// What ended the pictures meanwhile: those that are held come first.
    pub failed: Option<SourceError>,
}

impl Decision {
    pub fn new(pace: Pace, held: Vec<Picture>) -> Self {
        Self { pace, held, failed: None }
    }
}

/// Finds out whether a pipe brings a file or something live: from the first read that had to wait, ten pictures in
/// less than half the time that they last is a file. Pictures that lay in the pipe before say nothing. Holds what it reads.
pub(super) fn decide(
    rate: Rate,
    mut read: impl FnMut() -> Result<Option<(Picture, Option<Time>)>, SourceError>,
) -> Result<Decision, SourceError> {
    let (mut held, mut bytes, mut fresh) = (Vec::new(), 0, Vec::<Time>::new());
    loop {
        let (picture, first_wait) = match read() {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(Decision::new(Pace::File, held)),
            Err(error) if held.is_empty() => return Err(error),
            Err(error) => return Ok(Decision { failed: Some(error), ..Decision::new(Pace::File, held) }),
        };
        bytes += Picture::bytes(picture.size);
        if fresh.is_empty() && first_wait.is_none() && bytes <= PIPE_BACKLOG {
            held.push(picture);
            continue;
        }
        fresh.push(picture.captured);
        held.push(picture);
        let elapsed = clock::now().since(fresh[0]);
        let limit = rate.at(5);
        if elapsed >= limit {
            return Ok(Decision::new(Pace::Live, held));
        }
        if fresh.len() >= 10 || bytes >= HELD {
            // Too large to hold ten: judge by those there are, at the same speed.
            let spans = held[held.len() - fresh.len()..].iter().filter_map(|picture| picture.span);
            let live = elapsed * 2 >= spans.map(|span| span.lasts).sum();
            return Ok(Decision::new(if live { Pace::Live } else { Pace::File }, held));
        }
    }
}

/// A Linux pipe as it comes holds 64 kB; twice that, to be sure, may have waited for us.
const PIPE_BACKLOG: usize = 128 << 10;
/// The most that is held back before the pace is known.
const HELD: usize = 48 << 20;
