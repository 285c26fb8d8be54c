//! The least watcher on the library: joins, prints each picture's number, leaves after so many. `client HOST[:PORT] [N]`
//! Exit codes as the program's: 0 done, 1 failed, 2 wrong usage, 3 the server could not be reached or refused.

use std::net::{Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use udpstream::app::address::Address;
use udpstream::net::{App, Flow, Loop, Options, Socket};
use udpstream::proto::receiver::{Config, Event, Local, Over, Receiver};
use udpstream::proto::{Input, Machine};
use udpstream::units::Time;
use udpstream::{clock, seal};

#[derive(Default)]
pub struct Client {
    wanted: Option<u64>,
    /// Exit code and sentence, if something went wrong.
    pub failed: Option<(u8, String)>,
}

impl App<Receiver> for Client {
    fn event(&mut self, now: Time, receiver: &mut Receiver, event: Event) -> Flow {
        match event {
            Event::Playing { description, .. } => println!("{}, {}", description.title, description.size),
            // `Event::Slice` has the JPEG bytes; a client that shows them decodes them into a canvas here.
            Event::Show { picture, .. } => {
                println!("picture {}: {} parts, {} missing", picture.unit.0, picture.received, picture.missing);
                if self.wanted == Some(receiver.counts().shown) {
                    receiver.handle(now, Input::Local(Local::Stop));
                }
            }
            Event::Refused { sentence, .. } => self.failed = Some((3, sentence)),
            Event::Trouble(trouble) => self.failed = Some((3, format!("no pictures come: {trouble:?}"))),
            Event::Over { why: Over::Failed, sentence } => self.failed = Some((1, sentence)),
            Event::Finished => return Flow::Stop,
            _ => {}
        }
        if self.failed.is_some() { Flow::Stop } else { Flow::Continue }
    }
}

pub fn client(address: &Address, wanted: Option<u64>) -> Result<(u64, Client), Box<dyn std::error::Error>> {
    let seed = seal::system_seed().ok_or("the system has no random numbers to give")?;
    let servers = address.look_up()?;
    let config = Config { seed, servers, max_datagram: 0, latency: Duration::ZERO, stay: false };
    let (mut receiver, mut client) = (Receiver::new(config, clock::now()), Client { wanted, failed: None });
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let socket = Socket::bind(Options { address: any, receive_buffer: None })?;
    Loop::new(vec![socket])?.run(&mut receiver, &mut client)?;
    Ok((receiver.counts().shown, client))
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("no server is named".to_owned());
    let address = address.and_then(|text| text.parse::<Address>().map_err(|why| why.to_string()));
    let wanted = arguments.next().map(|n| n.parse().map_err(|_| format!("{n:?} is no number of pictures"))).transpose();
    let (code, sentence) = match (address, wanted) {
        (Ok(address), Ok(wanted)) => match client(&address, wanted) {
            Ok((shown, Client { failed: None, .. })) => {
                println!("{shown} pictures");
                return ExitCode::SUCCESS;
            }
            Ok((_, Client { failed: Some(failed), .. })) => failed,
            Err(why) => (1, why.to_string()),
        },
        (Err(why), _) | (_, Err(why)) => (2, why),
    };
    eprintln!("error: {sentence}; client HOST[:PORT] [PICTURES]");
    ExitCode::from(code)
}
