//! Pango, told to use certain faces and no others.
#![expect(clippy::disallowed_methods, reason = "a child that ends by itself")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ink::Ink;

/// Draws words with the bundled faces and those in `files`; `None` where there is no Pango.
pub fn draw(text: &str, size: f32, files: &[PathBuf]) -> Option<Ink> {
    let folder = tempfile::tempdir().unwrap();
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fonts");
    let own = ["NotoSans-Subset.ttf", "NotoSansMono-Signs.ttf"].map(|name| bundled.join(name));
    for (number, file) in own.iter().chain(files).enumerate() {
        let name = format!("{number}-{}", file.file_name().unwrap().to_str().unwrap());
        symlink(file, folder.path().join(name)).unwrap();
    }
    let (config, picture) = (folder.path().join("fonts.conf"), folder.path().join("out.png"));
    let place = folder.path().display();
    let folders = format!("<dir>{place}</dir><cachedir>{place}/cache</cachedir>");
    // Coloured pictures come in one size.
    let scaled = "<include>/usr/share/fontconfig/conf.avail/10-scale-bitmap-fonts.conf</include>";
    fs::write(&config, format!("<fontconfig>{folders}{scaled}</fontconfig>")).unwrap();
    let mut view = Command::new("pango-view");
    view.args([
        "--no-display",
        "--margin=30",
        "--background=black",
        "--foreground=white",
        "--hinting=none",
        "--subpixel-positions",
    ]);
    view.arg(format!("--font=Noto Sans {size}px")).arg(format!("--text={text}")).arg("-o").arg(&picture);
    let output = view.env("FONTCONFIG_FILE", &config).env("LC_ALL", "C.UTF-8").output();
    let Ok(output) = output else {
        assert!(std::env::var_os("CI").is_none(), "the gate brings pango-view");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let drawn = image::open(&picture).unwrap().into_rgb8();
    let grey = drawn.pixels().map(|pixel| pixel.0.into_iter().max().unwrap_or(0)).collect();
    Some(Ink::new(grey, drawn.width() as usize))
}
