//! Codes and passwords as people give them: in so many words, in a file, or typed where nobody sees them.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Once;

use anyhow::{Context, anyhow, bail};

use super::Exit;
use crate::proto::server::Guard;
use crate::seal::{self, Code, CodeError, Key, Random};
use crate::wire::StreamName;

/// Files with more bytes hold something else.
const LONGEST_FILE: u64 = 4_096;

/// Why `new` is no answer where a code is asked for.
const NOT_DRAWN: &str = "new draws a code, and here one is needed that is known already";

/// Where a password comes from. Its `Debug` tells no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Given {
    Words(String),
    File(PathBuf),
    /// A line of standard input; on a terminal it is asked for.
    Stdin,
}

/// Where a code comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GivenCode {
    New,
    Code(Code),
    File(PathBuf),
    Stdin,
}

/// Who may watch a stream, as it was chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GuardChoice {
    #[default]
    Everybody,
    Code(GivenCode),
    Password(Given),
}

impl GuardChoice {
    /// What stands before the stream of this name, and the code if it is one.
    pub fn guard(&self, name: &StreamName) -> anyhow::Result<(Guard, Option<Code>)> {
        match self {
            Self::Everybody => Ok((Guard::Open, None)),
            Self::Code(given) => {
                let code = given.code_or_new()?;
                Ok((Guard::Code(code.lookup(), code.key()), Some(code)))
            }
            Self::Password(given) => Ok((Guard::Password(given.key(name.as_str())?), None)),
        }
    }
}

impl FromStr for Given {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match (text, text.strip_prefix('@')) {
            ("", _) | (_, Some("")) => return Err("write the password, @FILE, or - to be asked for it".to_owned()),
            ("-", _) => Self::Stdin,
            (_, Some(path)) => Self::File(path.into()),
            _ => {
                seal::check_password(text).map_err(|error| error.to_string())?;
                Self::Words(text.to_owned())
            }
        })
    }
}

impl FromStr for GivenCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "new" {
            return Ok(Self::New);
        }
        Self::named(text).map_err(|error| format!("{error}; write new, CODE, @FILE or -"))
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(_) => f.write_str("Words(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Stdin => f.write_str("Stdin"),
        }
    }
}

impl Given {
    /// The words.
    pub fn words(&self) -> anyhow::Result<String> {
        match self {
            Self::Words(words) => Ok(words.clone()),
            Self::File(path) => read(path),
            Self::Stdin => ask("Password: "),
        }
    }

    /// The key that they make for the stream of this name.
    pub fn key(&self, name: &str) -> anyhow::Result<Key> {
        Key::of_password(&self.words()?, name).map_err(|error| anyhow!("{error}"))
    }
}

impl GivenCode {
    /// The same of a code that must be there already, which `new` is not.
    pub fn known(text: &str) -> Result<Self, String> {
        if text == "new" {
            return Err(format!("{NOT_DRAWN}; write CODE, @FILE or -"));
        }
        Self::named(text).map_err(|error| format!("{error}; write CODE, @FILE or -"))
    }

    fn named(text: &str) -> Result<Self, CodeError> {
        match (text, text.strip_prefix('@')) {
            ("-", _) => Ok(Self::Stdin),
            (_, Some(path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => text.parse().map(Self::Code),
        }
    }

    /// The code; a file that is not there is made, with a new one in it that nobody else can read.
    pub fn code_or_new(&self) -> anyhow::Result<Code> {
        match self {
            Self::New => draw(),
            Self::File(path) if !path.exists() => {
                let code = draw()?;
                keep(path, std::slice::from_ref(&code))?;
                Ok(code)
            }
            _ => self.code(),
        }
    }

    /// The code, which must be there.
    pub fn code(&self) -> anyhow::Result<Code> {
        let (text, from) = match self {
            Self::New => bail!(NOT_DRAWN),
            Self::Code(code) => return Ok(code.clone()),
            Self::File(path) => (read(path)?, format!("{}: ", path.display())),
            Self::Stdin => (ask("Code: ")?, String::new()),
        };
        text.parse().map_err(|error| anyhow!("{from}{error}"))
    }
}

/// A code that nobody has.
pub fn draw() -> anyhow::Result<Code> {
    let seed = seal::system_seed().ok_or_else(|| anyhow!("the system has no random numbers to give"))?;
    Ok(Code::random(&mut Random::new(&seed)))
}

/// The codes that a file holds, or, if it is not there, so many new ones that are kept in it.
pub fn kept(path: &Path, count: usize) -> anyhow::Result<Vec<Code>> {
    if !path.exists() {
        let codes = (0..count).map(|_| draw()).collect::<anyhow::Result<Vec<_>>>()?;
        keep(path, &codes)?;
        return Ok(codes);
    }
    let codes = text(path)?.lines().filter(|line| !line.trim().is_empty()).map(str::parse).collect::<Result<_, _>>();
    codes.map_err(|error: CodeError| anyhow!("{}: {error}", path.display()))
}

/// Writes codes into a file that its owner alone can read, and that is not there yet.
fn keep(path: &Path, codes: &[Code]) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| codes.iter().try_for_each(|code| writeln!(file, "{code}")));
    let shown = path.display();
    match written {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("the code cannot be kept in {shown}: its folder does not exist; create it, or name another file")
        }
        other => other.with_context(|| format!("the code could not be kept in {shown}")),
    }
}

/// The first line of a file.
fn read(path: &Path) -> anyhow::Result<String> {
    first_line(&text(path)?).ok_or_else(|| anyhow!("{} is empty", path.display()))
}

fn text(path: &Path) -> anyhow::Result<String> {
    let fault = || format!("{} could not be read", path.display());
    let mut text = String::new();
    fs::File::open(path).with_context(fault)?.take(LONGEST_FILE).read_to_string(&mut text).with_context(fault)?;
    Ok(text)
}

/// From the terminal, where it is not shown, or from what stands in its place.
fn ask(prompt: &str) -> anyhow::Result<String> {
    let fault = "nothing could be read from standard input";
    let mut line = String::new();
    if io::stdin().is_terminal() {
        line = match rpassword::prompt_password(prompt) {
            // By Ctrl-C, where signals are heard: otherwise that has ended the program.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => leave_question(),
            typed => typed.context(fault)?,
        };
    } else {
        io::stdin().lock().take(LONGEST_FILE).read_line(&mut line).context(fault)?;
    }
    first_line(&line).ok_or_else(|| anyhow!("{fault}"))
}

/// Ends the program where it has asked for a secret, the terminal being as it was. Both who asks and who hears signals may come
/// to it.
pub fn leave_question() -> ! {
    static LEFT: Once = Once::new();
    LEFT.call_once(|| {
        // What comes next is not to stand behind the question.
        io::stderr().write_all(b"\n").ok();
    });
    std::process::exit(Exit::Killed as i32)
}

fn first_line(text: &str) -> Option<String> {
    // Spaces may be part of a password.
    let line = text.lines().next()?.trim_end_matches(['\r', '\n']);
    (!line.trim().is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_given_in_words_in_files_or_typed() {
        let code = "K7QM-01AB-CDEF-GHJK-MNPQ";
        let given = |text: &str| text.parse::<GivenCode>();
        assert_eq!(given("new"), Ok(GivenCode::New));
        assert_eq!(given("-"), Ok(GivenCode::Stdin));
        assert_eq!(given("@a/b"), Ok(GivenCode::File("a/b".into())));
        assert_eq!(given(code), Ok(GivenCode::Code(code.parse().expect("a code"))));
        let said = given("K7QM-01AB").expect_err("too short");
        assert!(said.contains("20 letters") && said.contains("@FILE") && !said.contains("01AB"), "{said}");
        assert_eq!("@pw".parse(), Ok(Given::File("pw".into())));
        assert!(["", "@", "ninechars"].iter().all(|bad| bad.parse::<Given>().is_err()));
        for (text, part) in [("new", "known already"), ("K7QM-01AB", "20 letters")] {
            let said = GivenCode::known(text).expect_err(text);
            assert!(said.contains(part) && said.ends_with("; write CODE, @FILE or -"), "{said}");
        }
        assert_eq!(GivenCode::known(code), given(code));
        let words: Given = "correct horse".parse().expect("words");
        assert!(!format!("{words:?}").contains("horse"));
    }

    #[test]
    fn a_file_is_made_once_and_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("code");
        let given = GivenCode::File(path.clone());
        assert!(given.code().expect_err("none").to_string().contains("could not be read"));
        let code = given.code_or_new().expect("made");
        assert_eq!((given.code_or_new().expect("read"), given.code().expect("read")), (code.clone(), code));
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let nowhere = GivenCode::File(folder.path().join("none/code")).code_or_new().expect_err("no folder");
        assert!(nowhere.to_string().contains("its folder does not exist"), "{nowhere}");
        fs::write(&path, "K7QM-01AB-CDEF-GHJK-MNP!\n").expect("written");
        let said = given.code().expect_err("no code").to_string();
        assert!(said.contains("code: '!', letter 20") && !said.contains("01AB"), "{said}");
        fs::write(&path, "\n").expect("written");
        assert!(given.code().expect_err("empty").to_string().contains("empty"));
    }
}
