//! One picture as a PNG or JPEG file. A file that could not be written whole is not left behind.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage};

use crate::codec::{CodecError, in_full};
use crate::media::Canvas;

/// A kind of picture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StillKind {
    Png,
    Jpeg,
}

impl StillKind {
    /// What a file's name asks for; without an ending a PNG.
    pub fn of(path: &Path) -> Result<Self, StillError> {
        let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
        match ending.as_str() {
            "" | "png" => Ok(Self::Png),
            "jpg" | "jpeg" => Ok(Self::Jpeg),
            _ => Err(StillError::Kind(path.display().to_string())),
        }
    }

    const fn ending(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
        }
    }
}

/// Why a picture was not saved; each text is a sentence with advice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StillError {
    #[error("{0} is neither a PNG nor a JPEG: give it a name that ends in .png or .jpg")]
    Kind(String),
    #[error("the picture could not be turned into a file ({0})")]
    Encode(#[from] image::ImageError),
    #[error("the picture could not be turned into a file ({0})")]
    Scale(#[from] CodecError),
    #[error("{path} could not be written ({why}): choose a folder that you may write to, on a disk with room")]
    Write { path: String, why: io::Error },
}

/// Saves under this very name, over what was there.
pub fn save(canvas: &Canvas, path: &Path) -> Result<(), StillError> {
    let bytes = encode(canvas, StillKind::of(path)?)?;
    let created = OpenOptions::new().write(true).create_new(true).open(path);
    let fresh = created.is_ok();
    let file = created.or_else(|_| OpenOptions::new().write(true).truncate(true).open(path));
    write(file, &bytes, path, fresh)
}

/// Saves in `folder` as `STEM-NUMBER`, with a further number where that is taken; never over another file.
pub fn save_new(
    canvas: &Canvas,
    folder: &Path,
    stem: &str,
    number: u64,
    kind: StillKind,
) -> Result<PathBuf, StillError> {
    let bytes = encode(canvas, kind)?;
    let (stem, ending) = (safe(stem), kind.ending());
    let mut again = 0;
    loop {
        let suffix = if again == 0 { String::new() } else { format!("-{again}") };
        let path = folder.join(format!("{stem}-{number:06}{suffix}.{ending}"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => again += 1,
            file => return write(file, &bytes, &path, true).map(|()| path),
        }
    }
}

fn write(file: io::Result<File>, bytes: &[u8], path: &Path, fresh: bool) -> Result<(), StillError> {
    let written = file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.flush()));
    written.map_err(|why| {
        if fresh {
            // Half a picture is of no use; if it cannot be removed, the sentence below says enough.
            fs::remove_file(path).ok();
        }
        StillError::Write { path: path.display().to_string(), why }
    })
}

fn encode(canvas: &Canvas, kind: StillKind) -> Result<Vec<u8>, StillError> {
    let canvas = &*in_full(canvas)?;
    let mut rgb = Vec::with_capacity(canvas.size().pixels() * 3);
    for pixel in canvas.pixels() {
        let [_, r, g, b] = pixel.to_be_bytes();
        rgb.extend_from_slice(&[r, g, b]);
    }
    let (width, height) = (u32::from(canvas.size().width), u32::from(canvas.size().height));
    let image = RgbImage::from_raw(width, height, rgb).unwrap_or_default();
    let mut bytes = Vec::new();
    match kind {
        StillKind::Png => image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?,
        StillKind::Jpeg => image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))?,
    }
    Ok(bytes)
}

/// A stream's title, which comes from the network, as the beginning of a file's name.
pub(super) fn safe(title: &str) -> String {
    let is_ending = |end: &str| (1..=4).contains(&end.len()) && end.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain(title.rsplit_once('.').filter(|(_, end)| is_ending(end)).map_or(title, |(stem, _)| stem))
}

/// Any text as the beginning of a file's name: nothing in it separates, hides or escapes, and it has no spaces.
pub(super) fn plain(text: &str) -> String {
    let letter = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let mut name: String = text.chars().map(letter).take(60).collect();
    while name.len() > MOST_BYTES {
        name.pop();
    }
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() { "udpstream".to_owned() } else { name.to_owned() }
}

/// Names of files have 255 bytes at most, and something follows.
const MOST_BYTES: usize = 180;
/// A snapshot is kept: nearly without loss.
const JPEG_QUALITY: u8 = 95;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Size;

    fn canvas() -> Canvas {
        let mut canvas = Canvas::new(Size::new(33, 17));
        (0..).zip(canvas.pixels_mut()).for_each(|(i, pixel)| *pixel = 0xFF00_0000 | (i * 0x0001_0307));
        canvas
    }

    #[test]
    fn a_png_holds_each_pixel_and_names_are_never_taken_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = save_new(&canvas(), folder.path(), "a film.mp4", 7, StillKind::Png).expect("saved");
        let second = save_new(&canvas(), folder.path(), "a film.mp4", 7, StillKind::Png).expect("saved");
        assert!(first.ends_with("a-film-000007.png") && second.ends_with("a-film-000007-1.png"));
        let image = image::open(&first).expect("a PNG").to_rgb8();
        let pixels = image.pixels().map(|p| u32::from_be_bytes([0xFF, p[0], p[1], p[2]]));
        assert!(pixels.eq(canvas().pixels().iter().copied()));
        save(&canvas(), &first).expect("over it");
    }

    #[test]
    fn a_smaller_rendition_is_saved_at_the_full_size() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut half = canvas();
        half.pixels_mut().fill(0x0010_2030);
        half.set_full(Size::new(65, 34));
        let path = save_new(&half, folder.path(), "half", 1, StillKind::Png).expect("saved");
        let image = image::open(&path).expect("a PNG").to_rgb8();
        assert_eq!(image.dimensions(), (65, 34));
        assert!(image.pixels().all(|pixel| pixel.0 == [0x10, 0x20, 0x30]));
    }

    #[test]
    fn what_cannot_be_written_is_said_and_not_left_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = save(&canvas(), &folder.path().join("shot.gif")).expect_err("a GIF");
        assert!(error.to_string().contains(".png or .jpg"));
        let error = save(&canvas(), &folder.path().join("missing/shot.png")).expect_err("no folder");
        assert!(error.to_string().contains("could not be written"));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn titles_become_names() {
        for (title, name) in
            [("film.mp4", "film"), ("../../etc/passwd", "etc-passwd"), ("…", "udpstream"), ("", "udpstream")]
        {
            assert_eq!(safe(title), name, "{title}");
        }
        assert_eq!(safe("standard input"), "standard-input");
        assert_eq!(safe(&"x".repeat(300)).len(), 60);
    }
}
