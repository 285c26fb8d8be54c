//! The store: films, their objects, and the bound on all of them together.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;

use crate::store::disk::Disk;
use crate::store::error::StoreError;
use crate::store::film::{Film, MOST_NAME};
use crate::store::folder::{FilmFolder, erase, stream_of};
use crate::store::objects;
use crate::store::ownership::{self, FolderLock};
use crate::store::plan::{Accepted, Plan, place};
use crate::store::reading::StoredUnit;
use crate::store::real_disk::RealDisk;
use crate::store::room::failed;
use crate::store::runs::Track;
use crate::units::Unit;
use crate::wire::object::Type;

/// A folder of films, open in this process alone.
pub struct Store {
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) films: BTreeMap<u64, FilmFolder>,
    pub(crate) most_bytes: u64,
    /// The films that are played or filled now.
    pub(crate) protected: Vec<u64>,
    segment_bytes: u32,
    turns: u64,
    recovered: u64,
    /// Held for as long as the store is open.
    lock: Option<FolderLock>,
}

/// What the store has of a film.
#[derive(Clone, Copy, Debug)]
pub struct StoredFilm<'a> {
    pub film: &'a Film,
    /// Of all its files.
    pub bytes: u64,
    pub objects: u64,
    /// Seconds of Unix time.
    pub last_used: u64,
}

impl Store {
    /// Opens the store in this folder, which is made if it is missing, and cleans up what a killed process left.
    pub fn open(folder: &Path, most_bytes: u64) -> Result<Self, StoreError> {
        let lock = ownership::take(folder)?;
        let mut store = Self::on_disk(Box::new(RealDisk::new(folder)), most_bytes, SEGMENT_BYTES)?;
        store.lock = Some(lock);
        Ok(store)
    }

    pub(crate) fn on_disk(disk: Box<dyn Disk>, most_bytes: u64, segment_bytes: u32) -> Result<Self, StoreError> {
        let (films, protected, lock, turns, recovered) = (BTreeMap::new(), Vec::new(), None, 0, 0);
        let mut store = Self { disk, films, most_bytes, protected, segment_bytes, turns, recovered, lock };
        let path = String::from("its folder");
        let names = store.disk.list("").map_err(|source| StoreError::Disk { action: "read", path, why: source })?;
        let mut opened = Vec::new();
        for stream in names.iter().filter_map(|(name, _)| stream_of(name)) {
            let folder = store.open_film(stream).map_err(|error| failed("open", stream, error))?;
            opened.extend(folder);
        }
        opened.sort_by_key(|folder| folder.last_used);
        for mut folder in opened {
            folder.turn = store.next_turn();
            store.films.insert(folder.film.stream, folder);
        }
        store.fit()?;
        Ok(store)
    }

    /// Begins a film, or goes on with it: a description that is known and a film that is complete stay so. A film of the
    /// same stream with another identity is another film, so it is removed. `now` is Unix time in seconds.
    pub fn begin(&mut self, mut film: Film, now: u64) -> Result<(), StoreError> {
        let stream = film.stream;
        if film.name.len() > MOST_NAME {
            return Err(StoreError::Name { stream, length: film.name.len() });
        }
        if let Some(known) = self.films.get(&stream).map(|folder| &folder.film) {
            if known.identity == film.identity {
                for (new, old) in film.description.iter_mut().zip(&known.description) {
                    *new = new.take().or_else(|| old.clone());
                }
                film.complete |= known.complete;
                self.save(&film, now)?;
                return self.touch(stream, now);
            }
            self.remove(stream)?;
        }
        self.make_room(stream, film.encode(now).len() as u64)?;
        self.create(film, now)
    }

    /// Keeps the description object of unit 0 or 1.
    pub fn describe(&mut self, stream: u64, which: usize, bytes: &[u8]) -> Result<(), StoreError> {
        let mut film = self.film(stream).ok_or(StoreError::Unknown { stream })?.clone();
        let slot = film.description.get_mut(which).ok_or(StoreError::Description { which })?;
        if slot.as_deref() == Some(bytes) {
            return Ok(());
        }
        *slot = Some(bytes.to_vec());
        self.save(&film, self.last_used(stream))
    }

    /// Notes that nothing more will come.
    pub fn complete(&mut self, stream: u64) -> Result<(), StoreError> {
        let film = self.film(stream).ok_or(StoreError::Unknown { stream })?.clone();
        if film.complete {
            return Ok(());
        }
        self.save(&Film { complete: true, ..film }, self.last_used(stream))
    }

    /// Makes a film the one used last. The disk learns of it at most once a minute. `now` is Unix time in seconds.
    pub fn touch(&mut self, stream: u64, now: u64) -> Result<(), StoreError> {
        let turn = self.next_turn();
        let folder = self.films.get_mut(&stream).ok_or(StoreError::Unknown { stream })?;
        (folder.turn, folder.last_used) = (turn, now);
        if now.abs_diff(folder.saved_use) < SAVE_USE_EVERY {
            return Ok(());
        }
        match folder.save(self.disk.as_ref(), &folder.film.clone(), now) {
            // The order of films after the next start is not worth the eviction of one.
            Err(error) if !crate::store::error::is_full(&error) => Err(failed("write", stream, error)),
            _ => Ok(()),
        }
    }

    /// Sets the films that are never evicted: those that are played or filled now.
    pub fn protect(&mut self, streams: &[u64]) {
        self.protected = streams.to_vec();
    }

    /// Adds objects of one film, those that it does not have; tells how many. Either all of these are added or none.
    pub fn put(&mut self, objects: &[&[u8]]) -> Result<usize, StoreError> {
        let mut accepted = accept(objects)?;
        let Some(first) = accepted.first() else { return Ok(0) };
        let stream = first.header.name.stream;
        let folder = self.films.get(&stream).ok_or(StoreError::Unknown { stream })?;
        let runs = folder.runs.borrow();
        accepted.retain(|object| {
            let (track, key) = place(&object.header.name);
            !runs.contains(track, key)
        });
        drop(runs);
        if accepted.is_empty() {
            return Ok(0);
        }
        let full = StoreError::Full { most_bytes: self.most_bytes };
        let plan = Plan::new(&accepted, folder.tail(), self.segment_bytes).ok_or(full)?;
        self.make_room(stream, plan.cost())?;
        self.while_full(stream, "write", |disk, folder| folder.append(disk, &plan))?;
        Ok(accepted.len())
    }

    /// Reads what there is of a unit, in whatever cut it is stored.
    pub fn unit(&self, stream: u64, kind: Type, rendition: u8, unit: Unit) -> Option<StoredUnit> {
        self.films.get(&stream)?.unit(self.disk.as_ref(), Track { kind: kind.0, rendition }, unit.0)
    }

    /// All parts of the unit are there. This does not touch the disk.
    pub fn has_unit(&self, stream: u64, kind: Type, rendition: u8, unit: Unit) -> bool {
        let folder = self.films.get(&stream);
        folder.is_some_and(|folder| folder.runs.borrow().has_unit(Track { kind: kind.0, rendition }, unit.0))
    }

    /// The first run of units in the range that are not whole. This does not touch the disk.
    pub fn missing(&self, stream: u64, kind: Type, rendition: u8, units: Range<u32>) -> Option<Range<u32>> {
        match self.films.get(&stream) {
            Some(folder) => folder.runs.borrow().missing(Track { kind: kind.0, rendition }, units),
            None => (!units.is_empty()).then_some(units),
        }
    }

    pub fn films(&self) -> impl Iterator<Item = StoredFilm<'_>> {
        self.films.values().map(|folder| StoredFilm {
            film: &folder.film,
            bytes: folder.bytes(),
            objects: folder.runs.borrow().objects(),
            last_used: folder.last_used,
        })
    }

    pub fn film(&self, stream: u64) -> Option<&Film> {
        self.films.get(&stream).map(|folder| &folder.film)
    }

    /// The bytes of all files of all films.
    pub fn bytes(&self) -> u64 {
        self.films.values().map(FilmFolder::bytes).sum()
    }

    /// How many bytes of unfinished writes were cut off when the store was opened.
    pub fn recovered_bytes(&self) -> u64 {
        self.recovered
    }

    fn open_film(&mut self, stream: u64) -> io::Result<Option<FilmFolder>> {
        let disk = self.disk.as_ref();
        let Some((folder, dropped)) = FilmFolder::open(disk, stream)? else {
            erase(disk, stream)?;
            return Ok(None);
        };
        self.recovered += dropped;
        Ok(Some(folder))
    }

    fn create(&mut self, film: Film, now: u64) -> Result<(), StoreError> {
        let stream = film.stream;
        // A removal that failed may have left something.
        erase(self.disk.as_ref(), stream).map_err(|error| failed("remove", stream, error))?;
        let turn = self.next_turn();
        let mut folder = FilmFolder::new(film);
        folder.turn = turn;
        self.films.insert(stream, folder);
        let created = self.while_full(stream, "make", |disk, folder| folder.create(disk, now));
        if created.is_err() {
            self.films.remove(&stream);
            _ = erase(self.disk.as_ref(), stream);
        }
        created
    }

    fn save(&mut self, film: &Film, now: u64) -> Result<(), StoreError> {
        let length = |film: &Film| film.encode(now).len() as u64;
        let more = self.film(film.stream).map_or(0, |known| length(film).saturating_sub(length(known)));
        self.make_room(film.stream, more)?;
        self.while_full(film.stream, "write", |disk, folder| folder.save(disk, film, now))
    }

    fn last_used(&self, stream: u64) -> u64 {
        self.films.get(&stream).map_or(0, |folder| folder.last_used)
    }

    fn next_turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }
}

/// Verifies objects, which must be of one film, and sorts them by name, so that the parts of a unit lie side by side.
fn accept<'a>(objects: &[&'a [u8]]) -> Result<Vec<Accepted<'a>>, StoreError> {
    let mut accepted = Vec::with_capacity(objects.len());
    for (position, bytes) in objects.iter().copied().enumerate() {
        let header = objects::parse(bytes).ok_or(StoreError::Damaged { position, count: objects.len() })?;
        accepted.push(Accepted { header, bytes });
    }
    let stream = |object: &Accepted<'_>| object.header.name.stream;
    if let Some(first) = accepted.first().map(stream)
        && let Some(other) = accepted.iter().map(stream).find(|other| *other != first)
    {
        return Err(StoreError::Mixed { first, other });
    }
    accepted.sort_by_key(|object| place(&object.header.name));
    accepted.dedup_by_key(|object| object.header.name);
    Ok(accepted)
}

/// Small enough that a file is removed and read ahead quickly, large enough that there are few.
pub(crate) const SEGMENT_BYTES: u32 = 64 << 20;
/// Seconds. After a start the order of films is right to this much.
const SAVE_USE_EVERY: u64 = 60;
