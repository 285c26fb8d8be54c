//! Completions and the manual page, both made from the command line's own description.

use std::io::{self, Write};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use udpstream::app::Exit;

use super::Cli;

/// Prints the completions of one shell.
pub fn completions(shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut completed(), NAME, &mut script);
    print(&script)
}

/// The program without the options of `publish` that no help shows: they are there to be refused with a sentence, and scripts would
/// offer them all the same.
fn completed() -> Command {
    Cli::command().mut_subcommand(PUBLISH, |publish| {
        let shown = publish.get_arguments().filter(|option| !option.is_hide_set()).cloned();
        let about = publish.get_about().cloned().unwrap_or_default();
        Command::new(PUBLISH).about(about).args(shown)
    })
}

/// Prints the manual page: of one command, or one about everything.
pub fn man(command: Option<&str>) -> Exit {
    let mut page = Vec::new();
    let mut program = Cli::command();
    // Inherited flags and whole names, such as `udpstream serve`, are there once it is built.
    program.build();
    let written = match command.and_then(|name| program.find_subcommand(name)) {
        Some(command) => titled(command.clone()).render(&mut page),
        None => whole(program, &mut page),
    };
    match written {
        Ok(()) => print(String::from_utf8_lossy(&page).replace("\n.SH EXTRA\n", "\n.SH NOTES\n").as_bytes()),
        Err(_) => Exit::Failed,
    }
}

/// A page that says which version it is of. The date is a space: an empty one would let what follows move up.
fn titled(command: Command) -> Man {
    Man::new(command).date(" ").source(concat!("udpstream ", env!("CARGO_PKG_VERSION"))).manual("User Commands")
}

/// The program's sections, then all sections of each command, one level down.
fn whole(program: Command, page: &mut Vec<u8>) -> io::Result<()> {
    let commands: Vec<_> = program.get_subcommands().filter(|command| command.get_name() != "help").cloned().collect();
    let man = titled(program);
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    for command in commands {
        let title = command.get_name().to_uppercase();
        let mut sections = Vec::new();
        let man = Man::new(command);
        man.render_synopsis_section(&mut sections)?;
        man.render_description_section(&mut sections)?;
        man.render_options_section(&mut sections)?;
        man.render_extra_section(&mut sections)?;
        writeln!(page, ".SH {title}")?;
        page.extend_from_slice(
            String::from_utf8_lossy(&sections)
                .replace("\n.SH EXTRA\n", "\n.SH NOTES\n")
                .replace("\n.SH ", "\n.SS ")
                .as_bytes(),
        );
    }
    man.render_extra_section(page)?;
    man.render_version_section(page)
}

/// A reader that has seen enough, such as `head`, is no failure.
fn print(bytes: &[u8]) -> Exit {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Failed,
        _ => Exit::Done,
    }
}

const NAME: &str = "udpstream";
const PUBLISH: &str = "publish";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_offer_no_option_that_is_always_refused() {
        let mut all = completed();
        all.build();
        let publish = all.find_subcommand(PUBLISH).expect("a verb");
        let names: Vec<&str> = publish.get_arguments().filter_map(|option| option.get_long()).collect();
        assert!(["code", "keep", "quiet"].iter().all(|name| names.contains(name)), "{names:?}");
        assert!(!names.contains(&"password"), "{names:?}");
    }
}
