//! What goes on, taken by the recorder; and what people are told of that.

use super::Relaying;
use crate::app::storing::{self, Said};
use crate::proto::relay::Tapped;
use crate::proto::server::StreamKey;

impl Relaying {
    /// Something came that is recorded.
    pub(super) fn take(&mut self, key: StreamKey, tapped: Tapped) {
        if let (Some(storing), Some(stage)) = (&mut self.storing, self.stages.get(&key)) {
            storing.take(key, &stage.name, tapped);
        }
    }

    pub(super) fn tell_recordings(&mut self) {
        let said = self.storing.iter_mut().flat_map(|storing| storing.news()).collect();
        self.say_all(said);
    }

    /// Closes all files, unless somebody is in a hurry.
    pub(super) fn end_recordings(&mut self) {
        let said = self.storing.as_mut().map(|storing| storing.end(self.killed)).unwrap_or_default();
        self.say_all(said);
    }

    fn say_all(&mut self, said: Vec<Said>) {
        for said in said {
            self.stopped |= storing::say(&self.output, said).is_err();
        }
    }
}
