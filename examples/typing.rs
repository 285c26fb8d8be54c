//! How long a line of talk takes from the Enter key in one window until its letters stand in another, from outside: the key is
//! pressed at the X server (XTEST), and pixels are read off the other window. Prints the nanoseconds of each line.
//!
//! `typing WRITER READER LINES`: two windows by their ids, beside each other, the reader's picture frozen; see scripts/talk.

#![expect(clippy::disallowed_methods, reason = "letters are typed by xdotool")]

use std::process::Command;
use std::time::Duration;

use rustix::thread::nanosleep;
use rustix::time::Timespec;
use udpstream::clock;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt, ImageFormat, InputFocus, KEY_PRESS_EVENT, KEY_RELEASE_EVENT};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

type Failure = Box<dyn std::error::Error>;

/// Five lines in ten seconds are the most that a server takes of one.
const BETWEEN: Duration = Duration::from_millis(2_150);
/// What is typed has been drawn by then.
const TYPED: Duration = Duration::from_millis(300);
/// Nothing takes longer.
const LONGEST: Duration = Duration::from_secs(2);
/// Where the newest line stands.
const STRIP: (u16, u16) = (300, 36);
const ENTER: u32 = 0xff0d;

fn main() -> Result<(), Failure> {
    let arguments: Vec<u32> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let [writer, reader, lines] = arguments[..] else { return Err("which windows, and how many lines?".into()) };
    let (connection, screen) = x11rb::connect(None)?;
    let root = connection.setup().roots[screen].root;
    let enter = keycode(&connection, ENTER)?;
    connection.set_input_focus(InputFocus::PARENT, writer, x11rb::CURRENT_TIME)?.check()?;
    for line in 0..lines {
        let since = clock::now();
        // Digits that differ in every place, so that something of the line changes whatever its length.
        let text = format!("line {:04}", line * 1_111 % 9_999);
        Command::new("xdotool").args(["key", "t", "type", "--delay", "5", &text]).status()?;
        pause(TYPED);
        let before = strip(&connection, reader)?;
        let pressed = clock::now();
        for event in [KEY_PRESS_EVENT, KEY_RELEASE_EVENT] {
            connection.xtest_fake_input(event, enter, 0, root, 0, 0, 0)?;
        }
        connection.flush()?;
        while strip(&connection, reader)? == before {
            if clock::now().since(pressed) > LONGEST {
                return Err("the line did not come".into());
            }
        }
        println!("{}", clock::now().since(pressed).as_nanos());
        pause(BETWEEN.saturating_sub(clock::now().since(since)));
    }
    Ok(())
}

/// The key that types this symbol.
fn keycode(connection: &RustConnection, symbol: u32) -> Result<u8, Failure> {
    let (first, last) = (connection.setup().min_keycode, connection.setup().max_keycode);
    let mapping = connection.get_keyboard_mapping(first, last - first + 1)?.reply()?;
    let each = usize::from(mapping.keysyms_per_keycode).max(1);
    let at = mapping.keysyms.chunks(each).position(|symbols| symbols.contains(&symbol)).ok_or("no Enter key")?;
    Ok(first + u8::try_from(at)?)
}

/// The lower left corner of a window.
fn strip(connection: &RustConnection, window: u32) -> Result<Vec<u8>, Failure> {
    let place = connection.get_geometry(window)?.reply()?;
    let (wide, high) = STRIP;
    let top = i16::try_from(place.height.saturating_sub(high))?;
    Ok(connection.get_image(ImageFormat::Z_PIXMAP, window, 0, top, wide, high, !0)?.reply()?.data)
}

fn pause(time: Duration) {
    let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
    let _early_or_not = nanosleep(&time);
}
