//! Sets words: chooses faces, has `cosmic-text` shape, order and break them, and keeps what was set lately.

use std::sync::Arc;

use cosmic_text::fontdb::{Database, Family, FaceInfo, ID, Language, Source};
use cosmic_text::skrifa::FontRef;
use cosmic_text::{Align, Attrs, AttrsList, CacheKey, FontSystem, Hinting, LayoutLine, ShapeLine, Shaping, SwashCache, Wrap};
use unicode_segmentation::UnicodeSegmentation;

use super::clusters::{self, Faces, LONGEST, Place, Prepared};
use super::fonts::{Folders, LETTERS, SIGNS, System};
use super::generations::Generations;
use super::glyph::Glyph;
use super::index::{Index, Letters};
use super::paragraph::{Letter, Paragraph, Row, clamped};

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
    line: ShapeLine,
    prepared: Prepared,
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
        if let Some(paragraph) = self.paragraphs.find(&key, |_| 1) {
            return paragraph;
        }
        let paragraph = set(self);
        self.paragraphs.keep(key, Arc::clone(&paragraph), 1);
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
        Shaped { line, prepared }
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
        let (room, wrap) = match width {
            Some(width) => (Some(width.max(1) as f32), Wrap::WordOrGlyph),
            None => (None, Wrap::None),
        };
        let lines = shaped.line.layout(size, room, wrap, Some(Align::Left), None, Hinting::Disabled);
        let mut budget = if drawn { IMAGES } else { 0 };
        let rows: Vec<Row> = lines.iter().map(|line| self.row(line, shaped, &mut budget)).collect();
        let width = rows.iter().map(|row| row.width.ceil() as u32).max().unwrap_or(0);
        let Prepared { text, origins, incomplete, .. } = &shaped.prepared;
        Arc::new(Paragraph {
            rows,
            size,
            width,
            is_right_to_left: shaped.line.rtl,
            is_complete: !incomplete,
            text: text.clone(),
            origins: origins.clone(),
        })
    }

    fn row(&mut self, line: &LayoutLine, shaped: &Shaped, budget: &mut usize) -> Row {
        let left = line.glyphs.iter().map(|glyph| glyph.x).fold(f32::INFINITY, f32::min);
        let left = if left.is_finite() { left } else { 0.0 };
        let mut letters = Vec::with_capacity(line.glyphs.len());
        for glyph in &line.glyphs {
            let placed = glyph.physical((-left, 0.0), 1.0);
            let image = if *budget > 0 { self.image(placed.cache_key) } else { None };
            *budget = budget.saturating_sub(image.as_ref().map_or(0, |image| image.weight()));
            letters.push(Letter {
                image,
                x: placed.x,
                y: placed.y,
                left: glyph.x - left,
                width: glyph.w,
                bytes: glyph.start..glyph.end,
                is_right_to_left: glyph.level.is_rtl(),
                span: shaped.prepared.spans.partition_point(|span| span.end <= glyph.start),
            });
        }
        let first = letters.iter().map(|letter| letter.bytes.start).min().unwrap_or(0);
        let last = letters.iter().map(|letter| letter.bytes.end).max().unwrap_or(0);
        let width = letters.iter().map(|letter| letter.left + letter.width).fold(0.0, f32::max);
        Row { letters, width, bytes: first..last }
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
const PARAGRAPHS: usize = 512;
/// Bytes of images that are kept, and that one paragraph may have: all letters of a window of 3840×2160 in colour.
const IMAGES: usize = 32 << 20;
