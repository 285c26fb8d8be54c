//! What viewers are answered, as soon as it is there.

use super::super::section::{Found, Section, section_of};
use super::super::{Answer, film::FilmState, shelf::Shelf};
use super::{Key, Work};
use crate::media::coded::PassedPicture;
use crate::media::sound::Rendition;
use crate::units::Time;

/// A section is begun so many seconds before it is needed.
const SOON: u32 = 4;

impl Work {
    pub(super) fn answer_all(&mut self, at: Time) {
        let numbers: Vec<u64> = self.viewers.keys().copied().collect();
        for number in numbers {
            while self.answer_picture(number) {}
            for rendition in [Rendition::Stereo, Rendition::Mono, Rendition::Coded] {
                self.answer_sound(at, number, rendition);
            }
        }
    }

    /// Answers the question for a picture, if that is there.
    fn answer_picture(&mut self, number: u64) -> bool {
        let Some(viewer) = self.viewers.get_mut(&number) else { return false };
        let (Some((question, rung)), Some(id)) = (viewer.picture, viewer.film) else { return false };
        let Some(film) = self.films.get_mut(&id) else { return false };
        let end = film.end.unwrap_or(film.bound);
        if viewer.unit >= end {
            if viewer.begun {
                viewer.picture = None;
                let at = film.moment(end);
                self.answer(number, Answer::End { question, at });
                return true;
            }
            // Behind the end the last picture is seen.
            viewer.unit = end.saturating_sub(1);
        }
        let Some((rung, picture, kept)) = find(film, &mut self.shelf, rung, viewer.unit) else { return false };
        if kept || viewer.job.is_none() {
            self.figures.reused += 1;
        }
        viewer.picture = None;
        viewer.note_picture(&film.reel, picture.cut.unit.0, rung);
        self.answer(number, Answer::Picture { question, picture });
        true
    }

    fn answer_sound(&mut self, at: Time, number: u64, rendition: Rendition) {
        let Some(viewer) = self.viewers.get_mut(&number) else { return };
        let asked = &mut viewer.sounds[usize::from(rendition.id())];
        let (Some(question), Some(id)) = (*asked, viewer.film) else { return };
        let Some(film) = self.films.get(&id) else { return };
        if !film.reel.has_sound() {
            *asked = None;
            return self.answer(number, Answer::SoundEnd { question });
        }
        let Some(wanted) = viewer.sound(&film.reel, rendition) else { return };
        let key = (id, section_of(rendition, wanted));
        self.section(at, key);
        let later = wanted.saturating_add(SOON * a_second(rendition));
        self.section(at, (id, section_of(rendition, later)));
        let found = self.sections.get(&key).map(|section| section.find(key, rendition, wanted));
        let Some(viewer) = self.viewers.get_mut(&number) else { return };
        match found {
            Some(Found::Sound(sound)) => {
                viewer.sounds[usize::from(rendition.id())] = None;
                viewer.note_sound(rendition, wanted);
                self.answer(number, Answer::Sound { question, sound });
            }
            Some(Found::End) => {
                viewer.sounds[usize::from(rendition.id())] = None;
                self.answer(number, Answer::SoundEnd { question });
            }
            Some(Found::Later) | None => {}
        }
    }

    /// A section is needed soon.
    fn section(&mut self, at: Time, key: Key) {
        if let Some(section) = self.sections.get_mut(&key) {
            section.used = at;
            return;
        }
        let Some(film) = self.films.get(&key.0) else { return };
        match Section::start(key, std::sync::Arc::clone(&film.reel), self.sender.clone()) {
            Ok(section) => drop(self.sections.insert(key, section)),
            Err(error) => tracing::warn!(%error, "the sound of a film cannot be made"),
        }
    }
}

/// So many chunks or coded units are a second.
const fn a_second(rendition: Rendition) -> u32 {
    match rendition {
        Rendition::Coded => 46,
        Rendition::Stereo | Rendition::Mono => 173,
    }
}

/// A picture in this rung, or in the one that is nearest to it; and whether it was kept on disk.
fn find(film: &mut FilmState, shelf: &mut Shelf, wanted: u8, unit: u32) -> Option<(u8, PassedPicture, bool)> {
    let count = film.rungs.len() as u8;
    let mut order: Vec<u8> = (0..count).collect();
    order.sort_by_key(|rung| (rung.abs_diff(wanted), *rung));
    for rung in order {
        if let Some(picture) = film.get(rung, unit) {
            return Some((rung, picture.clone(), false));
        }
        let stretch = film.stretch(rung, unit);
        if shelf.has(stretch, unit)
            && let Some(picture) = shelf.get(stretch, unit, film.lasts(unit))
        {
            return Some((rung, picture, true));
        }
    }
    None
}
