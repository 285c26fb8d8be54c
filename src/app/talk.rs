//! Talk for people and programs: lines that are typed, and lines that were said.

use std::io::{self, IsTerminal};
use std::thread::Builder;

use anyhow::Context;
use crossbeam_channel::{Receiver, bounded};
use serde_json::json;

use super::figures::Output;
use super::lines::{Closed, Lines};
use super::terminal;
use crate::queue::Waker;
use crate::seal::Random;
use crate::wire::talk::{Line, MAX_LINE, clean_line, clean_name};

/// Lines that wait for the event loop.
const TYPED: usize = 16;

/// What the user chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TalkOptions {
    /// Lines of standard input are said, and what is said is written to standard output.
    pub typed: bool,
    /// Neither hear nor say anything.
    pub off: bool,
    /// Under which name; `None`: one that is drawn.
    pub name: Option<String>,
}

impl TalkOptions {
    /// The name under which things are said.
    pub fn name(&self, random: &mut Random) -> String {
        self.name.clone().unwrap_or_else(|| format!("guest-{:04}", random.id() % 10_000))
    }
}

/// A name for `--name` and its like; the error is one sentence.
pub fn name(text: &str) -> Result<String, String> {
    let name = clean_name(text);
    if name.is_empty() { Err("a name has letters that can be read".to_owned()) } else { Ok(name) }
}

/// A line as it may be said; `None`: there is nothing in it. The error is one sentence.
fn line(text: &str) -> Result<Option<String>, String> {
    if text.trim().len() > MAX_LINE {
        return Err(format!("A line has {MAX_LINE} bytes at most, and this one has {}: say less.", text.trim().len()));
    }
    Ok(Some(clean_line(text)).filter(|line| !line.is_empty()))
}

/// The name of whoever serves, unless another is chosen.
pub const HOST: &str = "host";

/// Where lines come from and go to.
pub struct Console {
    output: Output,
    typed: Option<Receiver<String>>,
    /// Standard output, if nobody sits at it.
    lines: Option<Lines>,
    /// What is said is shown on the terminal.
    shown: bool,
}

impl Console {
    /// `typed`: standard input is read, and what is said is written.
    pub fn open(output: &Output, typed: bool, waker: Waker) -> anyhow::Result<Self> {
        let piped = typed && !output.is_json() && !io::stdout().is_terminal();
        let lines =
            if piped { Some(Lines::to(io::stdout()).context("standard output cannot be written to")?) } else { None };
        let shown = typed && !output.is_json() && !piped;
        let typed = if typed { Some(read(waker)?) } else { None };
        Ok(Self { output: output.clone(), typed, lines, shown })
    }

    /// The same of a publisher, whose typed lines are orders if nothing is said: they are read where somebody sits.
    pub fn of_publisher(output: &Output, typed: bool, sits: bool, waker: Waker) -> anyhow::Result<Self> {
        if typed || !sits {
            return Self::open(output, typed, waker);
        }
        Ok(Self { output: output.clone(), typed: Some(read(waker)?), lines: None, shown: false })
    }

    /// Whether lines are typed here.
    pub const fn is_typed(&self) -> bool {
        self.typed.is_some()
    }

    /// Lines that were typed since this was asked last, whatever they are.
    pub fn typed(&self) -> Vec<String> {
        self.typed.iter().flat_map(Receiver::try_iter).collect()
    }

    /// The same of lines that are to be said.
    pub fn lines(&self) -> Vec<String> {
        self.typed().iter().filter_map(|text| self.checked(text)).collect()
    }

    /// A line as it is said; nothing of an empty one, nor of one that is too long, which is told.
    pub fn checked(&self, text: &str) -> Option<String> {
        line(text).unwrap_or_else(|why| {
            self.output.warn(&why);
            None
        })
    }

    /// Somebody has said something; `stream`: of which of several streams.
    pub fn said(&self, said: &Line, stream: Option<&str>) -> Result<(), Closed> {
        let Line { name, text, is_maker, media, unit, .. } = said;
        let mut fields = json!({
            "name": name, "text": text, "maker": is_maker, "media_s": media.micros() as f64 / 1e6, "line": unit.0,
        });
        if let Some(stream) = stream {
            fields["stream"] = stream.into();
        }
        self.output.event("talk", fields)?;
        let written = written(said, stream);
        if self.shown {
            terminal::message(&written);
        }
        self.lines.as_ref().map_or(Ok(()), |lines| lines.put(format!("{written}\n")))
    }

    /// Something that was said here was not taken.
    pub fn unsaid(&self, text: &str, sentence: &str) -> Result<(), Closed> {
        if self.is_typed() {
            self.output.warn(&format!("warning: not said: {text}: {sentence}"));
        }
        self.output.event("unsaid", json!({ "text": text, "reason": sentence }))
    }
}

/// A line as people read it.
pub fn written(line: &Line, stream: Option<&str>) -> String {
    let of = stream.map(|stream| format!("[{stream}] ")).unwrap_or_default();
    format!("{of}{}: {}", line.signed_name(), line.text)
}

/// Lines of standard input, as they are typed. The thread ends with the program.
pub fn read(waker: Waker) -> anyhow::Result<Receiver<String>> {
    let (lines, typed) = bounded(TYPED);
    let read = move || {
        let mut input = io::stdin().lock();
        while let Some(line) = next_line(&mut input) {
            if lines.send(line).is_err() {
                return;
            }
            waker();
        }
    };
    Builder::new().name("typed".into()).spawn(read).context("a thread could not be started")?;
    Ok(typed)
}

/// The next line, whatever bytes it has; of one that does not end the first so many bytes.
fn next_line(input: &mut impl io::BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let part = match input.fill_buf() {
            Ok(part) => part,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return None,
        };
        let end = part.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(part.len(), |end| end + 1);
        let room = LONGEST.saturating_sub(bytes.len());
        bytes.extend_from_slice(&part[..end.unwrap_or(taken).min(room)]);
        input.consume(taken);
        if end.is_some() || taken == 0 {
            let nothing = taken == 0 && bytes.is_empty();
            return (!nothing).then(|| String::from_utf8_lossy(&bytes).trim_end_matches('\r').to_owned());
        }
    }
}

/// Bytes that are read of one line.
const LONGEST: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{MediaTime, Unit};

    #[test]
    fn lines_are_read_whatever_they_hold() {
        let long = "x".repeat(3 * LONGEST);
        let bytes = [b"one\r\n\n\xed\xa0\x80two\n", long.as_bytes(), b"\nlast"].concat();
        let mut input = io::BufReader::with_capacity(7, &bytes[..]);
        let lines: Vec<String> = std::iter::from_fn(|| next_line(&mut input)).collect();
        let lengths: Vec<usize> = lines.iter().map(String::len).collect();
        assert_eq!((&lines[0][..], &lines[1][..], &lines[4][..]), ("one", "", "last"));
        assert!(lines[2].ends_with("two") && lines[2].contains('\u{fffd}'), "{:?}", lines[2]);
        assert_eq!((lengths[3], lines.len()), (LONGEST, 5));
    }

    #[test]
    fn what_cannot_be_said_gets_a_sentence() {
        assert_eq!(line(" hello\u{7}  "), Ok(Some("hello".to_owned())));
        assert_eq!(line(" \u{200b}\t"), Ok(None));
        assert!(line(&"é".repeat(251)).is_err_and(|why| why.contains("502")));
        assert!(name("\u{202e}").is_err() && name(" Ann ") == Ok("Ann".to_owned()));
    }

    #[test]
    fn lines_are_written_with_their_names() {
        let (name, text) = ("Ann".to_owned(), "hi".to_owned());
        let line = Line { unit: Unit(0), media: MediaTime::ZERO, id: 1, is_maker: false, name, text };
        assert_eq!(written(&line, Some("desk")), "[desk] Ann: hi");
        assert_eq!(written(&Line { is_maker: true, ..line }, None), "★ Ann: hi");
    }
}
