//! The `udpstream` program: parse, run, turn the outcome into an exit code.

#![deny(clippy::unwrap_used, clippy::expect_used)]

mod cli;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::LevelFilter;
use udpstream::app::{Exit, serve, watch};

use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => LevelFilter::OFF,
        (_, 0) => LevelFilter::WARN,
        (_, 1) => LevelFilter::INFO,
        _ => LevelFilter::TRACE,
    };
    // Where stderr is closed there is nobody to tell that it is.
    let log = tracing_subscriber::fmt().with_writer(io::stderr).log_internal_errors(false);
    log.with_max_level(level).with_target(false).init();
    let outcome = match cli.command {
        Command::Serve(args) => serve::serve(args.options(cli.quiet)),
        Command::Watch(args) => watch::watch(args.options(cli.quiet)),
    };
    match outcome {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            writeln!(io::stderr(), "error: {error:#}").ok();
            ExitCode::from(Exit::Failed as u8)
        }
    }
}
