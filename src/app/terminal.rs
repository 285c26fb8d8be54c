//! Standard error as people see it: messages, and below them one line that updates itself, with a table below it if there is one. Whatever is written there
//! goes through here, the log too, so that the line never ends up in the middle of a message.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Draws the line from fields in order of importance; what does not fit in the terminal's width is left out. Nothing
/// where standard error is not a terminal.
pub fn status(fields: &[String]) {
    if io::stderr().is_terminal() && is_writable() {
        let drawn = line().draw(fields, &[], columns(), knows_escapes());
        put(&drawn);
    }
}

/// The same with rows below it, which are made for the room that there is. They are only drawn where standard output is a
/// terminal too, and knows how to take them back.
pub fn table(fields: &[String], rows: impl FnOnce(usize) -> Vec<String>) {
    if !(io::stdout().is_terminal() && knows_escapes()) {
        return status(fields);
    }
    if io::stderr().is_terminal() && is_writable() {
        // One row is the line's, and one stays for what was said last.
        let rows = rows(height().saturating_sub(2));
        let drawn = line().draw(fields, &rows, columns(), true);
        put(&drawn);
    }
}

/// Writes a sentence above the line.
pub fn message(text: &str) {
    above(&format!("{text}\n"));
}

/// Writes a last sentence in place of the line.
pub fn conclude(text: &str) {
    let erased = line().erase(columns(), knows_escapes());
    put(&format!("{erased}{text}\n"));
    flush();
}

/// Leaves the line as it is and goes on below it.
pub fn leave() {
    let left = line().leave(columns(), knows_escapes());
    put(&left);
    flush();
}

/// Whether colours are wanted on standard error.
pub fn colours() -> bool {
    wants_colours(io::stderr().is_terminal())
}

/// Whether colours are wanted on standard output.
pub fn colours_on_stdout() -> bool {
    wants_colours(io::stdout().is_terminal())
}

/// Where log lines go; each write is one whole event.
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        above(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What stands in the last rows of the terminal.
struct Line {
    text: String,
    /// Below the line.
    rows: Vec<String>,
}

/// What standard error had no room for.
static KEPT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
const MOST_KEPT: usize = 64 << 10;
/// POSIX's PIPE_BUF on Linux: so much a pipe takes at once if it takes anything.
const PORTION: usize = 4096;
/// How long the end of the program waits for a terminal that was halted.
const LAST_WORDS: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// A process has one standard error, and so one such line.
static LINE: Mutex<Line> = Mutex::new(Line { text: String::new(), rows: Vec::new() });

impl Line {
    /// Rows need escapes.
    fn draw(&mut self, fields: &[String], rows: &[String], columns: usize, escapes: bool) -> String {
        let erased = self.erase(columns, escapes);
        self.text = fit(fields, columns);
        self.rows = rows.iter().map(|row| row.chars().take(room(columns)).collect()).collect();
        let rows: String = self.rows.iter().map(|row| format!("\n{row}")).collect();
        format!("{erased}{}{rows}", self.text)
    }

    fn erase(&mut self, columns: usize, escapes: bool) -> String {
        let width = std::mem::take(&mut self.text).chars().count();
        let rows = std::mem::take(&mut self.rows).len();
        if rows > 0 {
            return format!("{}\r\x1b[K", "\r\x1b[K\x1b[A".repeat(rows));
        }
        match (width, escapes) {
            (0, _) => String::new(),
            (_, true) => "\r\x1b[K".to_owned(),
            (_, false) => format!("\r{}\r", " ".repeat(width.min(room(columns)))),
        }
    }

    /// The line, what stands above it, and the line again.
    fn above(&mut self, text: &str, columns: usize, escapes: bool) -> String {
        let (fields, rows) = ([self.text.clone()], self.rows.clone());
        let erased = self.erase(columns, escapes);
        let again = if fields[0].is_empty() { String::new() } else { self.draw(&fields, &rows, columns, escapes) };
        format!("{erased}{text}{again}")
    }

    /// The line stays, and what follows begins below it; the rows go.
    fn leave(&mut self, columns: usize, escapes: bool) -> String {
        let text = self.text.clone();
        let erased = if self.rows.is_empty() { String::new() } else { self.erase(columns, escapes) + &text };
        (self.text, self.rows) = (String::new(), Vec::new());
        if text.is_empty() { erased } else { erased + "\n" }
    }
}

fn line() -> MutexGuard<'static, Line> {
    LINE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn above(text: &str) {
    let mut line = line();
    put(&line.above(text, columns(), knows_escapes()));
}

/// Writes at once what there is room for, and keeps the rest for the next time: a terminal that was halted (Ctrl-S), or a
/// reader that stalls, must not halt the stream.
fn put(text: &str) {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.extend_from_slice(text.as_bytes());
    write_while(&mut kept, is_writable);
    if kept.len() > MOST_KEPT {
        kept.clear();
    }
}

/// Writes in portions that do not block where a poll says that there is room.
fn write_while(kept: &mut Vec<u8>, ready: impl Fn() -> bool) {
    while !kept.is_empty() && ready() {
        let portion: Vec<u8> = kept.drain(..PORTION.min(kept.len())).collect();
        // A terminal that went away takes its messages with it.
        io::stderr().write_all(&portion).ok();
    }
}

/// Waits a moment for the terminal to take what was kept.
fn flush() {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    write_while(&mut kept, || is_writable_within(LAST_WORDS));
}

/// As many fields as have room, two spaces between them; if not even one has, its beginning.
fn fit(fields: &[String], columns: usize) -> String {
    let room = room(columns);
    let mut text = String::new();
    for field in fields.iter().filter(|field| !field.is_empty()) {
        let longer = if text.is_empty() { field.clone() } else { format!("{text}  {field}") };
        if longer.chars().count() > room {
            break;
        }
        text = longer;
    }
    let first = fields.first().filter(|_| text.is_empty());
    first.map_or(text, |first| first.chars().take(room).collect())
}

/// The last column stays free: some terminals go to the next row as soon as it is written to.
fn room(columns: usize) -> usize {
    columns.saturating_sub(1)
}

/// Asked for each time: people resize their windows.
pub fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(USUAL_COLUMNS)
}

pub fn height() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok();
    size.map(|size| usize::from(size.ws_row)).filter(|rows| *rows > 0).unwrap_or(USUAL_ROWS)
}

fn is_writable() -> bool {
    is_writable_within(Timespec { tv_sec: 0, tv_nsec: 0 })
}

fn is_writable_within(limit: Timespec) -> bool {
    let stderr = io::stderr();
    let mut files = [PollFd::new(&stderr, PollFlags::OUT)];
    poll(&mut files, Some(&limit)).is_ok_and(|ready| ready > 0)
}

pub fn knows_escapes() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// By the rules of <https://no-color.org>.
fn wants_colours(terminal: bool) -> bool {
    terminal && knows_escapes() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Where the terminal does not say.
const USUAL_COLUMNS: usize = 80;
const USUAL_ROWS: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn what_does_not_fit_is_left_out_field_by_field() {
        let three = fields(&["0:05/0:10", "30.0 fps", "1 watcher"]);
        assert_eq!(fit(&three, 80), "0:05/0:10  30.0 fps  1 watcher");
        assert_eq!(fit(&three, 31), "0:05/0:10  30.0 fps  1 watcher");
        assert_eq!(fit(&three, 30), "0:05/0:10  30.0 fps");
        assert_eq!(fit(&three, 10), "0:05/0:10");
        assert_eq!(fit(&three, 6), "0:05/");
        assert_eq!(fit(&three, 0), "");
        assert_eq!(fit(&fields(&["a", "", "b"]), 80), "a  b");
        assert_eq!(fit(&[], 80), "");
    }

    #[test]
    fn a_message_goes_above_the_line_and_the_line_comes_back() {
        let mut line = Line { text: String::new(), rows: Vec::new() };
        assert_eq!(line.above("one\n", 80, true), "one\n");
        assert_eq!(line.draw(&fields(&["0:01"]), &[], 80, true), "0:01");
        assert_eq!(line.draw(&fields(&["0:02"]), &[], 80, true), "\r\x1b[K0:02");
        assert_eq!(line.above("two\n", 80, true), "\r\x1b[Ktwo\n0:02");
        assert_eq!(line.erase(80, true), "\r\x1b[K");
        assert_eq!(line.erase(80, true), "");
    }

    #[test]
    fn a_dumb_terminal_gets_spaces_and_no_escapes() {
        let mut line = Line { text: String::new(), rows: Vec::new() };
        line.draw(&fields(&["0:01", "9 fps"]), &[], 80, false);
        assert_eq!(line.draw(&fields(&["0:02"]), &[], 80, false), "\r           \r0:02");
        assert_eq!(line.above("hm\n", 3, false), "\r  \rhm\n0:");
        assert_eq!((line.leave(3, false), line.leave(3, false)), ("\n".to_owned(), String::new()));
    }

    #[test]
    fn a_table_is_redrawn_in_its_place_and_gone_at_the_end() {
        let mut line = Line { text: String::new(), rows: Vec::new() };
        let rows = fields(&["watcher  path", "robot:9  2.4 Mb/s"]);
        assert_eq!(
            line.draw(&fields(&["0:01"]), &rows, 14, true),
            "0:01\nwatcher  path\nrobot:9  2.4 ",
            "rows are cut"
        );
        let erased = "\r\x1b[K\x1b[A\r\x1b[K\x1b[A\r\x1b[K";
        let again = "0:01\nwatcher  path\nrobot:9  2.4 ";
        assert_eq!(line.above("one\n", 80, true), format!("{erased}one\n{again}"), "a message goes above all of it");
        assert_eq!(line.draw(&fields(&["0:02"]), &rows[..1], 80, true), format!("{erased}0:02\nwatcher  path"));
        assert_eq!(line.leave(80, true), "\r\x1b[K\x1b[A\r\x1b[K0:02\n", "the line stays");
        assert_eq!(line.leave(80, true), "");
        line.draw(&fields(&["0:03"]), &rows, 80, true);
        assert_eq!(line.erase(80, true), erased);
    }
}
