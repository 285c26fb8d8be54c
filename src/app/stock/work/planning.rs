//! Which jobs run: one where somebody will soon need what is not there.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::super::Answer;
use super::super::film::FilmState;
use super::super::job::{Job, Task};
use super::super::section::Section;
use super::super::shelf::Shelf;
use super::super::viewer::Viewer;
use super::{AHEAD, CLOSED, IDLE, SECTIONS, Work};
use crate::units::Time;

/// A job that is so little behind reaches a place as soon as another one would.
const NEAR: Duration = Duration::from_secs(1);
/// Another rung is begun so far ahead that it is there when its first picture is needed.
const LEAD: Duration = Duration::from_millis(600);
/// Said to a viewer too many.
const TOO_MANY: &str = "The server encodes for as many places of its films as it may (see --jobs of udpstream serve); try again \
                        later, or watch what somebody watches.";

/// What a viewer will need of one rung.
struct Need {
    viewer: u64,
    film: u64,
    rung: u8,
    /// The first picture that is not there.
    missing: u32,
    /// A job begins so many pictures before it.
    back: u32,
    /// Up to this one, or the next that is there.
    limit: u32,
    /// A picture near this one is enough.
    rough: bool,
    /// The viewer has nothing to show.
    begins: bool,
}

impl Work {
    /// Tells jobs how far they may go, begins those that are missing, and ends those that are in the way of others.
    pub(super) fn plan(&mut self, at: Time) {
        let mut needs = Vec::new();
        let mut needed = BTreeSet::new();
        for (number, viewer) in &self.viewers {
            let Some(film) = viewer.film.and_then(|film| self.films.get(&film)) else { continue };
            let waits = viewer.picture.is_some() || viewer.asked + IDLE >= at;
            if viewer.wish.is_none() || !waits {
                continue;
            }
            for (rung, range) in ranges(film, &self.shelf, viewer) {
                // One that has come as far as it may is still the one that goes on.
                let ahead = self.jobs.iter().filter(|job| job.film == film.id && job.rung == rung);
                needed.extend(
                    ahead.filter(|job| range.contains(&job.next) || job.next == range.end).map(|job| job.number),
                );
                needs.extend(need(film, &self.shelf, (*number, viewer), rung, range));
            }
        }
        let mut wanting = Vec::new();
        for need in needs {
            match self.jobs.iter_mut().find(|job| reaches(job, &need, &self.films)) {
                Some(job) => {
                    needed.insert(job.number);
                    let limit = if job.used == at { job.limit.max(need.limit) } else { need.limit };
                    job.used = at;
                    job.go_to(limit);
                    self.viewers.get_mut(&need.viewer).into_iter().for_each(|viewer| viewer.job = Some(job.number));
                }
                None => wanting.push(need),
            }
        }
        self.jobs.iter_mut().filter(|job| needed.contains(&job.number)).for_each(|job| job.used = at);
        for need in wanting {
            self.begin(at, &need, &mut needed);
        }
        // Those who have gone elsewhere need the processor there.
        let left = self.jobs.iter_mut().filter(|job| !needed.contains(&job.number));
        left.for_each(|job| job.go_to(job.next));
    }

    fn begin(&mut self, at: Time, need: &Need, needed: &mut BTreeSet<u64>) {
        // Another viewer's may have been begun for the same just now.
        if let Some(job) = self.jobs.iter_mut().find(|job| reaches(job, need, &self.films)) {
            job.go_to(job.limit.max(need.limit));
            self.viewers.get_mut(&need.viewer).into_iter().for_each(|viewer| viewer.job = Some(job.number));
            return;
        }
        if self.jobs.len() >= self.settings.jobs.max(1) {
            let idle = self.jobs.iter().enumerate().filter(|(_, job)| !needed.contains(&job.number));
            let Some((oldest, _)) = idle.min_by_key(|(_, job)| job.used) else { return self.refuse(at, need) };
            self.jobs.swap_remove(oldest);
        }
        let Some(film) = self.films.get(&need.film) else { return };
        let Some(rung) = film.rungs.get(usize::from(need.rung)) else { return };
        self.number += 1;
        let task = Task {
            number: self.number,
            film: film.id,
            reel: Arc::clone(&film.reel),
            rung: (need.rung, *rung),
            from: need.missing.saturating_sub(need.back),
            exact: !need.rough,
            title: film.title.clone(),
        };
        match Job::start(task, need.limit, self.sender.clone()) {
            Ok(job) => {
                needed.insert(job.number);
                self.figures.begun += 1;
                self.viewers.get_mut(&need.viewer).into_iter().for_each(|viewer| viewer.job = Some(job.number));
                self.jobs.push(job);
            }
            Err(error) => {
                self.answer(need.viewer, Answer::Trouble(format!("The film cannot be encoded ({error}).")));
                self.viewers.remove(&need.viewer);
            }
        }
    }

    /// There are as many jobs as there may be. Who has just come or gone somewhere is told so; who watches may wait.
    fn refuse(&mut self, at: Time, need: &Need) {
        let Some(viewer) = self.viewers.get_mut(&need.viewer) else { return };
        let since = *viewer.waits.get_or_insert(at);
        if need.begins && since + NEAR <= at {
            self.viewers.remove(&need.viewer);
            self.answer(need.viewer, Answer::Trouble(TOO_MANY.to_owned()));
        }
    }

    /// Gives up what nobody needs.
    pub(super) fn tidy(&mut self, at: Time) {
        self.jobs.retain(|job| job.used + IDLE >= at);
        let mut near = BTreeSet::new();
        for viewer in self.viewers.values() {
            let Some(film) = viewer.film.and_then(|film| self.films.get_mut(&film)) else { continue };
            film.used = at;
            let rung = viewer.rung.or(viewer.wish).unwrap_or(0);
            let later = viewer.unit.saturating_add(film.pictures(AHEAD));
            near.extend([film.stretch(rung, viewer.unit), film.stretch(rung, later)]);
        }
        self.shelf.protect(&near, at);
        self.films.retain(|_, film| film.used + CLOSED >= at);
        for film in self.films.values_mut() {
            let ahead = film.pictures(2 * AHEAD);
            let at = self.viewers.values().filter(|viewer| viewer.film == Some(film.id)).map(|viewer| viewer.unit);
            let places: Vec<u32> = at.collect();
            let is_near =
                |unit: u32| places.iter().any(|at| (at.saturating_sub(2)..at.saturating_add(ahead)).contains(&unit));
            if places.is_empty() {
                film.forget_all();
            } else {
                film.tidy(|_, unit| is_near(unit));
            }
        }
        let idle = |section: &Section| section.used + IDLE < at;
        while self.sections.len() > SECTIONS
            && let Some(oldest) = self
                .sections
                .iter()
                .filter(|(_, section)| idle(section))
                .min_by_key(|(_, section)| section.used)
                .map(|(key, _)| *key)
        {
            self.sections.remove(&oldest);
        }
    }
}

/// Which pictures a viewer will need soon, of which rungs.
fn ranges(film: &FilmState, shelf: &Shelf, viewer: &Viewer) -> Vec<(u8, Range<u32>)> {
    let wish = viewer.wish.unwrap_or(0);
    let end = viewer.unit.saturating_add(film.pictures(AHEAD));
    match viewer.rung.filter(|rung| *rung != wish && viewer.begun) {
        // What it has goes on until the other is there.
        Some(rung) if !is_there(film, shelf, wish, viewer.unit) => {
            let from = viewer.unit.saturating_add(film.pictures(LEAD));
            vec![(rung, viewer.unit..from), (wish, from..end)]
        }
        _ => vec![(wish, viewer.unit..end)],
    }
}

fn is_there(film: &FilmState, shelf: &Shelf, rung: u8, unit: u32) -> bool {
    film.get(rung, unit).is_some() || shelf.has(film.stretch(rung, unit), unit)
}

/// What of a range is not there.
fn need(
    film: &FilmState,
    shelf: &Shelf,
    (number, viewer): (u64, &Viewer),
    rung: u8,
    range: Range<u32>,
) -> Option<Need> {
    let end = film.end.unwrap_or(film.bound);
    let first = range.start.min(end.saturating_sub(1));
    let range = first..range.end.min(end);
    let missing = range.clone().find(|unit| !is_there(film, shelf, rung, *unit))?;
    // Whatever rung is there for the first picture, it has something to show.
    let limit = (missing + 1..range.end).find(|unit| is_there(film, shelf, rung, *unit)).unwrap_or(range.end);
    let rough = viewer.rough && missing == viewer.unit;
    // Near a place that nothing is known behind the end of, the last picture is looked for from a little before.
    // The more was looked through in vain, the further back.
    let in_vain = film.reel.expected().unwrap_or(0).saturating_sub(film.bound);
    let is_last = film.end.is_none() && missing.saturating_add(1) >= film.bound;
    let back = if is_last { film.pictures(NEAR).max(in_vain) } else { 0 };
    Some(Need { viewer: number, film: film.id, rung, missing, back, limit, rough, begins: !viewer.begun })
}

/// Whether a job makes what is missing, as soon as another one would.
fn reaches(job: &Job, need: &Need, films: &std::collections::BTreeMap<u64, FilmState>) -> bool {
    let near = films.get(&need.film).map_or(0, |film| film.pictures(NEAR));
    let behind = need.missing.checked_sub(job.next).is_some_and(|behind| behind <= near.max(need.back));
    // One that begins with a keyframe has not said with which.
    job.film == need.film && job.rung == need.rung && (behind && !job.begins || job.begins && job.next == need.missing)
}
