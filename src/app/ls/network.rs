//! The streams of all servers that announce themselves on the local network.

use serde_json::{Value, json};

use super::{Options, fields, print, table};
use crate::app::figures::Output;
use crate::app::neighbours::{LOOK, Neighbours, Stream};
use crate::app::signals::Signals;
use crate::app::{Exit, terminal};
use crate::clock::now;

/// Looks, and prints what is there; [`Exit::Unreachable`] if there is nothing.
pub fn ls(options: &Options, output: &mut Output) -> anyhow::Result<Exit> {
    let interrupted = Signals::catch()?.channel();
    let mut neighbours = Neighbours::look()?;
    let until = now() + options.timeout.unwrap_or(LOOK);
    if !neighbours.look_until(until, &interrupted) {
        return Ok(Exit::Done);
    }
    let streams = neighbours.streams();
    neighbours.silent().for_each(|server| {
        let place = server.places.first().map_or_else(String::new, ToString::to_string);
        output.warn(&format!("{} at {place} announces itself, and does not answer", server.instance));
    });
    if options.json {
        streams.iter().for_each(|stream| output.event_patiently("stream", network_fields(stream)));
        output.summary(json!({ "end": if streams.is_empty() { "failed" } else { "end" }, "streams": streams.len() }));
    } else if !streams.is_empty() {
        print(&text(&streams))?;
    }
    if streams.is_empty() {
        terminal::conclude(&format!("error: {NOTHING}"));
        return Ok(Exit::Unreachable);
    }
    Ok(Exit::Done)
}

/// What is said when nobody is there.
pub const NOTHING: &str = "no stream is announced on this network: start `udpstream serve` there, name its server (udpstream ls HOST), or \
                           let UDP port 5353 through firewalls";

/// One stream for programs; of one that is watched by a code no more than where.
fn network_fields(stream: &Stream) -> Value {
    let server = stream.server();
    let mut all = match &stream.entry {
        Some(entry) => fields(entry, &server),
        None => json!({ "guarded": true, "watch": format!("{server}/CODE") }),
    };
    all["server"] = stream.instance.as_str().into();
    all["addresses"] = stream.places.iter().map(ToString::to_string).collect();
    all
}

fn cells(stream: &Stream) -> [String; 4] {
    let server = stream.server();
    let (name, title, place) = match &stream.entry {
        Some(entry) => {
            let guard = if entry.guarded { " (password)" } else { "" };
            (format!("{}{guard}", entry.name), entry.description.title.clone(), format!("{server}/{}", entry.name))
        }
        None => ("(code)".to_owned(), String::new(), format!("{server}/CODE")),
    };
    [name, title, place, stream.instance.clone()]
}

/// A table, and what to type.
fn text(streams: &[Stream]) -> String {
    let head = ["NAME", "TITLE", "WHERE", "SERVER"].map(str::to_owned);
    let rows: Vec<[String; 4]> = std::iter::once(head).chain(streams.iter().map(cells)).collect();
    let how = match streams {
        [_] => "Watch it with: udpstream watch".to_owned(),
        _ => format!("Watch one with: udpstream watch {}, or choose with: udpstream watch", rows[1][2]),
    };
    format!("{}{how}\n", table(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Transport;
    use crate::units::{Rate, Size};
    use crate::wire::description::Smaller;
    use crate::wire::message::{Entry, State};
    use crate::wire::{Description, StreamName};

    fn stream(name: Option<&str>, guarded: bool) -> Stream {
        let description = Description {
            title: "The hall".to_owned(),
            size: Size::new(640, 360),
            smaller: Smaller::NONE,
            rate: Rate::new(25, 1).expect("usual"),
            length: None,
            live: true,
            sound: false,
            ended: None,
            sound_ended: None,
            film: None,
        };
        let entry = name.map(|name| Entry {
            name: StreamName::parse(name).expect("a name"),
            state: State::Playing,
            watchers: 0,
            guarded,
            description,
        });
        let places = ["192.0.2.7:9688", "[fe80::1%3]:9688"].map(|place| place.parse().expect("an address"));
        Stream { instance: "robot".to_owned(), places: places.to_vec(), transport: Transport::Auto, entry }
    }

    #[test]
    fn streams_of_the_network_stand_in_columns() {
        let all = [stream(Some("庭"), false), stream(Some("hall"), true), stream(None, true)];
        let said = text(&all);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["NAME", "TITLE", "WHERE", "SERVER"]);
        assert!(lines[1].starts_with("庭 ") && lines[1].contains("The hall  192.0.2.7/庭"), "{said}");
        assert!(lines[2].starts_with("hall (password)") && lines[3].contains("192.0.2.7/CODE"), "{said}");
        assert!(lines[4].contains("udpstream watch 192.0.2.7/庭, or choose"), "{said}");
        assert!(text(&all[..1]).ends_with("Watch it with: udpstream watch\n"));
        let fields = network_fields(&all[0]);
        assert_eq!((&fields["server"], &fields["watch"]), (&"robot".into(), &"192.0.2.7/庭".into()));
        assert_eq!(fields["addresses"][1], "[fe80::1%3]:9688");
        let connected = Stream { transport: Transport::Tcp, ..all[0].clone() };
        assert_eq!(network_fields(&connected)["watch"], "tcp://192.0.2.7/庭");
    }
}
