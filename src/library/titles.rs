//! What names of files tell people: titles, years, series, seasons and episodes.

/// What was read out of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub title: String,
    pub year: Option<u16>,
    pub series: Option<String>,
    pub season: Option<u32>,
    pub episode: Option<u32>,
}

/// Reads the name of a file, without its ending, and the names of its folders, the nearest first.
pub fn read<'a>(stem: &str, folders: impl Iterator<Item = &'a str> + Clone) -> Named {
    let clean = cleaned(stem);
    if let Some((before, season, episode, after)) = episode_of(&clean) {
        let series = Some(trimmed(&before)).filter(|series| !series.is_empty());
        let series = series.or_else(|| folders.clone().map(cleaned).find(|folder| season_of(folder).is_none()));
        let title = trimmed(&after);
        let title = if title.is_empty() { format!("Episode {episode}") } else { title };
        return Named { title, year: None, series, season: Some(season), episode: Some(episode) };
    }
    let season = folders.clone().next().map(cleaned).and_then(|folder| season_of(&folder));
    if let (Some(season), Some((episode, title))) = (season, numbered(&clean)) {
        let series = folders.clone().nth(1).map(cleaned);
        return Named { title, year: None, series, season: Some(season), episode: Some(episode) };
    }
    let (title, year) = with_year(&clean);
    Named { title, year, ..Named::default() }
}

/// Dots and underscores in the place of spaces.
fn cleaned(text: &str) -> String {
    let spaced = if text.contains(' ') { text.replace('_', " ") } else { text.replace(['.', '_'], " ") };
    trimmed(&spaced)
}

fn trimmed(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").trim_matches([' ', '-', '.', '–', ',']).to_owned()
}

/// `S01E02` or `1x02`: what is before it, season, episode, and what follows.
fn episode_of(text: &str) -> Option<(String, u32, u32, String)> {
    let begins = |at: usize| text[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
    text.char_indices().filter(|(at, _)| begins(*at)).find_map(|(at, _)| {
        let (season, episode, after) = numbers_of(&text[at..])?;
        Some((text[..at].to_owned(), season, episode, after.to_owned()))
    })
}

/// Season and episode that a text begins with, and what follows.
fn numbers_of(text: &str) -> Option<(u32, u32, &str)> {
    let (season, rest) = match text.strip_prefix(['s', 'S']) {
        Some(rest) => {
            let (season, rest) = number(rest)?;
            (season, rest.trim_start().strip_prefix(['e', 'E'])?)
        }
        None => {
            let (season, rest) = number(text).filter(|(season, _)| *season < 100)?;
            (season, rest.strip_prefix(['x', 'X'])?)
        }
    };
    let (episode, after) = number(rest)?;
    after.chars().next().is_none_or(|c| !c.is_alphanumeric()).then_some((season, episode, after))
}

/// The number of at most three digits that a text begins with, and the rest.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let number = text.get(..end).filter(|digits| digits.len() <= 3)?.parse().ok()?;
    Some((number, &text[end..]))
}

/// `Season 2`, `Staffel 2`, `S2`.
fn season_of(folder: &str) -> Option<u32> {
    let lower = folder.to_lowercase();
    let words = ["season", "staffel", "saison", "series", "temporada", "stagione", "s"];
    words.iter().find_map(|word| {
        let number = lower.strip_prefix(word)?.trim_start();
        number.parse().ok()
    })
}

/// `02 - Title` or `02 Title`.
fn numbered(text: &str) -> Option<(u32, String)> {
    let (found, rest) = number(text)?;
    let title = trimmed(rest);
    (!rest.starts_with(|c: char| c.is_alphanumeric()))
        .then(|| (found, if title.is_empty() { format!("Episode {found}") } else { title }))
}

/// `Title (1999)` or `Title 1999`.
fn with_year(text: &str) -> (String, Option<u16>) {
    let in_brackets = text.rfind('(').and_then(|at| {
        let year: u16 = text[at + 1..].get(..4)?.parse().ok().filter(|year| (1_880..2_200).contains(year))?;
        text[at + 5..].starts_with(')').then(|| (trimmed(&text[..at]), Some(year)))
    });
    in_brackets.filter(|(title, _)| !title.is_empty()).unwrap_or_else(|| (text.to_owned(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_series_and_years() {
        let named = |title: &str, year, series: Option<&str>, season, episode| Named {
            title: title.to_owned(),
            year,
            series: series.map(str::to_owned),
            season,
            episode,
        };
        for (stem, folders, wanted) in [
            (
                "The.Good.Show.S01E02.The.Name",
                &[][..],
                named("The Name", None, Some("The Good Show"), Some(1), Some(2)),
            ),
            ("S01E02", &["Season 1", "The Show"], named("Episode 2", None, Some("The Show"), Some(1), Some(2))),
            ("Show - 1x03 - Third", &[], named("Third", None, Some("Show"), Some(1), Some(3))),
            ("04 - Fourth", &["Season 2", "The Show"], named("Fourth", None, Some("The Show"), Some(2), Some(4))),
            ("A film (1999)", &["Films"], named("A film", Some(1999), None, None, None)),
            ("a_film_of_1999", &[], named("a film of 1999", None, None, None, None)),
            ("1080x720 test", &[], named("1080x720 test", None, None, None, None)),
            ("Фильм (2001)", &[], named("Фильм", Some(2001), None, None, None)),
            ("S", &["S"], named("S", None, None, None, None)),
            ("", &[], named("", None, None, None, None)),
        ] {
            assert_eq!(read(stem, folders.iter().copied()), wanted, "{stem}");
        }
    }
}
