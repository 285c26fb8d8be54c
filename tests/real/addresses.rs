//! Servers and watchers at addresses of either family, and a server that has more than one.
#![expect(clippy::disallowed_types, reason = "a look whether this machine has IPv6")]

use std::net::UdpSocket;

use serde_json::Value;

use crate::program::{END, Server, figures, made, program, watch};

/// Some containers have no IPv6 at all, not even on loopback.
fn has_ipv6() -> bool {
    let there = UdpSocket::bind("[::1]:0").is_ok();
    if !there {
        println!("this machine has no IPv6: skipped");
    }
    there
}

fn serve(arguments: &[&str]) -> Server {
    let mut command = program();
    command.args(["serve", "test:320x180@25", "--frames", "50", "--stats", "json", "--port", "0"]).args(arguments);
    Server::spawn(command)
}

/// Pictures and sound arrive whole at this address, which the server has among others.
fn arrives_whole(server: Server, host: &str) {
    let shown = figures(&watch(&format!("{host}:{}", server.port), &[]));
    let (code, sent) = server.end(END);
    assert_eq!((code, &shown["pictures_shown"]), (0, &Value::from(made(50, &sent))), "{host}: {shown}");
    let bad = ["pictures_lost", "pictures_damaged", "pictures_late"].map(|name| shown[name].as_u64());
    assert_eq!(bad, [Some(0); 3], "{host}: {shown}");
    assert!(shown["audio"]["chunks"].as_u64() > Some(300) && shown["audio"]["lost"] == 0, "{host}: {shown}");
}

#[test]
fn a_stream_over_ipv6_arrives_whole_at_every_datagram_size() {
    if !has_ipv6() {
        return;
    }
    for size in [&[][..], &["--datagram", "1452"], &["--datagram", "3000"], &["--datagram", "1200"]] {
        arrives_whole(serve(&[&["--bind", "::1"], size].concat()), "[::1]");
    }
}

#[test]
fn a_server_on_all_addresses_is_watched_at_each_of_them() {
    let mut hosts = vec!["127.0.0.1", "127.0.0.2"];
    if has_ipv6() {
        hosts.push("[::1]");
    }
    for host in hosts {
        arrives_whole(serve(&[]), host);
    }
}
