//! Which screens there are.

use std::fs;

use x11rb::connection::{Connection, RequestConnection};
use x11rb::errors::ReplyError;
use x11rb::protocol::randr::{self, ConnectionExt as _};
use x11rb::protocol::xproto::ConnectionExt as _;

use super::area;
use super::link::Link;
use crate::ffmpeg::Control;
use crate::source::SourceError;
use crate::units::Size;

/// Something that can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// As one types it after `serve`.
    pub name: String,
    /// What it is, for people.
    pub description: String,
}

/// Every screen of this machine's X servers (and of the one that `DISPLAY` names, wherever it is), each followed by its
/// monitors. One that does not let us in is listed with the reason.
pub fn screens(control: &Control) -> Vec<Listed> {
    displays().iter().flat_map(|display| of_display(display, control)).collect()
}

/// The default display first.
fn displays() -> Vec<String> {
    let named = std::env::var("DISPLAY").ok().filter(|name| !name.is_empty());
    // A screen's number after the dot is no part of the display.
    let named = named.map(|name| match name.rsplit_once('.') {
        Some((display, screen)) if display.contains(':') && screen.parse::<u16>().is_ok() => display.to_owned(),
        _ => name,
    });
    let sockets = fs::read_dir(SOCKETS).into_iter().flatten().flatten();
    let number = |name: &str| name.strip_prefix('X')?.parse::<u16>().ok();
    let mut numbers: Vec<u16> = sockets.filter_map(|entry| number(entry.file_name().to_str()?)).collect();
    numbers.sort_unstable();
    let others = numbers.into_iter().map(|number| format!(":{number}")).filter(|name| named.as_ref() != Some(name));
    named.iter().cloned().chain(others).collect()
}

fn of_display(display: &str, control: &Control) -> Vec<Listed> {
    let name = format!("screen:{display}");
    let link = match Link::open(Some(display), control) {
        Ok(link) => link,
        // A socket that was left behind.
        Err(SourceError::NoScreen { .. }) => return Vec::new(),
        Err(error) => return vec![Listed { name, description: error.to_string() }],
    };
    let roots = link.connection.setup().roots.len();
    let one = |screen: usize| {
        let name = if roots == 1 { name.clone() } else { format!("{name}.{screen}") };
        of_screen(&link, screen, &name).unwrap_or_default()
    };
    (0..roots).flat_map(one).collect()
}

fn of_screen(link: &Link, screen: usize, name: &str) -> Result<Vec<Listed>, ReplyError> {
    let connection = &link.connection;
    let root = connection.setup().roots[screen].root;
    let place = connection.get_geometry(root)?.reply()?;
    let whole = Size::new(place.width, place.height);
    let mut listed = vec![Listed { name: name.to_owned(), description: format!("the whole screen, {whole}") }];
    if connection.extension_information(randr::X11_EXTENSION_NAME)?.is_none() {
        return Ok(listed);
    }
    let version = connection.randr_query_version(1, 5)?.reply()?;
    if (version.major_version, version.minor_version) < (1, 5) {
        return Ok(listed);
    }
    let monitors = connection.randr_get_monitors(root, true)?.reply()?.monitors;
    for monitor in monitors {
        let size = Size::new(monitor.width, monitor.height);
        let label = connection.get_atom_name(monitor.name)?.reply()?.name;
        let label = String::from_utf8_lossy(&label).into_owned();
        let primary = if monitor.primary { ", the primary one" } else { "" };
        listed.push(Listed {
            name: format!("{name}{}", area::text((monitor.x, monitor.y), size)),
            description: format!("monitor {label}, {size}{primary}"),
        });
    }
    Ok(listed)
}

const SOCKETS: &str = "/tmp/.X11-unix";
