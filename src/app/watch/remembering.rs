//! Where a film of a library was left, and where it is: so that it goes on there the next time.

use std::time::Duration;

use super::Options;
use super::subject::Subject;
use crate::app::figures::Output;
use crate::app::history::{History, Keeper, usual_path};
use crate::units::{MediaTime, Time};
use crate::wire::StreamName;

/// See the head of this file.
#[derive(Default)]
pub struct Remembering {
    keeper: Option<Keeper>,
    /// Of which film.
    name: Option<StreamName>,
    /// Where it goes on, until that was said.
    pub resumed: Option<Duration>,
}

impl Remembering {
    /// `tile`: it is one of several.
    pub fn new(options: &Options, subject: &Subject, tile: bool, output: &Output) -> Self {
        let name = subject.target.stream.clone().filter(|_| options.history && !tile && subject.target.group.is_none());
        let (Some(name), Some(path)) = (name, usual_path()) else { return Self::default() };
        match Keeper::new(History::at(path), &subject.target.address.typed(), name.as_str()) {
            Ok(keeper) => {
                // Who watches with others is where they are.
                let resumed = keeper.place().filter(|_| options.together.is_none());
                Self { keeper: Some(keeper), name: Some(name), resumed }
            }
            Err(error) => {
                output.warn(&format!("It is not known where films were left: {error}."));
                Self::default()
            }
        }
    }

    /// This stream plays; another one than at first is not remembered.
    pub fn playing(&mut self, name: Option<&StreamName>, title: &str) {
        if name.is_some() && name != self.name.as_ref() {
            *self = Self::default();
        }
        self.keeper.iter_mut().for_each(|keeper| keeper.set_title(title));
    }

    /// The film is there. Returns what is wrong, once.
    pub fn tell(&mut self, now: Time, at: MediaTime, length: Option<Duration>) -> Option<String> {
        let place = Duration::from_micros(at.micros().max(0).unsigned_abs());
        let failed = self.keeper.as_mut()?.tell(now, place, length?)?;
        Some(format!("It is not kept where this film is left: {failed}."))
    }

    /// It is left.
    pub fn leave(&mut self, now: Time) -> Option<String> {
        let failed = self.keeper.as_mut()?.leave(now)?;
        Some(format!("It is not kept where this film was left: {failed}."))
    }
}
