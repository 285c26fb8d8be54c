//! Still pictures: of every kind, upright, and shown for as long as is wanted.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use super::program::{file, film, serve, shown, watch};

/// A red JPEG of 320×200 whose upper left quarter is blue, and which is to be turned by EXIF's rules.
fn turned(folder: &Path, orientation: u8) -> String {
    let picture = "-f lavfi -i color=red:size=320x200 -vf drawbox=w=iw/2:h=ih/2:c=blue:t=fill -frames:v 1 -q:v 2";
    let plain = fs::read(film(folder, "plain.jpg", picture)).unwrap();
    let mut exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    file(folder, &format!("{orientation}.jpg"), &[&plain[..2], &exif, &plain[2..]].concat())
}

/// The quarter that is blue, as (right, lower), and the size.
fn seen(picture: &str, serving: &[&str]) -> ((bool, bool), (u32, u32)) {
    let folder = tempfile::tempdir().unwrap();
    let shot = folder.path().join("shot.png");
    let server = serve(picture, serving).start();
    watch(&server.address(), &["--frames", "1", "--snapshot", shot.to_str().unwrap()]).end().says(0, &[]);
    // Its five seconds need not pass.
    server.signal(Signal::INT);
    server.end().says(0, &[]);
    let picture = image::open(shot).unwrap().to_rgb8();
    let (width, height) = picture.dimensions();
    let is_blue = |&(right, lower): &(bool, bool)| {
        let at = |far: bool, side: u32| if far { side * 3 / 4 } else { side / 4 };
        let pixel = picture.get_pixel(at(right, width), at(lower, height));
        pixel[2] > 150 && pixel[0] < 100
    };
    let quarters = [(false, false), (true, false), (false, true), (true, true)];
    let blue: Vec<_> = quarters.into_iter().filter(is_blue).collect();
    let [blue] = blue[..] else { panic!("{blue:?}") };
    (blue, (width, height))
}

#[test]
fn photos_stand_upright() {
    let folder = tempfile::tempdir().unwrap();
    let blue = [(false, false), (true, false), (true, true), (false, true)];
    let blue = blue.into_iter().chain([(false, false), (true, false), (true, true), (false, true)]);
    for (orientation, blue) in (1..).zip(blue) {
        let picture = turned(folder.path(), orientation);
        let (size, small) = if orientation > 4 { ((200, 320), (160, 256)) } else { ((320, 200), (160, 100)) };
        assert_eq!(seen(&picture, &[]), (blue, size), "{orientation}");
        assert_eq!(seen(&picture, &["--width", "160"]), (blue, small), "{orientation}");
    }
}

/// An icon of two PNGs, of 16×16 and of 64×48.
fn icon(folder: &Path) -> String {
    let picture =
        |size| fs::read(film(folder, "part.png", &format!("-f lavfi -i color=size={size} -frames:v 1"))).unwrap();
    let pictures = [(16, 16, picture("16x16")), (64, 48, picture("64x48"))];
    let mut bytes = vec![0, 0, 1, 0, 2, 0];
    let mut at = 6 + 2 * 16;
    for (width, height, picture) in &pictures {
        bytes.extend([*width, *height, 0, 0, 1, 0, 32, 0]);
        bytes.extend((picture.len() as u32).to_le_bytes());
        bytes.extend((at as u32).to_le_bytes());
        at += picture.len();
    }
    bytes.extend(pictures.into_iter().flat_map(|(_, _, picture)| picture));
    file(folder, "a.ico", &bytes)
}

/// The largest of the pictures in an icon; another rate than its own does not lose it.
#[test]
fn an_icon_is_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let icon = icon(folder.path());
    for more in [&[][..], &["--fps", "1"]] {
        let (listening, summary) = shown(&icon, more, &[]);
        assert_eq!((&listening["width"], &listening["height"]), (&64.into(), &48.into()));
        assert_eq!(summary["pictures_shown"], 1, "{more:?}");
    }
}

#[test]
fn a_photo_with_loop_stands_still() {
    let folder = tempfile::tempdir().unwrap();
    let photo = film(folder.path(), "photo.png", "-f lavfi -i testsrc2=size=320x240 -frames:v 1");
    let server = serve(&photo, &["--loop"]).start();
    let address = server.address();
    // A late watcher gets it as well.
    for _ in 0..2 {
        let watched = watch(&address, &["--duration", "2"]).end();
        watched.says(0, &[]);
        assert!(!watched.stderr.join("\n").contains("silent"), "{watched:?}");
        assert!(watched.summary()["pictures_shown"].as_u64().unwrap() >= 3, "{watched:?}");
        std::thread::sleep(Duration::from_secs(1));
    }
    server.signal(Signal::INT);
    let served = server.end();
    served.says(0, &[]);
    assert!(!served.stderr.join("\n").contains("stood still"), "{served:?}");
    let summary = served.summary();
    assert!(summary["pictures_encoded"].as_u64().unwrap() <= 2, "{summary}");
}
