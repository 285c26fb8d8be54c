//! Beginning and end of the window system's loop, the same for every kind of window.

use winit::application::ApplicationHandler;
use winit::error::EventLoopError;
use winit::event_loop::EventLoop;

use super::ViewError;
use super::{display, guard};

/// A loop on the display that is wanted.
pub fn event_loop() -> Result<EventLoop<()>, ViewError> {
    build().map_err(|_| ViewError::NoDisplay(why_no_display()))
}

/// Lives until the application leaves the loop, or the display goes.
pub fn live(event_loop: EventLoop<()>, app: &mut impl ApplicationHandler<()>) -> Result<(), ViewError> {
    match guard::run(|| event_loop.run_app(app)) {
        Some(ended) => ended.map_err(|error| ViewError::Lost(error.to_string())),
        None => Err(ViewError::Lost("it has gone away".to_owned())),
    }
}

/// Left to itself the library takes Wayland wherever its variable is set, and fails where nobody listens.
fn build() -> Result<EventLoop<()>, EventLoopError> {
    let mut builder = EventLoop::with_user_event();
    #[cfg(target_os = "linux")]
    if display::wanted().is_some_and(|(variable, _)| variable == "DISPLAY") {
        winit::platform::x11::EventLoopBuilderExtX11::with_x11(&mut builder);
    }
    builder.build()
}

/// The window system's own words carry source lines of its library; these say what to look at.
fn why_no_display() -> String {
    match display::wanted() {
        Some((_, display)) => format!("the display {display} does not answer"),
        None => "neither WAYLAND_DISPLAY nor DISPLAY is set".to_owned(),
    }
}
