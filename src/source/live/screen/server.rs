//! What we ask an X server for, and what it tells: pictures, changes, the pointer.

use std::io;

use x11rb::NONE;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::Event;
use x11rb::protocol::damage::{ConnectionExt as _, Damage, ReportLevel};
use x11rb::protocol::shm::{ConnectionExt as _, Seg};
use x11rb::protocol::xfixes::{ConnectionExt as _, GetCursorImageReply};
use x11rb::protocol::xinput::{ConnectionExt as _, EventMask as InputMask, XIEventMask};
use x11rb::protocol::xproto::{ChangeWindowAttributesAux, ConnectionExt as _, EventMask, ImageFormat};
use x11rb::protocol::{damage, shm, xfixes, xinput};

use super::area::Area;
use super::link::Link;
use super::shm::Segment;
use crate::source::SourceError;
use crate::units::{Size, Time};

/// One screen of a server.
pub(super) struct Server {
    link: Link,
    root: u32,
    memory: Memory,
    damage: Option<Damage>,
    /// `None`: not wanted, or not to be had.
    pointer: Option<Pointer>,
    /// Of the whole screen, when it was measured last.
    size: Size,
    /// What is not as good as it could be, for people.
    lacks: Vec<String>,
}

/// Where pictures are put.
enum Memory {
    /// The server writes them here.
    Shared(Segment, Seg),
    /// They come through the socket.
    Own(Vec<u8>),
}

/// Where the pointer was when it was drawn last; `None`: on another screen.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pointer(Option<(i16, i16)>);

/// What has happened since we asked last.
#[derive(Clone, Copy, Default)]
pub(super) struct ScreenNews {
    pub changed: bool,
    pub resized: bool,
}

impl Server {
    pub fn new(link: Link, pointer: bool) -> Result<Self, SourceError> {
        let root = link.root().root;
        let (memory, size) = (Memory::Own(Vec::new()), Size::new(0, 0));
        let mut server = Self { link, root, memory, damage: None, pointer: None, size, lacks: Vec::new() };
        match server.begin(pointer) {
            Ok(()) => Ok(server),
            Err(error) => Err(server.link.lost(error)),
        }
    }

    /// Finds out what the server can do, and asks to be told of what happens.
    fn begin(&mut self, pointer: bool) -> Result<(), ReplyError> {
        let connection = &self.link.connection;
        let aux = ChangeWindowAttributesAux::new().event_mask(EventMask::STRUCTURE_NOTIFY);
        connection.change_window_attributes(self.root, &aux)?.check()?;
        let has = |name| connection.extension_information(name).map(|found| found.is_some());
        let fixes = has(xfixes::X11_EXTENSION_NAME)?;
        if fixes {
            connection.xfixes_query_version(5, 0)?.reply()?;
        }
        if has(damage::X11_EXTENSION_NAME)? {
            connection.damage_query_version(1, 1)?.reply()?;
            let damage = connection.generate_id().map_err(|_| ConnectionError::UnknownError)?;
            connection.damage_create(damage, self.root, ReportLevel::NON_EMPTY)?.check()?;
            self.damage = Some(damage);
        } else {
            self.lacks.push("compared picture by picture as it does not tell of changes".into());
        }
        if pointer && fixes {
            self.pointer = Some(Pointer(None));
            if has(xinput::X11_EXTENSION_NAME)? {
                self.hear_of_motion()?;
            }
        } else if pointer {
            self.lacks.push("without its pointer, which it does not describe".into());
        }
        Ok(())
    }

    /// Asks to be told of every motion of the mouse, in whatever window.
    fn hear_of_motion(&self) -> Result<(), ReplyError> {
        let connection = &self.link.connection;
        connection.xinput_xi_query_version(2, 2)?.reply()?;
        let mask = InputMask { deviceid: ALL_MASTERS, mask: vec![XIEventMask::RAW_MOTION] };
        connection.xinput_xi_select_events(self.root, &[mask])?.check()
    }

    pub fn name(&self) -> &str {
        &self.link.name
    }

    /// What is not as good as it could be.
    pub fn lacks(&self) -> &[String] {
        &self.lacks
    }

    /// Whether changes are told of.
    pub const fn tells(&self) -> bool {
        self.damage.is_some()
    }

    /// The size of the whole screen.
    pub fn measure(&mut self) -> Result<Size, SourceError> {
        let asked = self.link.connection.get_geometry(self.root).map_err(ReplyError::from);
        let place = asked.and_then(|cookie| cookie.reply()).map_err(|error| self.link.lost(error))?;
        self.size = Size::new(place.width, place.height);
        Ok(self.size)
    }

    /// Makes room for pictures of so many bytes: shared memory if that is possible.
    pub fn make_room(&mut self, bytes: usize) -> Result<(), SourceError> {
        if let Memory::Shared(_, segment) = std::mem::replace(&mut self.memory, Memory::Own(Vec::new())) {
            self.link.connection.shm_detach(segment).map_err(|error| self.link.lost(error))?;
        }
        match self.share(bytes) {
            Ok(Some((segment, name))) => self.memory = Memory::Shared(segment, name),
            Ok(None) => self.do_without("not offered"),
            Err(Share::Memory(why)) => self.do_without(&why.to_string()),
            Err(Share::Server(ReplyError::X11Error(_))) => self.do_without("refused"),
            Err(Share::Server(error)) => return Err(self.link.lost(error)),
        }
        Ok(())
    }

    fn do_without(&mut self, why: &str) {
        let what = format!("without shared memory ({why})");
        if !self.lacks.contains(&what) {
            self.lacks.push(what);
        }
    }

    fn share(&self, bytes: usize) -> Result<Option<(Segment, Seg)>, Share> {
        let connection = &self.link.connection;
        if !self.link.is_local() || connection.extension_information(shm::X11_EXTENSION_NAME)?.is_none() {
            return Ok(None);
        }
        let version = connection.shm_query_version()?.reply()?;
        if (version.major_version, version.minor_version) < (1, 2) {
            return Ok(None);
        }
        let (segment, file) = Segment::new(bytes).map_err(Share::Memory)?;
        let name = connection.generate_id().map_err(|_| ConnectionError::UnknownError)?;
        connection.shm_attach_fd(name, file, false)?.check()?;
        Ok(Some((segment, name)))
    }

    /// Everything that was said since the last time.
    pub fn news(&mut self) -> Result<ScreenNews, SourceError> {
        let mut news = ScreenNews::default();
        while let Some(event) = self.link.event()? {
            match event {
                Event::DamageNotify(_) | Event::XinputRawMotion(_) => news.changed = true,
                Event::ConfigureNotify(event) if event.window == self.root => news.resized = true,
                _ => {}
            }
        }
        Ok(news)
    }

    /// Until there may be news, or this moment has come.
    pub fn wait(&self, until: Time) -> Result<(), SourceError> {
        self.link.connection.flush().map_err(|error| self.link.lost(error))?;
        self.link.wait(until)
    }

    /// Whether the pointer is where it was not when it was drawn.
    pub fn pointer_moved(&self) -> Result<bool, SourceError> {
        let Some(before) = self.pointer else { return Ok(false) };
        let asked = self.link.connection.query_pointer(self.root).map_err(ReplyError::from);
        let now = asked.and_then(|cookie| cookie.reply()).map_err(|error| self.link.lost(error))?;
        Ok(before != Pointer(now.same_screen.then_some((now.root_x, now.root_y))))
    }

    /// What the area shows, and the pointer if it is there. Whatever is drawn from now on will be told of once more.
    /// `None` if the screen has another size now; that is told of, too.
    #[expect(clippy::type_complexity, reason = "two things that belong to one moment")]
    pub fn fetch(&mut self, area: Area) -> Result<Option<(&mut [u8], Option<GetCursorImageReply>)>, SourceError> {
        let before = self.size;
        match self.ask(area) {
            Ok(cursor) => {
                let pixels = match &mut self.memory {
                    Memory::Shared(segment, _) => segment.bytes_mut(),
                    Memory::Own(pixels) => pixels,
                };
                Ok(Some((pixels, cursor)))
            }
            Err(ReplyError::X11Error(_)) if self.measure()? != before => Ok(None),
            Err(error) => Err(self.link.lost(error)),
        }
    }

    /// Asks for all of it in one go, so that it is of one moment and costs one way there and back.
    fn ask(&mut self, area: Area) -> Result<Option<GetCursorImageReply>, ReplyError> {
        let connection = &self.link.connection;
        if let Some(damage) = self.damage {
            connection.damage_subtract(damage, NONE, NONE)?;
        }
        let pointer = match self.pointer {
            Some(_) => Some((connection.query_pointer(self.root)?, connection.xfixes_get_cursor_image()?)),
            None => None,
        };
        let Area { x, y, size: Size { width, height } } = area;
        match &mut self.memory {
            Memory::Shared(_, name) => {
                let format = ImageFormat::Z_PIXMAP.into();
                connection.shm_get_image(self.root, x, y, width, height, ALL_PLANES, format, *name, 0)?.reply()?;
            }
            Memory::Own(pixels) => {
                let format = ImageFormat::Z_PIXMAP;
                let asked = connection.get_image(format, self.root, x, y, width, height, ALL_PLANES)?;
                *pixels = asked.reply()?.data;
            }
        }
        let Some((place, image)) = pointer else { return Ok(None) };
        let place = place.reply()?;
        let here = place.same_screen.then_some((place.root_x, place.root_y));
        self.pointer = Some(Pointer(here));
        match image.reply() {
            Ok(image) => Ok(here.map(|_| image)),
            // There is no pointer at all, as on a screen that is only touched.
            Err(ReplyError::X11Error(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Why memory is not shared.
enum Share {
    Memory(io::Error),
    Server(ReplyError),
}

impl<E: Into<ReplyError>> From<E> for Share {
    fn from(error: E) -> Self {
        Self::Server(error.into())
    }
}

const ALL_PLANES: u32 = u32::MAX;
/// XIAllMasterDevices.
const ALL_MASTERS: u16 = 1;
