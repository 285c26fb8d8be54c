//! Whether `watch` could open a window: the libraries that are opened at run time, then a connection as the window
//! makes it. No window appears.

use std::env;
use std::fs;
use std::panic;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::Builder;
use std::time::Duration;

use winit::event_loop::EventLoop;

use super::Check;
use crate::view::display;

pub fn check(headless: bool) -> Check {
    if headless {
        return Check::ok("display", "not looked at: `watch --headless` needs none");
    }
    let Some((variable, display, libraries)) = wanted() else {
        return no_display("neither WAYLAND_DISPLAY nor DISPLAY is set");
    };
    let missing: Vec<_> = libraries.iter().filter(|(library, _)| !is_installed(library)).collect();
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|(library, _)| *library).collect();
        let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
        let advice = format!("sudo apt install {} (Debian's names)", packages.join(" "));
        return Check::problem("display", format!("{} cannot be found", names.join(", ")), advice);
    }
    match connect() {
        Ok(()) => Check::ok("display", format!("{variable}={display} answers")),
        Err(why) => no_display(&format!("{variable}={display} does not answer ({why})")),
    }
}

fn no_display(text: &str) -> Check {
    let advice = "start it from a desktop session, or set DISPLAY; without one there is `watch --headless`";
    Check::problem("display", text, advice)
}

/// The library and the Debian package that has it.
type Library = (&'static str, &'static str);

/// The display that the window would be opened on, and the libraries which that takes.
fn wanted() -> Option<(&'static str, String, &'static [Library])> {
    let (name, display) = display::wanted()?;
    Some((name, display, if name == "DISPLAY" { X11 } else { WAYLAND }))
}

/// Looks where the dynamic linker looks: its cache, and the folders it takes without one.
fn is_installed(library: &str) -> bool {
    let cache = fs::read("/etc/ld.so.cache").unwrap_or_default();
    let path = [b"/", library.as_bytes(), b"\0"].concat();
    let cached = cache.windows(path.len()).any(|bytes| bytes == path);
    let listed = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = env::split_paths(&listed).chain(FOLDERS.iter().map(PathBuf::from));
    cached || folders.into_iter().any(|folder| folder.join(library).exists())
}

/// Connects as the window does, on a thread of its own: a display far away may never answer, and the library may panic.
fn connect() -> Result<(), String> {
    let (sender, result) = mpsc::channel();
    let quietly = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let spawned = Builder::new().name("display".into()).spawn(move || sender.send(open()).ok());
    let answer = result.recv_timeout(PATIENCE);
    panic::set_hook(quietly);
    spawned.map_err(|error| error.to_string())?;
    match answer {
        Ok(answer) => answer,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(format!("nothing came for {} s", PATIENCE.as_secs())),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err("the window library gave up".to_owned()),
    }
}

#[cfg(target_os = "linux")]
fn open() -> Result<(), String> {
    use winit::platform::x11::EventLoopBuilderExtX11;
    let mut builder = EventLoop::builder();
    builder.with_any_thread(true);
    if display::wanted().is_some_and(|(variable, _)| variable == "DISPLAY") {
        builder.with_x11();
    }
    let built = builder.build();
    // Its own words name lines of the library, which help nobody here.
    built.map(drop).map_err(|_| "no connection".to_owned())
}

/// Elsewhere a window belongs to the main thread and there is no display to miss.
#[cfg(not(target_os = "linux"))]
fn open() -> Result<(), String> {
    let _ = EventLoop::builder;
    Ok(())
}

const X11: &[Library] = &[
    ("libX11.so.6", "libx11-6"),
    ("libX11-xcb.so.1", "libx11-xcb1"),
    ("libxcb.so.1", "libxcb1"),
    ("libXcursor.so.1", "libxcursor1"),
    ("libXi.so.6", "libxi6"),
    ("libXrandr.so.2", "libxrandr2"),
    ("libxkbcommon.so.0", "libxkbcommon0"),
    ("libxkbcommon-x11.so.0", "libxkbcommon-x11-0"),
];
const WAYLAND: &[Library] = &[("libwayland-client.so.0", "libwayland-client0"), ("libxkbcommon.so.0", "libxkbcommon0")];
const FOLDERS: &[&str] = &["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib"];
/// A display that takes longer is of no use for pictures.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_c_library_is_installed_and_nonsense_is_not() {
        assert!(is_installed("libc.so.6") || is_installed("libc.so"));
        assert!(!is_installed("libno-such-thing.so.9"));
        assert!(!is_installed("bc.so.6"));
    }
}
