//! What the watcher's program tells its window, if it has one.

use std::env;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crate::media::Canvas;
use crate::record::still::{self, StillKind};
use crate::view::{FilmPlace, Handle, List, Order, Rates, Still, TalkLine};
use crate::wire::talk::Line;

/// The window, or none. A window that is gone hears nothing; its end comes by another way.
#[derive(Clone, Default)]
pub struct Screen(pub Option<Handle>);

impl Screen {
    fn send(&self, order: Order) {
        if let Some(window) = &self.0 {
            window.send(order).ok();
        }
    }

    pub const fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// `what – udpstream`.
    pub fn title(&self, what: &str) {
        self.send(Order::Title(format!("{what} – udpstream")));
    }

    pub fn notice(&self, text: &str) {
        self.send(Order::Notice(text.to_owned()));
    }

    pub fn figures(&self, lines: Vec<String>, rates: Vec<Rates>) {
        self.send(Order::Figures(lines, rates));
    }

    /// Somebody has said something.
    pub fn line(&self, line: &Line) {
        let Line { name, text, is_maker, .. } = line.clone();
        self.send(Order::Line(TalkLine { name, text, is_maker }));
    }

    /// Something can be said, or cannot, for this reason.
    pub fn talk(&self, open: Result<(), &'static str>) {
        self.send(Order::Talk(open));
    }

    /// What is said from now on is of another stream.
    pub fn talk_of(&self, name: &str) {
        let (name, text) = (String::new(), format!("— {name} —"));
        self.send(Order::Line(TalkLine { name, text, is_maker: false }));
    }

    /// Where a film on demand is, if one is shown.
    pub fn film(&self, place: Option<FilmPlace>) {
        self.send(Order::Film(place));
    }

    /// Lines to choose from, or none any more.
    pub fn list(&self, list: Option<List>) {
        self.send(Order::List(list));
    }

    /// Whether a recording runs.
    pub fn recording(&self, runs: bool) {
        self.send(Order::Recording(runs));
    }

    /// Saves a picture in the current folder, on a thread of its own: a large PNG takes longer than a picture's time.
    /// Beyond a few at a time, each of which holds a picture, the disk is too slow.
    pub fn save(&self, savers: &mut Vec<JoinHandle<()>>, canvas: Arc<Canvas>, title: String, id: u64, kind: Still) {
        savers.retain(|saver| !saver.is_finished());
        if savers.len() >= SAVERS {
            return self.notice("Not saved: the disk is still busy with the ones before.");
        }
        let screen = self.clone();
        let save = move || {
            let kind = match kind {
                Still::Png => StillKind::Png,
                Still::Jpeg => StillKind::Jpeg,
            };
            let folder = env::current_dir().unwrap_or_else(|_| ".".into());
            match still::save_new(&canvas, &folder, &title, id, kind) {
                Ok(path) => {
                    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
                    screen.notice(&format!("Saved as {name}."));
                    tracing::info!(path = %path.display(), "snapshot saved");
                }
                Err(error) => {
                    let text = format!("Not saved: {error}.");
                    screen.notice(&text);
                    tracing::warn!("{text}");
                }
            }
        };
        let thread = Builder::new().name("snapshot".into()).spawn(save);
        savers.extend(
            thread.inspect_err(|error| self.notice(&format!("Not saved: no thread could be started ({error})."))),
        );
    }
}

/// Snapshots being saved at once.
const SAVERS: usize = 4;
