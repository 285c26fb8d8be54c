//! Sources end to end: films made by ffmpeg on the spot, decoded by ours.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests make films with ffmpeg, play a slow writer, and a server that says nothing"
)]

mod addresses;
mod oddities;
mod queues;
mod recordings;
mod songs;
mod sound;
mod uneven;

use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::clock;
use crate::queue::{self, Pop, WhenFull};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/sample.mp4");

fn file(path: impl AsRef<Path>) -> Input {
    Input::File(path.as_ref().to_path_buf())
}

/// Makes `name` in `folder` with ffmpeg; `arguments` are split at spaces.
fn make(folder: &TempDir, name: &str, arguments: &str, stdin: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y"]).args(arguments.split_whitespace()).arg(&path);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("ffmpeg is installed");
    child.stdin.take().expect("piped").write_all(stdin).expect("ffmpeg reads");
    assert!(child.wait().expect("ends").success(), "ffmpeg {arguments}");
    path
}

/// All pictures, with their numbers checked, or the first `most` of them.
fn pictures(source: Source, most: usize) -> Vec<Picture> {
    let got = numbered(source, most);
    assert!(got.iter().zip(0..).all(|(picture, number)| picture.number == number), "numbers count up from 0");
    got
}

/// The same, whatever their numbers.
fn numbered(source: Source, most: usize) -> Vec<Picture> {
    let (producer, consumer) = queue::bounded(10, WhenFull::Block, None);
    let running = source.start(producer, None);
    let got: Vec<_> = std::iter::from_fn(|| consumer.pop()).take(most).collect();
    drop(consumer);
    running.join().expect("a clean end");
    got
}

fn try_open(input: &Input, options: Options) -> Result<Source, SourceError> {
    open(input, None, &options, &Stopper::new().expect("an eventfd"))
}

fn open_with(input: &Input, options: Options) -> Source {
    try_open(input, options).unwrap_or_else(|error| panic!("{error}"))
}

/// What ffprobe says of a film, its pictures counted.
struct Probed {
    size: Size,
    rate: Rate,
    pictures: usize,
    codec: String,
}

impl Probed {
    fn of(film: &Path) -> Self {
        let mut command = Command::new("ffprobe");
        command.args(["-v", "error", "-of", "json", "-select_streams", "v:0", "-count_packets", "-show_entries"]);
        let entries = "stream=codec_name,width,height,r_frame_rate,nb_read_packets";
        let output = command.arg(entries).arg(film).output().expect("ffprobe is installed").stdout;
        let told: serde_json::Value = serde_json::from_slice(&output).expect("JSON");
        let stream = &told["streams"][0];
        let word = |name: &str| stream[name].as_str().expect(name).to_owned();
        let side = |name: &str| stream[name].as_u64().expect(name) as u16;
        let rate = word("r_frame_rate");
        let (num, den) = rate.split_once('/').expect("a fraction");
        Self {
            size: Size::new(side("width"), side("height")),
            rate: Rate::new(num.parse().expect("a number"), den.parse().expect("a number")).expect("a rate"),
            pictures: word("nb_read_packets").parse().expect("a number"),
            codec: word("codec_name"),
        }
    }

    fn seconds(&self) -> f64 {
        self.pictures as f64 / self.rate.fps()
    }
}

/// The sample, and a film that shares nothing with it.
fn two_films(folder: &TempDir) -> [(PathBuf, Probed); 2] {
    let other = "-f lavfi -i testsrc2=size=352x240:rate=15:duration=4.2 -f lavfi -i sine=r=32000:d=4.2 -c:v mpeg4 \
                 -c:a ac3 -ac 6";
    [PathBuf::from(SAMPLE), make(folder, "other.mp4", other, &[])].map(|path| {
        let told = Probed::of(&path);
        (path, told)
    })
}

fn rgb(picture: &Picture, x: usize, y: usize) -> [f64; 3] {
    let (width, chroma) = (usize::from(picture.size.width), usize::from(Picture::chroma(picture.size).width));
    let [luma, u, v] = picture.planes();
    let at = y / 2 * chroma + x / 2;
    let (luma, u, v) = (f64::from(luma[y * width + x]), f64::from(u[at]) - 128.0, f64::from(v[at]) - 128.0);
    [luma + 1.402 * v, luma - 0.344_136 * u - 0.714_136 * v, luma + 1.772 * u].map(|value| value.clamp(0.0, 255.0))
}

#[test]
fn a_film_has_the_pictures_that_ffprobe_counts_and_a_description() {
    for (path, told) in two_films(&TempDir::new().expect("a folder")) {
        let source = open_with(&file(&path), Options::default());
        let info = source.info().clone();
        assert_eq!((info.size, info.rate, info.pictures), (told.size, told.rate, Some(told.pictures as u32)));
        assert_eq!((info.pace, info.sound), (Pace::File, false));
        let length = info.length.expect("a length").as_secs_f64();
        assert!((length - told.seconds()).abs() < 0.001, "{length} s");
        assert_eq!(info.title, path.file_name().expect("a name").to_str().expect("plain"));
        let details = format!("{} {}, {} fps, {length:.1} s, sound left out", told.codec, told.size, told.rate.fps());
        assert_eq!(info.details, details);
        let got = pictures(source, usize::MAX);
        assert_eq!(got.len(), told.pictures);
        assert!(got.windows(2).all(|pair| pair[0].captured <= pair[1].captured));
    }
}

#[test]
fn width_rate_and_loop_are_obeyed() {
    for (path, told) in two_films(&TempDir::new().expect("a folder")) {
        let options = Options { width: Some(250), rate: Rate::new(10, 1), ..Options::default() };
        let source = open_with(&file(&path), options);
        let Size { width, height } = source.info().size;
        let shape = |width: u16, height: u16| f64::from(width) / f64::from(height);
        assert!(width == 250 && height % 2 == 0, "{width}×{height}");
        assert!((shape(width, height) / shape(told.size.width, told.size.height) - 1.0).abs() < 0.01);
        assert_eq!(source.info().rate.fps(), 10.0);
        let count = pictures(source, usize::MAX).len() as f64;
        assert!((count - told.seconds() * 10.0).abs() <= 1.2, "{count} pictures in {} s at 10 fps", told.seconds());
        let source = open_with(&file(&path), Options { width: Some(320), looped: true, ..Options::default() });
        let most = told.pictures * 2 + told.pictures / 2;
        assert_eq!(pictures(source, most).len(), most, "more than two passes");
    }
}

/// What a bar must look like when its film was encoded and read with the right matrix and range.
#[test]
fn colours_are_true_whatever_the_film_was_coded_in() {
    const COLOURS: [[u8; 3]; 8] = [
        [191, 191, 191],
        [191, 191, 0],
        [0, 191, 191],
        [0, 191, 0],
        [191, 0, 191],
        [191, 0, 0],
        [0, 0, 191],
        [16, 16, 16],
    ];
    let folder = TempDir::new().expect("a folder");
    let mut worst = 0.0_f64;
    for (width, height, matrix, tags) in [
        (1280, 720, "bt709", true),
        (1280, 720, "bt709", false),
        (640, 480, "smpte170m", true),
        (640, 480, "smpte170m", false),
        (640, 481, "smpte170m", true),
    ] {
        let row: Vec<u8> = (0..width).flat_map(|x| COLOURS[x * 8 / width]).collect();
        for (range, format) in
            [("tv", "yuv420p"), ("tv", "yuv444p"), ("pc", "yuv420p"), ("tv", "yuv420p10le"), ("pc", "bgr0")]
        {
            if (!tags && range == "pc") || (height % 2 == 1 && format != "yuv444p") {
                continue;
            }
            let tag =
                format!("-colorspace {matrix} -color_primaries {matrix} -color_trc {matrix} -color_range {range}");
            let arguments = format!(
                "-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r 25 -i pipe:0 -frames:v 2 -vf \
                 scale=out_color_matrix={matrix}:out_range={range}:flags=accurate_rnd+full_chroma_int,format={format} \
                 -c:v {} {}",
                if format == "bgr0" { "ffv1" } else { "libx264 -preset ultrafast -crf 1" },
                if tags { tag.as_str() } else { "" }
            );
            let arguments = if format == "bgr0" { arguments.replace(":out_range=pc", "") } else { arguments };
            let film = make(&folder, "bars.mkv", &arguments, &row.repeat(height * 2));
            let got = pictures(open_with(&file(&film), Options::default()), usize::MAX);
            assert_eq!(got.len(), 2);
            for (bar, meant) in COLOURS.iter().enumerate() {
                let shown = rgb(&got[0], (2 * bar + 1) * width / 16, height / 2);
                for (shown, &meant) in shown.into_iter().zip(meant) {
                    let error = (shown - f64::from(meant)).abs();
                    worst = worst.max(error);
                    assert!(
                        error <= 4.0,
                        "{width}×{height} {matrix} {range} {format} tagged {tags}: bar {bar} is {error} off"
                    );
                }
            }
        }
    }
    println!("the worst bar is {worst:.2} of 255 off");
}

#[test]
fn unusual_films_come_upright_square_and_whole() {
    let folder = TempDir::new().expect("a folder");
    let base = "-f lavfi -i testsrc2=size=320x240:rate=25:duration=0.4";
    let odd = "-f lavfi -i testsrc2=size=320x240:rate=25:duration=0.4 -vf format=yuv444p,scale=321:241";
    let big = "-f lavfi -i testsrc2=size=2560x1440:rate=25:duration=0.08";
    for (name, arguments, size, count) in [
        ("odd.mkv", format!("{odd} -pix_fmt yuv444p -c:v ffv1"), Size::new(321, 241), 10),
        ("rgb.mkv", format!("{base} -pix_fmt bgr0 -c:v ffv1"), Size::new(320, 240), 10),
        ("grey.mkv", format!("{base} -pix_fmt gray -c:v ffv1"), Size::new(320, 240), 10),
        ("ten.mkv", format!("{base} -pix_fmt yuv420p10le -c:v ffv1"), Size::new(320, 240), 10),
        ("wide.mkv", format!("{base} -vf setsar=2 -c:v libx264"), Size::new(640, 240), 10),
        ("fields.mkv", format!("{base} -c:v libx264 -flags +ildct+ilme -x264opts tff=1"), Size::new(320, 240), 10),
        ("camera.mkv", format!("{base} -c:v mjpeg -pix_fmt yuvj420p"), Size::new(320, 240), 10),
        ("big.mkv", format!("{big} -c:v libx264 -preset ultrafast"), Size::new(1920, 1080), 2),
        ("a: b#%.mp4", format!("{base} -c:v libx264"), Size::new(320, 240), 10),
    ] {
        let film = make(&folder, name, &arguments, &[]);
        let source = open_with(&file(&film), Options::default());
        assert_eq!(source.info().size, size, "{name}");
        assert_eq!(pictures(source, usize::MAX).len(), count, "{name}");
    }
    let straight = make(&folder, "straight.mp4", &format!("{base} -c:v libx264"), &[]);
    let turn = format!("-i {} -c copy -metadata:s:v:0 rotate=90", straight.display());
    let turned = make(&folder, "turned.mp4", &turn, &[]);
    assert_eq!(open_with(&file(turned), Options::default()).info().size, Size::new(240, 320));
}

#[test]
fn a_photo_is_a_film_of_five_seconds() {
    let folder = TempDir::new().expect("a folder");
    let path = make(&folder, "photo.png", "-f lavfi -i testsrc2=size=64x48 -frames:v 1", &[]);
    for pace in [PaceChoice::Auto, PaceChoice::Live] {
        let source = open_with(&file(&path), Options { pace, ..Options::default() });
        assert_eq!((source.info().pace, source.info().length), (Pace::File, Some(Duration::from_secs(5))));
        let (producer, consumer) = queue::bounded(10, WhenFull::Block, None);
        let running = source.start(producer, None);
        assert_eq!(std::iter::from_fn(|| consumer.pop()).count(), 1);
        let end = Some(MediaTime::from_micros(5_000_000));
        assert_eq!(running.join().expect("a clean end"), Finished { pictures: 1, end });
    }
}

#[test]
fn hdr_films_are_shown_with_their_white_as_white() {
    let folder = TempDir::new().expect("a folder");
    // White of 203 cd/m²: 58 % of PQ's scale and 75 % of HLG's (ITU-R BT.2408).
    for (name, transfer, code) in [("pq", "smpte2084", 573), ("hlg", "arib-std-b67", 721)] {
        let grey =
            format!("color=black:size=64x48:rate=10:duration=0.5,format=yuv420p10le,geq=lum={code}:cb=512:cr=512");
        let tags = format!("-color_primaries bt2020 -color_trc {transfer} -colorspace bt2020nc -color_range tv");
        let path = make(&folder, &format!("{name}.mkv"), &format!("-f lavfi -i {grey} -c:v ffv1 {tags}"), &[]);
        for width in [None, Some(32)] {
            let source = open_with(&file(&path), Options { width, ..Options::default() });
            assert!(source.info().details.contains(&format!("HDR ({})", name.to_uppercase())));
            for picture in pictures(source, usize::MAX) {
                let colour = rgb(&picture, 16, 12);
                assert!(colour.iter().all(|part| (225.0..=250.0).contains(part)), "{name}: {colour:?}");
            }
        }
    }
}

/// Our own children, living or zombies, by their number.
fn children_of(running: &Running) -> Vec<u32> {
    running.guard.control.children()
}

#[test]
fn dropping_a_source_leaves_no_process() {
    for keep_consumer in [false, true] {
        let source = open_with(&file(SAMPLE), Options { looped: true, ..Options::default() });
        let (producer, consumer) = queue::bounded(10, WhenFull::Block, None);
        let running = source.start(producer, None);
        for _ in 0..120 {
            consumer.pop().expect("a picture");
        }
        let (children, usage) = (children_of(&running), running.usage());
        assert!(!children.is_empty() && usage.cpu_seconds() > 0.0);
        let kept = keep_consumer.then_some(consumer);
        drop(running);
        for child in children {
            assert!(!Path::new(&format!("/proc/{child}")).exists(), "{child} is gone, not even a zombie");
        }
        assert!(usage.cpu_seconds() > 0.0, "the time of the dead counts");
        drop(kept);
    }
    drop(open_with(&file(SAMPLE), Options::default()));
}

/// A pipe that no child inherits: other tests start children meanwhile.
fn own_pipe() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe")
}

/// A pipe with a writer thread that writes `header`, then `count` pictures `gap` apart.
fn pipe(header: &str, bytes: usize, count: u32, gap: Duration) -> OwnedFd {
    let (reader, writer) = own_pipe();
    let header = header.to_owned();
    std::thread::spawn(move || {
        let mut writer = std::fs::File::from(writer);
        let mut picture = b"FRAME\n".to_vec();
        picture.resize(bytes + 6, 100);
        let start = clock::now();
        writer.write_all(header.as_bytes()).ok();
        for n in 0..count {
            std::thread::sleep((start + gap * n).since(clock::now()));
            writer.write_all(&picture).ok();
        }
    });
    reader
}

fn open_pipe(reader: OwnedFd, options: Options) -> Result<Source, SourceError> {
    let control = crate::ffmpeg::Control::new().expect("an eventfd");
    let tap = crate::ffmpeg::Tap::new(reader, &control);
    stdin::open_pipe(tap, &options, Guard { control, threads: Vec::new(), news: None })
}

#[test]
fn a_pipe_tells_its_pace_and_loses_nothing() {
    // A file is told from something live by ten pictures in five intervals: a slow machine has five seconds for them.
    for (size, rate, bytes, gap, pace) in [
        ("W64 H48", "F25:1 C420 XCOLORRANGE=FULL", 4_608, 40, Pace::Live),
        ("W64 H48", "F1:1 C420 XCOLORRANGE=FULL", 4_608, 0, Pace::File),
        ("W640 H480", "F25:1 C420jpeg", 460_800, 40, Pace::Live),
        ("W640 H480", "F1:1 C420jpeg", 460_800, 0, Pace::File),
    ] {
        let header = format!("YUV4MPEG2 {size} {rate}\n");
        let reader = pipe(&header, bytes, 60, Duration::from_millis(gap));
        std::thread::sleep(Duration::from_millis(100));
        let source = open_pipe(reader, Options::default()).expect("a stream");
        assert_eq!(source.info().pace, pace, "{header} every {gap} ms");
        assert_eq!(pictures(source, usize::MAX).len(), 60);
    }
}

#[test]
fn other_films_on_stdin_pass_through_ffmpeg() {
    let folder = TempDir::new().expect("a folder");
    let film = make(&folder, "film.mkv", "-f lavfi -i testsrc2=size=320x240:rate=1:duration=50 -c:v libx264", &[]);
    let source = open_pipe(std::fs::File::open(film).expect("made").into(), Options::default()).expect("a film");
    assert_eq!((source.info().size, source.info().pace), (Size::new(320, 240), Pace::File));
    assert_eq!(pictures(source, usize::MAX).len(), 50);
    let reader = pipe("YUV4MPEG2 W64 H48 F25:1 C420\n", 4_608, 40, Duration::ZERO);
    let source = open_pipe(reader, Options { width: Some(32), ..Options::default() }).expect("a stream");
    assert_eq!(source.info().size, Size::new(32, 24));
    assert_eq!(pictures(source, usize::MAX).len(), 40);
    let empty = std::fs::File::open("/dev/null").expect("a device");
    let error = open_pipe(empty.into(), Options::default()).err().expect("nothing there");
    assert!(error.to_string().contains("standard input is empty"), "{error}");
    let reader = pipe("YUV4MPEG2 W64 H48 F25:1 C420 XCOLORRANGE=FULL\n", 9, 1, Duration::ZERO);
    let error = open_pipe(reader, Options::default()).err().expect("cut short");
    assert!(error.to_string().contains("in the middle of picture 0"), "{error}");
}

#[test]
fn a_source_that_waits_for_room_can_be_stopped() {
    let source = open_with(&file(SAMPLE), Options::default());
    let (producer, consumer) = queue::bounded(1, WhenFull::Block, None);
    let running = source.start(producer, None);
    assert!(consumer.pop().is_some());
    running.stop();
    assert!(running.join().expect("stopped, not failed").pictures >= 1);
}

#[test]
fn an_address_that_never_answers_can_be_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let stopper = Stopper::new().expect("an eventfd");
    let opening = {
        let stopper = stopper.clone();
        std::thread::spawn(move || open(&Input::Url(format!("http://{address}/")), None, &Options::default(), &stopper))
    };
    // ffprobe has connected, asks, and never hears a word.
    let _connection = listener.accept().expect("ffprobe");
    stopper.stop();
    assert!(matches!(opening.join().expect("no panic"), Err(SourceError::Stopped)));
}

#[test]
fn a_silent_pipe_can_be_stopped() {
    let (reader, _writer) = {
        let (reader, writer) = own_pipe();
        let mut writer = std::fs::File::from(writer);
        writer.write_all(b"YUV4MPEG2 W64 H48 F25:1 C420 XCOLORRANGE=FULL\n").expect("room");
        (reader, writer)
    };
    let source = open_pipe(reader, Options { pace: PaceChoice::Live, ..Options::default() }).expect("a stream");
    let (producer, consumer) = queue::bounded(10, WhenFull::DropOldest, None);
    let running = source.start(producer, None);
    running.stop();
    assert_eq!(running.join().expect("stopped, not failed"), Finished { pictures: 0, end: None });
    assert!(matches!(consumer.try_pop(), Pop::Closed));
}

#[test]
fn the_test_card_comes_at_once_or_at_its_rate() {
    let input: Input = "test:320x240@50".parse().expect("a test card");
    assert_eq!(pictures(open_with(&input, Options::default()), 100).len(), 100);
    let source = open_with(&input, Options { pace: PaceChoice::Live, ..Options::default() });
    assert_eq!(source.info().pace, Pace::Live);
    let (rate, start) = (source.info().rate, clock::now());
    let got = numbered(source, 26);
    assert_eq!(got.len(), 26);
    // A busy machine may leave moments out, but no picture comes before its own.
    assert!(got.windows(2).all(|pair| pair[0].number < pair[1].number));
    assert!(got.iter().all(|picture| picture.captured >= start + rate.at(u64::from(picture.number))));
}
