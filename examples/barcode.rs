//! A film that says which picture it is: YUV4MPEG2 on stdout in real time, each picture's number drawn as black and
//! white squares over moving, grainy shapes that take as many bytes as film. With a log it notes for each picture when
//! it began to write it, in nanoseconds of CLOCK_MONOTONIC. `glass` reads the numbers off the screen again. `--to screen`
//! shows it in a window of the X screen instead.
//!
//! `barcode [--size 1280x720] [--fps 30] [--pictures 300] [--range limited|full] [--log FILE] [--to stdout|screen]`

use std::fs::File;
use std::io::{self, BufWriter, Write};

use rustix::thread::nanosleep;
use rustix::time::Timespec;
use udpstream::clock;
use udpstream::units::{Rate, Size, Time};

#[path = "barcode/code.rs"]
mod code;
#[path = "barcode/window.rs"]
mod window;

type Failure = Box<dyn std::error::Error>;

struct Options {
    size: Size,
    rate: Rate,
    pictures: u32,
    full: bool,
    to_screen: bool,
    log: Option<BufWriter<File>>,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let rate = Rate::new(30, 1).ok_or("no such rate")?;
        let mut options =
            Self { size: Size::new(1_280, 720), rate, pictures: 300, full: false, to_screen: false, log: None };
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            let bad = || format!("{name} cannot be {value:?}");
            match name.as_str() {
                "--size" => options.size = code::size(&value).ok_or_else(bad)?,
                "--fps" => options.rate = value.parse().ok().and_then(Rate::from_fps).ok_or_else(bad)?,
                "--pictures" => options.pictures = value.parse().map_err(|_| bad())?,
                "--range" => options.full = value == "full",
                "--to" => options.to_screen = value == "screen",
                "--log" => options.log = Some(BufWriter::new(File::create(&value).map_err(|why| why.to_string())?)),
                _ => return Err(format!("{name} is not known here")),
            }
        }
        Ok(options)
    }
}

fn main() -> std::process::ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| play(options).map_err(|why| why.to_string())) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn play(mut options: Options) -> Result<(), Failure> {
    let Options { size, rate, .. } = options;
    let scene = Scene::new(size);
    let mut out = if options.to_screen { Out::window(size, &scene)? } else { Out::pipe(&options)? };
    let start = clock::now();
    for number in 0..options.pictures {
        out.prepare(number, &scene)?;
        sleep_until(start + rate.at(u64::from(number) + 1));
        let at = clock::now();
        if !out.show()? {
            break;
        }
        if let Some(log) = &mut options.log {
            writeln!(log, "{number} {}", at.nanos())?;
        }
    }
    Ok(options.log.map_or(Ok(()), |mut log| log.flush())?)
}

/// Where the film goes.
enum Out {
    /// A pipe, and the next frame.
    Pipe(io::StdoutLock<'static>, Vec<u8>),
    Window(Box<window::Window>),
}

impl Out {
    fn pipe(options: &Options) -> io::Result<Self> {
        let mut out = io::stdout().lock();
        let Options { size: Size { width, height }, rate, full, .. } = options;
        let range = if *full { "FULL" } else { "LIMITED" };
        let (num, den) = (rate.num(), rate.den());
        writeln!(out, "YUV4MPEG2 W{width} H{height} F{num}:{den} Ip A1:1 C420jpeg XCOLORRANGE={range}")?;
        Ok(Self::Pipe(out, Vec::with_capacity(6 + options.size.pixels() * 3 / 2)))
    }

    fn window(size: Size, scene: &Scene) -> Result<Self, Failure> {
        let planes = scene.planes.each_ref().map(|(samples, _)| samples.as_slice());
        let whole = Size::new(size.width + TRAVEL.width, size.height + TRAVEL.height);
        Ok(Self::Window(Box::new(window::Window::open(size, planes, whole)?)))
    }

    /// All that can be done before its moment has come.
    fn prepare(&mut self, number: u32, scene: &Scene) -> Result<(), Failure> {
        match self {
            Self::Window(window) => window.prepare(number, Scene::corner(number))?,
            Self::Pipe(_, frame) => {
                scene.draw(number, frame);
                code::draw(number, scene.size, &mut frame[FRAME.len()..]);
            }
        }
        Ok(())
    }

    /// `false` when nobody reads any more.
    fn show(&mut self) -> Result<bool, Failure> {
        match self {
            Self::Window(window) => window.show()?,
            Self::Pipe(out, frame) => match out.write_all(frame) {
                Err(gone) if gone.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
                other => other?,
            },
        }
        Ok(true)
    }
}

fn sleep_until(moment: Time) {
    let left = || Some(moment.since(clock::now())).filter(|left| !left.is_zero());
    while let Some(left) = left() {
        let _early_or_not =
            nanosleep(&Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) });
    }
}

/// Three planes larger than the picture, which moves over them: drawing one is a copy of rows.
struct Scene {
    size: Size,
    planes: [(Vec<u8>, usize); 3],
}

/// How far the picture moves over the scene.
const TRAVEL: Size = Size::new(256, 128);
/// Noise in luma. With it 720p at quality 80 takes what real film takes: 140 kB, and 154 kB once its range is full.
const GRAIN: u32 = 13;
const FRAME: &[u8; 6] = b"FRAME\n";

impl Scene {
    fn new(size: Size) -> Self {
        let mut state = 1_u32;
        let mut noise = move |amount: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) * amount) >> 16
        };
        let mut plane = |divisor: u16, grain: u32| {
            let width = u32::from((size.width + TRAVEL.width) / divisor);
            let height = u32::from((size.height + TRAVEL.height) / divisor);
            let samples = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
            let samples = samples.map(|(x, y)| {
                let (fx, fy) = (f64::from(x), f64::from(y));
                let wave = (fx * fx / 9_000.0).sin() + (fy * (fx + fy) / 20_000.0).cos();
                (110.0 + 40.0 * wave) as u8 + noise(grain) as u8
            });
            (samples.collect(), width as usize)
        };
        Self { size, planes: [plane(1, GRAIN), plane(2, 2), plane(2, 2)] }
    }

    /// Which part of the scene a picture shows: three pixels right and one down a picture, there and back.
    fn corner(number: u32) -> (usize, usize) {
        let bounce = |step: u32, travel: u16| {
            let at = step % (2 * u32::from(travel));
            at.min(2 * u32::from(travel) - at) as usize & !1
        };
        (bounce(number * 6, TRAVEL.width), bounce(number * 2, TRAVEL.height))
    }

    fn draw(&self, number: u32, frame: &mut Vec<u8>) {
        frame.clear();
        frame.extend_from_slice(FRAME);
        let (left, top) = Self::corner(number);
        let (width, height) = (usize::from(self.size.width), usize::from(self.size.height));
        for ((samples, stride), divisor) in self.planes.iter().zip([1, 2, 2]) {
            let (left, top) = (left / divisor, top / divisor);
            let rows = samples.chunks_exact(*stride).skip(top).take(height.div_ceil(divisor));
            rows.for_each(|row| frame.extend_from_slice(&row[left..left + width.div_ceil(divisor)]));
        }
    }
}
