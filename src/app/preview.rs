//! `serve --preview`: what is sent, in a window on this machine. The window lives on the main thread, the stream on another,
//! and decoding on a third that always takes the newest picture: nothing here ever holds the stream up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use anyhow::anyhow;
use crossbeam_channel::{Receiver as Inbox, Sender, bounded};

use super::serve::Tap;
use super::watch::screen::Screen;
use super::{Exit, decode, leaving, terminal};
use crate::codec::Decoder;
use crate::media::Canvas;
use crate::media::coded::CodedPicture;
use crate::queue::{self, Consumer, Producer, Waker, WhenFull};
use crate::units::Size;
use crate::view::{self, Card, Frame, Handle, Happened, Order, Still, ViewError, Wish};

/// What the user does at the window, for the program behind it.
pub enum Act {
    Snapshot { canvas: Arc<Canvas>, id: u64, still: Still },
    Wish(Wish),
}

/// The window and what feeds it; without a window nothing is done.
#[derive(Default)]
pub struct Preview {
    pub screen: Screen,
    tap: Option<PreviewTap>,
    /// The window was not closed.
    open: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    acts: Option<Inbox<Act>>,
    savers: Vec<JoinHandle<()>>,
}

/// Takes the pictures of one stream to the window. The preview waits for its end.
pub struct PreviewTap {
    /// Until the window is closed.
    pictures: Option<Producer<Coded>>,
    open: Arc<AtomicBool>,
}

struct Coded {
    id: u64,
    size: Size,
    jpeg: Vec<u8>,
}

/// Runs `stream` behind a window on this thread, which must be the main one. Where no window can be had, and after it was
/// closed, the stream goes on all the same.
pub fn run(
    waker: Waker,
    stream: impl FnOnce(Preview) -> anyhow::Result<Exit> + Send + 'static,
) -> anyhow::Result<Exit> {
    let (result, outcome) = bounded(1);
    let (leaves, left) = bounded(0);
    let (act, acts) = bounded(ACTS);
    // Whoever takes it runs it: the thread behind the window or, without a window, this one.
    let stream = Arc::new(Mutex::new(Some(stream)));
    let held = Arc::clone(&stream);
    let ready = move |window: Handle| {
        let behind = move || {
            let preview = Preview::new(window.clone(), acts);
            let ended = take(&held).map_or_else(|| Ok(Exit::Failed), |stream| stream(preview));
            window.send(Order::Close).ok();
            leaving::wait_for_window(&left, &ended);
            result.send(ended).ok();
        };
        // Without the thread the stream is still there, and runs below.
        drop(Builder::new().name("net".into()).spawn(behind));
    };
    let happened = |happened| told(happened, &act, &waker);
    if let Err(error) = view::run(TITLE, Size::new(1_280, 720), ready, happened) {
        terminal::message(&format!("{}; the stream goes on without it.", why(&error)));
    }
    drop::<Sender<()>>(leaves);
    match outcome.recv() {
        Ok(exit) => exit,
        Err(_) => match take(&stream) {
            Some(stream) => stream(Preview::default()),
            None => Err(anyhow!("the network thread died: this is a bug")),
        },
    }
}

fn take<T>(held: &Mutex<Option<T>>) -> Option<T> {
    held.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn told(happened: Happened, acts: &Sender<Act>, waker: &Waker) {
    let act = match happened {
        Happened::Wished(wish) => Act::Wish(wish),
        Happened::Snapshot { canvas, id, still } => Act::Snapshot { canvas, id, still },
        Happened::Quit => return terminal::message("The preview is closed; the stream goes on. Ctrl-C ends it."),
        _ => return,
    };
    // The stream may have ended before its window, or not get round to so many keys.
    acts.try_send(act).ok();
    waker();
}

fn why(error: &ViewError) -> String {
    match error {
        ViewError::NoDisplay(why) => format!("No preview: there is no display to open a window on ({why})"),
        other => format!("No preview: {other}"),
    }
}

impl Preview {
    fn new(window: Handle, acts: Inbox<Act>) -> Self {
        let (pictures, coded) = queue::bounded(1, WhenFull::DropOldest, None);
        let lines = vec!["Pictures are shown here while they are sent.".to_owned()];
        window.send(Order::Card(Card { title: "Waiting for the first picture".to_owned(), lines })).ok();
        let screen = Screen(Some(window.clone()));
        screen.talk(Err("Lines are typed at the terminal here: start with --talk."));
        let thread = Builder::new().name("preview".into()).spawn(move || decode_all(&window, &coded));
        let thread = thread.inspect_err(|error| screen.notice(&format!("Nothing can be shown ({error})."))).ok();
        let open = Arc::new(AtomicBool::new(true));
        let tap = Some(PreviewTap { pictures: Some(pictures), open: Arc::clone(&open) });
        Self { screen, tap, open, thread, acts: Some(acts), savers: Vec::new() }
    }

    pub fn is_there(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// What takes a stream's pictures to the window; there is one.
    pub fn tap(&mut self) -> Option<PreviewTap> {
        self.tap.take()
    }

    /// What the user has asked for since the last time.
    pub fn acts(&self) -> Vec<Act> {
        self.acts.iter().flat_map(Inbox::try_iter).collect()
    }

    /// Saves the picture on the screen.
    pub fn save(&mut self, canvas: Arc<Canvas>, title: &str, id: u64, still: Still) {
        self.screen.save(&mut self.savers, canvas, title.to_owned(), id, still);
    }
}

impl Tap for PreviewTap {
    fn picture(&mut self, picture: &CodedPicture) {
        let shows = !picture.is_same() && Canvas::fits(picture.size);
        let Some(pictures) = self.pictures.as_ref().filter(|_| shows) else { return };
        let coded = Coded { id: picture.unit.0.into(), size: picture.size, jpeg: picture.jpeg.clone() };
        if pictures.push(coded).is_err() {
            // The window was closed.
            self.pictures = None;
            self.open.store(false, Ordering::Relaxed);
        }
    }

    fn wants_pictures(&self) -> bool {
        self.pictures.is_some()
    }
}

impl Drop for Preview {
    fn drop(&mut self) {
        self.tap = None;
        for thread in self.thread.take().into_iter().chain(self.savers.drain(..)) {
            thread.join().ok();
        }
    }
}

/// Decodes until there are no more pictures or no window.
fn decode_all(window: &Handle, coded: &Consumer<Coded>) {
    let Ok(mut decoder) = Decoder::new() else { return };
    let mut canvases = decode::Canvases::default();
    while let Some(Coded { id, size, jpeg }) = coded.pop() {
        let mut canvas = canvases.take(size);
        let decoded = Arc::get_mut(&mut canvas).map(|canvas| decoder.decode(0, &jpeg, canvas, 0, 0));
        canvases.give_back(Arc::clone(&canvas));
        // The one whose place it takes in the window is free again.
        if matches!(decoded, Some(Ok(_))) && window.show(Frame { canvas, id }).is_err() {
            return;
        }
    }
}

/// Keys that wait for the event loop.
const ACTS: usize = 64;
const TITLE: &str = "udpstream serve";
