//! Lower layers never import upper ones, and each third-party crate is named only where it belongs. The tables here are
//! the only copy of the rule.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

/// Low to high. Layers in one row may not see each other, except in the last row, where the wiring is.
const ROWS: &[&[&str]] = &[
    &["units", "resample"],
    &["clock", "queue", "stats"],
    &["wire"],
    &["media"],
    &["seal", "store"],
    &["proto"],
    &["net"],
    &["ffmpeg", "text", "discovery"],
    &["codec"],
    &["source"],
    &["view", "audio", "record", "library"],
    &["gateway"],
    &["app", "cli", "lib", "main"],
];

/// Lower, and yet out of bounds: these layers are told the time and never ask.
const TOLD_THE_TIME: &[&str] = &["wire", "media", "seal", "store", "proto", "gateway"];

/// Who may name which crate. Crates that only derive (`thiserror`) may be named anywhere; `app` names winit only to see
/// whether a display answers.
const CRATES: &[(&str, &[&str])] = &[
    ("alsa", &["audio"]),
    ("anyhow", &["app", "cli", "main"]),
    ("argon2", &["seal"]),
    ("clap", &["app", "cli", "main"]),
    ("clap_complete", &["cli", "main"]),
    ("clap_mangen", &["cli", "main"]),
    ("cosmic_text", &["text"]),
    ("crc32fast", &["wire", "store"]),
    ("crossbeam_channel", &["queue", "source", "audio", "record", "library", "app"]),
    ("fast_image_resize", &["resample"]),
    ("ffmpeg_sidecar", &["ffmpeg"]),
    ("hdrhistogram", &["stats"]),
    ("hound", &["record"]),
    ("image", &["record", "app"]),
    ("libc", &["net"]),
    ("mdns_sd", &["discovery"]),
    ("mio", &["net"]),
    ("nix", &["net"]),
    ("opusic_c", &["codec"]),
    ("qrcode", &["app"]),
    ("rayon", &["codec"]),
    ("reed_solomon_simd", &["media"]),
    ("ring", &["seal"]),
    ("rodio", &["audio"]),
    ("rpassword", &["app"]),
    ("rtrb", &["audio"]),
    ("rubato", &["source", "audio"]),
    ("rustix", &["clock", "net", "store", "ffmpeg", "source", "library", "app", "cli", "main"]),
    ("rusqlite", &["library"]),
    ("notify", &["library"]),
    ("serde", &["source", "library", "app", "cli"]),
    ("serde_json", &["source", "library", "app", "cli"]),
    ("signal_hook_mio", &["net"]),
    ("simple_dns", &["discovery"]),
    ("socket2", &["net"]),
    ("softbuffer", &["view"]),
    ("strsim", &["wire", "cli", "app"]),
    ("toml", &["app", "cli"]),
    ("tracing", &["net", "discovery", "library", "app", "cli", "main"]),
    ("tracing_subscriber", &["app", "cli", "main"]),
    ("turbojpeg", &["codec"]),
    ("udpstream_resample", &["codec", "view"]),
    ("unicode_linebreak", &["text"]),
    ("unicode_normalization", &["wire", "library"]),
    ("unicode_segmentation", &["text", "view"]),
    ("winit", &["view", "app"]),
    ("x11rb", &["source"]),
    ("x25519_dalek", &["seal"]),
    ("zerocopy", &["wire", "view", "codec"]),
];
const ANYWHERE: &[&str] = &["thiserror"];

fn rank(layer: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&layer))
}

/// Whether `layer` may not see the top-level name `other`; names that are no layer (types of lib.rs) are free.
fn forbidden(layer: &str, other: &str) -> bool {
    let (Some(from), Some(to)) = (rank(layer), rank(other)) else { return false };
    let sibling = from == to && layer != other && from + 1 < ROWS.len();
    to > from || sibling || (other == "clock" && TOLD_THE_TIME.contains(&layer))
}

fn ident(tokens: &[TokenTree], at: usize) -> Option<String> {
    let TokenTree::Ident(ident) = tokens.get(at)? else { return None };
    Some(ident.to_string())
}

fn colons(tokens: &[TokenTree], at: usize) -> bool {
    let colon = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
    tokens.get(at..at + 2).is_some_and(|pair| pair.iter().all(colon))
}

/// The paths that begin at token `at`: one, or as many as its `{…}` holds.
fn paths(tokens: &[TokenTree], at: usize) -> Vec<Vec<String>> {
    let Some(first) = ident(tokens, at) else { return Vec::new() };
    let rest = match tokens.get(at + 3) {
        _ if !colons(tokens, at + 1) => Vec::new(),
        Some(TokenTree::Group(group)) => {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            let comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
            inner.split(comma).flat_map(|branch| paths(branch, 0)).collect()
        }
        _ => paths(tokens, at + 3),
    };
    let joined = |rest: Vec<String>| [vec![first.clone()], rest].concat();
    if rest.is_empty() { vec![vec![first]] } else { rest.into_iter().map(joined).collect() }
}

/// Complaints about one path named in `module` (its layer first).
fn judge(module: &[String], path: &[String]) -> Option<String> {
    let layer = module[0].as_str();
    let ups = path.iter().take_while(|name| *name == "super").count();
    let from_root = matches!(path[0].as_str(), "crate" | "udpstream") || (ups > 0 && ups == module.len());
    let top = path.get(ups.max(1)).filter(|other| from_root && forbidden(layer, other));
    let home = CRATES.iter().find(|(name, layers)| *name == path[0] && !layers.contains(&layer));
    top.map(|other| format!("{layer} may not see {other}"))
        .or_else(|| home.map(|(name, layers)| format!("the crate {name} belongs to {layers:?}, not to {layer}")))
}

/// Walks the tokens of one file or inline module and collects complaints.
fn check(module: &[String], stream: TokenStream, found: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let before = |at: usize, back: usize| at.checked_sub(back).and_then(|at| ident(&tokens, at)).unwrap_or_default();
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            let inline = before(at, 2) == "mod";
            let inner = [module, &vec![before(at, 1); usize::from(inline)]].concat();
            check(&inner, group.stream(), found);
        } else if (at < 2 || !colons(&tokens, at - 2)) && (colons(&tokens, at + 1) || before(at, 1) == "use") {
            let line = token.span().start().line;
            let complaints = paths(&tokens, at).into_iter().filter_map(|path| judge(module, &path));
            found.extend(complaints.map(|text| format!("{}:{line}: {text}", module.join("::"))));
        }
    }
}

fn complaints(module: &[&str], source: &str) -> Vec<String> {
    let (module, mut found) = (module.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(), Vec::new());
    check(&module, source.parse().unwrap(), &mut found);
    found.dedup();
    found
}

fn walk(folder: &Path, module: &[&str], found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let inner = if stem == "mod" { module.to_vec() } else { [module, &[stem]].concat() };
        assert!(rank(inner[0]).is_some(), "{} is in no row: add it to this file's table", path.display());
        if path.is_dir() {
            walk(&path, &inner, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.extend(complaints(&inner, &fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn no_layer_sees_a_higher_one() {
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut found);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_dependency_has_a_place() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let listed = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    for name in listed.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.replace('-', "_")) {
        let known = ANYWHERE.contains(&name.as_str()) || CRATES.iter().any(|(krate, _)| *krate == name);
        assert!(known, "{name} is in no table of this file");
    }
}

#[test]
fn the_checker_sees_every_way_to_break_the_rule() {
    for (module, bad) in [
        (&["wire"][..], "use crate::proto::Machine;"),
        (&["wire"], "use crate::{units::Size, proto::{Machine, Reason}};"),
        (&["proto", "pacing"], "use super::super::net;"),
        (&["units"], "mod tests { use super::super::wire; }"),
        (&["queue"], "fn f() { let _ = crate::stats::Block::new(); }"),
        (&["proto", "pacing"], "fn f() { crate::clock::now(); }"),
        (&["codec"], "use udpstream::view;"),
        (&["proto"], "use mio::net::UdpSocket;"),
        (&["net"], "fn f() { winit::event_loop::EventLoop::new(); }"),
        (&["media"], "use ring;"),
    ] {
        assert_eq!(complaints(module, bad).len(), 1, "{module:?}: {bad}");
    }
    let good = "use crate::{units::Size, wire}; use super::window; use super::super::clock; use winit::window as ring;";
    assert_eq!(complaints(&["view", "scale"], good), [""; 0]);
}
