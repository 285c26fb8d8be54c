//! The window itself: winit's loop on the main thread, softbuffer's memory, keys, fullscreen.
//!
//! A frame is drawn and presented as soon as the loop wakes, not when the window system asks; only what the window
//! lost (a resize, a part uncovered) waits for its redraw request, which merges many into one.

use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use winit::application::ApplicationHandler;
use winit::dpi::PhysicalSize;
use winit::event::{ElementState, MouseButton, WindowEvent};
use winit::event_loop::{ActiveEventLoop, EventLoop, EventLoopProxy};
use winit::keyboard::{Key, NamedKey};
use winit::window::{Fullscreen, Window, WindowId};

use super::scale::{Scaler, fit};
use super::{Frame, Gone, Happened, Order, ViewError};
use crate::clock;
use crate::units::{Size, Time};

/// Sends orders to the window from any thread.
#[derive(Clone)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    proxy: EventLoopProxy<()>,
}

impl Handle {
    /// Queues an order and wakes the window. Never blocks.
    pub fn send(&self, order: Order) -> Result<(), Gone> {
        self.orders.send(order).map_err(|_| Gone)?;
        self.proxy.send_event(()).map_err(|_| Gone)
    }
}

/// Opens a window for pictures of `size_hint` and lives in it until the user quits or an [`Order::Close`] comes.
///
/// Must be called on the main thread and at most once in a process (the window system's rules). `on_ready` gets the
/// handle before the window opens. Frames still queued at the end are dropped.
pub fn run(
    title: &str,
    size_hint: Size,
    on_ready: impl FnOnce(Handle),
    happened: impl FnMut(Happened),
) -> Result<(), ViewError> {
    let event_loop = EventLoop::with_user_event().build().map_err(|_| ViewError::NoDisplay(why_no_display()))?;
    let (sender, orders) = mpsc::channel();
    on_ready(Handle { orders: sender, proxy: event_loop.create_proxy() });
    let mut viewer = Viewer {
        title: title.to_owned(),
        wanted: size_hint,
        orders,
        happened,
        canvas: None,
        shown: None,
        last_click: Time::ZERO,
        start_fullscreen: false,
        failed: None,
    };
    let ended = event_loop.run_app(&mut viewer);
    match viewer.failed {
        Some(error) => Err(error),
        None => ended.map_err(ViewError::Lost),
    }
}

struct Viewer<F> {
    title: String,
    /// Size of the pictures, as far as known.
    wanted: Size,
    orders: mpsc::Receiver<Order>,
    happened: F,
    /// None until the window system let us open the window.
    canvas: Option<Canvas>,
    /// The frame on the screen, or waiting for the window to open.
    shown: Option<Frame>,
    last_click: Time,
    start_fullscreen: bool,
    failed: Option<ViewError>,
}

impl<F: FnMut(Happened)> Viewer<F> {
    /// Takes every order that waits; of the frames only the newest is worth drawing.
    fn drain(&mut self, event_loop: &ActiveEventLoop) {
        let mut newest = None;
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Show(frame) => self.supersede(newest.replace(frame)),
                Order::Title(title) => self.retitle(title),
                Order::Fullscreen => self.fullscreen(),
                Order::Close => return event_loop.exit(),
            }
        }
        if let Some(frame) = newest {
            self.shown = Some(frame);
            self.present_new(event_loop);
        }
    }

    fn supersede(&mut self, frame: Option<Frame>) {
        if let Some(Frame { id, .. }) = frame {
            (self.happened)(Happened::Superseded { id });
        }
    }

    fn fullscreen(&mut self) {
        match &self.canvas {
            Some(canvas) if !canvas.is_fullscreen() => canvas.toggle_fullscreen(),
            Some(_) => {}
            None => self.start_fullscreen = true,
        }
    }

    fn retitle(&mut self, title: String) {
        if let Some(canvas) = &self.canvas {
            canvas.window.set_title(&title);
        }
        self.title = title;
    }

    /// Presents a frame for the first time, and says so.
    fn present_new(&mut self, event_loop: &ActiveEventLoop) {
        let Some(frame) = &self.shown else { return };
        let (id, size) = (frame.id, frame.canvas.size());
        if let Some(canvas) = &mut self.canvas
            && self.wanted != size
        {
            canvas.follow(event_loop, size);
        }
        self.wanted = size;
        if self.present(event_loop) {
            (self.happened)(Happened::Presented { id, at: clock::now() });
        }
    }

    /// Draws what there is; true if it is on the screen now.
    fn present(&mut self, event_loop: &ActiveEventLoop) -> bool {
        let Some(canvas) = &mut self.canvas else { return false };
        match canvas.present(self.shown.as_ref()) {
            Ok(presented) => presented,
            Err(error) => {
                self.fail(event_loop, error.into());
                false
            }
        }
    }

    fn fail(&mut self, event_loop: &ActiveEventLoop, error: ViewError) {
        self.failed.get_or_insert(error);
        event_loop.exit();
    }

    fn quit(&mut self, event_loop: &ActiveEventLoop) {
        (self.happened)(Happened::Quit);
        event_loop.exit();
    }

    fn key(&mut self, event_loop: &ActiveEventLoop, key: &Key) {
        let Some(canvas) = &mut self.canvas else { return };
        match key.as_ref() {
            Key::Named(NamedKey::Escape) if canvas.is_fullscreen() => canvas.toggle_fullscreen(),
            Key::Named(NamedKey::Escape | NamedKey::Enter) | Key::Character("q" | "Q") => self.quit(event_loop),
            Key::Character("f" | "F") => canvas.toggle_fullscreen(),
            _ => {}
        }
    }

    fn click(&mut self) {
        let now = clock::now();
        let doubled = now.since(self.last_click) < DOUBLE_CLICK;
        // A third click starts anew instead of toggling back.
        self.last_click = if doubled { Time::ZERO } else { now };
        if let (true, Some(canvas)) = (doubled, &self.canvas) {
            canvas.toggle_fullscreen();
        }
    }
}

impl<F: FnMut(Happened)> ApplicationHandler<()> for Viewer<F> {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.canvas.is_some() {
            return;
        }
        match Canvas::open(event_loop, &self.title, self.wanted) {
            Ok(canvas) => self.canvas = Some(canvas),
            Err(error) => return self.fail(event_loop, error),
        }
        (self.happened)(Happened::Opened);
        if std::mem::take(&mut self.start_fullscreen) {
            self.fullscreen();
        }
        self.present_new(event_loop);
    }

    fn user_event(&mut self, event_loop: &ActiveEventLoop, (): ()) {
        self.drain(event_loop);
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::CloseRequested => self.quit(event_loop),
            WindowEvent::Resized(_) => {
                if let Some(canvas) = &self.canvas {
                    canvas.window.request_redraw();
                }
            }
            WindowEvent::RedrawRequested => {
                self.present(event_loop);
            }
            WindowEvent::KeyboardInput { event, .. } if event.state == ElementState::Pressed && !event.repeat => {
                self.key(event_loop, &event.logical_key);
            }
            WindowEvent::MouseInput { state: ElementState::Pressed, button: MouseButton::Left, .. } => self.click(),
            _ => {}
        }
    }
}

/// The open window and the memory it is drawn in.
struct Canvas {
    window: Rc<Window>,
    surface: softbuffer::Surface<Rc<Window>, Rc<Window>>,
    scaler: Scaler,
    /// The size we asked for; while the window still has it, it follows the picture's.
    asked: Size,
}

impl Canvas {
    fn open(event_loop: &ActiveEventLoop, title: &str, picture: Size) -> Result<Self, ViewError> {
        let asked = fit(picture, room(event_loop));
        let attributes = Window::default_attributes().with_title(title).with_inner_size(physical(asked));
        let window = Rc::new(event_loop.create_window(attributes).map_err(ViewError::Window)?);
        let context = softbuffer::Context::new(Rc::clone(&window))?;
        let surface = softbuffer::Surface::new(&context, Rc::clone(&window))?;
        Ok(Self { window, surface, scaler: Scaler::default(), asked })
    }

    fn size(&self) -> Size {
        let size = self.window.inner_size();
        let side = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX);
        Size::new(side(size.width), side(size.height))
    }

    /// A picture of another size came: the window takes its size unless the user has chosen one.
    fn follow(&mut self, event_loop: &ActiveEventLoop, picture: Size) {
        if self.size() == self.asked && !self.is_fullscreen() {
            self.asked = fit(picture, room(event_loop));
            let _at_once_or_later = self.window.request_inner_size(physical(self.asked));
        }
    }

    /// Draws the frame, or black, and hands it to the screen. False while the window has no area (minimised).
    fn present(&mut self, frame: Option<&Frame>) -> Result<bool, softbuffer::SoftBufferError> {
        let size = self.size();
        let sides = (NonZeroU32::new(size.width.into()), NonZeroU32::new(size.height.into()));
        let (Some(width), Some(height)) = sides else { return Ok(false) };
        self.surface.resize(width, height)?;
        let mut buffer = self.surface.buffer_mut()?;
        match frame {
            Some(frame) => self.scaler.draw(frame, &mut buffer, size),
            None => buffer.fill(0),
        }
        self.window.pre_present_notify();
        buffer.present()?;
        Ok(true)
    }

    fn is_fullscreen(&self) -> bool {
        self.window.fullscreen().is_some()
    }

    fn toggle_fullscreen(&self) {
        let fullscreen = !self.is_fullscreen();
        self.window.set_fullscreen(fullscreen.then_some(Fullscreen::Borderless(None)));
        self.window.set_cursor_visible(!fullscreen);
    }
}

/// The window system's own words carry source lines of its library; these say what to look at.
fn why_no_display() -> String {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    match set("WAYLAND_DISPLAY").or_else(|| set("DISPLAY")) {
        Some(display) => format!("the display {display} does not answer"),
        None => "neither WAYLAND_DISPLAY nor DISPLAY is set".to_owned(),
    }
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

/// The usual default of desktops.
const DOUBLE_CLICK: Duration = Duration::from_millis(400);
