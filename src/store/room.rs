//! Making room: which film goes when the bound is reached, and when the disk itself is full.

use std::io;

use crate::store::disk::Disk;
use crate::store::error::{StoreError, is_full};
use crate::store::folder::{FilmFolder, erase};
use crate::store::opened::Store;

impl Store {
    /// Evicts until `more` bytes fit for this film. If they cannot fit, nothing is evicted.
    pub(crate) fn make_room(&mut self, stream: u64, more: u64) -> Result<(), StoreError> {
        let evictable = self.films.values().filter(|folder| self.may_go(folder, Some(stream)));
        let evictable: u64 = evictable.map(FilmFolder::bytes).sum();
        if (self.bytes() - evictable).saturating_add(more) > self.most_bytes {
            return Err(StoreError::Full { most_bytes: self.most_bytes });
        }
        while self.bytes().saturating_add(more) > self.most_bytes && self.evict(stream)? {}
        Ok(())
    }

    /// Evicts until the store fits its bound, or only protected films are left.
    pub(crate) fn fit(&mut self) -> Result<(), StoreError> {
        while self.bytes() > self.most_bytes {
            let Some(victim) = self.victim(None) else { return Ok(()) };
            self.remove(victim)?;
        }
        Ok(())
    }

    /// Writes to a film, and evicts others and tries again for as long as the disk is full. `attempt` takes back what a
    /// failed write left.
    pub(crate) fn while_full(
        &mut self,
        stream: u64,
        action: &'static str,
        mut attempt: impl FnMut(&dyn Disk, &mut FilmFolder) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        loop {
            let folder = self.films.get_mut(&stream).ok_or(StoreError::Unknown { stream })?;
            match attempt(self.disk.as_ref(), folder) {
                Ok(()) => return Ok(()),
                Err(error) if !is_full(&error) => return Err(failed(action, stream, error)),
                Err(_) if self.evict(stream)? => {}
                Err(_) => return Err(StoreError::DiskFull),
            }
        }
    }

    /// Removes a film whole, protected or not; `false`: there is none of this stream.
    pub fn remove(&mut self, stream: u64) -> Result<bool, StoreError> {
        // If a part of it cannot be removed the film is not whole any more; the next beginning or opening removes the rest.
        if self.films.remove(&stream).is_none() {
            return Ok(false);
        }
        erase(self.disk.as_ref(), stream).map_err(|error| failed("remove", stream, error))?;
        Ok(true)
    }

    /// Removes the least recently used film that may go; `false`: there is none.
    fn evict(&mut self, keep: u64) -> Result<bool, StoreError> {
        let Some(victim) = self.victim(Some(keep)) else { return Ok(false) };
        self.remove(victim)
    }

    fn victim(&self, keep: Option<u64>) -> Option<u64> {
        let candidates = self.films.values().filter(|folder| self.may_go(folder, keep));
        candidates.min_by_key(|folder| folder.turn).map(|folder| folder.film.stream)
    }

    fn may_go(&self, folder: &FilmFolder, keep: Option<u64>) -> bool {
        let stream = folder.film.stream;
        keep != Some(stream) && !self.protected.contains(&stream)
    }
}

pub(crate) fn failed(action: &'static str, stream: u64, source: io::Error) -> StoreError {
    StoreError::Disk { action, path: format!("the film of stream {stream:016x}"), why: source }
}
