//! Ports and addresses that cannot be had, and those of one link.

use std::fs;

use super::nofilms::as_nobody;
use super::program::{serve, udpstream, watch};

#[test]
fn a_port_that_cannot_be_had_is_named() {
    let first = serve("test:64x48@25", &[]).start();
    let port = first.event("listening")["port"].to_string();
    let second = ["serve", "test:", "--bind", "127.0.0.1", "--port", &port];
    udpstream(second).end().one_sentence(1, &[&port, "is in use", "--port"]);
    let reserved = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let reserved = reserved.ok().and_then(|port| port.trim().parse::<u16>().ok()).is_some_and(|port| port > 81);
    // Root may listen everywhere, and some systems let everybody.
    if let Some(run) = as_nobody(&["serve", "test:", "--bind", "127.0.0.1", "--port", "81"]).filter(|_| reserved) {
        run.end().one_sentence(1, &["81", "reserved", "1023"]);
    }
}

#[test]
fn an_address_that_is_not_ours_is_named() {
    for address in ["192.0.2.1", "2001:db8::1", "fe80::1:2:3%lo"] {
        let ended = udpstream(["serve", "test:", "--port", "0", "--bind", address]).end();
        // A machine without IPv6 says so in its own words.
        ended.one_sentence(1, &["--bind", address.split('%').next().unwrap()]);
    }
    for (address, words) in
        [("robot", "is not an IP address"), ("fe80::1", "%"), ("fe80::1%nosuch", "lo"), ("192.0.2.1:80", "IP address")]
    {
        udpstream(["serve", "test:", "--port", "0", "--bind", address]).end().says(2, &[words]);
    }
}

#[test]
fn a_link_local_address_needs_an_interface() {
    let watch = |address: &str| udpstream(["watch", address, "--headless", "--timeout", "1"]).end();
    watch("[fe80::1]:9688").one_sentence(1, &["fe80::1%"]);
    watch("[fe80::1%nosuch]:9688").one_sentence(1, &["nosuch", "lo"]);
    watch("[fe80::1%lo]:9688").one_sentence(3, &["nothing was heard", "%lo"]);
    watch("no-such-host.invalid").one_sentence(3, &["no address is known"]);
}

/// A link-local address of this machine with its interface, if there is one.
fn link_local() -> Option<String> {
    let table = fs::read_to_string("/proc/net/if_inet6").ok()?;
    let line = table.lines().find(|line| line.starts_with("fe80") && line.contains(" 20 "))?;
    let groups: Vec<&str> = (0..8).map(|group| &line[group * 4..group * 4 + 4]).collect();
    Some(format!("{}%{}", groups.join(":"), line.split_whitespace().last()?))
}

#[test]
fn a_film_crosses_one_link() {
    // Not every machine has one: a container without IPv6, for example.
    let Some(address) = link_local() else { return };
    let run = [
        "serve",
        "test:64x48@25",
        "--no-announce",
        "--frames",
        "10",
        "--port",
        "0",
        "--stats",
        "json",
        "--bind",
        &address,
    ];
    let server = udpstream(run).start();
    let port = server.event("listening")["port"].clone();
    let watched = watch(&format!("[{address}]:{port}"), &[]).end();
    watched.says(0, &[]);
    assert_eq!(watched.summary()["pictures_shown"], 10, "{:?}", watched.stderr);
    server.end().says(0, &[]);
}
