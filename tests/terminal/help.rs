//! Help, advice after slips, completions, the manual page.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{have, program, run, stderr, stdout};

const VERBS: [&str; 10] =
    ["serve", "watch", "publish", "ls", "relay", "extract", "devices", "doctor", "completions", "man"];

/// The flags in a help text, each with its whole description in one line.
fn flags(verb: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let output = run([verb, "--help"]);
    assert_eq!(output.status.code(), Some(0));
    for line in stdout(&output).lines() {
        let words = line.trim();
        // `- auto: …` is a value.
        if words.starts_with("--") || words.get(2..4) == Some(", ") {
            let name = words.split([' ', ',', '.', '[']).find(|word| word.starts_with("--"));
            found.extend(name.map(|name| (name.to_owned(), String::new())));
        } else if line.starts_with("  ") || words.is_empty() {
            let Some((_, description)) = found.last_mut() else { continue };
            description.push_str(words);
            description.push(' ');
        }
    }
    found
}

#[test]
fn every_flag_says_its_default_and_its_unit() {
    const EVERYWHERE: [&str; 4] = ["--quiet", "--verbose", "--help", "--version"];
    const UNITS: [(&str, &str); 27] = [
        ("--width", "pixels"),
        ("--fps", "Pictures a second"),
        ("--quality", "1 to 100"),
        ("--min-quality", "1 to 100"),
        ("--max-bitrate", "bits a second"),
        ("--max-width", "pixels"),
        ("--ecn", "L4S"),
        ("--dscp", "0 to 63"),
        ("--queue", "Pictures"),
        ("--port", "0 to 65535"),
        ("--datagram", "bytes"),
        ("--receive-buffer", "bytes"),
        ("--frames", "pictures"),
        ("--duration", "seconds"),
        ("--timeout", "seconds"),
        ("--latency", "milliseconds"),
        ("--pace", "live"),
        ("--stats", "json"),
        ("--snapshot", "PNG"),
        ("--record", ".mkv"),
        ("--audio-gain", "decibels"),
        ("--audio-track", "counted from 0"),
        ("--volume", "percent"),
        ("--audio-port", "UDP port"),
        ("--stream", "NAME=INPUT"),
        ("--config", "TOML"),
        ("--grid", "COLSxROWS"),
    ];
    let mut described = 0;
    for verb in VERBS {
        for (flag, text) in flags(verb).iter().filter(|(flag, _)| !EVERYWHERE.contains(&flag.as_str())) {
            assert!(text.contains("[default: "), "{verb} {flag}: {text}");
            let unit = UNITS.iter().find(|(name, _)| name == flag).map_or("", |(_, unit)| unit);
            assert!(text.contains(unit), "{verb} {flag} does not say {unit}: {text}");
            described += usize::from(!unit.is_empty());
        }
    }
    assert!(described >= UNITS.len(), "a flag of the table is in no help");
}

#[test]
fn help_is_short_or_long_with_examples_and_keys() {
    for verb in VERBS {
        let (short, long) = (stdout(&run([verb, "-h"])), stdout(&run([verb, "--help"])));
        assert!(short.lines().count() < long.lines().count(), "{verb}");
        assert!(short.contains("--help says more"), "{verb}: {short}");
        assert!(long.contains(&format!("udpstream {verb}")), "{verb}: {long}");
        assert!(long.lines().all(|line| line.chars().count() <= 100), "{verb}: {long}");
    }
    for heading in ["Streams:", "Input:", "Network:", "Timing:", "Limits:", "Figures:", "Examples:"] {
        assert!(stdout(&run(["serve", "--help"])).contains(heading), "{heading}");
    }
    let long = stdout(&run(["watch", "--help"]));
    for (key, what) in udpstream::view::keys::HELP {
        let told = |line: &str| line.trim_start().starts_with(key) && line.ends_with(what);
        assert!(long.lines().any(told), "{key:?}: {long}");
    }
}

/// What was typed, and what the answer must say.
const SLIPS: &[(&str, &str)] = &[
    ("film.mp4", "udpstream serve film.mp4"),
    ("film.mp4 --loop", "udpstream serve film.mp4 --loop"),
    ("test:", "udpstream serve test:"),
    ("192.168.1.20", "udpstream watch 192.168.1.20"),
    ("watch 127.0.0.1 9688", "udpstream watch 127.0.0.1:9688"),
    ("watch robot --port 9700", "udpstream watch robot:9700"),
    ("watch ::1 9688", "udpstream watch '[::1]:9688'"),
    ("serve film.mp4 9700", "udpstream serve film.mp4 --port 9700"),
    ("ls 127.0.0.1 9688", "udpstream ls 127.0.0.1:9688"),
    ("serve", "udpstream serve film.mp4"),
    ("serve --title x", "udpstream serve film.mp4"),
    ("relay", "udpstream relay 192.168.1.20"),
    ("publish", "udpstream publish 192.168.1.20 camera:"),
    ("publish robot", "udpstream publish 192.168.1.20 camera:"),
    ("relay robot 9700", "udpstream relay robot:9700"),
    ("relay a/x,b/y", "HOST,HOST/y"),
    ("relay robot --ecn=ce", "off, ect0 or ect1"),
    ("relay robot --cache-size 5G", "--cache <DIR>"),
    ("relay robot --cache films --cache-size 5X", "500M or 2G"),
    ("relay robot --record-size 5G", "--record-dir <DIR>"),
    ("relay robot --record-dir films --record-size 5X", "500M or 2G"),
    ("cache ls", "udpstream cache ls films"),
    ("cache rm films", "udpstream cache rm films --all"),
    ("serv film.mp4", "'serve'"),
    ("wacth robot", "'watch'"),
    ("doctr", "'doctor'"),
    ("serve test: --qualty 5", "'--quality'"),
    ("watch robot --headles", "'--headless'"),
    ("serve test: --pace fiel", "'file'"),
    ("serve test: --pace fast", "auto, file, live"),
    ("serve test: --stats xml", "text, json"),
    ("serve test: --port abc", "0 to 65535"),
    ("serve test: --port 70000", "0 to 65535"),
    ("serve test: --quality 101", "1 to 100"),
    ("serve test: --max-bitrate 20Mb", "20M or 800k"),
    ("serve test: --min-quality 90", "above quality 80"),
    ("serve test: --no-adapt --max-bitrate 2M", "--no-adapt"),
    ("serve test: --ecn=ce", "off, ect0 or ect1"),
    ("serve test: --dscp af49", "af41"),
    ("watch robot --max-width 9", "16 to 16384"),
    ("serve test: --datagram 9", "1200 to 65488"),
    ("serve test: --duration no", "seconds above 0"),
    ("serve test: --bind here", "IP address"),
    ("serve test:x", "write test:"),
    ("watch tcp://robot:no", "65535"),
    ("udpstream://robot/lobby", "udpstream watch udpstream://robot/lobby"),
    ("watch --code K7QM-01AB-CDEF-GHJK-MNPQ", "write HOST/CODE"),
    ("completions tcsh", "bash, elvish, fish, powershell, zsh"),
    ("man film", "serve, watch, publish, ls, relay, cache, extract, devices, doctor"),
    ("extract", "udpstream extract film.mp4"),
    ("serve test: --audio-gain loud", "-60 to 60"),
    ("serve test: --no-audio --mono", "cannot be used with"),
    ("serve test: --stream desk", "NAME=INPUT"),
    ("serve test: --stream a+b=test:", "names are made of letters, digits"),
    ("serve test: --stream a=test:,qualty=5", "is quality meant?"),
    ("serve test: --stream a=test:,quality=101", "1 to 100"),
    ("serve test: --stream a=test:x", "write test:"),
    ("serve test: --stream test=test:", "two streams are called test"),
    ("serve - --stream a=-", "read once"),
    ("serve test: --name ../x", "slashes"),
    ("serve --stream a=test: --name x", "<INPUT>"),
    ("serve test: --stremn a=test:", "'--stream'"),
    ("serve --config /no/such.toml", "/no/such.toml cannot be read"),
    ("serve test: --check-config", "--config"),
    ("watch robot/a+b", "`udpstream ls HOST`"),
    ("watch robot --grid 0x2", "such as 3x2"),
    ("ls robot/lobby", "leave out /lobby"),
    ("serve test: --password ninechars", "at least 10 characters"),
    ("serve test: --code K7QM-01AB", "write new, CODE, @FILE or -"),
    ("watch robot/lobby --password ninechars", "at least 10 characters"),
    ("watch robot --code K7QM-01AB", "; write CODE, @FILE or -"),
    ("watch robot --code new", "known already"),
    ("watch robot/lobby --code @door.code", "name the server alone"),
    ("watch robot/K7QM-01AB-CDEF-GHJK-MNPQ --password @words", "a code or a password"),
    ("watch robot --password @words", "robot/NAME"),
    ("watch robot spare --code @door.code", "HOST/CODE"),
    ("publish robot test: --allow-publish new", "whoever runs the server"),
    ("serve", "udpstream serve --accept-publishers"),
    ("serve --record-dir films", "add --accept-publishers"),
    ("serve --accept-publishers 54321", "write --accept-publishers=54321"),
    ("serve film.mp4 --accept-publishers 4", "like this: --accept-publishers=4"),
    ("serve --accept-publishers --code new", "--code is an option of a stream"),
];

#[test]
fn slips_get_the_command_that_was_meant() {
    for (line, advice) in SLIPS {
        let output = run(line.split(' '));
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{line}: {text}");
        assert!(text.contains(advice) && text.starts_with("error: "), "{line}: {text}");
        assert!(stdout(&output).is_empty() && !text.contains('\x1b'), "{line}: {text}");
    }
    for line in ["rtsp://me:secret@cam/x", "serve udp://me:secret@cam?key=secret", "watch rtsp://me:secret@cam/x"] {
        let output = run(line.split(' '));
        let text = stderr(&output);
        assert!(output.status.code() == Some(2) && !text.contains("secret") && text.contains("://cam"), "{text}");
    }
    assert_eq!(run([""; 0]).status.code(), Some(2));
}

#[test]
fn completions_are_scripts_that_know_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "-n"), ("elvish", ""), ("powershell", "")] {
        let output = run(["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = stdout(&output);
        assert!(VERBS.iter().all(|verb| script.contains(verb)), "{shell}");
        assert!(script.contains("receive-buffer"), "{shell}");
        let path = folder.path().join(shell);
        std::fs::write(&path, script).unwrap();
        if !check.is_empty() && have(shell) {
            let checked = Command::new(shell).arg(check).arg(&path).output().unwrap();
            assert!(checked.status.success() && checked.stderr.is_empty(), "{shell}: {}", stderr(&checked));
        }
    }
    let ask = "source \"$0\"; COMP_WORDS=(udpstream serve --lo); COMP_CWORD=2; \
               _udpstream udpstream --lo serve; echo \"${COMPREPLY[@]}\"";
    if have("bash") {
        let answer = Command::new("bash").args(["-c", ask]).arg(folder.path().join("bash")).output().unwrap();
        assert_eq!(stdout(&answer), "--loop\n", "{}", stderr(&answer));
    }
}

/// Text as a reader sees it: roff's escaped hyphens are hyphens.
fn page(arguments: &[&str]) -> String {
    let output = run([&["man"], arguments].concat());
    assert_eq!(output.status.code(), Some(0));
    stdout(&output).replace("\\-", "-")
}

#[test]
fn the_manual_page_has_every_flag_of_every_verb() {
    let whole = page(&[]);
    for verb in VERBS {
        let section =
            whole.split(&format!("\n.SH {}\n", verb.to_uppercase())).nth(1).unwrap_or_else(|| panic!("{verb}"));
        let section = section.split("\n.SH ").next().unwrap();
        let alone = page(&[verb]);
        for (flag, _) in flags(verb) {
            assert!(section.contains(&flag), "{verb} {flag}: {section}");
            assert!(alone.contains(&flag), "{verb} {flag}: {alone}");
        }
        assert!(alone.contains(&format!("udpstream-{verb}")), "{alone}");
    }
    if have("man") {
        let mut man = Command::new("man");
        man.args(["-l", "-"]).env("MANWIDTH", "80").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut man = man.spawn().unwrap();
        man.stdin.take().unwrap().write_all(&run(["man"]).stdout).unwrap();
        let shown = man.wait_with_output().unwrap();
        assert!(shown.status.success() && shown.stderr.is_empty(), "{}", stderr(&shown));
        assert!(stdout(&shown).contains("EXAMPLES") || stdout(&shown).contains("Examples"), "{}", stdout(&shown));
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    for arguments in [&["man"][..], &["completions", "bash"], &["doctor", "--headless"]] {
        let mut child = program().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(stderr(&output), "", "{arguments:?}");
        assert!(output.status.code().is_some_and(|code| code < 2), "{arguments:?}");
    }
}
