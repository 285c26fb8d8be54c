//! Addresses of files on this machine (RFC 8089), as file managers give them: `file:///a%20b.mp4` is a path.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The path that `file:/…`, `file:///…` or `file://localhost/…` names; `None` of anything else. Where only a file of the
/// literal name is there, `file://` was put before a path.
pub(super) fn path(text: &str) -> Option<PathBuf> {
    let (scheme, rest) = text.split_once(':')?;
    let after = |host| rest.strip_prefix(host).filter(|path: &&str| path.starts_with('/'));
    let literal = after("//localhost").or_else(|| after("//")).unwrap_or(rest);
    let elsewhere = literal.starts_with("//") || !literal.starts_with('/');
    if !scheme.eq_ignore_ascii_case("file") || elsewhere {
        return None;
    }
    let (decoded, literal) = (PathBuf::from(decoded(literal)), PathBuf::from(literal));
    Some(if !decoded.exists() && literal.exists() { literal } else { decoded })
}

/// `%20` and the like are bytes; a `%` without two digits stands for itself.
fn decoded(text: &str) -> OsString {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, after @ ..] = rest {
        let escaped = (*first == b'%').then(|| after.get(..2).and_then(byte)).flatten();
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    OsString::from_vec(bytes)
}

/// Two hexadecimal digits.
fn byte(digits: &[u8]) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let [high, low] = digits else { return None };
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_files_are_paths() {
        for (text, named) in [
            ("file:///a/b.mp4", "/a/b.mp4"),
            ("FILE://localhost/a%20b%2f.mp4", "/a b/.mp4"),
            ("file:/a b%.mp4", "/a b%.mp4"),
            ("file:///100%zz%C3%A9", "/100%zzé"),
        ] {
            assert_eq!(path(text), Some(PathBuf::from(named)), "{text}");
        }
        for text in ["file://host/a", "file:a.mp4", "http:///a", "/a/file:///b", "file:////a", "file:"] {
            assert_eq!(path(text), None, "{text}");
        }
        let odd = decoded("/fa%e7ade").into_vec();
        assert_eq!(odd, b"/fa\xe7ade");
    }

    #[test]
    fn a_literal_name_counts_where_only_that_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let there = folder.path().join("a%20b.mp4");
        std::fs::write(&there, b"film").expect("written");
        let text = format!("file://{}", there.display());
        assert_eq!(path(&text), Some(there));
        let both = folder.path().join("a b.mp4");
        std::fs::write(&both, b"film").expect("written");
        assert_eq!(path(&text), Some(both));
    }
}
