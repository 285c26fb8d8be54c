//! The broadcast by code, from end to end: a server that takes publishers, publishers, and those who have the code; who has not; and
//! what can be seen of a code.
#![expect(clippy::disallowed_types, reason = "strangers knock from many addresses")]

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use udpstream::seal::LookupId;
use udpstream::wire::message::{Join, Message, Refuse, RefuseCode, Role};
use udpstream::wire::tlv::{self, Tlvs, kind};
use udpstream::wire::{Hop, Kind};

use crate::machine::measured;
use crate::program::{END, Server, Watcher, figures, handed, program, summary, wait, watch};
use crate::records::{pictures, probe};

/// A server of what others publish.
pub fn hub(arguments: &[&str]) -> Server {
    Server::start(&[&["--accept-publishers"], arguments].concat())
}

/// A running `publish`, killed with the test.
pub struct Publisher {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Publisher {
    pub fn command(server: &str, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(["publish", server, "test:320x240@25", "--stats", "json"]).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Until the server takes it; the name is what it was granted.
    fn start(server: &str, arguments: &[&str]) -> (Self, String) {
        let mut child = Self::command(server, arguments).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut publisher = Self { child, stdout };
        let accepted = publisher.until("accepted");
        (publisher, accepted["name"].as_str().unwrap().to_owned())
    }

    /// The next event of this name.
    fn until(&mut self, event: &str) -> Value {
        let (start, mut line) = (Instant::now(), String::new());
        loop {
            line.clear();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "the publisher ended before it was {event}");
            let value: Value = serde_json::from_str(&line).unwrap();
            if value["event"] == event {
                return value;
            }
            assert!(start.elapsed() < END * 2, "still not {event}: {value}");
        }
    }

    /// Ends it as Ctrl-C does: its summary, and what it wrote for people.
    fn end(mut self) -> (Value, String) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        assert_eq!(wait(&mut self.child, END), 0);
        let (mut figures, mut said) = (String::new(), String::new());
        self.stdout.read_to_string(&mut figures).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (summary(&figures), said)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The code that `--keep` has written.
pub fn code(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap().lines().next().unwrap().to_owned()
}

/// The command line of a process, as everybody can read it.
fn command_line(child: &Child) -> String {
    String::from_utf8_lossy(&std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap()).into_owned()
}

#[test]
fn a_camera_is_published_and_watched_by_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("code");
    let hub = hub(&[]);
    let (publisher, name) = Publisher::start(&hub.address(), &["--name", "cam", "--keep", file.to_str().unwrap()]);
    let code = code(&file);
    assert_eq!((name.as_str(), code.len()), ("cam", 24));
    let address = format!("{}/{code}", hub.address());
    let shown = figures(&watch(&address, &["--frames", "40"]));
    assert_eq!(handed(&shown), 40, "{shown}");
    // In any case and without dashes, and not on the command line.
    let bare = code.replace('-', "");
    let watcher = Watcher::start(&format!("{}/{}", hub.address(), bare.to_lowercase()));
    let seen = command_line(&watcher.child);
    assert!(!seen.to_uppercase().contains(&bare[4..12]) && seen.contains('*'), "{seen}");
    drop(watcher);
    let listed = program().args(["ls", &hub.address()]).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("lists no streams"));
    let other = if code.ends_with('Z') { 'Y' } else { 'Z' };
    let other = format!("{}{other}", &address[..address.len() - 1]);
    for wrong in [format!("{}/cam", hub.address()), hub.address(), other] {
        let refused = watch(&wrong, &["--timeout", "2"]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(3) && said.contains(" refused. "), "{wrong}: {said}");
    }
    let (last, said) = publisher.end();
    assert!(last["pictures_sent"].as_u64() >= Some(40), "{last}");
    assert!(said.contains(&format!("{}-…", &code[..4])) && !said.contains(&code[5..]), "it is kept: {said}");
    hub.interrupt();
    let (exit, last) = hub.end(END);
    assert_eq!(exit, 0, "{last}");
    assert!(!last.to_string().contains(&code[5..]), "{last}");
}

/// One that was drawn just now is told, wherever it may be read: nobody else knows it.
#[test]
fn a_code_that_was_drawn_is_told_once() {
    let hub = hub(&["--allow-publish", "new"]);
    let film = Server::start(&["test:64x48@25"]);
    let said = |mut server: Server| {
        server.interrupt();
        assert_eq!(wait(&mut server.child, END), 0);
        let mut said = String::new();
        server.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    };
    let told = said(hub);
    let code = told.split_once("need the code ").expect("told").1.split(':').next().unwrap();
    assert!(code.len() == 24 && code.parse::<udpstream::seal::Code>().is_ok(), "{told}");
    assert!(!said(film).contains("code"));
    let open = self::hub(&[]);
    let (publisher, _) = Publisher::start(&open.address(), &[]);
    let (_, told) = publisher.end();
    assert_eq!(told.matches("udpstream watch 127.0.0.1").count(), 1, "{told}");
}

#[test]
fn publisher_and_server_are_killed_in_turn_and_whoever_watches_sees_more() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("code");
    let keep = ["--keep", file.to_str().unwrap()];
    let mut hub = hub(&[]);
    let (address, port) = (hub.address(), hub.port.to_string());
    let (mut publisher, _) = Publisher::start(&address, &keep);
    let mut watcher = Watcher::start(&format!("{address}/{}", code(&file)));
    // Each second figures tell of the one before.
    let mut sees = |what: &str, wanted: std::ops::Range<f64>| {
        let (start, mut line) = (Instant::now(), String::new());
        loop {
            line.clear();
            assert!(watcher.stdout.read_line(&mut line).unwrap() > 0, "the watcher ended: {what}");
            let value: Value = serde_json::from_str(&line).unwrap();
            if value["fps"].as_f64().is_some_and(|fps| wanted.contains(&fps)) {
                return;
            }
            assert!(start.elapsed() < 3 * END, "{what}: {value}");
        }
    };
    let (all, nothing) = (15.0..100.0, 0.0..1.0);
    sees("at first", all.clone());
    drop(publisher);
    sees("the publisher is away", nothing.clone());
    (publisher, _) = Publisher::start(&address, &keep);
    sees("the publisher is back", all.clone());
    drop(hub);
    sees("the server is away", nothing);
    hub = Server::start(&["--accept-publishers", "--port", &port, "--audio-port", "0"]);
    publisher.until("accepted");
    sees("the server is back", all);
    drop((publisher, hub));
}

#[test]
fn a_film_is_guarded_by_a_code_in_a_file_or_by_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let [file, words, wrong] = ["code", "words", "wrong"].map(|name| folder.path().join(name));
    std::fs::write(&words, "correct horse battery\n").unwrap();
    std::fs::write(&wrong, "correct horse batterz\n").unwrap();
    let at = |path: &Path| format!("@{}", path.display());
    let server = Server::start(&[
        "--stream",
        &format!("hidden=test:64x48@25,code={}", at(&file)),
        "--stream",
        &format!("words=test:64x48@25,password={}", at(&words)),
    ]);
    let address = server.address();
    let code = code(&file);
    let watches = |target: &str, arguments: &[&str]| {
        watch(target, &[arguments, &["--frames", "3", "--timeout", "3"]].concat()).status.code()
    };
    assert_eq!(watches(&format!("{address}/{code}"), &[]), Some(0));
    assert_eq!(watches(&address, &["--code", &at(&file)]), Some(0));
    assert_eq!(watches(&format!("{address}/words"), &["--password", &at(&words)]), Some(0));
    assert_eq!(watches(&format!("{address}/words"), &["--password", &at(&wrong)]), Some(3));
    assert_eq!(watches(&format!("{address}/words"), &[]), Some(3));
    assert_eq!(watches(&format!("{address}/hidden"), &[]), Some(3));
    let listed = program().args(["ls", &address, "--json"]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("\"guarded\":true") && !listed.contains("hidden"), "{listed}");
}

#[test]
fn what_is_published_is_recorded_within_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = folder.path().join("recordings");
    let mut hub = hub(&["--record-dir", recordings.to_str().unwrap(), "--record-size", "1G"]);
    let (publisher, _) = Publisher::start(&hub.address(), &["--name", "hall", "--public"]);
    let (start, mut line) = (Instant::now(), String::new());
    while !serde_json::from_str::<Value>(&line).is_ok_and(|line| line["recordings"]["pictures"].as_u64() >= Some(50)) {
        line.clear();
        assert!(
            hub.stdout.read_line(&mut line).unwrap() > 0 && start.elapsed() < END * 2,
            "nothing is recorded: {line}"
        );
    }
    drop(publisher.end());
    hub.interrupt();
    let (exit, last) = hub.end(END);
    assert_eq!(exit, 0, "{last}");
    let mut files: Vec<_> = recordings.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "mkv"));
    assert_eq!(files.len(), 1, "{files:?}");
    let found = probe(&files[0]);
    assert!(pictures(&found) >= 25, "nobody watched, and it is there: {found}");
    assert_eq!(last["recordings"]["pictures"], pictures(&found), "{last}");
}

#[test]
fn slips_of_publishers_get_a_sentence_and_the_right_exit_code() {
    let hub = hub(&["--allow-publish", "K7QM-01AB-CDEF-GHJK-MNPQ"]);
    let (film, open) = (Server::start(&["test:64x48"]), self::hub(&[]));
    for (server, arguments, exit, part) in [
        (hub.address(), &[][..], 3, "needs the code of whoever runs the server"),
        (hub.address(), &["--allow-publish", "K7QM-01AB-CDEF-GHJK-MNPR"], 3, "or a wrong one"),
        (film.address(), &[], 3, "--accept-publishers"),
        (open.address(), &["--allow-publish", "K7QM-01AB-CDEF-GHJK-MNPR"], 3, "leave out --allow-publish"),
        ("127.0.0.1:1".to_owned(), &["--timeout", "1"], 3, "did not answer in time"),
        (hub.address(), &["--password", "correct horse"], 2, "leave --password out"),
        (hub.address(), &["--public", "--code", "new"], 2, "cannot be used with"),
    ] {
        let output = Publisher::command(&server, arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(exit), "{server} {arguments:?}: {said}");
        assert!(said.contains(part), "{server} {arguments:?}: {said}");
    }
    let seen = command_line(&hub.child);
    assert!(!seen.contains("01AB"), "{seen}");
    let (publisher, _) = Publisher::start(&hub.address(), &["--allow-publish", "K7QM-01AB-CDEF-GHJK-MNPQ"]);
    drop(publisher.end());
}

/// It asks on until its user has enough, and then nothing was published.
#[test]
fn a_publisher_that_found_no_place_ends_with_an_error() {
    let hub = Server::start(&["--accept-publishers=1"]);
    let (_first, _) = Publisher::start(&hub.address(), &[]);
    let mut child = Publisher::command(&hub.address(), &[]).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("does not take the stream now: the server takes 1 publisher") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended unasked");
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(wait(&mut child, END), 3);
}

/// How long a wrong guess at this code takes to be answered, and the answer but for its stamp.
fn guess(server: u16, n: u32, id: LookupId) -> anyhow::Result<(Duration, Vec<u8>)> {
    // Each from a network of its own, as far as there are any.
    let [_, _, a, b] = n.to_be_bytes();
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 1 + a % 200, b, 1), 0))?;
    socket.set_read_timeout(Some(END))?;
    socket.connect((Ipv4Addr::LOCALHOST, server))?;
    let mut buffer = [0; 2_048];
    let mut say = |message: &Message<'_>| -> anyhow::Result<(Duration, Vec<u8>)> {
        let mut bytes = Hop::unsequenced(message.kind(), 0, 0).to_bytes().to_vec();
        message.emit(&mut bytes);
        let asked = Instant::now();
        socket.send(&bytes)?;
        let length = socket.recv(&mut buffer)?;
        Ok((asked.elapsed(), buffer[..length].to_vec()))
    };
    let (_, answer) = say(&Message::Hello { highest: 1, lowest: 1, nonce: 7 })?;
    let Message::Challenge { nonce, cookie, .. } = Message::parse(Kind::CHALLENGE, &answer[16..])? else {
        anyhow::bail!("no challenge");
    };
    let mut tlvs = Vec::new();
    tlv::put(&mut tlvs, kind::LOOKUP, &id.get().to_be_bytes());
    tlv::put(&mut tlvs, kind::PROOF, &[n as u8; 32]);
    let (role, fec, max_datagram, tlvs) = (Role::Watch, 0, 0, Tlvs::trusted(&tlvs));
    let (took, answer) = say(&Message::Join(Join { nonce, cookie, role, fec, max_datagram, tlvs }))?;
    let Message::Refuse(Refuse { code, .. }) = Message::parse(Kind::REFUSE, &answer[16..])? else {
        anyhow::bail!("it was not refused");
    };
    ensure!(code == RefuseCode::NO_SUCH_STREAM, "{code:?}");
    Ok((took, [&answer[..12], &answer[16..]].concat()))
}

/// Of pairs of guesses it is counted in how many each took longer, as a machine that does other things beside slows both alike,
/// however much: a sign test, W. J. Dixon and A. M. Mood, "The statistical sign test", J. Am. Stat. Assoc. 41 (1946).
#[test]
fn a_wrong_code_takes_as_long_as_one_that_leads_nowhere() {
    const PAIRS: u32 = 2_000;
    /// Less than it takes to check a proof, and than any network lets see.
    const ALIKE: Duration = Duration::from_nanos(250);
    // Where half of the pairs differ so much, it is by chance once in three million times that five standard deviations more do.
    let most = f64::from(PAIRS) / 2.0 + 5.0 * f64::from(PAIRS).sqrt() / 2.0;
    let there: udpstream::seal::Code = "K7QM-01AB-CDEF-GHJK-MNPQ".parse().unwrap();
    let server = Server::start(&["test:64x48", "--code", &there.to_string()]);
    let nowhere = LookupId::new(there.lookup().get() ^ 1).unwrap();
    let mut round = 0;
    measured(|| {
        let (mut longer, mut answers) = ([0; 2], Vec::new());
        for pair in round * PAIRS..(round + 1) * PAIRS {
            // Which one is first changes without a period, so that none of the machine's is taken for a difference.
            let first = pair.wrapping_mul(0x9E37_79B9) >> 31;
            let mut took = [Duration::ZERO; 2];
            for n in [first, 1 - first] {
                let (time, answer) = guess(server.port, 2 * pair + n, [nowhere, there.lookup()][n as usize])?;
                took[n as usize] = time;
                answers.push(answer);
            }
            for n in [0, 1] {
                longer[n] += u32::from(took[n] > took[1 - n] + ALIKE);
            }
        }
        round += 1;
        assert!(answers.iter().all(|answer| *answer == answers[0]), "the same bytes");
        let [nowhere, there] = longer;
        println!("of {PAIRS} pairs the code that leads nowhere takes longer in {nowhere}, the other in {there}");
        ensure!(f64::from(nowhere.max(there)) <= most, "{nowhere} and {there} of {PAIRS} pairs");
        Ok(())
    });
}
