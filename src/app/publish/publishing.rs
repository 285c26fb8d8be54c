//! The running publisher: what it is told by the server at the other end, and all that a server of one stream says and does.

use std::time::Duration;

use serde_json::json;

use super::{Identity, Options};
use crate::app::Exit;
use crate::app::code::{self, Told};
use crate::app::figures::Output;
use crate::app::secrets::GivenCode;
use crate::app::serve::Serving;
use crate::app::talk::Console;
use crate::app::words;
use crate::net::{App, Flow};
use crate::proto::publisher::{Event, Local, Publisher, TalkNews, Trouble};
use crate::proto::server::{self, Feed, Server};
use crate::proto::{Input, Machine};
use crate::units::Time;
use crate::wire::StreamName;
use crate::wire::message::RefuseCode;
use crate::wire::talk::Line;

/// A code that was given is tried again after this, if it is taken: perhaps by this publisher's last run.
const TAKEN_AGAIN: Duration = Duration::from_secs(1);

pub struct Publishing {
    options: Options,
    identity: Identity,
    serving: Serving,
    output: Output,
    /// What was said last of a server that does not take the stream.
    refused: Option<String>,
    /// So many refusals in a row were a matter of a moment.
    busy: u32,
    accepted: bool,
    /// When the grant is tried again.
    again: Option<Time>,
    /// Nobody has answered since then.
    silent: Option<Time>,
    /// It ends without having published anything.
    failed: bool,
    /// Lines that the user types, and lines that were said.
    console: Option<Console>,
    paused: bool,
}

impl Publishing {
    pub fn new(options: Options, identity: Identity, mut serving: Serving, output: Output) -> Self {
        serving.whom = Some(options.server.typed());
        let silent = Some(output.start());
        Self {
            options,
            identity,
            serving,
            output,
            refused: None,
            busy: 0,
            accepted: false,
            again: None,
            silent,
            failed: false,
            console: None,
            paused: false,
        }
    }

    /// Says what is about to be published, and where.
    pub fn announce(&mut self) {
        let title = self.serving.channels.first().map_or("", |channel| channel.title());
        let server = self.options.server.typed();
        self.output.say(&format!("{title}: publishing to {server} …"));
        let fields = json!({ "server": self.options.server.to_string(), "public": self.identity.code.is_none() });
        if self.output.event("publishing", fields).is_err() {
            self.serving.interrupt();
        }
    }

    /// Lines on the terminal pause the stream and let it go on, or are said.
    pub fn listen(&mut self, console: Console) {
        self.console = Some(console);
    }

    fn obey_typed(&mut self, now: Time, publisher: &mut Publisher) {
        let typed = self.console.as_ref().map(Console::typed).unwrap_or_default();
        let talks = self.options.serve.talk.typed;
        for line in typed {
            match line.trim() {
                "/p" | "/pause" => self.pause(now, publisher, !self.paused),
                _ if talks => self.say(now, publisher, &line),
                "p" | "pause" => self.pause(now, publisher, !self.paused),
                "" => {}
                _ => self.output.say("Type p and Enter to pause, and again to go on; Ctrl-C ends the stream."),
            }
        }
    }

    fn say(&mut self, now: Time, publisher: &mut Publisher, text: &str) {
        let line = self.console.as_ref().and_then(|console| console.checked(text));
        line.into_iter().for_each(|line| publisher.handle(now, Input::Local(Local::Say(line))));
    }

    /// Somebody has said something.
    fn heard(&mut self, line: &Line) {
        self.serving.heard(line);
        let closed = self.console.as_ref().is_some_and(|console| console.said(line, None).is_err());
        if closed {
            self.serving.interrupt();
        }
    }

    fn unsaid(&mut self, text: &str, sentence: &str) {
        let closed = self.console.as_ref().is_some_and(|console| console.unsaid(text, sentence).is_err());
        if closed {
            self.serving.interrupt();
        }
    }

    fn pause(&mut self, now: Time, publisher: &mut Publisher, paused: bool) {
        self.paused = paused;
        let pause = server::Local::Stream(publisher.stream(), Feed::Pause(paused));
        publisher.handle(now, Input::Local(Local::Server(pause)));
        let text =
            if paused { "Paused: nothing is sent, and those who watch are told. p goes on." } else { "It goes on." };
        self.serving.notice(text);
        self.output.say(text);
        if self.output.event(if paused { "paused" } else { "resumed" }, json!({})).is_err() {
            self.serving.interrupt();
        }
    }

    fn accepted(&mut self, name: &StreamName, again: bool) {
        let server = self.options.server.typed();
        let lookup = self.identity.code.as_ref().map(|code| code.lookup().to_string());
        let fields = json!({ "name": name.as_str(), "server": server, "lookup": lookup, "again": again });
        if self.output.event("accepted", fields).is_err() {
            self.serving.interrupt();
        }
        (self.silent, self.refused, self.busy, self.accepted) = (None, None, 0, true);
        if again {
            self.serving.notice(&format!("{server} takes the stream again."));
            return self.output.say(&format!("{server} takes {name} again."));
        }
        match &self.identity.code {
            Some(code) => {
                let is_new = self.options.keep.is_none() && matches!(self.options.code, None | Some(GivenCode::New));
                let file = match &self.options.code {
                    Some(GivenCode::File(path)) => Some(path.as_path()),
                    _ => self.options.keep.as_deref(),
                };
                code::tell(&self.output, &Told { name: name.as_str(), place: &server, code, is_new, file });
                self.serving.watched_with = Some(format!("{server}/{code}"));
                self.serving.show_code();
            }
            None => {
                self.output.say(&format!("Published as {name}. Watch with: udpstream watch {server}/{name}"));
                self.serving.watched_with = Some(format!("{server}/{name}"));
            }
        }
    }

    fn refused(&mut self, now: Time, publisher: &mut Publisher, code: RefuseCode, sentence: String) -> Flow {
        let server = self.options.server.typed();
        let for_good =
            matches!(code, RefuseCode::ROLE | RefuseCode::GUARDED | RefuseCode::VERSION | RefuseCode::NO_SUCH_STREAM);
        if for_good && !self.accepted {
            let sentence = words::lowered(&sentence);
            self.output.warn(&format!("error: {server} does not take the stream: {sentence}"));
            self.failed = true;
            return self.serving.signal(now, publisher.server_mut(), 0);
        }
        self.silent = None;
        // Whoever is started again at once finds the place of its last run taken for a moment.
        self.busy = if code == RefuseCode::BUSY { self.busy + 1 } else { 0 };
        if self.busy != 1 && self.refused.as_ref() != Some(&sentence) {
            let words = words::lowered(&sentence);
            self.output.warn(&format!("warning: {server} does not take the stream now: {words} It is asked again."));
            self.refused = Some(sentence);
        }
        Flow::Continue
    }

    /// Another code, or the same once more if it was given.
    fn taken(&mut self, now: Time, publisher: &mut Publisher) {
        self.silent = None;
        let drawn = matches!(self.options.code, None | Some(GivenCode::New)) && self.options.keep.is_none();
        if !drawn {
            if self.refused.is_none() {
                let server = self.options.server.typed();
                self.output.warn(&format!(
                    "warning: {server} has a stream with this code; it is asked until the code is free."
                ));
                self.refused = Some(String::new());
            }
            self.again = Some(now + TAKEN_AGAIN);
            return;
        }
        if self.identity.draw_again().is_ok() {
            publisher.handle(now, Input::Local(Local::Grant(self.identity.grant())));
        }
    }

    fn troubled(&mut self, now: Time, trouble: Trouble) {
        // It has been given up, which was said.
        if self.failed {
            return;
        }
        let server = self.options.server.typed();
        self.silent.get_or_insert(now);
        let text = match trouble {
            Trouble::Nobody => format!(
                "nobody answers at {server}: check that `udpstream serve --accept-publishers` runs there, its port, and \
                 firewalls in between; it is asked until it does"
            ),
            Trouble::Silent => format!("{server} has fallen silent; it is looked for until it is back"),
            Trouble::Network => format!(
                "no way to {server}: this machine's network is down or knows no route there; it is tried again until there is"
            ),
        };
        let text = if self.options.timeout.is_some() { format!("{text}, or --timeout is over") } else { text };
        self.serving.notice(&format!("{text}."));
        self.output.warn(&format!("warning: {text}."));
    }

    /// Ends all threads and says the last word.
    pub fn finish(self, server: &Server) -> Exit {
        let exit = self.serving.finish(server);
        let kept_out = !self.accepted && self.refused.is_some();
        if self.failed || kept_out && exit == Exit::Done { Exit::Unreachable } else { exit }
    }

    fn limit(&self) -> Option<Time> {
        Some(self.silent? + self.options.timeout?)
    }
}

impl App<Publisher> for Publishing {
    fn event(&mut self, now: Time, publisher: &mut Publisher, event: Event) -> Flow {
        match event {
            Event::Server(event) => return self.serving.event(now, publisher.server_mut(), event),
            Event::Accepted { name, again, .. } => self.accepted(&name, again),
            Event::Refused { code, sentence } => return self.refused(now, publisher, code, sentence),
            Event::Taken => self.taken(now, publisher),
            Event::Trouble(trouble) => self.troubled(now, trouble),
            Event::HeardAgain => {
                self.silent = None;
                self.output.say(&format!("{} is heard again.", self.options.server.typed()));
            }
            Event::Talk(TalkNews::Line(line)) => self.heard(&line),
            Event::Talk(TalkNews::Unsaid(unspoken)) => self.unsaid(&unspoken.text, &unspoken.sentence),
            Event::Talk(TalkNews::Open(open)) => {
                if !open && self.options.serve.talk.typed {
                    self.output.warn(&format!("warning: {} has no talk.", self.options.server.typed()));
                }
            }
            Event::Dismissed(sentence) => {
                self.output.warn(&format!("warning: {} has ended the stream: {sentence}", self.options.server.typed()));
            }
        }
        Flow::Continue
    }

    fn turn(&mut self, now: Time, publisher: &mut Publisher) -> Flow {
        self.obey_typed(now, publisher);
        if self.again.is_some_and(|again| now >= again) {
            self.again = None;
            publisher.handle(now, Input::Local(Local::Grant(self.identity.grant())));
        }
        if self.limit().is_some_and(|limit| now >= limit) {
            self.silent = None;
            self.failed = true;
            self.output.warn(&format!("error: {} did not answer in time.", self.options.server.typed()));
            return self.serving.signal(now, publisher.server_mut(), 0);
        }
        self.serving.turn(now, publisher.server_mut())
    }

    fn deadline(&self) -> Time {
        let own = [self.again, self.limit()].into_iter().flatten().min();
        own.map_or_else(|| self.serving.deadline(), |own| own.min(self.serving.deadline()))
    }

    fn signal(&mut self, now: Time, publisher: &mut Publisher, signal: i32) -> Flow {
        self.serving.signal(now, publisher.server_mut(), signal)
    }
}
