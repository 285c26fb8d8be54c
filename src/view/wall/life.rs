//! What the window system tells the wall.

use winit::application::ApplicationHandler;
use winit::event::{ElementState, KeyEvent, MouseButton, StartCause, WindowEvent};
use winit::event_loop::ActiveEventLoop;
use winit::window::WindowId;

use super::super::Happened;
use super::super::surface::Surface;
use super::keys::{self, Action};
use super::{Grid, Wall, WallEvent};
use crate::clock;
use crate::units::Size;

impl<F: FnMut(WallEvent)> Wall<F> {
    fn quit(&mut self, event_loop: &ActiveEventLoop) {
        (self.happened)(WallEvent::Quit);
        event_loop.exit();
    }

    fn act(&mut self, event_loop: &ActiveEventLoop, action: Action) {
        let Some(surface) = &mut self.surface else { return };
        match action {
            Action::Leave if self.large => self.enlarge(event_loop),
            Action::Leave if surface.is_fullscreen() => surface.toggle_fullscreen(clock::now()),
            Action::Leave | Action::Quit => self.quit(event_loop),
            Action::Enlarge => self.enlarge(event_loop),
            Action::Choose(way) => self.step(event_loop, way),
            Action::Fullscreen => surface.toggle_fullscreen(clock::now()),
            Action::Figures => {
                let shown = self.tiles.iter().any(|tile| tile.pane.hud.figures);
                self.tiles.iter_mut().for_each(|tile| tile.pane.hud.figures = !shown);
                self.redraw(event_loop);
            }
            Action::Help => {
                self.help = !self.help;
                self.redraw(event_loop);
            }
            Action::Snapshot(still) => {
                let at = self.chosen;
                let happened = self.tiles[at].pane.snapshot(still, clock::now());
                happened.into_iter().for_each(|happened| (self.happened)(WallEvent::Tile(at, happened)));
                self.redraw(event_loop);
            }
            Action::Wish(wish) => (self.happened)(WallEvent::Tile(self.chosen, Happened::Wished(wish))),
        }
    }

    /// The window at first: tiles of a usual size.
    fn hint(&self) -> Size {
        let Grid { columns, rows } = self.grid.map_or_else(
            || Grid::best(self.tiles.len(), Size::new(1_920, 1_080)),
            |grid| grid.holding(self.tiles.len()),
        );
        Size::new(TILE.width.saturating_mul(columns.into()), TILE.height.saturating_mul(rows.into()))
    }

    fn keyed(&mut self, event_loop: &ActiveEventLoop, key: &KeyEvent) {
        if let Some(action) = keys::action(&key.logical_key, self.shift, key.repeat) {
            self.act(event_loop, action);
        }
    }
}

impl<F: FnMut(WallEvent)> ApplicationHandler<()> for Wall<F> {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.surface.is_some() {
            return;
        }
        match Surface::open(event_loop, &self.title, self.hint()) {
            Ok(surface) => self.surface = Some(surface),
            Err(error) => {
                self.failed.get_or_insert(error);
                return event_loop.exit();
            }
        }
        (self.happened)(WallEvent::Chosen(self.chosen));
        if std::mem::take(&mut self.start_fullscreen) {
            self.go_fullscreen();
        }
        self.arrange(event_loop);
        self.drain(event_loop);
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
        self.wait(event_loop);
    }

    /// It has only to wake the loop, as in a single stream's window.
    fn user_event(&mut self, _: &ActiveEventLoop, (): ()) {}

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::CloseRequested => self.quit(event_loop),
            WindowEvent::Resized(_) | WindowEvent::ScaleFactorChanged { .. } => {
                if let Some(surface) = &self.surface {
                    surface.window.request_redraw();
                }
            }
            WindowEvent::RedrawRequested => self.arrange(event_loop),
            WindowEvent::ModifiersChanged(modifiers) => self.shift = modifiers.state().shift_key(),
            WindowEvent::CursorMoved { position, .. } => self.pointer = (position.x, position.y),
            WindowEvent::KeyboardInput { event, is_synthetic: false, .. } if event.state == ElementState::Pressed => {
                self.keyed(event_loop, &event);
            }
            WindowEvent::MouseInput { state: ElementState::Pressed, button: MouseButton::Left, .. } => {
                self.click(event_loop);
            }
            _ => {}
        }
    }
}

/// A tile of a window that nobody has given another size.
const TILE: Size = Size::new(480, 270);
