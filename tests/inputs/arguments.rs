//! Arguments that are wrong, and nearly right ones.

use super::program::udpstream;

#[test]
fn a_wrong_argument_names_the_right_ones() {
    for (arguments, words) in [
        (&["serve", "x", "--port", "99999"][..], &["99999", "65535"][..]),
        (&["serve", "x", "--port", "video"], &["video", "--port"]),
        (&["serve", "x", "--quality", "101"], &["101", "1 to 100"]),
        (&["serve", "x", "--quality", "0"], &["1 to 100"]),
        (&["serve", "x", "--pace", "never"], &["auto", "file", "live"]),
        (&["serve", "x", "--stats", "xml"], &["text", "json"]),
        (&["serve", "x", "--fps", "0"], &["29.97"]),
        (&["serve", "x", "--fps", "many"], &["29.97"]),
        (&["serve", "x", "--duration=-1"], &["--duration"]),
        (&["serve", "x", "--frames", "0"], &["--frames"]),
        (&["serve", "x", "--width", "3"], &["16 to 16384"]),
        (&["serve", "x", "--queue", "1"], &["2 to 1000"]),
        (&["serve", "x", "--datagram", "99"], &["auto", "1200", "65488"]),
        (&["serv", "x"], &["serve"]),
        (&["wathc", "x"], &["watch"]),
        (&["serve"], &["INPUT"]),
        (&["serve", "test:0x0"], &["test:1280x720"]),
        (&["watch", "tcp://HOST", "--transport", "udp"], &["tcp alone", "--transport udp", "leave one of them out"]),
        (&["relay", "udp://HOST", "--transport", "tcp"], &["udp alone"]),
        (&["publish", "HOST", "test:", "--transport", "tcp+udp"], &["auto, udp or tcp"]),
        (&["watch", "HOST", "--transport", "ip"], &["auto, udp, tcp or tcp+udp"]),
        (&["serve", "test:", "--announce-name", "庭庭庭庭庭庭庭庭庭庭庭庭庭庭庭庭庭庭庭庭庭庭"], &["66 bytes", "63"]),
        (&["serve", "test:", "--announce-name", ""], &["--announce-name"]),
        (&["serve", "test:", "--announce-name", "x", "--no-announce"], &["--no-announce"]),
        (&["watch", "--code", "-"], &["HOST/CODE"]),
        (&["watch", "udpstream://me@robot"], &["'@'", "udpstream://HOST/NAME"]),
        (&["watch", "udpstream://robot/%ff"], &["%XX"]),
        (&["relay", "udpstream://robot/a b"], &["' '"]),
        (&["publish", "udpstream://robot/lobby", "test:"], &["leave out /lobby"]),
        (&["ls", "udpstream://"], &["is not a host"]),
        (&["watch", "localhost:99999"], &["65535"]),
        (&["watch", "localhost:0"], &["65535"]),
        (&["watch", "[::1"], &["HOST:PORT"]),
        (&["watch", "localhost", "--latency=-5"], &["--latency"]),
        (&["watch", "localhost", "--latency", "10001"], &["--latency", "0 to 10000"]),
        (&["watch", "localhost", "--timeout", "soon"], &["number of seconds"]),
        (&["watch", "localhost", "--snapshot", "shot.bmp"], &[".png", ".jpg"]),
        (&["watch", "robot", "--port", "7"], &["a port is written like this: udpstream watch robot:7"]),
        (&["watch", "robot", "7"], &["a port is written like this: udpstream watch robot:7"]),
        (&["serve", "/dev/video0"], &["write camera:/dev/video0"]),
        (&["serve", "x", "--host", "::1"], &["written like this: udpstream serve x --bind ::1"]),
        (&["watch", "--host", "robot", "--port", "7"], &["without an option: udpstream watch robot:7"]),
        (&[], &["Usage"]),
    ] {
        let ended = udpstream(arguments).end();
        ended.says(2, words);
        assert_eq!(ended.stdout, [""; 0], "{arguments:?}");
    }
}

#[test]
fn a_device_named_without_its_kind_is_recognised() {
    for (input, words) in [("0", "write camera:/dev/video0"), (":0", "write screen::0"), (":0.0", "write screen::0.0")]
    {
        udpstream(["serve", input]).end().one_sentence(1, &[words]);
    }
}

#[test]
fn a_near_miss_of_an_option_is_not_taken_for_a_port() {
    let ended = udpstream(["serve", "x", "--quailty", "80"]).end();
    ended.says(2, &["a similar argument exists: '--quality'"]);
    assert!(!ended.stderr.concat().contains("a port is written"), "{:?}", ended.stderr);
}
