//! What the viewer sees, from outside: reads the numbers that `barcode` drew off the X screen and prints when each
//! first stood there, as `NUMBER NANOSECONDS` of CLOCK_MONOTONIC. The X server says whenever something was drawn on the
//! one window that has the picture's size; then one row of its pixels is read. So the measurement costs next to
//! nothing. It ends when the number has stood still for a second, or after SECONDS.
//!
//! `glass 1280x720 SECONDS [upper]`: the code in the lower left corner, which a decoder reaches last, or the one in the upper right.

use std::io::Write;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::thread::nanosleep;
use rustix::time::Timespec;
use udpstream::clock;
use udpstream::units::Size;
use x11rb::connection::Connection;
use x11rb::protocol::damage::{ConnectionExt as _, ReportLevel};
use x11rb::protocol::xproto::{ConnectionExt, ImageFormat, MapState};
use x11rb::rust_connection::RustConnection;

#[path = "barcode/code.rs"]
mod code;

type Failure = Box<dyn std::error::Error>;
/// A window, and where its top left corner stands on the screen.
type Place = (u32, (i16, i16));

/// The longest time without a look.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// A film whose number stands still for so long has ended.
const STILL: Duration = Duration::from_secs(1);
/// Until a window of the right size has been found.
const SEARCH: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let size = arguments.next().as_deref().and_then(code::size).ok_or("which size?")?;
    let seconds = arguments.next().and_then(|text| text.parse().ok()).ok_or("how many seconds?")?;
    let corner_read = usize::from(arguments.next().as_deref() != Some("upper"));
    let until = clock::now() + Duration::from_secs_f64(seconds);
    let (connection, screen) = x11rb::connect(None)?;
    let glass = Glass { root: connection.setup().roots[screen].root, connection, size };
    let (mut out, mut last, mut found, mut looks) = (std::io::stdout().lock(), None, None, 0_u64);
    let (mut since, mut seen) = (clock::now(), clock::now());
    while clock::now() < until {
        let Some(corner) = found else {
            found = glass.find()?.map(|(window, corner)| glass.watch(window).map(|()| corner)).transpose()?;
            let _early_or_not = nanosleep(&SEARCH);
            (since, seen) = (clock::now(), clock::now());
            continue;
        };
        let number = glass.read(corner, corner_read)?;
        let at = clock::now();
        looks += 1;
        if number.is_some() && number != last {
            if last.is_none() && glass.read(corner, 1 - corner_read)?.is_none() {
                return Err("the picture is not shown at 1:1".into());
            }
            (last, seen) = (number, at);
            writeln!(out, "{} {}", number.unwrap_or_default(), at.nanos())?;
        }
        if last.is_some() && at.since(seen) > STILL {
            break;
        }
        glass.wait()?;
    }
    let rate = looks as f64 / clock::now().since(since).as_secs_f64().max(1e-9);
    eprintln!("{rate:.0} looks a second");
    Ok(())
}

struct Glass {
    connection: RustConnection,
    root: u32,
    size: Size,
}

impl Glass {
    /// Where on the screen the visible window of the picture's size stands.
    fn find(&self) -> Result<Option<Place>, Failure> {
        for window in self.connection.query_tree(self.root)?.reply()?.children {
            // A window may vanish between two questions.
            let Ok(geometry) = self.connection.get_geometry(window)?.reply() else { continue };
            let Ok(attributes) = self.connection.get_window_attributes(window)?.reply() else { continue };
            let fits = (geometry.width, geometry.height) == (self.size.width, self.size.height);
            if fits && attributes.map_state == MapState::VIEWABLE {
                return Ok(Some((window, (geometry.x, geometry.y))));
            }
        }
        Ok(None)
    }

    /// Asks to be told of all that is drawn on the window.
    fn watch(&self, window: u32) -> Result<(), Failure> {
        self.connection.damage_query_version(1, 1)?.reply()?;
        let damage = self.connection.generate_id()?;
        self.connection.damage_create(damage, window, ReportLevel::RAW_RECTANGLES)?;
        Ok(self.connection.flush()?)
    }

    /// Until something has been drawn, or for a moment.
    fn wait(&self) -> Result<(), Failure> {
        if self.connection.poll_for_event()?.is_none() {
            poll(&mut [PollFd::new(self.connection.stream(), PollFlags::IN)], Some(&PAUSE))?;
        }
        // One look answers for all that has been drawn by now.
        while self.connection.poll_for_event()?.is_some() {}
        Ok(())
    }

    /// The number in one of the picture's corners, if one can be read there.
    fn read(&self, (x, y): (i16, i16), corner: usize) -> Result<Option<u32>, Failure> {
        let (left, top) = code::corners(self.size)[corner];
        let (x, y) = (x + left as i16, y + (top + code::HEIGHT / 2) as i16);
        let width = (code::SQUARES * code::SQUARE) as u16;
        let image = self.connection.get_image(ImageFormat::Z_PIXMAP, self.root, x, y, width, 1, u32::MAX)?;
        let data = image.reply()?.data;
        Ok(code::read(|pixel| data.get(pixel * 4 + 1).copied().unwrap_or(128)))
    }
}
