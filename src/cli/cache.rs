//! `udpstream cache`: what is typed → what is done with the films that a relay has kept.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use udpstream::app::cache::{self, Action};

#[derive(Args, Debug)]
pub struct CacheArgs {
    #[command(subcommand)]
    action: CacheAction,
}

#[derive(Debug, Subcommand)]
enum CacheAction {
    /// List the films, the one used last first.
    Ls(FolderArgs),
    /// Remove films.
    Rm {
        #[command(flatten)]
        folder: FolderArgs,
        /// Films, by their names or numbers as `udpstream cache ls` shows them.
        #[arg(value_name = "FILM", required_unless_present = "all")]
        films: Vec<String>,
        /// Remove all of them [default: those that are named].
        #[arg(long, conflicts_with = "films")]
        all: bool,
    },
    /// Read all films and verify every object.
    ///
    /// The exit code is 1 if something is damaged and was not repaired.
    Check {
        #[command(flatten)]
        folder: FolderArgs,
        /// Drop what is damaged: it is fetched again when it is wanted [default: leave it].
        #[arg(long)]
        repair: bool,
    },
}

#[derive(Args, Clone, Debug)]
struct FolderArgs {
    /// The folder that `udpstream relay --cache` was given. No relay may be using it.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    folder: PathBuf,
    /// One JSON object a line on standard output [default: text].
    #[arg(long)]
    json: bool,
}

impl CacheArgs {
    pub fn options(self, quiet: bool) -> cache::Options {
        let (FolderArgs { folder, json }, action) = match self.action {
            CacheAction::Ls(folder) => (folder, Action::List),
            CacheAction::Rm { folder, films, .. } => (folder, Action::Remove(films)),
            CacheAction::Check { folder, repair } => (folder, Action::Check { repair }),
        };
        cache::Options { folder, action, json, quiet }
    }
}
