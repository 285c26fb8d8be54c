//! Options of `watch` about films of libraries, which each watcher has for itself.

use std::time::Duration;

use clap::Args;
use udpstream::app::watch::Moment;

use super::help::FILMS;

#[derive(Args, Debug, Default)]
pub struct FilmChoices {
    /// Begin a film of a library there: 41:12, 1:02:03, 90 (seconds) or 50% [default: where it was left, else its beginning].
    #[arg(long, value_name = "TIME", value_parser = moment, help_heading = FILMS)]
    pub start: Option<Moment>,
    /// Stop a film of a library there [default: its end].
    #[arg(long, value_name = "TIME", value_parser = moment, help_heading = FILMS)]
    pub end: Option<Moment>,
    /// Watch a film of a library with all who give the same name: whoever pauses it or goes elsewhere does so for all [default:
    /// alone].
    #[arg(long, value_name = "NAME", value_parser = party, help_heading = FILMS)]
    pub together: Option<String>,
    /// Neither go on where a film was left, nor keep where it is left [default: both].
    #[arg(long, help_heading = FILMS)]
    pub no_history: bool,
}

/// `41:12`, `1:02:03.5`, `90`, `90s`, `50%`.
pub fn moment(text: &str) -> Result<Moment, String> {
    let advice = || "write it as 41:12, 1:02:03, 90 or 50%".to_owned();
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    if let Some(percent) = text.strip_suffix('%') {
        let percent = number(percent).filter(|percent| *percent <= 100.0).ok_or_else(advice)?;
        return Ok(Moment::Part(percent / 100.0));
    }
    let parts: Vec<&str> = text.strip_suffix('s').unwrap_or(text).split(':').collect();
    let parts: Vec<f64> = parts
        .into_iter()
        .map(number)
        .collect::<Option<_>>()
        .filter(|parts: &Vec<f64>| parts.len() <= 3)
        .ok_or_else(advice)?;
    if parts.iter().skip(1).any(|part| *part >= 60.0) {
        return Err(advice());
    }
    let seconds = parts.iter().fold(0.0, |all, part| all * 60.0 + part);
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|at| at.as_secs() < 1_000_000_000)
        .map(Moment::At)
        .ok_or_else(advice)
}

/// The name of those who watch together.
fn party(text: &str) -> Result<String, String> {
    let plain = !text.trim().is_empty() && text.len() <= 64 && !text.chars().any(char::is_control);
    if plain {
        Ok(text.trim().to_owned())
    } else {
        Err("choose a name of at most 64 bytes for those who watch".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_several_ways() {
        let at = |seconds| Ok(Moment::At(Duration::from_secs_f64(seconds)));
        for (text, wanted) in [
            ("41:12", at(2_472.0)),
            ("1:02:03.5", at(3_723.5)),
            ("90", at(90.0)),
            ("90s", at(90.0)),
            ("0", at(0.0)),
            ("50%", Ok(Moment::Part(0.5))),
        ] {
            assert_eq!(moment(text), wanted, "{text}");
        }
        for bad in ["", ":", "1:60", "-1", "1:2:3:4", "101%", "nan", "inf", "a", "1:", "%", "99999999999999"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
        assert!(party("us").is_ok() && party(" ").is_err() && party(&"x".repeat(65)).is_err());
    }
}
