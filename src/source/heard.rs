//! The sound of one run of ffmpeg: a thread reads its pipe into a backlog, as it comes.

use std::io::{self, Read};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::backlog::{Backlog, Block, Surplus};
use crate::clock;
use crate::ffmpeg::Tap;
use crate::media::sound::{self, Frame};
use crate::queue::Pop;

/// Sound that comes in; dropping it ends its thread, once ffmpeg is gone or the source is stopped.
pub(super) struct Heard {
    backlog: Arc<Backlog>,
    thread: Option<JoinHandle<()>>,
}

impl Heard {
    /// `mono`: both sides become their mean.
    pub fn of(tap: Tap, surplus: Surplus, mono: bool) -> io::Result<Self> {
        let backlog = Arc::new(Backlog::new(surplus));
        let filling = Arc::clone(&backlog);
        let read = move || {
            fill(tap, &filling, mono);
            filling.finish();
        };
        let thread = Builder::new().name("sound in".into()).spawn(read)?;
        Ok(Self { backlog, thread: Some(thread) })
    }

    /// What comes next, if it comes soon.
    pub fn next_within(&self, timeout: Duration) -> Pop<Block> {
        self.backlog.take_within(timeout)
    }

    /// What came next; waits for it. `None` when ffmpeg has closed its end, or the source was stopped.
    pub fn next(&self) -> Option<Block> {
        self.backlog.take()
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.backlog.close();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Reads to the end, also when the sound is not wanted any more: ffmpeg would fail, and its pictures with it.
fn fill(mut tap: Tap, backlog: &Backlog, mono: bool) {
    let mut bytes = vec![0; READ];
    let (mut kept, mut wanted) = (0, true);
    loop {
        let read = tap.read(&mut bytes[kept..]);
        let captured = clock::now();
        let Ok(count @ 1..) = read else { break };
        let whole = (kept + count) / FRAME * FRAME;
        if wanted && whole > 0 {
            wanted = backlog.put(Block { captured, frames: frames(&bytes[..whole], mono) });
        }
        // A write may have come in two parts; the rest of the frame is on its way.
        bytes.copy_within(whole..kept + count, 0);
        kept = kept + count - whole;
    }
}

fn frames(bytes: &[u8], mono: bool) -> Vec<Frame> {
    let sample = |bytes: &[u8]| i16::from_le_bytes([bytes[0], bytes[1]]);
    let stereo = bytes.chunks_exact(FRAME).map(|frame| [sample(frame), sample(&frame[2..])]);
    if mono { stereo.map(sound::mono).collect() } else { stereo.collect() }
}

/// Bytes of a frame: two samples of 16 bits.
const FRAME: usize = 4;
/// Bytes read at once: 93 ms, several packets of any usual codec.
const READ: usize = 16 << 10;
