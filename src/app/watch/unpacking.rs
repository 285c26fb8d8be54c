//! Coded sound becomes frames.

use crate::codec::{CodecError, SoundDecoder};
use crate::media::sound::{Frame, Piece};

/// What is to be heard of a piece.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// What the server sent.
    Whole(Vec<Frame>),
    /// What the decoder makes of what it does not have.
    Made(Vec<Frame>),
    /// So many frames, to be concealed.
    Lost(usize),
}

/// One stream's decoder, from the first coded unit on.
#[derive(Default)]
pub struct Unpacking {
    decoder: Option<SoundDecoder>,
    /// The frame behind what was decoded last, if the decoder can go on there.
    next: Option<u64>,
}

impl Unpacking {
    /// What is heard from frame `first` on.
    pub fn take(&mut self, first: u64, piece: Piece) -> Heard {
        let warm = std::mem::take(&mut self.next) == Some(first);
        match piece {
            Piece::Frames(frames) => Heard::Whole(frames),
            Piece::Coded { packet, frames, before } => {
                let count = usize::from(frames);
                match self.decode(&packet, before.as_deref(), warm) {
                    Ok(mut decoded) => {
                        self.next = Some(first + decoded.len() as u64);
                        decoded.truncate(count);
                        Heard::Whole(decoded)
                    }
                    Err(error) => {
                        tracing::debug!(first, %error, "a unit of sound cannot be decoded");
                        Heard::Lost(count)
                    }
                }
            }
            Piece::Lost { frames, coded } => {
                let made = self.decoder.as_mut().filter(|_| coded && warm).and_then(|decoder| decoder.conceal().ok());
                match made {
                    Some(made) => {
                        self.next = Some(first + made.len() as u64);
                        Heard::Made(made)
                    }
                    None => Heard::Lost(frames.into()),
                }
            }
        }
    }

    fn decode(&mut self, packet: &[u8], before: Option<&[u8]>, warm: bool) -> Result<Vec<Frame>, CodecError> {
        if self.decoder.is_none() {
            self.decoder = Some(SoundDecoder::new()?);
        }
        let Some(decoder) = &mut self.decoder else { return Ok(Vec::new()) };
        if !warm {
            decoder.reset()?;
            // Without it the unit begins softly.
            before.map(|before| decoder.decode(before)).transpose()?;
        }
        decoder.decode(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::SoundEncoder;
    use crate::media::sound::{CODED_FRAMES, Chunk, CodedSound, FRAMES};
    use crate::units::Time;

    fn tone(at: usize) -> Frame {
        let turn = at as f64 * std::f64::consts::TAU * 440.0 / 44_100.0;
        [(turn.sin() * 12_000.0) as i16, (turn.cos() * 9_000.0) as i16]
    }

    fn chunk(number: u32) -> Vec<Frame> {
        (0..FRAMES).map(|at| tone(number as usize * FRAMES + at)).collect()
    }

    fn units(chunks: u32) -> Vec<CodedSound> {
        let (mut encoder, mut out) = (SoundEncoder::new().expect("libopus"), Vec::new());
        for number in 0..chunks {
            let chunk = Chunk { number, frames: chunk(number), captured: Time::ZERO };
            encoder.put(&chunk, &mut out).expect("a chunk");
        }
        out
    }

    fn coded(unit: &CodedSound, before: Option<&CodedSound>) -> Piece {
        let before = before.map(|unit| unit.packet.clone());
        Piece::Coded { packet: unit.packet.clone(), frames: unit.frames, before }
    }

    /// From chunks to units at frame 3 840 and back at 7 680, as it is heard.
    fn heard(lost: Option<usize>, warm: bool) -> Vec<Heard> {
        let (units, mut unpacking) = (units(60), Unpacking::default());
        let mut heard: Vec<Heard> =
            (0..15).map(|n| unpacking.take(u64::from(n) * FRAMES as u64, Piece::Frames(chunk(n)))).collect();
        for at in 4..8 {
            let piece = match at {
                at if Some(at) == lost => Piece::Lost { frames: 960, coded: true },
                4 => coded(&units[4], Some(&units[3]).filter(|_| warm)),
                _ => coded(&units[at], None),
            };
            heard.push(unpacking.take((at * CODED_FRAMES) as u64, piece));
        }
        heard.extend((30..45).map(|n| unpacking.take(u64::from(n) * FRAMES as u64, Piece::Frames(chunk(n)))));
        heard
    }

    fn frames(heard: Vec<Heard>) -> Vec<Frame> {
        let frames = |heard| match heard {
            Heard::Whole(frames) | Heard::Made(frames) => frames,
            Heard::Lost(frames) => vec![[0; 2]; frames],
        };
        heard.into_iter().flat_map(frames).collect()
    }

    /// The greatest difference between what is heard and the tone, in a range.
    fn off(frames: &[Frame], range: std::ops::Range<usize>) -> i32 {
        let differs =
            |at: usize| (0..2).map(|side| (i32::from(frames[at][side]) - i32::from(tone(at)[side])).abs()).max();
        range.filter_map(differs).max().unwrap_or_default()
    }

    #[test]
    fn from_chunks_to_units_and_back_there_is_no_step_and_no_shift() {
        let frames = frames(heard(None, true));
        assert_eq!(frames.len(), 45 * FRAMES);
        assert_eq!(off(&frames, 0..3_840).max(off(&frames, 7_680..11_520)), 0);
        let worst = off(&frames, 3_840..7_680);
        assert!(worst < 700, "{worst} of 12 000");
        let step = frames.windows(2).map(|pair| pair[0][0].abs_diff(pair[1][0])).max();
        assert!(step < Some(1_300), "no click: {step:?}, the tone itself has 752");
    }

    #[test]
    fn a_unit_that_is_lost_is_made_up_and_one_that_is_cold_begins_softly() {
        let all = heard(Some(5), true);
        assert!(matches!(&all[16], Heard::Made(frames) if frames.len() == CODED_FRAMES), "{:?}", all[16]);
        assert!(off(&frames(all), 6_900..7_680) < 700, "the unit after the next is as if nothing had been lost");
        let cold = frames(heard(None, false));
        assert!(off(&cold, 3_840..3_960) > 3_000 && off(&cold, 4_000..7_680) < 700, "after 120 frames it is there");
    }

    #[test]
    fn what_is_no_packet_is_concealed_and_what_comes_after_it_is_heard() {
        let (units, mut unpacking) = (units(30), Unpacking::default());
        for packet in [vec![], vec![255; 3], vec![0xff; 240], vec![0x0c, 1]] {
            let heard = unpacking.take(0, Piece::Coded { packet, frames: 960, before: Some(vec![9]) });
            assert!(matches!(heard, Heard::Lost(960) | Heard::Whole(_)));
        }
        let lost = unpacking.take(960, Piece::Lost { frames: 960, coded: true });
        assert_eq!(lost, Heard::Lost(960), "there is nothing to go on from");
        assert!(matches!(unpacking.take(1_920, coded(&units[2], None)), Heard::Whole(frames) if frames.len() == 960));
    }
}
