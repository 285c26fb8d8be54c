//! The least watcher on the library: joins, prints each picture's number, leaves after so many. `client HOST[:PORT] [N]`
//! Exit codes as the program's: 0 done, 1 failed, 2 wrong usage, 3 the server could not be reached or refused.

use std::error::Error;
use std::process::ExitCode;

use udpstream::app::address::Address;
use udpstream::net::{Flow, Loop};
use udpstream::proto::receiver::{Config, Event, Local, Over, Receiver};
use udpstream::proto::{Input, Machine};
use udpstream::units::Time;
use udpstream::{clock, seal};

/// Pictures shown; and exit code and sentence, if something went wrong.
pub type Outcome = (u64, Option<(u8, String)>);

pub fn client(address: &Address, wanted: Option<u64>) -> Result<Outcome, Box<dyn Error>> {
    let seed = seal::system_seed().ok_or("the system has no random numbers to give")?;
    let mut receiver = Receiver::new(Config::new(seed, address.look_up()?), clock::now());
    let mut failed = None;
    let mut app = |now: Time, receiver: &mut Receiver, event: Event| {
        match event {
            Event::Playing { description, .. } => println!("{}, {}", description.title, description.size),
            // `Event::Slice` has the JPEG bytes; a client that shows them decodes them into a canvas here.
            Event::Show { picture, .. } => {
                println!("picture {}: {} parts, {} missing", picture.unit.0, picture.received, picture.missing);
                if wanted == Some(receiver.counts().pictures.shown) {
                    receiver.handle(now, Input::Local(Local::Stop));
                }
            }
            Event::Refused { sentence, .. } => failed = Some((3, sentence)),
            Event::Trouble(_) => failed = Some((3, "nobody answers: is it served there?".to_owned())),
            Event::Over { why: Over::Failed, sentence } => failed = Some((1, sentence)),
            Event::Finished => return Flow::Stop,
            _ => {}
        }
        if failed.is_some() { Flow::Stop } else { Flow::Continue }
    };
    Loop::on_any_port()?.run(&mut receiver, &mut app)?;
    Ok((receiver.counts().pictures.shown, failed))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let address = arguments.first().and_then(|text| text.parse().ok());
    let wanted = arguments.get(1).map(|n| n.parse().ok());
    let (code, sentence) = match (address, wanted) {
        (None, _) | (_, Some(None)) => (2, "write client HOST[:PORT] [PICTURES]".to_owned()),
        (Some(address), wanted) => match client(&address, wanted.flatten()) {
            Ok((shown, None)) => (0, format!("{shown} pictures")),
            Ok((_, Some(failed))) => failed,
            Err(why) => (1, why.to_string()),
        },
    };
    eprintln!("{}{sentence}", if code == 0 { "" } else { "error: " });
    ExitCode::from(code)
}
