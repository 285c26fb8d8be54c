//! Common slips of the command line: the parser knows near misses of names, this file what people meant otherwise.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use udpstream::app::address::{Address, Scheme, Target};
use udpstream::seal::Code;
use udpstream::source::Input;

use super::keys::SECRETS;

/// The same error, with the command that was meant if we can tell.
pub fn advise(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let words: Vec<String> = arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let tips = match error.kind() {
        ErrorKind::InvalidSubcommand => without_verb(&words),
        ErrorKind::UnknownArgument => unknown(&error, &words),
        ErrorKind::ValueValidation if is_about(&error, "MIC") => {
            publishers_apart(&words).or_else(|| port_apart(&words))
        }
        ErrorKind::ValueValidation if is_about(&error, "SERVER") && is_a_number(&error) => port_apart(&words),
        ErrorKind::MissingRequiredArgument if !is_about_flag(&error) => nothing_named(&words),
        _ => None,
    };
    hide_secrets(&mut error);
    if let Some(tips) = tips {
        let tips = tips.into_iter().map(Into::into).collect();
        // A near miss of a verb is no help to somebody who left the verb out, nor is one of an option that is no miss.
        error.remove(ContextKind::SuggestedSubcommand);
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    error
}

/// What was meant by an argument that is none of ours; near misses of our options are left to the parser.
fn unknown(error: &clap::Error, words: &[String]) -> Option<Vec<String>> {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return None };
    match argument.as_str() {
        "--host" => address_apart(words),
        option if option.starts_with('-') && !["--port", "-p"].contains(&option) => None,
        _ => port_apart(words),
    }
}

/// An address that was typed where it does not belong is shown without its password, and no code or password at all.
fn hide_secrets(error: &mut clap::Error) {
    let argument = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    let is_secret = SECRETS.iter().any(|name| argument.starts_with(&format!("--{name} ")));
    let is_code = |text: &str| Code::is_meant(text.rsplit('/').next().unwrap_or(text));
    let value = error.get(ContextKind::InvalidValue).map(ToString::to_string);
    let has_secret = |text: &str| SECRETS.iter().any(|name| text.contains(&format!(",{name}=")));
    if value.is_some_and(|value| is_secret || is_code(&value) || has_secret(&value)) {
        error.insert(ContextKind::InvalidValue, ContextValue::String("…".to_owned()));
    }
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidArg, ContextKind::InvalidSubcommand] {
        if let Some(ContextValue::String(text)) = error.get(kind)
            && text.contains("://")
        {
            let shown = public(text);
            error.insert(kind, ContextValue::String(shown));
        }
    }
}

/// An address without its secrets. What stands before a group is its sender, or nothing, and neither is one.
fn public(address: &str) -> String {
    let shown = Input::Url(address.to_owned()).name();
    let is_sender = |text: &str| text.is_empty() || text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let sender = address.strip_prefix("udp://").and_then(|rest| rest.split_once('@')).map(|(sender, _)| sender);
    match (sender.filter(|sender| is_sender(sender)), shown.strip_prefix("udp://")) {
        (Some(sender), Some(group)) => format!("udp://{sender}@{group}"),
        _ => shown,
    }
}

/// Whether it is this argument that has a wrong value.
fn is_about(error: &clap::Error, argument: &str) -> bool {
    matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(name)) if name.contains(argument))
}

/// Whether the wrong value is a number, as a port is.
fn is_a_number(error: &clap::Error) -> bool {
    matches!(error.get(ContextKind::InvalidValue), Some(ContextValue::String(text)) if text.parse::<u16>().is_ok())
}

/// Whether it is a flag that is missing, and not what every command is about.
fn is_about_flag(error: &clap::Error) -> bool {
    matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::Strings(names)) if names.iter().all(|name| name.starts_with('-')))
}

/// `udpstream film.mp4`, `udpstream 192.168.1.20`.
fn without_verb(words: &[String]) -> Option<Vec<String>> {
    let word = words.iter().find(|word| !word.starts_with('-') || *word == "-")?;
    let rest = typed(words);
    if is_server(word) {
        return Some(vec![format!("to watch it: udpstream watch{rest}")]);
    }
    let is_device = ["test:", "camera:", "screen:", "mic:"].iter().any(|start| word.starts_with(start));
    let is_input = word == "-" || is_device || word.contains("://") || word.contains(['.', '/', '\\']);
    (is_input || Path::new(word).exists()).then(|| vec![format!("to send it: udpstream serve{rest}")])
}

/// An IP address, with a port or without, a name with a port, or a link.
fn is_server(word: &str) -> bool {
    let Ok(Target { address: Address { host, .. }, .. }) = word.parse::<Target>() else { return false };
    if matches!(Scheme::split(word), Ok((Scheme::Link, _))) {
        return true;
    }
    let named_port = word.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    host.parse::<IpAddr>().is_ok() || (named_port && !Path::new(word).exists())
}

/// `udpstream serve film.mp4 --host 0.0.0.0`, `udpstream watch --host 127.0.0.1 --port 9688`.
fn address_apart(words: &[String]) -> Option<Vec<String>> {
    let serves = words.iter().find_map(|word| match word.as_str() {
        "serve" => Some(true),
        "watch" => Some(false),
        _ => None,
    })?;
    let host = value(words, "--host")?;
    if serves {
        let bind = |word: &String| word.strip_prefix("--host").map_or(word.clone(), |rest| format!("--bind{rest}"));
        let words: Vec<String> = words.iter().map(bind).collect();
        let command = format!("udpstream{}", typed(&words));
        return Some(vec![format!("the address to listen on is written like this: {command}")]);
    }
    let host = if host.is_empty() { "HOST" } else { host };
    let server = match value(words, "--port") {
        Some(port) if host.contains(':') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    Some(vec![format!("the server is written without an option: udpstream watch {}", quoted(&server))])
}

/// What stands behind `option`, or nothing; `None` if it was not given.
fn value<'a>(words: &'a [String], option: &str) -> Option<&'a str> {
    let joined = |word: &'a String| word.strip_prefix(option).and_then(|rest| rest.strip_prefix('='));
    let next = |at: usize| words.get(at + 1).filter(|word| !word.starts_with('-')).map_or("", String::as_str);
    words.iter().find_map(joined).or_else(|| words.iter().position(|word| word == option).map(next))
}

/// The words as they would be typed, without the secrets of addresses.
fn typed(words: &[String]) -> String {
    let shown = |word: &String| if word.contains("://") { public(word) } else { word.clone() };
    words.iter().map(|word| format!(" {}", quoted(&shown(word)))).collect()
}

/// `udpstream watch 127.0.0.1 9688`, with `--port` before the number or without; `udpstream serve film.mp4 9688`.
fn port_apart(words: &[String]) -> Option<Vec<String>> {
    let verb = words.iter().position(|word| ["watch", "serve", "ls", "relay", "publish"].contains(&word.as_str()))?;
    let plain: Vec<&String> = words[verb + 1..].iter().filter(|word| !word.starts_with('-')).collect();
    let [what, port, ..] = plain[..] else { return None };
    let port: u16 = port.strip_prefix("--port=").unwrap_or(port).parse().ok()?;
    let command = if words[verb] == "serve" {
        format!("udpstream serve {} --port {port}", quoted(what))
    } else if what.matches(':').count() > 1 && !what.starts_with('[') {
        format!("udpstream {} '[{what}]:{port}'", words[verb])
    } else {
        format!("udpstream {} {}:{port}", words[verb], quoted(what))
    };
    Some(vec![format!("a port is written like this: {command}")])
}

/// `udpstream serve film.mp4 --accept-publishers 4`.
fn publishers_apart(words: &[String]) -> Option<Vec<String>> {
    let option = words.iter().position(|word| word == "--accept-publishers")?;
    let number: u16 = words.get(option + 1)?.parse().ok()?;
    Some(vec![format!("the number of publishers is written like this: --accept-publishers={number}")])
}

/// A verb alone: `udpstream serve`, `udpstream cache ls`.
fn nothing_named(words: &[String]) -> Option<Vec<String>> {
    let verbs = ["serve", "publish", "relay", "cache", "extract"];
    let verb = words.iter().find(|word| verbs.contains(&word.as_str()))?;
    let tips: &[&str] = match verb.as_str() {
        "publish" => &[
            "name a server that takes publishers, and what it is to be sent: udpstream publish 192.168.1.20 camera:",
            "or a screen: udpstream publish 192.168.1.20 screen: --preview",
        ],
        "serve" => &[
            "name a film: udpstream serve film.mp4",
            "without a film there is the test card: udpstream serve test:",
            "from a pipe: … | udpstream serve -",
            "or take what others publish: udpstream serve --accept-publishers",
        ],
        "relay" => &["name the server whose streams it is to pass on: udpstream relay 192.168.1.20"],
        "cache" if words.iter().any(|word| word == "rm") => &[
            "name the relay's folder and the films: udpstream cache rm films holiday",
            "all of them: udpstream cache rm films --all",
        ],
        "cache" => &["name the folder that a relay keeps its films in: udpstream cache ls films"],
        "extract" => &["name a film: udpstream extract film.mp4"],
        _ => return None,
    };
    Some(tips.iter().map(|&tip| tip.to_owned()).collect())
}

/// As a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn tip(tips: Option<Vec<String>>) -> String {
        tips.map_or(String::new(), |tips| tips.concat())
    }

    #[test]
    fn a_missing_verb() {
        let tip = |line| tip(without_verb(&words(line)));
        assert_eq!(tip("film.mp4 --loop"), "to send it: udpstream serve film.mp4 --loop");
        assert_eq!(tip("test:"), "to send it: udpstream serve test:");
        assert_eq!(tip("http://a/b?c=1"), "to send it: udpstream serve http://a/b");
        assert_eq!(tip("192.168.1.20"), "to watch it: udpstream watch 192.168.1.20");
        assert_eq!(tip("-v robot:9688"), "to watch it: udpstream watch -v robot:9688");
        assert_eq!(tip("wacth"), "");
    }

    #[test]
    fn groups_are_shown_as_they_were_typed_and_secrets_are_not() {
        for group in ["udp://@bad", "udp://192.0.2.7@bad", "udp://[2001:db8::7]@[ff15::7]:9", "udp://@239.1.2.3/x"] {
            assert_eq!(public(group), group);
        }
        for (address, shown) in [
            ("http://a:b@c/d?e", "http://c/d"),
            ("udp://a:b@239.1.2.3", "udp://239.1.2.3"),
            ("udp://secret@bad", "udp://bad"),
            ("udp://@secret@bad", "udp://@bad"),
        ] {
            assert_eq!(public(address), shown);
        }
    }

    #[test]
    fn an_address_apart() {
        let tip = |line| tip(address_apart(&words(line)));
        assert!(tip("serve film.mp4 --host ::1").ends_with(": udpstream serve film.mp4 --bind ::1"));
        assert!(tip("-q serve --host=::1 http://a:b@c/d?e").ends_with(": udpstream -q serve --bind=::1 http://c/d"));
        assert!(tip("watch --host robot").ends_with(": udpstream watch robot"));
        assert!(tip("watch --port 7 --host robot").ends_with(": udpstream watch robot:7"));
        assert!(tip("watch --host=::1 --port=7").ends_with(": udpstream watch '[::1]:7'"));
        assert!(tip("watch --host").ends_with(": udpstream watch HOST"));
        assert_eq!(tip("watch robot --hots 7"), "");
    }

    #[test]
    fn a_port_apart() {
        let tip = |line| tip(port_apart(&words(line)));
        assert!(tip("watch 127.0.0.1 9688").ends_with("udpstream watch 127.0.0.1:9688"));
        assert!(tip("watch robot --port 7").ends_with("udpstream watch robot:7"));
        assert!(tip("watch ::1 9688").ends_with("udpstream watch '[::1]:9688'"));
        assert!(tip("serve film.mp4 9688").ends_with("udpstream serve film.mp4 --port 9688"));
        assert_eq!(tip("watch robot --colour"), "");
        let said = publishers_apart(&words("serve film.mp4 --accept-publishers 4"));
        assert!(said.is_some_and(|tips| tips.concat().ends_with("like this: --accept-publishers=4")));
    }
}
