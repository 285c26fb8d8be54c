//! Films on disk: each rung of each minute is a film of the store, so that what nobody is near can go without the rest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::clock::{now, wall_ahead};
use crate::media::coded::{CutPicture, PassedPicture};
use crate::seal;
use crate::store::{Film, Store, StoreError};
use crate::units::{Time, Unit};
use crate::wire::object::{ObjectView, Type};

/// Stores beside each other, where several servers of one machine keep films.
const STORES: u32 = 8;
/// When the store is full of what is watched now, it is tried again after so many pictures.
const REST: u32 = 250;

/// A minute of a rung of a film.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    pub film: u64,
    pub rung: u8,
    pub minute: u32,
}

/// See the head of this file.
pub struct Shelf {
    store: Option<Store>,
    /// Stretches that the store knows.
    begun: BTreeSet<u64>,
    /// Why it takes nothing, as it was said last.
    trouble: Option<String>,
    rest: u32,
    /// Pictures that are there and cannot be read.
    unreadable: BTreeSet<(u64, u32)>,
    /// That nothing is kept was said.
    said: bool,
}

impl Stretch {
    /// Its stream id in the store.
    fn id(self) -> u64 {
        let Self { film, rung, minute } = self;
        let digest = seal::digest([&film.to_be_bytes()[..], &[rung], &minute.to_be_bytes()]);
        digest.first_chunk().map_or(1, |id| u64::from_be_bytes(*id).max(1))
    }
}

impl Shelf {
    /// Opens the store in this folder, or the next one beside it that nobody uses.
    pub fn open(folder: &Path, most_bytes: u64) -> Self {
        let mut trouble = None;
        let places = (1..=STORES).map(|number| place(folder, number));
        let store = places.map(|place| Store::open(&place, most_bytes)).find_map(|opened| match opened {
            Ok(store) => Some(Some(store)),
            Err(StoreError::Taken { .. }) => None,
            Err(error) => {
                trouble = Some(error.to_string());
                Some(None)
            }
        });
        let store = store.flatten();
        let begun = store.iter().flat_map(Store::films).map(|film| film.film.stream).collect();
        Self { store, begun, trouble, rest: 0, unreadable: BTreeSet::new(), said: false }
    }

    /// Why nothing is kept, if that is new.
    pub fn trouble(&mut self) -> Option<String> {
        self.trouble.take()
    }

    /// Whether pictures are kept at present.
    pub const fn keeps(&self) -> bool {
        self.store.is_some() && self.rest == 0
    }

    pub fn bytes(&self) -> u64 {
        self.store.as_ref().map_or(0, Store::bytes)
    }

    /// Keeps a picture; false if it is not kept.
    pub fn put(&mut self, stretch: Stretch, name: &str, picture: &PassedPicture) -> bool {
        if self.rest > 0 {
            self.rest -= 1;
            return false;
        }
        let Some(store) = &mut self.store else { return false };
        match keep(store, &mut self.begun, stretch, name, picture) {
            Ok(()) => true,
            Err(error) => {
                let said = error.to_string();
                if !std::mem::replace(&mut self.said, true) {
                    self.trouble = Some(said);
                }
                self.rest = REST;
                false
            }
        }
    }

    /// Whether a picture is there; does not touch the disk.
    pub fn has(&self, stretch: Stretch, unit: u32) -> bool {
        let Some(store) = &self.store else { return false };
        let id = stretch.id();
        !self.unreadable.contains(&(id, unit)) && store.has_unit(id, Type::PICTURE, stretch.rung, Unit(unit))
    }

    /// A picture as it was kept, if it can be read.
    pub fn get(&mut self, stretch: Stretch, unit: u32, lasts: std::time::Duration) -> Option<PassedPicture> {
        let read = self.read(stretch, unit, lasts);
        if read.is_none() {
            // It is made again, and not asked for any more.
            self.unreadable.insert((stretch.id(), unit));
        }
        read
    }

    fn read(&self, stretch: Stretch, unit: u32, lasts: std::time::Duration) -> Option<PassedPicture> {
        let store = self.store.as_ref()?;
        let stored = store.unit(stretch.id(), Type::PICTURE, stretch.rung, Unit(unit)).filter(|stored| stored.whole)?;
        let header = ObjectView::parse_unchecked(stored.objects().next()?).ok()?.header;
        let bytes: Vec<&[u8]> = stored.objects().collect();
        let parts = renamed(&bytes, stretch.film)?;
        let count = header.parts_told();
        PassedPicture::of(&header, parts.objects().to_vec(), count, lasts, now())
    }

    /// Somebody is near these, which stay: the newest use counts when others must go.
    pub fn protect(&mut self, stretches: &BTreeSet<Stretch>, at: Time) {
        let Some(store) = &mut self.store else { return };
        let ids: Vec<u64> = stretches.iter().map(|stretch| stretch.id()).collect();
        let there: Vec<u64> = ids.iter().copied().filter(|id| self.begun.contains(id)).collect();
        for id in there {
            // One that has gone meanwhile is made again.
            if store.touch(id, seconds(at)).is_err() {
                self.begun.remove(&id);
            }
        }
        store.protect(&ids);
    }
}

fn keep(
    store: &mut Store,
    begun: &mut BTreeSet<u64>,
    stretch: Stretch,
    name: &str,
    picture: &PassedPicture,
) -> Result<(), StoreError> {
    let stream = stretch.id();
    if !begun.contains(&stream) || store.film(stream).is_none() {
        let identity = [&stretch.film.to_be_bytes()[..], &[stretch.rung], &stretch.minute.to_be_bytes()].concat();
        let name = crate::wire::tlv::shorten(name, crate::wire::name::MAX_NAME).to_owned();
        store.begin(Film { stream, name, identity, description: [None, None], complete: false }, seconds(now()))?;
        begun.insert(stream);
    }
    let objects: Vec<&[u8]> = picture.cut.objects().iter().map(crate::media::coded::Object::bytes).collect();
    let Some(renamed) = renamed(&objects, stream) else { return Ok(()) };
    let objects: Vec<&[u8]> = renamed.objects().iter().map(crate::media::coded::Object::bytes).collect();
    store.put(&objects).map(drop)
}

/// The same objects of another stream.
fn renamed(objects: &[&[u8]], stream: u64) -> Option<CutPicture> {
    let mut bytes = Vec::with_capacity(objects.iter().map(|object| object.len()).sum());
    let mut ranges = Vec::with_capacity(objects.len());
    let mut unit = Unit(0);
    for object in objects {
        let view = ObjectView::parse_unchecked(object).ok()?;
        unit = view.header.unit;
        let header = crate::wire::object::ObjectHeader { stream, ..view.header };
        ranges.push(header.emit(&mut bytes, |out| out.extend_from_slice(view.body)));
    }
    Some(CutPicture::new(unit, crate::media::coded::Object::all(bytes, ranges)))
}

fn place(folder: &Path, number: u32) -> PathBuf {
    if number == 1 { folder.to_owned() } else { PathBuf::from(format!("{}-{number}", folder.display())) }
}

/// Unix time.
fn seconds(at: Time) -> u64 {
    u64::try_from(at.nanos().saturating_add(wall_ahead()) / 1_000_000_000).unwrap_or(0)
}
