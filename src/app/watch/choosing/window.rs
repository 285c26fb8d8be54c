//! Choosing in the window: what is found is listed there, and what is chosen plays in it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use anyhow::anyhow;
use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::menu::{Choice, Menu};
use super::viewing;
use crate::app::figures::Output;
use crate::app::neighbours::{LOOK, Neighbours, Stream};
use crate::app::signals::Signals;
use crate::app::watch::screen::Screen;
use crate::app::watch::viewing::Remote;
use crate::app::watch::{FIRST_SIZE, Options, PATIENCE, attach};
use crate::app::{Exit, leaving};
use crate::clock::now;
use crate::units::{Size, Time};
use crate::view::{self, Card, Handle, Happened, Order, Turn, Wish};

/// One that turns up alone is taken when no other has for so long.
const ALONE: Duration = Duration::from_millis(500);
/// The window's title until there is something to choose from.
const LOOKING: &str = "looking for streams";
/// Keys that wait.
const KEYS: usize = 64;

/// Whom the window tells: who chooses, and then the viewing.
struct Hold {
    remote: Option<Remote>,
    keys: Sender<Turn>,
    size: Option<Size>,
    quit: bool,
}

impl Hold {
    fn take(&mut self, happened: Happened) {
        match (&self.remote, happened) {
            (Some(remote), happened) => remote.take(happened),
            (None, Happened::Resized(size)) => self.size = Some(size),
            (None, Happened::Quit) => {
                self.quit = true;
                self.keys.try_send(Turn::Leave).ok();
            }
            (None, Happened::Wished(Wish::Streams(turn))) => drop(self.keys.try_send(turn)),
            (None, _) => {}
        }
    }

    /// From now on the viewing is told, also of what was before it.
    fn hand_over(&mut self, remote: Remote) {
        self.size.into_iter().for_each(|size| remote.take(Happened::Resized(size)));
        if self.quit {
            remote.quit();
        }
        self.remote = Some(remote);
    }
}

/// Looks and watches, with the window on this thread and all else on others.
pub fn watch(options: Options, output: Output) -> anyhow::Result<Exit> {
    let signals = Signals::catch()?;
    let (result, outcome) = bounded(1);
    let (leaves, left) = bounded(0);
    let (tell, keys) = bounded(KEYS);
    let hold = Arc::new(Mutex::new(Hold { remote: None, keys: tell, size: None, quit: false }));
    let told = Arc::clone(&hold);
    let ready = move |window: Handle| {
        if options.fullscreen {
            window.send(Order::Fullscreen).ok();
        }
        let net = move || {
            let exit = choose_and_watch(options, output, &window, (signals, &keys), &hold);
            window.send(Order::Close).ok();
            leaving::wait_for_window(&left, &exit);
            result.send(exit).ok();
        };
        // Without the thread `outcome` is closed, which is noticed below.
        drop(Builder::new().name("net".into()).spawn(net));
    };
    let happened = move |happened| told.lock().unwrap_or_else(PoisonError::into_inner).take(happened);
    view::run(&format!("{LOOKING} – udpstream"), FIRST_SIZE, ready, happened).map_err(|error| anyhow!("{error}"))?;
    drop::<Sender<()>>(leaves);
    match outcome.recv_timeout(PATIENCE) {
        Ok(exit) => exit,
        Err(_) => Err(anyhow!("the network thread died or hangs: this is a bug")),
    }
}

fn choose_and_watch(
    options: Options,
    output: Output,
    window: &Handle,
    (signals, keys): (Signals, &Receiver<Turn>),
    hold: &Mutex<Hold>,
) -> anyhow::Result<Exit> {
    let interrupted = signals.channel();
    let Some(stream) = choose(&options, window, keys, &interrupted)? else { return Ok(Exit::Done) };
    window.send(Order::List(None)).ok();
    let title = stream.entry.as_ref().map_or("", |entry| entry.name.as_str());
    let typed = super::asks_for_password(&options, &stream).then(|| "Type its password in the terminal.".to_owned());
    let lines = std::iter::once(format!("at {}", stream.server())).chain(typed).collect();
    window.send(Order::Card(Card { title: format!("Joining {title}"), lines })).ok();
    let screen = Screen(Some(window.clone()));
    attach(&screen);
    let Some(viewing) = viewing(options, output, stream, (signals, &interrupted))? else { return Ok(Exit::Done) };
    hold.lock().unwrap_or_else(PoisonError::into_inner).hand_over(viewing.remote());
    viewing.run(screen)
}

/// Shows what turns up until one is taken; `None`: nobody wants any.
fn choose(
    options: &Options,
    window: &Handle,
    keys: &Receiver<Turn>,
    interrupted: &Receiver<()>,
) -> anyhow::Result<Option<Stream>> {
    window.send(Order::Card(looking())).ok();
    let mut neighbours = Neighbours::look()?;
    let mut menu = Menu::default();
    // When the only one is taken, unless another turns up.
    let mut alone = now() + LOOK;
    let mut shown = None;
    loop {
        if now() >= alone
            && let Some(only) = menu.only()
        {
            return Ok(Some(only.clone()));
        }
        let until = neighbours.next().min(if now() < alone { alone } else { Time::NEVER });
        select! {
            recv(interrupted) -> _ => return Ok(None),
            recv(keys) -> turn => match menu.turn(turn?) {
                Choice::Open => {}
                Choice::Taken(stream) if super::lacks_password(options, &stream) => {
                    let how = format!("It asks for its password: udpstream watch {} --password -", stream.target());
                    window.send(Order::Notice(how)).ok();
                }
                Choice::Taken(stream) => return Ok(Some(*stream)),
                Choice::Left => return Ok(None),
            },
            recv(neighbours.news()) -> news => if neighbours.take(news?) {
                menu.update(neighbours.streams());
                alone = alone.max(now() + ALONE);
            },
            default(until.since(now())) => {}
        }
        neighbours.ask_again();
        // One that is the only one for a moment is no list yet.
        let list = menu.list().filter(|list| list.lines.len() > 1 && now() + ALONE >= alone.min(now() + LOOK));
        if shown != list {
            let title =
                list.as_ref().map_or_else(|| LOOKING.to_owned(), |list| format!("{} streams", list.lines.len()));
            window.send(Order::Title(format!("{title} – udpstream"))).ok();
            window.send(Order::Card(if list.is_some() { Card::default() } else { looking() })).ok();
            if shown.is_none() && list.is_some() {
                window.send(Order::Notice("Arrows and Enter choose, Esc leaves.".to_owned())).ok();
            }
            window.send(Order::List(list.clone())).ok();
            shown = list;
        }
    }
}

fn looking() -> Card {
    let lines = ["The first that is announced plays at once; of several one can be chosen.", "Esc leaves."];
    Card { title: "Looking for streams …".to_owned(), lines: lines.map(str::to_owned).to_vec() }
}
