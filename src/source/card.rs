//! The test card as a source: drawn in this process, as fast as the queue takes it or at its own rate.

use super::{Finished, Guard, Info, Options, Pace, PaceChoice, Source, SourceError};
use crate::clock;
use crate::media::Picture;
use crate::media::card::Card;
use crate::queue::{Pool, Producer};
use crate::source::child::Control;
use crate::units::{Rate, Size};

pub(super) fn open(size: Size, rate: Rate, options: &Options, guard: Guard) -> Result<Source, SourceError> {
    let size = options.width.map_or(size, |width| scaled(size, width));
    let rate = options.rate.unwrap_or(rate);
    let pace = if options.pace == PaceChoice::Live { Pace::Live } else { Pace::File };
    let details = format!("test card {size}, {rate} fps, no sound");
    let info = Info {
        title: "test card".to_owned(),
        size,
        rate,
        length: None,
        pictures: None,
        pace,
        details,
        has_sound: false,
    };
    let control = guard.control.clone();
    let work =
        Box::new(move |out: Producer<Picture>| Ok(run(&Card::new(size, rate), size, rate, pace, &control, &out)));
    Ok(Source { info, work, guard })
}

fn scaled(size: Size, width: u16) -> Size {
    let width = width.clamp(1, 16_384);
    let height = (u64::from(size.height) * u64::from(width) / u64::from(size.width.max(1))).clamp(2, 16_384);
    Size::new(width, height as u16 & !1)
}

/// Live: picture n is drawn at its own moment, `start + n·interval`; moments that went by are left out.
fn run(card: &Card, size: Size, rate: Rate, pace: Pace, control: &Control, out: &Producer<Picture>) -> Finished {
    let pool = Pool::new(POOL);
    let start = clock::now();
    let (mut number, mut pictures) = (0_u32, 0);
    while !control.stopped() {
        if pace == Pace::Live {
            number = number.max(rate.index_at(clock::now().since(start)) as u32);
            if !control.sleep_until(start + rate.at(u64::from(number))) {
                break;
            }
        }
        let mut picture = Picture::from_pool(&pool, size, number, clock::now());
        card.draw(&mut picture, number);
        if out.push(picture).is_err() {
            break;
        }
        number = number.wrapping_add(1);
        pictures += 1;
    }
    Finished { pictures }
}

/// As many as a full queue of ten and its neighbours hold.
const POOL: usize = 16;
