//! The window's life: winit's loop on the main thread, orders in, keys and clicks out.
//!
//! A frame is drawn and presented as soon as the loop wakes, not when the window system asks; only what the window
//! lost (a resize, a part uncovered) waits for its redraw request, which merges many into one.

use std::time::Duration;

use winit::application::ApplicationHandler;
use winit::event::{ElementState, Ime, KeyEvent, Modifiers, MouseButton, StartCause, WindowEvent};
use winit::event_loop::{ActiveEventLoop, ControlFlow};
use winit::window::WindowId;

use super::film::{FilmWish, moment_at};
use super::keys::{self, Action};
use super::orders::{Handle, orders};
use super::pane::{Draw, Pane};
use super::surface::{Changed, Surface};
use super::typing::{Typing, typing};
use super::{Happened, ViewError, Wish, life};
use crate::units::{MediaTime, Size, Time};
use crate::{clock, text};

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
    let event_loop = life::event_loop()?;
    let proxy = event_loop.create_proxy();
    let fonts = proxy.clone();
    let (handle, orders) = orders(move || proxy.send_event(()).is_ok());
    text::on_fonts(move || {
        let _closed_by_then = fonts.send_event(());
    });
    on_ready(handle);
    let mut viewer = Viewer {
        pane: Pane::new(title, orders),
        wanted: size_hint,
        happened,
        surface: None,
        clicks: Clicks::default(),
        modifiers: Modifiers::default(),
        start_fullscreen: false,
        mouse: None,
        drags: false,
        opens: false,
        failed: None,
    };
    let ended = life::live(event_loop, &mut viewer);
    viewer.failed.map_or(ended, Err)
}

struct Viewer<F> {
    pane: Pane,
    /// Size of the pictures, as far as known.
    wanted: Size,
    happened: F,
    /// None until the window system let us open the window.
    surface: Option<Surface>,
    clicks: Clicks,
    modifiers: Modifiers,
    start_fullscreen: bool,
    /// Where the mouse is.
    mouse: Option<(f64, f64)>,
    /// It is held on the bar of a film.
    drags: bool,
    /// The key that has opened the typed line is still held.
    opens: bool,
    failed: Option<ViewError>,
}

impl<F: FnMut(Happened)> Viewer<F> {
    /// Does all that it was told since the last time.
    fn drain(&mut self, event_loop: &ActiveEventLoop) {
        let taken = self.pane.take(clock::now());
        if taken.close {
            return event_loop.exit();
        }
        if taken.fullscreen {
            self.go_fullscreen();
        }
        if taken.retitled {
            self.retitle();
        }
        if let Some(id) = taken.withheld {
            (self.happened)(Happened::Withheld { id });
        }
        match taken.draw {
            Draw::Nothing => {}
            Draw::Known => self.presented(),
            Draw::Again => drop(self.present(event_loop)),
            Draw::Fresh => self.present_new(event_loop),
        }
    }

    fn go_fullscreen(&mut self) {
        match &mut self.surface {
            Some(surface) if !surface.is_fullscreen() => surface.toggle_fullscreen(clock::now()),
            Some(_) => {}
            None => self.start_fullscreen = true,
        }
    }

    /// Tells the window's size.
    fn resized(&mut self) {
        let Some(surface) = &self.surface else { return };
        let size = surface.window.inner_size();
        let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
        (self.happened)(Happened::Resized(Size::new(side(size.width), side(size.height))));
    }

    fn retitle(&mut self) {
        if let Some(surface) = &self.surface {
            let state = if self.pane.hud.frozen { " (frozen)" } else { "" };
            surface.window.set_title(&format!("{}{state}", self.pane.title));
        }
    }

    fn presented(&mut self) {
        self.pane.presented(clock::now()).into_iter().for_each(&mut self.happened);
    }

    /// Presents a frame for the first time, and says so.
    fn present_new(&mut self, event_loop: &ActiveEventLoop) {
        let Some((size, id)) = self.pane.frame() else { return };
        if let Some(surface) = &mut self.surface
            && self.wanted != size
        {
            surface.follow(event_loop, size);
        }
        self.wanted = size;
        if self.present(event_loop) {
            self.presented();
        } else {
            (self.happened)(Happened::Withheld { id });
        }
    }

    /// Draws what there is; true if it is on the screen now.
    fn present(&mut self, event_loop: &ActiveEventLoop) -> bool {
        let Self { surface: Some(surface), pane, .. } = self else { return false };
        let presented = surface.present(|sheet| {
            pane.draw(sheet.pixels, sheet.size, sheet.scale);
            Changed::All
        });
        if let Some(caret) = self.pane.hud.caret.get() {
            surface.set_caret(caret);
        }
        match presented {
            Ok(presented) => {
                self.pane.set_drawn(presented);
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
            Action::Leave if self.pane.hud.talk.history.is_some() => self.pane.hud.talk.history = None,
            Action::Leave if surface.is_fullscreen() => surface.toggle_fullscreen(clock::now()),
            Action::Leave | Action::Quit => return self.quit(event_loop),
            Action::Fullscreen => surface.toggle_fullscreen(clock::now()),
            Action::Figures => self.pane.hud.figures = !self.pane.hud.figures,
            Action::Help => self.pane.hud.help = self.pane.hud.help.is_none().then_some(keys::HELP),
            Action::Freeze => self.freeze(),
            Action::Snapshot(still) => {
                self.pane.snapshot(still, clock::now()).into_iter().for_each(&mut self.happened);
            }
            Action::Talk => self.open_line(),
            Action::History => self.pane.hud.talk.toggle_history(),
            Action::Page(back) => {
                self.pane.hud.talk.scroll(PAGE, back);
            }
            Action::Wish(wish) => (self.happened)(Happened::Wished(wish)),
        }
        self.present(event_loop);
    }

    /// A line is typed from now on, if anybody is to hear it.
    fn open_line(&mut self) {
        if let Some(why) = self.pane.hud.talk.closed {
            return self.pane.hud.notice(why.to_owned(), clock::now());
        }
        self.opens = true;
        self.pane.hud.talk.open();
        self.surface.iter().for_each(|surface| surface.window.set_ime_allowed(true));
    }

    fn close_line(&mut self) {
        self.pane.hud.talk.close();
        self.surface.iter().for_each(|surface| surface.window.set_ime_allowed(false));
    }

    /// A key was pressed.
    fn key(&mut self, event_loop: &ActiveEventLoop, event: &KeyEvent) {
        let state = self.modifiers.state();
        let KeyEvent { logical_key, repeat, text, .. } = event;
        // The key that has opened the line may be held a little longer.
        self.opens &= *repeat;
        if self.opens {
            return;
        }
        let Some(line) = self.pane.hud.talk.typed_mut() else {
            let listing = self.pane.hud.list.is_some();
            let film = self.pane.hud.film().is_some();
            let action = keys::action(logical_key, state.shift_key(), *repeat, (listing, film));
            self.pane.hud.show_bar(clock::now());
            return action.into_iter().for_each(|action| self.act(event_loop, action));
        };
        let flipped = text::set(&[&line.shown().0], 16.0, None).is_right_to_left();
        match typing(logical_key, text.as_deref(), state.control_key() || state.alt_key() || state.super_key(), flipped)
        {
            Some(Typing::Insert(letters)) => line.insert(&letters),
            Some(Typing::Edit(edit)) => line.edit(edit),
            Some(Typing::Say) => {
                let said = line.take();
                self.close_line();
                (self.happened)(Happened::Said(said));
            }
            Some(Typing::Close) => self.close_line(),
            None => return,
        }
        self.present(event_loop);
    }

    /// An input method has something to show, or has decided.
    fn compose(&mut self, event_loop: &ActiveEventLoop, ime: Ime) {
        let Some(line) = self.pane.hud.talk.typed_mut() else { return };
        match ime {
            Ime::Preedit(text, caret) => line.compose(&text, caret.map(|(_, end)| end)),
            Ime::Commit(text) => line.insert(&text),
            Ime::Enabled | Ime::Disabled => line.compose("", None),
        }
        self.present(event_loop);
    }

    fn freeze(&mut self) {
        self.pane.freeze();
        if let Some((size, _)) = self.pane.frame() {
            self.wanted = size;
        }
        self.retitle();
    }

    /// The moment of the film that the mouse is at on its bar; `held`: or beside it.
    fn moment(&self, held: bool) -> Option<MediaTime> {
        let ((x, y), line) = (self.mouse?, self.pane.hud.line.get()?);
        let within = held || y >= f64::from(line.y) && y < f64::from(line.y) + f64::from(line.height);
        let length = self.pane.hud.film()?.length.filter(|_| within)?;
        Some(moment_at(line, x, length))
    }

    /// The mouse is there now, or has left.
    fn point(&mut self, event_loop: &ActiveEventLoop, mouse: Option<(f64, f64)>) {
        self.mouse = mouse;
        if self.pane.hud.film().is_none() {
            return;
        }
        self.pane.hud.show_bar(clock::now());
        self.pane.hud.mouse = self.moment(self.drags).and(mouse).map(|(x, _)| x as i32);
        if self.drags
            && let Some(moment) = self.moment(true)
        {
            (self.happened)(Happened::Wished(Wish::Film(FilmWish::Scrub(moment))));
        }
        self.present(event_loop);
    }

    fn press(&mut self, event_loop: &ActiveEventLoop) {
        match self.moment(false) {
            Some(moment) => {
                self.drags = true;
                (self.happened)(Happened::Wished(Wish::Film(FilmWish::Scrub(moment))));
                self.present(event_loop);
            }
            None => self.click(),
        }
    }

    fn release(&mut self, event_loop: &ActiveEventLoop) {
        if std::mem::take(&mut self.drags)
            && let Some(moment) = self.moment(true)
        {
            (self.happened)(Happened::Wished(Wish::Film(FilmWish::Seek(moment))));
            self.present(event_loop);
        }
    }

    fn click(&mut self) {
        let now = clock::now();
        if let (true, Some(surface)) = (self.clicks.is_double(now), &mut self.surface) {
            surface.toggle_fullscreen(now);
        }
    }

    /// Something was to happen by now: a notice goes, or fullscreen is looked after.
    fn due(&mut self, event_loop: &ActiveEventLoop) {
        let now = clock::now();
        if let Some(surface) = &mut self.surface {
            surface.check_fullscreen(now);
        }
        if self.pane.hud.expire(now) {
            self.present(event_loop);
        }
    }
}

impl<F: FnMut(Happened)> ApplicationHandler<()> for Viewer<F> {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.surface.is_some() {
            return;
        }
        match Surface::open(event_loop, &self.pane.title, self.wanted) {
            Ok(surface) => self.surface = Some(surface),
            Err(error) => return self.fail(event_loop, error),
        }
        (self.happened)(Happened::Opened);
        self.resized();
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

    /// The window goes while the loop still lives: what is asked of the window system later is sent at the program's end.
    fn exiting(&mut self, _: &ActiveEventLoop) {
        self.surface = None;
    }

    fn about_to_wait(&mut self, event_loop: &ActiveEventLoop) {
        self.drain(event_loop);
        let surface = self.surface.as_ref().and_then(Surface::deadline);
        let next = [surface, self.pane.hud.expiry()].into_iter().flatten().min();
        event_loop
            .set_control_flow(next.map_or(ControlFlow::Wait, |at| ControlFlow::wait_duration(at.since(clock::now()))));
    }

    /// It has only to wake the loop. winit hands these out until there is none, before it looks for keys: were a picture drawn
    /// here that takes longer than the next one takes to come, no key would ever be heard.
    fn user_event(&mut self, _: &ActiveEventLoop, (): ()) {}

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::CloseRequested => self.quit(event_loop),
            WindowEvent::Resized(_) | WindowEvent::ScaleFactorChanged { .. } => {
                if let Some(surface) = &self.surface {
                    surface.window.request_redraw();
                }
                self.resized();
            }
            WindowEvent::RedrawRequested => {
                self.present(event_loop);
            }
            WindowEvent::KeyboardInput { event, is_synthetic: false, .. } if event.state == ElementState::Pressed => {
                self.key(event_loop, &event);
            }
            WindowEvent::Ime(ime) => self.compose(event_loop, ime),
            WindowEvent::ModifiersChanged(modifiers) => self.modifiers = modifiers,
            WindowEvent::MouseInput { state: ElementState::Pressed, button: MouseButton::Left, .. } => {
                self.press(event_loop);
            }
            WindowEvent::MouseInput { state: ElementState::Released, button: MouseButton::Left, .. } => {
                self.release(event_loop);
            }
            WindowEvent::CursorMoved { position, .. } => self.point(event_loop, Some((position.x, position.y))),
            WindowEvent::CursorLeft { .. } => self.point(event_loop, None),
            _ => {}
        }
    }
}

/// Tells double clicks.
#[derive(Default)]
pub struct Clicks {
    last: Time,
}

impl Clicks {
    /// A click; whether it is the second of two. A third one starts anew instead of toggling back.
    pub fn is_double(&mut self, now: Time) -> bool {
        let doubled = now.since(self.last) < DOUBLE_CLICK;
        self.last = if doubled { Time::ZERO } else { now };
        doubled
    }

    /// The next click is a first one.
    pub const fn forget(&mut self) {
        self.last = Time::ZERO;
    }
}

/// Lines of the history that a key goes by.
const PAGE: usize = 8;
/// The usual default of desktops.
const DOUBLE_CLICK: Duration = Duration::from_millis(400);
