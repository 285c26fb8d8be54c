//! What is said when no pictures come: the same words on a card in the window and, as one sentence, on stderr.

use crate::app::address::AddressError;
use crate::proto::Transport;
use crate::proto::receiver::{Over, Trouble};
use crate::units::Size;
use crate::view::Card;
use crate::wire::message::RefuseCode;

/// A card that can be read as a sentence.
pub fn sentence(card: &Card) -> String {
    let lines = card.lines.join(" ");
    format!("{}. {lines}", card.title)
}

fn card(title: String, lines: &[&str]) -> Card {
    Card { title, lines: lines.iter().map(|line| (*line).to_owned()).collect() }
}

/// Nothing comes from `server`, and why.
pub fn silence(trouble: Trouble, server: &str, transport: Transport) -> Card {
    match trouble {
        Trouble::Nobody if transport.needs_tcp() => card(
            format!("Nobody answers at {server}"),
            &[
                "Check that `udpstream serve` runs there and takes TCP (not --no-tcp), its port, and firewalls in between.",
                "Still trying, four times a second.",
            ],
        ),
        Trouble::Nobody => card(
            format!("Nobody answers at {server}"),
            &[
                "Check that `udpstream serve` runs there, its port, and firewalls in between (UDP).",
                "Still trying, four times a second.",
            ],
        ),
        Trouble::Silent => card(
            format!("{server} has fallen silent"),
            &[
                "Its program, its machine or the network has stopped.",
                "Looking for it; the picture comes back by itself.",
            ],
        ),
        Trouble::Network => card(
            format!("No way to {server}"),
            &[
                "This machine's network is down or knows no route there; check cable, Wi-Fi and address.",
                "The picture comes back by itself.",
            ],
        ),
    }
}

/// Nothing is heard on a group, and why.
pub fn group_silence(trouble: Trouble, group: &str) -> Card {
    match trouble {
        Trouble::Nobody | Trouble::Network => card(
            format!("Nothing is heard on {group}"),
            &[
                "Check that the sender runs, that its --ttl is enough for the routers in between, and that switches and routers \
                 let IGMP or MLD through; --interface says where to listen.",
                "Still listening.",
            ],
        ),
        Trouble::Silent => card(
            format!("{group} has fallen silent"),
            &[
                "The sender, its machine or the network has stopped; some switches forget a group where no router asks for it.",
                "Still listening; the picture comes back by itself.",
            ],
        ),
    }
}

/// The name of the server has no address.
pub fn unknown(error: &AddressError, host: &str) -> Card {
    let why = match error {
        AddressError::Unknown { why, .. } => format!("Check the name, or use the server's IP address ({why})."),
        other => format!("{other}."),
    };
    card(format!("No address is known for {host}"), &[&why, "Looking it up again, every five seconds."])
}

/// The server does not take us, in its own words, and what to do about it. `by_code`: the stream was asked for by its code.
/// `again`: it is asked again.
pub fn refused(code: RefuseCode, words: &str, server: &str, by_code: bool, again: bool) -> Card {
    let advice = match code {
        // Its words say that the code may be wrong, and there is no name.
        RefuseCode::NO_SUCH_STREAM if by_code => return card(format!("{server} refused"), &[words]),
        RefuseCode::VERSION => "Install the same release of udpstream on both machines.",
        RefuseCode::FULL | RefuseCode::TOO_MANY_FROM_ADDRESS if !again => "Somebody has to leave first.",
        RefuseCode::FULL | RefuseCode::TOO_MANY_FROM_ADDRESS => "Somebody has to leave first; trying again by itself.",
        RefuseCode::BUSY => "Trying again in a moment.",
        RefuseCode::ENDED => "`udpstream ls` shows which streams run.",
        RefuseCode::NO_SUCH_STREAM => "Check the name behind the address.",
        _ if again => "Trying again by itself.",
        _ => return card(format!("{server} refused"), &[words]),
    };
    card(format!("{server} refused"), &[words, advice])
}

/// It has a password, and none was given.
pub fn guarded(words: &str, server: &str) -> Card {
    card(format!("{server} refused"), &[words, "Watch it with --password -, which asks for it."])
}

/// Another stream was wished, and is not to be had: what plays goes on.
pub fn not_switched(words: &str) -> Card {
    card("The other stream is not to be had".to_owned(), &[words])
}

/// Its pictures are larger than any that are shown.
pub fn too_large(size: Size, server: &str) -> Card {
    card(
        format!("{server} serves pictures that are too large"),
        &[
            &format!("{size} is more than 8K, the most that is shown; serve them with a smaller --width."),
            "It is looked at again every five seconds.",
        ],
    )
}

/// The server said goodbye: the stream came to its end, or it was stopped.
pub fn over(why: Over, words: &str, server: &str) -> Card {
    let (title, words) = match why {
        Over::Ended => ("The stream is over".to_owned(), "It came to its end."),
        Over::Stopped => (format!("{server} has stopped"), words),
        Over::Failed => (format!("{server} has lost its source"), words),
    };
    card(title, &[words, "The picture comes back by itself when it is served again; q quits."])
}

/// Joined, but there is no picture to show.
pub fn waiting(server: &str) -> Card {
    card(
        format!("Connected to {server}"),
        &["No picture has come yet: its source stands still, or the network lets only small datagrams through."],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_card_reads_as_sentences() {
        let server = "robot:9688";
        let mut cards = vec![waiting(server), too_large(Size::new(16_384, 16_384), server)];
        cards.extend([Over::Ended, Over::Stopped, Over::Failed].map(|why| over(why, "That is why.", server)));
        cards.extend(
            [Trouble::Nobody, Trouble::Silent, Trouble::Network]
                .map(|trouble| silence(trouble, server, Transport::Auto)),
        );
        cards.push(silence(Trouble::Nobody, server, Transport::Tcp));
        let group = "udp://@239.255.12.34:9688";
        cards.extend([Trouble::Nobody, Trouble::Silent].map(|trouble| group_silence(trouble, group)));
        cards.push(guarded("yard is guarded: it is watched with its password.", server));
        let nowhere = AddressError::Unknown { host: "nowhere".to_owned(), why: "no such host".to_owned() };
        cards.push(unknown(&nowhere, "nowhere"));
        for (by_code, again) in [(false, true), (true, false)] {
            cards.extend((1..9).map(|code| refused(RefuseCode(code), "No room.", server, by_code, again)));
        }
        for card in cards {
            let text = sentence(&card);
            assert!(text.ends_with('.') && text.contains(". "), "{text}");
            assert!(text.len() < 260, "{text}");
        }
    }
}
