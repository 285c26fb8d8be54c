//! Many watchers in one process that check what they get: `crowd HOST:PORT [--watchers N] [--duration S]`.
//!
//! Each watcher is a whole session of the protocol on a socket of its own. Beside it a ledger checks every datagram:
//! checksum, gaps, order, completeness, and that one name is one byte string for everybody. The pictures that must have
//! come are counted: watchers × units of the run. The exit code is 1, with a sentence, if anything was wrong.

use std::process::ExitCode;

use clap::Parser;

#[path = "crowd/ledger.rs"]
mod ledger;
#[path = "crowd/run.rs"]
mod run;
#[path = "crowd/verdict.rs"]
mod verdict;
#[path = "crowd/watcher.rs"]
mod watcher;
#[path = "crowd/way.rs"]
mod way;

#[derive(Parser)]
#[command(about = "Many watchers in one process that check what they get")]
struct Arguments {
    /// The server, such as 127.0.0.1:9688.
    server: String,
    /// How many watch, 1 to 4096; a server takes 4096 in all and 1024 from one address.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=4_096))]
    watchers: u16,
    /// Seconds that are looked at, from the moment at which all have joined.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    duration: f64,
    /// Watchers that start in one second; off loopback a server takes 200 a second from one network.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    joins: u16,
    /// Largest datagram to ask for, in bytes; 0: whatever passes.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    datagram: u16,
    /// Come through TCP connections.
    #[arg(long)]
    tcp: bool,
    /// Figures as a sentence for people, or as one JSON object.
    #[arg(long, value_parser = ["text", "json"], default_value = "text")]
    stats: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seconds = std::time::Duration::try_from_secs_f64(arguments.duration);
    let options = seconds.map_err(|_| "the duration is not a number of seconds".into()).map(|duration| run::Options {
        server: arguments.server,
        watchers: usize::from(arguments.watchers),
        duration,
        joins: u32::from(arguments.joins),
        datagram: arguments.datagram,
        tcp: arguments.tcp,
    });
    let figures = match options.and_then(|options| run::run(&options)) {
        Ok(figures) => figures,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.stats == "json" {
        println!("{}", figures.json())
    } else {
        println!("{figures}")
    }
    match figures.wrong() {
        None => ExitCode::SUCCESS,
        Some(sentence) => {
            eprintln!("error: {sentence}");
            ExitCode::FAILURE
        }
    }
}
