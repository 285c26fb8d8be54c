//! Odd but good films are shown, upright, square, at their own rate and within 1920×1080.

use super::program::{film, shown, small, udpstream};

/// Serves and watches a film of a few pictures: its size and rate as announced, and how many pictures were shown.
fn seen(path: &str) -> ((u64, u64), (u64, u64), u64) {
    let (listening, summary) = shown(path, &[], &[]);
    let number = |name: &str| listening[name].as_u64().unwrap();
    let size = (number("width"), number("height"));
    (size, (number("fps_num"), number("fps_den")), summary["pictures_shown"].as_u64().unwrap())
}

#[test]
fn one_picture_is_a_film() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one.png", "one.jpg", "one.mp4", "one.mkv"] {
        let codec =
            if name.starts_with("one.m") { small(1) } else { small(1).replace("-c:v libx264 -preset ultrafast", "") };
        assert_eq!(seen(&film(folder.path(), name, &codec)), ((160, 120), (25, 1), 1), "{name}");
    }
    let dot = film(folder.path(), "dot.png", "-f lavfi -i color=size=16x16 -frames:v 1 -vf scale=1:1");
    assert_eq!(seen(&dot), ((1, 1), (25, 1), 1));
}

#[test]
fn rates_are_exact() {
    let folder = tempfile::tempdir().unwrap();
    for (name, rate) in [("a.mp4", (24_000, 1_001)), ("b.mkv", (30_000, 1_001)), ("c.ts", (30_000, 1_001))] {
        let at = format!("rate={}/{}", rate.0, rate.1);
        let (_, announced, pictures) = seen(&film(folder.path(), name, &small(12).replace("rate=25", &at)));
        assert_eq!(announced, rate, "{name}");
        assert!((11..=13).contains(&pictures), "{name}: {pictures} of 12");
    }
}

/// Twenty pictures at full rate, then every third one: all are sent, and none twice.
#[test]
fn an_uneven_film_is_neither_thinned_nor_filled_up() {
    let folder = tempfile::tempdir().unwrap();
    let thin = "-vf select='lt(n,20)+not(mod(n,3))' -fps_mode vfr";
    for name in ["uneven.mkv", "uneven.mp4"] {
        let path = film(folder.path(), name, &format!("{} {thin}", small(40)).replace("-frames:v 40", "-t 2"));
        let (_, rate, pictures) = seen(&path);
        assert_eq!(pictures, 30, "{name} at {rate:?}");
    }
}

#[test]
fn shapes_come_out_right() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let straight = film(at, "straight.mp4", &small(5));
    let turned = film(at, "turned.mp4", &format!("-i {straight} -c copy -metadata:s:v:0 rotate=90"));
    let resized = |size: &str| small(3).replace("160x120", size);
    let odd =
        resized("322x242").replace("libx264", "ffv1 -vf scale=321:241,format=yuv444p").replace("-preset ultrafast", "");
    for (path, size) in [
        (turned, (120, 160)),
        (film(at, "anamorphic.mp4", &format!("{} -vf setsar=2", small(3))), (320, 120)),
        (film(at, "odd.mkv", &odd), (321, 241)),
        (film(at, "ten.mp4", &format!("{} -pix_fmt yuv420p10le", small(3))), (160, 120)),
        (film(at, "large.mp4", &resized("2560x1440")), (1_920, 1_080)),
        (film(at, "tall.mp4", &resized("1080x2160")), (540, 1_080)),
    ] {
        assert_eq!(seen(&path).0, size, "{path}");
    }
}

#[test]
fn eight_thousand_pixels_are_fitted() {
    let folder = tempfile::tempdir().unwrap();
    let huge = "-f lavfi -i color=c=red:size=7680x4320:rate=25 -frames:v 2 -c:v libx264 -preset ultrafast";
    assert_eq!(seen(&film(folder.path(), "huge.mp4", huge)), ((1_920, 1_080), (25, 1), 2));
}

/// What no watcher would show is not sent.
#[test]
fn pictures_beyond_8k_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path(), "film.mp4", &small(2));
    for arguments in [["serve", &film, "--width", "16384"], ["serve", "test:16384x8640", "--quality", "50"]] {
        udpstream(arguments).end().one_sentence(1, &["more than 8K", "--width"]);
    }
}

/// How much neighbouring lines differ. The film has upright bars only, so whatever does is a comb.
fn comb(path: &std::path::Path) -> f64 {
    let picture = image::open(path).unwrap().to_luma8();
    let below = |x: u32, y: u32| f64::from(picture.get_pixel(x, y)[0].abs_diff(picture.get_pixel(x, y + 1)[0]));
    let places = (0..picture.width()).flat_map(|x| (8..picture.height() - 9).map(move |y| (x, y)));
    places.map(|(x, y)| below(x, y)).sum::<f64>() / f64::from(picture.width() * picture.height())
}

#[test]
fn fields_are_woven_without_a_comb() {
    let folder = tempfile::tempdir().unwrap();
    let path = film(
        folder.path(),
        "fields.mkv",
        "-f lavfi -i smptebars=size=320x240:rate=50 -frames:v 12 -c:v libx264 -preset ultrafast -pix_fmt yuv420p \
         -vf crop=320:160:0:0,scroll=horizontal=0.02,tinterlace=interleave_top,setfield=tff \
         -flags +ildct+ilme -x264opts tff=1",
    );
    let raw = film(folder.path(), "raw.png", &format!("-i {path} -vf select=eq(n\\,5) -frames:v 1"));
    let shot = folder.path().join("shot.png");
    shown(&path, &[], &["--snapshot", shot.to_str().unwrap()]);
    let (before, after) = (comb(raw.as_ref()), comb(&shot));
    assert!(before > 3.0 && after < before / 4.0, "lines differ by {before}, and deinterlaced by {after}");
}

/// Of several tracks the one that players choose: not a thumbnail, then the default.
#[test]
fn the_track_that_players_choose_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let thumbnail = film(at, "thumbnail.jpg", "-f lavfi -i color=size=64x64 -frames:v 1");
    let other = "-f lavfi -i testsrc2=size=128x96:rate=25:duration=1 -map 0:v -map 1:v -preset ultrafast";
    let marked = "-disposition:v:0 0 -disposition:v:1";
    let first = film(at, "a.mkv", &format!("-i {thumbnail} {other} -c:v:0 copy -c:v:1 libx264 {marked} 0"));
    assert_eq!(seen(&first), ((128, 96), (25, 1), 25));
    let two = format!("-f lavfi -i testsrc2=duration=1 {other} -c:v libx264 {marked} default");
    let second = film(at, "b.mkv", &two);
    assert_eq!(seen(&second).0, (128, 96));
}

/// As file managers give them, and as people write them.
#[test]
fn addresses_of_files_are_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap().to_owned();
    let film = film(folder.path(), "a b.mkv", &small(9));
    for address in [format!("file://{at}/a%20b.mkv"), format!("file://localhost{film}"), format!("file:{film}")] {
        let (listening, summary) = shown(&address, &[], &[]);
        assert_eq!((&listening["title"], &summary["pictures_shown"]), (&"a b.mkv".into(), &9.into()), "{address}");
    }
}

#[test]
fn names_may_be_anything() {
    use std::os::unix::ffi::OsStringExt;
    let folder = tempfile::tempdir().unwrap();
    let picture = film(folder.path(), "one.png", "-f lavfi -i testsrc2=size=160x120 -frames:v 1");
    for name in ["100%.png", "a%03d.png", "a b%02d%d.PNG", "-.png", "a*{1}?.png"] {
        let named = folder.path().join(name);
        std::fs::copy(&picture, &named).unwrap();
        assert_eq!(seen(named.to_str().unwrap()), ((160, 120), (25, 1), 1), "{name}");
    }
    let named = std::ffi::OsString::from_vec(b"fa\xe7ade.png".to_vec());
    std::fs::copy(&picture, folder.path().join(&named)).unwrap();
    let path = folder.path().join(&named);
    let fixed = ["serve", "--no-announce", "--no-wait", "--port", "0", "--bind", "127.0.0.1"].map(std::ffi::OsStr::new);
    udpstream(fixed.into_iter().chain([path.as_os_str()])).end().says(0, &["ade.png: png 160×120"]);
}
