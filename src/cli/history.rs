//! `udpstream history` and `udpstream info`: what is typed → what is shown.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use udpstream::app::{history, info};

#[derive(Args, Debug)]
pub struct HistoryArgs {
    /// Forget this film, by its name or title; without a name forget all [default: list what was watched].
    #[arg(long, value_name = "FILM", num_args = 0..=1, default_missing_value = "")]
    clear: Option<String>,
    /// One JSON document on standard output [default: a table].
    #[arg(long, conflicts_with = "clear")]
    json: bool,
}

impl HistoryArgs {
    pub fn options(self, quiet: bool) -> history::Options {
        let clear =
            self.clear.map(|name| if name.is_empty() { history::Clear::All } else { history::Clear::Film(name) });
        history::Options { clear, json: self.json, quiet }
    }
}

#[derive(Args, Debug)]
pub struct InfoArgs {
    /// A film or a song that ffmpeg reads.
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// One JSON document on standard output [default: lines].
    #[arg(long)]
    json: bool,
}

impl InfoArgs {
    pub fn options(self) -> info::Options {
        info::Options { file: self.file, json: self.json }
    }
}
