//! Secrets on a command line, which every user of the machine could read there (`ps`): they are struck out where the system keeps
//! it, as soon as they were read. On Linux; elsewhere `-` and `@FILE` keep them off it.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use udpstream::seal::Code;

use super::keys::SECRETS;

/// Strikes the secrets of these arguments out of the list of processes.
pub fn conceal(arguments: &[OsString]) {
    let secrets: Vec<Vec<Range<usize>>> = secrets(arguments);
    if secrets.iter().any(|ranges| !ranges.is_empty())
        && let Err(error) = strike(arguments, &secrets)
    {
        tracing::debug!(%error, "the command line is as it was typed");
    }
}

/// Where the secrets are in each argument.
fn secrets(arguments: &[OsString]) -> Vec<Vec<Range<usize>>> {
    let mut after = false;
    let of = |argument: &OsString| {
        let text = argument.to_string_lossy();
        let whole = std::mem::replace(&mut after, SECRETS.iter().any(|name| text.strip_prefix("--") == Some(name)));
        // What is not text has no secrets that could be told apart.
        if argument.to_str().is_none() {
            return Vec::new();
        }
        if whole { value(&text, 0, false).into_iter().collect() } else { within(&text) }
    };
    arguments.iter().map(of).collect()
}

/// The secrets in an argument that is not one as a whole.
fn within(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for name in SECRETS {
        let alone = format!("--{name}=");
        found.extend(text.starts_with(&alone).then(|| value(text, alone.len(), false)).flatten());
        let behind = format!(",{name}=");
        let at = text.match_indices(&behind).map(|(at, _)| at + behind.len());
        found.extend(at.filter_map(|at| value(text, at, true)));
    }
    // HOST/CODE, or a code that stands where none should.
    let tail = text.rfind('/').map_or(0, |slash| slash + 1);
    if Code::is_meant(&text[tail..]) {
        found.push(tail..text.len());
    }
    found
}

/// What is secret of a value that begins there, and ends at a comma if others follow: not a file's name, nor a word that stands for
/// something else.
fn value(text: &str, at: usize, others: bool) -> Option<Range<usize>> {
    let end = text[at..].find(',').filter(|_| others).map_or(text.len(), |comma| at + comma);
    let value = &text[at..end];
    (!value.is_empty() && !value.starts_with('@') && !["new", "-"].contains(&value)).then_some(at..end)
}

/// The arguments stand one behind the other, each with a zero behind it, at an address that the system tells.
fn strike(arguments: &[OsString], secrets: &[Vec<Range<usize>>]) -> io::Result<()> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    // The 48th field is `arg_start` (proc_pid_stat(5)); what follows the name begins with the third.
    let start: u64 = fields.split_whitespace().nth(48 - 3).and_then(|field| field.parse().ok()).unwrap_or(0);
    if start == 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let memory = OpenOptions::new().read(true).write(true).open("/proc/self/mem")?;
    let mut at = start;
    for (argument, ranges) in arguments.iter().zip(secrets) {
        let bytes = argument.as_bytes();
        let mut there = vec![0; bytes.len() + 1];
        memory.read_exact_at(&mut there, at)?;
        if there[..bytes.len()] != *bytes || there[bytes.len()] != 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        for range in ranges {
            memory.write_all_at(&vec![b'*'; range.len()], at + range.start as u64)?;
        }
        at += there.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(line: &str) -> String {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let all = secrets(&arguments);
        let shown = arguments.iter().zip(all).map(|(argument, ranges)| {
            let mut text = argument.to_str().expect("text").to_owned();
            ranges.into_iter().for_each(|range| text.replace_range(range.clone(), &"*".repeat(range.len())));
            text
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn secrets_are_found_wherever_they_stand() {
        let code = "K7QM-01AB-CDEF-GHJK-MNPQ";
        let stars = "*".repeat(code.len());
        for (line, shown) in [
            ("watch robot/CODE --headless", "watch robot/STARS --headless"),
            ("watch udp://robot:7/CODE", "watch udp://robot:7/STARS"),
            ("watch CODE", "watch STARS"),
            ("watch robot --code CODE", "watch robot --code STARS"),
            ("watch robot --code=CODE -q", "watch robot --code=STARS -q"),
            ("watch robot/x --password words", "watch robot/x --password *****"),
            ("watch robot/x --password=a,b,c", "watch robot/x --password=*****"),
            ("serve --stream a=test:,code=CODE,width=64", "serve --stream a=test:,code=STARS,width=64"),
            ("serve --allow-publish CODE --accept-publishers", "serve --allow-publish STARS --accept-publishers"),
            ("serve x --code new", "serve x --code new"),
            ("serve x --code @file --password -", "serve x --code @file --password -"),
            ("watch robot/lobby", "watch robot/lobby"),
        ] {
            let (line, shown) = (line.replace("CODE", code), shown.replace("STARS", &stars));
            assert_eq!(struck(&line), shown);
        }
    }
}
