//! From ffmpeg's sound to numbered chunks, pass after pass, on a thread of its own.
//!
//! Why pictures and sound cannot wait for each other for ever: ffmpeg does one thing after the other, so a pipe that
//! nobody empties halts both. The sound's pipe is always emptied, into a [`Backlog`](super::backlog) that takes half a
//! minute and any length of silence, whatever its queue says; so pictures come as long as their own queue has room. Only
//! more sound than that ahead of the pictures waits, and then for its own queue alone. The other way round, a full queue
//! of pictures halts ffmpeg and so the sound, but never before the sound of the pictures in it has come: a file is opened
//! twice, and ffmpeg reads on where it is behind. In a loop the sound waits for the picture it belongs to, while the
//! backlog goes on taking; what is beyond it is silence then.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};

use super::backlog::Block;
use super::heard::Heard;
use crate::clock;
use crate::media::sound::{Chunk, FRAMES, Frame, RATE, frame_of};
use crate::queue::{Producer, Watched};
use crate::units::{MediaTime, Time};

/// How far the pictures of a pass have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Extent {
    /// When the last picture that was read has had its time, earlier passes included.
    end: MediaTime,
    /// When the first of this pass came.
    first: Option<Time>,
    /// There will be no more of them.
    ended: bool,
}

/// The pictures' side of a pass; dropping it ends the pass.
pub(super) struct Gauge(Arc<Watched<Extent>>);

impl Gauge {
    /// One more picture, captured then; `end` is when it has had its time.
    pub fn picture(&self, end: MediaTime, captured: Time) {
        let first = self.0.load().first.or(Some(captured));
        self.0.store(Extent { end, first, ended: false });
    }

    /// No picture of this pass lasts longer than until then.
    pub fn ends_at(&self, end: MediaTime) {
        self.0.store(Extent { end, ..self.0.load() });
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        let extent = self.0.load();
        self.0.store(Extent { ended: true, ..extent });
    }
}

/// The sound of one pass.
struct PassSound {
    heard: Heard,
    extent: Arc<Watched<Extent>>,
}

/// What is the same for all passes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Each pass's sound is made as long as its pictures.
    pub looped: bool,
    /// The sound begins with what comes when the first picture does; see [`Opening`].
    pub by_arrival: bool,
    /// Frames of silence before each pass's sound.
    pub silence: u64,
}

/// The thread that makes chunks.
pub(super) struct Voice {
    passes: Sender<PassSound>,
    thread: JoinHandle<()>,
}

impl Voice {
    /// Without `out` the sound is thrown away.
    pub fn start(out: Option<Producer<Chunk>>, manner: Manner) -> io::Result<Self> {
        let (passes, coming) = unbounded::<PassSound>();
        let run = move || {
            let mut chunks = Chunks::new(out);
            for pass in coming {
                pass.play(&manner, &mut chunks);
            }
            chunks.finish();
        };
        let thread = Builder::new().name("sound".into()).spawn(run)?;
        Ok(Self { passes, thread })
    }

    /// The next pass, which begins then; `None`: it has no sound.
    pub fn pass(&self, heard: Option<Heard>, beginning: MediaTime) -> Gauge {
        let extent = Arc::new(Watched::new(Extent { end: beginning, ..Extent::default() }));
        if let Some(heard) = heard {
            // The thread is there until this end is dropped.
            self.passes.send(PassSound { heard, extent: Arc::clone(&extent) }).ok();
        }
        Gauge(extent)
    }

    /// Waits until all sound is handed over, or its queue is closed.
    pub fn finish(self) {
        drop(self.passes);
        self.thread.join().ok();
    }
}

impl PassSound {
    fn play(self, manner: &Manner, chunks: &mut Chunks) {
        if manner.by_arrival {
            self.open(chunks);
        }
        let first = self.heard.next();
        let mut last = first.as_ref().map_or_else(clock::now, |block| block.captured);
        self.silence(manner.silence, last, manner, chunks);
        for Block { captured, frames } in first.into_iter().chain(std::iter::from_fn(|| self.heard.next())) {
            self.put(&frames, captured, manner, chunks);
            last = captured;
        }
        if manner.looped {
            self.silence(u64::MAX, last, manner, chunks);
        }
    }

    /// Leaves out what came before the first picture, and says nothing until the first sound after it came. A block is
    /// taken to end when it came, as a picture is. That is exact to a packet of sound, some 20 ms.
    fn open(&self, chunks: &mut Chunks) {
        let Some(first) = self.first_picture() else { return };
        while let Some(Block { captured, frames }) = self.heard.next() {
            let end = captured.signed_since(first) as i128 * i128::from(RATE) / 1_000_000_000;
            let start = end - frames.len() as i128;
            if end > 0 {
                let silence = usize::try_from(start).unwrap_or(0).min(LONGEST_WAIT);
                chunks.push(&vec![[0, 0]; silence], captured);
                chunks.push(&frames[usize::try_from(-start).unwrap_or(0)..], captured);
                return;
            }
        }
    }

    fn first_picture(&self) -> Option<Time> {
        let mut extent = self.extent.load();
        while extent.first.is_none() && !extent.ended {
            extent = self.extent.wait_change(&extent, A_WHILE);
        }
        extent.first
    }

    /// So much silence, or as much as there is room for; its stamp is that of the sound beside it.
    fn silence(&self, mut frames: u64, captured: Time, manner: &Manner, chunks: &mut Chunks) {
        while frames > 0 {
            let room = self.room(manner, chunks).min(FRAMES as u64).min(frames);
            if room == 0 {
                return;
            }
            chunks.push(&[[0, 0]; FRAMES][..room as usize], captured);
            frames -= room;
        }
    }

    fn put(&self, mut frames: &[Frame], captured: Time, manner: &Manner, chunks: &mut Chunks) {
        while !frames.is_empty() {
            let room = self.room(manner, chunks);
            if room == 0 {
                return;
            }
            let (now, later) = frames.split_at(usize::try_from(room).unwrap_or(usize::MAX).min(frames.len()));
            chunks.push(now, captured);
            frames = later;
        }
    }

    /// Frames that may be added. In a loop: up to the end of the last picture that has come, and none only when the pass
    /// is over.
    fn room(&self, manner: &Manner, chunks: &Chunks) -> u64 {
        if !manner.looped || chunks.is_closed() {
            return if manner.looped { 0 } else { u64::MAX };
        }
        let mut extent = self.extent.load();
        loop {
            let room = frame_of(extent.end).saturating_sub(chunks.frames);
            if room > 0 || extent.ended {
                return room;
            }
            extent = self.extent.wait_change(&extent, A_WHILE);
        }
    }
}

/// Frames in, chunks out.
pub(super) struct Chunks {
    out: Option<Producer<Chunk>>,
    /// Fewer frames than make a chunk.
    begun: Vec<Frame>,
    captured: Time,
    number: u32,
    /// Frames so far.
    frames: u64,
}

impl Chunks {
    pub fn new(out: Option<Producer<Chunk>>) -> Self {
        Self { out, begun: Vec::with_capacity(FRAMES), captured: Time::ZERO, number: 0, frames: 0 }
    }

    /// Frames pushed so far.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// Whether the queue of sound is closed.
    pub const fn is_closed(&self) -> bool {
        self.out.is_none()
    }

    /// The next frames; waits where the queue does.
    pub fn push(&mut self, mut frames: &[Frame], captured: Time) {
        self.frames += frames.len() as u64;
        while !frames.is_empty() && self.out.is_some() {
            if self.begun.is_empty() {
                self.captured = captured;
            }
            let (now, later) = frames.split_at((FRAMES - self.begun.len()).min(frames.len()));
            self.begun.extend_from_slice(now);
            frames = later;
            if self.begun.len() == FRAMES {
                self.send();
            }
        }
    }

    /// The last chunk, which may be shorter.
    pub fn finish(mut self) {
        if !self.begun.is_empty() {
            self.send();
        }
    }

    fn send(&mut self) {
        let frames = std::mem::replace(&mut self.begun, Vec::with_capacity(FRAMES));
        let chunk = Chunk { number: self.number, frames, captured: self.captured };
        self.number = self.number.wrapping_add(1);
        if self.out.as_ref().is_some_and(|out| out.push(chunk).is_err()) {
            self.out = None;
        }
    }
}

/// Looks again at least this often; a change is heard of at once.
const A_WHILE: Duration = Duration::from_secs(60);
/// The most silence, in frames, that is put before sound which comes later than its pictures.
const LONGEST_WAIT: usize = 10 * RATE as usize;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{WhenFull, bounded};

    #[test]
    fn chunks_are_whole_but_for_the_last() {
        let (producer, consumer) = bounded(100, WhenFull::Block, None);
        let mut chunks = Chunks::new(Some(producer));
        let frames: Vec<Frame> = (0..1_000).map(|n| [n, -n]).collect();
        for (at, piece) in (0..).zip(frames.chunks(99)) {
            chunks.push(piece, Time::from_millis(at));
        }
        chunks.finish();
        let got: Vec<_> = std::iter::from_fn(|| consumer.pop()).collect();
        assert_eq!(got.iter().map(|chunk| chunk.frames.len()).collect::<Vec<_>>(), [256, 256, 256, 232]);
        assert!(got.iter().zip(0..).all(|(chunk, number)| chunk.number == number));
        assert_eq!(got.iter().flat_map(|chunk| chunk.frames.clone()).collect::<Vec<_>>(), frames);
        // Frame 256 came with the third piece of 99.
        assert_eq!((got[0].captured, got[1].captured), (Time::ZERO, Time::from_millis(2)));
    }

    #[test]
    fn frames_count_on_when_nobody_listens() {
        let (producer, consumer) = bounded(1, WhenFull::Block, None);
        drop(consumer);
        let mut chunks = Chunks::new(Some(producer));
        chunks.push(&[[1, 1]; 1_000], Time::ZERO);
        assert!(chunks.is_closed() && chunks.frames() == 1_000);
        chunks.finish();
    }
}
