//! `udpstream ls`: the streams of a server, or of all servers of the local network, and what to type to watch them.

mod network;

pub use self::network::NOTHING;

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use super::address::Address;
use super::figures::{Output, rounded};
use super::words::clock_text;
use super::{Exit, StatsFormat, asking, terminal};
use crate::net::Loop;
use crate::proto::Transport;
use crate::proto::lister::ListFailure;
use crate::wire::message::{Entry, State};

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    /// `None`: all that announce themselves on the local network.
    pub server: Option<Address>,
    pub json: bool,
    /// `None`: as long as it usually takes.
    pub timeout: Option<Duration>,
    pub quiet: bool,
}

/// Asks, waits for the answer, and prints it; [`Exit::Unreachable`] if there is none.
pub fn ls(options: Options) -> anyhow::Result<Exit> {
    let format = if options.json { StatsFormat::Json } else { StatsFormat::Text };
    let mut output = Output::new(format, options.quiet).context("standard output could not be written to")?;
    let Some(address) = &options.server else { return network::ls(&options, &mut output) };
    let server = address.typed();
    let limit = options.timeout.unwrap_or(PATIENCE);
    match ask(address, limit)? {
        Some(Ok(entries)) => {
            if options.json {
                entries.iter().for_each(|entry| output.event_patiently("stream", fields(entry, &server)));
                output.summary(json!({ "end": "end", "streams": entries.len() }));
            } else {
                print(&text(&entries, &server))?;
            }
            Ok(Exit::Done)
        }
        Some(Err(failure)) => {
            let sentence = sentence(&failure, address, limit);
            terminal::conclude(&format!("error: {sentence}"));
            if options.json {
                output.summary(json!({ "end": "failed", "streams": 0, "why": sentence }));
            }
            Ok(Exit::Unreachable)
        }
        None => Ok(Exit::Done),
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    io::stdout().write_all(text.as_bytes()).or_else(forgive).context("the list could not be written")
}

/// A reader that has seen enough is no failure.
fn forgive(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// The server's streams; `None` if a signal came first.
fn ask(server: &Address, limit: Duration) -> anyhow::Result<Option<Result<Vec<Entry>, ListFailure>>> {
    let servers = server.look_up()?;
    let mut event_loop = Loop::on_any_port().context("no socket could be opened")?;
    event_loop.catch_signals().context("signals could not be caught")?;
    asking::ask(event_loop, servers, limit)
}

/// Why there is no list, with advice.
fn sentence(failure: &ListFailure, server: &Address, limit: Duration) -> String {
    match failure {
        ListFailure::Nobody if server.transport.is_some_and(Transport::needs_tcp) => format!(
            "nothing was heard from {server} for {:.0} s: check that `udpstream serve` runs there and takes TCP (not --no-tcp), \
             its port, and firewalls in between",
            limit.as_secs_f64()
        ),
        ListFailure::Nobody => format!(
            "nothing was heard from {server} for {:.0} s: check that `udpstream serve` runs there, its port, and firewalls \
             in between (UDP)",
            limit.as_secs_f64()
        ),
        ListFailure::Network => {
            format!("there is no way to {server}: check this machine's network, and the address")
        }
        ListFailure::Refused { sentence, .. } => {
            format!("{server} refused: {}", sentence.trim_end_matches('.'))
        }
        ListFailure::Changing => format!("the streams of {server} changed while they were listed: ask again"),
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Playing => "running",
        State::Paused => "paused",
        State::Ended => "ended",
    }
}

/// One stream for programs.
fn fields(entry: &Entry, server: &str) -> Value {
    let Entry { name, state: of, watchers, guarded, description } = entry;
    json!({
        "name": name.as_str(), "title": description.title, "state": state(*of), "watchers": watchers,
        "width": description.size.width, "height": description.size.height,
        "fps": rounded(description.rate.fps(), 1e3), "fps_num": description.rate.num(),
        "fps_den": description.rate.den(), "live": description.live, "audio": description.sound,
        "seconds": description.length.map(|micros| rounded(micros as f64 / 1e6, 1e3)),
        "watch": format!("{server}/{name}"), "guarded": guarded,
    })
}

/// The cells of one stream's line.
fn cells(entry: &Entry) -> [String; 7] {
    let Entry { name, state: of, watchers, guarded, description } = entry;
    let length = match (of, description.length) {
        (State::Ended, _) => "ended".to_owned(),
        (_, Some(micros)) => clock_text(Duration::from_micros(micros)),
        (_, None) if description.live => "live".to_owned(),
        (_, None) => "endless".to_owned(),
    };
    [
        if *guarded { format!("{name} (password)") } else { name.to_string() },
        description.title.clone(),
        description.size.to_string(),
        description.rate.to_string(),
        length,
        if description.sound { "yes" } else { "no" }.to_owned(),
        watchers.to_string(),
    ]
}

/// Cells in columns.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A table, and what to type.
fn text(entries: &[Entry], server: &str) -> String {
    let Some(first) = entries.first() else {
        return format!(
            "{server} lists no streams. One that has a code is watched with: udpstream watch {server}/CODE\n"
        );
    };
    let head = ["NAME", "TITLE", "SIZE", "FPS", "LENGTH", "SOUND", "WATCHERS"].map(str::to_owned);
    let mut text = table(&std::iter::once(head).chain(entries.iter().map(cells)).collect::<Vec<_>>());
    text.push_str(&format!("Watch one with: udpstream watch {server}/{}", first.name));
    if entries.len() > 1 {
        text.push_str(&format!(", all of them with: udpstream watch '{server}/*'"));
    }
    text + "\n"
}

/// A server that is there answers within a round trip or two.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Rate, Size};
    use crate::wire::description::Smaller;
    use crate::wire::{Description, StreamName};

    fn entry(name: &str, length: Option<u64>, live: bool, of: State) -> Entry {
        let description = Description {
            title: format!("The {name}"),
            size: Size::new(640, 360),
            smaller: Smaller::NONE,
            rate: Rate::from_fps(29.97).expect("usual"),
            length,
            live,
            sound: live,
            ended: None,
            sound_ended: None,
            film: None,
        };
        Entry { name: StreamName::parse(name).expect("a name"), state: of, watchers: 2, guarded: false, description }
    }

    #[test]
    fn streams_stand_in_columns() {
        let entries = [
            entry("film", Some(83_400_000), false, State::Playing),
            entry("hall/west", None, true, State::Waiting),
            entry("x", Some(1), false, State::Ended),
            entry("y", None, false, State::Playing),
        ];
        let said = text(&entries, "robot");
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], "NAME       TITLE          SIZE     FPS    LENGTH   SOUND  WATCHERS");
        assert_eq!(lines[1], "film       The film       640×360  29.97  1:23     no     2");
        assert_eq!(lines[2], "hall/west  The hall/west  640×360  29.97  live     yes    2");
        assert!(lines[3].contains("ended") && lines[4].contains("endless"), "{said}");
        let end = "Watch one with: udpstream watch robot/film, all of them with: udpstream watch 'robot/*'";
        assert_eq!(lines[5], end);
        let none = "robot lists no streams. One that has a code is watched with: udpstream watch robot/CODE\n";
        assert_eq!(text(&[], "robot"), none);
        let fields = fields(&entries[0], "robot:7");
        assert_eq!((&fields["seconds"], &fields["watch"]), (&83.4.into(), &"robot:7/film".into()));
    }
}
