//! `serve --check-config`: what would be served.

use std::io::{self, Write};
use std::path::Path;

use super::{Options, StreamOptions};
use crate::app::Exit;
use crate::app::words::rate_text;

/// Says on standard output what the file and the command line come to.
pub fn say(file: &Path, options: &Options) -> Exit {
    let mut stdout = io::stdout().lock();
    let text = said(file, options);
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Failed,
        _ => Exit::Done,
    }
}

fn said(file: &Path, options: &Options) -> String {
    let widest = options.streams.iter().map(|stream| stream.name.as_str().chars().count()).max().unwrap_or(0);
    let mut text = format!("{} is right. On port {} there would be:\n", file.display(), options.bind.port());
    for stream in &options.streams {
        text.push_str(&format!("  {:<widest$}  {}\n", stream.name.as_str(), shown(stream)));
    }
    text
}

/// What a stream shows and how, in a few words.
fn shown(stream: &StreamOptions) -> String {
    let mut text = stream.input.name();
    if let Some(ear) = &stream.ear {
        text.push_str(&format!(" and {}", ear.name()));
    }
    let source = &stream.source;
    let told = [
        source.width.map(|width| format!("width {width}")),
        source.size.map(|size| format!("size {size}")),
        source.rate.map(|rate| format!("{rate} fps")),
        Some(format!("quality {}", stream.quality)),
        Some(stream.least_quality).filter(|least| *least > 1).map(|least| format!("at least {least}")),
        stream.max_rate.map(|rate| format!("at most {}", rate_text(rate.as_bps() as f64))),
        (!stream.adapt).then(|| "as it is on every path".to_owned()),
        source.looped.then(|| "looped".to_owned()),
        stream.on_demand.then(|| "on demand".to_owned()),
        stream.no_wait.then(|| "from the start".to_owned()),
        source.sound.is_none().then(|| "no sound".to_owned()),
        stream.group.as_ref().map(|group| format!("sent to {}", group.choice)),
        stream.record.as_ref().map(|path| format!("recorded to {}", path.display())),
    ];
    told.into_iter().flatten().for_each(|told| text.push_str(&format!(", {told}")));
    text
}
