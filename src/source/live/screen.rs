//! A screen of the X Window System, grabbed as soon as something on it changes.
//!
//! The server writes pictures into memory that it shares with us (MIT-SHM), says when anything has been drawn (DAMAGE),
//! what the pointer looks like (XFIXES) and that it moves (XInput). Each of them may be missing: then pictures come
//! through the socket, are grabbed at the rate and compared, and are without the pointer, or with one that is looked for.

mod area;
mod layout;
mod link;
mod list;
mod pointer;
mod rhythm;
mod server;
mod shm;
#[cfg(test)]
mod tests;

use self::area::Area;
use self::layout::ScreenLayout;
use self::link::Link;
pub(super) use self::list::{Listed, screens};
use self::rhythm::{Rhythm, Step};
use self::server::Server;
use super::{Device, Grabber, Mode, THIRTY};
use crate::clock;
use crate::codec::Converter;
use crate::ffmpeg::Control;
use crate::media::Picture;
use crate::queue::Pool;
use crate::source::{Input, Options, Screen, SourceError};
use crate::units::{Rate, Time};

pub(in crate::source) fn device(screen: &Screen, options: &Options) -> Box<dyn Device> {
    let rate = options.rate.unwrap_or(THIRTY);
    Box::new(Display { screen: screen.clone(), rate, pointer: options.pointer })
}

/// What was asked for.
struct Display {
    screen: Screen,
    rate: Rate,
    pointer: bool,
}

impl Device for Display {
    fn name(&self) -> String {
        Input::Screen(self.screen.clone()).name()
    }

    fn foreseen(&self) -> Option<Mode> {
        self.screen.area.map(|(_, size)| Mode::unknown(Some(size), Some(self.rate)))
    }

    fn open(&mut self, control: &Control) -> Result<Box<dyn Grabber>, SourceError> {
        let link = Link::open(self.screen.display.as_deref(), control)?;
        let name = link.name.clone();
        let layout = ScreenLayout::of(link.setup(), link.root())
            .map_err(|what| SourceError::ScreenColours { name: name.clone(), what })?;
        let converter =
            Converter::new().map_err(|why| SourceError::ScreenLost { name, why: why.to_string(), session: "" })?;
        let mut server = Server::new(link, self.pointer)?;
        let area = Area::on(server.measure()?, self.screen.area)?;
        server.make_room(layout.bytes(area.size))?;
        Ok(Box::new(Grab {
            server,
            layout,
            wanted: self.screen.clone(),
            area,
            rate: self.rate,
            rhythm: Rhythm::new(self.rate),
            plain: Vec::new(),
            converter,
            contents: 0,
            last: None,
        }))
    }
}

/// An open screen.
struct Grab {
    server: Server,
    layout: ScreenLayout,
    wanted: Screen,
    area: Area,
    rate: Rate,
    rhythm: Rhythm,
    /// A screen's pixels, brought into the order that is converted, if they are in another.
    plain: Vec<u8>,
    converter: Converter,
    /// Pictures that showed something new.
    contents: u32,
    last: Option<Picture>,
}

impl Grabber for Grab {
    fn mode(&self) -> Mode {
        let Area { x, y, size } = self.area;
        let whole = self.wanted.area.is_none();
        let part = if whole { String::new() } else { format!("part {}, ", area::text((x, y), size)) };
        let how = self.server.lacks().iter().map(|what| format!(", {what}")).collect::<String>();
        // The title has the name that was asked for.
        let unnamed = self.wanted.display.is_none();
        let name = if unnamed { format!("display {}, ", self.server.name()) } else { String::new() };
        let details = format!("{name}{part}{size}, at most {} fps{how}{}", self.rate, wayland());
        Mode { size, rate: self.rate, details }
    }

    fn grab(&mut self, pool: &Pool<Vec<u8>>) -> Result<Picture, SourceError> {
        loop {
            let news = self.server.news()?;
            if news.resized {
                self.refit()?;
            }
            if news.changed || !self.server.tells() {
                self.rhythm.change();
            }
            let now = clock::now();
            match self.rhythm.step(now) {
                Step::Grab => {
                    self.rhythm.grabbed(now);
                    if let Some(picture) = self.look(pool, now)? {
                        return Ok(picture);
                    }
                }
                // A pointer that a program moves is not told of by every server.
                Step::Again if self.server.pointer_moved()? => self.rhythm.change(),
                Step::Again => {
                    self.rhythm.repeated(now);
                    if let Some(picture) = self.last.as_mut().and_then(|last| last.again(0, now)) {
                        return Ok(picture);
                    }
                    self.rhythm.change();
                }
                Step::Wait(until) => self.server.wait(until)?,
            }
        }
    }
}

impl Grab {
    /// What is on the screen; `None` if it changed its size in this very moment.
    fn look(&mut self, pool: &Pool<Vec<u8>>, now: Time) -> Result<Option<Picture>, SourceError> {
        let Some((pixels, cursor)) = self.server.fetch(self.area)? else { return Ok(None) };
        let pixels = if self.layout.is_plain() {
            pixels
        } else {
            self.plain.resize(Converter::bytes(self.area.size), 0);
            self.layout.expand(pixels, self.area.size, &mut self.plain);
            &mut self.plain
        };
        if let Some(cursor) = cursor {
            pointer::draw(&cursor, self.area, pixels);
        }
        let mut picture = Picture::from_pool(pool, self.area.size, 0, now);
        self.converter.planes(pixels, &mut picture).map_err(|why| SourceError::ScreenLost {
            name: self.server.name().to_owned(),
            why: why.to_string(),
            session: "",
        })?;
        if let Some(last) = self.last.as_mut().filter(|last| last.planes() == picture.planes()) {
            return Ok(last.again(0, now));
        }
        self.contents = self.contents.wrapping_add(1);
        picture.content = self.contents;
        Ok(self.last.insert(picture).again(0, now))
    }

    /// After the screen has become larger or smaller.
    fn refit(&mut self) -> Result<(), SourceError> {
        self.area = Area::on(self.server.measure()?, self.wanted.area)?;
        self.server.make_room(self.layout.bytes(self.area.size))?;
        self.last = None;
        self.rhythm.change();
        Ok(())
    }
}

/// What one has to know under Wayland.
fn wayland() -> &'static str {
    let is = |name, value: Option<&str>| match std::env::var(name) {
        Ok(found) => !found.is_empty() && value.is_none_or(|value| value == found),
        Err(_) => false,
    };
    if is("WAYLAND_DISPLAY", None) || is("XDG_SESSION_TYPE", Some("wayland")) { WAYLAND } else { "" }
}

const WAYLAND: &str = "; this is a Wayland session, of which only windows of X programs can be seen";
