//! What goes on, taken by the recorder; and what people are told of that.

use serde_json::json;

use super::Relaying;
use crate::app::storing::Said;
use crate::proto::relay::Tapped;
use crate::proto::server::StreamKey;

impl Relaying {
    /// Something came that is recorded.
    pub(super) fn take(&mut self, key: StreamKey, tapped: Tapped) {
        let (Some(storing), Some(stage)) = (&mut self.storing, self.stages.get(&key)) else { return };
        match tapped {
            Tapped::Stream(id, description) => storing.stream(key, &stage.name, id, &description),
            Tapped::Picture(picture) => storing.picture(key, picture),
            Tapped::Sound(sound) => storing.sound(key, sound),
            Tapped::Over => storing.over(key),
        }
    }

    pub(super) fn tell_recordings(&mut self) {
        let said = self.storing.iter_mut().flat_map(|storing| storing.news()).collect();
        self.say_all(said);
    }

    /// Closes all files, unless somebody is in a hurry.
    pub(super) fn end_recordings(&mut self) {
        let said = match &mut self.storing {
            Some(storing) if self.killed => {
                storing.abandon();
                storing.news()
            }
            Some(storing) => storing.finish(),
            None => Vec::new(),
        };
        self.say_all(said);
    }

    fn say_all(&mut self, said: Vec<Said>) {
        for said in said {
            match said {
                Said::Plain(text) => self.output.say(&text),
                Said::Warning(text) => {
                    self.output.warn(&format!("warning: {text}"));
                    let fields = json!({ "code": "record", "text": text });
                    self.stopped |= self.output.event("warning", fields).is_err();
                }
            }
        }
    }
}
