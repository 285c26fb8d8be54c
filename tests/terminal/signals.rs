//! Ctrl-C once and twice, SIGTERM, and the end of the terminal.

use rustix::process::Signal;

use super::{PROGRAM, Running, have, program, serve, signal, watch};

/// A server with a watcher, after its first pictures.
fn streaming(arguments: &[&str]) -> (Running, Running) {
    let mut server = Running::start(serve(arguments), false);
    let mut watcher = Running::start(watch(server.port(), &["-v"]), false);
    watcher.wait_for("stream", |said| said.contains("test card").then_some(()));
    (server, watcher)
}

#[test]
fn one_signal_ends_both_sides_in_order() {
    let kinds = [Signal::INT, Signal::TERM, Signal::HUP];
    for kind in kinds.into_iter().take(if under_nohup() { 2 } else { 3 }) {
        let (server, watcher) = streaming(&[]);
        signal(server.child.id(), kind).unwrap();
        let (code, said) = server.end();
        assert_eq!(code, 0, "{said}");
        assert!(
            said.lines().last().is_some_and(|last| last.starts_with("Sent ") || last.starts_with("Nothing")),
            "{said}"
        );
        let (code, said) = watcher.end();
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("The server was stopped."), "{said}");
    }
    let (_server, watcher) = streaming(&[]);
    signal(watcher.child.id(), Signal::INT).unwrap();
    let (code, said) = watcher.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.lines().last().is_some_and(|last| last.starts_with("Shown ") || last.starts_with("No ")), "{said}");
}

#[test]
fn who_only_looks_for_streams_ends_in_order() {
    let lookers: [&[&str]; 2] = [&["watch", "--headless", "--timeout", "20"], &["ls", "--timeout", "20"]];
    for (arguments, kind) in lookers.into_iter().zip([Signal::INT, Signal::TERM]) {
        let mut command = program();
        command.args(arguments);
        let looker = Running::start(command, false);
        let id = looker.child.id();
        // It says nothing from which one could tell that it hears signals.
        while !hears(id, kind) && !is_zombie(id) {
            std::thread::yield_now();
        }
        signal(id, kind).unwrap();
        let (code, said) = looker.end();
        assert_eq!((code, said.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn a_terminal_is_left_as_it_was_where_a_secret_was_asked_for() {
    if !(have("script") && have("stty")) {
        return;
    }
    for (secret, question) in [("127.0.0.1:9/yard --password -", "Password: "), ("127.0.0.1:9 --code -", "Code: ")] {
        // The shell outlives what it has started.
        let shell = format!("stty echo; trap : INT; '{PROGRAM}' watch {secret} --headless; echo \"ended $?\"; stty -a");
        let mut asks = Running::under_terminal(80, &[], &shell);
        asks.wait_for("question", |said| said.contains(question).then_some(()));
        // By then nothing is shown that is typed, and the signal has to undo that.
        std::thread::sleep(std::time::Duration::from_millis(200));
        asks.press(b"\x03");
        let (_, said) = asks.end();
        assert!(said.contains("ended 130"), "{said}");
        assert!(said.contains(" echo ") && !said.contains("-echo "), "{said}");
    }
}

/// Whether a program has something to do at this signal.
fn hears(id: u32, kind: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default();
    u64::from_str_radix(mask.trim(), 16).unwrap_or(0) >> (kind.as_raw() - 1) & 1 != 0
}

#[test]
fn a_second_signal_ends_at_once() {
    let (server, watcher) = streaming(&[]);
    // A watcher that is gone without a word is waited for at the goodbye, so the server is still there.
    drop(watcher);
    let id = server.child.id();
    // Halted, so that both are waiting for it when it goes on.
    for kind in [Signal::STOP, Signal::INT, Signal::TERM, Signal::CONT] {
        signal(id, kind).unwrap();
    }
    let (code, said) = server.end();
    assert_eq!(code, 130, "{said}");
}

#[test]
fn the_end_of_the_terminal_said_twice_is_no_second_request() {
    if under_nohup() {
        return;
    }
    let (server, watcher) = streaming(&[]);
    drop(watcher);
    let id = server.child.id();
    signal(id, Signal::HUP).unwrap();
    // Until it is gone, however often.
    while signal(id, Signal::HUP).is_ok() && !is_zombie(id) {
        std::thread::yield_now();
    }
    assert_eq!(server.end().0, 0);
}

/// Whether these tests were started to outlive their terminal; what they start then does, too.
fn under_nohup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
    u64::from_str_radix(mask.trim(), 16).unwrap_or(0) & 1 != 0
}

fn is_zombie(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with('Z') || rest.is_empty())
}

#[test]
fn nohup_outlives_its_terminal() {
    if !have("nohup") {
        return;
    }
    let mut command = std::process::Command::new("nohup");
    let card = serve(&["--duration", "20"]);
    command.arg(card.get_program()).args(card.get_args());
    let mut server = Running::start(command, false);
    let port = server.port();
    signal(server.child.id(), Signal::HUP).unwrap();
    let (code, said) = Running::start(watch(port, &["--frames", "5", "--timeout", "10"]), false).end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("Shown 5 pictures"), "{said}");
}
