//! The part of an address that may be shown: no user, password, query or fragment.

/// The address without user, password, query and fragment.
pub fn public_part(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.split(['?', '#']).next().unwrap_or_default().to_owned();
    };
    let rest = without_user(rest).split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{rest}")
}

/// What follows the scheme, from the host on. A password with a `/`, `?` or `#` in it is not valid, but is recognised by
/// what then stands where the port would be.
pub fn without_user(rest: &str) -> &str {
    let (host, _) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if let Some((user, _)) = host.rsplit_once('@') {
        return &rest[user.len() + 1..];
    }
    let port = host.rsplit_once(']').map_or(host, |(_, port)| port).split_once(':').map_or("", |(_, port)| port);
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    rest.rsplit_once('@').filter(|_| !is_port).map_or(rest, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hide_passwords() {
        assert_eq!(public_part("rtsp://me:pass@cam/one?key=1"), "rtsp://cam/one");
        for (url, public) in [
            ("http://host", "http://host"),
            ("http://host:80/@me/live?to=a@b", "http://host:80/@me/live"),
            ("srt://[::1]:9000?passphrase=secret@x", "srt://[::1]:9000"),
            ("http://me:se@cret@host:80/a#b", "http://host:80/a"),
            ("http://me:se/cret@host/a", "http://host/a"),
            ("http://me:se?cr#et@host/a?b", "http://host/a"),
            ("rtsp://me@host", "rtsp://host"),
        ] {
            assert_eq!(public_part(url), public, "{url}");
        }
    }
}
