//! The `udpstream` program: parse, run, turn the outcome into an exit code.

#![deny(clippy::unwrap_used, clippy::expect_used)]

mod cli;

use std::process::ExitCode;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use udpstream::app::{
    Exit, cache, devices, doctor, extract, history, info, ls, publish, relay, serve, terminal, watch,
};

use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::read();
    log(cli.quiet, cli.verbose);
    let outcome = match cli.command {
        Command::Serve(args) => serve::serve(args.options(cli.quiet)),
        Command::Publish(args) => publish::publish(args.options(cli.quiet)),
        Command::Watch(args) => watch::watch(args.options(cli.quiet)),
        Command::Relay(args) => relay::relay(args.options(cli.quiet)),
        Command::Cache(args) => cache::cache(args.options(cli.quiet)),
        Command::Ls(args) => ls::ls(args.options(cli.quiet)),
        Command::History(args) => history::history(args.options(cli.quiet)),
        Command::Info(args) => info::info(args.options()),
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
            ExitCode::from(Exit::of(&error) as u8)
        }
    }
}

/// What people read on standard error, and the warnings among it over the picture.
fn log(quiet: bool, verbose: u8) {
    let wishes = std::env::var("RUST_LOG").unwrap_or_default();
    let lines = tracing_subscriber::fmt().with_writer(|| terminal::Log).with_ansi(terminal::colours());
    let lines = lines.with_max_level(LevelFilter::TRACE).with_target(false).finish();
    lines.with(filter(quiet, verbose, &wishes)).with(watch::OnScreen).init();
}

/// Of the libraries only what somebody asks for, by -v or by `wishes` (as in RUST_LOG): their warnings have no advice, and
/// what matters of them is said in our words.
fn filter(quiet: bool, verbose: u8, wishes: &str) -> Targets {
    // An empty wish would be read as one for everything.
    let asked: Targets = if wishes.is_empty() { Targets::new() } else { wishes.parse().unwrap_or_default() };
    let plain = asked.default_level();
    let (ours, theirs) = match (quiet, verbose) {
        (true, _) => return Targets::new(),
        (_, 0) => (plain.unwrap_or(LevelFilter::WARN), plain.unwrap_or(LevelFilter::OFF)),
        (_, 1) => (LevelFilter::INFO, LevelFilter::INFO),
        _ => (LevelFilter::TRACE, LevelFilter::TRACE),
    };
    Targets::new().with_default(theirs).with_target("udpstream", ours).with_targets(asked.iter())
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_speak_only_when_asked() {
        let speaks =
            |quiet, verbose, wishes, target: &str, level| filter(quiet, verbose, wishes).would_enable(target, &level);
        let (ours, theirs) = ("udpstream::app::watch", "winit::platform_impl::linux::x11");
        assert!(speaks(false, 0, "", ours, Level::WARN) && !speaks(false, 0, "", ours, Level::INFO));
        assert!(!speaks(false, 0, "", theirs, Level::ERROR));
        assert!(speaks(false, 1, "", theirs, Level::INFO) && !speaks(false, 1, "", theirs, Level::DEBUG));
        assert!(speaks(false, 2, "", theirs, Level::TRACE));
        assert!(!speaks(true, 0, "", ours, Level::ERROR));
        assert!(speaks(false, 0, "winit=debug", theirs, Level::DEBUG));
        assert!(speaks(false, 0, "winit=debug", ours, Level::WARN));
        assert!(speaks(false, 0, "debug", theirs, Level::DEBUG) && speaks(false, 0, "debug", ours, Level::DEBUG));
        assert!(speaks(false, 0, "udpstream=trace", ours, Level::TRACE));
    }
}
