//! Where this user's programs keep things, by the XDG Base Directory Specification.

use std::path::PathBuf;

/// For what can be made again.
pub fn caches() -> Option<PathBuf> {
    folder("XDG_CACHE_HOME", ".cache")
}

/// For what is to be there the next time.
pub fn state() -> Option<PathBuf> {
    folder("XDG_STATE_HOME", ".local/state")
}

/// The variable's, or the usual one; `None`: there is no home. A path that is not absolute does not count.
fn folder(name: &str, usual: &str) -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    Some(absolute(name).or_else(|| absolute("HOME").map(|home| home.join(usual)))?.join("udpstream"))
}
