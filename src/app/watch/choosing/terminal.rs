//! Choosing on a terminal, by number.

use std::io::{self, BufRead as _};
use std::thread::Builder;

use anyhow::Context;
use crossbeam_channel::{Receiver, bounded, select};

use super::menu::Menu;
use crate::app::figures::Output;
use crate::app::ls::NOTHING;
use crate::app::neighbours::{LOOK, Neighbours, Stream};
use crate::app::watch::Options;
use crate::app::{Exit, terminal};
use crate::clock::now;

/// The stream to watch, or how the program ends without one.
pub fn choose(options: &Options, output: &Output, interrupted: &Receiver<()>) -> anyhow::Result<Result<Stream, Exit>> {
    output.status(&["looking for streams on this network".to_owned()]);
    let mut neighbours = Neighbours::look()?;
    let goes_on = neighbours.look_until(now() + options.timeout.unwrap_or(LOOK), interrupted);
    // What is typed is to stand in a line of its own.
    terminal::status(&[]);
    if !goes_on {
        return Ok(Err(Exit::Done));
    }
    let mut menu = Menu::default();
    menu.update(neighbours.streams());
    if let Some(only) = menu.only() {
        return Ok(Ok(only.clone()));
    }
    if menu.is_empty() {
        terminal::conclude(&format!("error: {NOTHING}"));
        return Ok(Err(Exit::Unreachable));
    }
    for (number, line) in (1..).zip(menu.lines()) {
        terminal::message(&format!("{number:>3}  {line}"));
    }
    terminal::message(&format!("Which one, 1 to {}?", menu.len()));
    let first = menu.get(1).map_or_else(String::new, |stream| stream.target().to_string());
    let (tell, told) = bounded(1);
    // Reading cannot be ended from here; the thread ends with the number, so that it takes nothing of what is typed later.
    let read = move || drop(tell.send(numbered(&mut io::stdin().lock(), &menu)));
    Builder::new().name("number".into()).spawn(read).context("a thread could not be started")?;
    let chosen = select! {
        recv(interrupted) -> _ => return Ok(Err(Exit::Done)),
        recv(told) -> chosen => chosen?.context("nothing could be read from standard input")?,
    };
    match chosen {
        Some(stream) => Ok(Ok(stream)),
        None => {
            terminal::conclude(&format!("error: none was chosen: name one, as in udpstream watch {first}"));
            Ok(Err(Exit::Usage))
        }
    }
}

/// The one whose number is read; `None` at the end of what can be read.
fn numbered(input: &mut impl io::BufRead, menu: &Menu) -> io::Result<Option<Stream>> {
    loop {
        let mut line = String::new();
        // Whoever types more than this types no number.
        if io::Read::take(&mut *input, LONGEST).read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if let Some(stream) = line.trim().parse().ok().and_then(|number| menu.get(number)) {
            return Ok(Some(stream.clone()));
        }
        terminal::message(&format!("Type a number from 1 to {}, and Enter.", menu.len()));
    }
}

const LONGEST: u64 = 256;
