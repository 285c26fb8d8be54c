//! Where films were left, on this machine and nowhere else: a line of JSON for each change, in `$XDG_STATE_HOME`.
//!
//! What is watched to less than a twentieth is not kept, and what is watched to nine tenths counts as seen (Jellyfin's rule). A line
//! is appended at once, so that a watcher that is killed loses a few seconds at most; several may write at the same time.

mod file;
mod keeper;
mod verb;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::file::{History, HistoryError};
pub use self::keeper::Keeper;
pub use self::verb::{Clear, Options, history};

/// What is kept of a film.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// As it was typed.
    pub server: String,
    /// As the server calls it.
    pub name: String,
    pub title: String,
    /// Where it was left, and how long it is, seconds; `None`: at neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<f64>,
    /// How often it was seen to its end.
    #[serde(skip_serializing_if = "is_zero")]
    pub seen: u32,
    /// When, seconds of Unix time.
    pub at: u64,
}

/// Parts of a film's length: before the first nothing is kept, from the second on it counts as seen.
const BEGUN: f64 = 0.05;
const SEEN: f64 = 0.9;

/// What is kept of a film that was left there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Left {
    Nothing,
    At(Duration),
    Seen,
}

impl Left {
    pub fn of(place: Duration, length: Duration) -> Self {
        let part = if length.is_zero() { 0.0 } else { place.as_secs_f64() / length.as_secs_f64() };
        match part {
            part if part >= SEEN => Self::Seen,
            part if part >= BEGUN => Self::At(place),
            _ => Self::Nothing,
        }
    }
}

/// Where it is kept; `None`: there is no home.
pub fn usual_path() -> Option<PathBuf> {
    super::folders::state().map(|folder| folder.join("history.jsonl"))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_is_kept_between_a_twentieth_and_nine_tenths() {
        let left = |place| Left::of(Duration::from_secs(place), Duration::from_secs(1_000));
        assert_eq!([left(0), left(49)], [Left::Nothing; 2]);
        assert_eq!([left(50), left(899)], [Left::At(Duration::from_secs(50)), Left::At(Duration::from_secs(899))]);
        assert_eq!([left(900), left(2_000)], [Left::Seen; 2]);
        assert_eq!(Left::of(Duration::from_secs(9), Duration::ZERO), Left::Nothing);
    }
}
