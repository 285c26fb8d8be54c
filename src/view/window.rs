//! The window's life: winit's loop on the main thread, orders in, keys and clicks out.
//!
//! A frame is drawn and presented as soon as the loop wakes, not when the window system asks; only what the window
//! lost (a resize, a part uncovered) waits for its redraw request, which merges many into one.

use std::sync::Arc;
use std::time::Duration;

use winit::application::ApplicationHandler;
use winit::error::EventLoopError;
use winit::event::{ElementState, KeyEvent, MouseButton, StartCause, WindowEvent};
use winit::event_loop::{ActiveEventLoop, ControlFlow, EventLoop};
use winit::window::WindowId;

use super::display;
use super::guard;
use super::hud::Hud;
use super::keys::{self, Action};
use super::orders::{Handle, Orders, Waiting, orders};
use super::surface::Surface;
use super::{Frame, Happened, Still, ViewError};
use crate::clock;
use crate::units::{Size, Time};

/// Opens a window for pictures of `size_hint` and lives in it until the user quits or a [`Close`](super::Order::Close)
/// comes.
///
/// Must be called on the main thread and at most once in a process (the window system's rules). `on_ready` gets the
/// handle before the window opens. A frame that still waits at the end is dropped.
pub fn run(
    title: &str,
    size_hint: Size,
    on_ready: impl FnOnce(Handle),
    happened: impl FnMut(Happened),
) -> Result<(), ViewError> {
    let event_loop = event_loop().map_err(|_| ViewError::NoDisplay(why_no_display()))?;
    let proxy = event_loop.create_proxy();
    let (handle, orders) = orders(move || proxy.send_event(()).is_ok());
    on_ready(handle);
    let mut viewer = Viewer {
        title: title.to_owned(),
        wanted: size_hint,
        orders,
        happened,
        surface: None,
        shown: None,
        drawn: false,
        withheld: None,
        hud: Hud::default(),
        last_click: Time::ZERO,
        start_fullscreen: false,
        failed: None,
    };
    let ended = guard::run(|| event_loop.run_app(&mut viewer));
    match (viewer.failed, ended) {
        (Some(error), _) => Err(error),
        (None, Some(ended)) => ended.map_err(|error| ViewError::Lost(error.to_string())),
        (None, None) => Err(ViewError::Lost("it has gone away".to_owned())),
    }
}

struct Viewer<F> {
    title: String,
    /// Size of the pictures, as far as known.
    wanted: Size,
    orders: Orders,
    happened: F,
    /// None until the window system let us open the window.
    surface: Option<Surface>,
    /// The frame on the screen, or waiting for the window to open.
    shown: Option<Frame>,
    /// It is on the screen.
    drawn: bool,
    /// The newest frame that came while the picture was frozen.
    withheld: Option<Frame>,
    hud: Hud,
    last_click: Time,
    start_fullscreen: bool,
    failed: Option<ViewError>,
}

impl<F: FnMut(Happened)> Viewer<F> {
    /// Does all that it was told since the last time.
    fn drain(&mut self, event_loop: &ActiveEventLoop) {
        let mut orders = self.orders.take();
        if orders.close {
            return event_loop.exit();
        }
        if orders.fullscreen {
            self.go_fullscreen();
        }
        orders.title.take().into_iter().for_each(|title| self.retitle(title));
        let newest = orders.frame.take();
        let changed = self.words(orders);
        match newest {
            Some(frame) if self.hud.frozen => self.withhold(frame),
            Some(frame) if !changed && self.shows(&frame) => {
                self.shown = Some(frame);
                return self.presented();
            }
            Some(frame) => {
                self.shown = Some(frame);
                return self.present_new(event_loop);
            }
            None => {}
        }
        if changed {
            self.present(event_loop);
        }
    }

    /// Takes over what lies over the picture; true if that is to be seen.
    fn words(&mut self, orders: Waiting) -> bool {
        let hud = &mut self.hud;
        let mut changed = !orders.notices.is_empty();
        orders.notices.into_iter().for_each(|text| hud.notice(text, clock::now()));
        if let Some(card) = orders.card {
            if card.is_some() {
                hud.paused();
            }
            changed |= hud.card != card;
            hud.card = card;
        }
        if let Some(recording) = orders.recording {
            changed |= std::mem::replace(&mut hud.recording, recording) != recording;
        }
        if let Some(lines) = orders.figures {
            hud.lines = lines;
            // Pictures redraw them anyway, where there are any.
            changed |= hud.figures && (hud.frozen || hud.card.is_some());
        }
        changed
    }

    fn withhold(&mut self, frame: Frame) {
        (self.happened)(Happened::Withheld { id: frame.id });
        self.withheld = Some(frame);
    }

    fn go_fullscreen(&mut self) {
        match &mut self.surface {
            Some(surface) if !surface.is_fullscreen() => surface.toggle_fullscreen(clock::now()),
            Some(_) => {}
            None => self.start_fullscreen = true,
        }
    }

    fn retitle(&mut self, title: String) {
        self.title = title;
        if let Some(surface) = &self.surface {
            let state = if self.hud.frozen { " (frozen)" } else { "" };
            surface.window.set_title(&format!("{}{state}", self.title));
        }
    }

    /// Whether these very pixels are on the screen already, and nothing over them is to change with each picture.
    fn shows(&self, frame: &Frame) -> bool {
        let same = |shown: &Frame| Arc::ptr_eq(&shown.canvas, &frame.canvas);
        self.drawn && !self.hud.figures && self.shown.as_ref().is_some_and(same)
    }

    fn presented(&mut self) {
        let Some(id) = self.shown.as_ref().map(|frame| frame.id) else { return };
        let at = clock::now();
        self.hud.presented(at);
        (self.happened)(Happened::Presented { id, at });
    }

    /// Presents a frame for the first time, and says so.
    fn present_new(&mut self, event_loop: &ActiveEventLoop) {
        let Some(frame) = &self.shown else { return };
        let size = frame.canvas.size();
        if let Some(surface) = &mut self.surface
            && self.wanted != size
        {
            surface.follow(event_loop, size);
        }
        self.wanted = size;
        let id = frame.id;
        if self.present(event_loop) {
            self.presented();
        } else {
            (self.happened)(Happened::Withheld { id });
        }
    }

    /// Draws what there is; true if it is on the screen now.
    fn present(&mut self, event_loop: &ActiveEventLoop) -> bool {
        let Some(surface) = &mut self.surface else { return false };
        match surface.present(self.shown.as_ref(), &self.hud) {
            Ok(presented) => {
                self.drawn = presented;
                presented
            }
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

    fn act(&mut self, event_loop: &ActiveEventLoop, action: Action) {
        let Some(surface) = &mut self.surface else { return };
        match action {
            Action::Leave if surface.is_fullscreen() => surface.toggle_fullscreen(clock::now()),
            Action::Leave | Action::Quit => return self.quit(event_loop),
            Action::Fullscreen => surface.toggle_fullscreen(clock::now()),
            Action::Figures => self.hud.figures = !self.hud.figures,
            Action::Help => self.hud.help = !self.hud.help,
            Action::Freeze => self.freeze(),
            Action::Snapshot(still) => self.snapshot(still),
            Action::Wish(wish) => (self.happened)(Happened::Wished(wish)),
        }
        self.present(event_loop);
    }

    fn freeze(&mut self) {
        self.hud.frozen = !self.hud.frozen;
        self.hud.paused();
        if let Some(frame) = self.withheld.take() {
            self.wanted = frame.canvas.size();
            self.shown = Some(frame);
        }
        self.retitle(self.title.clone());
    }

    fn snapshot(&mut self, still: Still) {
        match &self.shown {
            Some(frame) => {
                let (canvas, id) = (Arc::clone(&frame.canvas), frame.id);
                (self.happened)(Happened::Snapshot { canvas, id, still });
            }
            None => self.hud.notice("There is no picture to save yet.".to_owned(), clock::now()),
        }
    }

    fn click(&mut self) {
        let now = clock::now();
        let doubled = now.since(self.last_click) < DOUBLE_CLICK;
        // A third click starts anew instead of toggling back.
        self.last_click = if doubled { Time::ZERO } else { now };
        if let (true, Some(surface)) = (doubled, &mut self.surface) {
            surface.toggle_fullscreen(now);
        }
    }

    /// Something was to happen by now: a notice goes, or fullscreen is looked after.
    fn due(&mut self, event_loop: &ActiveEventLoop) {
        let now = clock::now();
        if let Some(surface) = &mut self.surface {
            surface.check_fullscreen(now);
        }
        if self.hud.expire(now) {
            self.present(event_loop);
        }
    }
}

impl<F: FnMut(Happened)> ApplicationHandler<()> for Viewer<F> {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.surface.is_some() {
            return;
        }
        match Surface::open(event_loop, &self.title, self.wanted) {
            Ok(surface) => self.surface = Some(surface),
            Err(error) => return self.fail(event_loop, error),
        }
        (self.happened)(Happened::Opened);
        if std::mem::take(&mut self.start_fullscreen) {
            self.go_fullscreen();
        }
        self.present_new(event_loop);
    }

    fn new_events(&mut self, event_loop: &ActiveEventLoop, cause: StartCause) {
        if matches!(cause, StartCause::ResumeTimeReached { .. }) {
            self.due(event_loop);
        }
    }

    fn about_to_wait(&mut self, event_loop: &ActiveEventLoop) {
        let surface = self.surface.as_ref().and_then(Surface::deadline);
        let next = [surface, self.hud.expiry()].into_iter().flatten().min();
        event_loop
            .set_control_flow(next.map_or(ControlFlow::Wait, |at| ControlFlow::wait_duration(at.since(clock::now()))));
    }

    fn user_event(&mut self, event_loop: &ActiveEventLoop, (): ()) {
        self.drain(event_loop);
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::CloseRequested => self.quit(event_loop),
            WindowEvent::Resized(_) | WindowEvent::ScaleFactorChanged { .. } => {
                if let Some(surface) = &self.surface {
                    surface.window.request_redraw();
                }
            }
            WindowEvent::RedrawRequested => {
                self.present(event_loop);
            }
            WindowEvent::KeyboardInput {
                event: KeyEvent { logical_key, state: ElementState::Pressed, repeat, .. },
                is_synthetic: false,
                ..
            } => {
                if let Some(action) = keys::action(&logical_key, repeat) {
                    self.act(event_loop, action);
                }
            }
            WindowEvent::MouseInput { state: ElementState::Pressed, button: MouseButton::Left, .. } => self.click(),
            _ => {}
        }
    }
}

/// Left to itself the library takes Wayland wherever its variable is set, and fails where nobody listens.
fn event_loop() -> Result<EventLoop<()>, EventLoopError> {
    let mut builder = EventLoop::with_user_event();
    #[cfg(target_os = "linux")]
    if display::wanted().is_some_and(|(variable, _)| variable == "DISPLAY") {
        winit::platform::x11::EventLoopBuilderExtX11::with_x11(&mut builder);
    }
    builder.build()
}

/// The window system's own words carry source lines of its library; these say what to look at.
fn why_no_display() -> String {
    match display::wanted() {
        Some((_, display)) => format!("the display {display} does not answer"),
        None => "neither WAYLAND_DISPLAY nor DISPLAY is set".to_owned(),
    }
}

/// The usual default of desktops.
const DOUBLE_CLICK: Duration = Duration::from_millis(400);
