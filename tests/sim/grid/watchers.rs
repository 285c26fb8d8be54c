//! Those who watch, and what is said.

use udpstream::proto::{Input, Machine, Receiver, receiver, relay, server};
use udpstream::wire::StreamName;
use udpstream::wire::talk::Line;

use super::{Grid, Machinery, Node, address};

impl Grid {
    pub fn watch(&mut self, at: Node, name: Option<&str>) -> Node {
        self.watch_with(at, name, |_| {})
    }

    pub fn watch_with(&mut self, at: Node, name: Option<&str>, configure: impl FnOnce(&mut receiver::Config)) -> Node {
        let mut config = receiver::Config::new(self.secret(), vec![address(at)]);
        config.stream = name.map(|name| StreamName::parse(name).expect("a name"));
        config.sound = Some(udpstream::media::sound::Rendition::Stereo);
        config.stay = true;
        configure(&mut config);
        let receiver = Box::new(Receiver::new(config, self.now));
        self.place(Machinery::Watcher { receiver, seen: Box::default() })
    }

    pub fn tell_watcher(&mut self, node: Node, local: receiver::Local) {
        self.places[node].wake = self.now;
        if let Machinery::Watcher { receiver, .. } = &mut self.places[node].machinery {
            receiver.handle(self.now, Input::Local(local));
        }
    }

    /// A watcher that hears what is said, and says things under this name.
    pub fn watch_talking(&mut self, at: Node, name: &str) -> Node {
        self.watch_with(at, None, |config| config.talk = Some(name.to_owned()))
    }

    pub fn say(&mut self, watcher: Node, text: &str) {
        self.tell_watcher(watcher, receiver::Local::Say(text.to_owned()));
    }
}

/// The line, if that is what a server tells.
pub fn said(event: server::Event) -> Option<Line> {
    if let server::Event::Said { line, .. } = event { Some(line) } else { None }
}

/// The same of a relay.
pub fn said_by(event: relay::Event) -> Option<Line> {
    if let relay::Event::Server(event) = event { said(event) } else { None }
}

/// Why nothing is shown, if that is what a watcher is told.
pub fn refusal(event: &receiver::Event) -> Option<String> {
    match event {
        receiver::Event::Refused { sentence, .. } | receiver::Event::Over { sentence, .. } => Some(sentence.clone()),
        _ => None,
    }
}
