//! Servers and watchers at addresses of either family, and a server that has more than one.
#![expect(clippy::disallowed_types, reason = "a look whether this machine has IPv6")]

use std::net::UdpSocket;

use anyhow::ensure;

use crate::machine::measured;
use crate::program::{END, Server, all_shown, figures, program, watch};

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
    command
        .args(["serve", "test:320x180@25", "--frames", "50", "--stats", "json", "--port", "0", "--no-announce"])
        .args(arguments);
    Server::spawn(command)
}

/// Pictures and sound arrive whole at this address, which the server may have among others.
fn arrives_whole(host: &str, arguments: &[&str]) {
    measured(|| {
        let server = serve(arguments);
        let shown = figures(&watch(&format!("{host}:{}", server.port), &[]));
        let (code, sent) = server.end(END);
        assert_eq!(code, 0, "{host}: {sent}");
        all_shown(50, &sent, &shown)?;
        let audio = &shown["audio"];
        assert!(audio["chunks"].as_u64() > Some(300), "{host}: {shown}");
        ensure!(audio["lost"] == 0, "{host}: {shown}");
        Ok(())
    });
}

#[test]
fn a_stream_over_ipv6_arrives_whole_at_every_datagram_size() {
    if !has_ipv6() {
        return;
    }
    for size in [&[][..], &["--datagram", "1452"], &["--datagram", "3000"], &["--datagram", "1200"]] {
        arrives_whole("[::1]", &[&["--bind", "::1"], size].concat());
    }
}

#[test]
fn a_server_on_all_addresses_is_watched_at_each_of_them() {
    arrives_whole("127.0.0.1", &[]);
    arrives_whole("127.0.0.2", &[]);
    if has_ipv6() {
        arrives_whole("[::1]", &[]);
    }
}
