//! What people and programs are told of one stream: of several, with its name.

use serde_json::json;

use crate::app::figures::Output;
use crate::source::News;
use crate::wire::StreamName;

/// Speaks of a stream.
pub struct Voice<'a> {
    pub output: &'a Output,
    /// `None` if there is only one.
    pub name: Option<&'a StreamName>,
}

impl Voice<'_> {
    /// `desk: `, or nothing.
    fn named(&self) -> String {
        self.name.map_or(String::new(), |name| format!("{name}: "))
    }

    pub fn say(&self, text: &str) {
        self.output.say(&format!("{}{text}", self.named()));
    }

    /// Its source has failed.
    pub fn fail(&self, sentence: &str) {
        self.output.warn(&format!("error: {}{sentence}", self.named()));
        if self.name.is_some() {
            // The program goes on with the others.
            self.event("failed", sentence);
        }
    }

    pub fn warn(&self, code: &str, text: &str) {
        self.output.warn(&format!("warning: {}{text}", self.named()));
        self.event(code, text);
    }

    pub fn note(&self, code: &str, text: &str) {
        self.output.warn(&format!("note: {}{text}", self.named()));
        self.event(code, text);
    }

    fn event(&self, code: &str, text: &str) {
        let mut fields = json!({ "code": code, "text": text });
        if let Some(name) = self.name {
            fields["stream"] = name.as_str().into();
        }
        // A reader that has gone is noticed with the next figures.
        self.output.event("warning", fields).ok();
    }

    /// What became of cameras, screens and microphones, and of films on their way.
    pub fn news(&self, news: News) {
        match news {
            News::Lost(why) => self.warn("device-lost", &format!("{why}; it is tried again until it is there")),
            News::Back(name) => {
                let article = if name.contains("://") { "" } else { "the " };
                self.note("device-back", &format!("{article}{name} is back"));
            }
            News::Stalled { name, seconds } => self.warn(
                "film-stalled",
                &format!("nothing has come from {name} for {seconds} s; the film goes on when it does"),
            ),
            News::Resumed(name) => self.note("film-back", &format!("{name} is back, and the film goes on")),
        }
    }

    /// More is to be sent than this machine can, or no longer. `served` is the share of pictures that arrive in time.
    pub fn overload(&self, overloaded: bool, served: f64) {
        if overloaded {
            let percent = served * 100.0;
            self.warn(
                "overload",
                &format!(
                    "this machine cannot send so much: each watcher gets {percent:.0} % of the pictures, and nobody else is let in; serve with a smaller --width, --fps or --quality, or let larger datagrams through"
                ),
            );
        } else {
            self.note("overload-over", "every watcher gets every picture again");
        }
    }
}
