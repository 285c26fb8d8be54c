//! Recordings that are named by the moment at which they began, `lobby 2026-11-30 08.39.21.mkv`: the moment written and read,
//! and such files told from all others.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::matroska;

/// A moment of Unix time, in UTC: `2026-11-30 08.39.21`, which sorts as time goes on.
pub fn stamp(unix: u64) -> String {
    let (days, second) = (unix / 86_400, unix % 86_400);
    // Days since 1 March of year 0, in which each leap day is the last day of its year.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year + month / 10, (month + 2) % 12 + 1);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}.{minute:02}.{second:02}")
}

/// The moment in the name of such a recording; `None`: it is not named like one.
pub fn moment(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(".mkv")?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (title, rest) = stem.split_once(' ')?;
    let (moment, number) = rest.split_at_checked(LENGTH)?;
    let numbered = number.is_empty() || number.strip_prefix('-').is_some_and(digits);
    let fits = moment.bytes().zip(SHAPE).all(|(byte, shape)| match shape {
        b'0' => byte.is_ascii_digit(),
        other => byte == *other,
    });
    (fits && numbered && !title.is_empty() && !title.starts_with('.')).then_some(moment)
}

/// Whether what is in a file was written by this program.
pub fn is_ours(path: &Path) -> io::Result<bool> {
    let mut beginning = Vec::new();
    File::open(path)?.take(matroska::BEGINNING).read_to_end(&mut beginning)?;
    Ok(matroska::is_ours(&beginning))
}

const SHAPE: &[u8] = b"0000-00-00 00.00.00";
const LENGTH: usize = SHAPE.len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (unix, said) in [
            (0, "1970-01-01 00.00.00"),
            (951_782_400, "2000-02-29 00.00.00"),
            (951_868_799, "2000-02-29 23.59.59"),
            (951_868_800, "2000-03-01 00.00.00"),
            (1_735_689_599, "2024-12-31 23.59.59"),
            (1_735_689_600, "2025-01-01 00.00.00"),
            (1_796_027_961, "2026-11-30 08.39.21"),
            (4_107_542_400, "2100-03-01 00.00.00"),
        ] {
            assert_eq!(stamp(unix), said);
            assert_eq!(moment(&format!("lobby {said}.mkv")), Some(said));
        }
    }

    #[test]
    fn names_of_recordings_are_told_from_all_others() {
        for ours in
            ["lobby 2026-11-30 08.39.21.mkv", "a 2026-11-30 08.39.21-2.mkv", "größe.1-b 2026-11-30 08.39.21-17.mkv"]
        {
            assert_eq!(moment(ours), Some("2026-11-30 08.39.21"), "{ours}");
        }
        for other in [
            "lobby.mkv",
            "2026-11-30 08.39.21.mkv",
            " 2026-11-30 08.39.21.mkv",
            ".lobby 2026-11-30 08.39.21.mkv",
            "lobby 2026-11-30 08.39.21.mp4",
            "lobby 2026-11-30 08.39.21 goal.mkv",
            "lobby 2026-11-30 08.39.21-.mkv",
            "lobby 2026-11-30 08:39:21.mkv",
            "the lobby 2026-11-30 08.39.21.mkv",
            "lobby 2026-11-30.mkv",
            "lobby 2026-11-30 08.39.2\u{661}.mkv",
        ] {
            assert_eq!(moment(other), None, "{other}");
        }
    }
}
