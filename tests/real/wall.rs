//! Several streams in one window: what each tile shows, which one is heard, and what becomes of one alone.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use image::RgbImage;
use serde_json::Value;
use udpstream::media::sound::{Frame, RATE};

use crate::program::{Server, program};
use crate::screen::{self, Viewer, until, until_done, xdotool};
use crate::sound;

/// Far apart, and none of them black or the border's.
const COLOURS: [u32; 9] = [0xC81E1E, 0x1EC81E, 0x1E1EC8, 0xC8C81E, 0xC81EC8, 0x1EC8C8, 0xC8C8C8, 0x646464, 0xC8641E];

/// A server of one colour.
fn painted(colour: u32) -> Server {
    Server::start(&[&format!("camera:lavfi:color=0x{colour:06x}:size=320x180:rate=10")])
}

fn wall(servers: &[Server], arguments: &[&str], folder: &Path) -> Viewer {
    let others: Vec<String> = servers[1..].iter().map(Server::address).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
    Viewer::start(&servers[0].address(), &others, folder)
}

/// Whether the middle of a tile in a grid has this colour.
fn shows(shot: &RgbImage, (columns, rows): (u32, u32), tile: usize, colour: u32) -> bool {
    let (column, row) = (tile as u32 % columns, tile as u32 / columns);
    let x = (2 * column + 1) * shot.width() / (2 * columns);
    let y = (2 * row + 1) * shot.height() / (2 * rows);
    let wanted = [colour >> 16, colour >> 8, colour].map(|part| (part & 0xff) as u8);
    shot.get_pixel(x, y).0.iter().zip(wanted).all(|(part, wanted)| part.abs_diff(wanted) < 20)
}

fn all_show(shot: &RgbImage, grid: (u32, u32), colours: &[u32]) -> bool {
    colours.iter().enumerate().all(|(tile, colour)| shows(shot, grid, tile, *colour))
}

/// Which tile of a 3 × 3 grid has the border of the chosen one, if it is one alone.
fn chosen(shot: &RgbImage) -> Option<usize> {
    let yellow = |x: u32, y: u32| shot.get_pixel(x, y).0 == [0xff, 0xe0, 0x66];
    let corner = |tile: u32| (tile % 3 * shot.width() / 3 + 1, tile / 3 * shot.height() / 3 + 1);
    let bordered: Vec<usize> =
        (0..9).filter(|tile| yellow(corner(*tile).0, corner(*tile).1)).map(|t| t as usize).collect();
    if let [only] = bordered[..] { Some(only) } else { None }
}

#[test]
fn each_tile_shows_its_own_picture_and_one_of_them_is_made_large_and_small_again() {
    if !screen::is_there() {
        return;
    }
    let servers = COLOURS.map(painted);
    let folder = tempfile::tempdir().unwrap();
    let viewer = wall(&servers, &["--no-audio"], folder.path());
    let shot = viewer.seen(|shot| all_show(shot, (3, 3), &COLOURS));
    assert_eq!((viewer.size(), chosen(&shot)), ((1_440, 810), Some(0)));

    // Arrows, the mouse, and the edge of the wall.
    until_done(
        "the sixth",
        || ["Right", "Right", "Right", "Down"].iter().for_each(|key| viewer.key(key)),
        || chosen(&viewer.shot()) == Some(5),
    );
    until_done(
        "the eighth",
        || drop(xdotool(&["mousemove", "720", "700", "click", "1"])),
        || chosen(&viewer.shot()) == Some(7),
    );
    // Large by a key, and back by another one; then by two clicks each.
    until_done("a large one", || viewer.key("Return"), || all_show(&viewer.shot(), (1, 1), &[COLOURS[7]]));
    until_done("its title", || {}, || viewer.title().starts_with(&servers[7].address()));
    until_done("its neighbour", || viewer.key("Left"), || all_show(&viewer.shot(), (1, 1), &[COLOURS[6]]));
    until_done("all again", || viewer.key("Escape"), || all_show(&viewer.shot(), (3, 3), &COLOURS));
    let twice = ["mousemove", "1200", "100", "click", "--repeat", "2", "--delay", "50", "1"];
    until_done("the third one large", || drop(xdotool(&twice)), || all_show(&viewer.shot(), (1, 1), &[COLOURS[2]]));
    until_done("all again", || viewer.key("Return"), || all_show(&viewer.shot(), (3, 3), &COLOURS));

    // The keys lie over all; another shape of the window has another grid.
    let before = viewer.shot();
    until_done(
        "the keys",
        || viewer.key("question"),
        || viewer.shot().get_pixel(720, 300) != before.get_pixel(720, 300),
    );
    until_done("the wall", || viewer.key("question"), || all_show(&viewer.shot(), (3, 3), &COLOURS));
    until_done(
        "a tall wall",
        || drop(xdotool(&["windowsize", &viewer.id, "300", "900"])),
        || all_show(&viewer.shot(), (1, 9), &COLOURS),
    );

    // What is saved is whole, however small its tile.
    viewer.key("s");
    let saved = || std::fs::read_dir(folder.path()).unwrap().find_map(|entry| image::open(entry.unwrap().path()).ok());
    until("a snapshot", || saved().is_some_and(|image| (image.width(), image.height()) == (320, 180)));
    let (code, summary, said) = viewer.quit();
    assert_eq!((code, &summary["end"]), (0, &"interrupted".into()), "{said}");
}

/// Makes a film of one colour and one tone, two seconds long.
fn make(path: &Path, colour: u32, tone: u32) {
    let picture = format!("color=0x{colour:06x}:s=320x180:r=25:d=2");
    let sound = format!("sine=f={tone}:r=44100:d=2");
    let arguments = ["-v", "error", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound];
    let coded = ["-c:v", "mpeg4", "-q:v", "2", "-c:a", "pcm_s16le"];
    assert!(Command::new("ffmpeg").args(arguments).args(coded).arg(path).status().unwrap().success());
}

/// The tone of a quarter of a second, in Hz; 0 for silence.
fn pitch(frames: &[Frame]) -> u32 {
    let end = &frames[frames.len().saturating_sub(RATE as usize / 4)..];
    if end.iter().map(|frame| frame[0].unsigned_abs()).max().unwrap_or(0) < 300 {
        return 0;
    }
    let crossings = end.windows(2).filter(|two| two[0][0] < 0 && two[1][0] >= 0).count();
    crossings as u32 * 4
}

#[test]
fn only_the_chosen_one_is_heard() {
    if !screen::is_there() || !sound::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let films = [("low.mkv", 0xC81E1E, 400), ("high.mkv", 0x1E1EC8, 2_000)];
    let serve = |(name, colour, tone): (&str, u32, u32)| {
        let path = folder.path().join(name);
        make(&path, colour, tone);
        Server::start(&[path.to_str().unwrap(), "--loop"])
    };
    let servers = films.map(serve);
    let viewer = wall(&servers, &[], folder.path());
    viewer.seen(|shot| all_show(shot, (2, 1), &films.map(|(_, colour, _)| colour)));
    let heard = |tone: u32| {
        let recorder = sound::Recorder::start();
        std::thread::sleep(Duration::from_millis(600));
        pitch(&recorder.stop().0).abs_diff(tone) <= 40
    };
    until("the first one's tone", || heard(400));
    for (key, tone) in [("Right", 2_000), ("Left", 400), ("m", 0)] {
        until_done(&format!("{tone} Hz after {key}"), || viewer.key(key), || heard(tone));
    }
    assert_eq!(viewer.quit().0, 0);
}

#[test]
fn a_server_that_is_killed_takes_its_tile_alone_and_brings_it_back() {
    if !screen::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut servers: Vec<Server> = COLOURS[..4].iter().map(|colour| painted(*colour)).collect();
    let viewer = wall(&servers, &["--no-audio", "--grid", "2x2"], folder.path());
    viewer.seen(|shot| all_show(shot, (2, 2), &COLOURS[..4]));
    let port = servers[2].port.to_string();
    drop(servers.remove(2));
    // The last picture lies dark behind the card.
    let alone = |shot: &RgbImage| [0, 1, 3].iter().all(|tile| shows(shot, (2, 2), *tile, COLOURS[*tile]));
    viewer.seen(|shot| !shows(shot, (2, 2), 2, COLOURS[2]) && alone(shot));
    let input = format!("camera:lavfi:color=0x{:06x}:size=320x180:rate=10", COLOURS[2]);
    servers.push(Server::start(&[&input, "--port", &port]));
    viewer.seen(|shot| all_show(shot, (2, 2), &COLOURS[..4]));
    let (code, _, said) = viewer.quit();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port} has fallen silent")) && said.contains("Back: "), "{said}");
}

#[test]
fn without_a_window_each_stream_has_its_lines_and_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let servers: Vec<Server> = (0..3).map(|_| Server::start(&["test:160x96@25", "--frames", "20"])).collect();
    let addresses: Vec<String> = servers.iter().map(Server::address).collect();
    let mut command = program();
    command.arg("watch").args(&addresses).args(["--headless", "--stats", "json", "--record", "film.mkv"]);
    let output = command.current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let lines: Vec<Value> =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for address in &addresses {
        let events = |event: &str| lines.iter().filter(|l| l["stream"] == **address && l["event"] == *event).count();
        assert_eq!([events("playing"), events("summary")], [1, 1], "{lines:?}");
        let film = folder.path().join(format!("film-{}.mkv", address.replace(':', "-")));
        assert!(film.metadata().unwrap().len() > 10_000, "{film:?}");
    }
    assert!(lines.iter().all(|line| line["stream"].is_string()), "{lines:?}");
    let summary = lines.iter().find(|line| line["event"] == "summary").unwrap();
    assert_eq!((&summary["end"], summary["pictures_lost"].as_u64()), (&"end".into(), Some(0)), "{summary}");
}

#[test]
fn one_interrupt_ends_all_and_the_worst_end_counts() {
    let server = Server::start(&["test:160x96@25"]);
    // Nobody is at the other address.
    let mut command = program();
    command.args(["watch", &server.address(), "127.0.0.1:9", "--headless", "--stats", "json", "--timeout", "1"]);
    command.args(["--duration", "3"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));

    let mut command = program();
    command.args(["watch", &server.address(), &server.address(), "--headless", "--stats", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut stdout, mut text) = (BufReader::new(child.stdout.take().unwrap()), String::new());
    while text.matches("\"playing\"").count() < 2 {
        assert!(stdout.read_line(&mut text).unwrap() > 0, "it ended before both played: {text}");
    }
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(child.id() as i32).unwrap(),
        rustix::process::Signal::INT,
    )
    .unwrap();
    stdout.read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let ends: Vec<Value> = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    let ends: Vec<&Value> = ends.iter().filter(|line| line["event"] == "summary").collect();
    assert!(ends.len() == 2 && ends.iter().all(|line| line["end"] == "interrupted"), "{ends:?}");
}

#[test]
fn a_server_that_is_missing_does_not_keep_the_others_away() {
    let server = Server::start(&["test:160x96@25"]);
    let mut command = program();
    command.args(["watch", &server.address(), "127.0.0.1:9/*", "nowhere.invalid", "--headless", "--stats", "json"]);
    let output = command.args(["--timeout", "2", "--duration", "10"]).output().unwrap();
    let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("nobody answers at 127.0.0.1:9") && said.contains("No address is known for nowhere"),
        "{said}"
    );
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ends: Vec<&Value> = lines.iter().filter(|line| line["event"] == "summary").collect();
    let of = |end: &str| ends.iter().filter(|line| line["end"] == *end).count();
    assert_eq!([of("limit"), of("unreachable"), ends.len()], [1, 2, 3], "{ends:?}");
    assert!(ends.iter().any(|line| line["pictures_shown"].as_u64().is_some_and(|shown| shown > 50)), "{ends:?}");
}

/// A server of three colours: red, green, blue.
fn three() -> Server {
    let streams = ["red", "green", "blue"].into_iter().zip(COLOURS);
    let inputs: Vec<String> = streams
        .map(|(name, colour)| format!("{name}=camera:lavfi:color=0x{colour:06x}:size=320x180:rate=25"))
        .collect();
    Server::start(&["--stream", &inputs[0], "--stream", &inputs[1], "--stream", &inputs[2]])
}

#[test]
fn tab_and_the_list_lead_from_stream_to_stream() {
    if !screen::is_there() {
        return;
    }
    let server = three();
    let folder = tempfile::tempdir().unwrap();
    let viewer = Viewer::start(&format!("{}/green", server.address()), &["--no-audio"], folder.path());
    let [red, green, blue] = [0, 1, 2].map(|at| COLOURS[at]);
    let shown = |colour: u32| shows(&viewer.shot(), (1, 1), 0, colour);
    until("the one that was named", || shown(green));
    until_done("the next", || viewer.key("Tab"), || shown(blue));
    until_done("round to the first", || viewer.key("Tab"), || shown(red));
    until_done("back to the last", || viewer.key("shift+Tab"), || shown(blue));
    // The list covers the middle; its mark begins at what plays.
    until_done("a list", || viewer.key("l"), || !shown(blue));
    let list = viewer.steady(|_| true);
    until_done("a mark that moves", || viewer.key("Up"), || viewer.shot() != list);
    until_done("what was chosen", || viewer.key("Return"), || shown(green));
    until_done("a list", || viewer.key("l"), || !shown(green));
    until_done("no list", || viewer.key("Escape"), || shown(green));
    assert_eq!(viewer.quit().0, 0);
}

#[test]
fn all_streams_of_a_server_and_those_that_nobody_sees() {
    if !screen::is_there() {
        return;
    }
    let server = three();
    let folder = tempfile::tempdir().unwrap();
    let all = format!("{}/*", server.address());
    let mut viewer = Viewer::start(&all, &["--no-audio", "--grid", "3x1"], folder.path());
    viewer.seen(|shot| all_show(shot, (3, 1), &COLOURS[..3]));
    let blue = format!("{}/blue", server.address());
    let rate = |viewer: &mut Viewer| loop {
        let figures = viewer.event("stats");
        if figures["stream"] == blue {
            return figures["fps"].as_f64().unwrap();
        }
    };
    // However few of the 25 a second the machine can show.
    until("a stream that plays", || rate(&mut viewer) > 2.0);
    // The others get no pictures until they are seen again.
    until_done("a large one", || viewer.key("Return"), || all_show(&viewer.shot(), (1, 1), &COLOURS[..1]));
    until("a stream at rest", || rate(&mut viewer) < 1.0);
    until_done("all again", || viewer.key("Return"), || all_show(&viewer.shot(), (3, 1), &COLOURS[..3]));
    until("a stream that goes on", || rate(&mut viewer) > 2.0);
    assert_eq!(viewer.quit().0, 0);
    let nobody = program().args(["watch", "127.0.0.1:9/*", "--timeout", "1"]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(3));
}
