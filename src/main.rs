//! The `udpstream` program: parse, run, turn the outcome into an exit code.

#![deny(clippy::unwrap_used, clippy::expect_used)]

mod cli;

use std::process::ExitCode;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use udpstream::app::address::AddressError;
use udpstream::app::{Exit, devices, doctor, extract, serve, terminal, watch};

use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::read();
    log(cli.quiet, cli.verbose);
    let outcome = match cli.command {
        Command::Serve(args) => serve::serve(args.options(cli.quiet)),
        Command::Watch(args) => watch::watch(args.options(cli.quiet)),
        Command::Extract(args) => extract::extract(args.options(cli.quiet)),
        Command::Devices(args) => devices::devices(args.options(cli.quiet)),
        Command::Doctor(args) => doctor::doctor(args.options(cli.quiet)),
        Command::Completions { shell } => Ok(cli::completions(shell)),
        Command::Man { command } => Ok(cli::man(command.as_deref())),
    };
    match outcome {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            terminal::conclude(&format!("error: {error:#}"));
            let exit = error.downcast_ref::<AddressError>().map_or(Exit::Failed, AddressError::exit);
            ExitCode::from(exit as u8)
        }
    }
}

fn log(quiet: bool, verbose: u8) {
    let level = match (quiet, verbose) {
        (true, _) => LevelFilter::OFF,
        (_, 0) => LevelFilter::WARN,
        (_, 1) => LevelFilter::INFO,
        _ => LevelFilter::TRACE,
    };
    // The window library warns of what a plain desktop lacks, which nobody misses.
    let window = if verbose > 0 { level } else { level.min(LevelFilter::ERROR) };
    let lines = tracing_subscriber::fmt().with_writer(|| terminal::Log).with_ansi(terminal::colours());
    let lines = lines.with_max_level(level).with_target(false).finish();
    lines.with(Targets::new().with_default(level).with_target("winit", window)).with(watch::OnScreen).init();
}
