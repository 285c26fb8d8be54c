//! Which of the system's faces has which letters, and which is taken for one that several have.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;

use cosmic_text::fontdb::{Database, FaceInfo, Source, Style};
use cosmic_text::skrifa::raw::TableProvider;
use cosmic_text::skrifa::{FontRef, MetadataProvider};

use super::fonts::Folders;

/// One face of each family.
#[derive(Default)]
pub struct Index {
    faces: Vec<Face>,
}

/// A face that letters can be taken from.
pub struct Face {
    pub info: FaceInfo,
    pub letters: Letters,
    name: String,
    pub is_emoji: bool,
    rank: usize,
}

/// The characters that a face has a glyph for, as ranges in order.
#[derive(Default)]
pub struct Letters(Vec<(u32, u32)>);

impl Letters {
    pub fn of(font: &FontRef<'_>) -> Self {
        let mut all: Vec<u32> = font.charmap().mappings().map(|(letter, _)| letter).collect();
        all.sort_unstable();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for letter in all {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 >= letter => *last = letter,
                _ => ranges.push((letter, letter)),
            }
        }
        Self(ranges)
    }

    pub fn has(&self, letter: char) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < u32::from(letter));
        self.0.get(at).is_some_and(|(first, _)| *first <= u32::from(letter))
    }
}

/// Whose shapes Han characters are to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    China,
    Taiwan,
    Japan,
    Korea,
}

impl Region {
    /// As the text's other letters say, or the user's language.
    pub fn of(text: &str) -> Self {
        let has = |first: char, last: char| text.chars().any(|letter| (first..=last).contains(&letter));
        if has('\u{3041}', '\u{30ff}') {
            return Self::Japan;
        }
        if has('\u{ac00}', '\u{d7a3}') {
            return Self::Korea;
        }
        let said =
            ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env::var(name).ok().filter(|it| !it.is_empty()));
        match said.as_deref().unwrap_or_default() {
            said if said.starts_with("ja") => Self::Japan,
            said if said.starts_with("ko") => Self::Korea,
            said if said.starts_with("zh_TW") || said.starts_with("zh_HK") => Self::Taiwan,
            _ => Self::China,
        }
    }

    /// What is found in the names of fonts for it.
    const fn marks(self) -> &'static [&'static str] {
        match self {
            Self::China => &[" SC", " CN", "YaHei", "WenQuanYi", "Droid Sans Fallback", "SimHei", "SimSun"],
            Self::Taiwan => &[" TC", " TW", " HK", "JhengHei", "MingLiU", "AR PL"],
            Self::Japan => &[" JP", "Gothic", "Hiragino", "Meiryo", "IPA", "Takao", "Mincho"],
            Self::Korea => &[" KR", "Malgun", "Apple SD", "Nanum", "Un Dotum", "Batang"],
        }
    }
}

impl Index {
    /// Reads what there is; takes a fraction of a second.
    pub fn read(folders: &Folders) -> Self {
        let mut database = Database::new();
        match folders {
            Folders::System => database.load_system_fonts(),
            Folders::These(folders) => folders.iter().for_each(|folder| database.load_fonts_dir(folder)),
        }
        let mut families: BTreeMap<String, &FaceInfo> = BTreeMap::new();
        for info in database.faces() {
            let Some((name, _)) = info.families.first() else { continue };
            let plainer = |old: &&FaceInfo| plainness(info) < plainness(old);
            if families.get(name).is_none_or(plainer) {
                families.insert(name.clone(), info);
            }
        }
        let face = |(name, info): (String, &FaceInfo)| {
            let letters = database.with_face_data(info.id, readable)??;
            let (is_emoji, rank) = (name.contains("Emoji"), rank(&name));
            Some(Face { info: info.clone(), letters, name, is_emoji, rank })
        };
        let mut faces: Vec<Face> = families.into_iter().filter_map(face).collect();
        faces.sort_by_key(|face| face.rank);
        Self { faces }
    }

    /// The number of the face for a letter with what is written over it. Of those that have it, one that has the marks too
    /// is taken first, then one of its kind and region, then `before`, which the letters before it stand in.
    pub fn choose(&self, cluster: &str, wants_emoji: bool, region: Region, before: Option<usize>) -> Option<usize> {
        let letter = cluster.chars().next()?;
        let is_han = is_ideograph(letter);
        let price = |(at, face): (usize, &Face)| {
            let lacking = cluster.chars().filter(|mark| !face.letters.has(*mark)).count();
            let foreign = is_han && !region.marks().iter().any(|mark| face.name.contains(mark));
            (face.is_emoji != wants_emoji, lacking, foreign, before != Some(at), at)
        };
        let having = self.faces.iter().enumerate().filter(|(_, face)| face.letters.has(letter));
        having.map(price).min().map(|(.., at)| at)
    }

    pub fn face(&self, at: usize) -> Option<&Face> {
        self.faces.get(at)
    }
}

impl Face {
    pub fn has(&self, letter: char) -> bool {
        self.letters.has(letter)
    }

    /// The file it is read from.
    pub fn path(&self) -> Option<&Path> {
        match &self.info.source {
            Source::File(path) | Source::SharedFile(path, _) => Some(path),
            Source::Binary(_) => None,
        }
    }
}

/// The letters of a face that can be drawn: one with outlines, or with coloured pictures.
fn readable(data: &[u8], index: u32) -> Option<Letters> {
    let font = FontRef::from_index(data, index).ok()?;
    let drawn =
        font.glyf().is_ok() || font.cff().is_ok() || font.cff2().is_ok() || font.cbdt().is_ok() || font.sbix().is_ok();
    drawn.then(|| Letters::of(&font))
}

/// Upright, regular and neither wide nor narrow is 0.
fn plainness(info: &FaceInfo) -> (bool, u16, u16) {
    (info.style != Style::Normal, info.weight.0.abs_diff(400), info.stretch.to_number().abs_diff(5))
}

/// Faces that go with the bundled one come first, those for a special purpose last.
fn rank(name: &str) -> usize {
    const SPECIAL: [&str; 12] = [
        "Mono",
        "Serif",
        "UI",
        "Display",
        "Nastaliq",
        "Kufi",
        "Rashi",
        "Looped",
        "Unjoined",
        "Condensed",
        "Symbols",
        "Math",
    ];
    const KNOWN: [&str; 9] =
        ["Noto Sans", "Segoe UI", "Arial", "PingFang", "Hiragino", "Geeza Pro", "Microsoft", "Tahoma", "Droid Sans"];
    let special = SPECIAL.iter().any(|word| name.split(' ').any(|part| part == *word));
    match KNOWN.iter().position(|known| name.starts_with(known)) {
        Some(at) if !special => at,
        _ if special => 30,
        _ if name.contains("Sans") || name.contains("Gothic") => 10,
        _ => 20,
    }
}

fn is_ideograph(letter: char) -> bool {
    matches!(u32::from(letter), 0x2e80..=0x2fdf | 0x3000..=0x303f | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0xff00..=0xffef | 0x20000..=0x3ffff)
}
