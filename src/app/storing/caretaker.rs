//! The thread "recordings": looks each second how much the folder holds, and does what the [bound](super::bound) asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select, tick, unbounded};

use super::News;
use super::bound::{Plan, Stored, plan};
use super::folder::{Folder, Inventory};
use crate::queue::Waker;

/// So often the folder is looked through.
const LOOK: Duration = Duration::from_secs(1);

/// What the threads that write tell it, by the names of their files.
pub enum Order {
    /// It is being written; when the word is set, it is to be closed and another one begun.
    Begun(String, Arc<AtomicBool>),
    Ended(String),
}

/// The thread, as others see it. When it is dropped, and all who write have ended, the thread looks once more and ends.
pub struct Caretaker {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Caretaker {
    pub fn start(folder: Arc<Folder>, most: u64, news: Sender<News>, waker: Waker) -> io::Result<Self> {
        let (orders, inbox) = unbounded();
        let (running, inventory, seen) = (BTreeMap::new(), Inventory::default(), Seen::default());
        let work = Work { folder, most, news, waker, running, inventory, seen };
        let thread = Builder::new().name("recordings".into()).spawn(move || work.run(&inbox))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    pub fn orders(&self) -> Option<Sender<Order>> {
        self.orders.clone()
    }

    /// Waits for nothing any more.
    pub fn abandon(mut self) {
        self.thread = None;
    }
}

impl Drop for Caretaker {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

struct Work {
    folder: Arc<Folder>,
    most: u64,
    news: Sender<News>,
    waker: Waker,
    running: BTreeMap<String, Arc<AtomicBool>>,
    inventory: Inventory,
    seen: Seen,
}

/// What the last look has shown.
#[derive(Default)]
struct Seen {
    /// Bytes that were left after the last look.
    expected: Option<u64>,
    /// Files that could not be removed.
    stuck: BTreeSet<String>,
    stock: Option<(usize, u64)>,
    /// It was said that the folder cannot be read.
    untended: bool,
}

impl Work {
    fn run(mut self, inbox: &Receiver<Order>) {
        let ticks = tick(LOOK);
        // What former runs left may be too much already.
        self.look(inbox, true);
        loop {
            select! {
                recv(inbox) -> order => match order {
                    Ok(order) => self.note(order),
                    Err(_) => break,
                },
                recv(ticks) -> _ => self.look(inbox, true),
            }
        }
        self.look(inbox, false);
    }

    fn note(&mut self, order: Order) {
        match order {
            Order::Begun(name, part) => drop(self.running.insert(name, part)),
            Order::Ended(name) => drop(self.running.remove(&name)),
        }
    }

    /// `goes_on`: more is written after this.
    fn look(&mut self, inbox: &Receiver<Order>, goes_on: bool) {
        let found = self.inventory.look(self.folder.path());
        // Whoever writes has said so before: what was found and is not known after this is finished.
        inbox.try_iter().for_each(|order| self.note(order));
        match found {
            Ok(mut stored) => {
                self.seen.untended = false;
                stored.iter_mut().for_each(|file| file.is_running = self.running.contains_key(&file.name));
                self.tend(&stored, goes_on);
            }
            Err(why) => {
                if !std::mem::replace(&mut self.seen.untended, true) {
                    self.say(News::Untended(format!("recordings in {} cannot be counted: {why}", self.path())));
                }
            }
        }
    }

    fn tend(&mut self, stored: &[Stored], goes_on: bool) {
        let total: u64 = stored.iter().map(|file| file.bytes).sum();
        let growth = self.seen.expected.filter(|_| goes_on).map_or(0, |expected| total.saturating_sub(expected));
        let Plan { delete, part } = plan(stored, self.most, growth);
        for at in part {
            if let Some(word) = self.running.get(&stored[at].name) {
                word.store(true, Ordering::Relaxed);
            }
        }
        let gone: Vec<&Stored> =
            delete.into_iter().map(|at| &stored[at]).filter(|file| self.delete(&file.name)).collect();
        let left = total - gone.iter().map(|file| file.bytes).sum::<u64>();
        self.seen.expected = Some(left);
        let stock = (stored.len() - gone.len(), left);
        if self.seen.stock.replace(stock) != Some(stock) {
            self.say(News::Stock(stock.0, stock.1));
        }
    }

    /// Whether it is gone.
    fn delete(&mut self, name: &str) -> bool {
        match fs::remove_file(self.folder.path().join(name)) {
            Ok(()) => self.say(News::Deleted(name.to_owned())),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => {
                if self.seen.stuck.insert(name.to_owned()) {
                    let text =
                        format!("{name} in {} could not be removed ({why}): recordings take too much", self.path());
                    self.say(News::Untended(text));
                }
                return false;
            }
        }
        true
    }

    fn path(&self) -> String {
        self.folder.path().display().to_string()
    }

    fn say(&self, news: News) {
        // The event loop may have ended.
        self.news.send(news).ok();
        (self.waker)();
    }
}
