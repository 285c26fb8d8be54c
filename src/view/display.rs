//! Which display a window is opened on: a Wayland compositor if one listens, else an X server.

use std::env;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The variable that names the display, and the name; `None` where no variable is set.
///
/// WAYLAND_DISPLAY may name a compositor that has gone, as in a terminal multiplexer that outlived its desktop or in a
/// session over ssh: then the display is that of DISPLAY, if there is one.
pub fn wanted() -> Option<(&'static str, String)> {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    choose(set, |name| listens(name, &set("XDG_RUNTIME_DIR").unwrap_or_default()))
}

fn choose(
    set: impl Fn(&'static str) -> Option<String>,
    listens: impl Fn(&str) -> bool,
) -> Option<(&'static str, String)> {
    let named = |name| set(name).map(|display| (name, display));
    // A socket that is inherited is there.
    let wayland = named("WAYLAND_DISPLAY").filter(|(_, display)| named("WAYLAND_SOCKET").is_some() || listens(display));
    wayland.or_else(|| named("WAYLAND_SOCKET")).or_else(|| named("DISPLAY")).or_else(|| named("WAYLAND_DISPLAY"))
}

/// Whether somebody takes calls at this compositor's socket, which lies in the `folder` of the session.
fn listens(name: &str, folder: &str) -> bool {
    // An absolute name stands for itself, and nothing lies in the folder we happen to be in.
    UnixStream::connect(Path::new("/").join(folder).join(name)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_compositor_that_has_gone_leaves_the_window_to_x() {
        let chosen = |names: &'static [&str], listens| {
            let set = |name: &str| names.contains(&name).then(|| "x".to_owned());
            choose(set, |_| listens).map(|(name, _)| name)
        };
        for (names, listens, name) in [
            (&["WAYLAND_DISPLAY", "DISPLAY"][..], true, Some("WAYLAND_DISPLAY")),
            (&["WAYLAND_DISPLAY", "DISPLAY"], false, Some("DISPLAY")),
            (&["WAYLAND_DISPLAY"], false, Some("WAYLAND_DISPLAY")),
            (&["WAYLAND_SOCKET", "DISPLAY"], false, Some("WAYLAND_SOCKET")),
            (&["WAYLAND_SOCKET", "WAYLAND_DISPLAY", "DISPLAY"], false, Some("WAYLAND_DISPLAY")),
            (&["DISPLAY"], false, Some("DISPLAY")),
            (&[], true, None),
        ] {
            assert_eq!(chosen(names, listens), name, "{names:?}, {listens}");
        }
    }

    #[test]
    fn a_socket_counts_only_while_somebody_listens() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, at) = (folder.path().join("wayland-7"), folder.path().to_str().expect("a plain name"));
        assert!(!listens("wayland-7", at));
        let listener = UnixListener::bind(&path).expect("a socket");
        assert!(listens("wayland-7", at) && listens(path.to_str().expect("a plain name"), "/nowhere"));
        drop(listener);
        assert!(path.exists() && !listens("wayland-7", at));
    }
}
