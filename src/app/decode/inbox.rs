//! What the event loop hands the decoder: never waits, and never grows beyond a few pictures. When the decoder is behind,
//! the newest pictures are kept, and those that make room for them are returned, to be counted.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Show;
use crate::proto::receiver::Slice;
use crate::view::{Card, Still};

/// Coded bytes that wait for the decoder: the largest picture that a receiver puts together.
const MOST_BYTES: usize = 64 << 20;

/// Pictures to be saved that wait.
const STILLS: usize = 4;

/// What the decoder is to do next.
pub enum Work {
    Slice(Slice),
    /// The picture of all slices since the last one.
    Show(Show),
    /// What is the matter, to be shown after the pictures before it.
    Card(Card),
    /// The tile has another size.
    Resized,
    /// The picture that is shown is to be saved.
    Still(Still),
    /// Another stream, or the same at another size: nothing is left to conceal with.
    Reset,
}

/// Work for the decoder's thread.
pub struct Inbox {
    /// Pictures that may wait.
    room: usize,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<Entry>,
    /// Of all slices that wait.
    bytes: usize,
    closed: bool,
}

enum Entry {
    Picture(Picture),
    Card(Card),
    Resized,
    Still(Still),
    Reset,
}

#[derive(Default)]
struct Picture {
    slices: VecDeque<Slice>,
    /// Slices for which there was no room.
    refused: u32,
    /// The decoder has had some of it.
    begun: bool,
    /// Until then more slices may come.
    show: Option<Show>,
}

impl Inbox {
    /// Holds `room` pictures that wait to be begun, at least two.
    pub fn new(room: usize) -> Self {
        Self { room: room.max(2), queue: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slice of the picture that is shown next. Returns the pictures that made room for it.
    pub fn slice(&self, slice: Slice) -> Vec<Show> {
        let mut queue = self.lock();
        let bytes = slice.jpeg.len();
        let superseded = queue.make_room(usize::MAX, bytes);
        let fits = queue.bytes + bytes <= MOST_BYTES;
        let picture = queue.open();
        if fits {
            picture.slices.push_back(slice);
            queue.bytes += bytes;
        } else {
            picture.refused += 1;
        }
        self.changed.notify_one();
        superseded
    }

    /// The picture of all slices since the last one is whole. Returns the pictures that made room for it.
    pub fn show(&self, show: Show) -> Vec<Show> {
        let mut queue = self.lock();
        let picture = queue.open();
        picture.show = Some(Show { undecodable: show.undecodable + picture.refused, ..show });
        let superseded = queue.make_room(self.room, 0);
        self.changed.notify_one();
        superseded
    }

    /// The newest card takes the place of one that waits.
    pub fn card(&self, card: Card) {
        let mut queue = self.lock();
        queue.entries.retain(|entry| !matches!(entry, Entry::Card(_)));
        queue.insert(Entry::Card(card));
        self.changed.notify_one();
    }

    /// The tile has another size. Said once for many changes.
    pub fn resized(&self) {
        let mut queue = self.lock();
        queue.entries.retain(|entry| !matches!(entry, Entry::Resized));
        queue.insert(Entry::Resized);
        self.changed.notify_one();
    }

    /// The picture that is shown by then is to be saved. Of those that wait only a few are kept.
    pub fn still(&self, still: Still) {
        let mut queue = self.lock();
        if queue.entries.iter().filter(|entry| matches!(entry, Entry::Still(_))).count() < STILLS {
            queue.insert(Entry::Still(still));
            self.changed.notify_one();
        }
    }

    /// What comes from here on has nothing to do with what came before; a picture that was not finished is no more.
    pub fn reset(&self) {
        let mut queue = self.lock();
        if let Some(at) = queue.open_at()
            && let Some(Entry::Picture(picture)) = queue.entries.remove(at)
        {
            queue.bytes -= picture.bytes();
        }
        queue.entries.push_back(Entry::Reset);
        queue.merge_resets();
        self.changed.notify_one();
    }

    /// Nothing more comes; what is there is still handed out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits for the next piece of work; `None` when there is none left and none to come.
    pub fn next(&self) -> Option<Work> {
        let mut queue = self.lock();
        loop {
            match queue.pop() {
                Some(work) => return Some(work),
                None if queue.closed => return None,
                None => queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Queue {
    /// Where the picture is that more slices may come for: nothing but it is ever behind it.
    fn open_at(&self) -> Option<usize> {
        let last = self.entries.len().checked_sub(1)?;
        let open = matches!(&self.entries[last], Entry::Picture(picture) if picture.show.is_none());
        open.then_some(last)
    }

    fn open(&mut self) -> &mut Picture {
        if self.open_at().is_none() {
            self.entries.push_back(Entry::Picture(Picture::default()));
        }
        match self.entries.back_mut() {
            Some(Entry::Picture(picture)) => picture,
            _ => unreachable!("it was there, or has just been put there"),
        }
    }

    /// Behind all that is whole.
    fn insert(&mut self, entry: Entry) {
        let at = self.open_at().unwrap_or(self.entries.len());
        self.entries.insert(at, entry);
    }

    fn pop(&mut self) -> Option<Work> {
        let Some(Entry::Picture(picture)) = self.entries.front_mut() else {
            return Some(match self.entries.pop_front()? {
                Entry::Card(card) => Work::Card(card),
                Entry::Resized => Work::Resized,
                Entry::Still(still) => Work::Still(still),
                Entry::Reset | Entry::Picture(_) => Work::Reset,
            });
        };
        if let Some(slice) = picture.slices.pop_front() {
            picture.begun = true;
            self.bytes -= slice.jpeg.len();
            return Some(Work::Slice(slice));
        }
        let show = picture.show.take()?;
        self.entries.pop_front();
        Some(Work::Show(show))
    }

    /// Lets go of pictures until at most `pictures` wait and there is room for `bytes`, as far as there are superfluous
    /// ones.
    fn make_room(&mut self, pictures: usize, bytes: usize) -> Vec<Show> {
        let mut superseded = Vec::new();
        while self.waiting() > pictures || self.bytes + bytes > MOST_BYTES {
            let Some(at) = self.superfluous() else { break };
            if let Some(Entry::Picture(picture)) = self.entries.remove(at) {
                self.bytes -= picture.bytes();
                superseded.extend(picture.show);
            }
        }
        if !superseded.is_empty() {
            self.merge_resets();
        }
        superseded
    }

    /// Pictures that are whole and that the decoder has not begun, and where they are.
    fn whole(&self) -> impl DoubleEndedIterator<Item = (usize, &Picture, bool)> {
        self.entries.iter().enumerate().filter_map(|(at, entry)| match entry {
            Entry::Picture(picture) if !picture.begun => {
                picture.show.as_ref().map(|show| (at, picture, show.picture.same))
            }
            _ => None,
        })
    }

    fn waiting(&self) -> usize {
        self.whole().count()
    }

    /// The oldest picture that nobody misses: another one with pixels of its own follows, or both show the same.
    fn superfluous(&self) -> Option<usize> {
        let pairs = self.whole().zip(self.whole().skip(1));
        let mut superfluous = pairs.filter(|((_, _, same), (_, _, next_same))| *same || !next_same);
        superfluous.next().map(|((at, ..), _)| at)
    }

    fn merge_resets(&mut self) {
        let mut before = false;
        self.entries.retain(|entry| {
            let reset = matches!(entry, Entry::Reset);
            !(std::mem::replace(&mut before, reset) && reset)
        });
    }
}

impl Picture {
    fn bytes(&self) -> usize {
        self.slices.iter().map(|slice| slice.jpeg.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{show, slice};
    use super::*;

    /// What the decoder would get now: units of slices and shows, "c" and "r".
    fn all(inbox: &Inbox) -> String {
        let mut queue = inbox.lock();
        let words = std::iter::from_fn(|| queue.pop()).map(|work| match work {
            Work::Slice(slice) => format!("{}", slice.unit.0),
            Work::Show(show) => format!("[{}]", show.picture.unit.0),
            Work::Card(card) => card.title,
            Work::Resized => "s".to_owned(),
            Work::Still(_) => "w".to_owned(),
            Work::Reset => "r".to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    fn put(inbox: &Inbox, unit: u32, same: bool) -> Vec<u32> {
        let mut superseded = Vec::new();
        if !same {
            superseded.extend(inbox.slice(slice(unit, 1_000)));
        }
        superseded.extend(inbox.show(show(unit, same)));
        superseded.iter().map(|show| show.picture.unit.0).collect()
    }

    #[test]
    fn a_decoder_that_stands_still_costs_a_few_pictures_of_memory_and_each_that_goes_is_told() {
        let inbox = Inbox::new(3);
        let gone: Vec<u32> = (0..10_000).flat_map(|unit| put(&inbox, unit, false)).collect();
        assert_eq!(gone, (0..9_997).collect::<Vec<_>>(), "the oldest go, one for each");
        assert_eq!(inbox.lock().entries.len(), 3);
        assert_eq!(inbox.lock().bytes, 3_000);
        assert_eq!(all(&inbox), "9997 [9997] 9998 [9998] 9999 [9999]");
        assert_eq!(inbox.lock().bytes, 0);
    }

    #[test]
    fn what_a_picture_that_stands_still_shows_is_kept() {
        let inbox = Inbox::new(2);
        let sames = |unit| (unit % 100 != 0, unit);
        let gone: Vec<u32> = (0..250).map(sames).flat_map(|(same, unit)| put(&inbox, unit, same)).collect();
        assert_eq!((gone.len(), all(&inbox).as_str()), (248, "200 [200] [249]"));
    }

    #[test]
    fn a_picture_that_was_begun_is_finished() {
        let inbox = Inbox::new(2);
        inbox.slice(slice(0, 10));
        inbox.slice(slice(0, 10));
        assert!(matches!(inbox.lock().pop(), Some(Work::Slice(_))));
        inbox.show(show(0, false));
        (1..100).for_each(|unit| drop(put(&inbox, unit, false)));
        assert_eq!(all(&inbox), "0 [0] 98 [98] 99 [99]");
    }

    #[test]
    fn bytes_are_bounded_too_and_what_is_refused_counts_as_undecodable() {
        let inbox = Inbox::new(64);
        let gone = (0..10).map(|unit| inbox.slice(slice(unit, 10 << 20)).len() + inbox.show(show(unit, false)).len());
        assert_eq!(gone.sum::<usize>(), 4);
        let shown: Vec<String> = all(&inbox).split(' ').map(str::to_owned).collect();
        assert_eq!(shown.len(), 12, "{shown:?}");
        (0..10).for_each(|_| drop(inbox.slice(slice(10, 10 << 20))));
        assert_eq!(inbox.lock().bytes, 60 << 20);
        inbox.show(show(10, false));
        (0..6).for_each(|_| drop(inbox.lock().pop()));
        assert!(matches!(inbox.lock().pop(), Some(Work::Show(Show { undecodable: 4, .. }))));
    }

    #[test]
    fn cards_keep_their_turn_and_neither_they_nor_new_streams_pile_up() {
        let inbox = Inbox::new(2);
        let card = |title: &str| Card { title: title.to_owned(), lines: Vec::new() };
        put(&inbox, 0, false);
        (0..100).for_each(|_| inbox.card(card("old")));
        inbox.slice(slice(1, 10));
        inbox.card(card("c"));
        (0..9).for_each(|_| inbox.resized());
        (0..9).for_each(|_| inbox.still(Still::Png));
        assert_eq!(all(&inbox), "0 [0] c s w w w w 1");
        inbox.reset();
        for unit in 0..100 {
            put(&inbox, unit, false);
            inbox.slice(slice(unit + 1, 10));
            inbox.reset();
        }
        assert!(inbox.lock().entries.len() < 8);
        assert_eq!(all(&inbox), "r 98 [98] r 99 [99] r");
    }
}
