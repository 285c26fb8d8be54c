//! Several streams in one window: a viewing each, on threads of its own, and one thread for the window. Without a window,
//! the same side by side.

mod files;
mod resolve;
mod seats;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use anyhow::{Context, anyhow, bail};
use crossbeam_channel::{Sender, bounded};

use self::resolve::Found;
pub use self::seats::Seat;
use self::seats::Seats;
use super::address::Target;
use super::figures::Output;
use super::watch::hearing::Loudness;
use super::watch::screen::Screen;
use super::watch::subject::{self, Subject};
use super::watch::viewing::{Remote, Tile, Viewing};
use super::watch::{Options, attach};
use super::{Exit, leaving};
use crate::app::signals::Signals;
use crate::view::wall::{self, Grid, WallEvent};
use crate::view::{Handle, Order as ViewOrder};

/// Watches until all streams have ended, each by its own limits, or the user leaves. The exit is the worst of all.
pub fn watch(options: Options) -> anyhow::Result<Exit> {
    let output = Output::new(options.stats, options.quiet).context("standard output could not be written to")?;
    let signals = Signals::catch()?;
    let found = match resolve::all(&options, &output, &signals)? {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    check(&options, found.len())?;
    let (headless, fullscreen, grid) = (options.headless, options.fullscreen, options.grid);
    let targets: Vec<Target> = found.iter().map(|found| found.target.clone()).collect();
    let names = subject::names(&targets);
    let viewings = prepare(&options, found, &names, &Arc::new(output))?;
    let remotes: Vec<Remote> = viewings.iter().map(Viewing::remote).collect();
    let interrupted = remotes.clone();
    signals.tell(move || interrupted.iter().for_each(Remote::interrupt));
    let ended = if headless {
        // The first is heard, as it is in a window until another one is chosen.
        start(viewings, &remotes, |_| Screen(None)).and_then(join)
    } else {
        let grid = grid.map(|(columns, rows)| Grid { columns, rows });
        let title = format!("{} streams – udpstream", names.len());
        let shown = wall::Options { title, names: subject::labels(&targets, names), grid };
        windowed(&shown, fullscreen, viewings, &remotes)
    };
    signals.end();
    ended
}

fn check(options: &Options, count: usize) -> anyhow::Result<()> {
    if count > wall::MOST {
        bail!("a wall has room for {} streams, and these are {count}: name those that you want to see", wall::MOST);
    }
    if let Some((columns, rows)) = options.grid
        && usize::from(columns) * usize::from(rows) < count
    {
        bail!("a grid of {columns}x{rows} has no room for {count} streams: choose a larger one, or leave out --grid");
    }
    Ok(())
}

fn prepare(
    options: &Options,
    found: Vec<Found>,
    names: &[String],
    output: &Arc<Output>,
) -> anyhow::Result<Vec<Viewing>> {
    let (loudness, seats) = (Loudness::new(options.sound.volume), Seats::new(names.len(), Arc::clone(output)));
    let files = files::endings(names);
    let mut viewings = Vec::new();
    for (at, (Found { target, servers }, name)) in found.into_iter().zip(names).enumerate() {
        let file = |path: &Option<PathBuf>| path.as_ref().map(|path| files::of_stream(path, &files[at]));
        let own = Options { snapshot: file(&options.snapshot), record: file(&options.record), ..options.clone() };
        let subject = Subject::new(target, Some(name.clone()), servers);
        let tile = Tile { loudness: loudness.clone(), heard: at == 0, seat: seats.seat(at) };
        viewings.push(Viewing::prepare(own, subject, output.of_stream(name), Some(tile))?);
    }
    Ok(viewings)
}

type Threads = Vec<JoinHandle<anyhow::Result<Exit>>>;

/// A thread for each, or none at all; `screen` gives each its tile.
fn start(viewings: Vec<Viewing>, remotes: &[Remote], screen: impl Fn(usize) -> Screen) -> anyhow::Result<Threads> {
    let thread = |(at, viewing): (usize, Viewing)| {
        let screen = screen(at);
        let run = move || {
            let exit = viewing.run(screen.clone());
            close(screen.0.as_slice());
            exit
        };
        Builder::new().name(format!("net {at}")).spawn(run).context("a thread could not be started")
    };
    let mut threads = Threads::new();
    for viewing in viewings.into_iter().enumerate() {
        match thread(viewing) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                // Those that run have files to close and servers to say goodbye to.
                remotes.iter().for_each(Remote::quit);
                threads.into_iter().for_each(|thread| drop(thread.join()));
                return Err(error);
            }
        }
    }
    Ok(threads)
}

/// Tells tiles that nothing more comes. A window that is gone knows it already.
fn close(tiles: &[Handle]) {
    tiles.iter().for_each(|tile| {
        tile.send(ViewOrder::Close).ok();
    });
}

/// Waits for all of them.
fn join(threads: Threads) -> anyhow::Result<Exit> {
    let died = |_| Err(anyhow!("a network thread died: this is a bug"));
    let ends: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap_or_else(died)).collect();
    ends.into_iter().try_fold(Exit::Done, |worst, exit| Ok(worse(worst, exit?)))
}

fn worse(one: Exit, other: Exit) -> Exit {
    let badness = |exit: &Exit| match exit {
        Exit::Done => 0,
        Exit::Unreachable => 1,
        Exit::Usage => 2,
        Exit::Failed => 3,
        Exit::Killed => 4,
    };
    std::cmp::max_by_key(one, other, badness)
}

/// The window on this thread, all else on others.
fn windowed(
    shown: &wall::Options,
    fullscreen: bool,
    viewings: Vec<Viewing>,
    remotes: &[Remote],
) -> anyhow::Result<Exit> {
    let (result, outcome) = bounded(1);
    let (leaves, left) = bounded(0);
    let started = remotes.to_vec();
    let ready = move |tiles: Vec<Handle>| {
        if let Some(first) = tiles.first() {
            attach(&Screen(Some(first.clone())));
            if fullscreen {
                first.send(ViewOrder::Fullscreen).ok();
            }
        }
        let all = move || {
            let exit = start(viewings, &started, |at| Screen(tiles.get(at).cloned())).and_then(join);
            close(&tiles);
            leaving::wait_for_window(&left, &exit);
            result.send(exit).ok();
        };
        // Without the thread `outcome` is closed, which is noticed below.
        drop(Builder::new().name("wall".into()).spawn(all));
    };
    let shown = wall::run(shown, ready, |event| told(remotes, event)).map_err(|error| anyhow!("{error}"));
    drop::<Sender<()>>(leaves);
    if shown.is_err() {
        remotes.iter().for_each(Remote::quit);
    }
    // Recordings are written to their end, however long that takes, as they are without a window.
    let ended = outcome.recv();
    shown?;
    ended.unwrap_or_else(|_| Err(anyhow!("a network thread died: this is a bug")))
}

/// What the window tells, handed on to those whom it concerns.
fn told(remotes: &[Remote], event: WallEvent) {
    match event {
        WallEvent::Tile(at, happened) => {
            if let Some(remote) = remotes.get(at) {
                remote.take(happened);
            }
        }
        WallEvent::Chosen(chosen) => {
            remotes.iter().enumerate().for_each(|(at, remote)| remote.hear(at == chosen));
        }
        WallEvent::Visible(sizes) => remotes.iter().zip(sizes).for_each(|(remote, size)| remote.visible(size)),
        WallEvent::Quit => remotes.iter().for_each(Remote::quit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_end_counts() {
        let all = [Exit::Done, Exit::Unreachable, Exit::Usage, Exit::Failed, Exit::Killed];
        for (at, one) in all.into_iter().enumerate() {
            for other in &all[..=at] {
                assert_eq!((worse(one, *other), worse(*other, one)), (one, one));
            }
        }
    }
}
