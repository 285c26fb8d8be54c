//! The open window and the memory it is drawn in: size, fullscreen, presenting what has changed.

use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use softbuffer::SoftBufferError;
use winit::dpi::{PhysicalPosition, PhysicalSize};
use winit::event_loop::ActiveEventLoop;
use winit::window::{Fullscreen, Window, WindowAttributes};

use super::ViewError;
use super::scale::{Rect, fit};
use crate::units::{Size, Time};

type Buffers = softbuffer::Surface<Rc<Window>, Rc<Window>>;

/// A window with its buffer.
pub struct Surface {
    pub window: Rc<Window>,
    surface: Buffers,
    /// The size we asked for; while the window still has it, it follows the picture's.
    asked: Size,
    full: Option<Full>,
    /// The window's pixels have a fourth part, which says how much of what lies behind shines through.
    blended: bool,
}

/// A window that fills the screen.
struct Full {
    /// Where it was before.
    size: PhysicalSize<u32>,
    position: Option<PhysicalPosition<i32>>,
    /// When to look whether a window manager has done it, and how often again after that.
    check: Option<(Time, u8)>,
    /// Nobody did, so we have.
    ourselves: bool,
}

impl Surface {
    pub fn open(event_loop: &ActiveEventLoop, title: &str, picture: Size) -> Result<Self, ViewError> {
        let asked = fit(picture, room(event_loop));
        let attributes = Window::default_attributes().with_title(title).with_inner_size(physical(asked));
        let (opened, blended) = match window(event_loop, attributes.clone()) {
            Err(error) if has_other_pixels(&error) => (window(event_loop, attributes.with_transparent(true)), true),
            opened => (opened, false),
        };
        let (window, surface) = opened.map_err(|error| match has_other_pixels(&error) {
            true => ViewError::FewColours,
            false => error,
        })?;
        Ok(Self { window, surface, asked, full: None, blended })
    }

    /// Where the caret of a typed line stands: there an input method shows what it offers.
    pub fn set_caret(&self, caret: Rect) {
        let at = PhysicalPosition::new(i32::from(caret.x), i32::from(caret.y));
        let size = PhysicalSize::new(u32::from(caret.size.width), u32::from(caret.size.height));
        self.window.set_ime_cursor_area(at, size);
    }

    pub fn size(&self) -> Size {
        let size = self.window.inner_size();
        let side = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX);
        Size::new(side(size.width), side(size.height))
    }

    /// A picture of another size came: the window takes its size unless the user has chosen one.
    pub fn follow(&mut self, event_loop: &ActiveEventLoop, picture: Size) {
        if self.size() == self.asked && !self.is_fullscreen() {
            self.asked = fit(picture, room(event_loop));
            let _at_once_or_later = self.window.request_inner_size(physical(self.asked));
        }
    }

    /// How many of the window's pixels one of a usual screen takes.
    pub fn scale(&self) -> f32 {
        self.window.scale_factor() as f32
    }

    /// Lets `draw` change the window's pixels, and hands to the screen what it says it has changed. False while the window
    /// has no area (minimised).
    pub fn present(&mut self, draw: impl FnOnce(Sheet<'_>) -> Changed) -> Result<bool, SoftBufferError> {
        let (size, scale) = (self.size(), self.scale());
        let sides = (NonZeroU32::new(size.width.into()), NonZeroU32::new(size.height.into()));
        let (Some(width), Some(height)) = sides else { return Ok(false) };
        self.surface.resize(width, height)?;
        let mut buffer = self.surface.buffer_mut()?;
        let age = buffer.age();
        let changed = draw(Sheet { pixels: &mut buffer, size, scale, age });
        let parts = match changed {
            Changed::All => vec![Rect { x: 0, y: 0, size }],
            Changed::Parts(parts) => parts,
        };
        if self.blended {
            parts.iter().for_each(|part| make_opaque(&mut buffer, size, *part));
        }
        let damage: Vec<softbuffer::Rect> = parts.into_iter().filter_map(damage).collect();
        if !damage.is_empty() {
            self.window.pre_present_notify();
            buffer.present_with_damage(&damage)?;
        }
        Ok(true)
    }

    pub const fn is_fullscreen(&self) -> bool {
        self.full.is_some()
    }

    pub fn toggle_fullscreen(&mut self, now: Time) {
        match self.full.take() {
            None => {
                let (size, position) = (self.window.inner_size(), self.window.outer_position().ok());
                self.full = Some(Full { size, position, check: Some((now + MANAGED, CHECKS)), ourselves: false });
                self.window.set_fullscreen(Some(Fullscreen::Borderless(None)));
            }
            Some(full) => {
                self.window.set_fullscreen(None);
                if full.ourselves {
                    self.place(full.position.unwrap_or_default(), full.size);
                }
            }
        }
        self.window.set_cursor_visible(self.full.is_none());
    }

    /// When [`Surface::check_fullscreen`] wants to be called.
    pub fn deadline(&self) -> Option<Time> {
        self.full.as_ref().and_then(|full| full.check).map(|(at, _)| at)
    }

    /// Where no window manager runs (a kiosk, a robot) nobody has obeyed: fills the screen by itself. A window that is not on
    /// the screen yet hears nothing, so this is looked at some more times.
    pub fn check_fullscreen(&mut self, now: Time) {
        let Some(full) = self.full.as_mut() else { return };
        let Some((_, again)) = full.check.filter(|(at, _)| *at <= now) else { return };
        full.check = again.checked_sub(1).map(|again| (now + MANAGED, again));
        let Some(monitor) = self.window.current_monitor() else { return };
        if monitor.size() != self.window.inner_size() {
            full.ourselves = true;
            self.place(monitor.position(), monitor.size());
        }
    }

    fn place(&self, position: PhysicalPosition<i32>, size: PhysicalSize<u32>) {
        self.window.set_outer_position(position);
        let _at_once_or_later = self.window.request_inner_size(size);
    }
}

/// The window's pixels while they are drawn on.
pub struct Sheet<'a> {
    pub pixels: &'a mut [u32],
    pub size: Size,
    pub scale: f32,
    /// What is on it: that which was presented so many times ago, 0: nothing.
    pub age: u8,
}

/// What was changed of the picture that was presented before.
pub enum Changed {
    All,
    Parts(Vec<Rect>),
}

fn make_opaque(pixels: &mut [u32], window: Size, part: Rect) {
    let (x, width) = (usize::from(part.x), usize::from(part.size.width));
    let rows = pixels.chunks_exact_mut(window.width.into()).skip(part.y.into()).take(part.size.height.into());
    rows.flat_map(|row| &mut row[x..x + width]).for_each(|pixel| *pixel |= OPAQUE);
}

fn damage(part: Rect) -> Option<softbuffer::Rect> {
    let Rect { x, y, size } = part;
    let (width, height) = (NonZeroU32::new(size.width.into())?, NonZeroU32::new(size.height.into())?);
    Some(softbuffer::Rect { x: x.into(), y: y.into(), width, height })
}

fn window(event_loop: &ActiveEventLoop, attributes: WindowAttributes) -> Result<(Rc<Window>, Buffers), ViewError> {
    let window = Rc::new(event_loop.create_window(attributes).map_err(ViewError::Window)?);
    let context = softbuffer::Context::new(Rc::clone(&window))?;
    let surface = softbuffer::Surface::new(&context, Rc::clone(&window))?;
    Ok((window, surface))
}

/// Whether the window's pixels are not of 24 bits, which is all that is drawn here. An X server of 15, 16 or 30 bits
/// also has windows of 32, meant for what shines through, and brings their pixels into its own form by itself.
fn has_other_pixels(error: &ViewError) -> bool {
    let ViewError::Surface(SoftBufferError::PlatformError(Some(text), _)) = error else { return false };
    text.contains("pixel format")
}

/// Nine tenths of the screen, which leaves room for title and task bars.
fn room(event_loop: &ActiveEventLoop) -> Size {
    let monitor = event_loop.primary_monitor().or_else(|| event_loop.available_monitors().next());
    let size = monitor.map(|monitor| monitor.size()).filter(|size| size.width > 0 && size.height > 0);
    let most = |pixels: u32| u16::try_from(u64::from(pixels) * 9 / 10).unwrap_or(u16::MAX);
    size.map_or(Size::new(u16::MAX, u16::MAX), |size| Size::new(most(size.width), most(size.height)))
}

fn physical(size: Size) -> PhysicalSize<u32> {
    PhysicalSize::new(size.width.into(), size.height.into())
}

/// Nothing shines through.
const OPAQUE: u32 = 0xff00_0000;
/// Window managers need some tens of milliseconds to fill the screen.
const MANAGED: Duration = Duration::from_millis(300);
/// So often it is looked at again: a slow display shows a window within this time.
const CHECKS: u8 = 10;
