//! Warnings of the log over the picture: who looks at a window does not look at the terminal behind it.

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::screen::Screen;

static SCREEN: Mutex<Screen> = Mutex::new(Screen(None));

/// Warnings go to this screen from now on.
pub fn attach(screen: &Screen) {
    *SCREEN.lock().unwrap_or_else(PoisonError::into_inner) = screen.clone();
}

/// A layer of the log that shows our own warnings and errors in the window, if there is one.
pub struct OnScreen;

impl<S: Subscriber> Layer<S> for OnScreen {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN || !metadata.target().starts_with("udpstream") {
            return;
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        SCREEN.lock().unwrap_or_else(PoisonError::into_inner).notice(&message.0);
    }
}

/// The sentence of an event, without its fields.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn the_sentence_is_taken_from_the_event() {
        struct Check;
        impl<S: Subscriber> Layer<S> for Check {
            fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
                let mut message = Message(String::new());
                event.record(&mut message);
                assert_eq!(message.0, "3 are lost");
            }
        }
        let subscriber = tracing_subscriber::registry().with(Check).with(OnScreen);
        tracing::subscriber::with_default(subscriber, || tracing::warn!(why = "net", "{} are lost", 3));
    }
}
