//! The world's sound: a file's, which is all there, or a microphone's.

use udpstream::media::sound::{CODED_AHEAD, CODED_BYTES, CODED_FRAMES, Chunk, CodedSound, FRAMES, Frame, media_time};
use udpstream::proto::server::{self, Feed};
use udpstream::proto::{Input, Machine};
use udpstream::units::Time;

use super::World;

impl World {
    /// When the next chunk of a microphone is whole.
    pub(super) fn microphone_wake(&self) -> Time {
        let whole =
            |zero: Time| zero.offset(media_time((u64::from(self.next_chunk) + 1) * FRAMES as u64).micros() * 1_000);
        self.microphone.map_or(Time::NEVER, whole)
    }

    /// The source hands over the sound that the server takes now.
    pub(super) fn speak(&mut self) -> bool {
        let key = self.server.key;
        let mut spoke = false;
        while self.server.machine.wants_sound(key) {
            if self.microphone.is_some() && self.microphone_wake() > self.now {
                break;
            }
            self.code();
            let server = &mut self.server.machine;
            let feed = if self.next_chunk < self.chunks {
                let number = self.next_chunk;
                let frame = media_time(u64::from(number) * FRAMES as u64).micros() * 1_000;
                let captured = self.microphone.map_or(self.now, |zero| zero.offset(frame));
                Feed::Sound(Chunk { number, frames: chunk(number), captured })
            } else {
                Feed::SoundEnded
            };
            server.handle(self.now, Input::Local(server::Local::Stream(key, feed)));
            self.next_chunk = self.next_chunk.saturating_add(1);
            spoke = true;
        }
        spoke
    }

    /// While somebody is to have them, the server is given the units that the next chunk completes; at first, those too that
    /// the last ones have completed.
    fn code(&mut self) {
        let server = &mut self.server.machine;
        let wanted = server.wants_coded_sound(self.server.key);
        let began = !std::mem::replace(&mut self.coding, wanted) && wanted;
        let units = coded_with(self.next_chunk, self.chunks);
        let first = if began { units.start.saturating_sub(RECENT) } else { units.start };
        for number in (first..units.end).filter(|_| wanted) {
            let left = u64::from(self.chunks) * FRAMES as u64 - u64::from(number) * CODED_FRAMES as u64;
            let unit = CodedSound { number, frames: left.min(CODED_FRAMES as u64) as u16, packet: packet(number) };
            let feed = server::Local::Stream(self.server.key, Feed::CodedSound(unit));
            server.handle(self.now, Input::Local(feed));
        }
    }
}

/// Units that the source remembers the sound of.
const RECENT: u32 = 20;

/// What chunk `number` of the world's sound holds.
pub fn chunk(number: u32) -> Vec<Frame> {
    (0..FRAMES as u32)
        .map(|frame| [(number.wrapping_mul(31).wrapping_add(frame * 7)) as i16, (frame * 13) as i16 ^ number as i16])
        .collect()
}

/// What stands for coded unit `number` of the world's sound.
pub fn packet(number: u32) -> Vec<u8> {
    let mut packet = vec![0; CODED_BYTES];
    packet[..4].copy_from_slice(&number.to_be_bytes());
    packet
}

/// The coded units that chunk `number` completes, or that are left when there were so many chunks.
fn coded_with(number: u32, chunks: u32) -> std::ops::Range<u32> {
    let (first, ahead, frames) = (u64::from(number) * FRAMES as u64, CODED_AHEAD as u64, CODED_FRAMES as u64);
    let whole = |end: u64| (end.saturating_sub(ahead) / frames) as u32;
    let end = if number < chunks { whole(first + FRAMES as u64) } else { first.div_ceil(frames) as u32 };
    whole(first)..end
}
