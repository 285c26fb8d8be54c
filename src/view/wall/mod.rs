//! Many pictures in one window. Each tile has a [`Handle`] of its own, so whatever feeds a window feeds a tile; the window
//! says which tile is chosen and which are visible, and how large.
//!
//! As in a window of one picture nothing waits on time but notices. The wall's thread is woken by a tile that has something
//! new, and draws those tiles that have; several that wait are drawn in one go.

pub mod keys;
mod layout;
mod life;
mod tile;

use std::sync::Arc;

use winit::event_loop::ActiveEventLoop;
use winit::event_loop::ControlFlow;

pub use self::layout::Grid;
use self::layout::{Way, hit};
use self::tile::Tile;
use super::hud::Hud;
use super::orders::{Handle, orders};
use super::pane::{Draw, Taken};
use super::surface::{Changed, Sheet, Surface};
use super::window::Clicks;
use super::{Happened, ViewError};
use crate::units::Size;
use crate::{clock, text};

/// The most tiles that a wall has.
pub const MOST: usize = 36;

/// What the wall shows.
pub struct Options {
    pub title: String,
    /// One tile each.
    pub names: Vec<String>,
    /// Columns and rows; `None`: as the window's shape wants it.
    pub grid: Option<Grid>,
}

/// What the wall tells, always on the thread that called [`run`].
pub enum WallEvent {
    /// Of one tile. `Opened` and `Quit` are told of none.
    Tile(usize, Happened),
    /// Another tile is chosen. Told of the first one when the window opens.
    Chosen(usize),
    /// How large each tile is in pixels of the screen; `None` for one that cannot be seen.
    Visible(Vec<Option<Size>>),
    /// The user closed the window; [`run`] returns next. Not told when all tiles were closed.
    Quit,
}

/// Opens a window and lives in it until the user quits or each tile was told to [`Close`](super::Order::Close); one that
/// was keeps what it shows. Must be called as [`view::run`](super::run) must.
pub fn run(
    options: &Options,
    on_ready: impl FnOnce(Vec<Handle>),
    happened: impl FnMut(WallEvent),
) -> Result<(), ViewError> {
    let event_loop = super::life::event_loop()?;
    let proxy = event_loop.create_proxy();
    let fonts = proxy.clone();
    text::on_fonts(move || {
        let _closed_by_then = fonts.send_event(());
    });
    let wake: Arc<dyn Fn() -> bool + Send + Sync> = Arc::new(move || proxy.send_event(()).is_ok());
    let pairs = options.names.iter().take(MOST).map(|name| {
        let wake = Arc::clone(&wake);
        let (handle, orders) = orders(move || wake());
        (handle, Tile::new(name, orders))
    });
    let (handles, tiles) = pairs.unzip();
    on_ready(handles);
    let mut wall = Wall::new(options, tiles, happened);
    let ended = super::life::live(event_loop, &mut wall);
    wall.failed.map_or(ended, Err)
}

struct Wall<F> {
    title: String,
    tiles: Vec<Tile>,
    grid: Option<Grid>,
    happened: F,
    chosen: usize,
    /// The chosen tile fills the window.
    large: bool,
    /// The keys are shown.
    help: bool,
    surface: Option<Surface>,
    /// The window that the tiles were placed in.
    window: Size,
    /// What was told last.
    visible: Vec<Option<Size>>,
    /// The whole window is to be drawn.
    stale: bool,
    presentations: u64,
    clicks: Clicks,
    pointer: (f64, f64),
    shift: bool,
    start_fullscreen: bool,
    failed: Option<ViewError>,
}

impl<F: FnMut(WallEvent)> Wall<F> {
    fn new(options: &Options, tiles: Vec<Tile>, happened: F) -> Self {
        Self {
            title: options.title.clone(),
            tiles,
            grid: options.grid,
            happened,
            chosen: 0,
            large: false,
            help: false,
            surface: None,
            window: Size::new(0, 0),
            visible: Vec::new(),
            stale: true,
            presentations: 0,
            clicks: Clicks::default(),
            pointer: (-1.0, -1.0),
            shift: false,
            start_fullscreen: false,
            failed: None,
        }
    }

    fn grid(&self) -> Grid {
        let count = self.tiles.len();
        self.grid.map_or_else(|| Grid::best(count, self.window), |grid| grid.holding(count))
    }

    /// Takes over all that the tiles were told since the last time, and shows it.
    fn drain(&mut self, event_loop: &ActiveEventLoop) {
        let now = clock::now();
        let taken: Vec<Taken> = self.tiles.iter_mut().map(|tile| tile.pane.take(now)).collect();
        for (tile, taken) in self.tiles.iter_mut().zip(&taken) {
            tile.closed |= taken.close;
            if taken.retitled {
                tile.pane.hud.label.clone_from(&tile.pane.title);
            }
        }
        if self.tiles.iter().all(|tile| tile.closed) {
            return event_loop.exit();
        }
        if taken.iter().any(|taken| taken.fullscreen) {
            self.go_fullscreen();
        }
        let drawn: Vec<Draw> = taken
            .iter()
            .map(|taken| if taken.retitled && taken.draw == Draw::Nothing { Draw::Again } else { taken.draw })
            .collect();
        self.show(event_loop, &drawn);
    }

    /// Draws those tiles that have something new, and tells what became of new pictures.
    fn show(&mut self, event_loop: &ActiveEventLoop, drawn: &[Draw]) {
        let seen = self.tiles.iter().zip(drawn).filter(|(tile, _)| tile.place.is_some());
        let anything = seen.clone().any(|(_, draw)| matches!(draw, Draw::Again | Draw::Fresh));
        self.render(|at| matches!(drawn.get(at), Some(Draw::Again | Draw::Fresh)));
        let presented = !anything || self.present(event_loop);
        for (at, draw) in drawn.iter().enumerate() {
            self.tell(at, *draw, presented);
        }
    }

    fn tell(&mut self, at: usize, draw: Draw, presented: bool) {
        let tile = &mut self.tiles[at];
        let happened = match draw {
            Draw::Nothing | Draw::Again => None,
            Draw::Known | Draw::Fresh if presented && tile.place.is_some() && self.surface.is_some() => {
                tile.pane.set_drawn(true);
                tile.pane.presented(clock::now())
            }
            Draw::Known | Draw::Fresh => {
                tile.pane.set_drawn(false);
                tile.pane.frame().map(|(_, id)| Happened::Withheld { id })
            }
        };
        happened.into_iter().for_each(|happened| (self.happened)(WallEvent::Tile(at, happened)));
    }

    /// Draws the pixels of some tiles anew.
    fn render(&mut self, which: impl Fn(usize) -> bool) {
        let Some(surface) = &self.surface else { return };
        let (scale, several) = (surface.scale(), !self.large && self.tiles.len() > 1);
        for (at, tile) in self.tiles.iter_mut().enumerate().filter(|(at, _)| which(*at)) {
            tile.render(scale, several && at == self.chosen);
        }
    }

    /// Places all tiles anew and draws everything.
    fn arrange(&mut self, event_loop: &ActiveEventLoop) {
        let Some(surface) = &self.surface else { return };
        self.window = surface.size();
        let grid = self.grid();
        for (at, tile) in self.tiles.iter_mut().enumerate() {
            tile.place = match self.large {
                true if at == self.chosen => Some(Grid { columns: 1, rows: 1 }.place(0, self.window)),
                true => None,
                false => Some(grid.place(at, self.window)),
            };
            tile.place = tile.place.filter(|place| place.size.pixels() > 0);
        }
        let name = self.tiles.get(self.chosen).filter(|_| self.large).map(|tile| &tile.pane.title);
        surface.window.set_title(&name.map_or_else(|| self.title.clone(), |name| format!("{name} – {}", self.title)));
        let visible: Vec<_> = self.tiles.iter().map(|tile| tile.place.map(|place| place.size)).collect();
        if visible != self.visible {
            self.visible.clone_from(&visible);
            (self.happened)(WallEvent::Visible(visible));
        }
        self.redraw(event_loop);
    }

    fn redraw(&mut self, event_loop: &ActiveEventLoop) {
        self.stale = true;
        self.render(|_| true);
        self.present(event_loop);
    }

    /// Hands what has changed to the screen; false while there is no window.
    fn present(&mut self, event_loop: &ActiveEventLoop) -> bool {
        let Self { surface: Some(surface), tiles, presentations, help, .. } = self else { return false };
        // What lies over several tiles is drawn with all of them.
        let all = std::mem::take(&mut self.stale) || *help;
        *presentations += 1;
        let number = *presentations;
        let presented = surface.present(|sheet| compose(sheet, tiles, number, all, *help));
        match presented {
            Ok(presented) => presented,
            Err(error) => {
                self.failed.get_or_insert(error.into());
                event_loop.exit();
                false
            }
        }
    }

    fn go_fullscreen(&mut self) {
        match &mut self.surface {
            Some(surface) if !surface.is_fullscreen() => surface.toggle_fullscreen(clock::now()),
            Some(_) => {}
            None => self.start_fullscreen = true,
        }
    }

    fn choose(&mut self, event_loop: &ActiveEventLoop, tile: usize) {
        let before = std::mem::replace(&mut self.chosen, tile);
        if before == tile {
            return;
        }
        (self.happened)(WallEvent::Chosen(tile));
        if self.large {
            return self.arrange(event_loop);
        }
        self.render(|at| at == before || at == tile);
        self.present(event_loop);
    }

    fn enlarge(&mut self, event_loop: &ActiveEventLoop) {
        self.large = !self.large && self.tiles.len() > 1;
        self.arrange(event_loop);
    }

    fn step(&mut self, event_loop: &ActiveEventLoop, way: Way) {
        let tile = self.grid().step(self.chosen, self.tiles.len(), way);
        self.choose(event_loop, tile);
    }

    fn click(&mut self, event_loop: &ActiveEventLoop) {
        let Some(tile) = hit(self.tiles.iter().map(|tile| tile.place), self.pointer) else {
            return self.clicks.forget();
        };
        if tile != self.chosen {
            self.clicks.forget();
            self.choose(event_loop, tile);
        }
        if self.clicks.is_double(clock::now()) {
            self.enlarge(event_loop);
        }
    }

    fn due(&mut self, event_loop: &ActiveEventLoop) {
        let now = clock::now();
        if let Some(surface) = &mut self.surface {
            surface.check_fullscreen(now);
        }
        let drawn: Vec<Draw> = self
            .tiles
            .iter_mut()
            .map(|tile| if tile.pane.hud.expire(now) { Draw::Again } else { Draw::Nothing })
            .collect();
        self.show(event_loop, &drawn);
    }

    fn wait(&self, event_loop: &ActiveEventLoop) {
        let surface = self.surface.as_ref().and_then(Surface::deadline);
        let next = self.tiles.iter().filter_map(|tile| tile.pane.hud.expiry()).chain(surface).min();
        event_loop
            .set_control_flow(next.map_or(ControlFlow::Wait, |at| ControlFlow::wait_duration(at.since(clock::now()))));
    }
}

/// Brings tiles onto the window's pixels; `all`: also those that have not changed, and the ground between them.
fn compose(sheet: Sheet<'_>, tiles: &mut [Tile], number: u64, all: bool, help: bool) -> Changed {
    let Sheet { pixels, size, scale, age } = sheet;
    let age = if all { 0 } else { age };
    if age == 0 {
        pixels.fill(0);
    }
    let mut parts = Vec::new();
    for tile in tiles {
        let new = tile.put(pixels, size.width, number, age);
        parts.extend(tile.place.filter(|_| new));
    }
    if help {
        Hud::explaining(keys::HELP).draw(pixels, size, scale);
    }
    if age == 0 { Changed::All } else { Changed::Parts(parts) }
}
