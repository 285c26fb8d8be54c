//! Cameras: one run of ffmpeg that hands on what the camera gives, as it is. JPEGs stay JPEGs; uncoded pictures become
//! ours here; only what must be is decoded by ffmpeg, and what noise is taken out of. Of pictures that wait, the newest
//! counts.
//!
//! `camera:lavfi:GRAPH` stands in for a camera, for tests and for people without one: a graph of ffmpeg's filters at its own
//! pace, such as `camera:lavfi:testsrc2=size=1280x720:rate=30`; with `mjpeg:` before the graph it comes as JPEGs.

use std::time::Duration;

use super::arguments::{self, Coding, Shot, System};
use super::feed::{Feed, Starting, Who};
use super::stamps::CaptureClock;
use super::trouble::{DeviceKind, Trouble};
use super::{Device, Grabber, Mode, THIRTY, list, offers};
use crate::clock;
use crate::ffmpeg::Control;
use crate::media::Picture;
use crate::media::nut::Stream;
use crate::media::raw::Arrangement;
use crate::queue::Pool;
use crate::source::{Input, Options, SourceError};
use crate::units::{Rate, Size, Time};

pub(in crate::source) fn device(device: &str, options: &Options) -> Box<dyn Device> {
    let Options { size, rate, denoise, .. } = *options;
    Box::new(Camera { device: device.to_owned(), size, rate, denoise })
}

/// A camera that is opened anew each time.
struct Camera {
    device: String,
    size: Option<Size>,
    rate: Option<Rate>,
    denoise: bool,
}

impl Device for Camera {
    fn name(&self) -> String {
        Input::Camera(self.device.clone()).name()
    }

    fn open(&mut self, control: &Control) -> Result<Box<dyn Grabber>, SourceError> {
        let (mut arguments, address, coding) = match self.device.strip_prefix("lavfi:") {
            Some(graph) => (arguments::graph_camera(graph, self.denoise), graph.to_owned(), Coding::Raw(None)),
            None => self.real(control)?,
        };
        arguments.extend(arguments::out());
        let who = Who { name: self.name(), address, kind: DeviceKind::Pictures };
        let feed = Starting::new(&arguments, &who, control)?.open(FIRST_PICTURE)?;
        let decoded = arguments::is_decoded(&coding, self.denoise);
        Open::new(feed, &coding, decoded, self.rate).map(|open| Box::new(open) as Box<dyn Grabber>)
    }
}

impl Camera {
    /// How ffmpeg opens it, what ffmpeg calls it, and how its pictures come.
    fn real(&self, control: &Control) -> Result<(Vec<String>, String, Coding), SourceError> {
        let system = System::here();
        let device = list::find_camera(&self.device, control)?;
        let said = super::feed::ask(&arguments::modes(system, &device), control)?;
        let Shot { coding, size, rate } = offers::choose(&offers::parse(system, &said), self.size, self.rate);
        let shot = Shot { coding, size, rate };
        let mut arguments = arguments::camera(system, &device, &shot);
        arguments.extend(arguments::pictures(&shot.coding, self.denoise));
        Ok((arguments, system.camera_address(&device), shot.coding))
    }
}

/// How pictures come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Jpeg,
    Raw { arrangement: Arrangement, full: bool },
}

impl How {
    fn of(code: [u8; 4], coding: &Coding, decoded: bool) -> Option<Self> {
        if !decoded && (*coding == Coding::Mjpeg || code == *b"MJPG") {
            return Some(Self::Jpeg);
        }
        // What ffmpeg decodes for us it brings to full range as well.
        Arrangement::of(code).map(|arrangement| Self::Raw { arrangement, full: decoded })
    }

    fn words(self, code: [u8; 4]) -> String {
        match self {
            Self::Jpeg => "mjpeg".to_owned(),
            Self::Raw { .. } => String::from_utf8_lossy(&code).trim_end_matches('\0').to_lowercase(),
        }
    }
}

/// An open camera.
struct Open {
    feed: Feed,
    how: How,
    mode: Mode,
    stamps: CaptureClock,
    /// Where uncoded pictures come in.
    raw: Vec<u8>,
    pictures: u32,
}

impl Open {
    fn new(feed: Feed, coding: &Coding, decoded: bool, wished: Option<Rate>) -> Result<Self, SourceError> {
        let Stream::Pictures { size, code } = *feed.stream() else {
            return Err(feed.who().trouble(Trouble::Unknown("sound".to_owned())));
        };
        let letters = || String::from_utf8_lossy(&code).into_owned();
        let how = How::of(code, coding, decoded).ok_or_else(|| feed.who().trouble(Trouble::Unknown(letters())))?;
        let rate = feed.rate().or(wished).unwrap_or(THIRTY);
        let details = format!("{} {size}, {rate} fps", how.words(code));
        let mode = Mode { size, rate, details };
        Ok(Self { feed, how, mode, stamps: CaptureClock::default(), raw: Vec::new(), pictures: 0 })
    }

    /// The newest packet that has come whole, and when it was captured.
    fn newest(&mut self, body: &mut Vec<u8>) -> Result<Time, SourceError> {
        let mut skipped = 0;
        loop {
            let stamp = self.feed.next(body, PATIENCE)?;
            let arrival = clock::now();
            let captured = self.stamps.captured(stamp, arrival, clock::wall_ahead());
            // A camera that is quicker than we are must not keep us reading for ever.
            if skipped == MOST_SKIPPED || !self.feed.ready(Time::ZERO) {
                return Ok(captured);
            }
            skipped += 1;
        }
    }

    /// `None` of a picture that was damaged on its way.
    fn picture(&mut self, pool: &Pool<Vec<u8>>) -> Result<Option<Picture>, SourceError> {
        let (number, size) = (self.pictures, self.mode.size);
        match self.how {
            How::Jpeg => {
                let mut jpeg = pool.take(Vec::new);
                let captured = self.newest(&mut jpeg)?;
                Ok(jpeg.starts_with(JPEG).then(|| Picture::from_jpeg(jpeg, size, number, captured)))
            }
            How::Raw { arrangement, full } => {
                let mut raw = std::mem::take(&mut self.raw);
                let captured = self.newest(&mut raw);
                self.raw = raw;
                let mut picture = Picture::from_pool(pool, size, number, captured?);
                Ok(arrangement.convert(&self.raw, full, &mut picture).then_some(picture))
            }
        }
    }
}

impl Grabber for Open {
    fn mode(&self) -> Mode {
        self.mode.clone()
    }

    fn grab(&mut self, pool: &Pool<Vec<u8>>) -> Result<Picture, SourceError> {
        let patient = clock::now() + PATIENCE;
        loop {
            if let Some(picture) = self.picture(pool)? {
                self.pictures = self.pictures.wrapping_add(1);
                return Ok(picture);
            }
            if clock::now() >= patient {
                return Err(self.feed.who().trouble(Trouble::Unknown("each of them is damaged".to_owned())));
            }
        }
    }
}

/// Cameras wake in two or three seconds.
const FIRST_PICTURE: Duration = Duration::from_secs(10);
/// In the dark a camera may take half a second for a picture; never this long.
const PATIENCE: Duration = Duration::from_secs(5);
const MOST_SKIPPED: u32 = 8;
/// What every JPEG begins with.
const JPEG: &[u8] = &[0xFF, 0xD8, 0xFF];

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test waits until the kernel has tidied up")]
mod tests {
    use super::*;
    use crate::source::live::tests::{NOISE, WARM, resident};

    fn open(device: &str, control: &Control) -> Box<dyn Grabber> {
        let mut camera = super::device(device, &Options::default());
        camera.open(control).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_graph_stands_in_for_a_camera_and_its_colours_are_right() {
        let control = Control::new().expect("a control");
        for (colour, yuv) in [("red", [76, 85, 255]), ("white", [255, 128, 128]), ("0x336699", [92, 162, 98])] {
            let mut grabber = open(&format!("lavfi:color={colour}:size=64x48:rate=50"), &control);
            let Mode { size, rate, details } = grabber.mode();
            assert_eq!((size, rate), (Size::new(64, 48), Rate::new(50, 1).expect("usual")));
            assert_eq!(details, "yuy2 64×48, 50 fps");
            let pool = Pool::new(4);
            let mut before = None;
            for _ in 0..10 {
                let picture = grabber.grab(&pool).expect("a picture");
                let shown = picture.planes().map(|plane| plane[0]);
                let close = shown.iter().zip(yuv).all(|(shown, meant): (&u8, u8)| shown.abs_diff(meant) <= 2);
                assert!(close, "{colour}: {shown:?}, not {yuv:?}");
                assert!(picture.captured <= clock::now() && before.is_none_or(|before| before <= picture.captured));
                before = Some(picture.captured);
            }
        }
        assert_eq!(control.children(), [0_u32; 0], "a grabber leaves nothing behind");
    }

    #[test]
    fn noise_is_taken_out_where_that_is_wanted() {
        let control = Control::new().expect("a control");
        let grey =
            |coding: &str| format!("lavfi:{coding}color=gray:size=320x240:rate=50,noise=alls=4:allf=t:all_seed=3");
        let roughness = |device: &str, denoise| {
            let mut camera = super::device(device, &Options { denoise, ..Options::default() });
            let mut grabber = camera.open(&control).unwrap_or_else(|error| panic!("{error}"));
            let pool = Pool::new(4);
            // The filter needs some pictures to see what is noise.
            let last = (0..20).map(|_| grabber.grab(&pool).expect("a picture")).last().expect("twenty");
            assert!(last.jpeg().is_none(), "noise is not taken out of JPEGs");
            let [luma, ..] = last.planes();
            let steps = luma.windows(2).map(|two| u64::from(two[0].abs_diff(two[1])));
            steps.sum::<u64>() as f64 / luma.len() as f64
        };
        let noisy = roughness(&grey(""), false);
        assert!(noisy > 1.5, "the regime: {noisy}");
        for coding in ["", "mjpeg:"] {
            let clean = roughness(&grey(coding), true);
            assert!(clean < noisy * 0.6, "{clean} of {noisy}");
        }
    }

    #[test]
    fn jpegs_stay_jpegs() {
        let control = Control::new().expect("a control");
        let mut grabber = open("lavfi:mjpeg:testsrc2=size=320x240:rate=50", &control);
        assert_eq!(grabber.mode().details, "mjpeg 320×240, 50 fps");
        let pool = Pool::new(4);
        for number in 0..5 {
            let picture = grabber.grab(&pool).expect("a picture");
            let jpeg = picture.jpeg().expect("as it came");
            assert!(jpeg.starts_with(JPEG) && jpeg.len() > 1_000 && picture.number == number);
        }
    }

    #[test]
    fn a_camera_that_is_killed_or_not_there_says_so() {
        let control = Control::new().expect("a control");
        let mut grabber = open("lavfi:testsrc2=size=64x48:rate=50", &control);
        let pool = Pool::new(4);
        grabber.grab(&pool).expect("a picture");
        control.children().into_iter().for_each(|child| control.kill(child));
        let error = (0..100).find_map(|_| grabber.grab(&pool).err()).expect("an end").to_string();
        assert!(error.contains("was lost"), "{error}");
        for (device, sign) in [("/dev/video987", "is not there"), ("lavfi:nosuchfilter", "nosuchfilter")] {
            let mut camera = super::device(device, &Options::default());
            let error = camera.open(&control).err().expect("no camera").to_string();
            assert!(error.contains(sign) && error.starts_with("camera "), "{error}");
        }
        assert_eq!(control.children(), [0_u32; 0]);
    }

    /// Threads and descriptors of this process.
    fn belongings() -> [usize; 2] {
        ["task", "fd"].map(|what| std::fs::read_dir(format!("/proc/self/{what}")).expect("Linux").count())
    }

    /// The same once it is as `wanted`, or after a second: the kernel lists a thread for a moment longer than it lives.
    fn settled(wanted: [usize; 2]) -> [usize; 2] {
        let looks = std::iter::repeat_with(|| {
            std::thread::sleep(Duration::from_millis(5));
            belongings()
        });
        looks.take(200).find(|&now| now == wanted).unwrap_or_else(belongings)
    }

    #[test]
    fn fifty_losses_leave_nothing_behind() {
        crate::source::live::tests::alone("source::live::camera::tests::fifty_losses");
    }

    #[test]
    #[ignore = "counts what the process has: run by the test before it, alone"]
    fn fifty_losses() {
        let control = Control::new().expect("a control");
        let mut camera = super::device("lavfi:color=red:size=64x48:rate=50", &Options::default());
        let (before, mut memory) = (belongings(), 0);
        for round in 0..50 {
            let mut grabber = camera.open(&control).unwrap_or_else(|error| panic!("{error}"));
            grabber.grab(&Pool::new(2)).expect("a picture");
            control.children().into_iter().for_each(|child| control.kill(child));
            while grabber.grab(&Pool::new(2)).is_ok() {}
            drop(grabber);
            assert_eq!(control.children(), [0_u32; 0], "round {round}");
            assert_eq!(settled(before), before, "round {round}");
            memory = if round < WARM { resident() } else { memory };
        }
        assert!(resident() < memory + NOISE, "{} bytes, {memory} once warm", resident());
    }
}
