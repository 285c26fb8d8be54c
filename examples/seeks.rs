//! How long a film on demand takes to be somewhere else, and whether it is there: goes to random places of a film that `barcode`
//! has made, and prints for each which picture was asked for, which came and which stands in it, and after how many milliseconds
//! it was there, decoded; where the film beeps at each second, also by how many milliseconds the beep is beside its second. At the
//! end what they come to.
//!
//! `seeks HOST[:PORT]/FILM COUNT [SEED]`

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use udpstream::app::address::Target;
use udpstream::codec::Decoder;
use udpstream::media::Canvas;
use udpstream::media::sound::{Frame, Piece, RATE, Rendition};
use udpstream::net::{Flow, Loop};
use udpstream::proto::receiver::{Config, Event, Local, Ready, Receiver, Slice};
use udpstream::proto::{Input, Machine};
use udpstream::seal::{Random, Seed};
use udpstream::units::{MediaTime, Size, Speed, Time};
use udpstream::wire::Description;
use udpstream::wire::message::{Play, Seek};
use udpstream::{clock, seal};

#[path = "barcode/code.rs"]
pub mod code;

/// One place that was gone to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    pub to: MediaTime,
    /// The picture that is to be seen there, the one that came, and the number that stands in it.
    pub wanted: u64,
    pub unit: u64,
    pub read: Option<u32>,
    pub milliseconds: f64,
    /// By how much the beep after it was heard later than its second, in milliseconds of the film.
    pub beep: Option<f64>,
}

/// Louder than this is a beep.
const LOUD: u16 = 8_000;
/// A beep that is nearer than this behind the place is waited for, µs.
const NEAR: i64 = 200_000;

struct Seeks {
    random: Random,
    /// Seeks that are still to be done.
    left: usize,
    description: Option<Description>,
    decoder: Decoder,
    canvas: Canvas,
    play: Play,
    /// When the last was ordered; `None` once it was obeyed and its picture has come.
    ordered: Option<Time>,
    obeyed: bool,
    /// The next whole second, in frames, where its beep is waited for.
    beep: Option<u64>,
    found: Vec<Found>,
    failed: Option<String>,
}

impl Seeks {
    fn order(&mut self, now: Time, receiver: &mut Receiver) {
        let Some(description) = &self.description else { return };
        if self.left == 0 {
            return receiver.handle(now, Input::Local(Local::Stop));
        }
        self.left -= 1;
        let length = description.length.unwrap_or(1_000_000);
        let to = MediaTime::from_micros((self.random.u64() % length) as i64);
        let seek = Seek { to, exact: true };
        self.play = Play { number: self.play.number + 1, seek: Some(seek), ..self.play };
        let wanted = description.rate.index_at(Duration::from_micros(to.micros().unsigned_abs()));
        self.found.push(Found { to, wanted, ..Found::default() });
        (self.ordered, self.obeyed) = (Some(now), false);
        self.beep = self.beep_after(to);
        receiver.handle(now, Input::Local(Local::Play(self.play)));
    }

    fn slice(&mut self, slice: &Slice) {
        if self.canvas.size() != slice.size {
            self.canvas.reset(slice.size);
        }
        if let Err(why) = self.decoder.decode(slice.tables, slice.jpeg.bytes(), &mut self.canvas, slice.x8, slice.y8) {
            self.failed = Some(format!("picture {}: {why}", slice.unit.0));
        }
    }

    fn shown(&mut self, picture: &Ready, receiver: &mut Receiver) {
        let now = clock::now();
        if self.description.is_some() && self.ordered.is_none() && self.found.is_empty() {
            return self.order(now, receiver);
        }
        let (Some(ordered), true) = (self.ordered, self.obeyed) else { return };
        self.ordered = None;
        let read = read(&self.canvas, picture);
        let Some(found) = self.found.last_mut() else { return };
        found.milliseconds = now.since(ordered).as_secs_f64() * 1e3;
        (found.unit, found.read) = (picture.unit.0.into(), read);
        if self.beep.is_none() {
            self.order(now, receiver);
        }
    }

    /// The frame of the whole second after a moment, if its beep is near enough to be waited for.
    fn beep_after(&self, to: MediaTime) -> Option<u64> {
        let description = self.description.as_ref().filter(|description| description.sound)?;
        let second = (to.micros() + 999_999) / 1_000_000;
        let ahead = second * 1_000_000 - to.micros();
        let inside = description.length.is_some_and(|length| (second + 1) * 1_000_000 < length as i64);
        (inside && ahead > 40_000 && ahead < NEAR).then(|| second.unsigned_abs() * u64::from(RATE))
    }

    fn heard(&mut self, now: Time, first: u64, frames: &[Frame], receiver: &mut Receiver) {
        // What is heard before the order was obeyed is of the place before.
        let Some(second) = self.beep.filter(|_| self.obeyed) else { return };
        let loud = frames.iter().position(|[left, _]| left.unsigned_abs() > LOUD);
        let at = loud.map(|at| first + at as u64);
        if let (Some(at), Some(found)) = (at, self.found.last_mut()) {
            found.beep = Some((at as f64 - second as f64) * 1e3 / f64::from(RATE));
            self.beep = None;
            if self.ordered.is_none() {
                self.order(now, receiver);
            }
        } else if first > second + u64::from(RATE) / 2 {
            let at = self.found.last().map_or(0.0, |found| found.to.micros() as f64 / 1e6);
            let heard = first as f64 / f64::from(RATE);
            self.failed =
                Some(format!("gone to {at:.3} s, heard {heard:.3} s, and no beep at {} s", second / u64::from(RATE)));
        }
    }

    fn event(&mut self, now: Time, receiver: &mut Receiver, event: Event) -> Flow {
        match event {
            Event::Playing { description, .. } => self.description = Some(description),
            Event::Played(played) => self.obeyed |= played.obeyed >= self.play.number,
            Event::Slice(slice) => self.slice(&slice),
            Event::Show { picture, .. } => self.shown(&picture, receiver),
            Event::Sound { first, piece: Piece::Frames(frames) } => self.heard(now, first, &frames, receiver),
            Event::Refused { sentence, .. } | Event::Over { sentence, .. } => self.failed = Some(sentence),
            Event::Trouble(trouble) => self.failed = Some(format!("{trouble:?}")),
            Event::Finished => return Flow::Stop,
            _ => {}
        }
        if self.failed.is_some() { Flow::Stop } else { Flow::Continue }
    }
}

/// The number in a picture, at whichever rendition it came.
fn read(canvas: &Canvas, picture: &Ready) -> Option<u32> {
    let (left, top) = code::corners(picture.full)[1];
    let halved = usize::from(picture.full.width).div_ceil(usize::from(picture.size.width)).max(1);
    let row = (top + code::HEIGHT / 2) / halved * usize::from(picture.size.width);
    let pixels = canvas.pixels();
    code::read(|x| pixels.get(row + (left + x) / halved).map_or(128, |pixel| (pixel >> 8) as u8))
}

fn numbered(number: u64) -> Seed {
    let mut seed = Seed::default();
    seed[..8].copy_from_slice(&number.to_be_bytes());
    seed
}

/// Goes to so many places.
pub fn seeks(target: &Target, count: usize, seed: u64) -> Result<Vec<Found>, Box<dyn Error>> {
    let system = seal::system_seed().ok_or("the system has no random numbers to give")?;
    let play = Play { number: 1, paused: false, seek: None, speed: Speed::NORMAL };
    let mut config = Config::new(system, target.address.look_up()?);
    (config.stream, config.sound, config.play) = (target.stream.clone(), Some(Rendition::Stereo), Some(play));
    let mut seeks = Seeks {
        random: Random::new(&numbered(seed)),
        left: count,
        description: None,
        decoder: Decoder::new()?,
        canvas: Canvas::new(Size::new(16, 16)),
        play,
        ordered: None,
        obeyed: false,
        beep: None,
        found: Vec::new(),
        failed: None,
    };
    let mut receiver = Receiver::new(config, clock::now());
    let mut app = |now: Time, receiver: &mut Receiver, event: Event| seeks.event(now, receiver, event);
    Loop::on_any_port()?.run(&mut receiver, &mut app)?;
    match seeks.failed {
        Some(why) => Err(why.into()),
        None => Ok(seeks.found),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let target = arguments.first().and_then(|text| text.parse().ok());
    let numbers: Option<Vec<u64>> = arguments.iter().skip(1).map(|text| text.parse().ok()).collect();
    let (Some(target), Some([count, seed @ ..])) = (target, numbers.as_deref()) else {
        eprintln!("error: write seeks HOST[:PORT]/FILM COUNT [SEED]");
        return ExitCode::from(2);
    };
    match seeks(&target, *count as usize, seed.first().copied().unwrap_or(1)) {
        Ok(found) => report(&found),
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Prints each and all; fails if one is not where it was to be.
fn report(found: &[Found]) -> ExitCode {
    for at in found {
        let read = at.read.map_or("-".to_owned(), |read| read.to_string());
        let beep = at.beep.map_or(String::new(), |beep| format!("  beep {beep:+.1} ms"));
        println!(
            "{:.3} s  {} {} {read}  {:.1} ms{beep}",
            at.to.micros() as f64 / 1e6,
            at.wanted,
            at.unit,
            at.milliseconds
        );
    }
    let mut times: Vec<f64> = found.iter().map(|at| at.milliseconds).collect();
    times.sort_by(f64::total_cmp);
    let part = |part: f64| times.get(((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1)));
    let (p50, p95) = (part(0.5).copied().unwrap_or(0.0), part(0.95).copied().unwrap_or(0.0));
    let missed =
        found.iter().filter(|at| at.unit != at.wanted || at.read.is_some_and(|read| u64::from(read) != at.wanted));
    let missed = missed.count();
    println!("{} seeks: p50 {p50:.0} ms, p95 {p95:.0} ms; {missed} beside their picture", found.len());
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
