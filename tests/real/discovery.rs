//! Servers that announce themselves, found in this machine and in networks of these tests alone.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use mdns_sd::{ServiceDaemon, ServiceEvent};
use rustix::process::Signal;
use serde_json::Value;

use crate::program::{END, Server, figures, program, summary, wait};
use crate::screen::{self, Viewer, until, until_done};

/// Two networks of their own with a link between them: servers are in one, those who look in the other.
struct Networks {
    names: [String; 2],
}

const SERVERS: usize = 0;
const LOOKERS: usize = 1;

fn ip(words: &str) -> bool {
    Command::new("ip").args(words.split(' ')).output().is_ok_and(|output| output.status.success())
}

impl Networks {
    /// `None` where this may not be done.
    fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let names = ["s", "l"].map(|side| format!("udpstream{}{side}{number}", std::process::id()));
        let networks = Self { names };
        let [near, far] = &networks.names;
        let made = ip(&format!("netns add {near}"))
            && ip(&format!("netns add {far}"))
            && ip(&format!("-n {near} link add link0 type veth peer name link0 netns {far}"))
            && networks.names.iter().zip(1..).all(|(name, host)| {
                ip(&format!("-n {name} link set lo up"))
                    && ip(&format!("-n {name} addr add 10.213.78.{host}/24 dev link0"))
                    && ip(&format!("-n {name} link set link0 up"))
            });
        if !made {
            println!("skipped: networks of its own may not be made here");
        }
        made.then_some(networks)
    }

    fn run(&self, side: usize, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        let udpstream = program();
        command.args(["netns", "exec", &self.names[side], udpstream.get_program().to_str().unwrap()]).args(arguments);
        command.stdin(Stdio::null());
        command
    }

    fn serve(&self, arguments: &[&str]) -> Server {
        let fixed = ["serve", "test:320x180@25", "--stats", "json", "--port", "0", "--audio-port", "0"];
        Server::spawn(self.run(SERVERS, &[&fixed, arguments].concat()))
    }

    /// What `ls` finds there, by server and stream.
    fn listed(&self) -> (i32, Vec<Value>) {
        entries(&self.run(LOOKERS, &["ls", "--json"]).output().unwrap())
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&format!("netns del {name}"));
        }
    }
}

/// The exit code, and all streams that were found.
fn entries(output: &Output) -> (i32, Vec<Value>) {
    let text = String::from_utf8_lossy(&output.stdout);
    let values = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    (output.status.code().unwrap_or(-1), values.filter(|value| value["event"] == "stream").collect())
}

fn of<'v>(found: &'v [Value], server: &str) -> Vec<&'v Value> {
    found.iter().filter(|stream| stream["server"] == server).collect()
}

/// A name that no other run of these tests has.
fn named(name: &str) -> String {
    format!("{name} {}", std::process::id())
}

#[test]
fn servers_in_another_network_are_found_by_names_of_any_script() {
    let Some(networks) = Networks::new() else { return };
    let names = ["庭の カメラ.v2", "Ωραία αυλή", "حديقة", "हॉल 🎥", "robot"];
    let servers: Vec<Server> = names.iter().map(|name| networks.serve(&["--announce-name", name])).collect();
    until("all servers to be found", || names.iter().all(|name| of(&networks.listed().1, name).len() == 1));
    let (code, found) = networks.listed();
    assert_eq!((code, found.len()), (0, names.len()), "{found:?}");
    for (name, server) in names.iter().zip(&servers) {
        let stream = of(&found, name)[0];
        assert_eq!(stream["watch"], format!("10.213.78.1:{}/test", server.port), "{stream}");
        assert_eq!((&stream["title"], &stream["guarded"]), (&"test card".into(), &false.into()));
        let addresses = stream["addresses"].as_array().unwrap();
        assert!(addresses.iter().all(|address| !address.as_str().unwrap().starts_with("127.")), "{stream}");
    }
    // The same name once more gets a number, one with a dot too.
    let again: Vec<Server> =
        [names[0], "robot"].iter().map(|name| networks.serve(&["--announce-name", name])).collect();
    let numbered = ["庭の カメラ.v2 (2)", "robot (2)"];
    until("two with a number", || numbered.iter().all(|name| of(&networks.listed().1, name).len() == 1));
    assert_eq!(networks.listed().1.len(), names.len() + 2);

    // Two that come at once do not have the same name either.
    let both: Vec<Server> = (0..2).map(|_| networks.serve(&["--announce-name", "twin.v1"])).collect();
    let twins = ["twin.v1", "twin.v1 (2)"];
    until("both twins", || twins.iter().all(|name| of(&networks.listed().1, name).len() == 1));

    // Who leaves says goodbye, however it was told to.
    for (server, signal) in
        servers.into_iter().chain(again).chain(both).zip([Signal::TERM, Signal::INT].into_iter().cycle())
    {
        server.signal(signal);
        assert_eq!(server.end(END).0, 0);
    }
    until("nobody", || networks.listed() == (3, Vec::new()));
}

#[test]
fn the_only_stream_plays_at_once_and_of_several_one_is_chosen_by_number() {
    let Some(networks) = Networks::new() else { return };
    let watch = ["watch", "--headless", "--frames", "5", "--no-audio", "--stats", "json"];
    let nobody = networks.run(LOOKERS, &watch).output().unwrap();
    assert_eq!(nobody.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("no stream is announced on this network"));

    let first = networks.serve(&["--name", "desk"]);
    until("one", || networks.listed().1.len() == 1);
    let alone = figures(&networks.run(LOOKERS, &watch).output().unwrap());
    assert!(alone["pictures_shown"].as_u64() > Some(0), "{alone}");

    let relay = networks.run(
        SERVERS,
        &[
            "relay",
            &first.address(),
            "--stats",
            "json",
            "--port",
            "0",
            "--audio-port",
            "0",
            "--announce-name",
            "Relais",
        ],
    );
    let _relay = Server::spawn(relay);
    until("its relay", || of(&networks.listed().1, "Relais").len() == 1);
    let mut choosing = networks.run(LOOKERS, &watch);
    let mut choosing = choosing.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    choosing.stdin.take().unwrap().write_all(b"none\n0\n2\n").unwrap();
    let chosen = choosing.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&chosen.stderr);
    assert_eq!(said.matches("Type a number from 1 to 2").count(), 2, "{said}");
    assert!(figures(&chosen)["pictures_shown"].as_u64() > Some(0));
    let silent = networks.run(LOOKERS, &watch).output().unwrap();
    assert_eq!(silent.status.code(), Some(2), "nothing is typed");
}

#[test]
fn a_window_lets_one_choose_with_arrows_and_enter() {
    if !screen::is_there() {
        return;
    }
    let Some(networks) = Networks::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let mut command = networks.run(LOOKERS, &["watch", "--no-audio", "--stats", "json"]);
        command.current_dir(folder.path());
        Viewer::of(command)
    };
    let mut viewer = start();
    until("a look", || viewer.title().contains("looking for streams"));
    let card = viewer.steady(|shot| shot.pixels().any(|pixel| pixel.0 != [0; 3]));
    viewer.key("Escape");
    assert_eq!(wait(&mut viewer.child, END), 0);

    let _server = networks.serve(&["--name", "a", "--stream", "b=test:160x90@25", "--stream", "c=test:160x96@25"]);
    let mut viewer = start();
    until("a list", || viewer.title().contains("3 streams"));
    let list = viewer.steady(|shot| *shot != card);
    until_done("the next line", || viewer.key("Down"), || viewer.shot() != list);
    viewer.key("Return");
    let playing = viewer.event("playing");
    assert_eq!((&playing["width"], &playing["height"]), (&160.into(), &90.into()), "{playing}");
    let (code, shown, said) = viewer.quit();
    assert_eq!(code, 0, "{shown} {said}");

    // The only one that turns up plays by itself.
    drop(_server);
    let mut viewer = start();
    let _server = networks.serve(&["--name", "d"]);
    viewer.event("playing");
    assert_eq!(viewer.quit().0, 0);
}

/// Lines of JSON as they come.
fn events(stdout: impl std::io::Read + Send + 'static) -> Receiver<Value> {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        lines.map(|line| serde_json::from_str(&line).unwrap()).try_for_each(|event| tell.send(event)).ok();
    });
    told
}

/// A watcher of the only stream sees it again after its server has moved.
fn follows(networks: &Networks, moves: impl FnOnce()) {
    until("one", || networks.listed().1.len() == 1);
    let mut command = networks.run(LOOKERS, &["watch", "--headless", "--no-audio", "--stats", "json"]);
    let mut watcher = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let events = events(watcher.stdout.take().unwrap());
    let next = |name: &str| {
        let wanted = |event: &Value| event["event"] == name;
        let mut found = None;
        until(name, || {
            found = events.try_iter().find(wanted);
            found.is_some()
        });
    };
    next("playing");
    next("stats");
    moves();
    next("playing");
    rustix::process::kill_process(rustix::process::Pid::from_child(&watcher), Signal::INT).unwrap();
    assert_eq!(wait(&mut watcher, END), 0);
}

#[test]
fn a_server_is_followed_to_another_address() {
    let Some(networks) = Networks::new() else { return };
    // Its address of the link alone would stay.
    let names = networks.names.clone();
    let none = "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6";
    let off = |name: &String| Command::new("ip").args(["netns", "exec", name, "sh", "-c", none]).output();
    if !names.iter().all(|name| off(name).is_ok_and(|output| output.status.success())) {
        println!("skipped: IPv6 may not be switched off here");
        return;
    }
    let _server = networks.serve(&["--announce-name", "wanderer"]);
    follows(&networks, || {
        assert!(ip(&format!("-n {} addr del 10.213.78.1/24 dev link0", names[SERVERS])));
        assert!(ip(&format!("-n {} addr add 10.213.78.9/24 dev link0", names[SERVERS])));
    });
}

#[test]
fn a_server_is_followed_to_another_port() {
    let Some(networks) = Networks::new() else { return };
    let mut server = networks.serve(&["--announce-name", "wanderer"]);
    let mut second = None;
    follows(&networks, || {
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        second = Some(networks.serve(&["--announce-name", "wanderer"]));
    });
}

/// All that is announced here within a while, until `wanted` has been: instance and TXT record, as text.
fn announced(wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let daemon = ServiceDaemon::new().unwrap();
    let events = daemon.browse("_udpstream._udp.local.").unwrap();
    let (mut all, begun) = (Vec::<String>::new(), Instant::now());
    while begun.elapsed() < END && !all.iter().any(|said| wanted(said)) {
        if let Ok(ServiceEvent::ServiceResolved(service)) = events.recv_timeout(Duration::from_millis(100)) {
            let record: Vec<String> = service.get_properties().iter().map(ToString::to_string).collect();
            all.push(format!("{} :{} {}", service.get_fullname(), service.get_port(), record.join(" ")));
        }
    }
    daemon.shutdown().unwrap();
    all
}

/// A server of this machine alone that announces itself as it likes.
fn serve(arguments: &[&str]) -> Server {
    let mut command = program();
    command
        .args(["serve", "--stats", "json", "--bind", "127.0.0.1", "--port", "0", "--audio-port", "0"])
        .args(arguments);
    Server::spawn(command)
}

#[test]
fn what_is_guarded_is_not_named_to_the_network() {
    let name = named("offen");
    let coded = serve(&["test:64x48", "--name", "hidden", "--title", "Hidden", "--code", "new"]);
    let guarded = serve(&["test:64x48", "--name", "secret", "--title", "Secret", "--password", "open sesame"]);
    let silent = serve(&["test:64x48", "--title", "Silent", "--no-announce"]);
    let title = ["--title", "Die Halle 庭", "--announce-name", &name];
    let more = [
        "--stream",
        "vault=test:64x48,title=Vault,password=open sesame",
        "--stream",
        "crypt=test:64x48,title=Crypt,code=new",
    ];
    let open = serve(&[&["test:64x48@25"][..], &title, &more].concat());
    let ports = [&guarded, &open].map(|server| format!(":{} ", server.port));
    let mut all = Vec::new();
    until("both that are announced", || {
        all = announced(|said| said.contains(&ports[1]));
        ports.iter().all(|port| all.iter().any(|said| said.contains(port)))
    });
    let own =
        |server: &Server| all.iter().filter(|said| said.contains(&format!(":{} ", server.port))).cloned().collect();
    let said: Vec<String> = own(&open);
    assert!(said.iter().all(|said| said.contains("title=Die Halle 庭") && said.contains("guarded=1")), "{said:?}");
    assert!(said[0].contains("size=64x48") && said[0].contains("live=0"), "{said:?}");
    let said: Vec<String> = own(&guarded);
    assert!(said.iter().all(|said| said.contains("guarded=1") && !said.contains("title=")), "{said:?}");
    for server in [&coded, &silent] {
        assert_eq!(own(server), Vec::<String>::new(), "it is not announced");
    }
    let words = ["vault", "crypt", "secret", "hidden", "sesame", "code"];
    let found = |said: &&String| words.iter().any(|word| said.to_lowercase().contains(word));
    let ours = all.iter().filter(|said| ports.iter().any(|port| said.contains(port)));
    assert_eq!(ours.filter(found).collect::<Vec<_>>(), Vec::<&String>::new());
    // Whoever asks the server is told what has a password, and where; of what has a code nothing.
    let (_, found) = entries(&program().args(["ls", "--json"]).output().unwrap());
    let mut names: Vec<&str> = of(&found, &name).iter().map(|stream| stream["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["test", "vault"], "{found:?}");
    assert!(of(&found, &name).iter().all(|stream| stream["watch"].as_str().unwrap().starts_with("127.0.0.1:")));
}

#[test]
fn what_is_published_is_found_at_its_server() {
    let name = named("Sender");
    let server = serve(&["--accept-publishers", "--announce-name", &name]);
    let publish = |arguments: &[&str]| {
        let mut command = program();
        command.args(["publish", &server.address(), "test:64x48@25", "--stats", "json"]).args(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut publishers = [publish(&["--public", "--name", "for-all"]), publish(&["--name", "for-few"])];
    let list = || entries(&program().args(["ls", "--json"]).output().unwrap()).1;
    until("the public one", || of(&list(), &name).iter().any(|stream| stream["name"] == "for-all"));
    assert!(of(&list(), &name).iter().all(|stream| stream["name"] != "for-few"));
    publishers.iter_mut().for_each(|publisher| {
        publisher.kill().ok();
        publisher.wait().ok();
    });
}

#[test]
fn a_server_without_udp_is_asked_and_watched_through_tcp() {
    let name = named("Faden");
    let server = serve(&["test:64x48@25", "--no-udp", "--announce-name", &name]);
    let mut found = Vec::new();
    until("its stream", || {
        found = entries(&program().args(["ls", "--json"]).output().unwrap()).1;
        !of(&found, &name).is_empty()
    });
    assert_eq!(of(&found, &name)[0]["watch"], format!("tcp://{}/test", server.address()));

    let Some(networks) = Networks::new() else { return };
    let _server = networks.serve(&["--no-udp"]);
    until("one", || networks.listed().1.len() == 1);
    let watch = ["watch", "--headless", "--frames", "5", "--stats", "json"];
    let shown = figures(&networks.run(LOOKERS, &watch).output().unwrap());
    assert_eq!((shown["pictures_shown"].as_u64() > Some(0), &shown["transport"]), (true, &"tcp".into()), "{shown}");
}

#[test]
fn a_list_of_the_network_says_where_and_how() {
    let name = named("Liste");
    let server = serve(&["test:64x48@25", "--name", "庭", "--title", "Der Hof", "--announce-name", &name]);
    let mut text = String::new();
    until("its line", || {
        text = String::from_utf8_lossy(&program().arg("ls").output().unwrap().stdout).into_owned();
        text.contains(&name)
    });
    let line = text.lines().find(|line| line.contains(&name)).unwrap();
    let place = format!("{}/庭", server.address());
    assert!(line.starts_with("庭") && line.contains("Der Hof") && line.contains(&place), "{text}");
    assert!(text.lines().next().unwrap().starts_with("NAME") && text.contains("udpstream watch"), "{text}");
    server.interrupt();
    let (code, end) = server.end(END);
    assert_eq!((code, &summary(&end.to_string())["event"]), (0, &"summary".into()));
}
