//! Names of files of several streams: `film.mkv` becomes `film-lobby.mkv`.

use std::path::{Path, PathBuf};

use crate::app::watch::subject::distinct;

/// The names as parts of names of files, each of them once.
pub fn endings(names: &[String]) -> Vec<String> {
    let letter = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    distinct(names.iter().map(|name| name.chars().map(letter).collect::<String>().trim_matches(['-', '.']).to_owned()))
}

/// The file of one stream.
pub fn of_stream(path: &Path, ending: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}-{ending}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{ending}"),
    };
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_has_a_file_of_its_own_beside_the_one_that_was_named() {
        let names = ["robot/lobby", "robot-lobby", "[::1]:7/../x", "Küche"].map(str::to_owned);
        let endings = endings(&names);
        assert_eq!(endings, ["robot-lobby", "robot-lobby-2", "--1--7-..-x".trim_matches('-'), "Küche"]);
        assert_eq!(of_stream(Path::new("a/film.mkv"), &endings[0]), Path::new("a/film-robot-lobby.mkv"));
        assert_eq!(of_stream(Path::new("film"), "x"), Path::new("film-x"));
    }
}
