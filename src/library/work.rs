//! The threads of a library: one that looks through its folders, and those that look into files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::thread::Builder;
use std::time::{Duration, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use notify::{RecursiveMode, Watcher};

use super::about::{Entry, What};
use super::database::{Database, FileKey, Known};
use super::inside::OpenRoot;
use super::look::{Inspect, NotMedia};
use super::scan::{Found, scan};
use super::table::Table;
use super::{Library, LibraryError, Options, Shared};
use crate::clock::{now, wall_ahead};
use crate::ffmpeg::Control;
use crate::queue::Waker;
use crate::units::Time;

/// Changes come in spells.
const SETTLE: Duration = Duration::from_millis(400);
/// A spell that does not end is looked at all the same.
const LONGEST: Duration = Duration::from_secs(3);
/// What is being written is looked at again after this.
const AGAIN: Duration = Duration::from_secs(2);
/// Where the system does not tell of changes, folders are looked through so often; and as often in any case, as some are missed.
const POLL: Duration = Duration::from_secs(60);
/// So many files are kept in the database together.
const TOGETHER: usize = 100;

/// What the thread that looks through folders is told.
pub enum Message {
    /// Something has changed.
    Changed,
    Looked(Found, Box<Result<Entry, NotMedia>>),
    Stop,
}

/// Opens a library; files are looked into by `inspect`.
pub fn open(options: Options, inspect: Arc<dyn Inspect>) -> Result<Library, LibraryError> {
    let Options { roots, folder, jobs, waker } = options;
    let open = |root: &super::Root| {
        OpenRoot::new(&root.path).map_err(|why| LibraryError::Root { folder: root.path.clone(), why })
    };
    let roots = roots.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let shared = Arc::new(Shared { roots, table: std::sync::RwLock::default() });
    let stop = Control::new().map_err(LibraryError::Thread)?;
    let (orders, inbox) = unbounded();
    let (files, queue) = bounded(0);
    let mut threads = Vec::new();
    for _ in 0..jobs.max(1) {
        let worker = Looker { shared: Arc::clone(&shared), inspect: Arc::clone(&inspect), stop: stop.clone() };
        let (queue, out) = (queue.clone(), orders.clone());
        let work = move || worker.run(&queue, &out);
        threads.push(Builder::new().name("library look".into()).spawn(work).map_err(LibraryError::Thread)?);
    }
    let database = Database::open(&folder);
    let mut keeper = Keeper {
        shared: Arc::clone(&shared),
        database,
        waker,
        waiting: Vec::new(),
        looking: Vec::new(),
        learnt: Vec::new(),
    };
    // What was known is there before anybody asks.
    keeper.begin();
    let telling = orders.clone();
    let watcher = watch(&shared, telling);
    let work = move || keeper.run(&inbox, &files);
    threads.push(Builder::new().name("library".into()).spawn(work).map_err(LibraryError::Thread)?);
    Ok(Library { shared, orders, threads, stop, _watcher: watcher })
}

/// Tells of changes; `None` where the system does not, so that folders are looked through now and then.
fn watch(shared: &Shared, telling: Sender<Message>) -> Option<notify::RecommendedWatcher> {
    let told = move |event: notify::Result<notify::Event>| {
        // To read a file changes nothing.
        let changes = event.as_ref().is_ok_and(|event| !event.kind.is_access());
        if changes || event.is_err() {
            telling.send(Message::Changed).ok();
        }
    };
    let mut watcher = notify::recommended_watcher(told).ok()?;
    for root in &shared.roots {
        if let Err(error) = watcher.watch(&root.path, RecursiveMode::Recursive) {
            tracing::info!(%error, folder = %root.path.display(), "changes are not told, and are looked for each minute");
        }
    }
    Some(watcher)
}

/// Looks into files, one after the other.
struct Looker {
    shared: Arc<Shared>,
    inspect: Arc<dyn Inspect>,
    stop: Control,
}

impl Looker {
    fn run(&self, queue: &Receiver<Found>, out: &Sender<Message>) {
        while let Ok(found) = queue.recv() {
            let result = Box::new(self.look(&found));
            if out.send(Message::Looked(found, result)).is_err() {
                return;
            }
        }
    }

    fn look(&self, found: &Found) -> Result<Entry, NotMedia> {
        let unreadable = |why: std::io::Error| NotMedia::Broken(format!("it cannot be read ({why})"));
        let root = self.shared.roots.get(found.root).ok_or(NotMedia::Stopped)?;
        let file = root.open(&found.path).map_err(unreadable)?;
        let held = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
        if !held.exists() {
            return Err(NotMedia::Broken("it cannot be handed to ffprobe, as /proc is not there".to_owned()));
        }
        self.inspect.inspect(&held, &found.path, &self.stop)
    }
}

/// Looks through the folders, and knows what is known.
struct Keeper {
    shared: Arc<Shared>,
    database: Database,
    waker: Waker,
    /// Files to be looked into, the last first.
    waiting: Vec<Found>,
    /// Files that are being looked into.
    looking: Vec<Found>,
    /// What the database does not have yet.
    learnt: Vec<(FileKey, Known)>,
}

impl Keeper {
    fn key(&self, found: &Found) -> Option<FileKey> {
        let root = self.shared.roots.get(found.root)?.path.clone();
        Some(FileKey { root, path: found.path.clone(), bytes: found.bytes, changed: found.changed })
    }

    fn say(&mut self) {
        if let Some(trouble) = self.database.trouble() {
            tracing::warn!("The library: {trouble}.");
        }
    }

    /// The table as it was the last time, and as the folders are now.
    fn begin(&mut self) {
        self.look_through();
        self.say();
    }

    /// Returns whether something is to be looked at again soon.
    fn look_through(&mut self) -> bool {
        let wall = u64::try_from(now().nanos().saturating_add(wall_ahead())).unwrap_or(0);
        let (found, again) = scan(&self.shared.roots, UNIX_EPOCH + Duration::from_nanos(wall));
        let mut known: BTreeMap<FileKey, Known> = BTreeMap::new();
        for root in &self.shared.roots {
            known.append(&mut self.database.load(&root.path));
        }
        known.extend(self.learnt.iter().cloned());
        self.add_what_is_in_memory(&mut known);
        let keys: Vec<Option<FileKey>> = found.iter().map(|file| self.key(file)).collect();
        let there: BTreeSet<&FileKey> = keys.iter().flatten().collect();
        let gone: Vec<FileKey> = known.keys().filter(|key| !there.contains(key)).cloned().collect();
        let (mut kept, mut waiting) = (Vec::new(), Vec::new());
        for (file, key) in found.into_iter().zip(&keys) {
            match key.as_ref().and_then(|key| known.get(key)) {
                // It is neither film nor song.
                Some(None) => continue,
                Some(Some(_)) => {}
                None if file.wrong.is_none() && !self.looking.contains(&file) => waiting.push(file.clone()),
                None => {}
            }
            kept.push(file);
        }
        let entry = |file: &Found| self.key(file).and_then(|key| known.get(&key).cloned().flatten());
        let table = Table::new(kept, entry);
        *self.shared.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        // The first is looked into first.
        waiting.reverse();
        self.waiting = waiting;
        if !gone.is_empty() {
            self.database.forget(&gone);
        }
        (self.waker)();
        again
    }

    /// Without a database what is known is what the table has.
    fn add_what_is_in_memory(&self, known: &mut BTreeMap<FileKey, Known>) {
        let table = self.shared.table();
        for item in table.all().filter(|item| !item.entry.unseen && item.entry.what != What::Broken) {
            let Some(root) = self.shared.roots.get(item.root) else { continue };
            let key =
                FileKey { root: root.path.clone(), path: item.path.clone(), bytes: item.bytes, changed: item.changed };
            known.entry(key).or_insert_with(|| Some((*item.entry).clone()));
        }
    }

    fn run(&mut self, inbox: &Receiver<Message>, files: &Sender<Found>) {
        let mut look = Some(now() + AGAIN);
        // The first change that was not looked at.
        let mut changed: Option<Time> = None;
        loop {
            let timeout = look.map_or(POLL, |at| at.since(now()));
            let message = match self.waiting.pop() {
                // Whoever is free takes it; what comes meanwhile is heard.
                Some(next) => {
                    crossbeam_channel::select! {
                        send(files, next.clone()) -> sent => { if sent.is_err() { return } self.looking.push(next); None }
                        recv(inbox) -> message => {
                            self.waiting.push(next);
                            Some(message.unwrap_or(Message::Stop))
                        }
                    }
                }
                None => match inbox.recv_timeout(timeout) {
                    Ok(message) => Some(message),
                    Err(RecvTimeoutError::Timeout) => {
                        look = self.look_through().then(|| now() + AGAIN);
                        None
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                },
            };
            match message {
                Some(Message::Stop) => return self.keep(),
                Some(Message::Changed) => {
                    let first = *changed.get_or_insert(now());
                    look = Some((now() + SETTLE).min(first + LONGEST).max(now()));
                }
                Some(Message::Looked(found, result)) => self.looked(&found, *result),
                None => {}
            }
            if look.is_some_and(|at| at <= now()) {
                changed = None;
                look = self.look_through().then(|| now() + AGAIN);
            }
            if self.learnt.len() >= TOGETHER || self.waiting.is_empty() && !self.learnt.is_empty() {
                self.keep();
            }
            self.say();
        }
    }

    fn keep(&mut self) {
        let learnt = std::mem::take(&mut self.learnt);
        self.database.keep(&learnt);
    }

    fn looked(&mut self, found: &Found, result: Result<Entry, NotMedia>) {
        self.looking.retain(|file| file != found);
        let entry = match result {
            Ok(entry) => Some(entry),
            // Of what has no ending of a film nobody expects one.
            Err(NotMedia::Broken(_)) if !found.is_known => None,
            Err(NotMedia::Broken(reason)) => {
                Some(Entry { what: What::Broken, reason: Some(reason), ..Entry::default() })
            }
            Err(NotMedia::Other) => None,
            Err(NotMedia::Stopped) => return,
        };
        // One that has changed since is looked into again.
        let same = self.shared.roots.get(found.root).and_then(|root| fs::metadata(root.path.join(&found.path)).ok());
        let changed = |about: &fs::Metadata| {
            about
                .modified()
                .ok()
                .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
                .map_or(0, |since| since.as_nanos() as i64)
        };
        if same.is_some_and(|about| about.len() == found.bytes && changed(&about) == found.changed)
            && let Some(key) = self.key(found)
        {
            self.learnt.push((key, entry.clone()));
        }
        self.shared.table.write().unwrap_or_else(PoisonError::into_inner).learn(found, entry);
        (self.waker)();
    }
}
