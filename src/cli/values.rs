//! Values of flags as people type them; an error says what to write instead.

use std::ffi::OsStr;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{OsStringValueParser, PossibleValue, TypedValueParser};
use clap::{Arg, Command};
use udpstream::record::path::RecordingKind;
use udpstream::record::still::StillKind;
use udpstream::source::{self, Input};
use udpstream::units::{Bitrate, Rate, Size};
use udpstream::wire::{Ecn, SizeClass};

/// `--datagram` as checked: a forced class, or none.
#[derive(Clone, Copy, Debug)]
pub struct Datagram(pub Option<SizeClass>);

pub fn datagram(text: &str) -> Result<Datagram, String> {
    if text == "auto" {
        return Ok(Datagram(None));
    }
    let class = text.parse().ok().and_then(SizeClass::forced);
    class.map(|class| Datagram(Some(class))).ok_or_else(|| "write auto, or a number from 1200 to 65488".to_owned())
}

/// Bits a second, with or without k, M or G behind the number.
pub fn bitrate(text: &str) -> Result<Bitrate, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'm' | 'M')) => (&text[..at], 1e6),
        Some((at, 'g' | 'G')) => (&text[..at], 1e9),
        _ => (text, 1.0),
    };
    let bits = number.parse().ok().map(|number: f64| number * unit);
    let bits = bits.filter(|bits| (LEAST_BITRATE..=MOST_BITRATE).contains(bits));
    bits.map(|bits| Bitrate::bps(bits.round() as u64))
        .ok_or_else(|| "write bits a second, such as 20M or 800k, from 100k to 1000G".to_owned())
}

/// Less than this carries no pictures …
const LEAST_BITRATE: f64 = 1e5;
/// … and more no network.
const MOST_BITRATE: f64 = 1e12;

/// Whether routers may mark what is sent, and as which kind of sender.
pub fn ecn(text: &str) -> Result<Ecn, String> {
    match text {
        "ect0" | "on" | "yes" | "true" => Ok(Ecn::Ect0),
        "ect1" => Ok(Ecn::Ect1),
        "off" | "no" | "false" => Ok(Ecn::Not),
        _ => Err("write off, ect0 or ect1".to_owned()),
    }
}

/// `--ecn` as checked by [`ecn`]: completions offer what it is best written as.
#[derive(Clone, Copy, Debug)]
pub struct EcnParser;

impl TypedValueParser for EcnParser {
    type Value = Ecn;

    fn parse_ref(&self, command: &Command, option: Option<&Arg>, value: &OsStr) -> Result<Ecn, clap::Error> {
        TypedValueParser::parse_ref(&ecn, command, option, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(["off", "ect0", "ect1"].into_iter().map(PossibleValue::new)))
    }
}

/// A code point of differentiated services: a number, or its name in RFC 2474, 2597, 3246, 5865 and 8622.
pub fn dscp(text: &str) -> Result<u8, String> {
    let digit = |at: usize, most: u8| {
        let digit = text.as_bytes().get(at)?.checked_sub(b'0')?;
        (digit <= most).then_some(digit)
    };
    let name = text.to_ascii_lowercase();
    let named = match (name.as_str(), text.len()) {
        ("le", _) => Some(1),
        ("va", _) => Some(44),
        ("ef", _) => Some(46),
        (name, 3) if name.starts_with("cs") => digit(2, 7).map(|class| class * 8),
        (name, 4) if name.starts_with("af") => {
            let class = digit(2, 4).zip(digit(3, 3)).filter(|(class, drop)| *class > 0 && *drop > 0);
            class.map(|(class, drop)| class * 8 + drop * 2)
        }
        _ => text.parse().ok().filter(|point| *point <= 63),
    };
    named.ok_or_else(|| "write a number from 0 to 63, or a name such as af41, cs5 or ef".to_owned())
}

pub fn rate(text: &str) -> Result<Rate, String> {
    let fraction = text.split_once('/').and_then(|(n, d)| Rate::new(n.parse().ok()?, d.parse().ok()?));
    let rate = fraction.or_else(|| text.parse().ok().and_then(Rate::from_fps));
    rate.ok_or_else(|| "write a number of pictures a second, such as 25, 29.97 or 30000/1001".to_owned())
}

/// What is served; a path need not be text.
pub fn input() -> impl TypedValueParser<Value = Input> {
    OsStringValueParser::new().try_map(Input::named)
}

/// What is heard beside something else, or the other way round; a number was meant for a port.
pub fn beside(text: &str) -> Result<Input, String> {
    let input = text.parse::<Input>().map_err(|error| error.to_string())?;
    let number = text.bytes().all(|byte| byte.is_ascii_digit());
    if number { Err("write mic: or mic:DEVICE, or one more folder of films".to_owned()) } else { Ok(input) }
}

pub fn size(text: &str) -> Result<Size, String> {
    source::size(text).ok_or_else(|| "write a size in pixels, such as 1280x720".to_owned())
}

/// `COLSxROWS`, each 1 to 6.
pub fn grid(text: &str) -> Result<(u8, u8), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=6_u8).contains(side));
    let sides = text.split_once(['x', 'X', '×']).and_then(|(columns, rows)| Some((side(columns)?, side(rows)?)));
    sides.ok_or_else(|| "write columns and rows, each 1 to 6, such as 3x2".to_owned())
}

/// Bytes, as in 500M, 2G or 64k.
pub fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = text.find(|c: char| c.is_ascii_alphabetic()).map_or((text, ""), |at| text.split_at(at));
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        _ => return Err("write a number of bytes such as 500M or 2G".to_owned()),
    };
    let value: f64 = number.parse().map_err(|_| "write a number of bytes such as 500M or 2G".to_owned())?;
    let bytes = value * factor;
    // Less holds no film, and more no disk.
    if (1e6..=1e15).contains(&bytes) { Ok(bytes as u64) } else { Err("take between 1M and 1000T".to_owned()) }
}

pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| *seconds > 0.0 && *seconds <= 1e9);
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "write a number of seconds above 0".to_owned())
}

/// The name of somebody who says something.
pub fn talk_name(text: &str) -> Result<String, String> {
    udpstream::app::talk::name(text)
}

pub fn decibels(text: &str) -> Result<f64, String> {
    let decibels = text.parse().ok().filter(|decibels: &f64| (-60.0..=60.0).contains(decibels));
    decibels.ok_or_else(|| "write a number of decibels from -60 to 60".to_owned())
}

/// The name of a picture file; without an ending it is a PNG.
pub fn snapshot(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    StillKind::of(&path).map(|_| path).map_err(|_| "write a name that ends in .png or .jpg".to_owned())
}

/// The name of a recording.
pub fn recording(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    RecordingKind::of(&path).map(|_| path).map_err(|_| "write a name that ends in .mkv, .mp4, .avi or .wav".to_owned())
}

/// What a stream is called on screens; empty would be none.
pub fn title(text: &str) -> Result<String, String> {
    let fits = !text.trim().is_empty() && text.len() <= MOST_TITLE && !text.contains(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(format!("write one line of 1 to {MOST_TITLE} bytes")) }
}

/// Longer than any window has room for.
const MOST_TITLE: usize = 200;

/// A parser of whole numbers from `least` to `most`; a `most` that is its type's own limit is none.
pub fn number<T>(least: T, most: T) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + Display + Copy + Send + Sync + 'static,
{
    move |text| {
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| match most.to_string().len() {
            0..=10 => format!("write a whole number from {least} to {most}"),
            _ => format!("write a whole number from {least} up"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_within_and_without() {
        assert_eq!(number(2_u16, 1_000)("1000"), Ok(1_000));
        for bad in ["1", "1001", "70000", "-1", "ten", ""] {
            assert_eq!(number(2_u16, 1_000)(bad), Err("write a whole number from 2 to 1000".to_owned()), "{bad}");
        }
        assert_eq!(number(1_u64, u64::MAX)("0"), Err("write a whole number from 1 up".to_owned()));
        assert!(snapshot("a.JPG").is_ok() && snapshot("a").is_ok() && snapshot("a.gif").is_err());
        assert!(recording("a.MKV").is_ok() && recording("a.wav").is_ok() && recording("a").is_err());
        assert!(seconds("0").is_err() && rate("0").is_err());
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1_500)));
        assert_eq!((decibels("-6"), decibels("3.5")), (Ok(-6.0), Ok(3.5)));
        assert!(["61", "-60.1", "NaN", "loud"].iter().all(|bad| decibels(bad).is_err()));
        let points = ["0", "63", "ef", "EF", "cs5", "af41", "af13", "le"].map(dscp);
        assert_eq!(points, [0, 63, 46, 46, 40, 34, 14, 1].map(Ok));
        assert!(["64", "-1", "cs8", "af40", "af54", "af4", "best", "cs", "ä41"].iter().all(|bad| dscp(bad).is_err()));
        let rates = ["20M", "800k", "1.5m", "2G", "300000"].map(|text| bitrate(text).map(Bitrate::as_bps));
        assert_eq!(rates, [20_000_000, 800_000, 1_500_000, 2_000_000_000, 300_000].map(Ok));
        assert!(["", "M", "20", "-1M", "NaN", "infM", "2000G", "20Mb", "1ä"].iter().all(|bad| bitrate(bad).is_err()));
        assert_eq!(["off", "true", "ect1"].map(ecn), [Ecn::Not, Ecn::Ect0, Ecn::Ect1].map(Ok));
        assert!(ecn("ce").is_err());
        assert!(datagram("auto").is_ok() && datagram("1452").is_ok() && datagram("1199").is_err());
    }
}
