//! One run of ffmpeg that reads a source, and what its end means to people.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use super::{Input, SourceError};
use crate::ffmpeg::{Named, Process, Reading, Words};

/// What a reading is called by ffmpeg and by people.
pub(super) fn named(reading: &Reading) -> Named {
    Named { input: reading.address.to_string_lossy().into_owned(), name: reading.name.clone() }
}

/// A running ffmpeg, whatever it has written so far; dropping it ends it.
pub(super) struct Run {
    process: Process,
    local: bool,
}

impl Run {
    pub const fn new(process: Process, local: bool) -> Self {
        Self { process, local }
    }

    pub fn stopped(&self) -> bool {
        self.process.control().stopped()
    }

    /// Why it wrote nothing at all.
    pub fn no_start(&mut self) -> SourceError {
        self.process.kill();
        if self.stopped() {
            return SourceError::Stopped;
        }
        let words = self.process.words();
        no_film(&words, self.local, &self.process.named().name)
    }

    /// Nothing came within `patience`.
    pub fn silent(&self, patience: Duration) -> SourceError {
        silent(self.local, &self.process.named().name, patience)
    }

    /// It has closed its pipes: waits for its end. An error if it failed; if we killed it, it has ended as it should.
    pub fn finish(&mut self, done: &str) -> Result<(), SourceError> {
        match self.process.wait() {
            Some(status) if !status.success() => Err(self.died(done, Some(status))),
            _ => Ok(()),
        }
    }

    /// It closed its pipe in the middle of a picture; `done` says how much came before.
    pub fn cut_short(&mut self, done: &str) -> SourceError {
        let status = self.process.wait();
        self.died(done, status)
    }

    /// It wrote what cannot be read.
    pub fn unreadable(&mut self, done: &str) -> SourceError {
        self.process.kill();
        self.died(done, None)
    }

    fn died(&mut self, done: &str, status: Option<ExitStatus>) -> SourceError {
        let signal = status.and_then(|status| status.signal());
        let why = signal.map(|signal| format!("it was killed by signal {signal}"));
        let why = why.or_else(|| self.process.words().gist()).unwrap_or_else(|| "it does not say why".to_owned());
        SourceError::Died { name: self.process.named().name.clone(), done: done.to_owned(), why }
    }
}

/// What ffmpeg's words mean when it opened nothing.
pub(super) fn no_film(words: &Words, local: bool, name: &str) -> SourceError {
    let name = name.to_owned();
    let piped = name == Input::Stdin.name();
    match words.gist() {
        _ if local && words.point_elsewhere() => SourceError::Elsewhere(name),
        _ if words.say_animated_webp() => SourceError::AnimatedWebp(name),
        // Of a pipe only the beginning was looked at, and nothing can be read twice.
        _ if piped && words.mention("moov atom not found") => SourceError::IndexAtEnd(name),
        _ if words.say_index_at_end() && (piped || !local) => SourceError::IndexAtEnd(name),
        Some(why) if words.say_index_at_end() => SourceError::NotFilm { name, why },
        None => SourceError::NoPicture(name),
        Some(_) if words.say_empty() => SourceError::NoPicture(name),
        Some(why) if local => SourceError::NotFilm { name, why },
        Some(why) if words.say_forbidden() => SourceError::Forbidden { name, why },
        Some(why) if words.ask_for_a_password() => SourceError::NotLetIn { how: how_to_get_in(&name), name, why },
        Some(why) if words.say_away() => {
            let why = if why == "Input/output error" { "nobody answers there".to_owned() } else { why };
            SourceError::NotReached { name, why }
        }
        Some(why) => SourceError::NotOpened { name, why },
    }
}

/// Where name and password, or whatever stands for them, belong in an address like this one.
fn how_to_get_in(name: &str) -> String {
    let scheme = name.split_once("://").map_or("rtsp", |(scheme, _)| scheme);
    if scheme == "srt" {
        return PASSPHRASE.to_owned();
    }
    format!("write the right name and password before its host, as in {scheme}://NAME:PASSWORD@HOST/")
}

pub(super) fn silent(local: bool, name: &str, patience: Duration) -> SourceError {
    let (name, seconds) = (name.to_owned(), patience.as_secs());
    if local { SourceError::NothingCame { name, seconds } } else { SourceError::NoAnswer { name, seconds } }
}

const PASSPHRASE: &str =
    "write its passphrase of ten letters or more at the end, as in srt://HOST:PORT?passphrase=WORDS";
