//! A window that stands in the upper left corner of the X screen and shows the pictures. The scene is brought to the
//! server once; each picture is put together there beforehand, as programs do that draw behind the scenes, so that
//! showing it takes hardly any time, and the whole film hardly any of the processor.

use udpstream::units::Size;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::xproto::{
    ChangeGCAux, ConnectionExt as _, CreateGCAux, CreateWindowAux, ImageFormat, Rectangle, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use crate::code;

type Failure = Box<dyn std::error::Error>;

pub struct Window {
    connection: RustConnection,
    window: u32,
    /// The scene, and the next picture.
    scene: u32,
    picture: u32,
    gc: u32,
    size: Size,
}

impl Window {
    /// For pictures of this size out of a scene of size `whole`: three planes of 4:2:0, full range.
    pub fn open(size: Size, planes: [&[u8]; 3], whole: Size) -> Result<Self, Failure> {
        let (connection, screen) = x11rb::connect(None)?;
        let (depth, root) = (connection.setup().roots[screen].root_depth, connection.setup().roots[screen].root);
        let (window, gc) = (connection.generate_id()?, connection.generate_id()?);
        let (scene, picture) = (connection.generate_id()?, connection.generate_id()?);
        let aux = CreateWindowAux::new().override_redirect(1);
        let (class, visual) = (WindowClass::INPUT_OUTPUT, x11rb::COPY_FROM_PARENT);
        connection.create_window(depth, window, root, 0, 0, size.width, size.height, 0, class, visual, &aux)?;
        connection.create_pixmap(depth, scene, root, whole.width, whole.height)?;
        connection.create_pixmap(depth, picture, root, size.width, size.height)?;
        // Nobody wants to be told that a copy was made.
        connection.create_gc(gc, window, &CreateGCAux::new().graphics_exposures(0))?;
        let row = usize::from(whole.width) * 4;
        let rows = (connection.maximum_request_bytes() - ROOM) / row;
        for (part, pixels) in converted(planes, whole.width.into()).chunks(rows * row).enumerate() {
            let (top, high) = ((part * rows) as i16, (pixels.len() / row) as u16);
            connection.put_image(ImageFormat::Z_PIXMAP, scene, gc, whole.width, high, 0, top, 0, depth, pixels)?;
        }
        connection.map_window(window)?;
        connection.sync()?;
        Ok(Self { connection, window, scene, picture, gc, size })
    }

    /// Puts a picture together: a part of the scene, and the number in two corners.
    pub fn prepare(&self, number: u32, (left, top): (usize, usize)) -> Result<(), Failure> {
        let Self { connection, scene, picture, gc, size, .. } = self;
        let (left, top) = (left as i16, top as i16);
        connection.copy_area(*scene, *picture, *gc, left, top, 0, 0, size.width, size.height)?;
        let white = code::white(number);
        for (wanted, colour) in [(false, BLACK), (true, WHITE)] {
            let squares = (0..code::SQUARES).filter(|&square| white(square) == wanted);
            let squares = squares.flat_map(|square| {
                code::corners(*size).map(|(left, top)| Rectangle {
                    x: (left + square * code::SQUARE) as i16,
                    y: top as i16,
                    width: code::SQUARE as u16,
                    height: code::HEIGHT as u16,
                })
            });
            connection.change_gc(*gc, &ChangeGCAux::new().foreground(colour))?;
            connection.poly_fill_rectangle(*picture, *gc, &squares.collect::<Vec<_>>())?;
        }
        Ok(connection.sync()?)
    }

    /// Shows what was prepared.
    pub fn show(&self) -> Result<(), Failure> {
        let Size { width, height } = self.size;
        self.connection.copy_area(self.picture, self.window, self.gc, 0, 0, 0, 0, width, height)?;
        Ok(self.connection.flush()?)
    }
}

/// Blue, green, red and a spare byte.
fn converted([luma, u, v]: [&[u8]; 3], width: usize) -> Vec<u8> {
    let pixel = |(at, &y): (usize, &u8)| {
        let half = at / width / 2 * (width / 2) + at % width / 2;
        let (y, u, v) = (i32::from(y), i32::from(u[half]) - 128, i32::from(v[half]) - 128);
        let colours = [y + ((454 * u) >> 8), y - ((88 * u + 183 * v) >> 8), y + ((359 * v) >> 8), 0];
        colours.map(|colour| colour.clamp(0, 255) as u8)
    };
    luma.iter().enumerate().flat_map(pixel).collect()
}

const BLACK: u32 = 0;
const WHITE: u32 = 0xFF_FFFF;
/// More than a request takes beside its pixels.
const ROOM: usize = 64;
