//! Screens of servers of our own, that are painted on, taken away, frozen and brought back.
#![expect(clippy::disallowed_methods, reason = "tests start X servers")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use x11rb::COPY_DEPTH_FROM_PARENT;
use x11rb::connection::Connection;
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::xproto::{ConnectionExt as _, CreateWindowAux, WindowClass};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::*;
use crate::source::live::tests::{NOISE, WARM, resident};
use crate::units::Size;

/// A virtual X server, killed with the test.
struct Xvfb {
    child: Child,
    name: String,
}

impl Xvfb {
    /// On any free display.
    fn start(arguments: &[&str]) -> Self {
        Self::run(Command::new("Xvfb").args(arguments))
    }

    /// On a display with a number so high that programs which take the first free one do not reach it; started again if wanted.
    fn start_at(number: u32, arguments: &[&str]) -> Self {
        Self::run(Command::new("Xvfb").arg(format!(":{number}")).args(arguments))
    }

    fn run(command: &mut Command) -> Self {
        command.args(["-noreset", "-displayfd", "1", "-nolisten", "tcp"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("Xvfb is installed");
        let mut number = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut number).expect("a number");
        assert!(!number.is_empty(), "no X server: {:?}", child.wait());
        Self { child, name: format!(":{}", number.trim()) }
    }

    fn screen(&self) -> Screen {
        Screen { display: Some(self.name.clone()), area: None }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("it lives");
    }
}

impl Drop for Xvfb {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A client that paints on a screen.
struct Painter {
    connection: RustConnection,
    root: u32,
    gc: u32,
}

impl Painter {
    fn new(xvfb: &Xvfb) -> Self {
        let (connection, screen) = x11rb::connect(Some(&xvfb.name)).expect("it runs");
        let root = connection.setup().roots[screen].root;
        let gc = connection.generate_id().expect("plenty");
        connection.create_gc(gc, root, &Default::default()).expect("sent");
        Self { connection, root, gc }
    }

    /// A rectangle of one colour; it is there when this returns.
    fn fill(&self, colour: u32, (x, y): (i16, i16), (width, height): (u16, u16)) {
        let aux = x11rb::protocol::xproto::ChangeGCAux::new().foreground(colour);
        self.connection.change_gc(self.gc, &aux).expect("sent");
        let rectangle = x11rb::protocol::xproto::Rectangle { x, y, width, height };
        // Over whatever windows there are.
        self.connection.poly_fill_rectangle(self.root, self.gc, &[rectangle]).expect("sent");
        self.connection.sync().expect("answered");
    }

    fn point(&self, x: i16, y: i16) {
        self.connection.warp_pointer(x11rb::NONE, self.root, 0, 0, 0, 0, x, y).expect("sent");
        self.connection.sync().expect("answered");
    }
}

const OPTIONS: Options = Options {
    width: None,
    rate: Rate::new(100, 1),
    size: None,
    pointer: false,
    pace: crate::source::PaceChoice::Auto,
    looped: false,
    denoise: false,
    sound: None,
};

fn control() -> Control {
    Control::new().expect("an eventfd")
}

fn open(screen: &Screen, options: &Options) -> Result<Box<dyn Grabber>, SourceError> {
    device(screen, options).open(&control())
}

/// Full-range BT.601.
fn colour_at(picture: &Picture, x: usize, y: usize) -> [f64; 3] {
    let [luma, u, v] = picture.planes();
    let width = usize::from(picture.size.width);
    let at = y / 2 * width.div_ceil(2) + x / 2;
    let (y, u, v) = (f64::from(luma[y * width + x]), f64::from(u[at]) - 128.0, f64::from(v[at]) - 128.0);
    [y + 1.402 * v, y - 0.344_136 * u - 0.714_136 * v, y + 1.772 * u]
}

fn is(picture: &Picture, (x, y): (usize, usize), colour: u32) -> bool {
    let [_, red, green, blue] = colour.to_be_bytes();
    colour_at(picture, x, y).iter().zip([red, green, blue]).all(|(have, want)| (have - f64::from(want)).abs() < 4.0)
}

/// Grabs until a picture is as wanted.
fn until(grabber: &mut dyn Grabber, what: &str, wanted: impl Fn(&Picture) -> bool) -> Picture {
    let pool = Pool::new(3);
    let pictures = std::iter::repeat_with(|| grabber.grab(&pool).expect("a picture"));
    pictures.take(1_000).find(wanted).unwrap_or_else(|| panic!("never came: {what}"))
}

#[test]
fn what_is_painted_is_seen_and_what_stays_is_the_same_content() {
    for lacking in [
        &[][..],
        &["-extension", "MIT-SHM"],
        &["-extension", "DAMAGE"],
        &["-extension", "MIT-SHM", "-extension", "DAMAGE"],
    ] {
        let xvfb = Xvfb::start(&[&["-screen", "0", "333x77x24"], lacking].concat());
        let mut grabber = open(&xvfb.screen(), &OPTIONS).expect("it runs");
        let mode = grabber.mode();
        assert_eq!((mode.size, mode.rate.fps()), (Size::new(333, 77), 100.0));
        let lacks = (mode.details.contains("without shared memory"), mode.details.contains("does not tell of changes"));
        assert_eq!(lacks, (lacking.contains(&"MIT-SHM"), lacking.contains(&"DAMAGE")), "{}", mode.details);
        let painter = Painter::new(&xvfb);
        let mut contents = Vec::new();
        for colour in [0xFF_0000, 0x00_FF00, 0x00_00FF, 0xFF_FFFF, 0x12_3456] {
            painter.fill(colour, (0, 0), (333, 77));
            let corners = [(0, 0), (332, 0), (0, 76), (332, 76)];
            let picture =
                until(&mut *grabber, "the colour", |picture| corners.iter().all(|&at| is(picture, at, colour)));
            let pool = Pool::new(3);
            let mut before = picture.captured;
            for _ in 0..5 {
                let next = grabber.grab(&pool).expect("a picture");
                assert_eq!(next.content, picture.content);
                assert!(next.captured > before);
                before = next.captured;
            }
            contents.push(picture.content);
        }
        contents.dedup();
        assert_eq!(contents.len(), 5, "each colour is new");
    }
}

#[test]
fn windows_are_seen_and_so_are_fewer_colours() {
    let xvfb = Xvfb::start(&["-screen", "0", "201x101x16"]);
    let mut grabber = open(&xvfb.screen(), &OPTIONS).expect("it runs");
    let painter = Painter::new(&xvfb);
    let connection = &painter.connection;
    let window = connection.generate_id().expect("plenty");
    // Pure magenta in 5, 6 and 5 bits.
    let aux = CreateWindowAux::new().background_pixel(0xF81F).override_redirect(1);
    let class = WindowClass::INPUT_OUTPUT;
    let depth = COPY_DEPTH_FROM_PARENT;
    connection.create_window(depth, window, painter.root, 51, 31, 50, 40, 0, class, 0, &aux).expect("sent");
    connection.map_window(window).expect("sent");
    connection.sync().expect("answered");
    until(&mut *grabber, "a window", |picture| is(picture, (70, 50), 0xFF_00FF) && is(picture, (99, 69), 0xFF_00FF));
    connection.unmap_window(window).expect("sent");
    connection.sync().expect("answered");
    until(&mut *grabber, "no window", |picture| !is(picture, (70, 50), 0xFF_00FF));
}

#[test]
fn a_screen_of_few_colours_is_a_sentence() {
    let xvfb = Xvfb::start(&["-screen", "0", "64x64x8"]);
    let error = open(&xvfb.screen(), &OPTIONS).map(|_| ()).expect_err("eight bits");
    assert!(error.is_final() && error.to_string().contains("8 bits a pixel"), "{error}");
}

#[test]
fn an_area_is_a_part_and_one_outside_is_a_sentence() {
    let xvfb = Xvfb::start(&["-screen", "0", "320x200x24"]);
    let painter = Painter::new(&xvfb);
    painter.fill(0x20_4060, (0, 0), (320, 200));
    painter.fill(0xE0_8010, (300, 180), (20, 20));
    let part = |x, y, width, height| Screen { area: Some(((x, y), Size::new(width, height))), ..xvfb.screen() };
    let mut grabber = open(&part(290, 170, 60, 60), &OPTIONS).expect("it is there");
    assert_eq!(grabber.mode().size, Size::new(30, 30), "cut to the screen");
    assert!(grabber.mode().details.contains("+290,170,30x30"), "{}", grabber.mode().details);
    let picture = grabber.grab(&Pool::new(1)).expect("a picture");
    assert!(is(&picture, (8, 8), 0x20_4060) && is(&picture, (10, 10), 0xE0_8010) && is(&picture, (29, 29), 0xE0_8010));
    // What happens elsewhere is nothing new.
    painter.fill(0, (0, 0), (100, 100));
    let pool = Pool::new(2);
    assert!((0..20).all(|_| grabber.grab(&pool).expect("a picture").content == picture.content));
    let error = open(&part(320, 0, 10, 10), &OPTIONS).map(|_| ()).expect_err("outside");
    assert!(error.is_final() && error.to_string().contains("320×200"), "{error}");
}

#[test]
fn the_pointer_is_drawn_where_it_is_and_only_if_wanted() {
    let xvfb = Xvfb::start(&["-screen", "0", "200x200x24"]);
    let painter = Painter::new(&xvfb);
    painter.fill(0x80_8080, (0, 0), (200, 200));
    painter.point(150, 150);
    let mut with = open(&xvfb.screen(), &Options { pointer: true, ..OPTIONS }).expect("it runs");
    let mut without = open(&xvfb.screen(), &OPTIONS).expect("it runs");
    let near = |picture: &Picture, x: usize, y: usize| {
        let square = (x - 8..x + 8).flat_map(|x| (y - 8..y + 8).map(move |y| (x, y)));
        square.filter(|&at| !is(picture, at, 0x80_8080)).count() > 10
    };
    let pool = Pool::new(3);
    let clean = without.grab(&pool).expect("a picture");
    assert!(clean.planes()[0].iter().all(|&y| y.abs_diff(0x80) <= 1));
    let first = until(&mut *with, "the pointer", |picture| near(picture, 150, 150));
    assert!(!near(&first, 50, 50));
    // Moved by a program, of which no event tells.
    painter.point(50, 50);
    let moved = until(&mut *with, "the pointer, moved", |picture| near(picture, 50, 50));
    assert!(!near(&moved, 150, 150) && moved.content != first.content);
    assert!((0..10).all(|_| without.grab(&pool).expect("a picture").content == clean.content));
    // In the corner, half of it is outside.
    painter.point(0, 199);
    until(&mut *with, "no pointer in the middle", |picture| !near(picture, 50, 50));
}

#[test]
fn a_screen_that_changes_its_size_goes_on() {
    let xvfb = Xvfb::start(&["-screen", "0", "640x480x24"]);
    let painter = Painter::new(&xvfb);
    let mut whole = open(&xvfb.screen(), &OPTIONS).expect("it runs");
    let area = Some(((500, 0), Size::new(100, 100)));
    let mut part = open(&Screen { area, ..xvfb.screen() }, &OPTIONS).expect("it runs");
    let pool = Pool::new(3);
    assert_eq!(whole.grab(&pool).expect("a picture").size, Size::new(640, 480));
    assert_eq!(part.grab(&pool).expect("a picture").size, Size::new(100, 100));
    let connection = &painter.connection;
    let crtcs = connection.randr_get_screen_resources(painter.root).expect("sent").reply().expect("RandR");
    for &crtc in &crtcs.crtcs {
        let off = connection.randr_set_crtc_config(crtc, 0, 0, 0, 0, x11rb::NONE, 1_u16.into(), &[]);
        off.expect("sent").reply().expect("off");
    }
    connection.randr_set_screen_size(painter.root, 400, 300, 100, 75).expect("sent").check().expect("smaller");
    let picture = until(&mut *whole, "the new size", |picture| picture.size == Size::new(400, 300));
    assert_eq!(whole.mode().size, picture.size);
    painter.fill(0x11_AA33, (0, 0), (400, 300));
    until(&mut *whole, "the colour", |picture| is(picture, (399, 299), 0x11_AA33));
    let error = (0..1_000).find_map(|_| part.grab(&pool).err()).expect("it is outside now");
    assert!(matches!(error, SourceError::OutsideScreen { .. }), "{error}");
}

#[test]
fn a_stop_ends_a_grab() {
    let xvfb = Xvfb::start(&["-screen", "0", "64x64x24"]);
    let control = control();
    let slow = Options { rate: Rate::new(1, 600), ..OPTIONS };
    let mut grabber = device(&xvfb.screen(), &slow).open(&control).expect("it runs");
    let pool = Pool::new(1);
    grabber.grab(&pool).expect("a picture");
    std::thread::scope(|scope| {
        // The next picture is due in ten minutes.
        let waiting = scope.spawn(|| grabber.grab(&pool).map(|_| ()));
        control.stop();
        assert!(matches!(waiting.join().expect("no panic"), Err(SourceError::Stopped)));
    });
    assert!(matches!(device(&xvfb.screen(), &OPTIONS).open(&control), Err(SourceError::Stopped)));
}

#[test]
fn a_server_that_says_nothing_more_is_given_up() {
    let xvfb = Xvfb::start(&["-screen", "0", "64x64x24"]);
    let mut grabber = open(&xvfb.screen(), &Options { pointer: true, ..OPTIONS }).expect("it runs");
    let pool = Pool::new(2);
    grabber.grab(&pool).expect("a picture");
    xvfb.signal(Signal::STOP);
    let error = std::iter::repeat_with(|| grabber.grab(&pool)).find_map(Result::err).expect("it is frozen");
    assert!(matches!(&error, SourceError::ScreenLost { why, .. } if why.contains("no answer")), "{error}");
    xvfb.signal(Signal::CONT);
}

#[test]
fn what_cannot_be_opened_is_a_sentence() {
    let key = tempfile::NamedTempFile::new().expect("a file");
    // Of any host and any display (Xau's own format): each text with its length before it.
    let text = |text: &[u8]| [&(text.len() as u16).to_be_bytes()[..], text].concat();
    let entry = [vec![0xFF, 0xFF], text(b""), text(b""), text(b"MIT-MAGIC-COOKIE-1"), text(&[42; 16])].concat();
    key.as_file().write_all(&entry).expect("room");
    let xvfb = Xvfb::start(&["-screen", "0", "64x64x24", "-auth", key.path().to_str().expect("a plain name")]);
    let error = open(&xvfb.screen(), &OPTIONS).map(|_| ()).expect_err("locked");
    let said = error.to_string();
    assert!(matches!(error, SourceError::ScreenRefused { .. }) && said.contains("xhost"), "{said}");
    drop(xvfb);

    let xvfb = Xvfb::start(&["-screen", "0", "64x64x24"]);
    for (display, wanted, last) in [
        (format!("{}.7", xvfb.name), "no screen of that number", true),
        (":31999".into(), "no X server answers at :31999", false),
        ("unknown-host.invalid:0".into(), "no X server answers", false),
        ("rubbish".into(), "write screen:", true),
        (":65535".into(), "write screen:", true),
    ] {
        let error = open(&Screen { display: Some(display.clone()), area: None }, &OPTIONS).map(|_| ());
        let error = error.expect_err(&display);
        assert!(error.to_string().contains(wanted), "{display}: {error}");
        assert_eq!(error.is_final(), last, "{display}: whether one may wait for it");
    }
}

#[test]
fn screens_are_listed_with_their_monitors() {
    let xvfb = Xvfb::start(&["-screen", "0", "320x200x24"]);
    let listed = screens(&control());
    let name = format!("screen:{}", xvfb.name);
    let whole = listed.iter().find(|listed| listed.name == name).unwrap_or_else(|| panic!("{name}: {listed:?}"));
    assert_eq!(whole.description, "the whole screen, 320×200");
    let monitor = listed.iter().find(|listed| listed.name == format!("{name}+0,0,320x200"));
    assert!(monitor.is_some_and(|monitor| monitor.description.contains("320×200")), "{listed:?}");
    for listed in listed.iter().filter(|listed| listed.name.starts_with(&name)) {
        let input: Input = listed.name.parse().expect("what is listed can be typed");
        assert!(matches!(input, Input::Screen(_)));
    }
}

/// Threads, descriptors and mapped screens of this process.
fn belongings() -> [usize; 3] {
    let count = |folder: &str| std::fs::read_dir(folder).expect("Linux").count();
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    [count("/proc/self/task"), count("/proc/self/fd"), maps.matches("udpstream screen").count()]
}

#[test]
fn fifty_losses_leave_nothing_behind() {
    crate::source::live::tests::alone("source::live::screen::tests::fifty_losses");
}

#[test]
#[ignore = "counts what the process has: run by the test before it, alone"]
fn fifty_losses() {
    let number = 1_000 + std::process::id() % 30_000;
    let arguments = ["-screen", "0", "320x200x24"];
    let (control, pool) = (control(), Pool::new(3));
    let mut xvfb = Xvfb::start_at(number, &arguments);
    let mut device = device(&xvfb.screen(), &Options { pointer: true, ..OPTIONS });
    let (mut before, mut memory) = (None, 0);
    for round in 0..51 {
        let mut grabber = device.open(&control).expect("it runs");
        grabber.grab(&pool).expect("a picture");
        grabber.grab(&pool).expect("another");
        assert_eq!(belongings()[2], 1, "the screen is mapped");
        drop(xvfb);
        let error = (0..1_000).find_map(|_| grabber.grab(&pool).err()).expect("it is gone");
        assert!(matches!(error, SourceError::ScreenLost { .. }), "{error}");
        drop(grabber);
        let error = device.open(&control).map(|_| ()).expect_err("it is still gone");
        assert!(matches!(error, SourceError::NoScreen { .. }), "{error}");
        let now = belongings();
        assert_eq!(*before.get_or_insert(now), now, "round {round}");
        memory = if round < WARM { resident() } else { memory };
        xvfb = Xvfb::start_at(number, &arguments);
    }
    assert!(resident() < memory + NOISE, "{} bytes, {memory} once warm", resident());
}
