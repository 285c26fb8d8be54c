//! Names whose SRV records say where their servers are, asked of name servers of this test.
#![expect(clippy::disallowed_types, reason = "the name servers of a test need sockets of their own")]

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use simple_dns::rdata::{RData, SRV};
use simple_dns::{CLASS, Name, Packet, RCODE, ResourceRecord};
use udpstream::app::address::{Address, Places};

use crate::machine::measured;
use crate::program::{END, Server, figures, program};

/// Which way, port and host of each record.
type Records = &'static [(&'static str, u16, &'static str)];

/// A name server with these records, or one that says nothing at all. It lives as long as the test.
fn name_server(records: Option<Records>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let asked = Packet::parse(&buffer[..length]).unwrap();
            let question = asked.questions[0].clone();
            let Some(records) = records else { continue };
            let mut answer = Packet::new_reply(asked.id());
            let name = question.qname.to_string();
            for (_, port, host) in
                records.iter().filter(|(way, ..)| [NAME, OWN].iter().any(|of| name == format!("_udpstream.{way}.{of}")))
            {
                let target = Name::new_unchecked(host);
                let data = RData::SRV(SRV { priority: 1, weight: 1, port: *port, target });
                answer.answers.push(ResourceRecord::new(question.qname.clone(), CLASS::IN, 60, data));
            }
            if answer.answers.is_empty() {
                *answer.rcode_mut() = RCODE::NameError;
            }
            answer.questions.push(question.clone());
            socket.send_to(&answer.build_bytes_vec().unwrap(), from).unwrap();
        }
    });
    address
}

/// The system knows no address of it (RFC 6761).
const NAME: &str = "streams.invalid";
/// A name that the system knows, and that may have records: one of this machine's own with a dot.
const OWN: &str = "127.0x1";

fn places(text: &str, servers: &[SocketAddr]) -> Places {
    let address: Address = text.parse().unwrap();
    address.places(servers).unwrap_or_default()
}

fn at(port: u16) -> Vec<SocketAddr> {
    vec![([127, 0, 0, 1], port).into()]
}

#[test]
fn records_say_where_a_name_is_served() {
    let records = &[("_udp", 5_001, "127.0.0.1"), ("_tcp", 5_002, "127.0.0.1")];
    let dns = name_server(Some(records));
    let found = places(NAME, &[dns]);
    assert_eq!((found.udp, found.tcp), (at(5_001), at(5_002)));
    assert_eq!(places(&format!("udpstream://{NAME}"), &[dns]).udp, at(5_001), "also of a link");
    assert_eq!(places(&format!("{NAME}:7"), &[dns]), Places::default(), "a port that was typed is meant");
    let alone: [(Records, u16); 2] =
        [(&[("_udp", 5_003, "127.0.0.1")], 5_003), (&[("_tcp", 5_004, "127.0.0.1")], 5_004)];
    for (records, port) in alone {
        // Also where the name has an address of its own, where nobody needs to listen.
        for name in [NAME, OWN] {
            let found = places(name, &[name_server(Some(records))]);
            assert_eq!((found.udp, found.tcp), (at(port), at(port)), "{records:?} is for both ways of {name}");
        }
    }
    let second = places(NAME, &[name_server(None), dns]);
    assert_eq!(second.udp, at(5_001), "the first name server says nothing");
}

#[test]
fn a_name_that_has_addresses_does_not_wait_for_records() {
    let here = places(OWN, &[]).udp;
    assert_eq!(here, at(9_688), "this system reads short addresses");
    let silent = name_server(None);
    measured(|| {
        let begun = Instant::now();
        assert_eq!(places(OWN, &[silent]).udp, here);
        let took = begun.elapsed();
        anyhow::ensure!(took < Duration::from_millis(600), "it took {took:?}");
        Ok(())
    });
    assert_eq!(places(OWN, &[name_server(Some(&[]))]).udp, here, "there is none");
}

#[test]
fn the_desktop_entry_opens_a_link() {
    let entry = include_str!("../../assets/udpstream.desktop");
    let value = |key: &str| entry.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap();
    assert!(value("MimeType").split(';').any(|kind| kind == "x-scheme-handler/udpstream"));
    let server = Server::start(&["test:320x180@25", "--name", "庭"]);
    let link = format!("udpstream://{}/%E5%BA%AD", server.address());
    let words: Vec<&str> = value("Exec").split(' ').map(|word| if word == "%u" { &link } else { word }).collect();
    assert_eq!((words[0], words.contains(&&*link)), ("udpstream", true), "{words:?}");
    let end = ["--headless", "--frames", "5", "--stats", "json"];
    let shown = figures(&program().args(&words[1..]).args(end).output().unwrap());
    assert!(shown["pictures_shown"].as_u64() > Some(0), "{shown}");
    server.interrupt();
    server.end(END);
}
