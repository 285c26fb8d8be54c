//! A window that stands in the upper left corner of the X screen and shows pictures. Each is brought to the server
//! beforehand, as programs do that draw behind the scenes, so that showing it takes hardly any time.

use udpstream::units::Size;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::xproto::{ConnectionExt as _, CreateGCAux, CreateWindowAux, ImageFormat, WindowClass};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

type Failure = Box<dyn std::error::Error>;

pub struct Window {
    connection: RustConnection,
    window: u32,
    pixmap: u32,
    gc: u32,
    depth: u8,
    size: Size,
    pixels: Vec<u8>,
}

impl Window {
    pub fn open(size: Size) -> Result<Self, Failure> {
        let (connection, screen) = x11rb::connect(None)?;
        let root = &connection.setup().roots[screen];
        let (depth, root) = (root.root_depth, root.root);
        let (window, pixmap, gc) = (connection.generate_id()?, connection.generate_id()?, connection.generate_id()?);
        let aux = CreateWindowAux::new().override_redirect(1);
        let (class, visual) = (WindowClass::INPUT_OUTPUT, x11rb::COPY_FROM_PARENT);
        connection.create_window(depth, window, root, 0, 0, size.width, size.height, 0, class, visual, &aux)?;
        connection.create_pixmap(depth, pixmap, root, size.width, size.height)?;
        connection.create_gc(gc, window, &CreateGCAux::new())?;
        connection.map_window(window)?;
        connection.sync()?;
        Ok(Self { connection, window, pixmap, gc, depth, size, pixels: Vec::new() })
    }

    /// Brings a picture (three planes of 4:2:0, full range) to the server.
    pub fn prepare(&mut self, planes: &[u8]) -> Result<(), Failure> {
        self.convert(planes);
        let (wide, row) = (self.size.width, usize::from(self.size.width) * 4);
        let rows = (self.connection.maximum_request_bytes() - ROOM) / row;
        for (part, pixels) in self.pixels.chunks(rows * row).enumerate() {
            let (top, high) = ((part * rows) as i16, (pixels.len() / row) as u16);
            let (format, depth) = (ImageFormat::Z_PIXMAP, self.depth);
            self.connection.put_image(format, self.pixmap, self.gc, wide, high, 0, top, 0, depth, pixels)?;
        }
        Ok(self.connection.sync()?)
    }

    /// Shows what was prepared.
    pub fn show(&self) -> Result<(), Failure> {
        let Size { width, height } = self.size;
        self.connection.copy_area(self.pixmap, self.window, self.gc, 0, 0, 0, 0, width, height)?;
        Ok(self.connection.flush()?)
    }

    fn convert(&mut self, planes: &[u8]) {
        let width = usize::from(self.size.width);
        let (luma, chroma) = planes.split_at(self.size.pixels());
        let (u, v) = chroma.split_at(chroma.len() / 2);
        self.pixels.clear();
        for (at, &y) in luma.iter().enumerate() {
            let half = at / width / 2 * (width / 2) + at % width / 2;
            let (y, u, v) = (i32::from(y), i32::from(u[half]) - 128, i32::from(v[half]) - 128);
            let colours = [y + ((454 * u) >> 8), y - ((88 * u + 183 * v) >> 8), y + ((359 * v) >> 8)];
            self.pixels.extend(colours.map(|colour| colour.clamp(0, 255) as u8));
            self.pixels.push(0);
        }
    }
}

/// More than a request takes beside its pixels.
const ROOM: usize = 64;
