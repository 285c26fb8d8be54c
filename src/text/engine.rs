//! Sets words: chooses faces, has `cosmic-text` shape, order and break them, and keeps what was set lately.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cosmic_text::fontdb::{Database, FaceInfo, Family, ID, Language, Source};
use cosmic_text::skrifa::FontRef;
use cosmic_text::{Attrs, AttrsList, CacheKey, FontSystem, ShapeGlyph, ShapeLine, Shaping, SwashCache};
use unicode_segmentation::UnicodeSegmentation;

use super::clusters::{self, Faces, LONGEST, Place, Prepared};
use super::fonts::{Folders, LETTERS, SIGNS, System};
use super::generations::Generations;
use super::glyph::Glyph;
use super::index::{Index, Letters};
use super::paragraph::{Letter, Paragraph, Row, clamped};
use super::rows::{self, Cluster};

/// Which end of a text is kept where it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keep {
    Start,
    End,
}

/// Faces, and what was made of them. A program has one; tests have their own.
pub struct Engine {
    fonts: FontSystem,
    scaler: SwashCache,
    system: Arc<System>,
    letters: Letters,
    signs: Letters,
    /// Those faces of the system that are in use.
    loaded: Vec<usize>,
    paragraphs: Generations<Key, Arc<Paragraph>>,
    images: Generations<CacheKey, Option<Arc<Glyph>>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    spans: Vec<String>,
    /// The bits of the size.
    size: u32,
    width: Option<u32>,
    keep: Option<Keep>,
    /// What was set without the system's fonts is set again with them.
    read: bool,
}

/// Words that are shaped and can be set in any size and width.
pub(super) struct Shaped {
    prepared: Prepared,
    is_right_to_left: bool,
    /// In the order in which they are read, for letters of one pixel; each with its glyphs from left to right.
    clusters: Vec<(Cluster, Vec<ShapeGlyph>)>,
    /// The bytes in front of which a line may begin.
    breaks: Vec<usize>,
}

impl Shaped {
    /// cosmic-text's own layout lets the first word after a change of direction reach over the edge, and turns words about
    /// whose letters are of several faces; so its glyphs are put into rows here.
    fn new(line: ShapeLine, prepared: Prepared) -> Self {
        let mut clusters: Vec<(Cluster, Vec<ShapeGlyph>)> = Vec::new();
        for span in line.spans {
            let level = span.level.number();
            for mut word in span.words {
                if line.rtl {
                    // As it came from the shaper: from left to right.
                    word.glyphs.reverse();
                }
                for glyph in word.glyphs {
                    match clusters.last_mut() {
                        Some((cluster, glyphs)) if cluster.bytes.start == glyph.start => {
                            cluster.width += glyph.x_advance;
                            cluster.bytes.end = cluster.bytes.end.max(glyph.end);
                            glyphs.push(glyph);
                        }
                        _ => {
                            let (bytes, width) = (glyph.start..glyph.end, glyph.x_advance);
                            clusters.push((Cluster { bytes, width, level, is_blank: word.blank }, vec![glyph]));
                        }
                    }
                }
            }
        }
        clusters.sort_by_key(|(cluster, _)| cluster.bytes.start);
        let breaks = unicode_linebreak::linebreaks(&prepared.text).map(|(at, _)| at).collect();
        Self { prepared, is_right_to_left: line.rtl, clusters, breaks }
    }
}

impl Engine {
    pub fn new(folders: Folders) -> Self {
        let mut faces = Database::new();
        let mut bundled = |data: &'static [u8], name: &str| {
            let ids = faces.load_font_source(Source::Binary(Arc::new(data)));
            let info = ids.first().and_then(|id| faces.face(*id)).cloned();
            ids.iter().for_each(|id| faces.remove_face(*id));
            info.map(|info| faces.push_face_info(named(info, name)));
            FontRef::new(data).map(|font| Letters::of(&font)).unwrap_or_default()
        };
        let (letters, signs) = (bundled(LETTERS, LETTERS_NAME), bundled(SIGNS, SIGNS_NAME));
        Self {
            // It knows fonts for many scripts by name, and finds none: the faces have names of ours, and each letter's is chosen here.
            fonts: FontSystem::new_with_locale_and_db("en".to_owned(), faces),
            scaler: SwashCache::new(),
            system: System::new(folders),
            letters,
            signs,
            loaded: Vec::new(),
            paragraphs: Generations::new(PARAGRAPHS),
            images: Generations::new(IMAGES),
        }
    }

    /// Reads its folders, and waits until that is done.
    pub fn wait(&self) {
        self.system.wait();
    }

    pub(super) fn system(&self) -> Arc<System> {
        Arc::clone(&self.system)
    }

    /// See [`set`](super::set).
    pub fn set(&mut self, spans: &[&str], size: f32, width: Option<u32>) -> Arc<Paragraph> {
        self.kept(spans, size, width, None, |engine| {
            let shaped = engine.shape(spans);
            engine.lay(&shaped, size, width, true)
        })
    }

    /// See [`fit`](super::fit).
    pub fn fit(&mut self, text: &str, size: f32, width: u32, keep: Keep) -> Arc<Paragraph> {
        self.kept(&[text], size, Some(width), Some(keep), |engine| engine.cut(text, size, width, keep))
    }

    /// The files of those faces of the system that a text is set in, as far as they are read.
    pub fn files(&self, text: &str) -> Vec<PathBuf> {
        let Some(index) = self.system.index() else { return Vec::new() };
        let prepared = Prepared::new(&[text], &self.faces(Some(&index)));
        let path = |(_, place): &(_, Place)| match place {
            Place::System(at) => index.face(*at)?.path().map(Path::to_owned),
            Place::Letters | Place::Signs => None,
        };
        let mut files: Vec<PathBuf> = prepared.places.iter().filter_map(path).collect();
        files.sort();
        files.dedup();
        files
    }

    /// See [`lacks_fonts`](super::lacks_fonts).
    pub fn lacks_fonts(&self, text: &str) -> bool {
        clusters::wants_system(text, &self.faces(None)) && self.system.index().is_none()
    }

    fn kept(
        &mut self,
        spans: &[&str],
        size: f32,
        width: Option<u32>,
        keep: Option<Keep>,
        set: impl FnOnce(&mut Self) -> Arc<Paragraph>,
    ) -> Arc<Paragraph> {
        let texts = spans.iter().map(|span| bounded(span, keep).to_owned()).collect();
        let read = self.system.is_read();
        let key = Key { spans: texts, size: clamped(size).to_bits(), width, keep, read };
        let weigh = |paragraph: &Arc<Paragraph>| paragraph.weight().max(PARAGRAPHS / MOST_PARAGRAPHS);
        if let Some(paragraph) = self.paragraphs.find(&key, weigh) {
            return paragraph;
        }
        let paragraph = set(self);
        let weight = weigh(&paragraph);
        self.paragraphs.keep(key, Arc::clone(&paragraph), weight);
        paragraph
    }

    const fn faces<'a>(&'a self, system: Option<&'a Index>) -> Faces<'a> {
        Faces { letters: &self.letters, signs: &self.signs, system }
    }

    /// Shapes words; they can then be laid out in several sizes.
    pub(super) fn shape(&mut self, spans: &[&str]) -> Shaped {
        let wants_system = spans.iter().any(|span| clusters::wants_system(span, &self.faces(None)));
        let index = if wants_system { self.system.index() } else { None };
        let prepared = Prepared::new(spans, &self.faces(index.as_deref()));
        if let Some(index) = &index {
            prepared.places.iter().for_each(|(_, place)| self.load(*place, index));
        }
        let mut attributes = AttrsList::new(&Attrs::new().family(Family::Name(LETTERS_NAME)));
        for (bytes, place) in &prepared.places {
            attributes.add_span(bytes.clone(), &Attrs::new().family(Family::Name(&name(*place))));
        }
        let line = ShapeLine::new(&mut self.fonts, &prepared.text, &attributes, Shaping::Advanced, 4);
        Shaped::new(line, prepared)
    }

    fn load(&mut self, place: Place, index: &Index) {
        let Place::System(at) = place else { return };
        if !self.loaded.contains(&at)
            && let Some(face) = index.face(at)
        {
            self.fonts.db_mut().push_face_info(named(face.info.clone(), &name(place)));
            self.loaded.push(at);
        }
    }

    /// Breaks and orders what is shaped. What is only measured is not `drawn`, and has no images.
    pub(super) fn lay(&mut self, shaped: &Shaped, size: f32, width: Option<u32>, drawn: bool) -> Arc<Paragraph> {
        let size = clamped(size);
        let room = width.map_or(f32::INFINITY, |width| width.max(1) as f32);
        let clusters: Vec<Cluster> = shaped.clusters.iter().map(|(cluster, _)| cluster.at_size(size)).collect();
        let mut budget = if drawn { IMAGES } else { 0 };
        let mut set = Vec::new();
        for row in rows::fill(&clusters, &shaped.breaks, room) {
            set.push(self.row(&clusters, row, shaped, size, &mut budget));
        }
        let width = set.iter().map(|row| row.width.ceil() as u32).max().unwrap_or(0);
        let Prepared { text, origins, incomplete, is_tall, .. } = &shaped.prepared;
        Arc::new(Paragraph {
            rows: set,
            size,
            width,
            is_right_to_left: shaped.is_right_to_left,
            is_complete: !incomplete,
            is_tall: *is_tall,
            text: text.clone(),
            origins: origins.clone(),
        })
    }

    fn row(&mut self, clusters: &[Cluster], row: Range<usize>, shaped: &Shaped, size: f32, budget: &mut usize) -> Row {
        let end = shaped.prepared.text.len();
        let first = clusters.get(row.start).map_or(end, |cluster| cluster.bytes.start);
        let last = clusters[row.clone()].last().map_or(first, |cluster| cluster.bytes.end);
        let mut letters = Vec::with_capacity(row.len());
        let mut pen = 0.0;
        for at in rows::order(clusters, row, shaped.is_right_to_left.into()) {
            let (cluster, left) = (&clusters[at], pen);
            for glyph in &shaped.clusters[at].1 {
                let place = (pen + glyph.x_offset * size, (-glyph.y_offset * size).trunc());
                let (font, weight, flags) = (glyph.font_id, glyph.font_weight, glyph.cache_key_flags);
                let (key, x, y) = CacheKey::new(font, glyph.glyph_id, size, place, weight, flags);
                let image = if *budget > 0 { self.image(key) } else { None };
                *budget = budget.saturating_sub(image.as_ref().map_or(0, |image| image.weight()));
                letters.push(Letter {
                    image,
                    x,
                    y,
                    left,
                    width: cluster.width,
                    bytes: cluster.bytes.clone(),
                    is_right_to_left: cluster.level % 2 == 1,
                    span: shaped.prepared.spans.partition_point(|span| span.end <= cluster.bytes.start),
                });
                pen += glyph.x_advance * size;
            }
        }
        Row { letters, width: pen, bytes: first..last }
    }

    fn image(&mut self, key: CacheKey) -> Option<Arc<Glyph>> {
        let weigh = |image: &Option<Arc<Glyph>>| image.as_ref().map_or(64, |image| image.weight());
        if let Some(image) = self.images.find(&key, weigh) {
            return image;
        }
        let image = self.scaler.get_image_uncached(&mut self.fonts, key).map(|image| Arc::new(Glyph::new(image)));
        let weight = weigh(&image);
        self.images.keep(key, image.clone(), weight);
        image
    }

    /// As much of a text as fits into one row.
    fn cut(&mut self, text: &str, size: f32, width: u32, keep: Keep) -> Arc<Paragraph> {
        let text = bounded(text, Some(keep));
        let shaped = self.shape(&[text]);
        if self.lay(&shaped, size, None, false).width <= width {
            return self.lay(&shaped, size, None, true);
        }
        let letters: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]).collect();
        let part = |count: usize| match keep {
            Keep::Start => format!("{}…", text[..letters[count]].trim_end()),
            Keep::End => format!("…{}", text[letters[letters.len() - 1 - count]..].trim_start()),
        };
        // The most letters that fit; each that is added makes it wider, but for what shaping joins.
        let (mut fits, mut over) = (0, letters.len() - 1);
        while over - fits > 1 {
            let middle = usize::midpoint(fits, over);
            let shaped = self.shape(&[&part(middle)]);
            match self.lay(&shaped, size, None, false).width <= width {
                true => fits = middle,
                false => over = middle,
            }
        }
        let shaped = self.shape(&[&part(fits)]);
        self.lay(&shaped, size, None, true)
    }

    #[cfg(test)]
    pub(super) fn kept_count(&self) -> (usize, usize) {
        (self.paragraphs.len(), self.images.len())
    }
}

/// No more of a text than is ever set: its beginning, or its end where that is kept.
fn bounded(text: &str, keep: Option<Keep>) -> &str {
    match keep {
        Some(Keep::End) => &text[text.char_indices().rev().nth(LONGEST).map_or(0, |(at, _)| at)..],
        _ => &text[..text.char_indices().nth(LONGEST + 1).map_or(text.len(), |(at, _)| at)],
    }
}

/// The face under a name that no other has.
fn named(info: FaceInfo, name: &str) -> FaceInfo {
    let families = vec![(name.to_owned(), Language::English_UnitedStates)];
    let (id, style) = (ID::dummy(), cosmic_text::fontdb::Style::Normal);
    let (weight, stretch) = (cosmic_text::fontdb::Weight::NORMAL, cosmic_text::fontdb::Stretch::Normal);
    FaceInfo { id, families, style, weight, stretch, ..info }
}

fn name(place: Place) -> String {
    match place {
        Place::Letters => LETTERS_NAME.to_owned(),
        Place::Signs => SIGNS_NAME.to_owned(),
        Place::System(at) => format!("system {at}"),
    }
}

const LETTERS_NAME: &str = "letters";
const SIGNS_NAME: &str = "signs";
/// Paragraphs that are kept: an overlay with its help sheet has about 60.
const MOST_PARAGRAPHS: usize = 512;
/// Bytes of them with their images, each counted for every letter that is drawn with it.
const PARAGRAPHS: usize = 16 << 20;
/// Bytes of images that are kept, and that one paragraph may have: all letters of a window of 3840×2160 in colour.
const IMAGES: usize = 32 << 20;
