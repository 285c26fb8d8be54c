//! The line that updates itself, and the last sentence.

use std::process::{Command, Stdio};

use super::{PROGRAM, Running, have, serve, watch};

/// A server under a terminal; the shell says which terminal. `None` where util-linux is missing.
fn serving(columns: u16, environment: &[(&str, &str)], arguments: &str) -> Option<Running> {
    if !(have("script") && have("stty")) {
        return None;
    }
    let card = "test:320x180@30 --port 0 --bind 127.0.0.1";
    let shell = format!("tty; exec '{PROGRAM}' serve {card} {arguments}");
    Some(Running::under_terminal(columns, environment, &shell))
}

/// What stood in the last row of the terminal, one after the other; `erase` is how it was taken away.
fn lines<'a>(said: &'a str, erase: &str) -> Vec<&'a str> {
    let rows = said.split('\n').flat_map(|row| row.split(erase)).map(|row| row.trim_end_matches('\r'));
    rows.filter(|row| row.contains(" fps  ") || row.ends_with(" fps") || row.starts_with("waiting")).collect()
}

const ERASE: &str = "\r\x1b[K";

/// So many lines with figures.
fn after(n: usize) -> impl Fn(&str) -> Option<()> {
    move |said| (lines(said, ERASE).iter().filter(|line| line.contains("fps")).count() >= n).then_some(())
}

#[test]
fn the_line_updates_itself_and_follows_the_width() {
    let Some(mut server) = serving(100, &[], "--duration 20") else { return };
    let tty = server.wait_for("name of the terminal", |said| Some(said.split_once("\r\n")?.0.to_owned()));
    let port = server.port();
    let mut watcher = watch(port, &[]).stderr(Stdio::null()).spawn().unwrap();
    server.wait_for("figures", after(2));
    let wide = lines(&server.text(), ERASE).pop().unwrap().to_owned();
    for part in [" fps  ", "jitter ", "1 watcher", "b/s"] {
        assert!(wide.contains(part), "{part:?} in {wide:?}");
    }
    assert!(server.text().contains(ERASE), "{:?}", server.text());
    let resized = Command::new("stty").args(["-F", &tty, "cols", "16"]).status().unwrap();
    assert!(resized.success());
    let known = lines(&server.text(), ERASE).len();
    // One line may have been on its way.
    server.wait_for("narrow lines", after(known + 2));
    let text = server.text();
    for narrow in lines(&text, ERASE).iter().skip(known + 1) {
        assert!(narrow.chars().count() < 16 && narrow.contains(" fps"), "{narrow:?}");
    }
    watcher.kill().ok();
    watcher.wait().ok();
}

#[test]
fn a_run_ends_with_a_sentence_on_both_sides() {
    let Some(mut server) = serving(90, &[("NO_COLOR", "1")], "--frames 75 -v") else { return };
    let watcher = Running::start(watch(server.port(), &[]), false);
    let (code, said) = server.end();
    assert_eq!(code, 0, "{said}");
    assert!(lines(&said, ERASE).iter().all(|line| line.chars().count() < 90), "{said:?}");
    let last = said.trim_end().rsplit(['\n', 'K']).next().unwrap();
    assert!(last.starts_with("Sent 75 pictures in ") && last.contains(" s to 1 watcher, "), "{last:?}");
    assert!(last.contains("fps, departure error p99 ") && last.ends_with('.'), "{last:?}");
    // The log's lines stand alone in their rows, and have no colour.
    let joined = said.split('\n').find(|row| row.contains(" joined ")).unwrap_or_else(|| panic!("{said:?}"));
    assert!(joined.rsplit(ERASE).next().unwrap().starts_with("20"), "{joined:?}");
    // The table goes up row by row; no other escape is there.
    assert!(!said.replace(ERASE, "").replace("\x1b[A", "").contains('\x1b'), "{said:?}");
    assert!(said.contains("why not more") && said.contains("nothing limi"), "{said:?}");

    let (code, said) = watcher.end();
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains('\r') && !said.contains('\x1b'), "nothing moves where there is no terminal: {said:?}");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("Shown ") && last.contains(" pictures in ") && last.contains(" lost"), "{said}");
}

#[test]
fn a_dumb_terminal_gets_no_escapes() {
    let Some(mut server) = serving(60, &[("TERM", "dumb")], "--duration 20 -v") else { return };
    let mut watcher = watch(server.port(), &["--duration", "3"]).stderr(Stdio::null()).spawn().unwrap();
    server.wait_for("figures", |said| (said.matches(" fps  ").count() >= 2).then_some(()));
    watcher.wait().unwrap();
    let said = server.text();
    assert!(!said.contains('\x1b') && said.contains('\r'), "{said:?}");
    for row in said.split(['\r', '\n']) {
        assert!(!row.contains(" fps  ") || row.chars().count() < 60, "{row:?}");
    }
}

#[test]
fn watching_has_a_line_too() {
    if serving(80, &[], "--duration 1").is_none() {
        return;
    }
    let mut server = Running::start(serve(&["--duration", "20"]), false);
    let shell = format!("exec '{PROGRAM}' watch 127.0.0.1:{} --headless --duration 4", server.port());
    let (code, said) = Running::under_terminal(80, &[], &shell).end();
    assert_eq!(code, 0, "{said:?}");
    let line = lines(&said, ERASE).into_iter().find(|line| line.contains("fps")).unwrap();
    assert!(line.contains("jitter ") && line.contains(" lost  "), "{line:?}");
    assert!(said.contains("\r\x1b[KShown "), "{said:?}");
}

#[test]
fn quiet_and_json_have_neither_line_nor_sentence() {
    for arguments in [&["-q"][..], &["--stats", "json", "-q"]] {
        let Some(server) = serving(80, &[], &format!("--no-wait --duration 2.5 {}", arguments.join(" "))) else {
            return;
        };
        let (code, said) = server.end();
        assert_eq!(code, 0, "{said:?}");
        assert!(!said.contains("waiting") && !said.contains("Nothing was sent") && !said.contains('\x1b'), "{said:?}");
    }
}
