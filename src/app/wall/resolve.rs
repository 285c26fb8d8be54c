//! Where the servers of a wall are, and what `HOST/*` stands for: all are asked at the same time, before anything is opened.

use std::thread::Builder;
use std::time::Duration;

use anyhow::{Context, anyhow};
use crossbeam_channel::{Receiver as Inbox, unbounded};

use crate::app::address::{AddressError, Target};
use crate::app::figures::Output;
use crate::app::signals::Signals;
use crate::app::watch::Options;
use crate::app::{Exit, asking};
use crate::clock::now;
use crate::net::Loop;
use crate::proto::Servers;
use crate::proto::lister::ListFailure;
use crate::units::Time;
use crate::wire::message::{Entry, State};

/// How long a server is looked for, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the window waits for the other targets once one is there.
const GRACE: Duration = Duration::from_secs(5);

/// One stream to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub target: Target,
    /// Where its server may be; nowhere while its name has not been looked up.
    pub servers: Servers,
}

/// What became of one target.
type Answer = Result<Vec<Found>, Missing>;

/// Why nothing is known of a target.
#[derive(Debug)]
enum Missing {
    Name(AddressError),
    List(ListFailure, Servers),
    /// The server lists no stream at all.
    Unlisted,
    /// The system is out of something.
    Broken(anyhow::Error),
}

/// The targets, each of one stream; or how the program ends because none can be watched, which has been said.
pub fn all(options: &Options, output: &Output, signals: &Signals) -> anyhow::Result<Result<Vec<Found>, Exit>> {
    let (answers, inbox) = unbounded();
    let interrupt = answers.clone();
    signals.tell(move || drop(interrupt.send(None)));
    let limit = options.timeout.unwrap_or(PATIENCE);
    for (at, target) in options.servers.iter().cloned().enumerate() {
        let answers = answers.clone();
        // It is not waited for where the program ends before: a look-up cannot be stopped.
        let ask = move || drop(answers.send(Some((at, find(&target, limit)))));
        Builder::new().name("look-up".into()).spawn(ask).context("a thread could not be started")?;
    }
    let asked = options.servers.iter().filter(|target| target.all).map(|target| target.address.to_string());
    let asked: Vec<String> = asked.collect();
    if !asked.is_empty() {
        output.status(&[format!("asking {} for streams", asked.join(", "))]);
    }
    // Without answers somebody has stopped it.
    let Some(answers) = gather(options.servers.len(), &inbox) else { return Ok(Err(Exit::Done)) };
    sum(&options.servers, answers, output)
}

/// The answers of all; of those that are late, none. `None`: a signal came first.
fn gather(count: usize, inbox: &Inbox<Option<(usize, Answer)>>) -> Option<Vec<Option<Answer>>> {
    let mut answers: Vec<Option<Answer>> = (0..count).map(|_| None).collect();
    let mut until = Time::NEVER;
    while answers.iter().any(Option::is_none) {
        let Ok(news) = inbox.recv_timeout(until.since(now()).min(PATIENCE)) else {
            if now() >= until { break } else { continue }
        };
        let (at, answer) = news?;
        if works(&answer) {
            until = until.min(now() + GRACE);
        }
        answers[at] = Some(answer);
    }
    Some(answers)
}

fn works(answer: &Answer) -> bool {
    answer.as_ref().is_ok_and(|found| !found.is_empty())
}

/// The streams to watch. Targets of which nothing is known stand for the first stream of their server, which is looked
/// for as long as the wall is there, provided that another target works.
fn sum(targets: &[Target], answers: Vec<Option<Answer>>, output: &Output) -> anyhow::Result<Result<Vec<Found>, Exit>> {
    let some_work = answers.iter().flatten().any(works);
    let (mut all, mut unknown, mut unlisted, mut failed) = (Vec::new(), None, Vec::new(), false);
    for (target, answer) in targets.iter().zip(answers) {
        let (text, servers) = match answer {
            Some(Ok(found)) => {
                all.extend(found);
                continue;
            }
            Some(Err(Missing::Unlisted)) => {
                unlisted.push(target.address.typed());
                continue;
            }
            Some(Err(Missing::Name(error @ AddressError::Unknown { .. }))) => {
                let text = error.to_string();
                if !some_work && unknown.is_none() {
                    // The program ends with it, and says it then.
                    unknown = Some(error);
                    continue;
                }
                (Some(text), Servers::default())
            }
            Some(Err(Missing::Name(error))) => return Err(error.into()),
            Some(Err(Missing::Broken(error))) => return Err(error),
            Some(Err(Missing::List(failure, servers))) => {
                (Some(sentence(&failure, &target.address.to_string())), servers)
            }
            None => (None, Servers::default()),
        };
        failed = true;
        let error = if some_work { "" } else { "error: " };
        text.into_iter().for_each(|text| output.warn(&format!("{error}{text}")));
        all.push(Found { target: Target { all: false, ..target.clone() }, servers });
    }
    match unknown {
        Some(error) => Err(error.into()),
        None if some_work => Ok(Ok(all)),
        None => {
            if !failed || !unlisted.is_empty() {
                output.warn(&format!("error: {}", nothing(&unlisted)));
            }
            Ok(Err(Exit::Unreachable))
        }
    }
}

/// Why there is nothing to watch although all servers have answered: these list no stream, and what the others list has ended.
fn nothing(unlisted: &[String]) -> String {
    if unlisted.is_empty() {
        return "there is no stream to watch: all have ended".to_owned();
    }
    format!("no stream is listed at {}; one that has a code is watched as HOST/CODE", unlisted.join(", "))
}

/// Looks a target up, and asks which streams it stands for.
fn find(target: &Target, limit: Duration) -> Answer {
    let servers = target.address.look_up().map_err(Missing::Name)?;
    if !target.all {
        return Ok(vec![Found { target: target.clone(), servers }]);
    }
    match ask(servers.clone(), limit).map_err(Missing::Broken)? {
        Ok(entries) if entries.is_empty() => Err(Missing::Unlisted),
        Ok(entries) => Ok(of(target, entries, &servers).collect()),
        Err(failure) => Err(Missing::List(failure, servers)),
    }
}

fn of(target: &Target, entries: Vec<Entry>, servers: &Servers) -> impl Iterator<Item = Found> {
    let going_on = entries.into_iter().filter(|entry| entry.state != State::Ended);
    going_on.map(|entry| Found {
        target: Target {
            address: target.address.clone(),
            stream: Some(entry.name),
            code: None,
            all: false,
            group: None,
        },
        servers: servers.clone(),
    })
}

/// What the server answers.
fn ask(servers: Servers, limit: Duration) -> anyhow::Result<Result<Vec<Entry>, ListFailure>> {
    let event_loop = Loop::on_any_port().context("the event loop could not be started")?;
    let answer = asking::ask(event_loop, servers, limit)?;
    answer.ok_or_else(|| anyhow!("a server's streams were asked for without an end: this is a bug"))
}

/// Why there is no list, and what to do about it.
fn sentence(failure: &ListFailure, server: &str) -> String {
    match failure {
        ListFailure::Nobody => format!(
            "nobody answers at {server}: check that `udpstream serve` runs there, its port, and firewalls in between"
        ),
        ListFailure::Network => format!(
            "no way to {server}: this machine's network is down or knows no route there; check cable, Wi-Fi and address"
        ),
        ListFailure::Refused { sentence, .. } => format!("{server} refused: {sentence}"),
        ListFailure::Changing => format!("the streams of {server} change too quickly to be listed: try again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::StatsFormat;

    fn target(text: &str) -> Target {
        text.parse().expect("a target")
    }

    fn found(text: &str) -> Found {
        Found { target: target(text), servers: vec![([127, 0, 0, 1], 9).into()].into() }
    }

    fn unknown() -> Missing {
        Missing::Name(AddressError::Unknown { host: "nowhere".to_owned(), why: "no such host".to_owned() })
    }

    #[test]
    fn one_that_is_not_there_does_not_keep_the_others_away() {
        let output = Output::new(StatsFormat::Text, true).expect("no thread");
        let targets = ["robot", "nowhere/desk", "silent/*", "late"].map(target);
        let silent = || Missing::List(ListFailure::Nobody, found("silent").servers);
        let answers = vec![Some(Ok(vec![found("robot")])), Some(Err(unknown())), Some(Err(silent())), None];
        let all = sum(&targets, answers, &output).expect("nothing is broken").expect("streams");
        let unfound = |text: &str| Found { target: target(text), servers: Servers::default() };
        assert_eq!(all, [found("robot"), unfound("nowhere/desk"), found("silent"), unfound("late")]);

        let none = sum(&targets[2..3], vec![Some(Err(silent()))], &output).expect("nothing is broken");
        assert_eq!(none, Err(Exit::Unreachable));
        let error = sum(&targets[1..3], vec![Some(Err(unknown())), Some(Err(silent()))], &output).expect_err("none");
        assert!(error.downcast_ref::<AddressError>().is_some_and(|error| error.exit() == Exit::Unreachable));
        let ended = sum(&targets[2..3], vec![Some(Ok(Vec::new()))], &output).expect("nothing is broken");
        assert_eq!(ended, Err(Exit::Unreachable), "all have ended");
        let unlisted = sum(&targets[2..3], vec![Some(Err(Missing::Unlisted))], &output).expect("nothing is broken");
        assert_eq!(unlisted, Err(Exit::Unreachable), "none is listed");
        assert!(nothing(&[]).contains("ended") && nothing(&["silent".to_owned()]).contains("listed at silent; one"));
    }

    #[test]
    fn a_signal_ends_the_wait() {
        let (answers, inbox) = unbounded();
        answers.send(Some((1, Ok(vec![found("robot")])))).expect("it is kept");
        answers.send(None).expect("it is kept");
        assert!(gather(2, &inbox).is_none());
    }
}
